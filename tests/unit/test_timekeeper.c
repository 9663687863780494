/* test_timekeeper.c - server time does not jump, whatever the server's wall clock does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/hlc.h"
#include "server/pool/greetings.h"
#include "server/pool/timekeeper.h"

#define START_MS INT64_C(1795000000000)
#define YEAR_MS (INT64_C(365) * 86400000)

typedef struct clocks {
    int64_t wall_ms, boot_ms;
    int64_t pause_ms; /* the process is stopped so long between two looks */
} clocks;

static int64_t wall(void *ctx) {
    clocks *c = ctx;
    c->boot_ms += c->pause_ms;
    return c->wall_ms;
}

static int64_t boot(void *ctx) {
    return ((const clocks *)ctx)->boot_ms;
}

static lp_env env_of(clocks *c) {
    return (lp_env){.ctx = c, .wall_ms = wall, .boot_ms = boot};
}

static void pass(clocks *c, int64_t ms) {
    c->wall_ms += ms;
    c->boot_ms += ms;
}

static void time_is_the_wall_clock_while_nothing_is_wrong(void **state) {
    (void)state;
    clocks c = {START_MS, 5000, 0};
    lp_env env = env_of(&c);
    timekeeper t;
    timekeeper_start(&t, &env, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(timekeeper_now_ms(&t), c.wall_ms);
        assert_false(timekeeper_troubled(&t, NULL));
        pass(&c, 7777);
    }
}

static void a_step_of_the_wall_clock_changes_nothing_and_is_loud_until_it_is_undone(void **state) {
    (void)state;
    static const int64_t steps[] = {10 * YEAR_MS, -10 * YEAR_MS,           2001,
                                    -2001,        -INT64_C(100) * YEAR_MS, INT64_C(1) << 60};
    clocks c = {START_MS, 5000, 0};
    lp_env env = env_of(&c);
    timekeeper t;
    timekeeper_start(&t, &env, 0);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char why[TIMEKEEPER_TEXT_BYTES] = "";
        int64_t right_ms = c.wall_ms;
        c.wall_ms += steps[i];
        assert_int_equal(timekeeper_now_ms(&t), right_ms);
        assert_true(timekeeper_troubled(&t, why));
        assert_non_null(strstr(why, "repair-clock"));
        c.wall_ms = right_ms;
        pass(&c, 500);
        assert_false(timekeeper_troubled(&t, NULL));
        assert_int_equal(timekeeper_now_ms(&t), c.wall_ms);
    }
}

static void small_differences_are_slewed(void **state) {
    (void)state;
    clocks c = {START_MS, 5000, 0};
    lp_env env = env_of(&c);
    timekeeper t;
    timekeeper_start(&t, &env, 0);
    for (int direction = -1; direction <= 1; direction += 2) {
        c.wall_ms += direction * 1000;
        int64_t last_ms = timekeeper_now_ms(&t), off_ms = 1000;
        for (int i = 0; i < 1000; i++) {
            pass(&c, 4000);
            int64_t now_ms = timekeeper_now_ms(&t), left_ms = direction * (c.wall_ms - timekeeper_now_ms(&t));
            assert_true(now_ms - last_ms >= 3998 && now_ms - last_ms <= 4002);
            assert_true(left_ms >= 0 && left_ms <= off_ms);
            off_ms = left_ms;
            last_ms = now_ms;
            assert_false(timekeeper_troubled(&t, NULL));
        }
        assert_int_equal(off_ms, 0);
    }
}

static void a_start_below_the_high_water_mark_waits_for_it(void **state) {
    (void)state;
    char why[TIMEKEEPER_TEXT_BYTES] = "";
    clocks c = {START_MS, 5000, 0};
    lp_env env = env_of(&c);
    timekeeper t;
    timekeeper_start(&t, &env, START_MS + 10000);
    assert_true(timekeeper_troubled(&t, why));
    assert_non_null(strstr(why, "behind"));
    assert_int_equal(timekeeper_now_ms(&t), START_MS + 10000);
    pass(&c, 9999);
    assert_int_equal(timekeeper_now_ms(&t), START_MS + 10000);
    assert_true(timekeeper_troubled(&t, why));
    pass(&c, 1);
    assert_false(timekeeper_troubled(&t, NULL));
    pass(&c, 50);
    assert_int_equal(timekeeper_now_ms(&t), START_MS + 10050);
    /* A little below is nothing. */
    timekeeper_start(&t, &env, c.wall_ms + 1500);
    assert_false(timekeeper_troubled(&t, NULL));
    assert_int_equal(timekeeper_now_ms(&t), c.wall_ms + 1500);
}

