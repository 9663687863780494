/* session.h - the device's side of the protocol, sans-I/O: what happened in, what to do out.
 *
 *     IDLE --start--> CONNECTING --open--> SYNCING --all sent and read--> LIVE (keep) or DONE (once)
 *      ^                   |                  |  ^                          |
 *      |                   v                  v  '------ work, news --------'
 *      '---- stop ---- WAITING (back-off) <- lost
 *     any --refused for good--> BLOCKED (until start)
 *
 * The shell (loop.c, the simulator) calls client_step with one event at a time and carries out the actions in order. The
 * session reads and writes the replica inside the call; it never waits for the network. What is to be sent before a durable
 * write is handed over early, so that the server works meanwhile: see client_actions.
 *
 * Invariants:
 *   (1) At most CLIENT_WINDOW requests are unanswered, and at most one wait.
 *   (2) What is not acknowledged is offered again on the next connection; losing a connection loses nothing.
 *   (3) Being offline never blocks: WAITING always has a next attempt.
 * Back-off: full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015), 1 s to 5 min; the server may set the delay.
 * Thread: the replica's. */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include "client/replica/replica.h"

#define CLIENT_WINDOW 4
#define CLIENT_WAIT_MS 25000 /**< a parked wait is renewed after this: below every middlebox's idle limit */
#define CLIENT_ANSWER_MS                                                                                               \
    30000 /**< without any byte from the server for this long while an answer is due, the connection is dead */
#define CLIENT_CONNECT_MS 15000
#define CLIENT_BACKOFF_MIN_MS 1000
#define CLIENT_BACKOFF_MAX_MS 300000
#define CLIENT_ACTIONS_MAX 32

typedef struct client_session client_session;

typedef enum client_event_kind {
    CLIENT_START,   /**< get in sync; `keep` says whether to stay so */
    CLIENT_STOP,    /**< the person or the time limit ends it */
    CLIENT_OPEN,    /**< the channel is open; `bytes` is its binding */
    CLIENT_MESSAGE, /**< `id`, `bytes` */
    CLIENT_LOST,    /**< the connection failed or could not be made; `error` */
    CLIENT_WORK,    /**< something was written to the replica */
    CLIENT_TICK,    /**< client_deadline_ms has come */
} client_event_kind;

typedef struct client_event {
    client_event_kind kind;
    bool keep;
    uint32_t id;
    span bytes;
    lp_error error;
} client_event;

typedef enum client_action_kind {
    CLIENT_CONNECT, /**< open a new channel to the replica's server */
    CLIENT_SEND,    /**< send `message` (then buf_fini it) under `id` */
    CLIENT_CLOSE,   /**< close the channel, if any */
    CLIENT_NOTIFY,  /**< deliver `event` to the program */
    CLIENT_DONE,    /**< a CLIENT_START without keep has ended, with `error` (code LP_OK: in sync) */
} client_action_kind;

typedef struct client_action {
    client_action_kind kind;
    uint32_t id;
    buf message;
    lp_event event;
    lp_error error;
} client_action;

typedef struct client_actions {
    void (*carry_out)(void *ctx,
                      struct client_actions *actions); /**< carries out the list so far, in order; NULL: it is kept
                                                                       until the step ends. It must not call the session */
    void *ctx;
    uint32_t count;
    client_action list[CLIENT_ACTIONS_MAX];
} client_actions;

/** The replica is borrowed. Errors: LP_NOMEM. */
lp_err client_session_new(replica *r, client_session **session_out, lp_error *error);
void client_session_free(client_session *s);

/** Takes `carry_out` and `ctx` from actions_out, and leaves in it what is to be done after the step. */
void client_step(client_session *s, const client_event *event, client_actions *actions_out);

/** Bytes are moving on the connection, though no whole message has come: a slow line is not a dead one. Puts off the deadline of an
 *  answer that is due. */
void client_alive(client_session *s);

/** When CLIENT_TICK is wanted, in env->boot_ms time; INT64_MAX: not at all. */
int64_t client_deadline_ms(const client_session *s);
lp_state client_state(const client_session *s);
const char *client_reason(const client_session *s);      /**< why not in sync; "" if it is */
int64_t client_next_attempt_ms(const client_session *s); /**< UTC ms by the device's clock; 0: none planned */
/** Counters since the last CLIENT_START; bytes_up and bytes_down are the shell's. */
void client_result(const client_session *s, lp_sync_result *result_out);

/** Joining, for an unjoined replica: the request, and what to do with the answer (stores the identity durably).
 *  client_join_take errors: LP_REFUSED, LP_EXPIRED, LP_PROTOCOL, LP_VERSION, those of the replica. */
lp_err client_join_request(replica *r, const uint8_t token[16], const char *label, buf *message_out, lp_error *error);
lp_err client_join_take(replica *r, span answer, lp_error *error);

/** Going on as another device, for a replica that the server takes for a copy or has forgotten: the request (the new key is stored first, so that
 *  asking again asks for the same), and what to do with the answer: identity, numbers, and no cursors, durably. Unsent changes stay as
 *  they are. `forgotten`: the server did not know the device, so it lacks what it acknowledged: all of it is offered again. Errors: as above. */
lp_err client_rejoin_request(replica *r, span binding, buf *message_out, lp_error *error);
lp_err client_rejoin_take(replica *r, bool forgotten, span answer, lp_error *error);

#endif
