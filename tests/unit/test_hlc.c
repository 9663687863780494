/* test_hlc.c - the clock never goes back and never repeats, whatever the device's clock does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/hlc.h"
#include "tests/support/prop.h"

static void stamps_grow_under_any_clock(void **state) {
    (void)state;
    prop p = prop_begin("clock");
    for (uint32_t i = 0; i < prop_rounds(500); i++) {
        prop_round(&p, i);
        hlc clock = {.author = 17};
        stamp last = STAMP_NONE;
        int64_t now = (int64_t)prop_number(&p);
        for (int j = 0; j < 200; j++) {
            /* Steps of every size in both directions: jumps to 1970, to the year 10889, before and beyond. */
            if (prop_chance(&p, 50))
                now = (int64_t)((uint64_t)now + (prop_chance(&p, 50) ? prop_number(&p) : 0 - prop_number(&p)));
            if (prop_chance(&p, 20))
                hlc_observe(&clock, (stamp){prop_number(&p) >> 2, 1});
            uint64_t seen = clock.last;
            stamp made = hlc_next(&clock, now);
            assert_true(prop_holds(&p, stamp_compare(made, last) > 0, "greater than all made"));
            assert_true(prop_holds(&p, made.time > seen, "greater than all seen"));
            assert_true(prop_holds(&p, !(made.time & STAMP_MOVED), "none that a pool may move a stamp to"));
            assert_true(prop_holds(&p, made.author == 17 && clock.last == made.time, "remembered"));
            last = made;
        }
    }
}

static void a_stamp_is_the_time_when_the_clock_is_ahead(void **state) {
    (void)state;
    hlc clock = {.author = 1};
    stamp first = hlc_next(&clock, 1000), again = hlc_next(&clock, 1000), later = hlc_next(&clock, 1001);
    assert_int_equal(first.time, UINT64_C(1000) << 16);
    assert_int_equal(again.time, first.time + 2);
    assert_int_equal(later.time, UINT64_C(1001) << 16);
    assert_int_equal(stamp_ms(again), 1000);
}

static void an_overflowing_count_carries_into_the_ms(void **state) {
    (void)state;
    hlc clock = {.author = 1};
    uint64_t last = hlc_next(&clock, 1000).time;
    for (uint32_t i = 1; i < 32768 * 2 + 2; i++) {
        stamp s = hlc_next(&clock, 1000);
        assert_true(s.time == last + 2);
        assert_true(stamp_ms(s) == 1000 + i / 32768);
        last = s.time;
    }
    assert_int_equal(hlc_next(&clock, 1002).time, last + 2); /* the clock has not caught up */
    assert_int_equal(hlc_next(&clock, 1003).time, UINT64_C(1003) << 16);
}

static void the_first_stamp_of_a_dead_clock_is_not_none(void **state) {
    (void)state;
    hlc clock = {.author = 1};
    assert_false(stamp_is_none(hlc_next(&clock, 0)));
    hlc negative = {.author = 1};
    assert_int_equal(hlc_next(&negative, INT64_MIN).time, 2);
    assert_true(stamp_is_none(STAMP_NONE));
    assert_false(stamp_is_none((stamp){0, 1}));
    assert_false(stamp_is_none((stamp){1, 0}));
}

static void the_end_of_time_does_not_wrap(void **state) {
    (void)state;
    hlc clock = {.author = 1};
    assert_int_equal(stamp_ms(hlc_next(&clock, INT64_MAX)), STAMP_MS_MAX);
    for (int i = 1; i < 65536; i++)
        hlc_next(&clock, INT64_MAX);
    assert_true(clock.last == UINT64_MAX);
    assert_true(hlc_next(&clock, 5).time == UINT64_MAX);
    hlc poisoned = {.author = 1};
    hlc_observe(&poisoned, (stamp){UINT64_MAX, 9});
    assert_true(hlc_next(&poisoned, 5).time == UINT64_MAX);
}

static void observing_only_ever_moves_forward(void **state) {
    (void)state;
    hlc clock = {.last = 100, .author = 1};
    hlc_observe(&clock, (stamp){50, 2});
    assert_int_equal(clock.last, 100);
    hlc_observe(&clock, (stamp){100, 2});
    assert_int_equal(clock.last, 100);
    hlc_observe(&clock, (stamp){101, 2});
    assert_int_equal(clock.last, 101);
    assert_int_equal(hlc_next(&clock, 0).time, 102);
}

static void the_years_2038_and_2106_are_years_like_others(void **state) {
    (void)state;
    static const int64_t edges[] = {INT64_C(0x7fffffff) * 1000, INT64_C(0xffffffff) * 1000, INT64_C(0x7fffffff),
                                    INT64_C(0xffffffff)};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        hlc clock = {.author = 1};
        stamp last = STAMP_NONE;
        for (int64_t ms = edges[i] - 2000; ms <= edges[i] + 2000; ms += 500) {
            stamp s = hlc_next(&clock, ms);
            uint8_t packed[STAMP_BYTES];
            stamp_pack(s, packed);
            assert_true(stamp_ms(s) == ms && stamp_compare(s, last) > 0);
            assert_int_equal(stamp_compare(stamp_unpack(packed), s), 0);
            last = s;
        }
    }
}

static void packed_stamps_have_the_documented_layout(void **state) {
    (void)state;
    uint8_t packed[STAMP_BYTES];
    stamp_pack((stamp){UINT64_C(0x0102030405060708), 0x090a0b0c}, packed);
    for (int i = 0; i < STAMP_BYTES; i++)
        assert_int_equal(packed[i], i + 1);
    assert_true(stamp_compare((stamp){1, 9}, (stamp){2, 1}) < 0);
    assert_true(stamp_compare((stamp){2, 1}, (stamp){1, 9}) > 0);
    assert_true(stamp_compare((stamp){1, 1}, (stamp){1, 2}) < 0);
    assert_true(stamp_compare((stamp){1, UINT32_MAX}, (stamp){1, 2}) > 0);
    assert_int_equal(stamp_compare((stamp){1, 2}, (stamp){1, 2}), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_grow_under_any_clock),
        cmocka_unit_test(a_stamp_is_the_time_when_the_clock_is_ahead),
        cmocka_unit_test(an_overflowing_count_carries_into_the_ms),
        cmocka_unit_test(the_first_stamp_of_a_dead_clock_is_not_none),
        cmocka_unit_test(the_end_of_time_does_not_wrap),
        cmocka_unit_test(observing_only_ever_moves_forward),
        cmocka_unit_test(the_years_2038_and_2106_are_years_like_others),
        cmocka_unit_test(packed_stamps_have_the_documented_layout),
    };
    return cmocka_run_group_tests_name("unit_hlc", tests, NULL, NULL);
}
