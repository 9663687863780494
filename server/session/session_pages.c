/* session_pages.c - sync and wait: pages, now or as soon as there is news. See session_parts.h. */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "proto/page.h"
#include "proto/wire.h"
#include "server/pool/auth.h"
#include "server/session/compare.h"
#include "server/pool/epochs.h"
#include "server/session/feed.h"
#include "server/pool/seen.h"
#include "server/session/session_parts.h"

#define WAIT_MS_MAX 60000

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
    if (!j)
        return;
    j->device = session_device(s);
    j->read_seq = seen_read_seq(span_of(s->epoch, EPOCH_BYTES), cursors);
    session_add_action(actions, SESSION_COMMIT)->job = j;
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
        session_answer_error(s, actions, id, err, &error, 0);
        return;
    }
    job *j = session_submit(s, actions, JOB_EPOCH, id, request);
    if (j)
        memcpy(j->epoch, e.epoch, EPOCH_BYTES);
}

bool session_answer_pages(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *parts,
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
            err = session_tell_scopes(s, &may, &scopes, &moved, &error);
        reader->ops->snapshot_end(reader);
    }
    if (err == LP_CLOSED) {
        session_close(s, actions);
    } else if (err == LP_EXPIRED && request.size) {
        ask_for_epoch(s, reader, actions, id, request);
    } else if (err && err != LP_EXPIRED) {
        session_answer_error(s, actions, id, err, &error, 0);
    } else if (err || news || moved || !empty_out) {
        message m = *parts;
        m.number = MSG_SYNCED;
        if (moved)
            m.scopes = buf_span(&scopes);
        m.pages = err ? (span){0} : buf_span(&pages);
        m.now_ms = pool_told_ms(s->pool);
        session_answer(s, actions, id, &m);
    } else {
        *empty_out = pages;
        buf_fini(&scopes);
        return false;
    }
    buf_fini(&pages);
    buf_fini(&scopes);
    return true;
}

void session_on_sync(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m,
                     span bytes) {
    if (m->batch && s->behind) {
        session_fence(s, actions, id);
        return;
    }
    if (m->batch) {
        session_submit(s, actions, JOB_PUSH, id, bytes);
        return;
    }
    message parts = {0};
    session_answer_pages(s, reader, actions, id, &parts, m->cursors, m->page_bytes, NULL, bytes);
    note_seen(s, actions, m->cursors);
}

void session_on_epoch(session *s, store_reader *reader, session_actions *actions, const job *j) {
    message request = session_reread(&j->request), parts = {0};
    if (j->drawn)
        err_set(&actions->trouble, LP_CORRUPT,
                "the pool was set back: this device has read what is not here. A new epoch was drawn, and devices "
                "offer again "
                "what they have; use leadpoold restore to put a backup in place");
    session_answer_pages(s, reader, actions, j->request_id, &parts, request.cursors, request.page_bytes, NULL,
                         (span){0});
}

/* ---- wait ---- */

void session_on_digests(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m) {
    lp_error error = {.code = LP_OK};
    access may;
    compared c = {.moved = false};
    uint8_t sum[DIGEST_BYTES];
    lp_err err = reader->ops->snapshot(reader, &error);
    if (!err)
        err = look_up_device(s, reader, &error);
    if (!err)
        err = access_read(reader, s->device, &may, &error);
    if (!err)
        err = compare(reader, s->pool, &may, m, &c, &error);
    reader->ops->snapshot_end(reader);
    digest_pack(c.sum, sum);
    message answer = {.number = MSG_DIGESTED, .moved = c.moved};
    if (!c.moved) {
        answer.digests = buf_span(&c.digests);
        answer.changes = buf_span(&c.changes);
        answer.taken = c.taken;
        answer.digest = span_of(sum, sizeof sum);
    }
    if (err == LP_CLOSED)
        session_close(s, actions);
    else if (err)
        session_answer_error(s, actions, id, err, &error, 0);
    else
        session_answer(s, actions, id, &answer);
    if (!err && c.taken) {
        atomic_fetch_add(&s->pool->healed, c.records);
        err_set(&actions->trouble, LP_CORRUPT,
                "device %u held something else than the pool: %u records were sent again", s->device->number,
                c.records);
    }
    compared_fini(&c);
}

