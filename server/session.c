/* session.c - one connection's protocol state; see session.h for the diagram and the invariants. */
#include "server/session.h"

#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "proto/message.h"
#include "proto/page.h"
#include "proto/wire.h"
#include "server/access.h"
#include "server/auth.h"
#include "server/backups.h"
#include "server/epochs.h"
#include "server/feed.h"
#include "server/seen.h"
#include "server/rejoin.h"
#include "proto/crypto.h"

#define CURSORS_BYTES_MAX 512 /* of a parked wait: invariant (3) */
#define WAIT_MS_MAX 60000
#define VERDICTS_WITH_PAGES_MAX (128 * 1024) /* above it the pages wait for a request of their own */
#define CHALLENGE_BYTES 32
#define JOINS_MAX 3 /* guesses of an invitation per connection */

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
    uint32_t jobs;
    uint32_t joins;
    uint64_t greeting;     /* greetings.h; 0 before the first hello */
    uint64_t highest;      /* batch number the device is known to have used */
    uint64_t version;      /* of the last hello */
    uint8_t told[16];      /* of the hash of the scopes it was told */
    bool anew;             /* the fence under way is answered with WELCOME */
    int64_t clock_ms;      /* boot time of the last CLOCK answer; 0: none */
    int64_t round_trip_ms; /* from that answer to the hello that followed */
    bool seen;             /* on this connection it was noted that the device was here, */
    int64_t seen_ms;       /* last at this boot time */
    parked_wait waits[SESSION_WAITS_MAX];
};

lp_err session_new(pool *p, span binding, session **session_out, lp_error *error) {
    session *s = calloc(1, sizeof *s);
    if (!s)
        return err_plain(error, LP_NOMEM);
    s->pool = p;
    s->binding_size = binding.size < sizeof s->binding ? binding.size : sizeof s->binding;
    if (s->binding_size)
        memcpy(s->binding, binding.data, s->binding_size);
    *session_out = s;
    return LP_OK;
}

void session_free(session *s) {
    if (!s)
        return;
    for (uint32_t i = 0; i < SESSION_WAITS_MAX; i++)
        free(s->waits[i].cursors);
    free(s->device);
    free(s);
}

bool session_known(const session *s) {
    return s->device != NULL;
}

uint32_t session_device(const session *s) {
    return s->device ? s->device->number : 0;
}

bool session_parked(const session *s) {
    for (uint32_t i = 0; i < SESSION_WAITS_MAX; i++)
        if (s->waits[i].id)
            return true;
    return false;
}

int64_t session_deadline_ms(const session *s) {
    int64_t first = 0;
    for (uint32_t i = 0; i < SESSION_WAITS_MAX; i++)
        if (s->waits[i].id && (first == 0 || s->waits[i].deadline_ms < first))
            first = s->waits[i].deadline_ms;
    return first;
}

/* ---- answers ---- */

static session_action *add_action(session_actions *actions, session_action_kind kind) {
    if (actions->count == SESSION_ACTIONS_MAX)
        return NULL;
    session_action *a = &actions->list[actions->count++];
    *a = (session_action){.kind = kind};
    return a;
}

static void close_session(session *s, session_actions *actions) {
    s->state = SESSION_CLOSED;
    add_action(actions, SESSION_CLOSE);
}

static void answer(session *s, session_actions *actions, uint32_t id, const message *m) {
    session_action *a = add_action(actions, SESSION_ANSWER);
    if (!a)
        return;
    a->id = id;
    if (message_encode(m, &a->answer, NULL)) {
        buf_fini(&a->answer);
        actions->count--;
        close_session(s, actions);
    }
}

