/* test_browser_path.c - what a browser meets at the port that devices use: pages, refusals, a WebSocket that carries the
 * same messages, the same limits, and a certificate it can be told to trust. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "server/os.h"
#include "tests/support/browser.h"

static const char safety_headers[] = "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
                                     "X-Content-Type-Options: nosniff\r\n"
                                     "Referrer-Policy: no-referrer\r\n"
                                     "Cache-Control: no-store\r\n";

/* ---- one server for all tests that do not need their own limits ---- */

static int set_up(void **state) {
    static served s;
    served_init(&s, false);
    snprintf(s.config.origins, sizeof s.config.origins, "https://app.example https://two.example");
    served_start(&s);
    *state = &s;
    return 0;
}

static int tear_down(void **state) {
    served_stop(*state);
    return 0;
}

static void assert_starts(const char *text, const char *start) {
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("\"%s\" does not start with \"%s\"", text, start);
}

/* ---- pages ---- */

/* The body of an answer that is whole, sound and safe. */
static const char *fetch(browser *b, const served *s, const char *request, const char *status) {
    const char *answer = browser_fetch(b, s, span_text(request));
    assert_starts(answer, status);
    assert_non_null(strstr(answer, safety_headers));
    assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
    assert_true(b->ended_well);
    const char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    return body + 4;
}

