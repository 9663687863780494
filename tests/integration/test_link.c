/* test_link.c - the device's link against a stock nng socket, our own channel in server mode, and whatever else may answer at an
 * address: a captive portal, silence, a reset. Everything runs on 127.0.0.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/link.h"
#include "proto/channel/tls.h"

#define GENEROUS_MS 20000
#define SHORT_MS 300
#define ID(n) (0x80000000u | (n))

/* ---- servers: one thread, one connection after the other ---- */

typedef struct server server;
typedef void (*behaviour)(server *s, int fd);

struct server {
    int listener;
    uint16_t port;
    _Atomic(behaviour) behave; /* read by the server's thread */
    tls_context *tls;
    uint8_t pin[PIN_BYTES];
    pthread_t thread;
    bool running;
    uint32_t held_id; /* echo_in_reverse: the first request waits for the second */
    buf held;
};

static void *accept_all(void *ctx) {
    server *s = ctx;
    for (int fd; (fd = accept(s->listener, NULL, NULL)) >= 0;) {
        atomic_load (&s->behave)(s, fd); /* a call alone would not load it atomically */
        close(fd);
    }
    return NULL;
}

static void server_listen(server *s) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&address, &size), 0);
    s->port = ntohs(address.sin_port);
}

static void server_secure(server *s) {
    buf key = {0}, certificate = {0};
    lp_error error;
    assert_int_equal(tls_identity_make("leadpool test", &key, &certificate, &error), LP_OK);
    assert_int_equal(tls_context_server(buf_span(&key), buf_span(&certificate), &s->tls, &error), LP_OK);
    tls_context_pin(s->tls, s->pin);
    buf_fini(&key);
    buf_fini(&certificate);
}

static void server_start(server *s, behaviour behave) {
    s->behave = behave;
    server_listen(s);
    assert_int_equal(pthread_create(&s->thread, NULL, accept_all, s), 0);
    s->running = true;
}

static void server_stop(server *s) {
    shutdown(s->listener, SHUT_RDWR);
    if (s->running)
        pthread_join(s->thread, NULL);
    close(s->listener);
    tls_context_free(s->tls);
    buf_fini(&s->held);
}

static bool write_all(int fd, span bytes) {
    while (bytes.size > 0) {
        ssize_t count = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (count <= 0)
            return false;
        bytes = span_of(bytes.data + count, bytes.size - (size_t)count);
    }
    return true;
}

static bool flush_channel(channel *c, int fd) {
    for (span output; (output = channel_output(c)).size > 0; channel_output_done(c, output.size))
        if (!write_all(fd, output))
            return false;
    return true;
}

typedef bool (*answer_fn)(server *s, channel *c, int fd, uint32_t id, span bytes); /* false: hang up */

static bool handle_events(server *s, channel *c, int fd, answer_fn answer) {
    for (channel_event event;;) {
        channel_next(c, &event);
        if (event.kind == CHANNEL_NOTHING)
            return true;
        if (event.kind == CHANNEL_MESSAGE && answer(s, c, fd, event.id, event.bytes))
            continue;
        if (event.kind != CHANNEL_OPEN)
            return false;
    }
}

static void serve(server *s, int fd, answer_fn answer) {
    channel_options options = {.tls = s->tls, .server = true};
    channel *c = NULL;
    if (channel_new(&options, &c, NULL) != LP_OK)
        return;
    uint8_t bytes[16384];
    for (ssize_t count; flush_channel(c, fd) && (count = read(fd, bytes, sizeof bytes)) > 0;) {
        channel_receive(c, span_of(bytes, (size_t)count));
        bool go_on = handle_events(s, c, fd, answer);
        if (!go_on)
            break;
    }
    flush_channel(c, fd);
    channel_free(c);
}

static bool answer_same(server *s, channel *c, int fd, uint32_t id, span bytes) {
    (void)s;
    (void)fd;
    buf copy = {0};
    buf_append_span(&copy, bytes);
    lp_err rc = channel_send(c, id, buf_span(&copy), NULL);
    buf_fini(&copy);
    return rc == LP_OK;
}

