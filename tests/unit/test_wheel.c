/* test_wheel.c - deadlines come due once, not before their time and at most a tick after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/net/wheel.h"
#include "tests/support/prop.h"

typedef struct item {
    wheel_node node; /* first: the callback casts */
    uint32_t fired;
} item;

static void fire(wheel_node *node) {
    ((item *)node)->fired++;
}

static void a_deadline_comes_due_once_and_within_a_tick(void **state) {
    (void)state;
    prop random = prop_begin("wheel");
    for (uint32_t round = 0; round < prop_rounds(300); round++) {
        prop_round(&random, round);
        int64_t now_ms = prop_between(&random, 0, INT64_C(1) << 40);
        int64_t due_ms = now_ms + prop_between(&random, 1, 4 * WHEEL_SLOTS * WHEEL_TICK_MS);
        wheel w;
        item it = {0};
        wheel_init(&w, now_ms);
        wheel_set(&w, &it.node, due_ms);
        while (now_ms < due_ms + 2 * WHEEL_TICK_MS) {
            now_ms += prop_between(&random, 1, 3 * WHEEL_TICK_MS);
            wheel_advance(&w, now_ms, fire);
            assert_true(prop_holds(&random, now_ms >= due_ms || it.fired == 0, "not before its time"));
            assert_true(prop_holds(&random, now_ms < due_ms + WHEEL_TICK_MS || it.fired == 1, "once, within a tick"));
        }
        wheel_fini(&w);
    }
}

static void a_deadline_moves_both_ways(void **state) {
    (void)state;
    wheel w;
    item it = {0};
    wheel_init(&w, 0);
    wheel_set(&w, &it.node, 10000);
    wheel_set(&w, &it.node, 20000);
    wheel_advance(&w, 15000, fire);
    assert_int_equal(it.fired, 0);
    wheel_set(&w, &it.node, 16000);
    wheel_advance(&w, 16000 + WHEEL_TICK_MS, fire);
    assert_int_equal(it.fired, 1);
    wheel_advance(&w, 30000, fire);
    assert_int_equal(it.fired, 1);
    wheel_fini(&w);
}

static void what_was_removed_never_comes_due(void **state) {
    (void)state;
    wheel w;
    item it[3] = {0};
    wheel_init(&w, 0);
    for (int i = 0; i < 3; i++)
        wheel_set(&w, &it[i].node, 1000); /* all in one slot */
    wheel_remove(&w, &it[1].node);
    wheel_remove(&w, &it[1].node);
    wheel_advance(&w, 5000, fire);
    assert_int_equal(it[0].fired + it[2].fired, 2);
    assert_int_equal(it[1].fired, 0);
    wheel_fini(&w);
}

static void a_long_sleep_skips_nothing(void **state) {
    (void)state;
    wheel w;
    item it[50] = {0};
    wheel_init(&w, 0);
    for (int i = 0; i < 50; i++)
        wheel_set(&w, &it[i].node, 1 + i * 7919);
    wheel_advance(&w, INT64_C(86400000), fire);
    for (int i = 0; i < 50; i++)
        assert_int_equal(it[i].fired, 1);
    wheel_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_comes_due_once_and_within_a_tick),
        cmocka_unit_test(a_deadline_moves_both_ways),
        cmocka_unit_test(what_was_removed_never_comes_due),
        cmocka_unit_test(a_long_sleep_skips_nothing),
    };
    return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
