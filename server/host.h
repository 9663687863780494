/* host.h - a pool opened for writing by this process: store, pool, committer and identity, in the order they depend on each
 * other. What `serve` runs on, and what the other commands use when no server runs. Thread: the owner's. */
#ifndef SERVER_HOST_H
#define SERVER_HOST_H

#include "server/pool/committer.h"
#include "server/config.h"
#include "server/identity.h"
#include "server/office/ledger_files.h"

typedef struct host {
    ledger_files ledgers;
    store *store;
    pool pool;
    committer *committer;
    tls_context *tls;
    uint8_t pin[PIN_BYTES];
} host;

/** Does again what the ledgers say was done. Errors: LP_NOT_FOUND no pool there, or a ledger is missing; LP_BUSY another process has it, those of the store and the identity. */
lp_err host_open(host *h, const char *directory, lp_error *error);
void host_close(host *h);

/** The address invitations carry: `address` if configured, else where it listens, or the host's name for a wildcard. `port`
 *  replaces the one listened on if it is not 0. Errors: LP_INVALID. */
lp_err host_address(const config *c, uint16_t port, char address_out[300], lp_error *error);

/** Keeps the address in the pool's directory (file `address`), so that an invitation made while no server runs names it too. Failure is
 *  harmless: the next server start tries again. */
void host_keep_address(const char *directory, const char *address);
/** The address kept; false, and address_out left alone, if there is none. */
bool host_kept_address(const char *directory, char address_out[300]);

#endif