static void echo(server *s, int fd) {
    serve(s, fd, answer_same);
}

static bool answer_later(server *s, channel *c, int fd, uint32_t id, span bytes) {
    if (s->held_id == 0) {
        s->held_id = id;
        buf_append_span(&s->held, bytes);
        return true;
    }
    return answer_same(s, c, fd, id, bytes) && channel_send(c, s->held_id, buf_span(&s->held), NULL) == LP_OK;
}

static void echo_in_reverse(server *s, int fd) {
    serve(s, fd, answer_later);
}

static bool answer_half(server *s, channel *c, int fd, uint32_t id, span bytes) {
    answer_same(s, c, fd, id, bytes);
    span output = channel_output(c);
    write_all(fd, span_of(output.data, output.size / 2));
    channel_output_done(c, output.size);
    return false;
}

static void hang_up_in_a_message(server *s, int fd) {
    serve(s, fd, answer_half);
}

static void show_portal(server *s, int fd) {
    static const char page[] = "HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 40\r\n\r\n"
                               "<html><body>please log in</body></html>\n";
    (void)s;
    uint8_t bytes[1024];
    if (read(fd, bytes, sizeof bytes) > 0)
        write_all(fd, span_text(page));
    shutdown(fd, SHUT_WR);
    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
}

static void reset(server *s, int fd) {
    struct linger now = {.l_onoff = 1};
    (void)s;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* FIN, then RST: after this a stock nng dialer may never dial again. */
static void finish_and_reset(server *s, int fd) {
    shutdown(fd, SHUT_WR);
    reset(s, fd);
}

static void hang_up(server *s, int fd) {
    uint8_t byte;
    (void)s;
    if (read(fd, &byte, 1) > 0)
        shutdown(fd, SHUT_RDWR);
}

/* ---- the fixture: a link, a server, and a client's context that trusts it ---- */

typedef struct fixture {
    link_t *link;
    server server;
    tls_context *tls;
    link_event event;
    lp_error error;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->server.listener = -1;
    assert_int_equal(link_new(&f->link, NULL), LP_OK);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    link_free(f->link);
    if (f->server.listener >= 0)
        server_stop(&f->server);
    tls_context_free(f->tls);
    free(f);
    return 0;
}

static void trust(fixture *f, uint8_t flip) {
    uint8_t pins[1][PIN_BYTES];
    memcpy(pins[0], f->server.pin, PIN_BYTES);
    pins[0][0] ^= flip;
    assert_int_equal(tls_context_client((const uint8_t(*)[PIN_BYTES])pins, 1, span_of(NULL, 0), &f->tls, &f->error),
                     LP_OK);
}

static void start_plain(fixture *f, behaviour behave) {
    server_start(&f->server, behave);
}

static void start_tls(fixture *f, behaviour behave) {
    server_secure(&f->server);
    trust(f, 0);
    server_start(&f->server, behave);
}

static link_event_kind wait_event(fixture *f) {
    link_wait(f->link, GENEROUS_MS, &f->event);
    return f->event.kind;
}

static void connect_to(fixture *f, const char *host) {
    link_connect(f->link, host, f->server.port, f->tls, GENEROUS_MS);
}

static void expect_lost(fixture *f, lp_err code, const char *part) {
    assert_int_equal(wait_event(f), LINK_LOST);
    if (f->event.error.code != code || !strstr(f->event.error.message, part))
        fail_msg("lost with %s \"%s\", wanted \"%s\"", lp_err_name(f->event.error.code), f->event.error.message, part);
}

static void expect_message(fixture *f, uint32_t id, span bytes) {
    if (wait_event(f) != LINK_MESSAGE)
        fail_msg("event %d: %s", (int)f->event.kind, f->event.error.message);
    assert_int_equal(f->event.id, id);
    assert_true(span_equal(f->event.bytes, bytes));
}

static void exchange(fixture *f) {
    if (wait_event(f) != LINK_OPEN)
        fail_msg("event %d: %s", (int)f->event.kind, f->event.error.message);
    assert_int_equal(f->event.bytes.size, f->tls ? TLS_BINDING_BYTES : 0);
    assert_int_equal(link_send(f->link, ID(1), SPAN_LITERAL("ping"), &f->error), LP_OK);
    expect_message(f, ID(1), SPAN_LITERAL("ping"));
}

/* ---- those who speak our language ---- */

static void *answer_twice(void *ctx) {
    nng_socket *rep = ctx;
    for (int i = 0; i < 2; i++) {
        nng_msg *message = NULL;
        if (nng_recvmsg(*rep, &message, 0) != 0)
            break;
        nng_msg_append(message, "!", 1);
        if (nng_sendmsg(*rep, message, 0) != 0)
            nng_msg_free(message);
    }
    return NULL;
}

static void a_stock_nng_rep_socket_answers_us(void **state) {
    fixture *f = *state;
    nng_socket rep;
    nng_listener listener;
    nng_sockaddr address;
    pthread_t thread;
    assert_int_equal(nng_rep0_open(&rep), 0);
    nng_socket_set_ms(rep, NNG_OPT_RECVTIMEO, GENEROUS_MS);
    assert_int_equal(nng_listen(rep, "tcp://127.0.0.1:0", &listener, 0), 0);
    assert_int_equal(nng_listener_get_addr(listener, NNG_OPT_LOCADDR, &address), 0);
    assert_int_equal(pthread_create(&thread, NULL, answer_twice, &rep), 0);
    link_connect(f->link, "127.0.0.1", ntohs(address.s_in.sa_port), NULL, GENEROUS_MS);
    assert_int_equal(wait_event(f), LINK_OPEN);
    assert_int_equal(link_send(f->link, ID(7), SPAN_LITERAL("hello"), &f->error), LP_OK);
    expect_message(f, ID(7), SPAN_LITERAL("hello!"));
    assert_int_equal(link_send(f->link, ID(8), SPAN_LITERAL(""), &f->error), LP_OK);
    expect_message(f, ID(8), SPAN_LITERAL("!"));
    pthread_join(thread, NULL);
    nng_close(rep);
}

static void a_message_crosses_plain_text_on_loopback(void **state) {
    start_plain(*state, echo);
    connect_to(*state, "127.0.0.1");
    exchange(*state);
}

static void a_message_crosses_tls_and_every_byte_is_counted(void **state) {
    fixture *f = *state;
    uint64_t up = 0, down = 0;
    start_tls(f, echo);
    connect_to(f, "127.0.0.1");
    exchange(f);
    link_bytes(f->link, &up, &down);
    assert_true(up > 200 && up < 4000);
    assert_true(down > 500 && down < 8000);
}

static void a_name_with_several_addresses_is_tried_until_one_answers(void **state) {
    start_tls(*state, echo);
    connect_to(*state, "localhost"); /* mostly ::1 first, where nobody listens */
    exchange(*state);
}

static void a_message_of_a_mebibyte_comes_back_whole(void **state) {
    fixture *f = *state;
    size_t size = 1024 * 1024 - 64;
    uint8_t *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    start_tls(f, echo);
    connect_to(f, "127.0.0.1");
    assert_int_equal(wait_event(f), LINK_OPEN);
    assert_int_equal(link_send(f->link, ID(1), span_of(bytes, size), &f->error), LP_OK);
    expect_message(f, ID(1), span_of(bytes, size));
    free(bytes);
}

static void two_requests_in_flight_may_be_answered_out_of_order(void **state) {
    fixture *f = *state;
    start_tls(f, echo_in_reverse);
    connect_to(f, "127.0.0.1");
    assert_int_equal(wait_event(f), LINK_OPEN);
    assert_int_equal(link_send(f->link, ID(1), SPAN_LITERAL("first"), &f->error), LP_OK);
    assert_int_equal(link_send(f->link, ID(2), SPAN_LITERAL("second"), &f->error), LP_OK);
    expect_message(f, ID(2), SPAN_LITERAL("second"));
    expect_message(f, ID(1), SPAN_LITERAL("first"));
}

static void bytes_of_an_event_stay_while_the_next_request_is_sent(void **state) {
    fixture *f = *state;
    start_tls(f, echo);
    connect_to(f, "127.0.0.1");
    exchange(f);
    assert_int_equal(link_send(f->link, ID(2), SPAN_LITERAL("another"), &f->error), LP_OK);
    assert_true(span_equal(f->event.bytes, SPAN_LITERAL("ping")));
    expect_message(f, ID(2), SPAN_LITERAL("another"));
}

/* ---- those who do not ---- */

static void a_wrong_pin_is_untrusted(void **state) {
    fixture *f = *state;
    server_secure(&f->server);
    trust(f, 1);
    server_start(&f->server, echo);
    connect_to(f, "127.0.0.1");
    expect_lost(f, LP_UNTRUSTED, "");
}

/* F52 */
static void a_captive_portal_is_a_network_that_leads_nowhere(void **state) {
    fixture *f = *state;
    start_plain(f, show_portal);
    connect_to(f, "127.0.0.1");
    expect_lost(f, LP_OFFLINE, "captive portal");
    trust(f, 0);
    connect_to(f, "127.0.0.1");
    expect_lost(f, LP_OFFLINE, "captive portal");
}

static void nobody_listening_is_offline_and_names_the_address(void **state) {
    fixture *f = *state;
    char address[64];
    server_listen(&f->server);
    close(f->server.listener);
    f->server.listener = -1;
    snprintf(address, sizeof address, "no server answers at 127.0.0.1:%u", f->server.port);
    connect_to(f, "127.0.0.1");
    expect_lost(f, LP_OFFLINE, address);
    connect_to(f, "localhost");
    expect_lost(f, LP_OFFLINE, "no server answers at localhost");
}

static void a_name_that_does_not_exist_is_offline_and_named(void **state) {
    fixture *f = *state;
    f->server.port = 1; /* a label of more than 63 bytes cannot be in the DNS, so nobody is asked */
    connect_to(f, "127.0.0.1.0123456789012345678901234567890123456789012345678901234567890123456789");
    expect_lost(f, LP_UNTRUSTED, "plain text");
    server_secure(&f->server);
    trust(f, 0);
    connect_to(f, "a.0123456789012345678901234567890123456789012345678901234567890123456789");
    expect_lost(f, LP_OFFLINE, "cannot find the host a.0123");
    tls_context_free(f->server.tls);
}

static void silence_ends_when_the_time_is_up(void **state) {
    fixture *f = *state;
    server_listen(&f->server); /* the kernel takes the connection, nobody accepts it */
    server_secure(&f->server);
    trust(f, 0);
    link_connect(f->link, "127.0.0.1", f->server.port, f->tls, SHORT_MS);
    expect_lost(f, LP_OFFLINE, "did not say hello");
    assert_int_equal((link_wait(f->link, 0, &f->event), f->event.kind), LINK_TIMEOUT);
}

static void a_server_that_hangs_up_in_a_message_loses_the_link_only(void **state) {
    fixture *f = *state;
    start_tls(f, hang_up_in_a_message);
    connect_to(f, "127.0.0.1");
    assert_int_equal(wait_event(f), LINK_OPEN);
    assert_int_equal(link_send(f->link, ID(1), SPAN_LITERAL("a message of some length"), &f->error), LP_OK);
    expect_lost(f, LP_OFFLINE, "127.0.0.1");
    assert_int_equal(link_send(f->link, ID(2), SPAN_LITERAL("x"), &f->error), LP_CLOSED);
}

static void losing_in_any_way_leaves_the_link_usable(void **state) {
    fixture *f = *state;
    static const behaviour ways[] = {reset, finish_and_reset, hang_up};
    start_tls(f, reset);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        atomic_store(&f->server.behave, ways[i]);
        connect_to(f, "127.0.0.1");
        expect_lost(f, LP_OFFLINE, "127.0.0.1");
    }
    atomic_store(&f->server.behave, echo);
    connect_to(f, "127.0.0.1");
    exchange(f);
}

