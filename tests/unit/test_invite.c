/* test_invite.c - an invitation survives being copied by people, and a damaged one says what is wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/invite.h"

#define SECRET "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void invitations_come_back(void **state) {
    (void)state;
    static const char *const hosts[] = {"pool.example.com", "127.0.0.1", "::1", "fe80::1%eth0", "a_b-c.D0"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        invite inv = {.port = (uint16_t)(i ? 65535 : 1)}, back;
        buf text = {0};
        memcpy(inv.host, hosts[i], strlen(hosts[i]));
        memset(inv.token, 0xfb, sizeof inv.token);
        memset(inv.pin, 0xff, sizeof inv.pin);
        buf_append_span(&text, SPAN_LITERAL(" \r\n\t"));
        invite_format(&inv, &text);
        buf_append_span(&text, SPAN_LITERAL("\n "));
        assert_int_equal(invite_parse(buf_span(&text), &back, NULL), LP_OK);
        assert_string_equal(back.host, inv.host);
        assert_int_equal(back.port, inv.port);
        assert_memory_equal(back.token, inv.token, sizeof inv.token);
        assert_memory_equal(back.pin, inv.pin, sizeof inv.pin);
        buf_fini(&text);
    }
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    struct {
        const char *text, *about;
    } bad[] = {
        {"", "starts with"},
        {"  ", "starts with"},
        {"https://a:1/" SECRET, "starts with"},
        {"leadpool:/", "starts with"},
        {"leadpool://", "cut short"},
        {"leadpool://a:443", "cut short"},
        {"leadpool://a/" SECRET, "port"},
        {"leadpool://a:/" SECRET, "port"},
        {"leadpool://a:0/" SECRET, "port"},
        {"leadpool://a:65536/" SECRET, "port"},
        {"leadpool://a:123456/" SECRET, "port"},
        {"leadpool://a:44x/" SECRET, "port"},
        {"leadpool://a:-1/" SECRET, "port"},
        {"leadpool://:443/" SECRET, "host"},
        {"leadpool://a b:443/" SECRET, "host"},
        {"leadpool://user@a:443/" SECRET, "host"},
        {"leadpool://a%41:443/" SECRET, "host"},
        {"leadpool://{a}:443/" SECRET, "host"},
        {"leadpool://::1:443/" SECRET, "host"},
        {"leadpool://[]:443/" SECRET, "host"},
        {"leadpool://[a]:443/" SECRET, "host"},
        {"leadpool://[::1:443/" SECRET, "host"},
        {"leadpool://[::1]x:443/" SECRET, "host"},
        {"leadpool://[:[:]:443/" SECRET, "host"},
        {"leadpool://a/b:443/" SECRET, "host"},
        {"leadpool://\xc3\xa9:443/" SECRET, "host"},
        {"leadpool://a:443/", "secret"},
        {"leadpool://a:443/AAAA", "secret"},
        {"leadpool://a:443/" SECRET "AAAA", "secret"},
        {"leadpool://a:443/" SECRET ".", "secret"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        invite inv;
        lp_error error = {.code = LP_OK};
        if (invite_parse(span_text(bad[i].text), &inv, &error) != LP_INVALID || !strstr(error.message, bad[i].about))
            fail_msg("%s: %s", bad[i].text, error.message);
    }
}

static void a_host_has_at_most_255_bytes(void **state) {
    (void)state;
    for (size_t size = INVITE_HOST_BYTES - 1; size <= INVITE_HOST_BYTES; size++) {
        buf text = {0};
        invite inv;
        buf_append_span(&text, SPAN_LITERAL("leadpool://"));
        for (size_t i = 0; i < size; i++)
            buf_append_byte(&text, 'a');
        buf_append_span(&text, SPAN_LITERAL(":443/" SECRET));
        assert_int_equal(invite_parse(buf_span(&text), &inv, NULL), size < INVITE_HOST_BYTES ? LP_OK : LP_INVALID);
        buf_fini(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invitations_come_back),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(a_host_has_at_most_255_bytes),
    };
    return cmocka_run_group_tests_name("unit_invite", tests, NULL, NULL);
}
