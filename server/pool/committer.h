/* committer.h - the one writer: groups jobs into one durable commit. Core: no thread; commit_thread.h is the shell.
 *
 * Why: a durable commit costs milliseconds whatever it holds. Batches of many devices that wait anyway share one, each in
 * a savepoint of its own, so that one bad batch does not fail the others.
 *
 * Invariants:
 *   (1) A job's `done` is called after its commit is durable, or with an error after everything of it was undone.
 *   (2) Jobs of one device are applied in the order they were submitted.
 *   (3) Its `seq` is then the pool's last: it never says less than what holds the job.
 *   (4) A batch applied once is answered from memory ever after: (device, number, content hash) -> verdicts. */
#ifndef SERVER_COMMITTER_H
#define SERVER_COMMITTER_H

#include "server/pool/job.h"
#include "server/pool/pool.h"

typedef struct committer committer;

/** Errors: LP_NOMEM. The pool is borrowed; it was opened, and nothing else writes it. */
lp_err committer_new(pool *p, committer **committer_out, lp_error *error);
void committer_free(committer *c);

/** Runs a list of jobs (linked by `next`) as one group and calls every `done`. */
void committer_run(committer *c, job *jobs);

/** Lets the store do what no answer should wait for. Call it when no job waits. */
void committer_rest(committer *c);

/** The pool's last committed seq. Thread: the committer's. */
uint64_t committer_seq(const committer *c);

#endif