/* Turns an error into the answer that tells the device what to do: never again, later, or you are not speaking sense. */
static void answer_error(session *s, session_actions *actions, uint32_t id, lp_err err, const lp_error *error,
                         uint32_t retry_ms) {
    message m = {.code = (uint64_t)err, .reason = span_text(error->message)};
    err_set(&actions->trouble, err, "%s", error->message);
    switch ((int)err) {
    case LP_FULL:
    case LP_IO:
    case LP_NOMEM:
    case LP_CORRUPT:
        /* The details are for the log: files of the server are no business of a device, nor is freeing them. */
        m.reason = span_text(
            err == LP_FULL ? "its disk is full; tell who runs it; what was logged here stays here and is sent later"
                           : "it is in trouble; tell who runs it; what was logged here stays here and is sent later");
        m.number = MSG_BUSY;
        m.retry_ms = retry_ms ? retry_ms : 1000;
        break;
    case LP_BUSY:
    case LP_CLOSED:
        m.number = MSG_BUSY;
        m.retry_ms = retry_ms ? retry_ms : 1000;
        break;
    case LP_PROTOCOL:
    case LP_TOO_LARGE:
        m.number = MSG_ERROR;
        break;
    default:
        m.number = MSG_REFUSED;
        break;
    }
    answer(s, actions, id, &m);
    if (m.number == MSG_ERROR)
        close_session(s, actions);
}

static void answer_refused(session *s, session_actions *actions, uint32_t id, lp_err err, const char *reason) {
    message m = {.number = MSG_REFUSED, .code = (uint64_t)err, .reason = span_text(reason)};
    err_set(&actions->trouble, err, "%s", reason);
    answer(s, actions, id, &m);
}

/* ---- jobs ---- */

static job *submit(session *s, session_actions *actions, job_kind kind, uint32_t id, span request) {
    if (s->jobs == SESSION_JOBS_MAX) {
        message m = {.number = MSG_BUSY, .retry_ms = 100, .reason = SPAN_LITERAL("too many requests at once")};
        answer(s, actions, id, &m);
        return NULL;
    }
    job *j = job_new(kind);
    if (j)
        buf_append_span(&j->request, request);
    session_action *a = j && !j->request.failed ? add_action(actions, SESSION_COMMIT) : NULL;
    if (!a) {
        message m = {.number = MSG_BUSY, .retry_ms = 1000, .reason = SPAN_LITERAL("out of memory")};
        job_free(j);
        answer(s, actions, id, &m);
        return NULL;
    }
    j->device = session_device(s);
    j->request_id = id;
    j->batch = s->highest;
    j->greeting = s->greeting;
    a->job = j;
    s->jobs++;
    return j;
}

/* The device's time is off, or it begins anew: nothing more is applied until it greets again. It will give what is not applied by now new stamps
 * and new batch numbers, so what it sent before, on this connection or an older one, must not be applied after the answer:
 * the fence goes through the committer, behind all that is there already. */
static void enter_clock(session *s, session_actions *actions, uint32_t id) {
    s->state = SESSION_CLOCK;
    submit(s, actions, JOB_FENCE, id, (span){0});
}

/* ---- hello and join ---- */

static bool version_fits(const message *m) {
    uint64_t least = m->version_min ? m->version_min : m->version;
    return m->version >= PROTOCOL_VERSION_MIN && least <= PROTOCOL_VERSION;
}

static void on_join(session *s, session_actions *actions, uint32_t id, const message *m, span bytes) {
    if (!version_fits(m)) {
        answer_refused(s, actions, id, LP_VERSION, "this server does not speak the device's version; update the app");
        return;
    }
    if (++s->joins > JOINS_MAX) {
        answer_refused(s, actions, id, LP_REFUSED, "too many attempts to join; check the invitation");
        close_session(s, actions);
        return;
    }
    submit(s, actions, JOB_JOIN, id, bytes);
}

