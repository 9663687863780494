/* test_channel_ws.c - WebSocket: the upgrade, frames to messages in any cut, and hostile frames. */
#include "channel_ends.h"

#include "proto/channel/ws.h"

#define LIMIT 70000u

/* Flags of a hand-made frame. */
#define FIN 0x80
#define NO_MASK 0x100

static void append_frame(buf *out, unsigned first_byte, span payload) {
    const uint8_t mask[4] = {0x11, 0xA2, 0x33, 0xC4};
    bool masked = !(first_byte & NO_MASK);
    uint8_t bit = masked ? 0x80 : 0;
    buf_append_byte(out, (uint8_t)first_byte);
    if (payload.size < 126) {
        buf_append_byte(out, (uint8_t)(bit | payload.size));
    } else if (payload.size < 65536) {
        const uint8_t length[3] = {bit | 126, (uint8_t)(payload.size >> 8), (uint8_t)payload.size};
        buf_append(out, length, sizeof length);
    } else {
        const uint8_t length[9] = {bit | 127,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0,
                                   (uint8_t)(payload.size >> 16),
                                   (uint8_t)(payload.size >> 8),
                                   (uint8_t)payload.size};
        buf_append(out, length, sizeof length);
    }
    if (masked)
        buf_append(out, mask, sizeof mask);
    for (size_t i = 0; i < payload.size; i++)
        buf_append_byte(out, masked ? payload.data[i] ^ mask[i % 4] : payload.data[i]);
}

/* What the layer makes of `bytes`: messages, end or failure, then "| " and its replies in hex. */
static void run_cut(span bytes, size_t cut, buf *log) {
    ws *w = ws_new(LIMIT);
    fifo in = {0};
    buf out = {0};
    ws_result result = WS_MORE;
    lp_error error;
    while (bytes.size > 0 && result == WS_MORE) {
        span piece;
        sp_message message;
        span_take(&bytes, ends_piece(cut, bytes.size), &piece);
        buf_append_span(fifo_tail(&in), piece);
        while ((result = ws_next(w, &in, &message, &error)) == WS_MESSAGE) {
            ends_log(log, "message %08x %zu ", message.id, message.body.size);
            buf_append_span(log, message.body);
            ends_log(log, "\n");
        }
        assert_true(ws_held_bytes(w) <= LIMIT + 4 + 14 + piece.size);
    }
    if (result == WS_MORE)
        ends_log(log, "held %zu\n", ws_held_bytes(w));
    if (result == WS_CLOSED)
        ends_log(log, "closed\n");
    if (result == WS_FAILED)
        ends_log(log, "failed %s %s\n", lp_err_name(error.code), error.message);
    ws_append_replies(w, &out);
    ends_log(log, "| ");
    for (size_t i = 0; i < out.size; i++)
        ends_log(log, "%02x", out.data[i]);
    buf_append_byte(log, '\0');
    ws_free(w);
    fifo_fini(&in);
    buf_fini(&out);
}

/* Runs `bytes` whole and in pieces, proves that nothing differs, and frees `bytes`. */
static void expect(buf *bytes, const char *const *parts) {
    buf whole = {0};
    run_cut(buf_span(bytes), 0, &whole);
    for (size_t cut = 1; cut < 5000; cut = cut * 8 + 3) {
        buf other = {0};
        run_cut(buf_span(bytes), cut, &other);
        if (!span_equal(buf_span(&whole), buf_span(&other)))
            fail_msg("cut %zu gives\n%s\nand the whole\n%s", cut, (char *)other.data, (char *)whole.data);
        buf_fini(&other);
    }
    for (; *parts; parts++)
        ends_assert_contains((const char *)whole.data, *parts);
    buf_fini(&whole);
    buf_fini(bytes);
}

#define EXPECT(bytes, ...) expect(bytes, (const char *const[]){__VA_ARGS__, NULL})
#define ID "\x80\0\0\x05"

static void binary_message_is_an_id_and_a_body(void **state) {
    (void)state;
    buf b = {0};
    append_frame(&b, FIN | 2, SPAN_LITERAL(ID "hello"));
    append_frame(&b, FIN | 2, SPAN_LITERAL(ID));
    EXPECT(&b, "message 80000005 5 hello\nmessage 80000005 0 \nheld 0\n| ");
}

static void fragments_with_pings_between_make_one_message(void **state) {
    (void)state;
    buf b = {0};
    append_frame(&b, 2, SPAN_LITERAL("\x80\0"));
    append_frame(&b, FIN | 9, SPAN_LITERAL("one"));
    append_frame(&b, 0, SPAN_LITERAL(""));
    append_frame(&b, 0, SPAN_LITERAL("\0\x05he"));
    append_frame(&b, FIN | 9, SPAN_LITERAL("two"));
    append_frame(&b, FIN | 10, SPAN_LITERAL("unasked"));
    append_frame(&b, FIN | 0, SPAN_LITERAL("llo"));
    EXPECT(&b, "message 80000005 5 hello\n", "| 8a0374776f");
}

