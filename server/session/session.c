/* session.c - one connection's protocol state; see session.h for the diagram and the invariants. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "server/session/session_parts.h"

#define VERDICTS_WITH_PAGES_MAX (128 * 1024) /* above it the pages wait for a request of their own */

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
    session_drop_waits(s);
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

session_action *session_add_action(session_actions *actions, session_action_kind kind) {
    assert(actions->count < SESSION_ACTIONS_MAX); /* a step does less: every wait ends, a job, the connection ends */
    session_action *a = &actions->list[actions->count++];
    *a = (session_action){.kind = kind};
    return a;
}

void session_close(session *s, session_actions *actions) {
    s->state = SESSION_CLOSED;
    session_drop_waits(s);
    session_add_action(actions, SESSION_CLOSE);
}

void session_answer(session *s, session_actions *actions, uint32_t id, const message *m) {
    session_action *a = session_add_action(actions, SESSION_ANSWER);
    a->id = id;
    if (message_encode(m, &a->answer, NULL)) {
        buf_fini(&a->answer);
        actions->count--;
        session_close(s, actions);
    }
}

void session_answer_error(session *s, session_actions *actions, uint32_t id, lp_err err, const lp_error *error,
                          uint32_t retry_ms) {
    message m = {.code = (uint64_t)err, .reason = span_text(error->message)};
    err_set(&actions->trouble, err, "%s", error->message);
    switch ((int)err) {
    case LP_FULL:
    case LP_IO:
    case LP_NOMEM:
    case LP_CORRUPT:
        m.number = MSG_BUSY;
        /* The details are for the log: files of the server are no business of a device, nor is freeing them. */
        m.reason = span_text(
            err == LP_FULL ? "its disk is full; tell who runs it; what was logged here stays here and is sent later"
                           : "it is in trouble; tell who runs it; what was logged here stays here and is sent later");
        break;
    case LP_BUSY:
    case LP_CLOSED:
        m.number = MSG_BUSY;
        break;
    case LP_PROTOCOL:
    case LP_TOO_LARGE:
        m.number = MSG_ERROR;
        break;
    default:
        m.number = MSG_REFUSED;
        break;
    }
    if (m.number == MSG_BUSY)
        m.retry_ms = retry_ms ? retry_ms : 1000;
    session_answer(s, actions, id, &m);
    if (m.number == MSG_ERROR)
        session_close(s, actions);
}

void session_answer_refused(session *s, session_actions *actions, uint32_t id, lp_err err, const char *reason) {
    message m = {.number = MSG_REFUSED, .code = (uint64_t)err, .reason = span_text(reason)};
    err_set(&actions->trouble, err, "%s", reason);
    session_answer(s, actions, id, &m);
}

/* ---- jobs ---- */

message session_reread(const buf *encoded) {
    message m;
    lp_err err = message_decode_scanned(buf_span(encoded), &m, NULL);
    assert(!err); /* it was decoded before, or encoded here */
    (void)err;
    return m;
}

job *session_submit(session *s, session_actions *actions, job_kind kind, uint32_t id, span request) {
    if (s->jobs == SESSION_JOBS_MAX) {
        message m = {.number = MSG_BUSY, .retry_ms = 100, .reason = SPAN_LITERAL("too many requests at once")};
        session_answer(s, actions, id, &m);
        return NULL;
    }
    job *j = job_new(kind);
    if (j)
        buf_append_span(&j->request, request);
    if (!j || j->request.failed) {
        message m = {.number = MSG_BUSY, .retry_ms = 1000, .reason = SPAN_LITERAL("out of memory")};
        job_free(j);
        session_answer(s, actions, id, &m);
        return NULL;
    }
    j->device = session_device(s);
    j->request_id = id;
    j->batch = s->highest;
    j->greeting = s->greeting;
    session_add_action(actions, SESSION_COMMIT)->job = j;
    s->jobs++;
    return j;
}

lp_err session_tell_scopes(session *s, const access *may, buf *scopes_out, bool *moved_out, lp_error *error) {
    uint8_t hash[CRYPTO_HASH_BYTES];
    access_scopes(may, scopes_out);
    if (scopes_out->failed)
        return err_plain(error, LP_NOMEM);
    crypto_sha256(buf_span(scopes_out), hash);
    *moved_out = memcmp(hash, s->told, sizeof s->told) != 0;
    memcpy(s->told, hash, sizeof s->told);
    return LP_OK;
}

static void on_committed(session *s, store_reader *reader, session_actions *actions, job *j) {
    s->jobs--;
    if (s->state == SESSION_CLOSED || j->kind == JOB_SEEN)
        goto out;
    if (j->result == LP_CLOCK) {
        session_fence(s, actions, j->request_id);
        goto out;
    }
    if (j->result) {
        session_answer_error(s, actions, j->request_id, j->result, &j->error, j->retry_ms);
        goto out;
    }
    if (j->kind == JOB_FENCE) {
        session_on_fenced(s, reader, actions, j);
        goto out;
    }
    if (j->kind == JOB_EPOCH) {
        session_on_epoch(s, reader, actions, j);
        goto out;
    }
    message request = session_reread(&j->request), parts = session_reread(&j->answer);
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
        session_answer_pages(s, reader, actions, j->request_id, &parts,
                             pages_fit && !j->revoked ? request.cursors : (span){0}, request.page_bytes, NULL,
                             (span){0});
    else
        session_answer(s, actions, j->request_id, &parts);
out:
    job_free(j);
}

/* ---- events ---- */

static void on_message(session *s, store_reader *reader, session_actions *actions, uint32_t id, span bytes) {
    message m;
    lp_error error;
    lp_err err = message_decode(bytes, &m, &error);
    if (err) {
        session_answer_error(s, actions, id, LP_PROTOCOL, &error, 0);
        return;
    }
    switch (m.number) {
    case MSG_JOIN:
        session_on_join(s, actions, id, &m, bytes);
        return;
    case MSG_REJOIN:
        session_on_rejoin(s, reader, actions, id, &m, bytes);
        return;
    case MSG_HELLO:
        session_on_hello(s, reader, actions, id, &m);
        return;
    case MSG_CHALLENGE:
        session_on_challenge(s, actions, id);
        return;
    case MSG_SYNC:
    case MSG_WAIT:
    case MSG_REOFFER:
    case MSG_DIGESTS:
        break;
    default:
        err_set(&error, LP_PROTOCOL, "the server has no answer to a %s message (number %u)", message_name(m.number),
                m.number);
        session_answer_error(s, actions, id, LP_PROTOCOL, &error, 0);
        return;
    }
    if (m.number == MSG_SYNC && m.batch > s->highest)
        s->highest = m.batch;
    if (s->state == SESSION_CLOCK) {
        session_fence(s, actions, id);
    } else if (s->state != SESSION_READY) {
        session_answer_refused(s, actions, id, LP_REFUSED, "say hello first");
    } else if (m.number == MSG_SYNC) {
        session_on_sync(s, reader, actions, id, &m, bytes);
    } else if (m.number == MSG_REOFFER) {
        session_submit(s, actions, JOB_REOFFER, id, bytes);
    } else if (m.number == MSG_DIGESTS) {
        session_on_digests(s, reader, actions, id, &m);
    } else {
        session_on_wait(s, reader, actions, id, &m, bytes);
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
        session_look_at_waits(s, reader, actions_out);
        return;
    }
}