static void free_wait(parked_wait *w) {
    free(w->cursors);
    *w = (parked_wait){0};
}

void session_end_waits(session *s, session_actions *actions) {
    for (uint32_t i = 0; i < SESSION_WAITS_MAX; i++) {
        message over = {.number = MSG_SYNCED, .now_ms = pool_told_ms(s->pool)};
        if (s->waits[i].id)
            session_answer(s, actions, s->waits[i].id, &over);
        free_wait(&s->waits[i]);
    }
}

void session_drop_waits(session *s) {
    for (uint32_t i = 0; i < SESSION_WAITS_MAX; i++)
        free_wait(&s->waits[i]);
}

/* Keeps the cursors that empty pages lead to, so that what the device itself wrote is not looked at again at every commit. */
static bool keep_cursors(parked_wait *w, span pages) {
    buf cursors = {0};
    wire_reader r = wire_open(pages);
    uint32_t count = wire_array(&r);
    page p;
    wire_put_array(&cursors, count);
    for (uint32_t i = 0; i < count; i++) {
        bool taken = page_take(&r, &p);
        assert(taken); /* feed.c wrote it */
        (void)taken;
        cursor_put(&cursors, &p.cursor);
    }
    if (cursors.failed || cursors.size > CURSORS_BYTES_MAX) {
        buf_fini(&cursors);
        return false;
    }
    free(w->cursors);
    w->cursors = cursors.data;
    w->cursors_size = (uint16_t)cursors.size;
    return true;
}

void session_on_wait(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m,
                     span bytes) {
    message parts = {0};
    buf empty = {0};
    bool parks = m->timeout_ms > 0 && m->cursors.size > 0;
    note_seen(s, actions, m->cursors);
    if (session_answer_pages(s, reader, actions, id, &parts, m->cursors, m->page_bytes, parks ? &empty : NULL, bytes))
        return;
    parked_wait *w = s->waits;
    while (w < s->waits + SESSION_WAITS_MAX && w->id)
        w++;
    if (w == s->waits + SESSION_WAITS_MAX || !keep_cursors(w, buf_span(&empty))) {
        message busy = {.number = MSG_BUSY, .retry_ms = 1000, .reason = SPAN_LITERAL("too much to wait for at once")};
        session_answer(s, actions, id, &busy);
    } else {
        int64_t timeout_ms = m->timeout_ms < WAIT_MS_MAX ? (int64_t)m->timeout_ms : WAIT_MS_MAX;
        w->id = id;
        w->page_bytes = m->page_bytes < UINT32_MAX ? (uint32_t)m->page_bytes : UINT32_MAX;
        w->deadline_ms = s->pool->env->boot_ms(s->pool->env->ctx) + timeout_ms;
    }
    buf_fini(&empty);
}

void session_look_at_waits(session *s, store_reader *reader, session_actions *actions) {
    int64_t now_ms = s->pool->env->boot_ms(s->pool->env->ctx);
    message parts = {0};
    for (uint32_t i = 0; i < SESSION_WAITS_MAX; i++) {
        parked_wait *w = &s->waits[i];
        if (!w->id)
            continue;
        buf empty = {0};
        span cursors = span_of(w->cursors, w->cursors_size);
        bool due = now_ms >= w->deadline_ms;
        if (session_answer_pages(s, reader, actions, w->id, &parts, cursors, w->page_bytes, due ? NULL : &empty,
                                 (span){0}))
            free_wait(w);
        else
            keep_cursors(w, buf_span(&empty));
        buf_fini(&empty);
    }
}
