/* test_record.c - registers in order, and the packed form with every way it can be damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/change.h"
#include "proto/record.h"
#include "proto/schema.h"
#include "proto/wire.h"

static const lp_id nil;

static void put(record *rec, uint32_t field, const char *key, const char *value, uint64_t time) {
    bool made;
    reg *r = record_at(rec, field, span_text(key), &made);
    assert_non_null(r);
    r->value = span_text(value);
    r->stamp = (stamp){time, 1};
}

static void registers_are_kept_in_order_whatever_the_order_they_come_in(void **state) {
    (void)state;
    record rec;
    record_init(&rec, KIND_LEAD, &nil);
    for (uint32_t i = 0; i < 500; i++)
        put(&rec, 1 + i * 7919 % 500, "", "\x01", 1);
    put(&rec, 57, "b", "\x01", 1);
    put(&rec, 57, "a", "\x01", 1);
    put(&rec, 57, "ab", "\x01", 1);
    assert_int_equal(rec.count, 503);
    for (uint32_t i = 1; i < rec.count; i++)
        assert_true(rec.regs[i - 1].field < rec.regs[i].field ||
                    span_compare(rec.regs[i - 1].key, rec.regs[i].key) < 0);
    bool made;
    assert_true(record_at(&rec, 57, span_text("a"), &made) == record_find(&rec, 57, span_text("a")) && !made);
    assert_null(record_find(&rec, 57, span_text("aa")));
    assert_null(record_find(&rec, 501, (span){0}));
    assert_null(record_find(&rec, 0, (span){0}));
    record_clear(&rec);
    assert_int_equal(rec.count, 0);
    assert_null(record_find(&rec, 1, (span){0}));
    record_fini(&rec);
}

static void nil_reads_as_no_value(void **state) {
    (void)state;
    record rec;
    record_init(&rec, KIND_LEAD, &nil);
    assert_int_equal(record_value(&rec, LEAD_COMPANY, (span){0}).size, 0);
    put(&rec, LEAD_COMPANY, "", "\xa1x", 1);
    assert_int_equal(record_value(&rec, LEAD_COMPANY, (span){0}).size, 2);
    put(&rec, LEAD_COMPANY, "", "\xc0", 2);
    assert_int_equal(record_value(&rec, LEAD_COMPANY, (span){0}).size, 0);
    put(&rec, FIELD_DELETED, "", "\xc2", 1);
    assert_false(record_deleted(&rec));
    put(&rec, FIELD_DELETED, "", "\xc3", 1);
    assert_true(record_deleted(&rec));
    record_fini(&rec);
}

static void registers_that_share_a_stamp_share_its_bytes(void **state) {
    (void)state;
    record rec;
    buf body = {0}, stamps = {0};
    record_init(&rec, KIND_LEAD, &nil);
    for (uint32_t i = 1; i <= 20; i++)
        put(&rec, i, "", "\x01", 7);
    assert_int_equal(record_pack(&rec, &body, &stamps, NULL), LP_OK);
    assert_int_equal(stamps.size, 1 + STAMP_BYTES + 1 + 1);
    record_find(&rec, 20, (span){0})->base = (stamp){3, 1};
    record_find(&rec, 19, (span){0})->seq = 300;
    buf_clear(&stamps);
    assert_int_equal(record_pack(&rec, &body, &stamps, NULL), LP_OK);
    assert_int_equal(stamps.size, 3 * (1 + STAMP_BYTES + 1 + 1) + 1 + STAMP_BYTES);
    buf_fini(&body);
    buf_fini(&stamps);
    record_fini(&rec);
}

#define RUN(count) count "ssssssssssss\x01\x00"

static void damage_is_reported_and_leaves_nothing(void **state) {
    (void)state;
    struct {
        span body, stamps;
    } damaged[] = {
        {SPAN_LITERAL("\x02\xa1x"), (span){0}},                                /* no stamps */
        {SPAN_LITERAL("\x02\xa1x"), SPAN_LITERAL(RUN("\x00"))},                /* an empty run */
        {SPAN_LITERAL("\x02\xa1x"), SPAN_LITERAL(RUN("\x02"))},                /* a run too long */
        {SPAN_LITERAL("\x02\xa1x"), SPAN_LITERAL(RUN("\x01") RUN("\x01"))},    /* a run too many */
        {SPAN_LITERAL("\x02\xa1x"), SPAN_LITERAL("\x01ssssssssssss\x01\x04")}, /* no such flag */
        {SPAN_LITERAL("\x02\xa1x"), SPAN_LITERAL("\x01ssssssssssss\x01\x01"
                                                 "bb")}, /* half a base */
        {SPAN_LITERAL("\x02\xa1x"), SPAN_LITERAL("\x01ssssssssssss\x01")},
        {SPAN_LITERAL("\x02\xa1x"), SPAN_LITERAL("\x01ssssssssssss")},
        {SPAN_LITERAL("\x02\xa1x"), SPAN_LITERAL("\x01ssss")},
        {SPAN_LITERAL("\x02\xa5x"), SPAN_LITERAL(RUN("\x01"))},                /* half a value */
        {SPAN_LITERAL("\x02"), SPAN_LITERAL(RUN("\x01"))},                     /* no value */
        {SPAN_LITERAL("\x00\x01"), SPAN_LITERAL(RUN("\x01"))},                 /* field 0 */
        {SPAN_LITERAL("\xff\x01"), SPAN_LITERAL(RUN("\x01"))},                 /* field -1 */
        {SPAN_LITERAL("\xce\x00\x01\x00\x00\x01"), SPAN_LITERAL(RUN("\x01"))}, /* field 65536 */
        {SPAN_LITERAL("\xa1x\x01"), SPAN_LITERAL(RUN("\x01"))},                /* a field that is text */
        {SPAN_LITERAL("\x92\x02\xa0\x01"), SPAN_LITERAL(RUN("\x01"))},         /* an empty key */
        {SPAN_LITERAL("\x92\x02\x03\x01"), SPAN_LITERAL(RUN("\x01"))},         /* a key that is a number */
        {SPAN_LITERAL("\x93\x02\xa1x\x01\x01"), SPAN_LITERAL(RUN("\x01"))},    /* a key and something */
        {SPAN_LITERAL("\x91\x02\x01"), SPAN_LITERAL(RUN("\x01"))},             /* no key */
        {SPAN_LITERAL("\x03\x01\x02\x01"), SPAN_LITERAL(RUN("\x02"))},         /* out of order */
        {SPAN_LITERAL("\x03\x01\x03\x01"), SPAN_LITERAL(RUN("\x02"))},         /* twice */
        {(span){0}, SPAN_LITERAL(RUN("\x01"))},                                /* stamps of nothing */
    };
    record rec;
    record_init(&rec, KIND_LEAD, &nil);
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        lp_error error = {.code = LP_OK};
        if (record_unpack(&rec, damaged[i].body, damaged[i].stamps, &error) != LP_CORRUPT)
            fail_msg("case %zu passed", i);
        assert_int_equal(error.code, LP_CORRUPT);
        assert_int_equal(rec.count, 0);
    }
    assert_int_equal(record_unpack(&rec, SPAN_LITERAL("\x02\x01\x03\x01"), SPAN_LITERAL(RUN("\x02")), NULL), LP_OK);
    assert_int_equal(rec.count, 2);
    assert_int_equal(record_unpack(&rec, (span){0}, (span){0}, NULL), LP_OK);
    assert_int_equal(rec.count, 0);
    record_fini(&rec);
}

