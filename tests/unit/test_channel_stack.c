/* test_channel_stack.c - the whole channel: both ends in memory, browsers by hand, and everything that is not ours. */
#include "channel_ends.h"

#include "proto/channel/tls.h"
#include "proto/wire.h"

static const channel_options plain_server = {.server = true};
static const channel_options web_server = {.server = true, .allow_http = true};
static const channel_options plain_client = {.server = false};

#define REQ_HEADER "\0SP\0\0\x30\0\0"
#define REP_HEADER "\0SP\0\0\x31\0\0"
#define HELLO "\0\0\0\0\0\0\0\x09\x80\0\0\x01hello"

static channel *make(const channel_options *options) {
    channel *c;
    assert_int_equal(channel_new(options, &c, NULL), LP_OK);
    return c;
}

static void native_request_is_delivered_in_any_cut(void **state) {
    (void)state;
    buf log = {0};
    const char *text = ends_every_cut(&plain_server, SPAN_LITERAL(REQ_HEADER HELLO HELLO), true, &log);
    ends_assert_contains(text, "open\nmessage 80000001 hello\nmessage 80000001 hello\nclosed\n| ");
    assert_true(span_equal(span_of(log.data + log.size - 9, 8), SPAN_LITERAL(REP_HEADER)));
    buf_fini(&log);
}

static void client_says_its_header_at_once(void **state) {
    (void)state;
    channel *c = make(&plain_client);
    assert_true(span_equal(channel_output(c), SPAN_LITERAL(REQ_HEADER)));
    assert_int_equal(channel_send(c, 1, (span){0}, NULL), LP_CLOSED);
    channel_free(c);
}

static void input_cut_at_any_byte_delivers_no_part_of_a_message(void **state) {
    (void)state;
    span input = SPAN_LITERAL(REQ_HEADER HELLO);
    for (size_t size = 0; size < input.size; size++) {
        buf log = {0};
        const char *text = ends_every_cut(&web_server, span_of(input.data, size), true, &log);
        assert_null(strstr(text, "message"));
        ends_assert_contains(text, size == 0 || size == SPAN_LITERAL(REQ_HEADER).size ? "closed" : "failed CLOSED");
        buf_fini(&log);
    }
}

static void expect(const channel_options *options, span input, const char *part) {
    buf log = {0};
    ends_assert_contains(ends_every_cut(options, input, true, &log), part);
    buf_fini(&log);
}

static void client_describes_what_is_not_leadpool(void **state) {
    (void)state;
    expect(&plain_client, SPAN_LITERAL("HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n"),
           "failed OFFLINE the server at this address is not leadpool (it speaks HTTP; a captive portal?); "
           "sign in to the network if it asks for it, and check the address\n");
    expect(&plain_client, SPAN_LITERAL("<html><body>Welcome"), "not leadpool (it speaks HTTP; a captive portal?)");
    expect(&plain_client, SPAN_LITERAL("\x15\x03\x03\0\x02\x02\x28"), "not leadpool (it speaks TLS");
    expect(&plain_client, SPAN_LITERAL("220 mail\r\n"), "not leadpool (its first bytes");
    expect(&plain_client, SPAN_LITERAL("\0SP\0\0\x11\0\0"), "not leadpool (it speaks another nanomsg protocol)");
    expect(&plain_client, SPAN_LITERAL(REQ_HEADER), "another nanomsg protocol");
    expect(&plain_client, SPAN_LITERAL("\0SP"), "failed CLOSED");
    expect(&plain_client, SPAN_LITERAL(""), "failed CLOSED");
}

