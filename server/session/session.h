/* session.h - one connection's protocol state, sans-I/O: messages in, answers and jobs out.
 *
 *     NEW --join--> (job) --> NEW          NEW --hello ok--> READY --sync--> READY
 *     NEW --hello, clock off--> (fence) CLOCK --hello--> ...  READY --wait--> READY + parked
 *     any --nonsense--> answer ERROR, CLOSED
 *
 * The owner (server/net, the simulator) calls session_step with one event at a time and carries out the actions in order.
 *
 * Invariants:
 *   (1) Nothing but join, challenge and hello is answered with anything but REFUSED before a hello was accepted.
 *   (2) A request gets exactly one answer, unless the session closes first.
 *   (3) A parked wait costs at most 1 KiB.
 * Ownership: `answer` buffers and jobs in actions pass to the owner. Thread: one at a time; steps of one session never overlap. */
#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

#include "server/pool/job.h"
#include "server/pool/pool.h"

#define SESSION_WAITS_MAX 4 /**< parked waits of one session */
#define SESSION_JOBS_MAX 8  /**< its jobs at the committer */
#define SESSION_ACTIONS_MAX 8

typedef struct session session;

typedef enum session_event_kind {
    SESSION_MESSAGE,   /**< `id`, `bytes`: a request arrived */
    SESSION_COMMITTED, /**< `job`, which the session now owns again */
    SESSION_MOVED,     /**< the pool has moved: parked waits may have news */
    SESSION_TICK,      /**< time has passed: parked waits may be over */
} session_event_kind;

typedef struct session_event {
    session_event_kind kind;
    uint32_t id;
    span bytes;
    job *job;
} session_event;

typedef enum session_action_kind {
    SESSION_ANSWER, /**< send `answer` (then buf_fini it) under `id` */
    SESSION_COMMIT, /**< submit `job`; set its done and ctx first. If that fails, set job->result and error and step COMMITTED at once */
    SESSION_CLOSE, /**< close the connection once the answers are out */
} session_action_kind;

typedef struct session_action {
    session_action_kind kind;
    uint32_t id;
    buf answer;
    job *job;
} session_action;

typedef struct session_actions {
    uint32_t count;
    session_action list[SESSION_ACTIONS_MAX];
    lp_error
        trouble; /**< for the log: why a request was refused or could not be served, or what was odd about it; code LP_OK if nothing */
} session_actions;

/** `binding`: the channel binding of the connection (channel.h), copied. The pool is borrowed. Errors: LP_NOMEM. */
lp_err session_new(pool *p, span binding, session **session_out, lp_error *error);
/** NULL is harmless. Jobs still at the committer are orphaned: the owner frees them when they come back. */
void session_free(session *s);

/** `reader` is borrowed for the call; its snapshot is taken and ended inside. */
void session_step(session *s, store_reader *reader, const session_event *event, session_actions *actions_out);

/** When SESSION_TICK is wanted, in env->boot_ms time; 0: not at all. */
int64_t session_deadline_ms(const session *s);
/** True once a hello was accepted: the owner lifts its limits for strangers. */
bool session_known(const session *s);
uint32_t session_device(const session *s); /**< 0 until known */
bool session_parked(const session *s);

#endif
