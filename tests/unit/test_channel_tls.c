/* test_channel_tls.c - TLS: pins, resumption, ALPN, binding, tampering, and what strangers are told to be. */
#include "channel_ends.h"

#include "proto/channel/tls.h"

static tls_context *server_context;
static uint8_t server_pin[PIN_BYTES];

static tls_context *make_server(void) {
    buf key = {0};
    buf certificate = {0};
    tls_context *context;
    assert_int_equal(tls_identity_make("hall.example", &key, &certificate, NULL), LP_OK);
    assert_int_equal(tls_context_server(buf_span(&key), buf_span(&certificate), &context, NULL), LP_OK);
    buf_fini(&key);
    buf_fini(&certificate);
    return context;
}

static int set_up(void **state) {
    (void)state;
    server_context = make_server();
    tls_context_pin(server_context, server_pin);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tls_context_free(server_context);
    return 0;
}

static tls_context *make_client(const uint8_t pin[PIN_BYTES], span ticket) {
    uint8_t pins[2][PIN_BYTES] = {{1, 2, 3}, {0}};
    tls_context *context;
    memcpy(pins[1], pin, PIN_BYTES);
    assert_int_equal(tls_context_client((const uint8_t(*)[PIN_BYTES])pins, 2, ticket, &context, NULL), LP_OK);
    return context;
}

static channel *make_channel(tls_context *context, bool server) {
    channel *c;
    assert_int_equal(channel_new(&(channel_options){.tls = context, .server = server}, &c, NULL), LP_OK);
    return c;
}

/* Both ends of a connection and what they said. */
typedef struct pair {
    channel *client;
    channel *server;
    buf client_log;
    buf server_log;
} pair;

static pair make_pair(tls_context *client, tls_context *server) {
    return (pair){.client = make_channel(client, false), .server = make_channel(server, true)};
}

static void pump(pair *p, size_t cut) {
    ends_pump(p->client, &p->client_log, p->server, &p->server_log, cut);
}

static const char *log_text(buf *log) {
    if (!buf_reserve(log, 1))
        fail();
    log->data[log->size] = '\0';
    return (const char *)log->data;
}

static void free_pair(pair *p) {
    channel_free(p->client);
    channel_free(p->server);
    buf_fini(&p->client_log);
    buf_fini(&p->server_log);
}

static void pinned_server_is_trusted_in_any_cut(void **state) {
    (void)state;
    tls_context *context = make_client(server_pin, (span){0});
    for (size_t cut = 0; cut < 40; cut = cut * 3 + 1) {
        pair p = make_pair(context, server_context);
        pump(&p, cut);
        assert_string_equal(log_text(&p.client_log), "open\n");
        assert_string_equal(log_text(&p.server_log), "open\n");
        free_pair(&p);
    }
    tls_context_free(context);
}

static void unpinned_server_is_untrusted(void **state) {
    (void)state;
    const uint8_t other[PIN_BYTES] = {9};
    tls_context *context = make_client(other, (span){0});
    pair p = make_pair(context, server_context);
    pump(&p, 1);
    ends_assert_contains(log_text(&p.client_log),
                         "failed UNTRUSTED the server's key is not the one in the invitation;");
    ends_assert_contains(log_text(&p.server_log), "failed PROTOCOL");
    assert_int_equal(channel_send(p.client, 1, (span){0}, NULL), LP_CLOSED);
    free_pair(&p);
    tls_context_free(context);
}

static void next_binding(channel *c, uint8_t binding_out[TLS_BINDING_BYTES]) {
    channel_event event;
    channel_next(c, &event);
    assert_int_equal(event.kind, CHANNEL_OPEN);
    assert_int_equal(event.bytes.size, TLS_BINDING_BYTES);
    memcpy(binding_out, event.bytes.data, TLS_BINDING_BYTES);
}

static void move_output(channel *from, channel *to) {
    channel_receive(to, channel_output(from));
    channel_output_done(from, channel_output(from).size);
}

