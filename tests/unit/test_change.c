/* test_change.c - sets of changes: what a reader refuses, what it passes over, and what hostile lists cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/change.h"
#include "proto/schema.h"

#define STAMP "\xc4\x0cssssssssssss"
#define ID "\xc4\x10iiiiiiiiiiiiiiii"

/* Opens and reads all; LP_OK only if nothing failed. */
static lp_err read_all(span raw, uint32_t *changes_out) {
    changes_reader r;
    change_set set;
    reg change;
    lp_error error = {.code = LP_OK};
    *changes_out = 0;
    assert_int_equal(wire_scan(raw, NULL), LP_OK);
    lp_err err = changes_open(&r, raw, &error);
    assert_int_equal(err, error.code);
    while (!err && changes_next(&r, &set)) {
        while (change_next(&set, &change))
            ++*changes_out;
        if (set.fields.failed) {
            err = LP_PROTOCOL;
            assert_false(change_next(&set, &change)); /* for good */
        }
    }
    if (r.sets.failed) {
        err = LP_PROTOCOL;
        assert_false(changes_next(&r, &set));
    }
    changes_close(&r);
    return err;
}

static void a_list_that_breaks_the_form_is_refused(void **state) {
    (void)state;
    span bad[] = {
        SPAN_LITERAL("\xc0"),
        SPAN_LITERAL("\x91\x90"),
        SPAN_LITERAL("\x92\xc0\x90"),
        SPAN_LITERAL("\x92\x90\xc0"),
        SPAN_LITERAL("\x93\x90\x90\xc0"),                                    /* uncertain what */
        SPAN_LITERAL("\x93\x92" STAMP "\x00\x90\x91\x00"),                   /* no stamp is uncertain */
        SPAN_LITERAL("\x93\x92" STAMP "\x00\x90\x92\x00\x01"),               /* the same, with another behind it */
        SPAN_LITERAL("\x93\x92" STAMP "\x00\x90\x91\x02"),                   /* nor one that is not there */
        SPAN_LITERAL("\x92\x91" STAMP "\x90"),                               /* a stamp without skew */
        SPAN_LITERAL("\x92\x92\xc0\x01\x90"),                                /* no room for that many stamps */
        SPAN_LITERAL("\x92\x92\xc4\x0bsssssssssss\x00\x91\xaciiiiiiiiiiii"), /* 11 bytes */
        SPAN_LITERAL("\x92\x92\xac"
                     "ssssssssssss\x00\x90"),                                        /* text */
        SPAN_LITERAL("\x92\x92" STAMP "\xc0\x90"),                                   /* no skew */
        SPAN_LITERAL("\x92\x92\xc4\x0c\0\0\0\0\0\0\0\0\0\0\0\0\x00\x90"),            /* the stamp that is none */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\xc0"),                               /* a set that is no array */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x94\x01" ID "\x01\x92\x02\x03"),     /* a set of four */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x00" ID "\x01\x00\x92\x02\x03"), /* kind 0 */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\xce\x00\x01\x00\x00" ID "\x01\x00\x92\x02\x03"),  /* kind 65536 */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x01\xc4\x0fiiiiiiiiiiiiiii\x01\x00\x92\x02\x03"), /* id of 15 */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x01" ID "\x00\x00\x92\x02\x03"),                  /* no stamp */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x01" ID "\x02\x00\x92\x02\x03"),                  /* stamp 2 of 1 */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x01" ID "\x01\x02\x92\x02\x03"),                  /* base 2 of 1 */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x01" ID "\x01\xff\x92\x02\x03"),                  /* base -1 */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x01" ID "\x01\x00\x90"),                          /* no fields */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x01" ID "\x01\x00\x91\x02"),                      /* half a pair */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x01" ID "\x01\x00\xc0"),         /* fields that are none */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x01" ID "\x01\x00\x92\x00\x03"), /* field 0 */
        SPAN_LITERAL("\x92\x92" STAMP "\x00\x91\x95\x01" ID "\x01\x00\x92\x93\x02\xa1k\x01\x03"), /* a field of three */
    };
    uint32_t changes;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (read_all(bad[i], &changes) != LP_PROTOCOL)
            fail_msg("case %zu passed", i);
}

