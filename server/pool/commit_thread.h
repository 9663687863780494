/* commit_thread.h - the committer's thread and its bounded queue. Adaptive group commit: whatever waits when the last
 * commit is done is the next group; nothing waits for company. */
#ifndef SERVER_COMMIT_THREAD_H
#define SERVER_COMMIT_THREAD_H

#include "server/pool/committer.h"

typedef struct commit_thread commit_thread;

/** Starts it. At most `queue_limit` jobs wait. `moved` (may be NULL) is called on its thread after every commit that moved the
 *  pool. The committer is borrowed. Errors: LP_NOMEM. */
lp_err commit_thread_start(committer *c, uint32_t queue_limit, void (*moved)(void *ctx, uint64_t seq), void *ctx,
                           commit_thread **thread_out, lp_error *error);
/** Hands in a job. Errors: LP_BUSY the queue is full, LP_CLOSED stopping: `done` is then not called. Thread: any. */
lp_err commit_thread_submit(commit_thread *t, job *j);
/** Hands in a job and waits until it is done; its `done` and `ctx` are used for that. An error of submitting becomes the job's result.
 *  Thread: any but the commit thread. */
void commit_thread_run(commit_thread *t, job *j);
/** Commits what is queued, calls every `done`, ends the thread. */
void commit_thread_stop(commit_thread *t);

#endif
