/* contact.h - where a replica's server is and how to recognise it: the meta keys server.*, and the TLS context made of them.
 *
 *     server.host    text       server.port  integer    server.pin  32 bytes, SHA-256 of the server's public key
 *     server.ticket  TLS session ticket of the last connection, for a handshake without a certificate
 *     server.plain   1: plain text, which the link refuses unless the host is a loopback address (tests)
 *
 * Invariants:
 *   (1) The pin comes from the invitation and from nowhere else: no environment variable, file or option weakens it.
 *   (2) A ticket is used only with the pin it was obtained under: resuming skips the certificate, so a ticket of another
 *       server would stand in for a check of the pin.
 * Thread: the replica's. */
#ifndef CLIENT_CONTACT_H
#define CLIENT_CONTACT_H

#include "client/replica/replica.h"
#include "proto/channel/tls.h"

typedef struct contact {
    char host[INVITE_HOST_BYTES];
    uint16_t port;
    bool plain;
    uint8_t pin[PIN_BYTES];
} contact;

/** Errors: LP_NOT_FOUND not joined; LP_CORRUPT; those of the replica. */
lp_err contact_load(replica *r, contact *contact_out, lp_error *error);
/** Stores host, port and pin (not `plain`) in a transaction of its own. A new pin drops the ticket. Errors: those of the replica. */
lp_err contact_store(replica *r, const contact *c, lp_error *error);

/** A context for `c`'s pin, with the stored ticket. Ownership: tls_context_free. Errors: LP_NOMEM; those of the replica. */
lp_err contact_tls(replica *r, const contact *c, tls_context **tls_out, lp_error *error);
/** Stores the newest ticket of `tls` if there is a new one. Failure is harmless: the next handshake is a full one. */
void contact_keep_ticket(replica *r, tls_context *tls);

#endif
