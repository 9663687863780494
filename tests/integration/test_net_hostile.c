/* test_net_hostile.c - thousands of connections that mean no good, and a device that is answered all the while. Afterwards no
 * descriptor and no memory is missing (docs: design section 9; nng's own listeners fail every one of these).
 *
 * LEADPOOL_HOSTILE=N sets how many (2,000). Seeded; see tests/support/prop.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/os.h"
#include "tests/support/prop.h"
#include "tests/support/served.h"

#define HOLD 64         /* connections kept open for a while */
#define HONEST_EVERY 40 /* hostile connections between two calls of the honest device */
#define SETTLE_MS 60000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROWTH_BYTES_MAX (512L << 20) /* the sanitizer keeps what was freed */
#else
#define GROWTH_BYTES_MAX (16L << 20)
#endif

typedef struct attack {
    served *server;
    prop *random;
    int held[HOLD]; /* trickles and half handshakes */
    uint32_t turn;
    buf hello; /* a TLS client's first flight */
} attack;

static void push(int fd, const void *bytes, size_t size) {
    ssize_t put = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)put; /* whoever is refused is refused */
}

static void hold(attack *a, int fd) {
    int *place = &a->held[a->turn++ % HOLD];
    if (*place >= 0)
        close(*place);
    *place = fd;
}

static void reset(int fd) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static void connect_and_reset(attack *a, int fd) {
    (void)a;
    reset(fd);
}

static void shut_down_and_reset(attack *a, int fd) {
    (void)a;
    shutdown(fd, SHUT_RDWR);
    reset(fd);
}

static void half_a_handshake(attack *a, int fd) {
    push(fd, a->hello.data, (size_t)prop_below(a->random, a->hello.size));
    hold(a, fd);
}

static void handshake_and_reset(attack *a, int fd) {
    push(fd, a->hello.data, a->hello.size);
    reset(fd);
}

static void http_with_escapes(attack *a, int fd) {
    static const char request[] = "GET /aaa%41 HTTP/1.1\r\nHost: x\r\n\r\n";
    (void)a;
    push(fd, request, sizeof request - 1);
    close(fd);
}

static void http_head_without_end(attack *a, int fd) {
    static const char request[] = "GET / HTTP/1.1\r\nX: ";
    char filler[4000];
    memset(filler, 'a', sizeof filler);
    push(fd, request, sizeof request - 1);
    for (int i = 0; i < 8; i++)
        push(fd, filler, sizeof filler);
    hold(a, fd);
}

static void length_of_4_gib(attack *a, int fd) {
    static const uint8_t bytes[] = {0, 'S', 'P', 0, 0, 0x30, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 0, 0, 1};
    push(fd, bytes, sizeof bytes);
    hold(a, fd);
}

static void garbage(attack *a, int fd) {
    uint8_t bytes[2000];
    size_t size = 1 + (size_t)prop_below(a->random, sizeof bytes);
    prop_bytes(a->random, bytes, size);
    push(fd, bytes, size);
    if (prop_chance(a->random, 50))
        reset(fd);
    else
        close(fd);
}

static void silence(attack *a, int fd) {
    hold(a, fd);
}

static void (*const attacks[])(attack *, int) = {
    connect_and_reset, shut_down_and_reset,   half_a_handshake, handshake_and_reset,
    http_with_escapes, http_head_without_end, length_of_4_gib,  garbage,
    silence,
};

/* A byte for everyone who is kept open: the slow trickle. */
static void trickle(attack *a) {
    for (int i = 0; i < HOLD; i++)
        if (a->held[i] >= 0)
            push(a->held[i], "\0", 1);
}

static void let_go(attack *a) {
    for (int i = 0; i < HOLD; i++) {
        if (a->held[i] >= 0)
            close(a->held[i]);
        a->held[i] = -1;
    }
}

static void be_hostile(attack *a) {
    int fd = caller_dial(net_port(a->server->net));
    assert_true(fd >= 0);
    attacks[prop_below(a->random, sizeof attacks / sizeof attacks[0])](a, fd);
    if (prop_chance(a->random, 10))
        trickle(a);
}

