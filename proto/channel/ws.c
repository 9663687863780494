/* ws.c - WebSocket frames to messages and back; see ws.h. */
#include "proto/channel/ws.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "proto/err.h"

#define CONTROL_BYTES_MAX 125 /* RFC 6455 section 5.5 */
#define ID_BYTES 4

typedef struct wslay_frame_iocb frame;

struct ws {
    wslay_frame_context_ptr frames;
    fifo *in; /* of the ws_next being run */
    buf *out; /* of the append being run */
    uint32_t body_bytes_max;
    size_t inside;       /* bytes of `in` that wslay took and has not given back */
    uint64_t frame_left; /* payload bytes still to come of the frame being read; meaningful while in_frame */
    bool in_frame;
    bool in_message; /* fragments were read, the last was not */
    bool delivered;  /* `message` was handed out and may go */
    buf message;
    uint8_t control[CONTROL_BYTES_MAX];
    size_t control_size;
    uint8_t pong[CONTROL_BYTES_MAX];
    size_t pong_size;
    bool pong_owed;
    uint16_t close_code; /* owed to the peer; 0: none */
    bool close_sent;
};

static ssize_t give_input(uint8_t *to, size_t capacity, int flags, void *user) {
    (void)flags;
    ws *w = user;
    span bytes = fifo_span(w->in);
    size_t count = bytes.size < capacity ? bytes.size : capacity;
    if (count == 0)
        return -1;
    memcpy(to, bytes.data, count);
    fifo_take(w->in, count);
    w->inside += count;
    return (ssize_t)count;
}

static ssize_t take_output(const uint8_t *data, size_t size, int flags, void *user) {
    (void)flags;
    ws *w = user;
    buf_append(w->out, data, size);
    return w->out->failed ? -1 : (ssize_t)size;
}

ws *ws_new(uint32_t body_bytes_max) {
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = give_input, .send_callback = take_output};
    ws *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->body_bytes_max = body_bytes_max;
    if (wslay_frame_context_init(&w->frames, &callbacks, w) != 0) {
        free(w);
        return NULL;
    }
    return w;
}

void ws_free(ws *w) {
    if (!w)
        return;
    wslay_frame_context_free(w->frames);
    buf_fini(&w->message);
    free(w);
}

void ws_limit(ws *w, uint32_t body_bytes_max) {
    w->body_bytes_max = body_bytes_max;
}

static ws_result refuse(ws *w, uint16_t close_code, lp_err code, const char *why, lp_error *error) {
    w->close_code = close_code;
    err_set(error, code, "the WebSocket peer sent %s", why);
    return WS_FAILED;
}

static ws_result refuse_frame(ws *w, const char *why, lp_error *error) {
    return refuse(w, WSLAY_CODE_PROTOCOL_ERROR, LP_PROTOCOL, why, error);
}

/* Judges a frame by its header. WS_MORE: it is good. */
static ws_result start_frame(ws *w, const frame *f, lp_error *error) {
    bool control = wslay_is_ctrl_frame(f->opcode);
    if (!f->mask)
        return refuse_frame(w, "a frame without a mask", error);
    if (f->rsv != WSLAY_RSV_NONE)
        return refuse_frame(w, "a frame of an extension that was not agreed on", error);
    if (control && (!f->fin || f->payload_length > CONTROL_BYTES_MAX))
        return refuse_frame(w, "a control frame that is too long or in pieces", error);
    if (f->opcode == WSLAY_TEXT_FRAME)
        return refuse(w, WSLAY_CODE_UNSUPPORTED_DATA, LP_PROTOCOL, "text; messages are binary", error);
    if (f->opcode > WSLAY_PONG || (f->opcode > WSLAY_BINARY_FRAME && !control))
        return refuse_frame(w, "a frame of an unknown kind", error);
    if (!control && (f->opcode == WSLAY_CONTINUATION_FRAME) != w->in_message)
        return refuse_frame(
            w, w->in_message ? "a new message inside another" : "the rest of a message without its start", error);
    if (!control && f->payload_length + w->message.size > (uint64_t)w->body_bytes_max + ID_BYTES)
        return refuse(w, WSLAY_CODE_MESSAGE_TOO_BIG, LP_TOO_LARGE, "a message over the limit", error);
    w->in_frame = true;
    w->frame_left = f->payload_length;
    w->control_size = 0;
    return WS_MORE;
}

/* Two bytes, an extended length, the mask key (RFC 6455 section 5.2). */
static size_t header_bytes(const frame *f) {
    return 2 + (f->payload_length < 126 ? 0 : f->payload_length < 65536 ? 2 : 8) + (f->mask ? 4 : 0);
}