/* The signature is looked at here, where the channel's binding is known; the rest is the committer's. */
static void on_rejoin(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m,
                      span bytes) {
    lp_error error = {.code = LP_OK};
    if (++s->joins > JOINS_MAX) {
        answer_refused(s, actions, id, LP_REFUSED, "too many attempts to join; try again later");
        close_session(s, actions);
        return;
    }
    lp_err err = reader->ops->snapshot(reader, &error);
    if (!err)
        err = rejoin_prove(s->pool, reader, m, span_of(s->binding, s->binding_size), &error);
    reader->ops->snapshot_end(reader);
    if (err)
        answer_error(s, actions, id, err, &error, 0);
    else
        submit(s, actions, JOB_REJOIN, id, bytes);
}

/* Fresh random bytes of the server's, signed once, prove as much as the channel's binding does: nobody can have had them signed
 * before, or use the signature on another connection. */
static void on_challenge(session *s, session_actions *actions, uint32_t id) {
    s->pool->env->random(s->pool->env->ctx, s->binding, CHALLENGE_BYTES);
    s->binding_size = CHALLENGE_BYTES;
    message m = {.number = MSG_CHALLENGED, .nonce = span_of(s->binding, s->binding_size)};
    answer(s, actions, id, &m);
}

static lp_err identify(session *s, store_reader *reader, const message *m, device *d, lp_error *error) {
    lp_err err =
        m->device == 0 || m->device > UINT32_MAX ? LP_NOT_FOUND : auth_device(reader, (uint32_t)m->device, d, error);
    if (err == LP_NOT_FOUND)
        return err_set(error, LP_FORGOTTEN, "this pool does not know the device; join again with a new invitation");
    if (err)
        return err;
    err = auth_hello(d, m, span_of(s->binding, s->binding_size), error);
    if (err)
        return err;
    if (!span_equal(m->install, span_of(d->install, sizeof d->install)))
        return err_set(error, LP_CLONED,
                       "this replica is a copy of another device's; join again with a new invitation");
    if (m->batch < d->batch)
        return err_set(error, LP_CLONED,
                       "this replica is older than what the server has of it; join again with a new invitation");
    return LP_OK;
}

static bool clock_fits(const session *s, int64_t device_ms) {
    if (timekeeper_troubled(&s->pool->time, NULL))
        return true; /* whose clock is off nobody knows */
    int64_t now_ms = pool_now_ms(s->pool);
    int64_t off_ms = device_ms > now_ms ? device_ms - now_ms : now_ms - device_ms;
    return off_ms <= CLOCK_TOLERANCE_MS + s->round_trip_ms;
}

/* True if the scopes are others than the device was told last; then it is told. */
static bool tell_scopes(session *s, const access *may, buf *scopes_out) {
    uint8_t hash[CRYPTO_HASH_BYTES];
    access_scopes(may, scopes_out);
    crypto_sha256(buf_span(scopes_out), hash);
    bool moved = memcmp(hash, s->told, sizeof s->told) != 0;
    memcpy(s->told, hash, sizeof s->told);
    return moved;
}

/* What the welcome says of the pool, from one snapshot. */
typedef struct greeting {
    epochs epochs;
    uint64_t kept_seq;
    access access;
} greeting;

static lp_err read_greeting(pool *p, store_reader *reader, const device *d, greeting *g, lp_error *error) {
    lp_err err = reader->ops->snapshot(reader, error);
    if (!err)
        err = epochs_read(reader, &g->epochs, error);
    if (!err)
        err = backups_kept_seq(p, reader, &g->kept_seq, error);
    if (!err)
        err = access_read(reader, d, &g->access, error);
    reader->ops->snapshot_end(reader);
    return err;
}

