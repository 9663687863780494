/* test_ranges.c - ranges of ids on the wire, and which one holds an id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/ranges.h"
#include "proto/wire.h"

static lp_id id_of(uint8_t first, uint8_t last) {
    return (lp_id){{first, [15] = last}};
}

static bool takes(const id_range *list, uint32_t count) {
    id_range out[RANGES_MAX];
    uint32_t taken;
    buf b = {0};
    ranges_put(&b, list, count);
    bool ok = ranges_take(buf_span(&b), out, &taken);
    if (ok)
        assert_int_equal(taken, count);
    for (uint32_t i = 0; ok && i < count; i++)
        assert_true(id_equal(&out[i].first, &list[i].first) && id_equal(&out[i].last, &list[i].last));
    buf_fini(&b);
    return ok;
}

static void ranges_come_back_as_they_were(void **state) {
    (void)state;
    id_range list[RANGES_MAX];
    for (uint32_t i = 0; i < RANGES_MAX; i++)
        list[i] = (id_range){id_of((uint8_t)i, 0), id_of((uint8_t)i, 0xff)};
    assert_true(takes(list, 1));
    assert_true(takes(list, RANGES_MAX));
    assert_true(takes(&range_of_all, 1));
}

static void ranges_that_are_none_are_refused(void **state) {
    (void)state;
    const id_range turned = {id_of(2, 0), id_of(1, 0)};
    const id_range touching[] = {{id_of(1, 0), id_of(2, 0)}, {id_of(2, 0), id_of(3, 0)}};
    const id_range descending[] = {{id_of(5, 0), id_of(6, 0)}, {id_of(1, 0), id_of(2, 0)}};
    id_range many[RANGES_MAX + 1], out[RANGES_MAX];
    uint32_t count;
    for (uint32_t i = 0; i <= RANGES_MAX; i++)
        many[i] = (id_range){id_of((uint8_t)i, 0), id_of((uint8_t)i, 1)};
    assert_false(takes(&turned, 1));
    assert_false(takes(touching, 2));
    assert_false(takes(descending, 2));
    assert_false(takes(many, RANGES_MAX + 1));
    assert_false(takes(many, 0));
    assert_false(ranges_take((span){0}, out, &count));
    assert_false(ranges_take(SPAN_LITERAL("\x91\xc0"), out, &count));
    assert_false(ranges_take(SPAN_LITERAL("\x92\xc0\xc0"), out, &count));
    assert_false(ranges_take(SPAN_LITERAL("\xc0"), out, &count));
}

static void an_id_is_found_in_the_range_that_holds_it(void **state) {
    (void)state;
    const id_range list[] = {{id_of(1, 0), id_of(1, 9)}, {id_of(3, 0), id_of(5, 0)}, {id_of(5, 1), id_of(5, 1)}};
    const struct {
        lp_id id;
        int at;
    } cases[] = {{id_of(0, 9), -1},  {id_of(1, 0), 0}, {id_of(1, 9), 0}, {id_of(1, 10), -1},
                 {id_of(4, 200), 1}, {id_of(5, 0), 1}, {id_of(5, 1), 2}, {id_of(5, 2), -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(ranges_find(list, 3, &cases[i].id), cases[i].at);
    assert_int_equal(ranges_find(list, 0, &cases[1].id), -1);
    assert_int_equal(ranges_find(&range_of_all, 1, &cases[0].id), 0);
}

static void sums_are_as_many_as_the_ranges(void **state) {
    (void)state;
    const range_sum sums[] = {{{1, 2}, 3}, {{0, 0}, 0}};
    range_sum out[2];
    buf b = {0};
    range_sums_put(&b, sums, 2);
    assert_true(range_sums_take(buf_span(&b), out, 2));
    assert_true(digest_equal(out[0].sum, sums[0].sum));
    assert_int_equal(out[0].count, 3);
    assert_false(range_sums_take(buf_span(&b), out, 1));
    assert_false(range_sums_take((span){0}, out, 1));
    assert_false(range_sums_take(SPAN_LITERAL("\x92\xc4\x01x\x01"), out, 1)); /* a digest of one byte */
    buf_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_come_back_as_they_were),
        cmocka_unit_test(ranges_that_are_none_are_refused),
        cmocka_unit_test(an_id_is_found_in_the_range_that_holds_it),
        cmocka_unit_test(sums_are_as_many_as_the_ranges),
    };
    return cmocka_run_group_tests_name("unit_ranges", tests, NULL, NULL);
}
