/* repair.h - a pool that was written while the server's clock was ahead, set right: `leadpoold repair-clock`.
 *
 * Why: the server's time is what devices set their stamps by. If it was ahead, all that was written meanwhile wins against everything that is
 * written until that time has really come. So whatever is stamped later than the wall clock shows now comes back to now, in its order:
 * registers, history, conflicts, bases, the server's own clock. That is another history of the same changes: devices have to read all of it
 * anew, so the epoch is redrawn, with nothing to offer again.
 *
 * Invariants:
 *   (1) The order of any two stamps stays.
 *   (2) Nothing is later than now afterwards, give or take a moment for each 32,768 stamps.
 *   (3) No stamp becomes one that its author gives, or has given, to something else: whether it knows of the repair or not (STAMP_MOVED).
 *   (4) Conflicts are a function of history, as before (conflicts.h).
 * Thread: the committer's, in a transaction. */
#ifndef SERVER_REPAIR_H
#define SERVER_REPAIR_H

#include "server/pool/pool.h"

typedef struct repair_report {
    uint64_t stamps;  /**< that were ahead */
    uint64_t records; /**< that had some */
} repair_report;

/** Takes the wall clock for right. Errors: those of the store, LP_NOMEM, LP_CORRUPT. */
lp_err repair_clock(pool *p, repair_report *report_out, lp_error *error);

#endif
