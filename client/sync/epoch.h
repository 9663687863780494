/* epoch.h - the pool became another history (server/pool/epochs.h): what this device does about it, in order and across restarts.
 *
 *     welcome with another epoch --> OFFERING kept changes above the fork --> OFFERING what stands, if some were forgotten --> done
 *
 * Meanwhile no page is applied: own changes might not be in it yet, and would vanish from their author's eyes. After it scopes are
 * read from their beginning, because their cursors are of the old epoch.
 *
 *   meta "epoch"          the one this replica has been welcomed to
 *   meta "offer.fork"     offering: what is above this seq; absent or -1: nothing is offered
 *   meta "offer.last"     the last kept entry to offer
 *   meta "offer.at"       kept entries up to here were offered
 *   meta "offer.record"   own values of records up to here were offered; -1: kept entries come first */
#ifndef CLIENT_EPOCH_H
#define CLIENT_EPOCH_H

#include "client/replica/kept.h"
#include "proto/message.h"

/** Takes a welcome in, in a transaction of its own if there is anything to do. *over_out: what was asked for before has to be
 *  asked for anew. The epoch is another than before; or the server does not hold batch `settled`, which it had acknowledged before it was greeted: it
 *  was set back, whatever its epoch says, and shares nothing for sure; or it holds more, and nothing was read before: own changes are to come too. */
lp_err epoch_welcome(replica *r, const message *welcome, uint64_t settled, bool *over_out, lp_error *error);
/** The pool is not the one this replica knew, whatever its epoch says: the next welcome is one of a new epoch, and nothing is shared with it. In
 *  the caller's transaction. */
lp_err epoch_forget(replica *r, lp_error *error);
/** True while something is to be offered. Outside a transaction too. */
bool epoch_offering(replica *r);
/** True if pages of that epoch may be applied now. Outside a transaction too. */
lp_err epoch_takes(replica *r, span epoch, bool *takes_out, lp_error *error);

/** What a REOFFER holds. */
typedef struct epoch_offer {
    kept_range range; /**< entries: `last` is that of the last one in it */
    int64_t record;   /**< standing values: up to this record; 0: entries */
    uint32_t count;   /**< entries */
} epoch_offer;
/** The next offer, its list in `list_out`: entries, or with offer->record changes. *some_out: there is one; else all is offered, which the
 *  transaction of epoch_finish notes. */
lp_err epoch_next_offer(replica *r, uint32_t most, size_t bytes, buf *list_out, epoch_offer *offer_out, bool *some_out,
                        lp_error *error);
/** It was taken, all of it; in the caller's transaction. */
lp_err epoch_offered(replica *r, const epoch_offer *offer, uint64_t seq, lp_error *error);
/** Nothing is left to offer; a transaction of its own. */
lp_err epoch_finish(replica *r, lp_error *error);

#endif
