/* session.c - the device's side of the protocol; see session.h for the diagram and the invariants.
 *
 * One pass of work, after every event: while the window has room, send the next batch; when the outbox is empty and nothing
 * is in flight that could change it, ask for pages until every scope is read to its end; then wait for news, or be done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/sync/intake.h"
#include "client/replica/outbox.h"
#include "client/sync/pull.h"
#include "client/replica/recovered.h"
#include "client/sync/session_parts.h"
#include "proto/err.h"

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
    if (connected && s->deadline_ms < answer_ms)
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

void session_hand_over(client_actions *actions) {
    if (!actions->carry_out)
        return;
    actions->carry_out(actions->ctx, actions);
    actions->count = 0;
}

void session_notify(client_actions *actions, lp_event_kind kind, const lp_id *id, uint64_t done) {
    client_action *a = session_act(actions, CLIENT_NOTIFY);
    a->event = (lp_event){.kind = kind, .done = done};
    if (id)
        a->event.id = *id;
}

void session_enter(client_session *s, client_actions *actions, lp_state state, const char *reason) {
    bool changed = s->state != state;
    s->state = state;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
    if (changed)
        session_notify(actions, LP_EVENT_STATE, NULL, 0);
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
    err_set(&a->error, err, "%s", text);
}

/* Ends for good: a person has to do something. */
static void block(client_session *s, client_actions *actions, lp_err err, const char *text) {
    drop_connection(s, actions);
    session_enter(s, actions, LP_STATE_BLOCKED, text);
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

void session_retry(client_session *s, client_actions *actions, lp_err err, const char *text, int64_t server_ms) {
    if (err == LP_OFFLINE && s->welcomed && !s->progressed && requests_moving(s))
        note_cut(s);
    drop_connection(s, actions);
    bool again = s->keep || (s->progressed && err == LP_OFFLINE);
    if (!again) {
        session_enter(s, actions, LP_STATE_IDLE, text);
        finish(s, actions, err, text);
        return;
    }
    if (s->progressed)
        s->failures = 0;
    int64_t delay_ms = backoff_ms(s) + server_ms;
    s->failures++;
    s->progressed = false;
    session_enter(s, actions, LP_STATE_WAITING, text);
    s->deadline_ms = session_boot_ms(s) + delay_ms;
    s->next_attempt_ms = s->replica->env->wall_ms(s->replica->env->ctx) + delay_ms;
}

void session_fail(client_session *s, client_actions *actions, lp_err err, const lp_error *error) {
    if (err == LP_PROTOCOL)
        block(s, actions, err, error->message);
    else
        session_retry(s, actions, err, error->message, 0);
}

/* ---- the pass of work ---- */

lp_err session_push(client_session *s, client_actions *actions, lp_error *error) {
    if (epoch_offering(s->replica))
        return LP_OK; /* what was acknowledged once comes first: it was typed first */
    while (requests_in_flight(s, REQUEST_PUSH) < CLIENT_WINDOW) {
        uint64_t number = 0;
        lp_err err = requests_next_batch(s, &number, error);
        if (err || number == 0)
            return err;
        err = requests_push(s, actions, number, error);
        if (err)
            return err;
        session_hand_over(actions);
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
    const char *reason = s->differs ? session_divergence(s) : "";
    if (s->keep) {
        replica_checkpoint(s->replica, false);
        session_enter(s, actions, LP_STATE_LIVE, reason);
        return;
    }
    session_act(actions, CLIENT_CLOSE);
    memset(s->requests, 0, sizeof s->requests);
    session_enter(s, actions, LP_STATE_IDLE, reason);
    finish(s, actions, LP_OK, "in sync");
}

/* After a new epoch, one offer at a time, before anything is pushed or read. */
static lp_err offer_some(client_session *s, client_actions *actions, lp_error *error) {
    bool some = false;
    if (!s->welcomed || requests_in_flight(s, REQUEST_OFFER))
        return LP_OK;
    lp_err err = requests_offer(s, actions, &some, error);
    return err || some || !epoch_offering(s->replica) ? err : epoch_finish(s->replica, error);
}

static void work(client_session *s, client_actions *actions) {
    lp_error error = {.code = LP_OK};
    uint32_t before = s->next_id;
    if (s->patient)
        return;
    lp_err err = offer_some(s, actions, &error);
    if (!err && !s->becoming)
        err = session_push(s, actions, &error);
    bool busy = requests_in_flight(s, REQUEST_PUSH) + requests_in_flight(s, REQUEST_OFFER) > 0 || s->becoming;
    bool pulling = requests_pulling(s);
    bool idle = !err && !busy && !pulling, healing = false;
    if (idle && s->pulled && s->welcomed)
        err = session_heal(s, actions, &healing, &error);
    if (!err && idle && s->pulled && s->welcomed && !healing)
        arrive(s, actions);
    bool stay = s->state != LP_STATE_IDLE;
    if (!err && idle && stay && !healing && (!s->pulled || (s->welcomed && requests_in_flight(s, REQUEST_WAIT) == 0)))
        err = pull_some(s, actions, &error);
    if (err) {
        session_fail(s, actions, err, &error);
        return;
    }
    s->result.round_trips += s->next_id != before && s->state != LP_STATE_LIVE;
}

/* ---- answers ---- */

void session_count_conflicts(client_session *s) {
    int64_t count;
    if (!replica_count_conflicts(s->replica, &count, NULL))
        s->result.conflicts = (uint64_t)count;
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
        session_fail(s, actions, err, &error);
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
        session_retry(s, actions, LP_PROTOCOL, error.message, 0);
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
        session_on_welcome(s, actions, &m);
        break;
    case MSG_CLOCK:
        session_on_clock(s, actions, done.kind, &m);
        break;
    case MSG_SYNCED:
        session_on_synced(s, actions, done, &m);
        break;
    case MSG_REOFFERED:
        on_reoffered(s, actions, done, &m);
        break;
    case MSG_JOINED:
        session_on_joined(s, actions, bytes);
        break;
    case MSG_BUSY:
        err_set(&error, LP_BUSY, "the server is busy: %.*s", (int)m.reason.size,
                m.reason.size ? (const char *)m.reason.data : "");
        session_retry(s, actions, LP_BUSY, error.message,
                      m.retry_ms < CLIENT_BACKOFF_MAX_MS ? (int64_t)m.retry_ms : CLIENT_BACKOFF_MAX_MS);
        break;
    case MSG_REFUSED:
        if ((m.code == LP_CLONED || m.code == LP_FORGOTTEN) && done.kind != REQUEST_REJOIN) {
            session_become_another(s, actions, m.code == LP_FORGOTTEN);
            break;
        }
        /* fall through */
    case MSG_ERROR:
        if (done.kind == REQUEST_HEAL) {
            session_on_heal_refused(s, actions);
            break;
        }
        on_refused(s, actions, &m);
        break;
    case MSG_DIGESTED:
        if (done.kind == REQUEST_HEAL) {
            session_on_digested(s, actions, &m);
            break;
        }
        /* fall through */
    default:
        block(s, actions, LP_PROTOCOL, "the server gave an answer this version does not know; update the app");
        break;
    }
    if (s->state == LP_STATE_SYNCING || s->state == LP_STATE_LIVE)
        work(s, actions);
}

/* ---- events ---- */

static void connect(client_session *s, client_actions *actions) {
    lp_error ignored;
    heal_audit_due(s->replica, &ignored); /* if it cannot be done now, it stays due */
    session_act(actions, CLIENT_CONNECT);
    s->deadline_ms = session_boot_ms(s) + CLIENT_CONNECT_MS;
    s->next_attempt_ms = 0;
    s->sent = 0;
    s->pulled = false;
    s->acked_seq = 0;
    s->differs = 0;
    s->line = line_of(replica_meta_int(s->replica, "line.bytes", 0));
    session_enter(s, actions, LP_STATE_CONNECTING, "");
}

static void on_start(client_session *s, client_actions *actions, bool keep) {
    s->keep = keep;
    s->result = (lp_sync_result){0};
    s->progressed = false;
    s->clocks = 0;
    s->failures = 0;
    lp_error ignored;
    intake_retry(s->replica, &ignored);
    session_count_conflicts(s);
    if (!s->replica->clock.author) {
        block(s, actions, LP_NOT_FOUND, "the replica has not joined a pool; join with an invitation first");
        return;
    }
    connect(s, actions);
}

static void on_open(client_session *s, client_actions *actions, span binding) {
    lp_error error = {.code = LP_OK};
    s->binding_size = binding.size < sizeof s->binding ? binding.size : sizeof s->binding;
    if (s->binding_size)
        memcpy(s->binding, binding.data, s->binding_size);
    s->lead_ms = s->best_ms = 0;
    session_enter(s, actions, LP_STATE_SYNCING, "");
    lp_err err = session_settle_stamps(s, &error);
    if (!err)
        err = requests_hello(s, actions, &error);
    if (err)
        session_fail(s, actions, err, &error);
    else
        work(s, actions);
}

static void on_lost(client_session *s, client_actions *actions, const lp_error *error) {
    /* Another key is mostly a network's doing, a portal or a proxy with a certificate of its own: it goes away with the network. */
    bool hopeless = error->code == LP_VERSION;
    if (hopeless)
        block(s, actions, error->code, error->message);
    else
        session_retry(s, actions, error->code, error->message, 0);
}

static void on_tick(client_session *s, client_actions *actions) {
    if (session_boot_ms(s) < s->deadline_ms)
        return;
    if (s->state == LP_STATE_WAITING)
        connect(s, actions);
    else if (s->state == LP_STATE_CONNECTING)
        session_retry(s, actions, LP_OFFLINE, "the server did not answer in time; check the network", 0);
    else
        session_retry(s, actions, LP_OFFLINE, "the connection went silent; check the network", 0);
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
        session_enter(s, actions_out, LP_STATE_IDLE, "stopped before all was in sync");
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