/* Runs the handshake by hand, because the binding is in the event. */
static void bind_both(tls_context *context, uint8_t client_out[TLS_BINDING_BYTES],
                      uint8_t server_out[TLS_BINDING_BYTES]) {
    channel_event event;
    pair p = make_pair(context, server_context);
    move_output(p.client, p.server);
    channel_next(p.server, &event);
    assert_int_equal(event.kind, CHANNEL_NOTHING);
    move_output(p.server, p.client);
    next_binding(p.client, client_out);
    move_output(p.client, p.server);
    next_binding(p.server, server_out);
    free_pair(&p);
}

static void binding_is_equal_on_both_ends_and_new_each_time(void **state) {
    (void)state;
    uint8_t client[2][TLS_BINDING_BYTES], server[2][TLS_BINDING_BYTES];
    tls_context *context = make_client(server_pin, (span){0});
    for (int i = 0; i < 2; i++) {
        bind_both(context, client[i], server[i]);
        assert_memory_equal(client[i], server[i], TLS_BINDING_BYTES);
    }
    assert_memory_not_equal(client[0], client[1], TLS_BINDING_BYTES);
    tls_context_free(context);
}

static bool connect_resumed(tls_context *context, tls_context *server) {
    pair p = make_pair(context, server);
    pump(&p, 0);
    assert_string_equal(log_text(&p.client_log), "open\n");
    bool resumed = channel_resumed(p.client);
    assert_int_equal(channel_resumed(p.server), resumed);
    free_pair(&p);
    return resumed;
}

static void kept_ticket_resumes_the_session(void **state) {
    (void)state;
    buf ticket = {0};
    tls_context *first = make_client(server_pin, (span){0});
    tls_context_ticket(first, &ticket);
    assert_int_equal(ticket.size, 0);
    assert_false(connect_resumed(first, server_context));
    assert_true(connect_resumed(first, server_context));
    tls_context_ticket(first, &ticket);
    assert_true(ticket.size > 0);
    tls_context *second = make_client(server_pin, buf_span(&ticket));
    assert_true(connect_resumed(second, server_context));
    tls_context_free(first);
    tls_context_free(second);
    buf_fini(&ticket);
}

static void bad_ticket_is_ignored(void **state) {
    (void)state;
    tls_context *garbage = make_client(server_pin, SPAN_LITERAL("0\x82 not a session"));
    buf ticket = {0};
    tls_context_ticket(garbage, &ticket);
    assert_int_equal(ticket.size, 0);
    assert_false(connect_resumed(garbage, server_context));
    tls_context_ticket(garbage, &ticket);
    const uint8_t other[PIN_BYTES] = {9};
    tls_context *moved = make_client(other, buf_span(&ticket));
    pair p = make_pair(moved, server_context);
    pump(&p, 0);
    ends_assert_contains(log_text(&p.client_log), "failed UNTRUSTED");
    free_pair(&p);
    tls_context_free(garbage);
    tls_context_free(moved);
    buf_fini(&ticket);
}

static void ticket_of_a_restarted_server_gives_a_full_handshake(void **state) {
    (void)state;
    buf key = {0};
    buf certificate = {0};
    tls_context *server, *again;
    assert_int_equal(tls_identity_make("h", &key, &certificate, NULL), LP_OK);
    assert_int_equal(tls_context_server(buf_span(&key), buf_span(&certificate), &server, NULL), LP_OK);
    assert_int_equal(tls_context_server(buf_span(&key), buf_span(&certificate), &again, NULL), LP_OK);
    uint8_t pin[PIN_BYTES];
    tls_context_pin(server, pin);
    tls_context *context = make_client(pin, (span){0});
    assert_false(connect_resumed(context, server));
    assert_true(connect_resumed(context, server));
    assert_false(connect_resumed(context, again));
    assert_true(connect_resumed(context, again));
    tls_context_free(context);
    tls_context_free(server);
    tls_context_free(again);
    buf_fini(&key);
    buf_fini(&certificate);
}

