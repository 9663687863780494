/* session_parts.h - what the files of the session share: session.c takes events and answers, session_hello.c knows who is calling, session_pages.c
 * reads for them. Nobody else includes this. */
#ifndef SERVER_SESSION_PARTS_H
#define SERVER_SESSION_PARTS_H

#include "proto/message.h"
#include "server/pool/access.h"
#include "server/session/session.h"

#define CURSORS_BYTES_MAX 960 /* of a parked wait: invariant (3) */

typedef enum session_state { SESSION_NEW, SESSION_CLOCK, SESSION_READY, SESSION_CLOSED } session_state;

typedef struct parked_wait {
    uint32_t id; /* 0: free; request ids have the high bit set */
    uint32_t page_bytes;
    int64_t deadline_ms;
    uint16_t cursors_size;
    uint8_t *cursors;
} parked_wait;

_Static_assert(sizeof(parked_wait) + CURSORS_BYTES_MAX <= 1024, "invariant (3): a parked wait costs at most 1 KiB");

struct session {
    pool *pool;
    session_state state;
    uint8_t binding[64];
    size_t binding_size;
    device *device;             /* NULL until known */
    uint8_t epoch[EPOCH_BYTES]; /* as of its welcome */
    uint8_t known[EPOCH_BYTES]; /* what its hello named */
    uint32_t jobs;
    uint32_t joins;
    uint64_t greeting; /* greetings.h; 0 before the first hello */
    uint64_t highest;  /* batch number the device is known to have used */
    uint64_t version;  /* of the last hello */
    uint8_t told[16];  /* of the hash of the scopes it was told */
    bool anew;         /* the fence under way is answered with WELCOME */
    bool behind;      /* its hello knew another epoch: what the device has to offer again comes before what it pushes */
    int64_t clock_ms; /* boot time of the last CLOCK answer; 0: none */
    int64_t round_trip_ms; /* from that answer to the hello that followed */
    bool seen;             /* on this connection it was noted that the device was here, */
    int64_t seen_ms;       /* last at this boot time */
    parked_wait waits[SESSION_WAITS_MAX];
};

/* ---- session.c ---- */

/** The next free action. */
session_action *session_add_action(session_actions *actions, session_action_kind kind);
void session_close(session *s, session_actions *actions);
void session_answer(session *s, session_actions *actions, uint32_t id, const message *m);
/** Turns an error into the answer that tells the device what to do: never again, later, or you are not speaking sense. */
void session_answer_error(session *s, session_actions *actions, uint32_t id, lp_err err, const lp_error *error,
                          uint32_t retry_ms);
void session_answer_refused(session *s, session_actions *actions, uint32_t id, lp_err err, const char *reason);
/** What a job was made of, or answers. */
message session_reread(const buf *encoded);
/** A job for the committer; NULL if that was answered with BUSY. */
job *session_submit(session *s, session_actions *actions, job_kind kind, uint32_t id, span request);
/** The scopes as they are told; *moved_out: they are others than the device was told last. Now it has been. Errors: LP_NOMEM. */
lp_err session_tell_scopes(session *s, const access *may, buf *scopes_out, bool *moved_out, lp_error *error);

/* ---- session_hello.c ---- */

void session_on_join(session *s, session_actions *actions, uint32_t id, const message *m, span bytes);
void session_on_rejoin(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m,
                       span bytes);
void session_on_challenge(session *s, session_actions *actions, uint32_t id);
void session_on_hello(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m);
/** The device's time is off, or it begins anew: nothing more is applied until it greets again. It will give what is not applied by now new stamps
 *  and new batch numbers, so what it sent before, on this connection or an older one, must not be applied after the answer:
 *  the fence goes through the committer, behind all that is there already. Nothing parked survives it. */
void session_fence(session *s, session_actions *actions, uint32_t id);
void session_on_fenced(session *s, store_reader *reader, session_actions *actions, const job *j);

/* ---- session_pages.c ---- */

/** Sends SYNCED with `parts` of the push and the pages asked for. With `empty_out`, pages without news are not sent but
 *  handed out, and the result is false. `request` is what asks for pages and nothing else, so that it can wait for a new epoch;
 *  empty: it is answered without pages then, and the device asks again. */
bool session_answer_pages(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *parts,
                          span cursors, uint64_t page_bytes, buf *empty_out, span request);
void session_on_sync(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m,
                     span bytes);
/** What was asked for before the epoch was drawn; from other cursors than these it would have been answered at once. */
void session_on_epoch(session *s, store_reader *reader, session_actions *actions, const job *j);
/** Sums by ranges of ids, or records, for a device that differs (compare.h). */
void session_on_digests(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m);
void session_on_wait(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m,
                     span bytes);
/** Answers the parked waits that have news or whose time is up. */
void session_look_at_waits(session *s, store_reader *reader, session_actions *actions);
/** Answers all of them, without news. */
void session_end_waits(session *s, session_actions *actions);
/** Frees them unanswered: the connection ends. */
void session_drop_waits(session *s);

#endif