static void welcome(session *s, store_reader *reader, session_actions *actions, uint32_t id) {
    greeting g;
    lp_error error = {.code = LP_OK};
    lp_err err = read_greeting(s->pool, reader, s->device, &g, &error);
    if (err) {
        answer_error(s, actions, id, err, &error, 0);
        return;
    }
    memcpy(s->epoch, g.epochs.epoch, EPOCH_BYTES);
    buf scopes = {0};
    buf forks = {0};
    tell_scopes(s, &g.access, &scopes);
    epochs_put_forks(&g.epochs, &forks);
    message m_welcome = {.number = MSG_WELCOME,
                         .version = s->version < PROTOCOL_VERSION ? s->version : PROTOCOL_VERSION,
                         .now_ms = pool_told_ms(s->pool),
                         .epoch = span_of(g.epochs.epoch, EPOCH_BYTES),
                         .forks = buf_span(&forks),
                         .kept_seq = g.kept_seq,
                         .batch = s->device->batch,
                         .fence = s->device->fence,
                         .scopes = buf_span(&scopes)};
    s->state = SESSION_READY;
    answer(s, actions, id, &m_welcome);
    buf_fini(&scopes);
    buf_fini(&forks);
}

static void on_hello(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m) {
    lp_error error = {.code = LP_OK};
    if (!version_fits(m)) {
        answer_refused(s, actions, id, LP_VERSION, "this server does not speak the device's version; update the app");
        return;
    }
    device *d = calloc(1, sizeof *d);
    lp_err err = d ? reader->ops->snapshot(reader, &error) : err_plain(&error, LP_NOMEM);
    if (!err)
        err = identify(s, reader, m, d, &error);
    reader->ops->snapshot_end(reader);
    if (err) {
        free(d);
        answer_error(s, actions, id, err, &error, 0);
        return;
    }
    bool latest = s->device && s->device->number == d->number && s->greeting &&
                  !greetings_passed(s->pool->greetings, d->number, s->greeting);
    if (!latest)
        s->greeting = greetings_next(s->pool->greetings, d->number);
    free(s->device);
    s->device = d;
    s->highest = m->batch > s->highest ? m->batch : s->highest;
    s->device->returned = s->device->batch > 0;
    /* Greeting again after CLOCK: on a slow line the right time is late by the way here, which this session has seen. */
    if (s->clock_ms)
        s->round_trip_ms = s->pool->env->boot_ms(s->pool->env->ctx) - s->clock_ms;
    s->version = m->version;
    bool fits = clock_fits(s, m->now_ms);
    s->anew = fits && m->anew;
    if (fits && !m->anew)
        welcome(s, reader, actions, id);
    else
        enter_clock(s, actions, id);
}

/* ---- sync ---- */

/* The device may have been revoked since its hello, or a copy of it become another. If something was pushed under its number that this connection
 * does not know of, a copy of it is in use, or another program on the same replica: what was pushed there is not echoed, so nothing may be
 * read here. A new hello tells which of the two it is. */
static lp_err look_up_device(const session *s, store_reader *reader, lp_error *error) {
    device now;
    lp_err err = auth_device(reader, s->device->number, &now, error);
    if (!err)
        s->device->shared = now.shared;
    if (!err && now.batch > s->highest)
        return err_set(error, LP_CLOSED, "the device has sent something on another connection");
    return err ? err : auth_revoked(&now, error);
}

/* A pull tells how far the device has read. Not worth a commit of its own each time. */
static void note_seen(session *s, session_actions *actions, span cursors) {
    int64_t now_ms = s->pool->env->boot_ms(s->pool->env->ctx);
    if ((s->seen && now_ms - s->seen_ms < SEEN_EVERY_MS) || !cursors.size || s->jobs >= SESSION_JOBS_MAX / 2)
        return;
    job *j = job_new(JOB_SEEN);
    session_action *a = j ? add_action(actions, SESSION_COMMIT) : NULL;
    if (!a) {
        job_free(j);
        return;
    }
    j->device = session_device(s);
    j->read_seq = seen_read_seq(span_of(s->epoch, EPOCH_BYTES), cursors);
    a->job = j;
    s->jobs++;
    s->seen = true;
    s->seen_ms = now_ms;
}

/* A cursor names this epoch and is of a history that is not this pool's: it was set back, and another epoch is due. What was asked for
 * is answered after it. */
