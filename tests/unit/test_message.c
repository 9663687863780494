/* test_message.c - the frame around every message: [number, {key: value}]. Random contents: tests/property/test_codec.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/message.h"
#include "proto/wire.h"

static lp_err decode(span bytes, message *m) {
    lp_error error = {.code = LP_OK};
    lp_err err = message_decode(bytes, m, &error);
    assert_int_equal(err, error.code);
    return err;
}

static void numbers_and_keys_keep_their_order(void **state) {
    (void)state;
    uint32_t message_number = 0;
    uint64_t last = 0;
#define MESSAGE(NAME, number, name)                                                                                    \
    assert_string_equal(message_name(number), name);                                                                   \
    assert_int_equal(MSG_##NAME, number);
#define PART(MESSAGE, key, member, type)                                                                               \
    last = message_number == MSG_##MESSAGE ? last : 0;                                                                 \
    message_number = MSG_##MESSAGE;                                                                                    \
    assert_true(key > last);                                                                                           \
    last = key;
#include "proto/messages.def"
#undef MESSAGE
#undef PART
    assert_string_equal(message_name(99), "unknown");
    assert_true(last > 0);
}

static void empty_parts_are_left_out(void **state) {
    (void)state;
    message m = {.number = MSG_WAIT};
    buf b = {0};
    assert_int_equal(message_encode(&m, &b, NULL), LP_OK);
    assert_true(span_equal(buf_span(&b), SPAN_LITERAL("\x92\x07\x80")));
    m.now_ms = 5; /* not a part of wait */
    buf_clear(&b);
    assert_int_equal(message_encode(&m, &b, NULL), LP_OK);
    assert_int_equal(b.size, 3);
    buf_fini(&b);
}

static void an_explicit_zero_reads_as_absent(void **state) {
    (void)state;
    message m;
    assert_int_equal(decode(SPAN_LITERAL("\x92\x07\x82\x01\xc0\x02\x00"), &m), LP_OK);
    assert_int_equal(m.timeout_ms, 0);
    assert_true(span_equal(m.cursors, WIRE_NIL_SPAN));
}

static void an_unknown_message_gives_its_number_only(void **state) {
    (void)state;
    message m;
    assert_int_equal(decode(SPAN_LITERAL("\x93\xcd\x01\x00\x81\x01\xa1x\xc0"), &m), LP_OK);
    assert_int_equal(m.number, 256);
    assert_string_equal(message_name(m.number), "unknown");
}

