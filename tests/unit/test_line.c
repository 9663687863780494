/* test_line.c - what a line carries: grows on quick answers, shrinks on slow ones and cuts, within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/sync/line.h"

static void quick_answers_to_full_transfers_double_it(void **state) {
    (void)state;
    line l = line_of(0);
    assert_int_equal(l.bytes, LINE_BYTES_FIRST);
    line_answered(&l, l.bytes, LINE_QUICK_MS);
    assert_int_equal(l.bytes, 2 * LINE_BYTES_FIRST);
    for (int i = 0; i < 20; i++)
        line_answered(&l, l.bytes, 0);
    assert_int_equal(l.bytes, LINE_BYTES_MAX);
}

static void a_quick_answer_to_little_says_nothing(void **state) {
    (void)state;
    line l = line_of(0);
    line_answered(&l, l.bytes / 2 - 1, 0);
    assert_int_equal(l.bytes, LINE_BYTES_FIRST);
}

static void slow_answers_halve_it_and_others_leave_it(void **state) {
    (void)state;
    line l = line_of(0);
    line_answered(&l, l.bytes, LINE_QUICK_MS + 1);
    line_answered(&l, l.bytes, LINE_SLOW_MS);
    assert_int_equal(l.bytes, LINE_BYTES_FIRST);
    line_answered(&l, 10, LINE_SLOW_MS + 1);
    assert_int_equal(l.bytes, LINE_BYTES_FIRST / 2);
}

static void cuts_lead_to_the_smallest_in_a_few_steps(void **state) {
    (void)state;
    line l = line_of(LINE_BYTES_MAX);
    for (int i = 0; i < 4; i++)
        line_cut(&l);
    assert_int_equal(l.bytes, LINE_BYTES_MIN);
    line_answered(&l, 10, LINE_SLOW_MS + 1);
    assert_int_equal(l.bytes, LINE_BYTES_MIN);
}

static void what_was_kept_is_taken_within_bounds(void **state) {
    (void)state;
    assert_int_equal(line_of(50000).bytes, 50000);
    assert_int_equal(line_of(-1).bytes, LINE_BYTES_FIRST);
    assert_int_equal(line_of(1).bytes, LINE_BYTES_MIN);
    assert_int_equal(line_of(INT64_MAX).bytes, LINE_BYTES_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick_answers_to_full_transfers_double_it),
        cmocka_unit_test(a_quick_answer_to_little_says_nothing),
        cmocka_unit_test(slow_answers_halve_it_and_others_leave_it),
        cmocka_unit_test(cuts_lead_to_the_smallest_in_a_few_steps),
        cmocka_unit_test(what_was_kept_is_taken_within_bounds),
    };
    return cmocka_run_group_tests_name("unit_line", tests, NULL, NULL);
}
