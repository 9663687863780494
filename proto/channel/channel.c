/* channel.c - stacks the layers; see channel.h for the contract.
 *
 *     TLS --> SNIFF --> SP_HEADER --> SP
 *      |        \----> HTTP_HEAD ---> HTTP_ANSWER (the owner answers)
 *      |                    \-------> WS
 *      \----> SP_HEADER (ALPN "leadpool/1", and every client)             any --> OVER
 *
 * channel_receive only decrypts into `in`; channel_next walks the diagram. What went wrong or ended below (`failure`,
 * `ended`) is told after the messages that came before it, so that events do not depend on how the bytes were cut.
 *
 * A client whose ALPN was accepted by the pinned server is open before the server's SP header is here: that saves a
 * round trip on a thin line. The header is still checked before any message is read. */
#include "proto/channel/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/channel/fifo.h"
#include "proto/channel/http.h"
#include "proto/channel/sp.h"
#include "proto/channel/stranger.h"
#include "proto/channel/tls.h"
#include "proto/channel/ws.h"
#include "proto/err.h"
#include "proto/wire.h"

/* A peer that does not read gets no pongs beyond this much unread output. */
#define PONG_OUTPUT_BYTES_MAX (64 * 1024)

typedef enum channel_state {
    STATE_TLS,
    STATE_SNIFF,
    STATE_SP_HEADER,
    STATE_SP,
    STATE_HTTP_HEAD,
    STATE_HTTP_ANSWER,
    STATE_WS,
    STATE_OVER,
    STATE_COUNT
} channel_state;

struct channel {
    channel_options options;
    channel_state state;
    tls_session *tls;           /* NULL: plain text */
    http_head *head;            /* in the HTTP states */
    ws *ws;                     /* once upgraded */
    fifo in;                    /* decrypted, not read yet */
    buf staged;                 /* TLS: to be encrypted */
    fifo out;                   /* for the network */
    uint32_t receive_bytes_max; /* of a message body */
    bool open;                  /* CHANNEL_OPEN was told */
    bool closing;               /* channel_finished once `out` is empty */
    bool ended;                 /* nothing more comes from the peer */
    bool cut;                   /* TLS: it ended without close_notify */
    lp_error failure;           /* of TLS, not told yet; code LP_OK: none */
    uint8_t binding[TLS_BINDING_BYTES];
};

/* What a state made of the bytes there are. */
typedef enum step { STEP_WAIT, STEP_AGAIN, STEP_EVENT } step;

static sp_protocol own_protocol(const channel *c) {
    return c->options.server ? SP_REP : SP_REQ;
}

static sp_protocol peer_protocol(const channel *c) {
    return c->options.server ? SP_REQ : SP_REP;
}

/* Where the layers above TLS write; flush passes it on. */
static buf *writer(channel *c) {
    return c->tls ? &c->staged : fifo_tail(&c->out);
}

static lp_err flush(channel *c, lp_error *error) {
    if (c->staged.failed || c->out.bytes.failed)
        return err_plain(error, LP_NOMEM);
    if (c->staged.size == 0)
        return LP_OK;
    lp_err err = tls_session_send(c->tls, buf_span(&c->staged), fifo_tail(&c->out), error);
    buf_clear(&c->staged);
    fifo_release(&c->staged);
    return err;
}

lp_err channel_new(const channel_options *options, channel **channel_out, lp_error *error) {
    *channel_out = NULL;
    channel *c = calloc(1, sizeof *c);
    if (!c)
        return err_plain(error, LP_NOMEM);
    c->options = *options;
    if (!c->options.message_bytes_max)
        c->options.message_bytes_max = WIRE_MESSAGE_BYTES_MAX;
    c->receive_bytes_max = c->options.message_bytes_max;
    lp_err err = LP_OK;
    if (options->tls) {
        err = tls_session_new(options->tls, fifo_tail(&c->out), &c->tls, error);
    } else if (options->server) {
        c->state = STATE_SNIFF;
    } else {
        c->state = STATE_SP_HEADER;
        sp_append_header(writer(c), own_protocol(c));
    }
    if (!err)
        err = flush(c, error);
    if (err) {
        channel_free(c);
        return err;
    }
    *channel_out = c;
    return LP_OK;
}

