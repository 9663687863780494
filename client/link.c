/* link.c - one nng stream and a channel on it; see link.h.
 *
 * nng runs the operations (dial, receive, send) and calls op_done on its own threads, which only notes the result; a send that nng
 * cut short goes on from there, so that bytes flow while the owner works on something else. Everything else, the channel included,
 * runs on the thread that calls link_wait.
 *
 * Invariants:
 *   (1) A dialer serves one attempt: nng 1.5.2 may never redial after a peer sent FIN and RST.
 *   (2) A connection is freed only after nng_aio_stop has ended each of its operations, so no callback finds it gone.
 *   (3) Bytes are received only when the channel has nothing more to say: a peer cannot make us queue.
 *   (4) In plain text the remote address is a loopback address, whatever the host's name resolved to.
 * Names are tried as the system orders their addresses, then IPv4 alone, then IPv6 alone, because nng uses the first address only, and
 * in exhibition halls one of the families is often announced and dead. */
#include "client/link.h"

#include <nng/nng.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/host.h"
#include "client/os.h"
#include "proto/err.h"

#define RECEIVE_BYTES (64 * 1024)

typedef struct op { /* an operation of nng */
    link_t *link;
    nng_aio *aio;
    bool busy; /* started and its result not taken yet; the waiting thread's */
    bool done; /* under link->mutex: ended, the result not taken yet */
    int result;
    size_t count; /* bytes moved */
} op;

typedef struct connection {
    op dial, receive, send;
    nng_stream_dialer *dialer;
    nng_stream *stream; /* NULL until dialled */
    channel *channel;
    bool open;       /* LINK_OPEN was given out */
    bool mute;       /* a send failed: what the peer said before that is still worth reading */
    buf out;         /* what `send` writes; nng's while it is busy, and so is out_from */
    size_t out_from; /* bytes of it that are written */
    uint8_t in[RECEIVE_BYTES];
} connection;

struct link {
    pthread_mutex_t mutex; /* guards woken, up_bytes and every op's done, result, count */
    pthread_cond_t changed;
    bool woken;
    connection *connection;
    tls_context *tls;
    char host[HOST_BYTES];
    char port[8];
    char address[HOST_BYTES + 16]; /* for people */
    int attempt;                   /* index into schemes */
    int first_result;              /* why attempt 0 failed */
    int32_t timeout_ms;
    int64_t until_ms; /* to be open by, in os_steady_ms time */
    bool lost;        /* `error` waits to be given out */
    lp_error error;
    buf message;                   /* backs link_event.bytes: a channel's bytes would not outlive link_send */
    uint64_t up_bytes, down_bytes; /* up_bytes grows on nng's threads */
};

static const char *const schemes[] = {"tcp", "tcp4", "tcp6"};
#define SCHEME_COUNT ((int)(sizeof schemes / sizeof *schemes))

/* ---- operations ---- */

static void op_done(void *ctx) {
    op *o = ctx;
    pthread_mutex_lock(&o->link->mutex);
    o->done = true;
    o->result = nng_aio_result(o->aio);
    o->count = nng_aio_count(o->aio);
    pthread_cond_signal(&o->link->changed);
    pthread_mutex_unlock(&o->link->mutex);
}

static bool op_init(op *o, link_t *l, void (*done)(void *ctx), void *ctx) {
    o->link = l;
    return nng_aio_alloc(&o->aio, done, ctx) == 0;
}

/* True once per operation, when it has ended. */
static bool op_take(op *o) {
    pthread_mutex_lock(&o->link->mutex);
    bool done = o->done;
    o->done = false;
    pthread_mutex_unlock(&o->link->mutex);
    if (done)
        o->busy = false;
    return done;
}

static void op_stop(op *o) {
    if (o->aio)
        nng_aio_stop(o->aio);
}

static void op_bytes(op *o, nng_stream *stream, void (*start)(nng_stream *, nng_aio *), void *bytes, size_t size) {
    nng_iov vector = {.iov_buf = bytes, .iov_len = size};
    nng_aio_set_iov(o->aio, 1, &vector);
    start(stream, o->aio);
}

/* ---- a connection ---- */

static void connection_receive(connection *c) {
    if (c->receive.busy)
        return;
    c->receive.busy = true;
    op_bytes(&c->receive, c->stream, nng_stream_recv, c->in, sizeof c->in);
}

static void start_send(connection *c) {
    op_bytes(&c->send, c->stream, nng_stream_send, c->out.data + c->out_from, c->out.size - c->out_from);
}

