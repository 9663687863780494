/* test_peers.c - how many connections an address holds, and what counts as one address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "server/net/peers.h"

static peer_key v4(const char *text) {
    nng_sockaddr address = {0};
    peer_key key;
    uint16_t port;
    address.s_in.sa_family = NNG_AF_INET;
    assert_int_equal(inet_pton(AF_INET, text, &address.s_in.sa_addr), 1);
    assert_true(peer_key_from(&address, &key, &port));
    return key;
}

static peer_key v6(const char *text) {
    nng_sockaddr address = {0};
    peer_key key;
    uint16_t port;
    address.s_in6.sa_family = NNG_AF_INET6;
    assert_int_equal(inet_pton(AF_INET6, text, address.s_in6.sa_addr), 1);
    assert_true(peer_key_from(&address, &key, &port));
    return key;
}

static void an_address_has_its_share_and_gets_it_back(void **state) {
    (void)state;
    peers p;
    peer_key a = v4("192.0.2.1"), b = v4("192.0.2.2");
    peers_init(&p, 42);
    assert_true(peers_add(&p, &a, 2));
    assert_true(peers_add(&p, &a, 2));
    assert_false(peers_add(&p, &a, 2));
    assert_true(peers_add(&p, &b, 2));
    peers_remove(&p, &a);
    assert_true(peers_add(&p, &a, 2));
    peers_fini(&p);
}

static void many_addresses_are_counted_apart(void **state) {
    (void)state;
    peers p;
    peers_init(&p, 7);
    char text[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof text, "10.%d.%d.1", i / 256, i % 256);
        peer_key key = v4(text);
        assert_true(peers_add(&p, &key, 1));
        assert_false(peers_add(&p, &key, 1));
    }
    peers_fini(&p);
}

static void one_network_of_ipv6_is_one_address_and_mapped_ipv4_is_ipv4(void **state) {
    (void)state;
    peer_key a = v6("2001:db8:1:2::1"), b = v6("2001:db8:1:2:ffff::9"), c = v6("2001:db8:1:3::1");
    peer_key mapped = v6("::ffff:192.0.2.1"), plain = v4("192.0.2.1");
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a, &c, sizeof a);
    assert_memory_equal(&mapped, &plain, sizeof mapped);
    char text[PEER_TEXT_BYTES];
    peer_format(&plain, 4711, text);
    assert_string_equal(text, "192.0.2.1:4711");
    peer_format(&a, 443, text);
    assert_string_equal(text, "[2001:db8:1:2::]:443");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_its_share_and_gets_it_back),
        cmocka_unit_test(many_addresses_are_counted_apart),
        cmocka_unit_test(one_network_of_ipv6_is_one_address_and_mapped_ipv4_is_ipv4),
    };
    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
