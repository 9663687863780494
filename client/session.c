/* session.c - the device's side of the protocol; see session.h for the diagram and the invariants.
 *
 * One pass of work, after every event: while the window has room, send the next batch; when the outbox is empty and nothing
 * is in flight that could change it, ask for pages until every scope is read to its end; then wait for news, or be done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/clock.h"
#include "client/holdings.h"
#include "client/outbox.h"
#include "client/pull.h"
#include "client/recovered.h"
#include "client/session_parts.h"
#include "proto/bug.h"
#include "proto/err.h"

#define CLOCKS_MAX 4 /* corrections in a row */

lp_err client_session_new(replica *r, client_session **session_out, lp_error *error) {
    client_session *s = calloc(1, sizeof *s);
    if (!s)
        return err_plain(error, LP_NOMEM);
    s->replica = r;
    s->deadline_ms = NEVER;
    *session_out = s;
    return LP_OK;
}

void client_session_free(client_session *s) {
    free(s);
}

int64_t client_deadline_ms(const client_session *s) {
    return s->deadline_ms;
}

void client_alive(client_session *s) {
    bool connected = s->state == LP_STATE_SYNCING || s->state == LP_STATE_LIVE;
    int64_t answer_ms = session_boot_ms(s) + CLIENT_ANSWER_MS;
    if (connected && s->deadline_ms != NEVER && s->deadline_ms < answer_ms)
        s->deadline_ms = answer_ms;
}

lp_state client_state(const client_session *s) {
    return s->state;
}

const char *client_reason(const client_session *s) {
    return s->reason;
}

int64_t client_next_attempt_ms(const client_session *s) {
    return s->next_attempt_ms;
}

void client_result(const client_session *s, lp_sync_result *result_out) {
    uint64_t up = result_out->bytes_up, down = result_out->bytes_down;
    *result_out = s->result;
    result_out->bytes_up = up;
    result_out->bytes_down = down;
}

/* ---- actions ---- */

/* Hands over what was decided so far: the other end works on it while this one goes on. */
static void hand_over(client_actions *actions) {
    if (!actions->carry_out)
        return;
    actions->carry_out(actions->ctx, actions);
    actions->count = 0;
}

static void notify(client_actions *actions, lp_event_kind kind, const lp_id *id, uint64_t done) {
    client_action *a = session_act(actions, CLIENT_NOTIFY);
    if (!a)
        return;
    a->event = (lp_event){.kind = kind, .done = done};
    if (id)
        a->event.id = *id;
}

static void enter(client_session *s, client_actions *actions, lp_state state, const char *reason) {
    bool changed = s->state != state;
    s->state = state;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
    if (changed)
        notify(actions, LP_EVENT_STATE, NULL, 0);
}

static void drop_connection(client_session *s, client_actions *actions) {
    session_act(actions, CLIENT_CLOSE);
    memset(s->requests, 0, sizeof s->requests);
    s->welcomed = s->patient = s->becoming = false;
    s->held = 0;
}

static void finish(client_session *s, client_actions *actions, lp_err err, const char *text) {
    s->deadline_ms = NEVER;
    client_action *a = session_act(actions, CLIENT_DONE);
    if (a)
        err_set(&a->error, err, "%s", text);
}

/* Ends for good: a person has to do something. */
static void block(client_session *s, client_actions *actions, lp_err err, const char *text) {
    drop_connection(s, actions);
    enter(s, actions, LP_STATE_BLOCKED, text);
    s->deadline_ms = NEVER;
    s->next_attempt_ms = 0;
    if (!s->keep)
        finish(s, actions, err, text);
}

/* A uniformly random number of ms up to the bound of the present failure. */
static int64_t backoff_ms(client_session *s) {
    int64_t bound = CLIENT_BACKOFF_MIN_MS;
    for (uint32_t i = 0; i < s->failures && bound < CLIENT_BACKOFF_MAX_MS; i++)
        bound *= 2;
    if (bound > CLIENT_BACKOFF_MAX_MS)
        bound = CLIENT_BACKOFF_MAX_MS;
    uint32_t random;
    s->replica->env->random(s->replica->env->ctx, &random, sizeof random);
    return (int64_t)(random % (uint64_t)(bound + 1));
}

/* The connection broke under a transfer before anything came through: what is sent next has to be smaller. Kept, because the next attempt may
 * be another process's. Not to know it costs no more than another attempt. */