/* nng may send less than it was given: the rest follows at once, on nng's thread. */
static void send_done(void *ctx) {
    connection *c = ctx;
    link_t *l = c->send.link;
    size_t count = nng_aio_count(c->send.aio);
    pthread_mutex_lock(&l->mutex);
    l->up_bytes += count;
    pthread_mutex_unlock(&l->mutex);
    c->out_from += count;
    if (nng_aio_result(c->send.aio) == 0 && c->out_from < c->out.size)
        start_send(c);
    else
        op_done(&c->send);
}

/* Keeps one send in flight while the channel has output: all of it, so that it goes on without this thread. */
static void connection_send(connection *c) {
    if (c->send.busy || c->mute || !c->channel)
        return;
    span output = channel_output(c->channel);
    if (output.size == 0)
        return;
    buf_clear(&c->out);
    c->out_from = 0;
    buf_append_span(&c->out, output);
    if (c->out.failed)
        return; /* it stays in the channel; the answer's deadline ends a connection that never has the memory */
    channel_output_done(c->channel, output.size);
    c->send.busy = true;
    start_send(c);
}

/* Says good-bye if that goes without waiting (nng writes at once if nothing is queued), then frees all. */
static void connection_free(connection *c) {
    if (!c)
        return;
    if (c->channel) {
        channel_close(c->channel);
        connection_send(c);
    }
    if (c->dialer)
        nng_stream_dialer_close(c->dialer);
    if (c->stream)
        nng_stream_close(c->stream);
    op_stop(&c->dial);
    op_stop(&c->receive);
    op_stop(&c->send);
    if (!c->stream && c->dial.done && c->dial.result == 0)
        c->stream = nng_aio_get_output(c->dial.aio, 0); /* it came through in the last moment */
    nng_aio_free(c->dial.aio);
    nng_aio_free(c->receive.aio);
    nng_aio_free(c->send.aio);
    nng_stream_free(c->stream);
    nng_stream_dialer_free(c->dialer);
    channel_free(c->channel);
    buf_fini(&c->out);
    free(c);
}

static bool stream_is_loopback(nng_stream *stream) {
    nng_sockaddr remote;
    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &remote) != 0)
        return false;
    if (remote.s_family == NNG_AF_INET)
        return *(const uint8_t *)&remote.s_in.sa_addr == 127;
    static const uint8_t loopback[16] = {[15] = 1};
    return remote.s_family == NNG_AF_INET6 && memcmp(remote.s_in6.sa_addr, loopback, sizeof loopback) == 0;
}

/* ---- losing ---- */

static void lose(link_t *l, const lp_error *error) {
    l->error = *error;
    l->lost = true;
    connection_free(l->connection);
    l->connection = NULL;
}

/* What an nng failure means to a person who stands in a hall with a telephone. */
static void lose_for(link_t *l, int result) {
    lp_error error;
    bool dialling = !l->connection || !l->connection->stream;
    switch (result) {
    case NNG_ECONNREFUSED:
        err_set(&error, LP_OFFLINE, "no server answers at %s; check the address and that the server runs", l->address);
        break;
    case NNG_ETIMEDOUT:
        err_set(&error, LP_OFFLINE, "no answer from %s within %d s; check the network", l->address,
                l->timeout_ms / 1000);
        break;
    case NNG_EUNREACHABLE:
        err_set(&error, LP_OFFLINE, "no way to %s; check that this device is online", l->address);
        break;
    case NNG_ECONNRESET:
    case NNG_ECONNABORTED:
    case NNG_ECONNSHUT:
    case NNG_ECLOSED:
        err_set(&error, LP_OFFLINE, "the connection to %s broke off; check the network", l->address);
        break;
    case NNG_ENOMEM:
        err_plain(&error, LP_NOMEM);
        break;
    case NNG_ENOFILES:
        err_set(&error, LP_IO, "too many open files to connect to %s; close some", l->address);
        break;
    default:
        if (dialling && (result == NNG_EADDRINVAL || (result < NNG_ESYSERR && result > NNG_ESYSERR - 100)))
            err_set(&error, LP_OFFLINE, "cannot find the host %s; check its name and that this device is online",
                    l->host);
        else
            err_set(&error, LP_OFFLINE, "cannot reach %s: %s", l->address, nng_strerror(result));
    }
    lose(l, &error);
}

static void lose_late(link_t *l) {
    if (!l->connection->channel) {
        lose_for(l, NNG_ETIMEDOUT);
        return;
    }
    lp_error error;
    err_set(&error, LP_OFFLINE,
            "%s took the connection but did not say hello within %d s; check the address and the network", l->address,
            l->timeout_ms / 1000);
    lose(l, &error);
}