static void plain_text_never_leaves_the_device(void **state) {
    fixture *f = *state;
    static const char *const hosts[] = {"192.0.2.1", "example.org", "127.0.0.1.example.org",
                                        "128.0.0.1", "2001:db8::1", "127.1"};
    f->server.port = 7117;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        connect_to(f, hosts[i]);
        expect_lost(f, LP_UNTRUSTED, "plain text");
    }
}

static void what_is_no_host_is_refused_before_nng_reads_it(void **state) {
    fixture *f = *state;
    static const char *const hosts[] = {"", "a b", "127.0.0.1;127.0.0.1", "a/b", "u@h", "[::1]"};
    f->server.port = 7117;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        connect_to(f, hosts[i]);
        expect_lost(f, LP_INVALID, "no address");
    }
}

/* ---- waiting and closing ---- */

static void *wake(void *l) {
    link_wake(l);
    return NULL;
}

static void another_thread_wakes_a_waiting_link(void **state) {
    fixture *f = *state;
    pthread_t thread;
    start_tls(f, echo);
    connect_to(f, "127.0.0.1");
    exchange(f);
    assert_int_equal(pthread_create(&thread, NULL, wake, f->link), 0);
    link_wait(f->link, -1, &f->event);
    assert_int_equal(f->event.kind, LINK_WOKEN);
    pthread_join(thread, NULL);
    link_wait(f->link, 0, &f->event);
    assert_int_equal(f->event.kind, LINK_TIMEOUT);
}

