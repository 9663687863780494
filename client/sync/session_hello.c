/* session_hello.c - what a hello leads to: a welcome, another clock, another device. See session_parts.h. */
#include <string.h>

#include "client/replica/clock.h"
#include "client/replica/holdings.h"
#include "client/replica/outbox.h"
#include "client/sync/pull.h"
#include "client/sync/session_parts.h"
#include "proto/err.h"

#define CLOCKS_MAX 4 /* corrections in a row */

/* What the answer to a hello tells of the time. It is as old as the answer was on its way: half the round trip, give or take as much. */
static clock_sample take_sample(const client_session *s, int64_t server_ms) {
    int64_t half_ms = (session_boot_ms(s) - s->hello_ms) / 2;
    return (clock_sample){s->hello_ms + half_ms, server_ms, half_ms};
}

/* Nothing that was asked for counts, and no batch as sent: the server remembers those that arrived. */
static void start_over(client_session *s) {
    memset(s->requests, 0, sizeof s->requests);
    s->sent = 0;
    s->pulled = false;
}

/* Gives everything above batch `high` new stamps and new batch numbers, and greets again on the same connection: what was
 * sent there is not applied any more. */
static void start_anew(client_session *s, client_actions *actions, uint64_t high, const clock_sample *sample,
                       outbox_reason why) {
    lp_error error = {.code = LP_OK};
    replica *r = s->replica;
    lp_err err = replica_begin(r, &error);
    if (!err && sample)
        err = clock_contact(r, sample, &error);
    if (!err)
        err = outbox_restamp(r, high, why, &error);
    if (!err)
        err = replica_commit(r, &error);
    else
        replica_rollback(r);
    if (err) {
        session_fail(s, actions, err, &error);
        return;
    }
    start_over(s);
    err = requests_hello(s, actions, &error);
    if (err)
        session_fail(s, actions, err, &error);
}

/* The answer to a hello is a clean sample of the server's time, of which the one with the shortest round trip counts; on a slow line the
 * next hello says when it will arrive: else a line that takes more than the tolerance would look like a wrong clock for ever. A
 * push may have been slow on a thin line, so CLOCK in answer to one says only that stamps lie in the future. */
void session_on_clock(client_session *s, client_actions *actions, request_kind asked, const message *m) {
    if (++s->clocks > CLOCKS_MAX) {
        session_retry(s, actions, LP_CLOCK, "the device's clock and the server's do not come together; try again later",
                      0);
        return;
    }
    if (asked != REQUEST_HELLO) {
        start_anew(s, actions, m->batch, NULL, RESTAMP_AHEAD);
        return;
    }
    clock_sample sample = take_sample(s, m->now_ms);
    bool better = s->best_ms == 0 || sample.error_ms < s->best_ms;
    s->lead_ms = sample.error_ms;
    s->best_ms = better ? sample.error_ms + 1 : s->best_ms;
    start_anew(s, actions, m->batch, better ? &sample : NULL, RESTAMP_ESTIMATE);
}

/* A contact with the server, if it tells something new. A server in doubt about its own clock says no time. */
static lp_err note_time(client_session *s, int64_t server_ms, lp_error *error) {
    clock_sample sample = take_sample(s, server_ms);
    clock_fit(s->replica, &sample);
    if (server_ms == 0 || !clock_wants(s->replica, &sample))
        return LP_OK;
    lp_err err = replica_begin(s->replica, error);
    if (!err && (err = clock_contact(s->replica, &sample, error)))
        replica_rollback(s->replica);
    return err ? err : replica_commit(s->replica, error);
}

void session_on_welcome(client_session *s, client_actions *actions, const message *m) {
    lp_error error = {.code = LP_OK};
    buf known = {0};
    lp_err err = replica_meta(s->replica, "scopes", &known, &error);
    bool same = !err && span_equal(buf_span(&known), m->scopes);
    buf_fini(&known);
    err = err == LP_NOT_FOUND ? LP_OK : err;
    if (!err && !same) {
        err = replica_begin(s->replica, &error);
        uint64_t evicted;
        if (!err)
            err = pull_scopes(s->replica, m->scopes, &error);
        if (!err)
            err = holdings_evict(s->replica, &evicted, &error);
        if (!err)
            err = replica_commit(s->replica, &error);
        else
            replica_rollback(s->replica);
        s->moves++;
        s->differs = 0;
        s->pulled = false;
    }
    bool over = false;
    if (!err)
        err = epoch_welcome(s->replica, m, s->settled, &over, &error);
    /* What is under way names batches before it that this history may lack, and asks for pages without this device's own changes. */
    if (over)
        start_over(s);
    s->welcomed = true;
    s->patient = false;
    s->held = m->batch;
    uint64_t frozen = 0;
    if (!err)
        err = note_time(s, m->now_ms, &error);
    if (!err)
        err = outbox_next_batch(s->replica, m->batch, &frozen, &error);
    if (err)
        session_fail(s, actions, err, &error);
    else if (frozen && frozen <= m->fence)
        start_anew(s, actions, m->batch, NULL,
                   RESTAMP_ESTIMATE); /* given up, by this hello or by a CLOCK answer that was lost */
}

void session_greet_again(client_session *s, client_actions *actions) {
    lp_error error = {.code = LP_OK};
    s->welcomed = false;
    s->pulled = false;
    lp_err err = requests_in_flight(s, REQUEST_HELLO) ? LP_OK : requests_hello(s, actions, &error);
    if (err)
        session_fail(s, actions, err, &error);
}

void session_become_another(client_session *s, client_actions *actions, bool forgotten) {
    lp_error error = {.code = LP_OK};
    memset(s->requests, 0, sizeof s->requests);
    s->becoming = true;
    s->forgotten = forgotten;
    s->welcomed = false;
    lp_err err = requests_rejoin(s, actions, &error);
    if (err)
        session_fail(s, actions, err, &error);
}

void session_on_joined(client_session *s, client_actions *actions, span bytes) {
    lp_error error = {.code = LP_OK};
    lp_err err = client_rejoin_take(s->replica, s->forgotten, bytes, &error);
    s->becoming = false;
    if (err) {
        session_fail(s, actions, err, &error);
        return;
    }
    s->sent = 0;
    s->pulled = false;
    s->progressed = true;
    s->result.rejoined = s->replica->clock.author;
    session_notify(actions, LP_EVENT_REJOINED, NULL, s->replica->clock.author);
    session_greet_again(s, actions);
}

lp_err session_settle_stamps(client_session *s, lp_error *error) {
    replica *r = s->replica;
    if (replica_meta_int(r, "clock.forced", 0) == 0)
        return LP_OK;
    lp_err err = replica_begin(r, error);
    if (!err && (err = outbox_restamp(r, UINT64_MAX, RESTAMP_ESTIMATE, error)))
        replica_rollback(r);
    return err ? err : replica_commit(r, error);
}