/* As the channel has it, except that an end in the middle of something is the network's doing and not the server's. */
static void lose_as(link_t *l, const lp_error *why) {
    lp_error error = *why;
    if (why->code == LP_CLOSED && l->connection->open)
        err_set(&error, LP_OFFLINE, "the connection to %s broke off; check the network", l->address);
    else if (why->code == LP_CLOSED)
        err_set(&error, LP_OFFLINE, "%s hung up before it said hello; check the address, then try again", l->address);
    lose(l, &error);
}

/* ---- connecting ---- */

lp_err link_new(link_t **link_out, lp_error *error) {
    link_t *l = calloc(1, sizeof *l);
    if (!l || !os_cond_init(&l->changed)) {
        free(l);
        return err_plain(error, LP_NOMEM);
    }
    pthread_mutex_init(&l->mutex, NULL);
    *link_out = l;
    return LP_OK;
}

void link_free(link_t *l) {
    if (!l)
        return;
    connection_free(l->connection);
    buf_fini(&l->message);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

/* Time for this attempt: half of what is left, all of it for the last. */
static int32_t attempt_ms(const link_t *l) {
    int64_t left_ms = l->until_ms - os_steady_ms();
    bool last = host_is_numeric(l->host) || l->attempt == SCHEME_COUNT - 1;
    int64_t ms = last ? left_ms : left_ms / 2;
    return ms < 1 ? 1 : (int32_t)ms;
}

static int start_dial(link_t *l) {
    connection *c = calloc(1, sizeof *c);
    if (!c)
        return NNG_ENOMEM;
    l->connection = c;
    if (!op_init(&c->dial, l, op_done, &c->dial) || !op_init(&c->receive, l, op_done, &c->receive) ||
        !op_init(&c->send, l, send_done, c))
        return NNG_ENOMEM;
    char *scheme = (char *)schemes[l->attempt];
    nng_url url = {
        .u_rawurl = "", .u_scheme = scheme, .u_host = l->host, .u_hostname = l->host, .u_port = l->port, .u_path = ""};
    int result = nng_stream_dialer_alloc_url(&c->dialer, &url);
    if (result == 0)
        result = nng_stream_dialer_set_bool(c->dialer, NNG_OPT_TCP_NODELAY, true);
    if (result != 0)
        return result;
    nng_aio_set_timeout(c->dial.aio, attempt_ms(l));
    c->dial.busy = true;
    nng_stream_dialer_dial(c->dialer, c->dial.aio);
    return 0;
}

void link_connect(link_t *l, const char *host, uint16_t port, tls_context *tls, int32_t timeout_ms) {
    lp_error error;
    link_close(l);
    if (!host_is_valid(host) || port == 0) {
        err_set(&error, LP_INVALID, "\"%.100s\" port %u is no address of a server; check it", host, port);
        lose(l, &error);
        return;
    }
    snprintf(l->host, sizeof l->host, "%s", host);
    snprintf(l->port, sizeof l->port, "%u", port);
    snprintf(l->address, sizeof l->address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    if (!tls && !host_is_loopback(host)) {
        err_set(&error, LP_UNTRUSTED, "plain text to %s is refused: only a loopback address may go without TLS",
                l->address);
        lose(l, &error);
        return;
    }
    l->tls = tls;
    l->attempt = 0;
    l->timeout_ms = timeout_ms;
    l->until_ms = os_steady_ms() + timeout_ms;
    int result = start_dial(l);
    if (result != 0)
        lose_for(l, result);
}

void link_close(link_t *l) {
    connection_free(l->connection);
    l->connection = NULL;
    l->lost = false;
}

static bool another_may_help(const link_t *l) {
    int result = l->first_result;
    return !host_is_numeric(l->host) && l->attempt + 1 < SCHEME_COUNT && l->until_ms > os_steady_ms() &&
           (result == NNG_ECONNREFUSED || result == NNG_ETIMEDOUT || result == NNG_EUNREACHABLE);
}

/* The first failure is the one to report: a name without an IPv6 address is not news. */
static void dial_failed(link_t *l, int result) {
    if (l->attempt == 0)
        l->first_result = result;
    if (!another_may_help(l)) {
        lose_for(l, l->first_result);
        return;
    }
    connection_free(l->connection);
    l->connection = NULL;
    l->attempt++;
    int again = start_dial(l);
    if (again != 0)
        lose_for(l, again);
}

static void dialled(link_t *l) {
    connection *c = l->connection;
    lp_error error;
    if (c->dial.result != 0) {
        dial_failed(l, c->dial.result);
        return;
    }
    c->stream = nng_aio_get_output(c->dial.aio, 0);
    if (!l->tls && !stream_is_loopback(c->stream)) {
        err_set(&error, LP_UNTRUSTED, "%s leads away from this device: plain text is refused", l->address);
        lose(l, &error);
        return;
    }
    channel_options options = {.tls = l->tls};
    if (channel_new(&options, &c->channel, &error) != LP_OK)
        lose(l, &error);
}

/* ---- running ---- */

static void received(link_t *l) {
    connection *c = l->connection;
    int result = c->receive.result;
    if (result == 0) {
        l->down_bytes += c->receive.count;
        channel_receive(c->channel, span_of(c->in, c->receive.count));
    } else if (result == NNG_ECLOSED || result == NNG_ECONNSHUT) {
        channel_receive_end(c->channel);
    } else {
        lose_for(l, result);
    }
}

static void sent(link_t *l) {
    connection *c = l->connection;
    c->mute = c->send.result != 0;
    if (!c->mute)
        connection_send(c);
}

/* Takes the results that have come in. */
static void collect(link_t *l) {
    if (l->connection && op_take(&l->connection->dial))
        dialled(l);
    if (l->connection && op_take(&l->connection->send))
        sent(l);
    if (l->connection && op_take(&l->connection->receive))
        received(l);
}

static bool give_bytes(link_t *l, link_event_kind kind, const channel_event *said, link_event *event_out) {
    buf_clear(&l->message);
    buf_append_span(&l->message, said->bytes);
    if (l->message.failed) {
        lose_for(l, NNG_ENOMEM);
        return false;
    }
    *event_out = (link_event){.kind = kind, .id = said->id, .bytes = buf_span(&l->message)};
    return true;
}

/* The channel's next event, if it has one for the owner; a failure becomes `lost`. */
static bool hear(link_t *l, link_event *event_out) {
    connection *c = l->connection;
    channel_event said;
    channel_next(c->channel, &said);
    switch (said.kind) {
    case CHANNEL_OPEN:
        c->open = true;
        return give_bytes(l, LINK_OPEN, &said, event_out);
    case CHANNEL_MESSAGE:
        return give_bytes(l, LINK_MESSAGE, &said, event_out);
    case CHANNEL_NOTHING:
        connection_send(c);
        connection_receive(c);
        return false;
    case CHANNEL_FAILED:
        lose_as(l, &said.error);
        return false;
    case CHANNEL_CLOSED:
    case CHANNEL_HTTP:
        break;
    }
    lp_error error;
    err_set(&error, LP_OFFLINE, "the server at %s closed the connection", l->address);
    lose(l, &error);
    return false;
}

static bool take_woken(link_t *l) {
    pthread_mutex_lock(&l->mutex);
    bool woken = l->woken;
    l->woken = false;
    pthread_mutex_unlock(&l->mutex);
    return woken;
}

/* Waits for a result, a wake-up or the time; false if the time has come. */
static bool doze(link_t *l, int64_t until_ms) {
    const connection *c = l->connection;
    bool in_time = true;
    pthread_mutex_lock(&l->mutex);
    while (in_time && !l->woken && !(c && (c->dial.done || c->receive.done || c->send.done)))
        in_time = os_cond_wait(&l->changed, &l->mutex, until_ms);
    pthread_mutex_unlock(&l->mutex);
    return in_time;
}

void link_wait(link_t *l, int32_t timeout_ms, link_event *event_out) {
    int64_t end_ms = timeout_ms < 0 ? INT64_MAX : os_steady_ms() + timeout_ms;
    for (bool in_time = true;;) {
        *event_out = (link_event){.kind = LINK_WOKEN};
        if (take_woken(l))
            return;
        collect(l);
        if (l->connection && l->connection->channel && hear(l, event_out))
            return;
        bool opening = l->connection && !l->connection->open;
        if (opening && os_steady_ms() >= l->until_ms)
            lose_late(l);
        if (l->lost) {
            *event_out = (link_event){.kind = LINK_LOST, .error = l->error};
            l->lost = false;
            return;
        }
        if (!in_time && os_steady_ms() >= end_ms) {
            *event_out = (link_event){.kind = LINK_TIMEOUT};
            return;
        }
        in_time = doze(l, opening && l->until_ms < end_ms ? l->until_ms : end_ms);
    }
}

lp_err link_send(link_t *l, uint32_t id, span message, lp_error *error) {
    connection *c = l->connection;
    if (!c || !c->open)
        return err_set(error, LP_CLOSED, "not connected to a server");
    lp_err rc = channel_send(c->channel, id, message, error);
    connection_send(c);
    return rc;
}

void link_wake(link_t *l) {
    pthread_mutex_lock(&l->mutex);
    l->woken = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

void link_bytes(link_t *l, uint64_t *up_out, uint64_t *down_out) {
    pthread_mutex_lock(&l->mutex);
    *up_out = l->up_bytes;
    pthread_mutex_unlock(&l->mutex);
    *down_out = l->down_bytes;
}
