/* conn.c - one connection, run by one worker at a time: what was signalled, then the channel and session (conn_session.c),
 * then the deadlines.
 *
 *     NEW --admitted--> OPENING --channel open--> GREETING --hello accepted--> SERVING
 *     any of them --failed, too late, told to--> CLOSING --output out, peer's end seen or time up--> DEAD
 *     DEAD --everything under way came back--> freed
 *
 * Invariants:
 *   (1) Every phase has a deadline; SERVING has none only while the committer or a parked wait owes the peer an answer.
 *   (2) A connection is freed by its own run only, after receive, send and every job came back. */
#include "server/net/conn.h"

#include <stdlib.h>

#define CLOSE_MS 5000  /* for the last output */
#define LINGER_MS 1000 /* for the peer to have read it: closing with unread input resets the connection */

int64_t conn_now_ms(const conn *c) {
    const lp_env *env = c->net->pool->env;
    return env->boot_ms(env->ctx);
}

static void log_closing(const conn *c, const char *reason) {
    char address[PEER_TEXT_BYTES];
    peer_format(&c->peer, c->peer_port, address);
    log_line(c->net->log, LOG_LEVEL_DEBUG, "closing", LOG_TEXT("address", address), LOG_TEXT("reason", reason));
}

void conn_close(conn *c, const char *reason) {
    if (c->phase >= CONN_CLOSING)
        return;
    log_closing(c, reason);
    c->phase = CONN_CLOSING;
    c->close_by_ms = conn_now_ms(c) + CLOSE_MS;
    channel_close(c->channel);
}

/* ---- signals ---- */

void conn_signal(conn *c, uint32_t events) {
    net *n = c->net;
    if (!(atomic_fetch_or(&c->events, events | EVENT_ACTIVE) & EVENT_ACTIVE))
        workers_push(n, c);
}

/* ---- deadlines ---- */