static void note_cut(client_session *s) {
    lp_error ignored;
    line_cut(&s->line);
    if (replica_begin(s->replica, &ignored))
        return;
    if (replica_meta_put_int(s->replica, "line.bytes", s->line.bytes, &ignored))
        replica_rollback(s->replica);
    else
        replica_commit(s->replica, &ignored);
}

/* Ends this connection; tries again later, or says so to who asked for one sync. */
static void retry(client_session *s, client_actions *actions, lp_err err, const char *text, int64_t server_ms) {
    if (err == LP_OFFLINE && s->welcomed && !s->progressed && requests_moving(s))
        note_cut(s);
    drop_connection(s, actions);
    bool again = s->keep || (s->progressed && err == LP_OFFLINE);
    if (!again) {
        enter(s, actions, LP_STATE_IDLE, text);
        finish(s, actions, err, text);
        return;
    }
    if (s->progressed)
        s->failures = 0;
    int64_t delay_ms = backoff_ms(s) + server_ms;
    s->failures++;
    s->progressed = false;
    enter(s, actions, LP_STATE_WAITING, text);
    s->deadline_ms = session_boot_ms(s) + delay_ms;
    s->next_attempt_ms = s->replica->env->wall_ms(s->replica->env->ctx) + delay_ms;
}

/* An error of this end: the replica could not be read or written. Back off: a full disk may have space later. */
static void local_failure(client_session *s, client_actions *actions, lp_err err, const lp_error *error) {
    if (err == LP_PROTOCOL)
        block(s, actions, err, error->message);
    else
        retry(s, actions, err, error->message, 0);
}

/* ---- the pass of work ---- */

static lp_err push_some(client_session *s, client_actions *actions, lp_error *error) {
    while (requests_in_flight(s, REQUEST_PUSH) < CLIENT_WINDOW) {
        uint64_t number = 0;
        lp_err err = requests_next_batch(s, &number, error);
        if (err || number == 0)
            return err;
        err = requests_push(s, actions, number, error);
        if (err)
            return err;
        hand_over(actions);
    }
    return LP_OK;
}

static lp_err pull_some(client_session *s, client_actions *actions, lp_error *error) {
    buf cursors = {0};
    bool known;
    lp_err err = pull_cursors(s->replica, &cursors, &known, error);
    /* Before the first welcome the scopes are not known: it will name them. */
    if (!err && known)
        err = requests_pull(s, actions, s->pulled ? REQUEST_WAIT : REQUEST_PULL, buf_span(&cursors),
                            s->line.bytes < FIRST_PAGE_BYTES ? s->line.bytes : FIRST_PAGE_BYTES, error);
    buf_fini(&cursors);
    return err;
}

static void note_in_sync(client_session *s) {
    lp_error ignored;
    if (replica_begin(s->replica, &ignored))
        return;
    int64_t now_ms = s->replica->env->wall_ms(s->replica->env->ctx);
    if (replica_meta_put_int(s->replica, "sync.last_ms", now_ms, &ignored))
        replica_rollback(s->replica);
    else
        replica_commit(s->replica, &ignored);
}

static void arrive(client_session *s, client_actions *actions) {
    lp_error ignored;
    recovered_prune(s->replica, &ignored);
    s->result.complete = true;
    s->failures = 0;
    if (s->state != LP_STATE_LIVE)
        note_in_sync(s);
    const char *reason = s->diverged ? "this replica differs from the server's pool; join again into a new one" : "";
    if (s->keep) {
        replica_checkpoint(s->replica, false);
        enter(s, actions, LP_STATE_LIVE, reason);
        return;
    }
    session_act(actions, CLIENT_CLOSE);
    memset(s->requests, 0, sizeof s->requests);
    enter(s, actions, LP_STATE_IDLE, reason);
    finish(s, actions, LP_OK, "in sync");
}

/* After a new epoch, one offer at a time, before anything is read. */
static lp_err offer_some(client_session *s, client_actions *actions, lp_error *error) {
    bool some = false;
    if (!s->welcomed || s->becoming || requests_in_flight(s, REQUEST_OFFER))
        return LP_OK;
    lp_err err = requests_offer(s, actions, &some, error);
    return err || some || !epoch_offering(s->replica) ? err : epoch_finish(s->replica, error);
}