static void what_a_newer_peer_appends_is_passed_over(void **state) {
    (void)state;
    uint32_t changes;
    assert_int_equal(read_all(SPAN_LITERAL("\x92\x90\x90"), &changes), LP_OK);
    span newer =
        SPAN_LITERAL("\x94\x92" STAMP "\x00\x92\x97\xcd\x80\x00" ID "\x01\x01\x92\xcd\x80\x00\x91\xc0\xc0\x81\x01\x02"
                     "\x95\x01" ID "\x01\x00\x92\x92\x02\xa1k\x03\x90\xc0");
    assert_int_equal(read_all(newer, &changes), LP_OK);
    assert_int_equal(changes, 2);
}

static void a_skew_is_cut_to_what_a_stamp_can_hold(void **state) {
    (void)state;
    changes_reader r;
    span raw = SPAN_LITERAL("\x92\x94" STAMP "\xd3\x80\0\0\0\0\0\0\0" STAMP "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\x90");
    assert_int_equal(changes_open(&r, raw, NULL), LP_OK);
    assert_true(r.skews[0] == -STAMP_MS_MAX && r.skews[1] == STAMP_MS_MAX);
    changes_close(&r);
}

static void a_mebibyte_of_nils_costs_no_memory(void **state) {
    (void)state;
    buf raw = {0};
    changes_reader r;
    wire_put_array(&raw, 2);
    wire_put_array(&raw, 1000000);
    for (int i = 0; i < 1000000; i++)
        wire_put_nil(&raw);
    wire_put_array(&raw, 0);
    assert_int_equal(wire_scan(buf_span(&raw), NULL), LP_OK);
    assert_int_equal(changes_open(&r, buf_span(&raw), NULL), LP_PROTOCOL);
    assert_null(r.stamps);
    changes_close(&r);
    buf_fini(&raw);
}

static void put_one(changes_writer *w, uint64_t time, uint64_t base, int64_t skew_ms) {
    static const lp_id id = {{1}};
    changes_begin(w);
    change_put(w, LEAD_COMPANY, (span){0}, WIRE_NIL_SPAN);
    changes_end(w, KIND_LEAD, &id, (stamp){time, 17}, base ? (stamp){base, 17} : STAMP_NONE, skew_ms);
}

static void stamps_used_again_are_listed_once(void **state) {
    (void)state;
    changes_writer w;
    changes_init(&w);
    for (uint64_t i = 1; i <= 100; i++)
        put_one(&w, 1 + i / 10, i / 10, 5);
    assert_int_equal(w.stamp_count, 11);
    assert_int_equal(w.set_count, 100);
    changes_reset(&w);
    for (uint64_t i = 1; i <= 20; i++)
        put_one(&w, i, 0, 5);
    put_one(&w, 1, 0, 5); /* too long ago: listed again */
    assert_int_equal(w.stamp_count, 21);
    changes_fini(&w);
}

static void a_stamp_seen_as_base_first_keeps_its_skew(void **state) {
    (void)state;
    changes_writer w;
    changes_reader r;
    change_set set;
    buf raw = {0};
    changes_init(&w);
    put_one(&w, 20, 10, 3);
    put_one(&w, 10, 0, 4);
    put_one(&w, 10, 20, 4);
    assert_int_equal(changes_finish(&w, &raw, NULL), LP_OK);
    assert_int_equal(changes_open(&r, buf_span(&raw), NULL), LP_OK);
    static const int64_t skews[] = {3, 4, 4};
    static const uint64_t bases[] = {10, 0, 20};
    for (int i = 0; i < 3; i++) {
        assert_true(changes_next(&r, &set));
        assert_true(set.skew_ms == skews[i] && set.base.time == bases[i]);
    }
    assert_false(changes_next(&r, &set));
    changes_close(&r);
    changes_fini(&w);
    buf_fini(&raw);
}

