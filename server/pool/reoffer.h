/* reoffer.h - after a new epoch: changes that devices had acknowledged once, offered again.
 *
 * Why: a pool restored from a backup lacks what was accepted later. The devices that wrote it still have it, sealed so that nobody but
 * this pool reads it, and send it again with the stamps and bases it had. So it ends where it would have been.
 *
 * Invariants:
 *   (1) A change that history has already, in whatever set, changes nothing: offering again is harmless.
 *   (2) Only own changes are taken, under the same rules as a push: what is outside the author's scopes awaits review, whatever it was once.
 *   (3) An entry that cannot be opened or read is passed over: it must not hold up those behind it. */
#ifndef SERVER_REOFFER_H
#define SERVER_REOFFER_H

#include "server/pool/apply.h"
#include "server/pool/auth.h"

typedef struct reoffer_outcome {
    uint64_t taken;  /**< entries dealt with */
    uint64_t broken; /**< of them: not readable */
    uint64_t cloned; /**< as in apply_verdicts */
} reoffer_outcome;

/** Applies what a REOFFER message brings, as much of it as one job may cost. In a transaction. Errors: LP_PROTOCOL, those of the store. */
lp_err reoffer(pool *p, const device *d, const message *m, reoffer_outcome *outcome_out, lp_error *error);

#endif