static void alpn_chooses_the_native_protocol(void **state) {
    (void)state;
    tls_context *context = make_client(server_pin, (span){0});
    tls_session *client, *server;
    buf to_server = {0}, to_client = {0}, plain = {0};
    assert_int_equal(tls_session_new(context, &to_server, &client, NULL), LP_OK);
    assert_int_equal(tls_session_new(server_context, &to_client, &server, NULL), LP_OK);
    assert_int_equal(tls_session_receive(server, buf_span(&to_server), &plain, &to_client, NULL), LP_OK);
    buf_clear(&to_server);
    assert_int_equal(tls_session_receive(client, buf_span(&to_client), &plain, &to_server, NULL), LP_OK);
    assert_true(tls_session_ready(client));
    assert_true(tls_session_native(client));
    assert_true(tls_session_native(server));
    tls_session_free(client);
    tls_session_free(server);
    tls_context_free(context);
    buf_fini(&to_server);
    buf_fini(&to_client);
    buf_fini(&plain);
}

static void every_flipped_bit_is_noticed(void **state) {
    (void)state;
    tls_context *context = make_client(server_pin, (span){0});
    for (int round = 0; round < 40; round++) {
        pair p = make_pair(context, server_context);
        pump(&p, 0);
        assert_int_equal(channel_send(p.client, 1, SPAN_LITERAL("do not touch"), NULL), LP_OK);
        buf copy = {0};
        buf_append_span(&copy, channel_output(p.client));
        copy.data[ends_random(copy.size)] ^= (uint8_t)(1u << ends_random(8));
        channel_receive(p.server, buf_span(&copy));
        channel_receive_end(p.server);
        ends_events(p.server, &p.server_log);
        assert_null(strstr(log_text(&p.server_log), "message"));
        ends_assert_contains(log_text(&p.server_log), "failed");
        free_pair(&p);
        buf_fini(&copy);
    }
    tls_context_free(context);
}

static void messages_before_damage_are_delivered_first(void **state) {
    (void)state;
    tls_context *context = make_client(server_pin, (span){0});
    pair p = make_pair(context, server_context);
    pump(&p, 0);
    assert_int_equal(channel_send(p.client, 1, SPAN_LITERAL("good"), NULL), LP_OK);
    buf copy = {0};
    buf_append_span(&copy, channel_output(p.client));
    buf_append_span(&copy, SPAN_LITERAL("\x17\x03\x03\0\x20 this is not a sealed record at a"));
    channel_receive(p.server, buf_span(&copy));
    ends_events(p.server, &p.server_log);
    ends_assert_contains(log_text(&p.server_log),
                         "open\nmessage 80000001 good\nfailed PROTOCOL the TLS connection is damaged");
    buf_fini(&copy);
    free_pair(&p);
    tls_context_free(context);
}

static void end_is_good_only_with_close_notify(void **state) {
    (void)state;
    tls_context *context = make_client(server_pin, (span){0});
    pair p = make_pair(context, server_context);
    pump(&p, 0);
    channel_receive_end(p.server);
    ends_events(p.server, &p.server_log);
    ends_assert_contains(log_text(&p.server_log), "failed CLOSED");
    free_pair(&p);
    p = make_pair(context, server_context);
    pump(&p, 0);
    assert_false(channel_finished(p.client));
    channel_close(p.client);
    assert_false(channel_finished(p.client));
    pump(&p, 1);
    assert_true(channel_finished(p.client));
    assert_string_equal(log_text(&p.server_log), "open\nclosed\n");
    assert_string_equal(log_text(&p.client_log), "open\n");
    free_pair(&p);
    tls_context_free(context);
}

/* What a TLS end says about a peer that sends `bytes` and hangs up. */
static void expect_failure(tls_context *context, bool server, span bytes, const char *part) {
    for (size_t cut = 0; cut < 3; cut++) {
        channel *c = make_channel(context, server);
        buf log = {0};
        ends_feed(c, bytes, cut, &log);
        assert_true(channel_held_bytes(c) <= TLS_HANDSHAKE_BYTES_MAX);
        channel_receive_end(c);
        ends_events(c, &log);
        ends_assert_contains(log_text(&log), part);
        channel_free(c);
        buf_fini(&log);
    }
}