void channel_free(channel *c) {
    if (!c)
        return;
    tls_session_free(c->tls);
    http_head_free(c->head);
    ws_free(c->ws);
    fifo_fini(&c->in);
    buf_fini(&c->staged);
    fifo_fini(&c->out);
    free(c);
}

void channel_receive(channel *c, span bytes) {
    if (c->state == STATE_OVER || c->state == STATE_HTTP_ANSWER || c->ended || c->failure.code)
        return;
    if (c->tls) {
        lp_error why = {0};
        if (tls_session_receive(c->tls, bytes, fifo_tail(&c->in), fifo_tail(&c->out), &why))
            c->failure = why;
        c->ended = tls_session_ended(c->tls);
    } else {
        buf_append_span(fifo_tail(&c->in), bytes);
    }
    if (c->in.bytes.failed)
        err_plain(&c->failure, LP_NOMEM);
}

void channel_receive_end(channel *c) {
    if (c->ended || c->state == STATE_OVER)
        return;
    c->ended = true;
    c->cut = c->tls && tls_session_begun(c->tls);
}

/* The last event: frees what reading needed, and says goodbye where TLS can. */
static void finish(channel *c) {
    lp_error ignored;
    c->state = STATE_OVER;
    if (flush(c, &ignored) == LP_OK && c->tls)
        tls_session_close(c->tls, fifo_tail(&c->out));
    fifo_fini(&c->in);
    http_head_free(c->head);
    c->head = NULL;
}

static step closed(channel *c, channel_event *event) {
    event->kind = CHANNEL_CLOSED;
    finish(c);
    return STEP_EVENT;
}

/* event->error says why already. */
static step failed(channel *c, channel_event *event) {
    event->kind = CHANNEL_FAILED;
    finish(c);
    return STEP_EVENT;
}

static step opened(channel *c, channel_event *event) {
    c->open = true;
    event->kind = CHANNEL_OPEN;
    event->bytes = span_of(c->binding, c->tls ? sizeof c->binding : 0);
    return STEP_EVENT;
}

/* Says our SP header and expects the peer's. */
static step start_sp(channel *c, channel_event *event) {
    c->state = STATE_SP_HEADER;
    sp_append_header(writer(c), own_protocol(c));
    return flush(c, &event->error) ? failed(c, event) : STEP_AGAIN;
}

static step step_tls(channel *c, channel_event *event) {
    if (!tls_session_ready(c->tls))
        return STEP_WAIT;
    if (tls_session_binding(c->tls, c->binding, &event->error))
        return failed(c, event);
    bool native = tls_session_native(c->tls);
    if (c->options.server && !native) {
        c->state = STATE_SNIFF;
        return STEP_AGAIN;
    }
    step next = start_sp(c, event);
    return next == STEP_AGAIN && !c->options.server && native ? opened(c, event) : next;
}

static step step_sniff(channel *c, channel_event *event) {
    span bytes = fifo_span(&c->in);
    if (bytes.size == 0)
        return STEP_WAIT;
    if (bytes.data[0] == 0)
        return start_sp(c, event);
    bool letter = bytes.data[0] >= 'A' && bytes.data[0] <= 'Z';
    if (c->options.allow_http && letter) {
        c->head = http_head_new();
        c->state = STATE_HTTP_HEAD;
        return c->head ? STEP_AGAIN : (err_plain(&event->error, LP_NOMEM), failed(c, event));
    }
    if (bytes.size < STRANGER_BYTES)
        return STEP_WAIT;
    stranger_describe(bytes, true, &event->error);
    return failed(c, event);
}

static step step_sp_header(channel *c, channel_event *event) {
    span header = fifo_span(&c->in);
    if (header.size < SP_HEADER_BYTES)
        return STEP_WAIT;
    header.size = SP_HEADER_BYTES;
    if (!sp_header_is(header, peer_protocol(c))) {
        stranger_describe(header, c->options.server, &event->error);
        return failed(c, event);
    }
    fifo_take(&c->in, SP_HEADER_BYTES);
    c->state = STATE_SP;
    return c->open ? STEP_AGAIN : opened(c, event);
}