static void somebody_may_say_that_the_wall_clock_is_right(void **state) {
    (void)state;
    clocks c = {START_MS, 5000, 0};
    lp_env env = env_of(&c);
    timekeeper t;
    timekeeper_start(&t, &env, START_MS + 10 * YEAR_MS);
    assert_true(timekeeper_troubled(&t, NULL));
    timekeeper_trust(&t);
    assert_false(timekeeper_troubled(&t, NULL));
    assert_int_equal(timekeeper_now_ms(&t), START_MS);
    c.wall_ms += YEAR_MS;
    assert_true(timekeeper_troubled(&t, NULL));
    timekeeper_trust(&t);
    assert_false(timekeeper_troubled(&t, NULL));
    assert_int_equal(timekeeper_now_ms(&t), START_MS + YEAR_MS);
}

static void a_process_that_was_stopped_between_two_looks_sees_no_step(void **state) {
    (void)state;
    clocks c = {START_MS, 5000, 0};
    lp_env env = env_of(&c);
    timekeeper t;
    timekeeper_start(&t, &env, 0);
    c.pause_ms = 60000; /* the wall clock was read before it */
    assert_int_equal(timekeeper_now_ms(&t), START_MS + 60000);
    assert_int_equal(atomic_load(&t.stepped_ms), 0);
}

static void clocks_out_of_range_are_clocks(void **state) {
    (void)state;
    static const int64_t walls[] = {
        -1, INT64_MIN, INT64_MAX, STAMP_MS_MAX + 1, INT64_C(0x7fffffff) * 1000, INT64_C(0xffffffff) * 1000};
    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        clocks c = {walls[i], 5000, 0};
        lp_env env = env_of(&c);
        timekeeper t;
        timekeeper_start(&t, &env, 0);
        int64_t ms = timekeeper_now_ms(&t);
        assert_true(ms >= 0 && ms <= STAMP_MS_MAX);
        assert_true(walls[i] < 0 || walls[i] > STAMP_MS_MAX || ms == walls[i]);
    }
}

static void the_latest_greeting_of_a_device_passes_those_before(void **state) {
    (void)state;
    greetings *g = greetings_new();
    static const uint32_t devices[] = {16, 17, 1023, 1024, 500000};
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        assert_false(greetings_passed(g, devices[i], 0));
        uint64_t first = greetings_next(g, devices[i]);
        assert_false(greetings_passed(g, devices[i], first));
        uint64_t second = greetings_next(g, devices[i]);
        assert_true(greetings_passed(g, devices[i], first));
        assert_false(greetings_passed(g, devices[i], second));
    }
    assert_int_equal(greetings_next(g, UINT32_MAX), 0); /* no pool has as many */
    assert_false(greetings_passed(g, UINT32_MAX, 0));
    uint64_t one = greetings_next(g, devices[0]), other = greetings_next(g, devices[4]);
    greetings_end_all(g);
    assert_true(greetings_passed(g, devices[0], one));
    assert_true(greetings_passed(g, devices[4], other));
    assert_false(greetings_passed(g, devices[4], greetings_next(g, devices[4])));
    greetings_free(g);
    greetings_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_is_the_wall_clock_while_nothing_is_wrong),
        cmocka_unit_test(a_step_of_the_wall_clock_changes_nothing_and_is_loud_until_it_is_undone),
        cmocka_unit_test(small_differences_are_slewed),
        cmocka_unit_test(a_start_below_the_high_water_mark_waits_for_it),
        cmocka_unit_test(somebody_may_say_that_the_wall_clock_is_right),
        cmocka_unit_test(a_process_that_was_stopped_between_two_looks_sees_no_step),
        cmocka_unit_test(clocks_out_of_range_are_clocks),
        cmocka_unit_test(the_latest_greeting_of_a_device_passes_those_before),
    };
    return cmocka_run_group_tests_name("unit_timekeeper", tests, NULL, NULL);
}
