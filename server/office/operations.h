/* operations.h - what the office does to the pool beside inviting: erase, review, revoke, purge, repair the clock. Each is a job like any other, so that it
 * takes its place in the pool's order and is answered when it is durable. Thread: the committer's. */
#ifndef SERVER_OPERATIONS_H
#define SERVER_OPERATIONS_H

#include "server/pool/job.h"
#include "server/pool/pool.h"

/** True if `verb` of a CONTROL message is one of these. Thread: any. */
bool operations_know(span verb);
/** Carries out a JOB_CONTROL: the CONTROL message in `request`; CONTROLLED goes into `answer`. */
lp_err operations_run(pool *p, job *j, lp_error *error);
/** Carries out a JOB_REPLAY: does again what the ledgers say was done, and the store does not know of. */
lp_err operations_replay(pool *p, lp_error *error);

#endif