static step message_event(const sp_message *message, channel_event *event) {
    event->kind = CHANNEL_MESSAGE;
    event->id = message->id;
    event->bytes = message->body;
    return STEP_EVENT;
}

static step step_sp(channel *c, channel_event *event) {
    bool found;
    sp_message message;
    if (sp_take_message(&c->in, c->receive_bytes_max, &found, &message, &event->error))
        return failed(c, event);
    return found ? message_event(&message, event) : STEP_WAIT;
}

/* Answers the browser, then fails the channel: a refused request ends its connection. */
static step refuse_http(channel *c, int status, channel_event *event) {
    err_set(&event->error, LP_PROTOCOL, "an HTTP request was refused with %d %s", status, http_reason(status));
    http_append_refusal(writer(c), status);
    return failed(c, event);
}

static step start_ws(channel *c, channel_event *event) {
    const http_request *request = http_head_request(c->head);
    int status = ws_judge(request, c->options.origins);
    if (status != 101)
        return refuse_http(c, status, event);
    c->ws = ws_new(c->receive_bytes_max);
    if (!c->ws) {
        err_plain(&event->error, LP_NOMEM);
        return failed(c, event);
    }
    if (ws_append_accept(writer(c), request, &event->error) || flush(c, &event->error))
        return failed(c, event);
    http_head_free(c->head);
    c->head = NULL;
    c->state = STATE_WS;
    return opened(c, event);
}

static step step_http_head(channel *c, channel_event *event) {
    size_t used;
    int status = http_head_read(c->head, fifo_span(&c->in), &used);
    fifo_take(&c->in, used);
    if (status == 0)
        return STEP_WAIT;
    if (status != 200)
        return refuse_http(c, status, event);
    const http_request *request = http_head_request(c->head);
    if (ws_wanted(request))
        return start_ws(c, event);
    c->state = STATE_HTTP_ANSWER;
    fifo_fini(&c->in);
    event->kind = CHANNEL_HTTP;
    snprintf(event->method, sizeof event->method, "%s", request->method);
    snprintf(event->path, sizeof event->path, "%s", request->target);
    return STEP_EVENT;
}

/* Nothing more is read: one request a connection. */
static step step_idle(channel *c, channel_event *event) {
    (void)c;
    (void)event;
    return STEP_WAIT;
}

static lp_err send_replies(channel *c, bool last, lp_error *error) {
    if (!last && fifo_span(&c->out).size > PONG_OUTPUT_BYTES_MAX)
        return LP_OK;
    ws_append_replies(c->ws, writer(c));
    return flush(c, error);
}

static step step_ws(channel *c, channel_event *event) {
    sp_message message;
    ws_result result = ws_next(c->ws, &c->in, &message, &event->error);
    if (result == WS_FAILED) {
        send_replies(c, true, NULL);
        return failed(c, event);
    }
    if (send_replies(c, result == WS_CLOSED, &event->error))
        return failed(c, event);
    if (result == WS_CLOSED)
        return closed(c, event);
    return result == WS_MESSAGE ? message_event(&message, event) : STEP_WAIT;
}

/* True if the peer may end here. A WebSocket ends by its close frame, which never gets here. */
static bool between_messages(const channel *c) {
    if (fifo_span(&c->in).size > 0)
        return false;
    if (c->state == STATE_TLS)
        return c->options.server && !tls_session_begun(c->tls);
    return c->state == STATE_SP || c->state == STATE_HTTP_ANSWER || c->state == STATE_SNIFF;
}

/* A stranger may say less than a header and go. */
static bool strange_beginning(const channel *c) {
    static const uint8_t start[] = {0, 'S', 'P', 0, 0};
    span bytes = fifo_span(&c->in);
    bool beginning = c->state == STATE_SNIFF || c->state == STATE_SP_HEADER;
    size_t count = bytes.size < sizeof start ? bytes.size : sizeof start;
    return beginning && count > 0 && memcmp(bytes.data, start, count) != 0;
}