static void message_cut_at_any_byte_is_not_delivered(void **state) {
    (void)state;
    buf b = {0};
    append_frame(&b, 2, SPAN_LITERAL(ID "hel"));
    append_frame(&b, FIN | 0, SPAN_LITERAL("lo"));
    for (size_t size = 0; size < b.size; size++) {
        buf log = {0};
        run_cut(span_of(b.data, size), 1, &log);
        assert_null(strstr((char *)log.data, "message"));
        buf_fini(&log);
    }
    buf_fini(&b);
}

static void append_sized(buf *b, unsigned first_byte, size_t size) {
    buf payload = {0};
    buf_append_span(&payload, SPAN_LITERAL(ID));
    while (payload.size < size)
        buf_append_byte(&payload, 'x');
    append_frame(b, first_byte, buf_span(&payload));
    buf_fini(&payload);
}

static void limit_holds_for_one_frame_and_over_fragments(void **state) {
    (void)state;
    buf b = {0};
    append_sized(&b, FIN | 2, LIMIT + 4);
    append_sized(&b, FIN | 2, 130);
    EXPECT(&b, "message 80000005 70000 x", "message 80000005 126 x");
    append_sized(&b, FIN | 2, LIMIT + 5);
    EXPECT(&b, "failed TOO_LARGE", "| 880203f1");
    append_sized(&b, 2, 60000);
    append_sized(&b, FIN | 0, 10005);
    EXPECT(&b, "failed TOO_LARGE", "| 880203f1");
    buf_append(&b, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\1\2\3\4x", 15);
    EXPECT(&b, "failed TOO_LARGE");
}

static void close_is_answered_with_its_code(void **state) {
    (void)state;
    buf b = {0};
    append_frame(&b, FIN | 8, SPAN_LITERAL("\x03\xe9going"));
    append_frame(&b, FIN | 2, SPAN_LITERAL(ID "late"));
    EXPECT(&b, "closed\n| 880203e9");
    append_frame(&b, FIN | 8, SPAN_LITERAL(""));
    EXPECT(&b, "closed\n| 880203e8");
    append_frame(&b, FIN | 8, SPAN_LITERAL("\x03"));
    EXPECT(&b, "failed PROTOCOL", "| 880203ea");
    append_frame(&b, FIN | 8, SPAN_LITERAL("\x03\xed"));
    EXPECT(&b, "failed PROTOCOL", "| 880203ea");
}

static void text_is_refused_as_unsupported(void **state) {
    (void)state;
    buf b = {0};
    append_frame(&b, FIN | 1, SPAN_LITERAL("hello"));
    EXPECT(&b, "failed PROTOCOL", "text", "| 880203eb");
}

static void hostile_frames_are_refused(void **state) {
    (void)state;
    static const struct {
        unsigned first_byte;
        const char *payload;
        const char *why;
    } cases[] = {
        {FIN | 2 | NO_MASK, "xxxxx", "without a mask"},
        {FIN | 0x40 | 2, "xxxxx", ""},
        {FIN | 0, "xxxxx", "rest of a message without its start"},
        {FIN | 3, "xxxxx", "unknown kind"},
        {FIN | 11, "xxxxx", ""},
        {9, "x", ""},
        {FIN | 2, "abc", "request id"},
        {FIN | 2, "abcdef", "device"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf b = {0};
        append_frame(&b, cases[i].first_byte, span_text(cases[i].payload));
        EXPECT(&b, "failed PROTOCOL", cases[i].why, "| 880203ea");
    }
    buf b = {0};
    append_sized(&b, FIN | 9, 126);
    EXPECT(&b, "failed PROTOCOL", "| 880203ea");
    append_frame(&b, 2, SPAN_LITERAL(ID));
    append_frame(&b, FIN | 2, SPAN_LITERAL(ID));
    EXPECT(&b, "failed PROTOCOL", "inside another");
    buf_append(&b, "\x82\xfe\x00\x05\1\2\3\4abcde", 13);
    EXPECT(&b, "failed PROTOCOL", "malformed");
    buf_append(&b, "\x82\xff\x80\0\0\0\0\0\0\0\1\2\3\4abcde", 19);
    EXPECT(&b, "failed PROTOCOL", "malformed");
}

static void tiny_fragments_cost_their_bytes_only(void **state) {
    (void)state;
    ws *w = ws_new(LIMIT);
    fifo in = {0};
    sp_message message;
    lp_error error;
    append_frame(fifo_tail(&in), 2, SPAN_LITERAL(ID));
    for (int i = 0; i < 50000; i++)
        append_frame(fifo_tail(&in), 0, i % 2 ? SPAN_LITERAL("x") : (span){0});
    assert_int_equal(ws_next(w, &in, &message, &error), WS_MORE);
    assert_int_equal(ws_held_bytes(w), 25004);
    ws_free(w);
    fifo_fini(&in);
}

static void our_frames_are_unmasked_and_minimal(void **state) {
    (void)state;
    ws *w = ws_new(LIMIT);
    buf out = {0};
    ws_append_message(w, &out, 5, SPAN_LITERAL("hello"));
    assert_true(span_equal(buf_span(&out), SPAN_LITERAL("\x82\x09" ID "hello")));
    buf_clear(&out);
    ws_append_message(w, &out, 5, (span){0});
    assert_true(span_equal(buf_span(&out), SPAN_LITERAL("\x82\x04" ID)));
    buf_clear(&out);
    ws_append_close(w, &out);
    ws_append_close(w, &out);
    assert_true(span_equal(buf_span(&out), SPAN_LITERAL("\x88\x02\x03\xe8")));
    ws_free(w);
    buf_fini(&out);
}

#define UPGRADE(path, more)                                                                                            \
    "GET " path                                                                                                        \
    " HTTP/1.1\r\nHost: hall.example:8443\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" more "\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: other, rep.sp.nanomsg.org\r\n"

static int judge(const char *text, const char *const *origins) {
    http_head *h = http_head_new();
    size_t used;
    assert_int_equal(http_head_read(h, span_text(text), &used), 200);
    int status = ws_wanted(http_head_request(h)) ? ws_judge(http_head_request(h), origins) : 0;
    http_head_free(h);
    return status;
}

static void upgrade_is_judged_by_all_its_headers(void **state) {
    (void)state;
    assert_int_equal(judge(UPGRADE("/", KEY VERSION PROTOCOL), NULL), 101);
    assert_int_equal(judge(UPGRADE("/sp", KEY VERSION PROTOCOL), NULL), 101);
    assert_int_equal(judge(UPGRADE("/other", KEY VERSION PROTOCOL), NULL), 404);
    assert_int_equal(judge(UPGRADE("/", KEY VERSION), NULL), 400);
    assert_int_equal(judge(UPGRADE("/", KEY VERSION "Sec-WebSocket-Protocol: rep\r\n"), NULL), 400);
    assert_int_equal(judge(UPGRADE("/", VERSION PROTOCOL), NULL), 400);
    assert_int_equal(judge(UPGRADE("/", "Sec-WebSocket-Key: short\r\n" VERSION PROTOCOL), NULL), 400);
    assert_int_equal(judge(UPGRADE("/", KEY "Sec-WebSocket-Version: 8\r\n" PROTOCOL), NULL), 426);
    assert_int_equal(judge("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n" KEY VERSION PROTOCOL "\r\n", NULL),
                     400);
    assert_int_equal(judge("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", NULL), 0);
}

static void strange_origin_is_forbidden(void **state) {
    (void)state;
    const char *const origins[] = {"https://console.example", NULL};
    assert_int_equal(judge(UPGRADE("/", KEY VERSION PROTOCOL "Origin: https://HALL.example:8443\r\n"), NULL), 101);
    assert_int_equal(judge(UPGRADE("/", KEY VERSION PROTOCOL "Origin: https://evil.example\r\n"), NULL), 403);
    assert_int_equal(judge(UPGRADE("/", KEY VERSION PROTOCOL "Origin: https://hall.example\r\n"), origins), 403);
    assert_int_equal(judge(UPGRADE("/", KEY VERSION PROTOCOL "Origin: null\r\n"), origins), 403);
    assert_int_equal(judge(UPGRADE("/", KEY VERSION PROTOCOL "Origin: https://console.example\r\n"), origins), 101);
}

static void accept_header_is_that_of_the_rfc(void **state) {
    (void)state;
    buf out = {0};
    http_request request = {.ws_key = "dGhlIHNhbXBsZSBub25jZQ=="};
    assert_int_equal(ws_append_accept(&out, &request, NULL), LP_OK);
    buf_append_byte(&out, '\0');
    ends_assert_contains((char *)out.data, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    buf_fini(&out);
}

int main(void) {
    ends_start("unit_channel_ws");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_message_is_an_id_and_a_body),
        cmocka_unit_test(fragments_with_pings_between_make_one_message),
        cmocka_unit_test(message_cut_at_any_byte_is_not_delivered),
        cmocka_unit_test(limit_holds_for_one_frame_and_over_fragments),
        cmocka_unit_test(close_is_answered_with_its_code),
        cmocka_unit_test(text_is_refused_as_unsupported),
        cmocka_unit_test(hostile_frames_are_refused),
        cmocka_unit_test(tiny_fragments_cost_their_bytes_only),
        cmocka_unit_test(our_frames_are_unmasked_and_minimal),
        cmocka_unit_test(upgrade_is_judged_by_all_its_headers),
        cmocka_unit_test(strange_origin_is_forbidden),
        cmocka_unit_test(accept_header_is_that_of_the_rfc),
    };
    return cmocka_run_group_tests_name("channel_ws", tests, NULL, NULL);
}
