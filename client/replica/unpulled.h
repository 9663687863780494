/* unpulled.h - records that the server has taken, and that no scope holds: not yet, or not any more.
 *
 * Between a verdict and the pages that tell of it nobody knows whether a scope of this device holds the record. Pages name it, as one that
 * joined or as one that left, if a scope that is read has or had it. None may: the grant was taken that entitled to it, or what was
 * typed lost and the pool does not know that anything of the record is here. So once every scope has been read past the verdict, what none of
 * them holds leaves.
 *
 *   meta "unpulled.seq"   every such record was acknowledged at this seq or before; absent or 0: there is none
 *
 * Everything here runs inside the caller's write transaction. Errors: those of the replica. */
#ifndef CLIENT_UNPULLED_H
#define CLIENT_UNPULLED_H

#include "client/replica/replica.h"

/** A record that no scope holds was acknowledged at `seq`. */
lp_err unpulled_note(replica *r, uint64_t seq, lp_error *error);
/** Lets go of what no scope holds, if all of them have been read past it. Call it after pages and the list of scopes, before holdings_evict. */
lp_err unpulled_let_go(replica *r, lp_error *error);
/** A new epoch: the pool may lack what it had acknowledged and no page has told of. It counts as held by the scope that is read last, which is
 *  in doubt (pull_doubt). */
lp_err unpulled_doubt(replica *r, lp_error *error);

#endif
