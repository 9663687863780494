/* browser.c - see browser.h. */
#include "tests/support/browser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define STEP_SECONDS 20
#define REQUEST_BYTES 4096

bool browser_open(browser *b, const served *s, const char *alpn) {
    *b = (browser){.port = net_port(s->net)};
    b->fd = caller_dial(b->port);
    assert_true(b->fd >= 0);
    const struct timeval step = {.tv_sec = STEP_SECONDS};
    assert_int_equal(setsockopt(b->fd, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof step), 0);
    b->context = SSL_CTX_new(TLS_client_method());
    assert_non_null(b->context);
    b->ssl = SSL_new(b->context);
    assert_non_null(b->ssl);
    if (alpn)
        assert_int_equal(SSL_set_alpn_protos(b->ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn)), 0);
    assert_int_equal(SSL_set_fd(b->ssl, b->fd), 1);
    return SSL_connect(b->ssl) == 1;
}

void browser_close(browser *b) {
    SSL_free(b->ssl);
    SSL_CTX_free(b->context);
    if (b->fd >= 0)
        close(b->fd);
    buf_fini(&b->in);
    buf_fini(&b->taken);
    *b = (browser){.fd = -1};
}

void browser_write(browser *b, span bytes) {
    assert_int_equal(SSL_write(b->ssl, bytes.data, (int)bytes.size), (int)bytes.size);
}

/* Waits for more; false at the end of the connection. */
static bool read_more(browser *b) {
    uint8_t block[4096];
    int got = SSL_read(b->ssl, block, sizeof block);
    if (got <= 0) {
        b->ended_well = SSL_get_error(b->ssl, got) == SSL_ERROR_ZERO_RETURN;
        return false;
    }
    buf_append(&b->in, block, (size_t)got);
    assert_false(b->in.failed);
    return true;
}

/* Moves the first `size` bytes of `in` to `taken`, with a NUL behind them. */
static span take(browser *b, size_t size) {
    buf_clear(&b->taken);
    buf_append(&b->taken, b->in.data, size);
    buf_append_byte(&b->taken, 0);
    assert_false(b->taken.failed);
    buf_consume(&b->in, size);
    return span_of(b->taken.data, size);
}

const char *browser_rest(browser *b) {
    while (read_more(b))
        continue;
    return (const char *)take(b, b->in.size).data;
}

const char *browser_fetch(browser *b, const served *s, span request) {
    assert_true(browser_open(b, s, BROWSER_ALPN));
    browser_write(b, request);
    return browser_rest(b);
}

/* An answer's head, or all there was. */
static const char *read_head(browser *b) {
    static const char end[] = "\r\n\r\n";
    size_t seen = 0;
    for (;;) {
        for (; seen + 4 <= b->in.size; seen++)
            if (memcmp(b->in.data + seen, end, 4) == 0)
                return (const char *)take(b, seen + 4).data;
        if (!read_more(b))
            return (const char *)take(b, b->in.size).data;
    }
}

const char *browser_upgrade_with(browser *b, const served *s, const char *old, const char *new) {
    char request[REQUEST_BYTES], changed[REQUEST_BYTES];
    snprintf(request, sizeof request, BROWSER_UPGRADE, net_port(s->net), net_port(s->net));
    const char *at = strstr(request, old);
    assert_non_null(at);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - request), request, new, at + strlen(old));
    assert_true(browser_open(b, s, "\x08http/1.1"));
    browser_write(b, span_text(changed));
    return read_head(b);
}

const char *browser_upgrade(browser *b, const served *s) {
    return browser_upgrade_with(b, s, "", "");
}

void browser_frame(browser *b, uint8_t first, span payload) {
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    buf frame = {0};
    buf_append_byte(&frame, first);
    if (payload.size < 126) {
        buf_append_byte(&frame, (uint8_t)(0x80 | payload.size));
    } else {
        assert_true(payload.size < 65536);
        buf_append_byte(&frame, 0x80 | 126);
        buf_append_byte(&frame, (uint8_t)(payload.size >> 8));
        buf_append_byte(&frame, (uint8_t)payload.size);
    }
    buf_append(&frame, mask, sizeof mask);
    for (size_t i = 0; i < payload.size; i++)
        buf_append_byte(&frame, payload.data[i] ^ mask[i % 4]);
    assert_false(frame.failed);
    browser_write(b, buf_span(&frame));
    buf_fini(&frame);
}

static bool have(browser *b, size_t size) {
    while (b->in.size < size)
        if (!read_more(b))
            return false;
    return true;
}

uint8_t browser_next(browser *b, span *payload_out) {
    *payload_out = (span){0};
    if (!have(b, 2))
        return 0;
    size_t head = 2, size = b->in.data[1];
    assert_true(size < 128); /* a server's frames are not masked */
    assert_true(size < 127); /* no answer here is that long */
    if (size == 126) {
        assert_true(have(b, 4));
        size = (size_t)b->in.data[2] << 8 | b->in.data[3];
        head = 4;
    }
    assert_true(have(b, head + size));
    span frame = take(b, head + size);
    *payload_out = span_of(frame.data + head, size);
    return frame.data[0];
}

uint16_t browser_close_code(browser *b) {
    span payload;
    if (browser_next(b, &payload) != (FRAME_LAST | FRAME_CLOSE) || payload.size < 2)
        return 0;
    return (uint16_t)(payload.data[0] << 8 | payload.data[1]);
}

void browser_send(browser *b, uint32_t id, const message *m) {
    const uint8_t digits[4] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    buf bytes = {0};
    buf_append(&bytes, digits, sizeof digits);
    assert_int_equal(message_encode(m, &bytes, NULL), LP_OK);
    browser_frame(b, FRAME_LAST | FRAME_BINARY, buf_span(&bytes));
    buf_fini(&bytes);
}

uint32_t browser_receive(browser *b, message *message_out) {
    span payload;
    assert_int_equal(browser_next(b, &payload), FRAME_LAST | FRAME_BINARY);
    assert_true(payload.size > 4);
    const uint8_t *id = payload.data;
    assert_int_equal(message_decode(span_of(payload.data + 4, payload.size - 4), message_out, NULL), LP_OK);
    return (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
}

span browser_binding(browser *b, uint8_t binding_out[32]) {
    static const char label[] = "EXPORTER-Channel-Binding";
    assert_int_equal(SSL_export_keying_material(b->ssl, binding_out, 32, label, sizeof label - 1, NULL, 0, 0), 1);
    return span_of(binding_out, 32);
}