static void ask_for_epoch(session *s, store_reader *reader, session_actions *actions, uint32_t id, span request) {
    lp_error error = {.code = LP_OK};
    epochs e;
    lp_err err = reader->ops->snapshot(reader, &error);
    if (!err)
        err = epochs_read(reader, &e, &error);
    reader->ops->snapshot_end(reader);
    if (err) {
        answer_error(s, actions, id, err, &error, 0);
        return;
    }
    job *j = submit(s, actions, JOB_EPOCH, id, request);
    if (j)
        memcpy(j->epoch, e.epoch, EPOCH_BYTES);
}

/* Sends SYNCED with `parts` of the push and the pages asked for. With `empty_out`, pages without news are not sent but
 * handed out, and the result is false. `request` is what asks for pages and nothing else, so that it can wait for a new epoch;
 * empty: it is answered without pages then, and the device asks again. */
static bool answer_pages(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *parts,
                         span cursors, uint64_t page_bytes, buf *empty_out, span request) {
    lp_error error = {.code = LP_OK};
    buf pages = {0}, scopes = {0};
    access may;
    bool news = true, moved = false;
    lp_err err = LP_OK;
    if (cursors.size) {
        err = reader->ops->snapshot(reader, &error);
        if (!err)
            err = look_up_device(s, reader, &error);
        if (!err)
            err = access_read(reader, s->device, &may, &error);
        if (!err)
            err = feed_pages(reader, s->device, &may, cursors, page_bytes, &pages, &news, &error);
        if (!err)
            moved = tell_scopes(s, &may, &scopes);
        reader->ops->snapshot_end(reader);
    }
    if (err == LP_CLOSED) {
        close_session(s, actions);
    } else if (err == LP_EXPIRED && request.size) {
        ask_for_epoch(s, reader, actions, id, request);
    } else if (err && err != LP_EXPIRED) {
        answer_error(s, actions, id, err, &error, 0);
    } else if (err || news || moved || !empty_out) {
        message m = *parts;
        m.number = MSG_SYNCED;
        if (moved)
            m.scopes = buf_span(&scopes);
        m.pages = err ? (span){0} : buf_span(&pages);
        m.now_ms = pool_told_ms(s->pool);
        answer(s, actions, id, &m);
    } else {
        *empty_out = pages;
        buf_fini(&scopes);
        return false;
    }
    buf_fini(&pages);
    buf_fini(&scopes);
    return true;
}

static void on_sync(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m,
                    span bytes) {
    if (m->batch) {
        submit(s, actions, JOB_PUSH, id, bytes);
        return;
    }
    message parts = {0};
    answer_pages(s, reader, actions, id, &parts, m->cursors, m->page_bytes, NULL, bytes);
    note_seen(s, actions, m->cursors);
}

static void free_wait(parked_wait *w) {
    free(w->cursors);
    *w = (parked_wait){0};
}

/* Nothing parked survives a change of the clock: the waits end without news. */
static void end_waits(session *s, session_actions *actions) {
    for (uint32_t i = 0; i < SESSION_WAITS_MAX; i++) {
        message over = {.number = MSG_SYNCED, .now_ms = pool_told_ms(s->pool)};
        if (s->waits[i].id)
            answer(s, actions, s->waits[i].id, &over);
        free_wait(&s->waits[i]);
    }
}

static void on_fenced(session *s, store_reader *reader, session_actions *actions, const job *j) {
    message clock;
    if (message_decode_scanned(buf_span(&j->answer), &clock, NULL)) {
        close_session(s, actions);
        return;
    }
    if (s->anew) {
        s->anew = false;
        s->device->batch = clock.batch;
        s->device->fence = s->highest > s->device->fence ? s->highest : s->device->fence;
        welcome(s, reader, actions, j->request_id);
        return;
    }
    clock.now_ms = pool_now_ms(s->pool);
    s->clock_ms = s->pool->env->boot_ms(s->pool->env->ctx);
    answer(s, actions, j->request_id, &clock);
}

