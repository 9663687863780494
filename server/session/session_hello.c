/* session_hello.c - who is calling: join, rejoin, hello, and the fence that a wrong clock leads to. See session_parts.h. */
#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "server/pool/auth.h"
#include "server/office/backups.h"
#include "server/pool/epochs.h"
#include "server/pool/rejoin.h"
#include "server/session/session_parts.h"

#define CHALLENGE_BYTES 32
#define JOINS_MAX 3 /* guesses of an invitation per connection */

void session_fence(session *s, session_actions *actions, uint32_t id) {
    s->state = SESSION_CLOCK;
    session_end_waits(s, actions);
    session_submit(s, actions, JOB_FENCE, id, (span){0});
}

static bool version_fits(const message *m) {
    uint64_t least = m->version_min ? m->version_min : m->version;
    return m->version >= PROTOCOL_VERSION_MIN && least <= PROTOCOL_VERSION;
}

void session_on_join(session *s, session_actions *actions, uint32_t id, const message *m, span bytes) {
    if (!version_fits(m)) {
        session_answer_refused(s, actions, id, LP_VERSION,
                               "this server does not speak the device's version; update the app");
        return;
    }
    if (++s->joins > JOINS_MAX) {
        session_answer_refused(s, actions, id, LP_REFUSED, "too many attempts to join; check the invitation");
        session_close(s, actions);
        return;
    }
    session_submit(s, actions, JOB_JOIN, id, bytes);
}

/* The signature is looked at here, where the channel's binding is known; the rest is the committer's. */
void session_on_rejoin(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m,
                       span bytes) {
    lp_error error = {.code = LP_OK};
    if (++s->joins > JOINS_MAX) {
        session_answer_refused(s, actions, id, LP_REFUSED, "too many attempts to join; try again later");
        session_close(s, actions);
        return;
    }
    lp_err err = reader->ops->snapshot(reader, &error);
    if (!err)
        err = rejoin_prove(s->pool, reader, m, span_of(s->binding, s->binding_size), &error);
    reader->ops->snapshot_end(reader);
    if (err)
        session_answer_error(s, actions, id, err, &error, 0);
    else
        session_submit(s, actions, JOB_REJOIN, id, bytes);
}

/* Fresh random bytes of the server's, signed once, prove as much as the channel's binding does: nobody can have had them signed
 * before, or use the signature on another connection. */
void session_on_challenge(session *s, session_actions *actions, uint32_t id) {
    s->pool->env->random(s->pool->env->ctx, s->binding, CHALLENGE_BYTES);
    s->binding_size = CHALLENGE_BYTES;
    message m = {.number = MSG_CHALLENGED, .nonce = span_of(s->binding, s->binding_size)};
    session_answer(s, actions, id, &m);
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
    buf scopes = {0};
    buf forks = {0};
    bool moved;
    if (!err)
        err = session_tell_scopes(s, &g.access, &scopes, &moved, &error);
    if (!err) {
        epochs_put_forks(&g.epochs, &forks);
        err = forks.failed ? err_plain(&error, LP_NOMEM) : LP_OK;
    }
    if (err) {
        session_answer_error(s, actions, id, err, &error, 0);
        goto out;
    }
    memcpy(s->epoch, g.epochs.epoch, EPOCH_BYTES);
    s->behind &= memcmp(s->known, s->epoch, EPOCH_BYTES) != 0;
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
    session_answer(s, actions, id, &m_welcome);
out:
    buf_fini(&scopes);
    buf_fini(&forks);
}

void session_on_hello(session *s, store_reader *reader, session_actions *actions, uint32_t id, const message *m) {
    lp_error error = {.code = LP_OK};
    if (!version_fits(m)) {
        session_answer_refused(s, actions, id, LP_VERSION,
                               "this server does not speak the device's version; update the app");
        return;
    }
    device *d = calloc(1, sizeof *d);
    lp_err err = d ? reader->ops->snapshot(reader, &error) : err_plain(&error, LP_NOMEM);
    if (!err)
        err = identify(s, reader, m, d, &error);
    reader->ops->snapshot_end(reader);
    if (err) {
        free(d);
        session_answer_error(s, actions, id, err, &error, 0);
        return;
    }
    bool latest =
        s->device && s->device->number == d->number && !greetings_passed(s->pool->greetings, d->number, s->greeting);
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
    s->behind = m->epoch.size == EPOCH_BYTES;
    if (s->behind)
        memcpy(s->known, m->epoch.data, EPOCH_BYTES);
    bool fits = clock_fits(s, m->now_ms);
    s->anew = fits && m->anew;
    if (fits && !m->anew)
        welcome(s, reader, actions, id);
    else
        session_fence(s, actions, id);
}

void session_on_fenced(session *s, store_reader *reader, session_actions *actions, const job *j) {
    message clock = session_reread(&j->answer);
    if (s->anew) {
        s->anew = false;
        s->device->batch = clock.batch;
        s->device->fence = s->highest > s->device->fence ? s->highest : s->device->fence;
        welcome(s, reader, actions, j->request_id);
        return;
    }
    clock.now_ms = pool_now_ms(s->pool);
    s->clock_ms = s->pool->env->boot_ms(s->pool->env->ctx);
    session_answer(s, actions, j->request_id, &clock);
}