static void the_longest_key_passes_and_one_more_does_not(void **state) {
    (void)state;
    char key[KEY_BYTES_MAX + 1];
    memset(key, 'k', sizeof key);
    for (size_t size = KEY_BYTES_MAX; size <= KEY_BYTES_MAX + 1; size++) {
        buf packed = {0};
        change_pack(&packed, 65535, span_of(key, size), WIRE_NIL_SPAN);
        wire_reader r = wire_open(buf_span(&packed));
        reg back;
        assert_int_equal(change_unpack(&r, &back), size == KEY_BYTES_MAX);
        buf_fini(&packed);
    }
}

static void packing_into_a_failed_buffer_is_out_of_memory(void **state) {
    (void)state;
    record rec;
    buf body = {0}, stamps = {0};
    record_init(&rec, KIND_LEAD, &nil);
    put(&rec, 2, "", "\x01", 1);
    buf_reserve(&stamps, SIZE_MAX);
    assert_int_equal(record_pack(&rec, &body, &stamps, NULL), LP_NOMEM);
    buf_clear(&stamps);
    buf_reserve(&body, SIZE_MAX);
    assert_int_equal(record_pack(&rec, &body, &stamps, NULL), LP_NOMEM);
    buf_fini(&body);
    buf_fini(&stamps);
    record_fini(&rec);
}

/* The worst order of arrival for a record that is full: a limit on registers keeps the moves bounded. */
static void a_full_record_filled_backwards_takes_no_time(void **state) {
    (void)state;
    static char keys[RECORD_FIELDS_MAX][5];
    record rec;
    record_init(&rec, KIND_LEAD, &nil);
    for (int i = RECORD_FIELDS_MAX - 1; i >= 0; i--) {
        snprintf(keys[i], sizeof keys[i], "%04d", i);
        put(&rec, LEAD_TAGS, keys[i], "\xc3", 1);
    }
    assert_int_equal(rec.count, RECORD_FIELDS_MAX);
    assert_true(record_bytes(&rec) < RECORD_BYTES_MAX);
    record_fini(&rec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_are_kept_in_order_whatever_the_order_they_come_in),
        cmocka_unit_test(nil_reads_as_no_value),
        cmocka_unit_test(registers_that_share_a_stamp_share_its_bytes),
        cmocka_unit_test(damage_is_reported_and_leaves_nothing),
        cmocka_unit_test(the_longest_key_passes_and_one_more_does_not),
        cmocka_unit_test(packing_into_a_failed_buffer_is_out_of_memory),
        cmocka_unit_test(a_full_record_filled_backwards_takes_no_time),
    };
    return cmocka_run_group_tests_name("unit_record", tests, NULL, NULL);
}