static void work(client_session *s, client_actions *actions) {
    lp_error error = {.code = LP_OK};
    uint32_t before = s->next_id;
    if (s->patient)
        return;
    lp_err err = s->becoming ? LP_OK : push_some(s, actions, &error);
    if (!err)
        err = offer_some(s, actions, &error);
    bool busy = requests_in_flight(s, REQUEST_PUSH) + requests_in_flight(s, REQUEST_OFFER) > 0 || s->becoming;
    bool pulling = requests_pulling(s);
    bool idle = !err && !busy && !pulling;
    if (idle && s->pulled && s->welcomed)
        arrive(s, actions);
    bool stay = s->state != LP_STATE_IDLE;
    if (idle && stay && (!s->pulled || (s->welcomed && requests_in_flight(s, REQUEST_WAIT) == 0)))
        err = pull_some(s, actions, &error);
    if (err) {
        local_failure(s, actions, err, &error);
        return;
    }
    s->result.round_trips += s->next_id != before && s->state != LP_STATE_LIVE;
}

/* ---- answers ---- */

static void count_conflicts(client_session *s) {
    int64_t count;
    if (!replica_count_conflicts(s->replica, &count, NULL))
        s->result.conflicts = (uint64_t)count;
}

/* What the answer to a hello tells of the time. It is as old as the answer was on its way: half the round trip, give or take as much. */
static clock_sample take_sample(const client_session *s, int64_t server_ms) {
    int64_t half_ms = (session_boot_ms(s) - s->hello_ms) / 2;
    return (clock_sample){s->hello_ms + half_ms, server_ms, half_ms};
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
        local_failure(s, actions, err, &error);
        return;
    }
    memset(s->requests, 0, sizeof s->requests);
    s->sent = 0;
    s->pulled = false;
    err = requests_hello(s, actions, &error);
    if (err)
        local_failure(s, actions, err, &error);
}

/* The answer to a hello is a clean sample of the server's time, of which the one with the shortest round trip counts; on a slow line the
 * next hello says when it will arrive: else a line that takes more than the tolerance would look like a wrong clock for ever. A
 * push may have been slow on a thin line, so CLOCK in answer to one says only that stamps lie in the future. */