/* What was asked for before the epoch was drawn; from other cursors than these it would have been answered at once. */
static void on_epoch(session *s, store_reader *reader, session_actions *actions, const job *j) {
    message request, parts = {0};
    if (j->drawn)
        err_set(&actions->trouble, LP_CORRUPT,
                "the pool was set back: this device has read what is not here. A new epoch was drawn, and devices "
                "offer again "
                "what they have; use leadpoold restore to put a backup in place");
    if (message_decode_scanned(buf_span(&j->request), &request, NULL))
        close_session(s, actions);
    else
        answer_pages(s, reader, actions, j->request_id, &parts, request.cursors, request.page_bytes, NULL, (span){0});
}

static void on_committed(session *s, store_reader *reader, session_actions *actions, job *j) {
    s->jobs--;
    message request, parts;
    if (s->state == SESSION_CLOSED || j->kind == JOB_SEEN)
        goto out;
    if (j->result == LP_CLOCK) {
        enter_clock(s, actions, j->request_id);
        end_waits(s, actions);
        goto out;
    }
    if (j->result) {
        answer_error(s, actions, j->request_id, j->result, &j->error, j->retry_ms);
        goto out;
    }
    if (j->kind == JOB_FENCE) {
        on_fenced(s, reader, actions, j);
        goto out;
    }
    if (j->kind == JOB_EPOCH) {
        on_epoch(s, reader, actions, j);
        goto out;
    }
    if (message_decode_scanned(buf_span(&j->request), &request, NULL) ||
        message_decode_scanned(buf_span(&j->answer), &parts, NULL)) {
        close_session(s, actions);
        goto out;
    }
    if (j->cloned)
        err_set(&actions->trouble, LP_CLONED,
                "%llu of its changes carry stamps that came with other values before: a copy of it is in use",
                (unsigned long long)j->cloned);
    if (j->kind == JOB_REJOIN)
        err_set(&actions->trouble, LP_CLONED, "device %llu of %.*s goes on as device %llu",
                (unsigned long long)request.device, (int)parts.staff_name.size, (const char *)parts.staff_name.data,
                (unsigned long long)parts.device);
    if (j->kind == JOB_PUSH && request.batch > s->device->batch)
        s->device->batch = request.batch;
    if (j->kind == JOB_PUSH || j->kind == JOB_REOFFER)
        parts.seq = j->seq;
    bool pages_fit = parts.verdicts.size <= VERDICTS_WITH_PAGES_MAX;
    if (j->kind == JOB_PUSH)
        answer_pages(s, reader, actions, j->request_id, &parts, pages_fit && !j->revoked ? request.cursors : (span){0},
                     request.page_bytes, NULL, (span){0});
    else
        answer(s, actions, j->request_id, &parts);
out:
    job_free(j);
}

/* ---- wait ---- */

/* Keeps the cursors that empty pages lead to, so that what the device itself wrote is not looked at again at every commit. */
static bool keep_cursors(parked_wait *w, span pages) {
    buf cursors = {0};
    wire_reader r = wire_open(pages);
    uint32_t count = wire_array(&r);
    page p;
    wire_put_array(&cursors, count);
    for (uint32_t i = 0; i < count && page_take(&r, &p); i++)
        cursor_put(&cursors, &p.cursor);
    if (cursors.failed || r.failed || cursors.size > CURSORS_BYTES_MAX) {
        buf_fini(&cursors);
        return false;
    }
    free(w->cursors);
    w->cursors = cursors.data;
    w->cursors_size = (uint16_t)cursors.size;
    return true;
}