static void server_describes_what_is_not_leadpool(void **state) {
    (void)state;
    expect(&plain_server, SPAN_LITERAL("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
           "it speaks HTTP, which is not welcome here");
    expect(&web_server, SPAN_LITERAL("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"), "it speaks TLS");
    expect(&web_server, SPAN_LITERAL(REP_HEADER HELLO), "another nanomsg protocol");
    expect(&web_server, SPAN_LITERAL("\0SP\0\0\x30\0\x01"), "failed PROTOCOL");
    expect(&web_server, SPAN_LITERAL("\0\0\0\0\0\0\0\0"), "failed PROTOCOL");
    expect(&web_server, SPAN_LITERAL("\xff\xff"), "failed PROTOCOL");
}

static void hostile_lengths_and_ids_fail(void **state) {
    (void)state;
    expect(&plain_server, SPAN_LITERAL(REQ_HEADER "\0\0\0\1\0\0\0\0\x80\0\0\x01xx"), "open\nfailed TOO_LARGE");
    expect(&plain_server, SPAN_LITERAL(REQ_HEADER "\xff\xff\xff\xff\xff\xff\xff\xff"), "open\nfailed TOO_LARGE");
    expect(&plain_server, SPAN_LITERAL(REQ_HEADER HELLO "\0\0\0\0\0\0\0\0"), "hello\nfailed PROTOCOL");
    expect(&plain_server, SPAN_LITERAL(REQ_HEADER "\0\0\0\0\0\0\0\x08\0\0\0\x01\x80\0\0\x01"), "failed UNSUPPORTED");
}

static void http_requests_reach_the_owner_and_end_the_connection(void **state) {
    (void)state;
    buf log = {0};
    const char *text = ends_every_cut(
        &web_server, SPAN_LITERAL("GET /app.js HTTP/1.1\r\nHost: h\r\n\r\nGET /two HTTP/1.1\r\nHost: h\r\n\r\n"), true,
        &log);
    ends_assert_contains(text, "http GET /app.js\n| HTTP/1.1 200 OK\r\n");
    ends_assert_contains(text, "Connection: close\r\n\r\nfine");
    assert_null(strstr(text, "two"));
    text = ends_every_cut(&web_server, SPAN_LITERAL("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"), false, &log);
    ends_assert_contains(text, "http HEAD /\n");
    assert_null(strstr(text, "fine"));
    buf_fini(&log);
}

static void bad_http_is_answered_and_fails(void **state) {
    (void)state;
    expect(&web_server, SPAN_LITERAL("GET /aaa%41 HTTP/1.1\r\nHost: h\r\n\r\n"), "| HTTP/1.1 400 Bad Request\r\n");
    expect(&web_server, SPAN_LITERAL("GET / HTTP/1.1\nX: y\n\n"),
           "failed PROTOCOL an HTTP request was refused with 400");
    expect(&web_server, SPAN_LITERAL("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"), "| HTTP/1.1 413 ");
    expect(&web_server, SPAN_LITERAL("PUT / HTTP/1.1\r\nHost: h\r\n\r\n"), "Allow: GET, HEAD\r\n");
    expect(&web_server, SPAN_LITERAL("GET / HTTP/1.1\r\nHost: h\r\n"), "failed CLOSED");
}

static void answer_without_a_request_is_refused(void **state) {
    (void)state;
    channel *c = make(&web_server);
    assert_int_equal(channel_http_answer(c, 200, NULL, (span){0}, NULL), LP_CLOSED);
    channel_free(c);
}

static void finished_only_when_the_answer_is_taken(void **state) {
    (void)state;
    channel *c = make(&web_server);
    buf log = {0};
    ends_feed(c, SPAN_LITERAL("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 0, &log);
    assert_false(channel_finished(c));
    channel_output_done(c, channel_output(c).size - 1);
    assert_false(channel_finished(c));
    channel_output_done(c, 1);
    assert_true(channel_finished(c));
    channel_free(c);
    buf_fini(&log);
}

#define UPGRADE(more)                                                                                                  \
    "GET / HTTP/1.1\r\nHost: hall:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"    \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: rep.sp.nanomsg.org\r\n" more "\r\n"

/* Frames masked with zeros, which leaves the payload readable. */
#define WS_HELLO "\x82\x89\0\0\0\0\x80\0\0\x01hello"
#define WS_CLOSE "\x88\x82\0\0\0\0\x03\xe8"

static void browser_speaks_through_a_websocket(void **state) {
    (void)state;
    buf log = {0};
    const char *text =
        ends_every_cut(&web_server, SPAN_LITERAL(UPGRADE() WS_HELLO "\x89\x80\0\0\0\0" WS_HELLO WS_CLOSE), true, &log);
    ends_assert_contains(text, "open\nmessage 80000001 hello\nmessage 80000001 hello\nclosed\n| HTTP/1.1 101 ");
    ends_assert_contains(text, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    assert_true(span_equal(span_of(log.data + log.size - 7, 6), SPAN_LITERAL("\x8a\0\x88\x02\x03\xe8")));
    expect(&web_server, SPAN_LITERAL(UPGRADE() WS_HELLO), "hello\nfailed CLOSED");
    expect(&web_server, SPAN_LITERAL(UPGRADE() "\x81\x82\0\0\0\0hi"), "open\nfailed PROTOCOL");
    expect(&web_server, SPAN_LITERAL(UPGRADE("Origin: http://evil\r\n")),
           "failed PROTOCOL an HTTP request was refused with 403");
    expect(&web_server, SPAN_LITERAL(UPGRADE("Origin: https://hall:80\r\n")), "open\n");
    buf_fini(&log);
}

static void websocket_answer_is_a_binary_frame(void **state) {
    (void)state;
    channel *c = make(&web_server);
    buf log = {0};
    ends_feed(c, SPAN_LITERAL(UPGRADE()), 0, &log);
    channel_output_done(c, channel_output(c).size);
    assert_int_equal(channel_send(c, 0x80000001, SPAN_LITERAL("there"), NULL), LP_OK);
    assert_true(span_equal(channel_output(c), SPAN_LITERAL("\x82\x09\x80\0\0\x01there")));
    channel_close(c);
    assert_true(span_equal(channel_output(c), SPAN_LITERAL("\x82\x09\x80\0\0\x01there\x88\x02\x03\xe8")));
    channel_free(c);
    buf_fini(&log);
}

static void pings_of_a_peer_that_does_not_read_are_not_hoarded(void **state) {
    (void)state;
    channel *c = make(&web_server);
    buf log = {0};
    ends_feed(c, SPAN_LITERAL(UPGRADE()), 0, &log);
    for (int i = 0; i < 20000; i++)
        ends_feed(c, SPAN_LITERAL("\x89\x88\0\0\0\0pingping"), 0, &log);
    assert_true(channel_output(c).size < 65 * 1024);
    channel_output_done(c, channel_output(c).size);
    assert_true(span_equal(channel_output(c), SPAN_LITERAL("\x8a\x08pingping")));
    channel_free(c);
    buf_fini(&log);
}

/* A pair that knows each other, over TLS if contexts are given. */
typedef struct ends {
    channel *client;
    channel *server;
    buf client_log;
    buf server_log;
} ends;

static ends connect_ends(tls_context *client, tls_context *server, size_t cut) {
    ends e = {.client = make(&(channel_options){.tls = client}),
              .server = make(&(channel_options){.tls = server, .server = true, .allow_http = true})};
    ends_pump(e.client, &e.client_log, e.server, &e.server_log, cut);
    assert_true(span_equal(buf_span(&e.client_log), SPAN_LITERAL("open\n")));
    assert_true(span_equal(buf_span(&e.server_log), SPAN_LITERAL("open\n")));
    return e;
}

static void free_ends(ends *e) {
    channel_free(e->client);
    channel_free(e->server);
    buf_fini(&e->client_log);
    buf_fini(&e->server_log);
}

static void fill(buf *b, size_t size) {
    buf_clear(b);
    assert_true(buf_reserve(b, size + 1));
    for (; b->size < size; b->size++)
        b->data[b->size] = (uint8_t)ends_random(256);
}

/* Moves all output over in reads of at most 64 KiB; true if `body` with `id` arrived. */
static bool arrives(channel *from, channel *to, uint32_t id, span body, size_t read_bytes) {
    bool arrived = false;
    while (channel_output(from).size > 0) {
        span output = channel_output(from);
        size_t piece = output.size < read_bytes ? output.size : read_bytes;
        channel_receive(to, span_of(output.data, piece));
        channel_output_done(from, piece);
        assert_true(channel_held_bytes(to) <= WIRE_MESSAGE_BYTES_MAX + 12 + 65536);
        for (channel_event event; channel_next(to, &event), event.kind != CHANNEL_NOTHING;) {
            assert_int_equal(event.kind, CHANNEL_MESSAGE);
            assert_false(arrived);
            arrived = event.id == id && span_equal(event.bytes, body);
        }
    }
    return arrived && channel_held_bytes(to) == 0;
}

static void exchange(tls_context *client, tls_context *server) {
    ends e = connect_ends(client, server, 1);
    buf body = {0};
    static const size_t sizes[] = {0, 1, 4000, 16384, 70000, WIRE_MESSAGE_BYTES_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint32_t id = 0x80000000u | (uint32_t)i;
        fill(&body, sizes[i]);
        assert_int_equal(channel_send(e.client, id, buf_span(&body), NULL), LP_OK);
        assert_true(arrives(e.client, e.server, id, buf_span(&body), 65536));
        assert_int_equal(channel_send(e.server, id, buf_span(&body), NULL), LP_OK);
        assert_true(arrives(e.server, e.client, id, buf_span(&body), i % 2 ? 1000 : 65536));
    }
    fill(&body, WIRE_MESSAGE_BYTES_MAX + 1);
    assert_int_equal(channel_send(e.client, 1, buf_span(&body), NULL), LP_TOO_LARGE);
    channel_close(e.client);
    channel_receive(e.server, channel_output(e.client));
    channel_receive_end(e.server);
    ends_events(e.server, &e.server_log);
    assert_true(span_equal(buf_span(&e.server_log), SPAN_LITERAL("open\nclosed\n")));
    buf_fini(&body);
    free_ends(&e);
}

static void make_contexts(tls_context **client_out, tls_context **server_out) {
    buf key = {0}, certificate = {0};
    uint8_t pin[1][PIN_BYTES];
    assert_int_equal(tls_identity_make("hall", &key, &certificate, NULL), LP_OK);
    assert_int_equal(tls_context_server(buf_span(&key), buf_span(&certificate), server_out, NULL), LP_OK);
    tls_context_pin(*server_out, pin[0]);
    assert_int_equal(tls_context_client((const uint8_t(*)[PIN_BYTES])pin, 1, (span){0}, client_out, NULL), LP_OK);
    buf_fini(&key);
    buf_fini(&certificate);
}

static void messages_of_all_sizes_cross_in_plain_text(void **state) {
    (void)state;
    exchange(NULL, NULL);
}

static void messages_of_all_sizes_cross_tls(void **state) {
    (void)state;
    tls_context *client, *server;
    make_contexts(&client, &server);
    exchange(client, server);
    tls_context_free(client);
    tls_context_free(server);
}

static void limit_can_be_raised_once_the_peer_is_known(void **state) {
    (void)state;
    for (int raised = 0; raised < 2; raised++) {
        ends e = connect_ends(NULL, NULL, 0);
        buf body = {0};
        fill(&body, 3000);
        channel_limit(e.server, raised ? 3000 : 2999);
        assert_int_equal(channel_send(e.client, 1, buf_span(&body), NULL), LP_OK);
        channel_receive(e.server, channel_output(e.client));
        channel_event event;
        channel_next(e.server, &event);
        assert_int_equal(event.kind, raised ? CHANNEL_MESSAGE : CHANNEL_FAILED);
        buf_fini(&body);
        free_ends(&e);
    }
}

static void failure_is_told_once_and_ends_everything(void **state) {
    (void)state;
    channel *c = make(&web_server);
    buf log = {0};
    ends_feed(c, SPAN_LITERAL(REQ_HEADER HELLO "\xff\xff\xff\xff\xff\xff\xff\xff"), 0, &log);
    size_t said = log.size;
    ends_feed(c, SPAN_LITERAL(HELLO), 0, &log);
    channel_receive_end(c);
    ends_events(c, &log);
    assert_int_equal(log.size, said);
    assert_int_equal(channel_held_bytes(c), 0);
    assert_int_equal(channel_send(c, 1, (span){0}, NULL), LP_CLOSED);
    channel_free(c);
    buf_fini(&log);
}

static void random_bytes_never_cost_more_than_their_bound(void **state) {
    (void)state;
    buf input = {0};
    for (int round = 0; round < 300; round++) {
        const channel_options *options = round % 3 == 0 ? &plain_client : round % 3 == 1 ? &plain_server : &web_server;
        static const char *const starts[] = {"", "GET ", UPGRADE(), "\x82\xfe"};
        buf log = {0};
        fill(&input, ends_random(3000));
        buf whole = {0};
        buf_append_span(&whole, span_text(starts[ends_random(4)]));
        buf_append_span(&whole, buf_span(&input));
        ends_every_cut(options, buf_span(&whole), true, &log);
        buf_fini(&log);
        buf_fini(&whole);
    }
    buf_fini(&input);
}

int main(void) {
    ends_start("unit_channel_stack");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(native_request_is_delivered_in_any_cut),
        cmocka_unit_test(client_says_its_header_at_once),
        cmocka_unit_test(input_cut_at_any_byte_delivers_no_part_of_a_message),
        cmocka_unit_test(client_describes_what_is_not_leadpool),
        cmocka_unit_test(server_describes_what_is_not_leadpool),
        cmocka_unit_test(hostile_lengths_and_ids_fail),
        cmocka_unit_test(http_requests_reach_the_owner_and_end_the_connection),
        cmocka_unit_test(bad_http_is_answered_and_fails),
        cmocka_unit_test(answer_without_a_request_is_refused),
        cmocka_unit_test(finished_only_when_the_answer_is_taken),
        cmocka_unit_test(browser_speaks_through_a_websocket),
        cmocka_unit_test(websocket_answer_is_a_binary_frame),
        cmocka_unit_test(pings_of_a_peer_that_does_not_read_are_not_hoarded),
        cmocka_unit_test(messages_of_all_sizes_cross_in_plain_text),
        cmocka_unit_test(messages_of_all_sizes_cross_tls),
        cmocka_unit_test(limit_can_be_raised_once_the_peer_is_known),
        cmocka_unit_test(failure_is_told_once_and_ends_everything),
        cmocka_unit_test(random_bytes_never_cost_more_than_their_bound),
    };
    return cmocka_run_group_tests_name("channel_stack", tests, NULL, NULL);
}
