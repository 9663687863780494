/* regrant.h - scopes are as open as the ledger says: after a restore.
 *
 * Why: a backup opens scopes as it did when it was made. Whoever was granted one since would lose it, and whoever lost one would have it again.
 * Thread: the committer's, in a transaction. */
#ifndef SERVER_REGRANT_H
#define SERVER_REGRANT_H

#include "server/pool/pool.h"

/** Brings the grants to what the ledger says last of each person and scope; what it says nothing of stays. The persons need not be known
 *  here yet: their devices may come back later (rejoin.h). Errors: LP_CORRUPT, LP_NOMEM, those of ledger and store. */
lp_err regrant_replay(pool *p, lp_error *error);

#endif
