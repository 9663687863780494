/* test_id.c - UUIDs: the bits of RFC 9562, and the text form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/hlc.h"
#include "proto/id.h"
#include "tests/support/prop.h"

static void fill(void *ctx, void *bytes, size_t size) {
    prop_bytes(ctx, bytes, size);
}

static void ff(void *ctx, void *bytes, size_t size) {
    (void)ctx;
    memset(bytes, 0xff, size);
}

static int64_t time_of(const lp_id *id) {
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return ms;
}

static void new_ids_are_version_7_and_sort_by_time(void **state) {
    (void)state;
    prop p = prop_begin("id");
    lp_env env = {.ctx = &p, .random = fill};
    lp_id last = {{0}};
    for (int64_t ms = 1; ms < STAMP_MS_MAX; ms += ms / 3 + 1) {
        lp_id id = id_new(&env, ms);
        assert_int_equal(time_of(&id), ms);
        assert_int_equal(id.bytes[6] >> 4, 7);
        assert_int_equal(id.bytes[8] >> 6, 2);
        assert_true(id_compare(&id, &last) > 0);
        last = id;
    }
}

static void a_new_id_has_74_random_bits(void **state) {
    (void)state;
    lp_env env = {.random = ff};
    char text[LP_ID_TEXT_BYTES];
    lp_id id = id_new(&env, 0);
    lp_id_format(&id, text);
    assert_string_equal(text, "00000000-0000-7fff-bfff-ffffffffffff");
}

static void impossible_times_are_clamped(void **state) {
    (void)state;
    lp_env env = {.random = ff};
    lp_id before = id_new(&env, -5), after = id_new(&env, INT64_MAX);
    assert_int_equal(time_of(&before), 0);
    assert_int_equal(time_of(&after), STAMP_MS_MAX);
}

static void a_derived_id_is_a_function_of_its_input(void **state) {
    (void)state;
    lp_id pool = {{1, 2, 3}}, other = {{1, 2, 4}};
    lp_id a = id_derive(&pool, SPAN_LITERAL("badge 17"));
    lp_id b = id_derive(&pool, SPAN_LITERAL("badge 17"));
    lp_id c = id_derive(&pool, SPAN_LITERAL("badge 18"));
    lp_id d = id_derive(&other, SPAN_LITERAL("badge 17"));
    lp_id empty = id_derive(&pool, (span){0});
    assert_true(id_equal(&a, &b));
    assert_false(id_equal(&a, &c) || id_equal(&a, &d) || id_equal(&a, &empty));
    assert_int_equal(a.bytes[6] >> 4, 8);
    assert_int_equal(a.bytes[8] >> 6, 2);
    /* Imports of last year must meet their records: this value never changes. */
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(&a, text);
    assert_string_equal(text, "d3bab2a1-3334-8ce2-8067-4234d5bb42e1");
}

static void ids_are_16_bytes(void **state) {
    (void)state;
    lp_id id = {{9}}, back, nil = {{0}};
    assert_true(id_from_span(id_span(&id), &back));
    assert_true(id_equal(&id, &back));
    assert_false(id_from_span(span_of(id.bytes, 15), &back));
    assert_true(id_is_nil(&nil));
    assert_false(id_is_nil(&id));
    assert_int_equal(id_compare(&id, &id), 0);
}

static void text_of_either_case_reads_back(void **state) {
    (void)state;
    lp_id id, keep;
    char text[LP_ID_TEXT_BYTES];
    assert_true(lp_id_parse("0193F0a1-b2c3-7d4e-8f50-0123456789aB", &id));
    lp_id_format(&id, text);
    assert_string_equal(text, "0193f0a1-b2c3-7d4e-8f50-0123456789ab");
    keep = id;
    static const char *const wrong[] = {"",
                                        "0193f0a1",
                                        "0193f0a1-b2c3-7d4e-8f50-0123456789a",
                                        "0193f0a1-b2c3-7d4e-8f50-0123456789ab0",
                                        "0193f0a1b2c37d4e8f500123456789ab",
                                        "g193f0a1-b2c3-7d4e-8f50-0123456789ab",
                                        "0g93f0a1-b2c3-7d4e-8f50-0123456789ab",
                                        "0193f0a1-b2c3-7d4e-8f50_0123456789ab",
                                        "{193f0a1-b2c3-7d4e-8f50-0123456789ab",
                                        "0193f0a1-b2c3-7d4e-8f50-0123456789/:",
                                        "0193f0a1-b2c3-7d4e-8f50-0123456789@`",
                                        "0193f0a1-"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(lp_id_parse(wrong[i], &id));
        assert_true(id_equal(&id, &keep));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_ids_are_version_7_and_sort_by_time),
        cmocka_unit_test(a_new_id_has_74_random_bits),
        cmocka_unit_test(impossible_times_are_clamped),
        cmocka_unit_test(a_derived_id_is_a_function_of_its_input),
        cmocka_unit_test(ids_are_16_bytes),
        cmocka_unit_test(text_of_either_case_reads_back),
    };
    return cmocka_run_group_tests_name("unit_id", tests, NULL, NULL);
}