/* All that came before the end was read: was it a good one? */
static step end(channel *c, channel_event *event) {
    if (between_messages(c) && (!c->cut || c->state == STATE_HTTP_ANSWER))
        return closed(c, event);
    if (strange_beginning(c))
        stranger_describe(fifo_span(&c->in), c->options.server, &event->error);
    else if (c->state == STATE_SP || c->state == STATE_WS)
        err_set(&event->error, LP_CLOSED, "the connection was cut without a proper end; connect again");
    else
        err_set(&event->error, LP_CLOSED, "the peer hung up before the connection was set up; try again");
    return failed(c, event);
}

void channel_next(channel *c, channel_event *event) {
    static step (*const steps[STATE_COUNT])(channel *, channel_event *) = {
        [STATE_TLS] = step_tls, [STATE_SNIFF] = step_sniff,         [STATE_SP_HEADER] = step_sp_header,
        [STATE_SP] = step_sp,   [STATE_HTTP_HEAD] = step_http_head, [STATE_HTTP_ANSWER] = step_idle,
        [STATE_WS] = step_ws,   [STATE_OVER] = step_idle,
    };
    *event = (channel_event){.kind = CHANNEL_NOTHING};
    step did = STEP_AGAIN;
    while (did == STEP_AGAIN)
        did = steps[c->state](c, event);
    if (did == STEP_EVENT || c->state == STATE_OVER)
        return;
    if (c->failure.code) {
        event->error = c->failure;
        failed(c, event);
        return;
    }
    if (c->ended) {
        end(c, event);
        return;
    }
    fifo_trim(&c->in);
    if (c->tls)
        tls_session_trim(c->tls);
}

lp_err channel_send(channel *c, uint32_t id, span body, lp_error *error) {
    if (!c->open || c->state == STATE_OVER)
        return err_set(error, LP_CLOSED, "the connection is not open; connect again");
    if (body.size > c->options.message_bytes_max)
        return err_set(error, LP_TOO_LARGE, "a message of %zu bytes; the limit is %u", body.size,
                       (unsigned)c->options.message_bytes_max);
    if (c->ws)
        ws_append_message(c->ws, writer(c), id, body);
    else
        sp_append_message(writer(c), id, body);
    return flush(c, error);
}

lp_err channel_http_answer(channel *c, int status, const char *content_type, span body, lp_error *error) {
    if (c->state != STATE_HTTP_ANSWER)
        return err_set(error, LP_CLOSED, "there is no HTTP request to answer");
    bool head_only = strcmp(http_head_request(c->head)->method, "HEAD") == 0;
    http_append_answer(writer(c), status, content_type, body, head_only);
    lp_err err = flush(c, error);
    c->closing = true;
    finish(c);
    return err;
}

void channel_close(channel *c) {
    c->closing = true;
    if (c->state == STATE_OVER)
        return;
    if (c->state == STATE_WS)
        ws_append_close(c->ws, writer(c));
    finish(c);
}

void channel_limit(channel *c, uint32_t message_bytes_max) {
    c->receive_bytes_max = message_bytes_max;
    if (c->ws)
        ws_limit(c->ws, message_bytes_max);
}

span channel_output(const channel *c) {
    return fifo_span(&c->out);
}

void channel_output_done(channel *c, size_t count) {
    fifo_take(&c->out, count);
    fifo_trim(&c->out);
    lp_error why;
    if (c->state == STATE_WS && send_replies(c, false, &why) && !c->failure.code)
        c->failure = why;
}

size_t channel_held_bytes(const channel *c) {
    size_t held = fifo_span(&c->in).size;
    if (c->tls && c->state != STATE_OVER)
        held += tls_session_held_bytes(c->tls);
    return c->ws ? held + ws_held_bytes(c->ws) : held;
}

bool channel_finished(const channel *c) {
    return (c->closing || c->state == STATE_OVER) && fifo_span(&c->out).size == 0;
}

bool channel_resumed(const channel *c) {
    return c->tls && tls_session_ready(c->tls) && tls_session_resumed(c->tls);
}