static bool sound_close_code(uint16_t code) {
    if (code >= 3000)
        return code < 5000;
    return code >= 1000 && code < 1015 && (code < 1004 || code > 1006);
}

/* The peer's close: answered with its own code. */
static ws_result end_close(ws *w, lp_error *error) {
    if (w->control_size == 0) {
        w->close_code = WSLAY_CODE_NORMAL_CLOSURE;
        return WS_CLOSED;
    }
    uint16_t code = (uint16_t)(w->control[0] << 8 | w->control[1]);
    if (w->control_size == 1 || !sound_close_code(code))
        return refuse_frame(w, "a close frame with a bad code", error);
    w->close_code = code;
    return WS_CLOSED;
}

static ws_result end_control(ws *w, const frame *f, lp_error *error) {
    if (f->opcode == WSLAY_CONNECTION_CLOSE)
        return end_close(w, error);
    if (f->opcode == WSLAY_PING) {
        memcpy(w->pong, w->control, w->control_size);
        w->pong_size = w->control_size;
        w->pong_owed = true;
    }
    return WS_MORE;
}

static ws_result end_message(ws *w, sp_message *message_out, lp_error *error) {
    w->in_message = false;
    w->delivered = true;
    span bytes = buf_span(&w->message);
    lp_error why;
    if (sp_take_id(&bytes, &message_out->id, &why))
        return refuse_frame(w, why.message, error);
    message_out->body = bytes;
    return WS_MESSAGE;
}

static ws_result read_payload(ws *w, const frame *f, sp_message *message_out, lp_error *error) {
    bool control = wslay_is_ctrl_frame(f->opcode);
    if (control && f->data_length > 0) {
        memcpy(w->control + w->control_size, f->data, f->data_length);
        w->control_size += f->data_length;
    }
    if (!control) {
        w->in_message = true;
        buf_append(&w->message, f->data, f->data_length);
    }
    if (w->message.failed)
        return refuse(w, WSLAY_CODE_INTERNAL_SERVER_ERROR, LP_NOMEM, "more than there is memory for", error);
    w->inside -= f->data_length;
    w->frame_left -= f->data_length;
    if (w->frame_left > 0)
        return WS_MORE;
    w->in_frame = false;
    if (control)
        return end_control(w, f, error);
    return f->fin ? end_message(w, message_out, error) : WS_MORE;
}

ws_result ws_next(ws *w, fifo *in, sp_message *message_out, lp_error *error) {
    w->in = in;
    if (w->delivered) {
        w->delivered = false;
        buf_clear(&w->message);
        fifo_release(&w->message);
    }
    for (;;) {
        frame f = {0};
        ssize_t got = wslay_frame_recv(w->frames, &f);
        if (got == WSLAY_ERR_WANT_READ)
            return WS_MORE;
        if (got < 0)
            return refuse_frame(w, "a malformed frame", error);
        ws_result result = WS_MORE;
        if (!w->in_frame) {
            w->inside -= header_bytes(&f);
            result = start_frame(w, &f, error);
        }
        if (result == WS_MORE)
            result = read_payload(w, &f, message_out, error);
        if (result != WS_MORE)
            return result;
    }
}

/* Sends one frame whose payload is in two parts. A failure to do so shows in out->failed. */
static void append_frame(ws *w, buf *out, uint8_t opcode, span first, span second) {
    w->out = out;
    frame f = {.fin = 1, .opcode = opcode, .payload_length = first.size + second.size};
    f.data = first.data;
    f.data_length = first.size;
    wslay_frame_send(w->frames, &f);
    f.data = second.data;
    f.data_length = second.size;
    if (second.size > 0)
        wslay_frame_send(w->frames, &f);
}

void ws_append_message(ws *w, buf *out, uint32_t id, span body) {
    id |= SP_ID_BIT;
    const uint8_t digits[ID_BYTES] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    append_frame(w, out, WSLAY_BINARY_FRAME, span_of(digits, sizeof digits), body);
}

static void append_close(ws *w, buf *out, uint16_t code) {
    const uint8_t digits[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    if (!w->close_sent)
        append_frame(w, out, WSLAY_CONNECTION_CLOSE, span_of(digits, sizeof digits), (span){0});
    w->close_sent = true;
}

void ws_append_close(ws *w, buf *out) {
    append_close(w, out, WSLAY_CODE_NORMAL_CLOSURE);
}

void ws_append_replies(ws *w, buf *out) {
    if (w->pong_owed && !w->close_sent)
        append_frame(w, out, WSLAY_PONG, span_of(w->pong, w->pong_size), (span){0});
    w->pong_owed = false;
    if (w->close_code)
        append_close(w, out, w->close_code);
}

size_t ws_held_bytes(const ws *w) {
    return w->inside + (w->delivered ? 0 : w->message.size);
}
