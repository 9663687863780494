/* blocking.c - see blocking.h. */
#include "server/net/blocking.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/err.h"

#define SOCKET_NAME "control.sock"
#define SOCKET_PATH_BYTES_MAX 107 /* unix(7): sun_path with its NUL holds 108 */

lp_err blocking_url(const char *directory, char url_out[BLOCKING_URL_BYTES], int *fd_out, lp_error *error) {
    *fd_out = -1;
    if (strlen(directory) + sizeof "/" SOCKET_NAME - 1 <= SOCKET_PATH_BYTES_MAX) {
        snprintf(url_out, BLOCKING_URL_BYTES, "ipc://%s/" SOCKET_NAME, directory);
        return LP_OK;
    }
    *fd_out = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd_out < 0)
        return err_set(error, LP_IO, "cannot open %s: %s", directory, strerror(errno));
    snprintf(url_out, BLOCKING_URL_BYTES, "ipc:///proc/self/fd/%d/" SOCKET_NAME, *fd_out);
    return LP_OK;
}

lp_err blocking_open(blocking *b, nng_stream *stream, nng_aio *aio, bool server, lp_error *error) {
    b->stream = stream;
    b->aio = aio;
    b->channel = NULL;
    lp_err err = channel_new(&(channel_options){.server = server}, &b->channel, error);
    if (err != LP_OK)
        blocking_close(b);
    return err;
}

void blocking_close(blocking *b) {
    channel_free(b->channel);
    nng_stream_close(b->stream);
    nng_stream_free(b->stream);
}

static lp_err failed(int rv, lp_error *error) {
    if (rv == NNG_ETIMEDOUT)
        return err_set(error, LP_TIMEOUT, "the other end of the control socket does not answer");
    return err_set(error, LP_CLOSED, "the other end of the control socket has gone: %s", nng_strerror(rv));
}

static lp_err flush(blocking *b, int32_t timeout_ms, lp_error *error) {
    nng_aio_set_timeout(b->aio, timeout_ms);
    for (span out = channel_output(b->channel); out.size > 0; out = channel_output(b->channel)) {
        nng_iov iov = {.iov_buf = (void *)(uintptr_t)out.data, .iov_len = out.size};
        nng_aio_set_iov(b->aio, 1, &iov);
        nng_stream_send(b->stream, b->aio);
        nng_aio_wait(b->aio);
        int rv = nng_aio_result(b->aio);
        if (rv != 0)
            return failed(rv, error);
        channel_output_done(b->channel, nng_aio_count(b->aio));
    }
    return LP_OK;
}

static lp_err fill(blocking *b, int32_t timeout_ms, lp_error *error) {
    nng_iov iov = {.iov_buf = b->input, .iov_len = sizeof b->input};
    nng_aio_set_timeout(b->aio, timeout_ms < 0 ? NNG_DURATION_INFINITE : timeout_ms);
    nng_aio_set_iov(b->aio, 1, &iov);
    nng_stream_recv(b->stream, b->aio);
    nng_aio_wait(b->aio);
    int rv = nng_aio_result(b->aio);
    if (rv != 0)
        return failed(rv, error);
    channel_receive(b->channel, span_of(b->input, nng_aio_count(b->aio)));
    return LP_OK;
}

/* Takes events until one of `wanted` or until the channel wants more bytes. */
static lp_err next_event(blocking *b, channel_event_kind wanted, channel_event *event, lp_error *error) {
    for (;;) {
        channel_next(b->channel, event);
        if (event->kind == wanted || event->kind == CHANNEL_NOTHING)
            return LP_OK;
        if (event->kind == CHANNEL_FAILED)
            return err_set(error, LP_PROTOCOL, "%s", event->error.message);
        return err_set(error, LP_CLOSED, "the other end of the control socket said something unexpected");
    }
}

lp_err blocking_receive(blocking *b, int32_t timeout_ms, uint32_t *id_out, span *message_out, lp_error *error) {
    channel_event event;
    for (;;) {
        lp_err err = flush(b, timeout_ms, error);
        if (err == LP_OK)
            err = next_event(b, CHANNEL_MESSAGE, &event, error);
        if (err != LP_OK)
            return err;
        if (event.kind == CHANNEL_MESSAGE)
            break;
        err = fill(b, timeout_ms, error);
        if (err != LP_OK)
            return err;
    }
    *id_out = event.id;
    *message_out = event.bytes;
    return LP_OK;
}

lp_err blocking_handshake(blocking *b, int32_t timeout_ms, lp_error *error) {
    channel_event event;
    for (;;) {
        lp_err err = flush(b, timeout_ms, error);
        if (err == LP_OK)
            err = next_event(b, CHANNEL_OPEN, &event, error);
        if (err != LP_OK || event.kind == CHANNEL_OPEN)
            return err;
        err = fill(b, timeout_ms, error);
        if (err != LP_OK)
            return err;
    }
}

lp_err blocking_send(blocking *b, uint32_t id, span message, int32_t timeout_ms, lp_error *error) {
    lp_err err = channel_send(b->channel, id, message, error);
    return err == LP_OK ? flush(b, timeout_ms, error) : err;
}