static void the_front_page_is_html_and_names_the_server(void **state) {
    browser b;
    const char *body = fetch(&b, *state, "GET / HTTP/1.1\r\nHost: leads.example\r\n\r\n", "HTTP/1.1 200 OK\r\n");
    assert_starts(body, "<!doctype html>\n");
    assert_non_null(strstr(body, "<h1>leadpool</h1>"));
    assert_non_null(strstr((const char *)b.taken.data, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
    browser_close(&b);
}

static void health_is_ok_with_and_without_a_query(void **state) {
    browser b;
    assert_string_equal(fetch(&b, *state, "GET /health HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\n"), "ok\n");
    browser_close(&b);
    assert_string_equal(fetch(&b, *state, "GET /health?a=b HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 "), "ok\n");
    browser_close(&b);
    assert_string_equal(fetch(&b, *state, "GET /health HTTP/1.0\r\n\r\n", "HTTP/1.1 200 "), "ok\n");
    browser_close(&b);
}

static void head_has_the_headers_of_get_and_no_body(void **state) {
    browser b;
    const char *body = fetch(&b, *state, "HEAD /health HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\n");
    assert_string_equal(body, "");
    assert_non_null(strstr((const char *)b.taken.data, "\r\nContent-Length: 3\r\n"));
    browser_close(&b);
    assert_string_equal(fetch(&b, *state, "HEAD /none HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 "), "");
    browser_close(&b);
}

static void everything_else_is_refused_with_its_status_and_safe_headers(void **state) {
    static const char *const cases[][2] = {
        {"GET /favicon.ico HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"},
        {"GET /health/ HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 "},
        {"GET /../../etc/hostname HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 "},
        {"GET //evil.example HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 "},
        {"POST /health HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n"},
        {"OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://evil.example\r\n\r\n", "HTTP/1.1 405 "},
        {"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 413 "},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /aaa%41 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "},
        {"GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\nHost: h\n\n", "HTTP/1.1 400 "},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        browser b;
        fetch(&b, *state, cases[i][0], cases[i][1]);
        browser_close(&b);
    }
}

static void long_targets_and_heads_are_refused(void **state) {
    char request[20000];
    browser b;
    snprintf(request, sizeof request, "GET /%0300d HTTP/1.1\r\nHost: h\r\n\r\n", 0);
    fetch(&b, *state, request, "HTTP/1.1 414 URI Too Long\r\n");
    browser_close(&b);
    snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: h\r\nCookie: %017000d\r\n\r\n", 0);
    fetch(&b, *state, request, "HTTP/1.1 431 ");
    browser_close(&b);
}

static void one_request_is_answered_and_what_follows_is_not(void **state) {
    browser b;
    const char *body = fetch(&b, *state, "GET /health HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
                             "HTTP/1.1 200 OK\r\n");
    assert_string_equal(body, "ok\n");
    browser_close(&b);
}

static void no_alpn_is_welcome_and_http_2_alone_is_not(void **state) {
    browser b;
    assert_true(browser_open(&b, *state, NULL));
    browser_write(&b, SPAN_LITERAL("GET /health HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_starts(browser_rest(&b), "HTTP/1.1 200 OK\r\n");
    browser_close(&b);
    assert_false(browser_open(&b, *state, "\x02h2"));
    browser_close(&b);
}

/* ---- the WebSocket ---- */

static void upgrade(browser *b, const served *s) {
    assert_starts(browser_upgrade(b, s), "HTTP/1.1 101 Switching Protocols\r\n");
}

/* The example of RFC 6455 section 1.3. No extension is agreed on, whatever was offered. */
static void an_upgrade_is_answered_as_the_rfc_has_it(void **state) {
    browser b;
    const char *head = browser_upgrade(&b, *state);
    assert_starts(head, "HTTP/1.1 101 Switching Protocols\r\n");
    assert_non_null(strstr(head, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_non_null(strstr(head, "\r\nSec-WebSocket-Protocol: rep.sp.nanomsg.org\r\n"));
    assert_null(strstr(head, "Extensions"));
    browser_close(&b);
}

static void refuse(const served *s, const char *old, const char *new, const char *status) {
    browser b;
    assert_starts(browser_upgrade_with(&b, s, old, new), status);
    assert_non_null(strstr((const char *)b.taken.data, safety_headers));
    browser_rest(&b);
    assert_true(b.ended_well);
    browser_close(&b);
}

static void pages_of_other_origins_are_forbidden(void **state) {
    static const char own[] = "Origin: https://127.0.0.1:";
    refuse(*state, own, "Origin: https://evil.example:", "HTTP/1.1 403 Forbidden\r\n");
    refuse(*state, own, "Origin: https://127.0.0.1.evil.example:", "HTTP/1.1 403 ");
    refuse(*state, own, "Origin: null\r\nX: ", "HTTP/1.1 403 ");
    refuse(*state, own, "Origin: https://127.0.0.1\r\nX: ", "HTTP/1.1 403 ");
    refuse(*state, own, "Origin: https://app.example.evil\r\nX: ", "HTTP/1.1 403 ");
}

static void origins_of_the_configuration_and_programs_without_one_may_upgrade(void **state) {
    static const char *const origins[] = {
        "Origin: https://app.example\r\nX: ", "Origin: https://two.example\r\nX: ", "X: "};
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        browser b;
        assert_starts(browser_upgrade_with(&b, *state, "Origin: https://127.0.0.1:", origins[i]), "HTTP/1.1 101 ");
        browser_close(&b);
    }
}

static void upgrades_to_something_else_are_refused(void **state) {
    refuse(*state, "rep.sp.nanomsg.org", "req.sp.nanomsg.org", "HTTP/1.1 400 ");
    refuse(*state, "Sec-WebSocket-Protocol:", "X:", "HTTP/1.1 400 ");
    refuse(*state, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", "HTTP/1.1 426 Upgrade Required\r\n");
    refuse(*state, "dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", "HTTP/1.1 400 ");
    refuse(*state, "Connection: Upgrade", "Connection: close", "HTTP/1.1 400 ");
    refuse(*state, "GET / ", "GET /other ", "HTTP/1.1 404 ");
    refuse(*state, "GET / ", "POST / ", "HTTP/1.1 405 ");
}

static uint32_t ask(browser *b, uint32_t id, const message *request, message *answer) {
    browser_send(b, id, request);
    return browser_receive(b, answer);
}

/* Makes `c` a device by way of the WebSocket. */
static void join(browser *b, served *s, caller *c, const char *staff) {
    uint8_t token[INVITE_TOKEN_BYTES], key[CRYPTO_KEY_BYTES];
    const lp_env *env = server_os_env();
    served_invite(s, staff, "manager", token);
    env->random(env->ctx, c->seed, sizeof c->seed);
    env->random(env->ctx, c->install, sizeof c->install);
    assert_int_equal(crypto_public_key(c->seed, key, NULL), LP_OK);
    message answer;
    message request = {.number = MSG_JOIN,
                       .version = PROTOCOL_VERSION,
                       .token = span_of(token, sizeof token),
                       .public_key = span_of(key, sizeof key),
                       .install = span_of(c->install, sizeof c->install),
                       .label = span_text("browser")};
    assert_int_equal(ask(b, 0x80000001u, &request, &answer), 0x80000001u);
    assert_int_equal(answer.number, MSG_JOINED);
    assert_true(span_equal(answer.staff_name, span_text(staff)));
    c->device = (uint32_t)answer.device;
}

static void greet(browser *b, caller *c) {
    uint8_t signature[CRYPTO_SIGNATURE_BYTES];
    message hello, answer;
    c->binding_size = browser_binding(b, c->binding).size;
    caller_hello(c, &hello, signature);
    assert_int_equal(ask(b, 0xfffffffeu, &hello, &answer), 0xfffffffeu);
    assert_int_equal(answer.number, MSG_WELCOME);
}

static void a_websocket_joins_says_hello_and_syncs(void **state) {
    browser b;
    caller c = {.fd = -1};
    message answer;
    upgrade(&b, *state);
    join(&b, *state, &c, "王伟");
    greet(&b, &c);
    for (uint32_t id = 0x80000010u; id < 0x80000020u; id++)
        browser_send(&b, id, &(message){.number = MSG_SYNC});
    for (uint32_t id = 0x80000010u; id < 0x80000020u; id++) {
        assert_int_equal(browser_receive(&b, &answer), id);
        assert_int_equal(answer.number, MSG_SYNCED);
    }
    browser_close(&b);
}

/* JavaScript cannot read the binding of its connection. */
static void a_page_signs_a_challenge_instead_of_the_binding(void **state) {
    browser b;
    caller c = {.fd = -1};
    uint8_t signature[CRYPTO_SIGNATURE_BYTES];
    message hello, answer;
    upgrade(&b, *state);
    join(&b, *state, &c, "José");
    assert_int_equal(ask(&b, 0x80000002u, &(message){.number = MSG_CHALLENGE}, &answer), 0x80000002u);
    assert_int_equal(answer.number, MSG_CHALLENGED);
    assert_int_equal(answer.nonce.size, 32);
    memcpy(c.binding, answer.nonce.data, 32);
    c.binding_size = 32;
    caller_hello(&c, &hello, signature);
    ask(&b, 0x80000003u, &hello, &answer);
    assert_int_equal(answer.number, MSG_WELCOME);
    browser_close(&b);
    upgrade(&b, *state); /* another connection, another challenge: the signature proves nothing there */
    ask(&b, 0x80000002u, &(message){.number = MSG_CHALLENGE}, &answer);
    ask(&b, 0x80000003u, &hello, &answer);
    assert_int_equal(answer.number, MSG_REFUSED);
    browser_close(&b);
}

/* A hello is signed for one connection: over another it proves nothing. */
static void a_hello_of_another_connection_is_refused(void **state) {
    browser first, second;
    caller c = {.fd = -1};
    uint8_t signature[CRYPTO_SIGNATURE_BYTES];
    message hello, answer;
    upgrade(&first, *state);
    join(&first, *state, &c, "Li Wei");
    c.binding_size = browser_binding(&first, c.binding).size;
    caller_hello(&c, &hello, signature);
    upgrade(&second, *state);
    ask(&second, 0x80000001u, &hello, &answer);
    assert_int_equal(answer.number, MSG_REFUSED);
    browser_close(&second);
    browser_close(&first);
}

static void a_device_and_a_browser_share_the_port_and_the_pool(void **state) {
    browser b;
    caller native = {.fd = -1};
    uint8_t token[INVITE_TOKEN_BYTES], signature[CRYPTO_SIGNATURE_BYTES];
    message hello, answer;
    served_invite(*state, "Ana", "rep", token);
    assert_true(caller_connect(&native, *state));
    assert_true(caller_join(&native, token, &answer));
    caller_hello(&native, &hello, signature);
    assert_true(caller_ask(&native, &hello, &answer));
    assert_int_equal(answer.number, MSG_WELCOME);
    caller_disconnect(&native);
    upgrade(&b, *state);
    greet(&b, &native); /* the same device, now by WebSocket */
    browser_close(&b);
    caller_free(&native);
}

static void garbage_in_a_frame_is_answered_with_an_error(void **state) {
    browser b;
    message answer;
    upgrade(&b, *state);
    browser_frame(&b, FRAME_LAST | FRAME_BINARY, SPAN_LITERAL("\x80\0\0\x07\xc1 no msgpack"));
    assert_int_equal(browser_receive(&b, &answer), 0x80000007u);
    assert_int_equal(answer.number, MSG_ERROR);
    browser_close(&b);
}

static void a_ping_is_answered_with_its_payload(void **state) {
    browser b;
    span payload;
    upgrade(&b, *state);
    browser_frame(&b, FRAME_LAST | FRAME_PING, SPAN_LITERAL("are you there"));
    assert_int_equal(browser_next(&b, &payload), FRAME_LAST | FRAME_PONG);
    assert_true(span_equal(payload, SPAN_LITERAL("are you there")));
    browser_frame(&b, FRAME_LAST | FRAME_PONG, SPAN_LITERAL("unasked"));
    browser_frame(&b, FRAME_LAST | FRAME_PING, (span){0});
    assert_int_equal(browser_next(&b, &payload), FRAME_LAST | FRAME_PONG);
    assert_int_equal(payload.size, 0);
    browser_close(&b);
}

/* Cut inside the id, with a ping between the pieces. */
static void a_message_in_fragments_is_one_message(void **state) {
    browser b;
    span payload;
    message answer;
    buf bytes = {0};
    upgrade(&b, *state);
    buf_append_span(&bytes, SPAN_LITERAL("\x80\0\0\x09"));
    assert_int_equal(
        message_encode(&(message){.number = MSG_HELLO, .version = PROTOCOL_VERSION, .device = 4711}, &bytes, NULL),
        LP_OK);
    browser_frame(&b, FRAME_BINARY, span_of(bytes.data, 2));
    browser_frame(&b, FRAME_REST, (span){0});
    browser_frame(&b, FRAME_LAST | FRAME_PING, SPAN_LITERAL("p"));
    browser_frame(&b, FRAME_REST, span_of(bytes.data + 2, 3));
    assert_int_equal(browser_next(&b, &payload), FRAME_LAST | FRAME_PONG);
    browser_frame(&b, FRAME_LAST | FRAME_REST, span_of(bytes.data + 5, bytes.size - 5));
    assert_int_equal(browser_receive(&b, &answer), 0x80000009u);
    assert_int_equal(answer.number, MSG_REFUSED); /* there is no such device */
    buf_fini(&bytes);
    browser_close(&b);
}

static void a_close_is_answered_with_its_code_and_the_line_ends_well(void **state) {
    browser b;
    upgrade(&b, *state);
    browser_frame(&b, FRAME_LAST | FRAME_CLOSE,
                  SPAN_LITERAL("\x03\xe9"
                               "going away"));
    assert_int_equal(browser_close_code(&b), 1001);
    assert_string_equal(browser_rest(&b), "");
    assert_true(b.ended_well);
    browser_close(&b);
}

/* Sends bytes that break the rules and takes the close that says which. */
static void break_rule(const served *s, span frame, uint16_t code) {
    browser b;
    upgrade(&b, s);
    browser_write(&b, frame);
    assert_int_equal(browser_close_code(&b), code);
    browser_rest(&b);
    assert_true(b.ended_well);
    browser_close(&b);
}

static void broken_rules_end_in_a_close_that_says_which(void **state) {
    break_rule(*state, SPAN_LITERAL("\x81\x82\0\0\0\0hi"), 1003);                     /* text */
    break_rule(*state, SPAN_LITERAL("\x82\x05\x80\0\0\x01\xc0"), 1002);               /* not masked */
    break_rule(*state, SPAN_LITERAL("\x82\x83\0\0\0\0\x80\0\0"), 1002);               /* no whole id */
    break_rule(*state, SPAN_LITERAL("\x82\x85\0\0\0\0\0\0\0\x01\xc0"), 1002);         /* an id without its high bit */
    break_rule(*state, SPAN_LITERAL("\xc2\x85\0\0\0\0\x80\0\0\x01\xc0"), 1002);       /* compressed */
    break_rule(*state, SPAN_LITERAL("\x80\x81\0\0\0\0x"), 1002);                      /* the rest of nothing */
    break_rule(*state, SPAN_LITERAL("\x82\xff\0\0\0\x01\0\0\0\0\0\0\0\0\x80"), 1009); /* 4 GiB */
}

/* ---- limits ---- */

static void too_much_before_a_hello_is_closed(void **state) {
    browser b;
    static const uint8_t piece[32 * 1024] = {0x80};
    upgrade(&b, *state);
    browser_frame(&b, FRAME_BINARY, span_of(piece, sizeof piece));
    browser_frame(&b, FRAME_REST, span_of(piece, sizeof piece));
    assert_int_equal(browser_close_code(&b), 1000);
    browser_close(&b);
}

static int64_t now_ms(void) {
    return server_os_env()->boot_ms(NULL);
}

static void those_who_say_nothing_are_closed_at_every_stage(void **state) {
    (void)state;
    served s;
    browser silent, half, idle, joined, gone;
    caller c = {.fd = -1};
    served_init(&s, false);
    s.config.handshake_timeout_ms = 2000;
    s.config.idle_timeout_ms = 1000;
    served_start(&s);
    int64_t begin_ms = now_ms();
    upgrade(&gone, &s);
    join(&gone, &s, &c, "Li Wei");
    greet(&gone, &c);
    assert_true(browser_open(&silent, &s, BROWSER_ALPN)); /* no request */
    assert_true(browser_open(&half, &s, BROWSER_ALPN));   /* half a request */
    browser_write(&half, SPAN_LITERAL("GET / HTTP/1.1\r\nHost: "));
    upgrade(&idle, &s); /* no hello; a ping is none */
    browser_frame(&idle, FRAME_LAST | FRAME_PING, (span){0});
    upgrade(&joined, &s); /* a join, and no hello after it */
    join(&joined, &s, &c, "Ana");

    span payload;
    assert_int_equal(browser_next(&idle, &payload), FRAME_LAST | FRAME_PONG);
    browser *const sockets[] = {&idle, &joined, &gone};
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
        assert_int_equal(browser_close_code(sockets[i]), 1000);
        browser_rest(sockets[i]);
        assert_true(sockets[i]->ended_well);
        browser_close(sockets[i]);
    }
    browser *const others[] = {&silent, &half};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_string_equal(browser_rest(others[i]), "");
        assert_true(others[i]->ended_well);
        browser_close(others[i]);
    }
    assert_in_range(now_ms() - begin_ms, 1000, 15000); /* not the 10 s + 90 s of the defaults */
    served_stop(&s);
}

static void websockets_count_towards_the_limit_of_an_address(void **state) {
    (void)state;
    served s;
    browser first, second, third;
    served_init(&s, false);
    s.config.max_connections_per_address = 2;
    served_start(&s);
    upgrade(&first, &s);
    upgrade(&second, &s);
    assert_false(browser_open(&third, &s, BROWSER_ALPN));
    browser_close(&third);
    browser_frame(&first, FRAME_LAST | FRAME_CLOSE, (span){0});
    assert_int_equal(browser_close_code(&first), 1000);
    browser_close(&first);
    browser_close(&second);
    served_stop(&s);
}

static void a_stopping_server_closes_its_websockets(void **state) {
    (void)state;
    served s;
    browser b;
    caller c = {.fd = -1};
    served_init(&s, false);
    served_start(&s);
    upgrade(&b, &s);
    join(&b, &s, &c, "Li Wei");
    greet(&b, &c);
    served_stop(&s);
    assert_int_equal(browser_close_code(&b), 1000);
    browser_close(&b);
}

/* ---- the certificate ---- */

static void the_certificate_is_one_that_browsers_can_be_told_to_trust(void **state) {
    browser b;
    assert_true(browser_open(&b, *state, BROWSER_ALPN));
    X509 *certificate = SSL_get1_peer_certificate(b.ssl);
    X509_STORE *trusted = X509_STORE_new();
    X509_STORE_CTX *verification = X509_STORE_CTX_new();
    assert_true(certificate && trusted && verification);
    assert_int_equal(X509_check_host(certificate, "localhost", 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL), 1);
    assert_int_equal(X509_check_host(certificate, "leadpool", 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL), 1);
    assert_int_equal(X509_check_host(certificate, "leads.example", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(certificate, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "192.0.2.1", 0), 0);
    assert_int_equal(X509_check_ca(certificate), 0);

    /* Once it is in the store of what a person trusts, a strict verification for a TLS server passes. */
    assert_int_equal(X509_STORE_add_cert(trusted, certificate), 1);
    assert_int_equal(X509_STORE_CTX_init(verification, trusted, certificate, NULL), 1);
    assert_int_equal(X509_STORE_CTX_set_default(verification, "ssl_server"), 1);
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(verification),
                                X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
    if (X509_verify_cert(verification) != 1)
        fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(verification)));
    X509_STORE_CTX_free(verification);
    X509_STORE_free(trusted);
    X509_free(certificate);
    browser_close(&b);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* a server that refuses may hang up while we write */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_front_page_is_html_and_names_the_server),
        cmocka_unit_test(health_is_ok_with_and_without_a_query),
        cmocka_unit_test(head_has_the_headers_of_get_and_no_body),
        cmocka_unit_test(everything_else_is_refused_with_its_status_and_safe_headers),
        cmocka_unit_test(long_targets_and_heads_are_refused),
        cmocka_unit_test(one_request_is_answered_and_what_follows_is_not),
        cmocka_unit_test(no_alpn_is_welcome_and_http_2_alone_is_not),
        cmocka_unit_test(an_upgrade_is_answered_as_the_rfc_has_it),
        cmocka_unit_test(pages_of_other_origins_are_forbidden),
        cmocka_unit_test(origins_of_the_configuration_and_programs_without_one_may_upgrade),
        cmocka_unit_test(upgrades_to_something_else_are_refused),
        cmocka_unit_test(a_websocket_joins_says_hello_and_syncs),
        cmocka_unit_test(a_page_signs_a_challenge_instead_of_the_binding),
        cmocka_unit_test(a_hello_of_another_connection_is_refused),
        cmocka_unit_test(a_device_and_a_browser_share_the_port_and_the_pool),
        cmocka_unit_test(garbage_in_a_frame_is_answered_with_an_error),
        cmocka_unit_test(a_ping_is_answered_with_its_payload),
        cmocka_unit_test(a_message_in_fragments_is_one_message),
        cmocka_unit_test(a_close_is_answered_with_its_code_and_the_line_ends_well),
        cmocka_unit_test(broken_rules_end_in_a_close_that_says_which),
        cmocka_unit_test(too_much_before_a_hello_is_closed),
        cmocka_unit_test(those_who_say_nothing_are_closed_at_every_stage),
        cmocka_unit_test(websockets_count_towards_the_limit_of_an_address),
        cmocka_unit_test(a_stopping_server_closes_its_websockets),
        cmocka_unit_test(the_certificate_is_one_that_browsers_can_be_told_to_trust),
    };
    return cmocka_run_group_tests_name("browser path", tests, set_up, tear_down);
}
