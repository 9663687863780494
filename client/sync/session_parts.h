/* session_parts.h - what the files of the session share: session.c decides, requests.c asks, session_hello.c,
 * session_pages.c and session_heal.c take the answers in. Nobody else includes this. */
#ifndef CLIENT_SESSION_PARTS_H
#define CLIENT_SESSION_PARTS_H

#include "client/sync/epoch.h"
#include "client/sync/heal.h"
#include "client/sync/line.h"
#include "client/sync/session.h"
#include "proto/message.h"

#define NEVER INT64_MAX
#define HASTY_BYTES 8192 /* a frozen batch up to this is sent again without asking whether it arrived */
#define FIRST_PAGE_BYTES                                                                                               \
    (128 * 1024) /* small, so that this end has work early; the next is asked for before it is applied */

typedef enum request_kind {
    REQUEST_FREE,
    REQUEST_HELLO,
    REQUEST_PUSH,
    REQUEST_PULL,
    REQUEST_WAIT,
    REQUEST_OFFER,
    REQUEST_REJOIN,
    REQUEST_HEAL
} request_kind;

typedef struct request {
    request_kind kind;
    uint32_t id;
    uint64_t batch;
    epoch_offer offer;
    int64_t sending;    /* recovered values that go to review; 0: none */
    bool pulls;         /* the answer brings pages */
    uint32_t moves;     /* how often the scopes had moved when it was asked */
    uint64_t acked_seq; /* and what was acknowledged by then */
    size_t bytes;
    int64_t sent_ms; /* in boot time */
} request;

#define REQUESTS_MAX (CLIENT_WINDOW + 5) /* the window, a hello, a pull, a wait, an offer, digests */

struct client_session {
    replica *replica;
    lp_state state;
    bool keep;
    bool welcomed;   /* on this connection */
    uint32_t moves;  /* how often the scopes have moved: what was asked before did not ask for all of them */
    bool pulled;     /* every scope was read to its end since the last push */
    uint32_t clocks; /* corrections since something was exchanged */
    uint64_t
        differs; /* scopes, a bit each by number, that were read to their end and whose digest is not the server's */
    heal heal;   /* what is done about it */
    bool progressed;     /* on this connection something was exchanged */
    bool becoming;       /* another device: nothing else is asked for until it is one */
    bool forgotten;      /* the reason for it: the server did not know this one */
    bool patient;        /* nothing is sent before the welcome, which says whether what is frozen has arrived already */
    uint32_t offer_most; /* entries in one offer, as far as the server took them at once; 0: no limit */
    uint64_t settled;    /* batches up to here were acknowledged when the last hello was sent */
    uint64_t held;       /* batches up to here the server has, as the welcome said */
    line line;
    uint64_t acked_seq; /* the pool's seq after the latest acknowledged push of this connection */
    uint32_t next_id;
    uint64_t sent; /* highest batch sent on this connection */
    request requests[REQUESTS_MAX];
    uint32_t failures; /* in a row */
    int64_t deadline_ms;
    int64_t next_attempt_ms;
    int64_t hello_ms; /* when the last hello was sent, in boot time */
    int64_t lead_ms;  /* how long a hello takes to arrive, as far as is known on this connection */
    int64_t best_ms;  /* half the shortest round trip of a clock correction on this connection, plus 1; 0: none */
    uint8_t binding[64];
    size_t binding_size;
    char reason[LP_ERROR_MESSAGE_BYTES];
    lp_sync_result result;
};

/* ---- session.c ---- */

/** Hands over what was decided so far: the other end works on it while this one goes on. */
void session_hand_over(client_actions *actions);
void session_enter(client_session *s, client_actions *actions, lp_state state, const char *reason);
void session_notify(client_actions *actions, lp_event_kind kind, const lp_id *id, uint64_t done);
/** Ends this connection; tries again later, or says so to who asked for one sync. */
void session_retry(client_session *s, client_actions *actions, lp_err err, const char *text, int64_t server_ms);
/** An error of this end: the replica could not be read or written. Back off: a full disk may have space later. */
void session_fail(client_session *s, client_actions *actions, lp_err err, const lp_error *error);
/** Sends batches while the window has room. Errors: those of the replica. */
lp_err session_push(client_session *s, client_actions *actions, lp_error *error);
void session_count_conflicts(client_session *s);

/* ---- session_hello.c ---- */

/** Stamps that are ahead of the estimate, after a clock that was ahead: before they leave, what was made later comes to its place. */
lp_err session_settle_stamps(client_session *s, lp_error *error);
void session_on_welcome(client_session *s, client_actions *actions, const message *m);
/** `asked`: what was answered with CLOCK. */
void session_on_clock(client_session *s, client_actions *actions, request_kind asked, const message *m);
void session_greet_again(client_session *s, client_actions *actions);
/** The replica is a copy, or older than what the server has of it, or the server has forgotten it: nothing is lost if it goes on as
 *  another device. */
void session_become_another(client_session *s, client_actions *actions, bool forgotten);
void session_on_joined(client_session *s, client_actions *actions, span bytes);

/* ---- session_pages.c ---- */

void session_on_synced(client_session *s, client_actions *actions, request done, const message *m);

/* ---- session_heal.c ---- */

/** Begins to set right a scope that differs, if there is one and a try is left. *busy_out: an answer about it is due. Errors: those of the replica. */
lp_err session_heal(client_session *s, client_actions *actions, bool *busy_out, lp_error *error);
void session_on_digested(client_session *s, client_actions *actions, const message *m);
/** The server did not understand what it was asked. */
void session_on_heal_refused(client_session *s, client_actions *actions);
/** Why it differs for good, and what to do. */
const char *session_divergence(const client_session *s);

/* ---- requests.c ---- */

int64_t session_boot_ms(const client_session *s);
/** The next free action. */
client_action *session_act(client_actions *actions, client_action_kind kind);

/** True if an answer that is due will bring pages. */
bool requests_pulling(const client_session *s);
uint32_t requests_in_flight(const client_session *s, request_kind kind);
/** The request an answer belongs to; NULL if nothing waits for it. */
request *requests_find(client_session *s, uint32_t id);

/** Greets. Errors of these: those of the replica, LP_BUSY too many at once. */
lp_err requests_hello(client_session *s, client_actions *actions, lp_error *error);
/** True if a transfer is under way. */
bool requests_moving(const client_session *s);
/** The next batch to send: one frozen before, or newly frozen; 0 if the outbox is empty. */
lp_err requests_next_batch(client_session *s, uint64_t *number_out, lp_error *error);
lp_err requests_push(client_session *s, client_actions *actions, uint64_t number, lp_error *error);
/** Offers what is left to offer after a new epoch (epoch.h). *some_out: there was something. */
lp_err requests_offer(client_session *s, client_actions *actions, bool *some_out, lp_error *error);
/** Asks to become another device. */
lp_err requests_rejoin(client_session *s, client_actions *actions, lp_error *error);
/** Asks about the ranges of s->heal. */
lp_err requests_heal(client_session *s, client_actions *actions, lp_error *error);
/** Asks for pages, or to be told of them. */
lp_err requests_pull(client_session *s, client_actions *actions, request_kind kind, span cursors, size_t page_bytes,
                     lp_error *error);

#endif