static void strangers_are_described(void **state) {
    (void)state;
    tls_context *context = make_client(server_pin, (span){0});
    expect_failure(context, false, SPAN_LITERAL("HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n"),
                   "failed OFFLINE the server at this address is not leadpool (it speaks HTTP; a captive portal?); "
                   "sign in to the network if it asks for it, and check the address");
    expect_failure(context, false, SPAN_LITERAL("SSH-2.0-OpenSSH_9.2\r\n"), "is not leadpool (its first bytes");
    expect_failure(context, false, SPAN_LITERAL("\x15\x03\x03\0\x02\x02\x78"), "is not leadpool (TLS: ");
    expect_failure(context, false, SPAN_LITERAL(""), "failed CLOSED");
    expect_failure(server_context, true, SPAN_LITERAL("GET / HTTP/1.1\r\n\r\n"), "it speaks HTTP");
    expect_failure(server_context, true, SPAN_LITERAL("\x16\x03\x01\0\x05\x01\0\0\x01\0"), "failed PROTOCOL");
    expect_failure(server_context, true, SPAN_LITERAL("\x16\x03"), "failed CLOSED");
    expect_failure(server_context, true, SPAN_LITERAL(""), "closed");
    tls_context_free(context);
}

static void endless_handshake_is_cut_at_8_kib(void **state) {
    (void)state;
    buf bytes = {0};
    buf_append_span(&bytes, SPAN_LITERAL("\x16\x03\x01\x3f\xf0\x01\0\x3f\xec\x03\x03"));
    while (bytes.size < 64 * 1024)
        buf_append_byte(&bytes, 0);
    expect_failure(server_context, true, buf_span(&bytes), "handshake is longer than 8192 bytes");
    buf_fini(&bytes);
}

static void handshake_cut_at_any_byte_opens_nothing(void **state) {
    (void)state;
    tls_context *context = make_client(server_pin, (span){0});
    pair p = make_pair(context, server_context);
    span hello = channel_output(p.client);
    for (size_t size = 0; size < hello.size; size++) {
        channel *c = make_channel(server_context, true);
        buf log = {0};
        channel_receive(c, span_of(hello.data, size));
        assert_int_equal(channel_held_bytes(c), size);
        channel_receive_end(c);
        ends_events(c, &log);
        assert_non_null(strstr(log_text(&log), size ? "failed CLOSED" : "closed"));
        channel_free(c);
        buf_fini(&log);
    }
    free_pair(&p);
    tls_context_free(context);
}

static void unreadable_identity_is_corrupt(void **state) {
    (void)state;
    buf key = {0}, other = {0}, certificate = {0}, ignored = {0};
    tls_context *context;
    lp_error error;
    assert_int_equal(tls_identity_make("a", &key, &certificate, NULL), LP_OK);
    assert_int_equal(tls_identity_make("b", &other, &ignored, NULL), LP_OK);
    assert_int_equal(tls_context_server(SPAN_LITERAL("no"), buf_span(&certificate), &context, &error), LP_CORRUPT);
    ends_assert_contains(error.message, "private key");
    assert_int_equal(tls_context_server(buf_span(&key), (span){0}, &context, &error), LP_CORRUPT);
    ends_assert_contains(error.message, "certificate");
    assert_int_equal(tls_context_server(buf_span(&other), buf_span(&certificate), &context, &error), LP_CORRUPT);
    ends_assert_contains(error.message, "not of its certificate");
    assert_null(context);
    buf_fini(&key);
    buf_fini(&other);
    buf_fini(&certificate);
    buf_fini(&ignored);
}

int main(void) {
    ends_start("unit_channel_tls");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pinned_server_is_trusted_in_any_cut),
        cmocka_unit_test(unpinned_server_is_untrusted),
        cmocka_unit_test(binding_is_equal_on_both_ends_and_new_each_time),
        cmocka_unit_test(kept_ticket_resumes_the_session),
        cmocka_unit_test(bad_ticket_is_ignored),
        cmocka_unit_test(ticket_of_a_restarted_server_gives_a_full_handshake),
        cmocka_unit_test(alpn_chooses_the_native_protocol),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(messages_before_damage_are_delivered_first),
        cmocka_unit_test(end_is_good_only_with_close_notify),
        cmocka_unit_test(strangers_are_described),
        cmocka_unit_test(endless_handshake_is_cut_at_8_kib),
        cmocka_unit_test(handshake_cut_at_any_byte_opens_nothing),
        cmocka_unit_test(unreadable_identity_is_corrupt),
    };
    return cmocka_run_group_tests_name("channel_tls", tests, set_up, tear_down);
}
