/* control_client.c - the command's end of the control socket; see control_socket.h. */
#include <unistd.h>

#include "proto/err.h"
#include "proto/message.h"
#include "proto/wire.h"
#include "server/net/blocking.h"
#include "server/net/control_socket.h"

#define REQUEST_ID 0x80000001u
#define CONNECT_MS 2000

static void pass_progress(const message *m, store_progress_fn progress, void *ctx) {
    uint64_t numbers[2] = {0, 0}; /* done, total */
    wire_reader r = wire_open(m->result);
    for (uint32_t left = wire_map(&r); left > 0 && !r.failed; left--) {
        span name = wire_text(&r);
        uint64_t value = wire_u64(&r);
        if (span_equal(name, SPAN_LITERAL("done")))
            numbers[0] = value;
        if (span_equal(name, SPAN_LITERAL("total")))
            numbers[1] = value;
    }
    if (progress && !r.failed)
        progress(ctx, numbers[0], numbers[1]);
}

static lp_err converse(blocking *peer, span request, store_progress_fn progress, void *ctx, buf *answer_out,
                       lp_error *error) {
    uint32_t id;
    span bytes;
    message m;
    lp_err err = blocking_handshake(peer, CONNECT_MS, error);
    if (err == LP_OK)
        err = blocking_send(peer, REQUEST_ID, request, CONNECT_MS, error);
    for (;;) {
        if (err == LP_OK)
            err = blocking_receive(peer, -1, &id, &bytes, error);
        if (err == LP_OK)
            err = message_decode(bytes, &m, error);
        if (err != LP_OK)
            return err;
        if (m.number != MSG_CONTROLLED || !m.more)
            break;
        pass_progress(&m, progress, ctx);
    }
    buf_append_span(answer_out, bytes);
    return answer_out->failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

static lp_err dial(const char *directory, const char *url, nng_aio *aio, nng_stream **stream_out, lp_error *error) {
    nng_stream_dialer *dialer;
    if (nng_stream_dialer_alloc(&dialer, url) != 0)
        return err_plain(error, LP_NOMEM);
    nng_aio_set_timeout(aio, CONNECT_MS);
    nng_stream_dialer_dial(dialer, aio);
    nng_aio_wait(aio);
    int rv = nng_aio_result(aio);
    if (rv == 0)
        *stream_out = nng_aio_get_output(aio, 0);
    nng_stream_dialer_free(dialer);
    if (rv == NNG_EPERM)
        return err_set(error, LP_DENIED, "the control socket of %s belongs to another user; run this as that user",
                       directory);
    return rv == 0 ? LP_OK : err_set(error, LP_OFFLINE, "no server runs in %s", directory);
}

lp_err control_call(const char *directory, span request, store_progress_fn progress, void *ctx, buf *answer_out,
                    lp_error *error) {
    char url[BLOCKING_URL_BYTES];
    int directory_fd;
    nng_aio *aio = NULL;
    nng_stream *stream = NULL;
    blocking peer;
    lp_err err = blocking_url(directory, url, &directory_fd, error);
    if (err == LP_OK && nng_aio_alloc(&aio, NULL, NULL) != 0)
        err = err_plain(error, LP_NOMEM);
    if (err == LP_OK)
        err = dial(directory, url, aio, &stream, error);
    if (err == LP_OK)
        err = blocking_open(&peer, stream, aio, false, error);
    if (err == LP_OK) {
        err = converse(&peer, request, progress, ctx, answer_out, error);
        blocking_close(&peer);
    }
    nng_aio_free(aio);
    if (directory_fd >= 0)
        close(directory_fd);
    return err;
}
