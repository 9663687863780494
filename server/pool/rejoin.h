/* rejoin.h - a replica that turned out to be a copy, or older than what the server has of it, or that the server has forgotten, goes on
 * as another device of the same person.
 *
 * Why: two copies under one number would take each other's batch numbers, and one of them would lose what it wrote. So the second to
 * speak gets a number of its own. Its unsent changes keep the stamps they have, also those of the number it had before (`former` in the
 * device's document): the other copy may have sent the very same changes, and they must not come out twice.
 *
 * A server restored from a backup does not know who joined later. The pass, given with every number, says who that was:
 *
 *     pass := [ device, staff id, staff name, role, label, public key, [ former number, ... ], signature ]
 *
 * the signature is made with a key derived from the pool's secret, over everything before it, so only this pool can have given it.
 *
 * Invariants:
 *   (1) The caller has proved that it holds the old key: the one in the old number's document, else the one in the pass.
 *   (2) Asked again with the same new key, the same number is the answer. */
#ifndef SERVER_REJOIN_H
#define SERVER_REJOIN_H

#include "server/pool/auth.h"

/** Appends the pass of a device. Errors: LP_NOMEM. */
lp_err rejoin_pass(pool *p, const device *d, buf *out, lp_error *error);

/** Invariant (1), in the reader's snapshot. Errors: LP_REFUSED, LP_PROTOCOL, those of the store. */
lp_err rejoin_prove(pool *p, store_reader *reader, const message *m, span binding, lp_error *error);
/** The new device. In a transaction, after rejoin_prove. Errors: LP_REFUSED, those of the store. */
lp_err rejoin(pool *p, const message *m, device *device_out, lp_error *error);

#endif