static int64_t sooner(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* When the peer will have kept us waiting too long. */
static int64_t patience_ends_ms(const conn *c) {
    const config *limits = c->net->config;
    if (c->phase == CONN_CLOSING)
        return c->close_by_ms;
    if (c->phase != CONN_SERVING)
        return c->greet_by_ms;
    int64_t end = INT64_MAX;
    if (c->sending)
        end = c->sent_ms + limits->message_timeout_ms;
    if (c->receiving && channel_held_bytes(c->channel) > 0)
        end = sooner(end, c->received_ms + limits->message_timeout_ms);
    if (!c->sending && c->jobs == 0 && !session_parked(c->session))
        end = sooner(end, c->active_ms + limits->idle_timeout_ms);
    return end;
}

static void check_patience(conn *c, int64_t now_ms) {
    if (c->phase == CONN_DEAD || patience_ends_ms(c) > now_ms)
        return;
    if (c->phase == CONN_CLOSING || c->sending)
        conn_drop(c);
    else
        conn_close(c, c->phase == CONN_SERVING ? "nothing came for too long" : "no hello in time");
}

static void set_timer(conn *c) {
    int64_t due_ms = patience_ends_ms(c);
    int64_t session_ms = c->session && c->phase < CONN_CLOSING ? session_deadline_ms(c->session) : 0;
    if (session_ms != 0)
        due_ms = sooner(due_ms, session_ms);
    if (due_ms != INT64_MAX)
        wheel_set(&c->net->wheel, &c->timer, due_ms);
}

/* ---- a run ---- */

/* Starts what is to be under way until the next signal. */
static void keep_going(conn *c, int64_t now_ms) {
    conn_start_send(c, now_ms);
    if (c->phase == CONN_CLOSING && !c->sending && channel_output(c->channel).size == 0) {
        if (c->ended || c->draining)
            conn_drop(c);
        c->close_by_ms = sooner(c->close_by_ms, now_ms + LINGER_MS);
    }
    if (c->phase == CONN_CLOSING || (!c->draining && conn_has_room(c)))
        conn_start_receive(c);
}

static void settle(conn *c, int64_t now_ms) {
    if (c->phase < CONN_SERVING && channel_held_bytes(c->channel) > CONN_STRANGER_HELD_MAX)
        conn_close(c, "too much before a hello");
    if (c->draining && c->jobs == 0)
        conn_close(c, "the server is stopping");
    check_patience(c, now_ms);
    if (c->phase != CONN_DEAD)
        keep_going(c, now_ms);
    parked_set(c, c->phase == CONN_SERVING && session_parked(c->session));
    if (c->phase != CONN_DEAD)
        set_timer(c);
}

/* First run: may it come in? */
static void admit(conn *c, int64_t now_ms) {
    net *n = c->net;
    nng_sockaddr address;
    channel_options options = {.tls = n->tls, .server = true, .allow_http = true, .origins = n->origins};
    c->greet_by_ms = now_ms + n->config->handshake_timeout_ms;
    c->received_ms = c->active_ms = now_ms;
    if (nng_stream_get_addr(c->stream, NNG_OPT_REMADDR, &address) == 0 &&
        peer_key_from(&address, &c->peer, &c->peer_port) && !atomic_load(&n->stopping) &&
        atomic_load(&n->count) <= n->config->max_connections)
        c->limited = peers_add(&n->peers, &c->peer, n->config->max_connections_per_address);
    if (c->limited && channel_new(&options, &c->channel, NULL) == LP_OK)
        c->phase = CONN_OPENING;
    else
        conn_drop(c);
}

static void conn_free(conn *c) {
    net *n = c->net;
    wheel_remove(&n->wheel, &c->timer);
    parked_set(c, false);
    if (c->session && session_known(c->session))
        log_line(n->log, LOG_LEVEL_INFO, "device disconnected", LOG_NUMBER("device", session_device(c->session)));
    if (c->limited)
        peers_remove(&n->peers, &c->peer);
    session_free(c->session);
    channel_free(c->channel);
    conn_io_fini(c);

    pthread_mutex_lock(&n->list_mutex);
    if (c->prev)
        c->prev->next = c->next;
    else
        n->list = c->next;
    if (c->next)
        c->next->prev = c->prev;
    if (atomic_fetch_sub(&n->count, 1) == 1)
        pthread_cond_broadcast(&n->list_empty);
    pthread_mutex_unlock(&n->list_mutex);
    free(c);
}

void conn_run(conn *c, store_reader *reader) {
    uint32_t events = atomic_exchange(&c->events, EVENT_ACTIVE);
    int64_t now_ms = conn_now_ms(c);
    c->moves_seen = atomic_load(&c->net->moves);
    if (c->phase == CONN_NEW)
        admit(c, now_ms);
    if (events & EVENT_RECEIVED)
        conn_take_received(c, now_ms);
    if (events & EVENT_SENT)
        conn_take_sent(c, now_ms);
    if (events & EVENT_COMMITTED)
        conn_take_jobs(c, reader);
    if (events & EVENT_DRAIN)
        c->draining = true;
    if (events & EVENT_KILL)
        conn_drop(c);
    if (c->phase != CONN_DEAD) {
        conn_wake_waits(c, reader, events, now_ms);
        conn_take_events(c, reader);
        settle(c, now_ms);
    }
    if (c->phase == CONN_DEAD && !c->receiving && !c->sending && c->jobs == 0) {
        conn_free(c);
        return;
    }
    uint32_t quiet = EVENT_ACTIVE;
    if (!atomic_compare_exchange_strong(&c->events, &quiet, 0))
        workers_push(c->net, c);
}

void conn_open(net *n, nng_stream *stream) {
    conn *c = calloc(1, sizeof *c);
    if (!c) {
        nng_stream_free(stream);
        return;
    }
    c->net = n;
    c->stream = stream;
    if (conn_io_init(c) != LP_OK) {
        conn_io_fini(c);
        free(c);
        return;
    }
    pthread_mutex_lock(&n->list_mutex);
    c->next = n->list;
    if (n->list)
        n->list->prev = c;
    n->list = c;
    atomic_fetch_add(&n->count, 1);
    pthread_mutex_unlock(&n->list_mutex);
    conn_signal(c, EVENT_NEW);
}