/* The honest device: a fresh connection, hello, an answer. */
static void call(served *s, caller *c) {
    uint8_t signature[CRYPTO_SIGNATURE_BYTES];
    message hello, answer;
    assert_true(caller_connect(c, s));
    caller_hello(c, &hello, signature);
    assert_true(caller_ask(c, &hello, &answer));
    assert_int_equal(answer.number, MSG_WELCOME);
    assert_true(caller_ask(c, &(message){.number = MSG_SYNC}, &answer));
    assert_int_equal(answer.number, MSG_SYNCED);
    caller_disconnect(c);
}

static long descriptors(void) {
    long count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static long resident_bytes(void) {
    char text[128] = "";
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    char *second = strchr(text, ' ');
    assert_non_null(second);
    return strtol(second, NULL, 10) * sysconf(_SC_PAGESIZE);
}

/* The honest device goes on calling until the server has forgotten everybody else and given their descriptors back. Its call
 * is accepted after all that came before it, so that none of them is still to come. */
static void settle(served *s, caller *c, long descriptors_max) {
    const lp_env *env = server_os_env();
    int64_t until_ms = env->boot_ms(env->ctx) + SETTLE_MS;
    do {
        assert_true(env->boot_ms(env->ctx) < until_ms);
        call(s, c);
    } while (net_connections(s->net) > 1 || descriptors() > descriptors_max);
    malloc_trim(0);
}

static void survive(bool plaintext, uint32_t count) {
    served s;
    caller c = {.fd = -1};
    prop random = prop_begin(plaintext ? "hostile plain" : "hostile tls");
    attack a = {.server = &s, .random = &random};
    uint8_t token[INVITE_TOKEN_BYTES];
    message answer;
    memset(a.held, -1, sizeof a.held);
    served_init(&s, plaintext);
    s.config.handshake_timeout_ms = 3000;
    served_start(&s);
    server_os_raise_files();

    served_invite(&s, "Li Wei", "rep", token);
    assert_true(caller_connect(&c, &s));
    assert_true(caller_join(&c, token, &answer));
    caller_disconnect(&c);

    tls_context *tls;
    channel *first_flight;
    uint8_t pin[1][PIN_BYTES] = {{0}};
    assert_int_equal(tls_context_client(pin, 1, span_of(NULL, 0), &tls, NULL), LP_OK);
    assert_int_equal(channel_new(&(channel_options){.tls = tls}, &first_flight, NULL), LP_OK);
    buf_append_span(&a.hello, channel_output(first_flight));
    channel_free(first_flight);
    tls_context_free(tls);

    long descriptors_max = descriptors() + 2;
    for (uint32_t i = 0; i < 200; i++) /* warms up the allocator */
        be_hostile(&a);
    let_go(&a);
    settle(&s, &c, descriptors_max);
    long bytes_before = resident_bytes();

    for (uint32_t i = 0; i < count; i++) {
        be_hostile(&a);
        if (i % HONEST_EVERY == 0)
            call(&s, &c);
    }
    let_go(&a);
    settle(&s, &c, descriptors_max);
    long grown = resident_bytes() - bytes_before;
    print_message("%u hostile connections: no descriptor lost, %ld KiB more memory\n", count, grown / 1024);
    assert_true(grown < GROWTH_BYTES_MAX);

    caller_free(&c);
    buf_fini(&a.hello);
    served_stop(&s);
}

static uint32_t wanted(void) {
    const char *text = getenv("LEADPOOL_HOSTILE");
    long count = text ? strtol(text, NULL, 10) : 0;
    return count > 0 ? (uint32_t)count : 2000;
}

static void a_tls_server_outlives_hostile_connections(void **state) {
    (void)state;
    survive(false, wanted() / 2);
}

static void a_plain_server_outlives_hostile_connections(void **state) {
    (void)state;
    survive(true, wanted() / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tls_server_outlives_hostile_connections),
        cmocka_unit_test(a_plain_server_outlives_hostile_connections),
    };
    return cmocka_run_group_tests_name("net hostile", tests, NULL, NULL);
}