static void what_is_no_message_is_refused(void **state) {
    (void)state;
    message m;
    span bad[] = {(span){0},
                  SPAN_LITERAL("\xc0"),
                  SPAN_LITERAL("\x90"),
                  SPAN_LITERAL("\x91\x07"),
                  SPAN_LITERAL("\x92\xff\x80"),
                  SPAN_LITERAL("\x92\xa1x\x80"),
                  SPAN_LITERAL("\x92\x07\x90"),
                  SPAN_LITERAL("\x92\xcf\x00\x00\x00\x01\x00\x00\x00\x00\x80"), /* number 2^32 */
                  SPAN_LITERAL("\x92\x07\x82\x02\x01\x01\xc0"),                 /* keys out of order */
                  SPAN_LITERAL("\x92\x07\x82\x02\x01\x02\x01"),                 /* a key twice */
                  SPAN_LITERAL("\x92\x07\x81\x00\x01"),                         /* key 0 */
                  SPAN_LITERAL("\x92\x07\x81\xa1x\x01"),                        /* a key of text */
                  SPAN_LITERAL("\x92\x07\x81\x02\xff"),                         /* U64 -1 */
                  SPAN_LITERAL("\x92\x07\x81\x02\xa1x"),
                  SPAN_LITERAL("\x92\x06\x81\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), /* I64 2^64-1 */
                  SPAN_LITERAL("\x92\x06\x81\x01\xcf\x00\x01\x00\x00\x00\x00\x00\x00"), /* a time beyond year 10889 */
                  SPAN_LITERAL("\x92\x06\x81\x01\xd3\xff\xff\x00\x00\x00\x00\x00\x00"), /* or as long before */
                  SPAN_LITERAL("\x92\x06\x81\x01\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
                  SPAN_LITERAL("\x92\x66\x81\x02\x01"),      /* BOOL 1 */
                  SPAN_LITERAL("\x92\x0a\x81\x02\xc4\x01x"), /* TEXT as bytes */
                  SPAN_LITERAL("\x92\x01\x81\x02\xa1x"),     /* BYTES as text */
                  SPAN_LITERAL("\x92\x07\x80\xc0")};         /* something follows */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (decode(bad[i], &m) != LP_PROTOCOL)
            fail_msg("case %zu passed", i);
}

static void a_message_cut_anywhere_is_refused(void **state) {
    (void)state;
    message m = {.number = MSG_SYNC, .batch = 7, .changes = SPAN_LITERAL("\x92\x90\x90"), .page_bytes = 100000};
    buf b = {0};
    assert_int_equal(message_encode(&m, &b, NULL), LP_OK);
    for (size_t cut = 0; cut < b.size; cut++)
        assert_int_equal(decode(span_of(b.data, cut), &m), LP_PROTOCOL);
    buf_fini(&b);
}

static void a_message_that_is_too_large_is_not_sent(void **state) {
    (void)state;
    static uint8_t large[WIRE_MESSAGE_BYTES_MAX];
    message m = {.number = MSG_JOIN, .token = span_of(large, sizeof large - 9)};
    buf b = {0};
    lp_error error;
    assert_int_equal(message_encode(&m, &b, &error), LP_OK);
    assert_int_equal(b.size, WIRE_MESSAGE_BYTES_MAX);
    message small = {.number = MSG_WAIT};
    assert_int_equal(message_encode(&small, &b, &error), LP_OK); /* each counts from where it starts in the buffer */
    m.token.size++;
    assert_int_equal(message_encode(&m, &b, &error), LP_TOO_LARGE);
    buf_reserve(&b, SIZE_MAX);
    assert_int_equal(message_encode(&m, &b, &error), LP_NOMEM);
    buf_fini(&b);
    b = (buf){0};
    for (size_t i = 0; i <= sizeof large; i++)
        buf_append_byte(&b, 0xc0);
    assert_int_equal(message_decode(buf_span(&b), &m, &error), LP_TOO_LARGE);
    buf_fini(&b);
}

static void the_signed_bytes_of_a_hello_name_everything_that_matters(void **state) {
    (void)state;
    uint8_t binding[32] = {1}, install[16] = {2};
    message hello = {.number = MSG_HELLO, .device = 17, .install = span_of(install, 16), .batch = 300, .now_ms = -1};
    buf plain = {0}, other = {0};
    message_hello_signed(&hello, span_of(binding, 32), &plain);
    assert_int_equal(plain.size, 17 + 34 + 1 + 18 + 3 + 1);
    assert_memory_equal(plain.data, "\xb0leadpool hello 1\xc4\x20\x01", 20);
    for (int i = 0; i < 5; i++) {
        message changed = hello;
        uint8_t other_install[16] = {3}, other_binding[32] = {9};
        changed.device += i == 0;
        changed.batch += i == 1;
        changed.now_ms += i == 2;
        if (i == 3)
            changed.install = span_of(other_install, 16);
        buf_clear(&other);
        message_hello_signed(&changed, span_of(i == 4 ? other_binding : binding, 32), &other);
        assert_false(span_equal(buf_span(&plain), buf_span(&other)));
    }
    buf_fini(&plain);
    buf_fini(&other);
}

static void the_signed_bytes_of_a_rejoin_name_everything_that_matters(void **state) {
    (void)state;
    uint8_t binding[32] = {1}, install[16] = {2}, key[32] = {3}, other_bytes[32] = {9};
    message rejoin = {
        .number = MSG_REJOIN, .device = 17, .install = span_of(install, 16), .public_key = span_of(key, 32)};
    buf plain = {0}, other = {0};
    message_rejoin_signed(&rejoin, span_of(binding, 32), &plain);
    assert_int_equal(plain.size, 18 + 34 + 1 + 34 + 18);
    assert_memory_equal(plain.data, "\xb1leadpool rejoin 1\xc4\x20\x01", 21);
    for (int i = 0; i < 4; i++) {
        message changed = rejoin;
        changed.device += i == 0;
        if (i == 1)
            changed.install = span_of(other_bytes, 16);
        if (i == 2)
            changed.public_key = span_of(other_bytes, 32);
        buf_clear(&other);
        message_rejoin_signed(&changed, span_of(i == 3 ? other_bytes : binding, 32), &other);
        assert_false(span_equal(buf_span(&plain), buf_span(&other)));
    }
    buf_fini(&plain);
    buf_fini(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_keys_keep_their_order),
        cmocka_unit_test(empty_parts_are_left_out),
        cmocka_unit_test(an_explicit_zero_reads_as_absent),
        cmocka_unit_test(an_unknown_message_gives_its_number_only),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_message_cut_anywhere_is_refused),
        cmocka_unit_test(a_message_that_is_too_large_is_not_sent),
        cmocka_unit_test(the_signed_bytes_of_a_hello_name_everything_that_matters),
        cmocka_unit_test(the_signed_bytes_of_a_rejoin_name_everything_that_matters),
    };
    return cmocka_run_group_tests_name("unit_message", tests, NULL, NULL);
}
