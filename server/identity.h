/* identity.h - the server's key and certificate, two PEM files in the data directory: server.key and server.crt, mode 0600.
 *
 * Why files beside the database: devices trust the pin of this key and nothing else, so it must survive a restored or
 * rebuilt database. Thread: any. */
#ifndef SERVER_IDENTITY_H
#define SERVER_IDENTITY_H

#include "proto/channel/tls.h"

/** Makes both files in `directory` unless a whole pair is there already. Errors: LP_EXISTS half a pair, LP_IO, LP_FULL, LP_NOMEM. */
lp_err identity_create(const char *directory, const char *common_name, lp_error *error);

/** Loads them. Errors: LP_NOT_FOUND, LP_DENIED if others may read the key, LP_CORRUPT, LP_IO. */
lp_err identity_load(const char *directory, tls_context **context_out, uint8_t pin_out[PIN_BYTES], lp_error *error);

#endif