static void on_clock(client_session *s, client_actions *actions, request_kind asked, const message *m) {
    if (++s->clocks > CLOCKS_MAX) {
        retry(s, actions, LP_CLOCK, "the device's clock and the server's do not come together; try again later", 0);
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

static void on_welcome(client_session *s, client_actions *actions, const message *m) {
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
        s->pulled = false;
    }
    bool new_epoch = false;
    if (!err)
        err = epoch_welcome(s->replica, m, s->settled, &new_epoch, &error);
    s->pulled &= !new_epoch;
    s->welcomed = true;
    s->patient = false;
    s->held = m->batch;
    uint64_t frozen = 0;
    if (!err)
        err = note_time(s, m->now_ms, &error);
    if (!err)
        err = outbox_next_batch(s->replica, m->batch, &frozen, &error);
    if (err)
        local_failure(s, actions, err, &error);
    else if (frozen && frozen <= m->fence)
        start_anew(s, actions, m->batch, NULL,
                   RESTAMP_NONE); /* given up, by this hello or by a CLOCK answer that was lost */
}

static lp_err apply_pages(client_session *s, span pages, bool *more_out, pull_outcome *outcome, lp_error *error) {
    wire_reader from = wire_open(pages);
    uint32_t count = pages.size ? wire_array(&from) : 0;
    page p;
    bool stale = false;
    *more_out = false;
    for (uint32_t i = 0; i < count; i++) {
        if (!page_take(&from, &p))
            return err_set(error, LP_PROTOCOL, "a page from the server is malformed");
        if (BUG(CURSOR_AHEAD_OF_ROWS) && s->state == LP_STATE_LIVE)
            p.changes = (span){0};
        lp_err err = pull_page(s->replica, &p, outcome, error);
        if (err)
            return err;
        *more_out |= p.more;
        stale |= p.cursor.seq < s->acked_seq;
    }
    /* Answers may come in any order: what is on a page from before a push that is settled here already cannot be compared. */
    outcome->compared &= !stale;
    return LP_OK;
}

/* Asks for what follows a page before applying it. */
static lp_err read_ahead(client_session *s, client_actions *actions, span pages, lp_error *error) {
    buf cursors = {0};
    wire_reader from = wire_open(pages);
    uint32_t count = wire_array(&from);
    bool more = false;
    page p;
    wire_put_array(&cursors, count);
    for (uint32_t i = 0; i < count && page_take(&from, &p); i++) {
        cursor_put(&cursors, &p.cursor);
        more |= p.more;
    }
    lp_err err = LP_OK;
    if (more && !from.failed && !cursors.failed) {
        err = requests_pull(s, actions, REQUEST_PULL, buf_span(&cursors), s->line.bytes, error);
        s->result.round_trips++;
    }
    buf_fini(&cursors);
    return err;
}

static void report(client_session *s, client_actions *actions, const outbox_outcome *pushed,
                   const pull_outcome *pulled) {
    s->result.pushed += pushed->pushed;
    s->result.lost += pushed->lost;
    s->result.received += pushed->received;
    s->result.refused += pushed->refused;
    s->result.pulled += pulled->changes;
    if (pushed->refused)
        notify(actions, LP_EVENT_REFUSED, &pushed->refused_id, 0);
    if (pulled->records)
        notify(actions, LP_EVENT_CHANGED, pulled->records == 1 ? &pulled->record : NULL, 0);
    if (s->state != LP_STATE_LIVE)
        notify(actions, LP_EVENT_PROGRESS, NULL, s->result.pushed + s->result.pulled);
}

static void greet_again(client_session *s, client_actions *actions) {
    lp_error error = {.code = LP_OK};
    s->welcomed = false;
    s->pulled = false;
    lp_err err = requests_in_flight(s, REQUEST_HELLO) ? LP_OK : requests_hello(s, actions, &error);
    if (err)
        local_failure(s, actions, err, &error);
}

/* Pages of an epoch this replica was not welcomed to, or that come while something is offered, are not applied. *strange_out: the
 * pool became another while this connection stood. */
static lp_err look_at_epoch(client_session *s, span pages, bool *applied_out, bool *strange_out, lp_error *error) {
    wire_reader from = wire_open(pages);
    page first;
    *applied_out = true;
    if (wire_array(&from) == 0 || !page_take(&from, &first))
        return LP_OK;
    lp_err err = epoch_takes(s->replica, first.cursor.epoch, applied_out, error);
    *strange_out = !err && !*applied_out && s->welcomed && !epoch_offering(s->replica);
    s->pulled &= *applied_out;
    return err;
}

static void on_synced(client_session *s, client_actions *actions, request done, const message *m) {
    lp_error error = {.code = LP_OK};
    outbox_outcome pushed = {0};
    pull_outcome pulled = {0};
    uint64_t evicted = 0;
    bool more = false;
    bool has_pages = m->pages.size > 0, strange = false;
    uint32_t line_bytes = s->line.bytes;
    if (done.kind != REQUEST_WAIT)
        line_answered(&s->line, done.bytes > m->pages.size ? done.bytes : m->pages.size,
                      session_boot_ms(s) - done.sent_ms);
    lp_err err = has_pages ? look_at_epoch(s, m->pages, &has_pages, &strange, &error) : LP_OK;
    if (!err && done.kind == REQUEST_PUSH)
        err = push_some(s, actions, &error);
    if (!err && has_pages && done.pulls)
        err = read_ahead(s, actions, m->pages, &error);
    hand_over(actions); /* the server works while this end does */
    if (!err)
        err = replica_begin(s->replica, &error);
    if (done.kind == REQUEST_PUSH && m->seq > s->acked_seq)
        s->acked_seq = m->seq;
    if (!err && done.kind == REQUEST_PUSH)
        err = outbox_settle(s->replica, done.batch, m->verdicts, m->seq, &pushed, &error);
    if (!err && has_pages)
        err = apply_pages(s, m->pages, &more, &pulled, &error);
    if (!err && s->line.bytes != line_bytes)
        err = replica_meta_put_int(s->replica, "line.bytes", s->line.bytes, &error);
    if (!err && m->scopes.size)
        err = pull_scopes(s->replica, m->scopes, &error);
    if (!err)
        err = holdings_evict(s->replica, &evicted, &error);
    if (!err)
        err = replica_commit(s->replica, &error);
    else
        replica_rollback(s->replica);
    if (err) {
        local_failure(s, actions, err, &error);
        return;
    }
    s->progressed = true;
    s->clocks = 0;
    replica_checkpoint(s->replica, true);
    if (has_pages)
        s->pulled = !more && requests_in_flight(s, REQUEST_PUSH) == 0;
    s->moves += m->scopes.size != 0;
    s->pulled &= done.moves == s->moves; /* what was granted meanwhile has to be read */
    /* While a push is unanswered, be it another process's, the server may hold what this end does not know to be there yet. */
    uint64_t frozen = 1;
    if (pulled.compared && !outbox_next_batch(s->replica, 0, &frozen, &error) && frozen == 0)
        s->diverged = s->result.diverged = pulled.diverged;
    pulled.records += (uint32_t)evicted * 2; /* no one of them is named: it is not there any more */
    if (pulled.changes || evicted)
        count_conflicts(s);
    report(s, actions, &pushed, &pulled);
    if (strange)
        greet_again(s, actions);
}

/* An offer was taken, all of it; or only as much as one job may cost: then that much is offered again, and the rest behind it. */
static void on_reoffered(client_session *s, client_actions *actions, request done, const message *m) {
    lp_error error = {.code = LP_OK};
    bool whole = done.sending || done.offer.record || m->taken >= done.offer.count;
    s->offer_most = whole ? 0 : m->taken ? (uint32_t)m->taken : 1;
    s->progressed = true;
    if (!whole)
        return;
    lp_err err = replica_begin(s->replica, &error);
    if (!err && (err = done.sending ? recovered_sent(s->replica, done.sending, &error)
                                    : epoch_offered(s->replica, &done.offer, m->seq, &error)))
        replica_rollback(s->replica);
    else if (!err)
        err = replica_commit(s->replica, &error);
    if (err)
        local_failure(s, actions, err, &error);
}

/* The replica is a copy, or older than what the server has of it, or the server has forgotten it: nothing is lost if it goes on as
 * another device. */
static void become_another(client_session *s, client_actions *actions, bool forgotten) {
    lp_error error = {.code = LP_OK};
    memset(s->requests, 0, sizeof s->requests);
    s->becoming = true;
    s->forgotten = forgotten;
    s->welcomed = false;
    lp_err err = requests_rejoin(s, actions, &error);
    if (err)
        local_failure(s, actions, err, &error);
}

static void on_joined(client_session *s, client_actions *actions, span bytes) {
    lp_error error = {.code = LP_OK};
    lp_err err = client_rejoin_take(s->replica, s->forgotten, bytes, &error);
    s->becoming = false;
    if (err) {
        local_failure(s, actions, err, &error);
        return;
    }
    s->sent = 0;
    s->pulled = false;
    s->progressed = true;
    s->result.rejoined = s->replica->clock.author;
    notify(actions, LP_EVENT_REJOINED, NULL, s->replica->clock.author);
    greet_again(s, actions);
}

static void on_refused(client_session *s, client_actions *actions, const message *m) {
    char reason[LP_ERROR_MESSAGE_BYTES];
    snprintf(reason, sizeof reason, "%.*s", (int)m->reason.size, m->reason.size ? (const char *)m->reason.data : "");
    lp_err code = m->code > 0 && m->code < 1000 ? (lp_err)m->code : LP_REFUSED;
    block(s, actions, code, reason[0] ? reason : "the server refused, and did not say why");
}

static void on_message(client_session *s, client_actions *actions, uint32_t id, span bytes) {
    message m;
    lp_error error;
    lp_err err = message_decode(bytes, &m, &error);
    if (err) {
        retry(s, actions, LP_PROTOCOL, error.message, 0);
        return;
    }
    request *r = requests_find(s, id);
    if (!r)
        return; /* an answer to what a clock correction withdrew, or nonsense: nothing waits for it */
    request done = *r;
    *r = (request){.kind = REQUEST_FREE};
    s->deadline_ms = session_boot_ms(s) + CLIENT_ANSWER_MS + (requests_in_flight(s, REQUEST_WAIT) ? CLIENT_WAIT_MS : 0);
    switch (m.number) {
    case MSG_WELCOME:
        on_welcome(s, actions, &m);
        break;
    case MSG_CLOCK:
        on_clock(s, actions, done.kind, &m);
        break;
    case MSG_SYNCED:
        on_synced(s, actions, done, &m);
        break;
    case MSG_REOFFERED:
        on_reoffered(s, actions, done, &m);
        break;
    case MSG_JOINED:
        on_joined(s, actions, bytes);
        break;
    case MSG_BUSY:
        err_set(&error, LP_BUSY, "the server is busy: %.*s", (int)m.reason.size,
                m.reason.size ? (const char *)m.reason.data : "");
        retry(s, actions, LP_BUSY, error.message,
              m.retry_ms < CLIENT_BACKOFF_MAX_MS ? (int64_t)m.retry_ms : CLIENT_BACKOFF_MAX_MS);
        break;
    case MSG_REFUSED:
        if ((m.code == LP_CLONED || m.code == LP_FORGOTTEN) && done.kind != REQUEST_REJOIN) {
            become_another(s, actions, m.code == LP_FORGOTTEN);
            break;
        }
        /* fall through */
    case MSG_ERROR:
        on_refused(s, actions, &m);
        break;
    default:
        block(s, actions, LP_PROTOCOL, "the server gave an answer this version does not know; update the app");
        break;
    }
    if (s->state == LP_STATE_SYNCING || s->state == LP_STATE_LIVE)
        work(s, actions);
}

/* ---- events ---- */

static void connect(client_session *s, client_actions *actions) {
    session_act(actions, CLIENT_CONNECT);
    s->deadline_ms = session_boot_ms(s) + CLIENT_CONNECT_MS;
    s->next_attempt_ms = 0;
    s->sent = 0;
    s->pulled = false;
    s->acked_seq = 0;
    s->line = line_of(replica_meta_int(s->replica, "line.bytes", 0));
    enter(s, actions, LP_STATE_CONNECTING, "");
}

static void on_start(client_session *s, client_actions *actions, bool keep) {
    s->keep = keep;
    s->result = (lp_sync_result){0};
    s->progressed = false;
    s->clocks = 0;
    s->failures = 0;
    lp_error ignored;
    pull_retry(s->replica, &ignored);
    count_conflicts(s);
    if (!s->replica->clock.author) {
        block(s, actions, LP_NOT_FOUND, "the replica has not joined a pool; join with an invitation first");
        return;
    }
    connect(s, actions);
}

/* Stamps that are ahead of the estimate, after a clock that was ahead: before they leave, what was made later comes to its place. */
static lp_err settle_stamps(client_session *s, lp_error *error) {
    replica *r = s->replica;
    if (replica_meta_int(r, "clock.forced", 0) == 0)
        return LP_OK;
    lp_err err = replica_begin(r, error);
    if (!err && (err = outbox_restamp(r, UINT64_MAX, RESTAMP_ESTIMATE, error)))
        replica_rollback(r);
    return err ? err : replica_commit(r, error);
}

static void on_open(client_session *s, client_actions *actions, span binding) {
    lp_error error = {.code = LP_OK};
    s->binding_size = binding.size < sizeof s->binding ? binding.size : sizeof s->binding;
    if (s->binding_size)
        memcpy(s->binding, binding.data, s->binding_size);
    s->lead_ms = s->best_ms = 0;
    enter(s, actions, LP_STATE_SYNCING, "");
    lp_err err = settle_stamps(s, &error);
    if (!err)
        err = requests_hello(s, actions, &error);
    if (err)
        local_failure(s, actions, err, &error);
    else
        work(s, actions);
}

static void on_lost(client_session *s, client_actions *actions, const lp_error *error) {
    /* Another key is mostly a network's doing, a portal or a proxy with a certificate of its own: it goes away with the network. */
    bool hopeless = error->code == LP_VERSION;
    if (hopeless)
        block(s, actions, error->code, error->message);
    else
        retry(s, actions, error->code, error->message, 0);
}

static void on_tick(client_session *s, client_actions *actions) {
    if (session_boot_ms(s) < s->deadline_ms)
        return;
    if (s->state == LP_STATE_WAITING)
        connect(s, actions);
    else if (s->state == LP_STATE_CONNECTING)
        retry(s, actions, LP_OFFLINE, "the server did not answer in time; check the network", 0);
    else
        retry(s, actions, LP_OFFLINE, "the connection went silent; check the network", 0);
}

void client_step(client_session *s, const client_event *event, client_actions *actions_out) {
    actions_out->count = 0;
    bool connected = s->state == LP_STATE_SYNCING || s->state == LP_STATE_LIVE;
    switch (event->kind) {
    case CLIENT_START:
        on_start(s, actions_out, event->keep);
        break;
    case CLIENT_STOP:
        drop_connection(s, actions_out);
        s->deadline_ms = NEVER;
        enter(s, actions_out, LP_STATE_IDLE, "stopped before all was in sync");
        break;
    case CLIENT_OPEN:
        if (s->state == LP_STATE_CONNECTING)
            on_open(s, actions_out, event->bytes);
        break;
    case CLIENT_MESSAGE:
        if (connected)
            on_message(s, actions_out, event->id, event->bytes);
        break;
    case CLIENT_LOST:
        if (connected || s->state == LP_STATE_CONNECTING)
            on_lost(s, actions_out, &event->error);
        break;
    case CLIENT_WORK:
        if (connected)
            work(s, actions_out);
        break;
    case CLIENT_TICK:
        if (s->deadline_ms != NEVER)
            on_tick(s, actions_out);
        break;
    }
}
