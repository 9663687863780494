/* conn_session.c - between the channel and the session: messages in, answers and jobs out. See conn.h.
 *
 * Invariants:
 *   (1) Nothing more is taken from a peer that has OUTPUT_HELD_MAX unread or SESSION_JOBS_MAX jobs at the committer, so that
 *       TCP slows it down.
 *   (2) The session is not stepped once the connection is closing; jobs that come back then are freed. */
#include "proto/err.h"
#include "server/net/conn.h"
#include "server/net/http.h"

#define OUTPUT_HELD_MAX (1024u * 1024u)
#define TURNS_MAX 32  /* messages of one run, then others have their turn */
#define RETRY_MS 1000 /* what a peer is told when the commit queue is full */

/* ---- jobs ---- */

/* Under the lock, so that the run that takes the job cannot free the connection before the signal is given. */
static void on_job_done(void *ctx, job *j) {
    conn *c = ctx;
    net *n = c->net;
    pthread_mutex_lock(&n->done_mutex);
    j->next = c->done;
    c->done = j;
    conn_signal(c, EVENT_COMMITTED);
    pthread_mutex_unlock(&n->done_mutex);
}

/* The jobs that came back, oldest first. */
static job *take_done(conn *c) {
    pthread_mutex_lock(&c->net->done_mutex);
    job *newest = c->done, *oldest = NULL;
    c->done = NULL;
    pthread_mutex_unlock(&c->net->done_mutex);
    while (newest) {
        job *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* ---- the session ---- */

static void step(conn *c, store_reader *reader, const session_event *event);

static void submit(conn *c, store_reader *reader, job *j) {
    if (c->phase == CONN_DEAD) {
        job_free(j);
        return;
    }
    j->done = on_job_done;
    j->ctx = c;
    c->jobs++;
    lp_err err = commit_thread_submit(c->net->thread, j);
    if (err == LP_OK)
        return;
    c->jobs--;
    j->result = err;
    j->retry_ms = RETRY_MS;
    err_set(&j->error, err, err == LP_BUSY ? "the server has too much to write just now" : "the server is stopping");
    step(c, reader, &(session_event){.kind = SESSION_COMMITTED, .job = j});
}

static void answer(conn *c, session_action *action) {
    lp_error error;
    if (c->phase < CONN_CLOSING && channel_send(c->channel, action->id, buf_span(&action->answer), &error) != LP_OK)
        conn_close(c, error.message);
    buf_fini(&action->answer);
}

/* Whoever runs the server has to see what devices are told. Too much to do, or stopping, is no trouble. */
static void log_trouble(const conn *c, const lp_error *trouble) {
    if (trouble->code == LP_OK || trouble->code == LP_BUSY || trouble->code == LP_CLOSED)
        return;
    bool ours =
        trouble->code == LP_FULL || trouble->code == LP_IO || trouble->code == LP_NOMEM || trouble->code == LP_CORRUPT;
    const char *what = ours ? "cannot serve a device" : trouble->code == LP_CLONED ? "device cloned" : "device refused";
    char address[PEER_TEXT_BYTES];
    peer_format(&c->peer, c->peer_port, address);
    log_line(c->net->log, ours ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, what,
             LOG_NUMBER("device", session_device(c->session)), LOG_TEXT("address", address),
             LOG_TEXT("reason", trouble->message));
}

static void step(conn *c, store_reader *reader, const session_event *event) {
    session_actions actions = {0};
    session_step(c->session, reader, event, &actions);
    log_trouble(c, &actions.trouble);
    for (uint32_t i = 0; i < actions.count; i++) {
        session_action *action = &actions.list[i];
        switch (action->kind) {
        case SESSION_ANSWER:
            answer(c, action);
            break;
        case SESSION_COMMIT:
            submit(c, reader, action->job);
            break;
        case SESSION_CLOSE:
            conn_close(c, "the session ended");
            break;
        }
    }
}

void conn_take_jobs(conn *c, store_reader *reader) {
    for (job *j = take_done(c), *next; j; j = next) {
        next = j->next;
        c->jobs--;
        if (c->phase < CONN_CLOSING)
            step(c, reader, &(session_event){.kind = SESSION_COMMITTED, .job = j});
        else
            job_free(j);
    }
}

void conn_wake_waits(conn *c, store_reader *reader, uint32_t events, int64_t now_ms) {
    if (!c->session || c->phase >= CONN_CLOSING)
        return;
    if (events & EVENT_MOVED)
        step(c, reader, &(session_event){.kind = SESSION_MOVED});
    int64_t deadline_ms = session_deadline_ms(c->session);
    if (c->phase < CONN_CLOSING && deadline_ms != 0 && deadline_ms <= now_ms)
        step(c, reader, &(session_event){.kind = SESSION_TICK});
}

/* ---- the channel ---- */

static void open_session(conn *c, span binding) {
    lp_error error;
    if (session_new(c->net->pool, binding, &c->session, &error) != LP_OK) {
        conn_close(c, error.message);
        return;
    }
    c->phase = CONN_GREETING;
    c->greet_by_ms = conn_now_ms(c) + c->net->config->handshake_timeout_ms;
}

static void take_message(conn *c, store_reader *reader, const channel_event *event) {
    step(c, reader, &(session_event){.kind = SESSION_MESSAGE, .id = event->id, .bytes = event->bytes});
    if (c->phase != CONN_GREETING || !session_known(c->session))
        return;
    c->phase = CONN_SERVING;
    char address[PEER_TEXT_BYTES];
    peer_format(&c->peer, c->peer_port, address);
    log_line(c->net->log, LOG_LEVEL_INFO, "device connected", LOG_NUMBER("device", session_device(c->session)),
             LOG_TEXT("address", address));
}

static void take_event(conn *c, store_reader *reader, const channel_event *event) {
    lp_error error;
    switch (event->kind) {
    case CHANNEL_NOTHING:
        return;
    case CHANNEL_OPEN:
        open_session(c, event->bytes);
        return;
    case CHANNEL_MESSAGE:
        take_message(c, reader, event);
        return;
    case CHANNEL_HTTP:
        if (http_answer(c->channel, event->method, event->path, &error) != LP_OK)
            conn_close(c, error.message);
        else
            conn_close(c, "answered a browser");
        return;
    case CHANNEL_CLOSED:
        conn_close(c, "the peer closed");
        return;
    case CHANNEL_FAILED:
        conn_close(c, event->error.message);
        return;
    }
}

static size_t output_held(const conn *c) {
    return c->output.size + channel_output(c->channel).size;
}

bool conn_has_room(const conn *c) {
    size_t limit = c->phase == CONN_SERVING ? OUTPUT_HELD_MAX : CONN_STRANGER_HELD_MAX;
    return c->jobs < SESSION_JOBS_MAX && output_held(c) < limit;
}

void conn_take_events(conn *c, store_reader *reader) {
    for (int turn = 0; c->phase < CONN_CLOSING && !c->draining && conn_has_room(c); turn++) {
        if (turn == TURNS_MAX) {
            conn_signal(c, EVENT_MORE);
            return;
        }
        channel_event event;
        channel_next(c->channel, &event);
        if (event.kind == CHANNEL_NOTHING)
            return;
        take_event(c, reader, &event);
    }
}