static void a_closed_link_says_nothing_more(void **state) {
    fixture *f = *state;
    start_tls(f, echo);
    for (int steps = 0; steps < 6; steps++) {
        connect_to(f, "127.0.0.1");
        for (int i = 0; i < steps; i++)
            link_wait(f->link, i, &f->event);
        link_close(f->link);
        link_wait(f->link, 5, &f->event);
        assert_int_equal(f->event.kind, LINK_TIMEOUT);
        assert_int_equal(link_send(f->link, ID(1), SPAN_LITERAL("x"), &f->error), LP_CLOSED);
    }
    connect_to(f, "127.0.0.1");
    exchange(f);
}

static void connecting_again_drops_the_first_connection(void **state) {
    fixture *f = *state;
    start_tls(f, echo);
    for (int i = 0; i < 20; i++)
        connect_to(f, i % 2 ? "127.0.0.1" : "localhost");
    exchange(f);
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_stock_nng_rep_socket_answers_us),
        T(a_message_crosses_plain_text_on_loopback),
        T(a_message_crosses_tls_and_every_byte_is_counted),
        T(a_name_with_several_addresses_is_tried_until_one_answers),
        T(a_message_of_a_mebibyte_comes_back_whole),
        T(two_requests_in_flight_may_be_answered_out_of_order),
        T(bytes_of_an_event_stay_while_the_next_request_is_sent),
        T(a_wrong_pin_is_untrusted),
        T(a_captive_portal_is_a_network_that_leads_nowhere),
        T(nobody_listening_is_offline_and_names_the_address),
        T(a_name_that_does_not_exist_is_offline_and_named),
        T(silence_ends_when_the_time_is_up),
        T(a_server_that_hangs_up_in_a_message_loses_the_link_only),
        T(losing_in_any_way_leaves_the_link_usable),
        T(plain_text_never_leaves_the_device),
        T(what_is_no_host_is_refused_before_nng_reads_it),
        T(another_thread_wakes_a_waiting_link),
        T(a_closed_link_says_nothing_more),
        T(connecting_again_drops_the_first_connection),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
