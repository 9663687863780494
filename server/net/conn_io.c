/* conn_io.c - bytes between nng's stream and the channel, one receive and one send under way at most.
 *
 * Invariants:
 *   (1) What nng reads into or writes from belongs to it until the aio has come back: `input` and `output` are not touched while
 *       `receiving` or `sending`.
 *   (2) A quiet connection keeps INPUT_BYTES_MIN of input and no output. */
#include <stdlib.h>

#include "proto/err.h"
#include "server/net/conn.h"

#define INPUT_BYTES_MIN 4096u
#define INPUT_BYTES_MAX 65536u
#define OUTPUT_BYTES_MAX 65536u

static void on_received(void *argument) {
    conn_signal(argument, EVENT_RECEIVED);
}

static void on_sent(void *argument) {
    conn_signal(argument, EVENT_SENT);
}

lp_err conn_io_init(conn *c) {
    c->input_wanted = INPUT_BYTES_MIN;
    if (nng_aio_alloc(&c->receive_aio, on_received, c) != 0 || nng_aio_alloc(&c->send_aio, on_sent, c) != 0)
        return LP_NOMEM;
    return LP_OK;
}

void conn_io_fini(conn *c) {
    if (c->stream)
        nng_stream_close(c->stream);
    nng_aio_free(c->receive_aio);
    nng_aio_free(c->send_aio);
    if (c->stream)
        nng_stream_free(c->stream);
    free(c->input);
    buf_fini(&c->output);
}

void conn_drop(conn *c) {
    if (c->phase != CONN_DEAD)
        nng_stream_close(c->stream);
    c->phase = CONN_DEAD;
}

/* The next receive gets more room if this one filled its own, from peers we know. */
static uint32_t wanted_after(const conn *c, size_t count) {
    if (count < INPUT_BYTES_MIN || c->phase != CONN_SERVING)
        return INPUT_BYTES_MIN;
    return count == c->input_size ? INPUT_BYTES_MAX : c->input_size;
}

void conn_take_received(conn *c, int64_t now_ms) {
    c->receiving = false;
    if (c->phase == CONN_DEAD)
        return;
    size_t count = nng_aio_result(c->receive_aio) == 0 ? nng_aio_count(c->receive_aio) : 0;
    if (count == 0) {
        c->ended = true; /* of its half: our last output may still be wanted */
        if (c->phase != CONN_CLOSING)
            channel_receive_end(c->channel);
        return;
    }
    c->received_ms = now_ms;
    if (c->phase == CONN_CLOSING)
        return; /* read only to see the end of file */
    c->active_ms = now_ms;
    c->input_wanted = wanted_after(c, count);
    channel_receive(c->channel, span_of(c->input, count));
}

static bool fit_input(conn *c) {
    if (c->input_size == c->input_wanted)
        return true;
    uint8_t *input = realloc(c->input, c->input_wanted);
    if (!input)
        return c->input != NULL;
    c->input = input;
    c->input_size = c->input_wanted;
    return true;
}

void conn_start_receive(conn *c) {
    if (c->receiving || c->ended || c->phase == CONN_DEAD)
        return;
    if (!fit_input(c)) {
        conn_drop(c);
        return;
    }
    nng_iov iov = {.iov_buf = c->input, .iov_len = c->input_size};
    nng_aio_set_iov(c->receive_aio, 1, &iov);
    c->receiving = true;
    nng_stream_recv(c->stream, c->receive_aio);
}

void conn_take_sent(conn *c, int64_t now_ms) {
    c->sending = false;
    if (c->phase == CONN_DEAD)
        return;
    if (nng_aio_result(c->send_aio) != 0) {
        conn_drop(c);
        return;
    }
    buf_consume(&c->output, nng_aio_count(c->send_aio));
    c->active_ms = now_ms;
    if (c->output.size == 0)
        buf_fini(&c->output);
}

void conn_start_send(conn *c, int64_t now_ms) {
    if (c->sending || c->phase == CONN_DEAD)
        return;
    if (c->output.size == 0) {
        span ready = channel_output(c->channel);
        if (ready.size == 0)
            return;
        if (ready.size > OUTPUT_BYTES_MAX)
            ready.size = OUTPUT_BYTES_MAX;
        buf_append_span(&c->output, ready);
        if (c->output.failed) {
            conn_drop(c);
            return;
        }
        channel_output_done(c->channel, ready.size);
    }
    nng_iov iov = {.iov_buf = c->output.data, .iov_len = c->output.size};
    nng_aio_set_iov(c->send_aio, 1, &iov);
    c->sending = true;
    c->sent_ms = now_ms;
    nng_stream_send(c->stream, c->send_aio);
}
