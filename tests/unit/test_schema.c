/* test_schema.c - schema.def keeps its own rules, and values are held to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/schema.h"
#include "proto/wire.h"

static void numbers_and_names_are_unique_and_every_kind_can_be_deleted(void **state) {
    (void)state;
    uint32_t kinds, fields;
    const kind_info *kind = schema_kinds(&kinds);
    assert_true(kinds >= 5);
    for (uint32_t k = 0; k < kinds; k++) {
        assert_ptr_equal(schema_kind(kind[k].number), &kind[k]);
        assert_ptr_equal(schema_kind_named(kind[k].name), &kind[k]);
        const field_info *field = schema_fields(kind[k].number, &fields);
        assert_non_null(field);
        for (uint32_t f = 0; f < fields; f++) {
            assert_ptr_equal(schema_field(kind[k].number, field[f].number), &field[f]);
            assert_ptr_equal(schema_field_named(kind[k].number, span_text(field[f].name)), &field[f]);
            assert_true(text_valid(span_text(field[f].chinese)) && field[f].english[0] && field[f].chinese[0]);
            bool sized = field[f].type <= FIELD_CODE || field[f].type >= FIELD_BYTES;
            assert_true(sized == (field[f].max_bytes > 0));
            assert_true(field[f].max_bytes <= VALUE_BYTES_UNKNOWN_MAX);
        }
        const field_info *deleted = schema_field(kind[k].number, FIELD_DELETED);
        assert_string_equal(deleted->name, "deleted");
        assert_int_equal(deleted->type, FIELD_BOOL);
    }
    assert_int_equal(KIND_LEAD, 1);
    assert_int_equal(LEAD_COMPANY, 3);
}

static void unknown_kinds_and_fields_are_not_found(void **state) {
    (void)state;
    uint32_t count = 7;
    assert_null(schema_kind(999));
    assert_null(schema_kind_named("nothing"));
    assert_null(schema_fields(999, &count));
    assert_int_equal(count, 0);
    assert_null(schema_field(KIND_LEAD, 0));
    assert_null(schema_field(KIND_LEAD, 9999));
    assert_null(schema_field(999, 1));
    assert_null(schema_field_named(KIND_LEAD, SPAN_LITERAL("companyx")));
    assert_null(schema_field_named(KIND_LEAD, SPAN_LITERAL("compan")));
    assert_null(schema_field_named(KIND_LEAD, (span){0}));
    assert_null(schema_field_named(999, SPAN_LITERAL("company")));
}

static lp_err check(uint32_t kind, uint32_t field, const char *key, const lp_value *value) {
    buf raw = {0};
    lp_error error = {.code = LP_OK};
    wire_put_value(&raw, value);
    lp_err err = schema_check(kind, field, span_text(key), buf_span(&raw), &error);
    assert_int_equal(error.code, err);
    assert_true(err == LP_OK || error.message[0]);
    buf_fini(&raw);
    return err;
}

/* Which of the sample values a field type takes: one column per sample. */
static void each_type_takes_its_own_values_only(void **state) {
    (void)state;
    static const char id16[16] = {1};
    lp_value samples[] = {{.type = LP_NULL},
                          {.type = LP_BOOL, .integer = 1},
                          {.type = LP_INT, .integer = -3},
                          {.type = LP_REAL, .real = 1.5},
                          {.type = LP_TEXT, .data = "x", .size = 1},
                          {.type = LP_BYTES, .data = id16, .size = 16},
                          {.type = LP_BYTES, .data = id16, .size = 5},
                          {.type = LP_OTHER, .data = "\x91\x01", .size = 2},
                          {.type = LP_OTHER, .data = "\x80", .size = 1},
                          {.type = LP_OTHER, .data = "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", .size = 9}};
    struct {
        uint32_t kind, field;
        const char *taken; /* by sample: 1 or 0 */
    } rows[] = {
        {KIND_LEAD, LEAD_FULL_NAME, "1000100000"},
        {KIND_LEAD, LEAD_RATING, "1000100000"},
        {KIND_LEAD, LEAD_EMPLOYEES, "1010000000"},
        {KIND_LEAD, LEAD_BUDGET_AMOUNT, "1011000000"},
        {KIND_LEAD, LEAD_CONSENT, "1100000000"},
        {KIND_LEAD, LEAD_CAPTURED_AT, "1010000000"},
        {KIND_TOUCH, TOUCH_LEAD, "1000010000"},
        {KIND_CONFLICT, CONFLICT_LOST_STAMP, "1000001000"},
        {KIND_CONFLICT, CONFLICT_LOST_VALUE, "1111111110"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t j = 0; j < sizeof samples / sizeof samples[0]; j++) {
            lp_err err = check(rows[i].kind, rows[i].field, "", &samples[j]);
            bool taken = rows[i].taken[j] == '1';
            bool sixteen_of_twelve = rows[i].field == CONFLICT_LOST_STAMP && j == 5 && rows[i].kind == KIND_CONFLICT;
            if (err != (taken ? LP_OK : sixteen_of_twelve ? LP_TOO_LARGE : LP_INVALID))
                fail_msg("field %u of kind %u, sample %zu: %s", rows[i].field, rows[i].kind, j, lp_err_name(err));
        }
    assert_int_equal(schema_check(KIND_LEAD, LEAD_FULL_NAME, (span){0}, (span){0}, NULL), LP_INVALID);
}

static void a_value_may_be_as_long_as_its_field_says(void **state) {
    (void)state;
    static char text[70000];
    memset(text, 'x', sizeof text);
    lp_value value = {.type = LP_TEXT, .data = text, .size = 200};
    assert_int_equal(check(KIND_LEAD, LEAD_FULL_NAME, "", &value), LP_OK);
    value.size = 201;
    assert_int_equal(check(KIND_LEAD, LEAD_FULL_NAME, "", &value), LP_TOO_LARGE);
    value.size = VALUE_BYTES_UNKNOWN_MAX - 3; /* its header counts where nothing is known about it */
    assert_int_equal(check(KIND_LEAD, 9999, "", &value), LP_OK);
    assert_int_equal(check(999, 1, "k", &value), LP_OK);
    value.size++;
    assert_int_equal(check(KIND_LEAD, 9999, "", &value), LP_TOO_LARGE);
}

static void map_fields_need_a_key_and_others_take_none(void **state) {
    (void)state;
    lp_value yes = {.type = LP_BOOL, .integer = 1};
    char key[300];
    memset(key, 'k', sizeof key);
    key[KEY_BYTES_MAX] = '\0';
    assert_int_equal(check(KIND_LEAD, LEAD_TAGS, "vip", &yes), LP_OK);
    assert_int_equal(check(KIND_LEAD, LEAD_TAGS, key, &yes), LP_OK);
    key[KEY_BYTES_MAX] = 'k';
    key[KEY_BYTES_MAX + 1] = '\0';
    assert_int_equal(check(KIND_LEAD, LEAD_TAGS, key, &yes), LP_TOO_LARGE);
    assert_int_equal(check(KIND_LEAD, LEAD_TAGS, "", &yes), LP_INVALID);
    assert_int_equal(check(KIND_LEAD, LEAD_CONSENT, "x", &yes), LP_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_names_are_unique_and_every_kind_can_be_deleted),
        cmocka_unit_test(unknown_kinds_and_fields_are_not_found),
        cmocka_unit_test(each_type_takes_its_own_values_only),
        cmocka_unit_test(a_value_may_be_as_long_as_its_field_says),
        cmocka_unit_test(map_fields_need_a_key_and_others_take_none),
    };
    return cmocka_run_group_tests_name("unit_schema", tests, NULL, NULL);
}