static void on_wait(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m,
                    span bytes) {
    message parts = {0};
    buf empty = {0};
    bool parks = m->timeout_ms > 0 && m->cursors.size > 0;
    note_seen(s, actions, m->cursors);
    if (answer_pages(s, reader, actions, id, &parts, m->cursors, m->page_bytes, parks ? &empty : NULL, bytes))
        return;
    parked_wait *w = s->waits;
    while (w < s->waits + SESSION_WAITS_MAX && w->id)
        w++;
    if (w == s->waits + SESSION_WAITS_MAX || !keep_cursors(w, buf_span(&empty))) {
        message busy = {.number = MSG_BUSY, .retry_ms = 1000, .reason = SPAN_LITERAL("too many waits at once")};
        answer(s, actions, id, &busy);
    } else {
        int64_t timeout_ms = m->timeout_ms < WAIT_MS_MAX ? (int64_t)m->timeout_ms : WAIT_MS_MAX;
        w->id = id;
        w->page_bytes = m->page_bytes < UINT32_MAX ? (uint32_t)m->page_bytes : UINT32_MAX;
        w->deadline_ms = s->pool->env->boot_ms(s->pool->env->ctx) + timeout_ms;
    }
    buf_fini(&empty);
}

/* Answers the parked waits that have news or whose time is up. */
static void look_at_waits(session *s, store_reader *reader, session_actions *actions) {
    int64_t now_ms = s->pool->env->boot_ms(s->pool->env->ctx);
    message parts = {0};
    for (uint32_t i = 0; i < SESSION_WAITS_MAX; i++) {
        parked_wait *w = &s->waits[i];
        if (!w->id)
            continue;
        buf empty = {0};
        span cursors = span_of(w->cursors, w->cursors_size);
        bool due = now_ms >= w->deadline_ms;
        if (answer_pages(s, reader, actions, w->id, &parts, cursors, w->page_bytes, due ? NULL : &empty, (span){0}))
            free_wait(w);
        else
            keep_cursors(w, buf_span(&empty));
        buf_fini(&empty);
    }
}

/* ---- events ---- */

static void on_message(session *s, store_reader *reader, session_actions *actions, uint32_t id, span bytes) {
    message m;
    lp_error error;
    lp_err err = message_decode(bytes, &m, &error);
    if (err) {
        answer_error(s, actions, id, LP_PROTOCOL, &error, 0);
        return;
    }
    switch (m.number) {
    case MSG_JOIN:
        on_join(s, actions, id, &m, bytes);
        return;
    case MSG_REJOIN:
        on_rejoin(s, reader, actions, id, &m, bytes);
        return;
    case MSG_HELLO:
        on_hello(s, reader, actions, id, &m);
        return;
    case MSG_CHALLENGE:
        on_challenge(s, actions, id);
        return;
    case MSG_SYNC:
    case MSG_WAIT:
    case MSG_REOFFER:
        break;
    default:
        err_set(&error, LP_PROTOCOL, "the server has no answer to a %s message (number %u)", message_name(m.number),
                m.number);
        answer_error(s, actions, id, LP_PROTOCOL, &error, 0);
        return;
    }
    if (m.number == MSG_SYNC && m.batch > s->highest)
        s->highest = m.batch;
    if (s->state == SESSION_CLOCK) {
        enter_clock(s, actions, id);
    } else if (s->state != SESSION_READY) {
        answer_refused(s, actions, id, LP_REFUSED, "say hello first");
    } else if (m.number == MSG_SYNC) {
        on_sync(s, reader, actions, id, &m, bytes);
    } else if (m.number == MSG_REOFFER) {
        submit(s, actions, JOB_REOFFER, id, bytes);
    } else {
        on_wait(s, reader, actions, id, &m, bytes);
    }
}

void session_step(session *s, store_reader *reader, const session_event *event, session_actions *actions_out) {
    actions_out->count = 0;
    actions_out->trouble.code = LP_OK;
    switch (event->kind) {
    case SESSION_MESSAGE:
        if (s->state != SESSION_CLOSED)
            on_message(s, reader, actions_out, event->id, event->bytes);
        return;
    case SESSION_COMMITTED:
        on_committed(s, reader, actions_out, event->job);
        return;
    case SESSION_MOVED:
    case SESSION_TICK:
        if (s->state == SESSION_READY)
            look_at_waits(s, reader, actions_out);
        return;
    }
}