static void what_is_uncertain_stays_so_and_costs_others_nothing(void **state) {
    (void)state;
    changes_writer w;
    changes_reader r;
    change_set set;
    reg change;
    lp_id id = {{1}};
    buf raw = {0};
    static const bool marked[] = {false, true, true, false};
    static const uint64_t times[] = {10, 10, 20, 20};
    changes_init(&w);
    for (int i = 0; i < 4; i++) {
        changes_begin(&w);
        if (marked[i])
            changes_mark_uncertain(&w);
        change_put(&w, LEAD_COMPANY, (span){0}, WIRE_NIL_SPAN);
        changes_end(&w, KIND_LEAD, &id, (stamp){times[i], 17}, (stamp){times[i] - 1, 17}, 0);
    }
    assert_int_equal(changes_finish(&w, &raw, NULL), LP_OK);
    assert_int_equal(changes_open(&r, buf_span(&raw), NULL), LP_OK);
    for (int i = 0; i < 4; i++) {
        assert_true(changes_next(&r, &set) && change_next(&set, &change));
        assert_int_equal(set.uncertain, marked[i]);
        assert_int_equal(change.uncertain, marked[i]);
        assert_int_equal(set.stamp.time, times[i]);
    }
    changes_close(&r);
    buf_clear(&raw);
    changes_reset(&w);
    put_one(&w, 10, 0, 0);
    assert_int_equal(changes_finish(&w, &raw, NULL), LP_OK);
    assert_int_equal(raw.data[0], 0x92);
    changes_fini(&w);
    buf_fini(&raw);
}

static void a_set_without_fields_is_not_written(void **state) {
    (void)state;
    changes_writer w;
    buf raw = {0};
    lp_id id = {{1}};
    changes_init(&w);
    changes_begin(&w);
    changes_end(&w, KIND_LEAD, &id, (stamp){1, 1}, STAMP_NONE, 0);
    assert_int_equal(changes_finish(&w, &raw, NULL), LP_OK);
    assert_true(span_equal(buf_span(&raw), SPAN_LITERAL("\x92\x90\x90")));
    buf_fini(&raw);
    changes_fini(&w);
}

static void want_of_memory_is_reported_at_the_end(void **state) {
    (void)state;
    for (int which = 0; which < 5; which++) {
        changes_writer w;
        buf raw = {0};
        changes_init(&w);
        buf *failing[] = {&w.stamps, &w.sets, &w.fields, &w.uncertain, &raw};
        lp_id id = {{1}};
        changes_begin(&w);
        changes_mark_uncertain(&w);
        buf_reserve(failing[which], SIZE_MAX);
        change_put(&w, 1, (span){0}, WIRE_NIL_SPAN);
        changes_end(&w, KIND_LEAD, &id, (stamp){1, 1}, STAMP_NONE, 0);
        assert_int_equal(changes_finish(&w, &raw, NULL), LP_NOMEM);
        changes_fini(&w);
        buf_fini(&raw);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_that_breaks_the_form_is_refused),
        cmocka_unit_test(what_a_newer_peer_appends_is_passed_over),
        cmocka_unit_test(a_skew_is_cut_to_what_a_stamp_can_hold),
        cmocka_unit_test(a_mebibyte_of_nils_costs_no_memory),
        cmocka_unit_test(stamps_used_again_are_listed_once),
        cmocka_unit_test(a_stamp_seen_as_base_first_keeps_its_skew),
        cmocka_unit_test(what_is_uncertain_stays_so_and_costs_others_nothing),
        cmocka_unit_test(a_set_without_fields_is_not_written),
        cmocka_unit_test(want_of_memory_is_reported_at_the_end),
    };
    return cmocka_run_group_tests_name("unit_change", tests, NULL, NULL);
}
