/* test_fields.c - names of fields, typed text, columns, snapshots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/replica/fields.h"
#include "client/find/fold.h"
#include "client/replica/snapshot.h"
#include "client/find/typed.h"
#include "proto/wire.h"
#include "tests/support/prop.h"

/* ---- names ---- */

static void parses_to(const char *name, uint32_t number, const char *key) {
    field_ref ref;
    lp_error error = {0};
    if (fields_parse(KIND_LEAD, span_text(name), &ref, &error) != LP_OK)
        fail_msg("%s", error.message);
    assert_int_equal(ref.number, number);
    assert_true(span_equal(ref.key, span_text(key)));
}

static void names_are_read_with_their_keys(void **state) {
    (void)state;
    parses_to("company", LEAD_COMPANY, "");
    parses_to("tags", LEAD_TAGS, "");
    parses_to("tags.vip", LEAD_TAGS, "vip");
    parses_to("answers.q1.a.b", LEAD_ANSWERS, "q1.a.b");
    parses_to("social.微信", LEAD_SOCIAL, "微信");
    parses_to("#217", 217, "");
    parses_to("#217.key", 217, "key");
    parses_to("#3", LEAD_COMPANY, "");
}

static void names_are_written_as_they_are_read(void **state) {
    (void)state;
    char text[FIELD_NAME_BYTES_MAX];
    fields_name(KIND_LEAD, LEAD_TAGS, span_text("vip"), text, sizeof text);
    assert_string_equal(text, "tags.vip");
    fields_name(KIND_LEAD, 217, (span){0}, text, sizeof text);
    assert_string_equal(text, "#217");
    assert_int_equal(fields_name(999, 1, span_text("k"), NULL, 0), 4);
}

static void refuses_name(const char *name, const char *part_of_message) {
    field_ref ref;
    lp_error error = {0};
    assert_int_equal(fields_parse(KIND_LEAD, span_text(name), &ref, &error), LP_INVALID);
    if (!strstr(error.message, part_of_message))
        fail_msg("'%s' lacks '%s'", error.message, part_of_message);
}

static void an_unknown_name_is_named_and_the_nearest_suggested(void **state) {
    (void)state;
    refuses_name("compny", "'compny'; did you mean company?");
    refuses_name("FULL_NAME", "did you mean full_name?");
    refuses_name("姓名", "did you mean full_name?");
    refuses_name("e-mail", "did you mean email?");
    refuses_name("xyzzyxyzzyxyzzy", "see the list");
    refuses_name("", "empty");
    refuses_name("\xff", "UTF-8");
    refuses_name("#", "#");
    refuses_name("#0", "#0");
    refuses_name("#99999", "#99999");
    refuses_name("#1x", "#1x");
    refuses_name("tags.", "key must follow");
    refuses_name("company.x", "takes no key");
}

static void long_names_and_keys_are_refused_not_crashed_on(void **state) {
    (void)state;
    char name[5001];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    refuses_name(name, "no field");
    memcpy(name, "tags.", 5);
    refuses_name(name, "longer than 255");
}

/* ---- typed text ---- */

static void reads_as(uint32_t field, const char *text, lp_value expected) {
    buf b = {0}, wanted = {0};
    lp_error error = {0};
    const field_info *info = schema_field(KIND_LEAD, field);
    if (typed_value(info, "f", text, &b, &error) != LP_OK)
        fail_msg("%s", error.message);
    wire_put_value(&wanted, &expected);
    assert_true(span_equal(buf_span(&b), buf_span(&wanted)));
    buf_fini(&b);
    buf_fini(&wanted);
}

static void does_not_read(uint32_t field, const char *text) {
    buf b = {0};
    lp_error error = {0};
    if (typed_value(schema_field(KIND_LEAD, field), "f", text, &b, &error) != LP_INVALID)
        fail_msg("'%s' was read", text);
    assert_true(strlen(error.message) > 0);
    assert_int_equal(b.size, 0);
    buf_fini(&b);
}

static void numbers_are_read_whole_and_in_full_width_too(void **state) {
    (void)state;
    reads_as(LEAD_SCORE, "42", (lp_value){.type = LP_INT, .integer = 42});
    reads_as(LEAD_SCORE, " -7 ", (lp_value){.type = LP_INT, .integer = -7});
    reads_as(LEAD_SCORE, "１２", (lp_value){.type = LP_INT, .integer = 12});
    reads_as(LEAD_SCORE, "-9223372036854775808", (lp_value){.type = LP_INT, .integer = INT64_MIN});
    reads_as(LEAD_BUDGET_AMOUNT, "12500.5", (lp_value){.type = LP_REAL, .real = 12500.5});
    reads_as(LEAD_BUDGET_AMOUNT, "1e3", (lp_value){.type = LP_REAL, .real = 1000});
    const char *bad[] = {"x", "1.5", "4 2", "0x10", "9223372036854775808", "--1", "+", "１２x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        does_not_read(LEAD_SCORE, bad[i]);
    const char *bad_reals[] = {"x", "nan", "inf", "1e999", "1.2.3", "1,5", "."};
    for (size_t i = 0; i < sizeof bad_reals / sizeof bad_reals[0]; i++)
        does_not_read(LEAD_BUDGET_AMOUNT, bad_reals[i]);
}

static void yes_and_no_are_read_in_both_languages(void **state) {
    (void)state;
    const char *yes[] = {"yes", "YES", "true", "1", "是", "Y"};
    const char *no[] = {"no", "False", "0", "否", "n"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        reads_as(LEAD_CONSENT, yes[i], (lp_value){.type = LP_BOOL, .integer = 1});
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        reads_as(LEAD_CONSENT, no[i], (lp_value){.type = LP_BOOL, .integer = 0});
    does_not_read(LEAD_CONSENT, "maybe");
    does_not_read(LEAD_CONSENT, "2");
}

static void text_is_kept_as_typed_and_empty_clears(void **state) {
    (void)state;
    reads_as(LEAD_COMPANY, " Acme ", (lp_value){.type = LP_TEXT, .data = " Acme ", .size = 6});
    reads_as(LEAD_COMPANY, "", (lp_value){.type = LP_NULL});
    reads_as(LEAD_SCORE, "", (lp_value){.type = LP_NULL});
    reads_as(217, "42", (lp_value){.type = LP_TEXT, .data = "42", .size = 2});
    does_not_read(LEAD_COMPANY, "\xc3");
}

static void time_is(const char *text, int64_t start_ms, int64_t unit_ms) {
    int64_t start, end;
    if (!typed_time(span_text(text), &start, &end))
        fail_msg("'%s' was not read", text);
    assert_int_equal(start, start_ms);
    assert_int_equal(end - start, unit_ms);
}

static void times_are_read_with_their_zone(void **state) {
    (void)state;
    time_is("2026-11-22T06:30:00Z", 1795329000000, 1000);
    time_is("2026-11-22t06:30:00z", 1795329000000, 1000);
    time_is("2026-11-22 14:30+08:00", 1795329000000, 60000);
    time_is("2026-11-22 14:30 +0800", 1795329000000, 60000);
    time_is("2026-11-21T20:30-10", 1795329000000, 60000);
    time_is("2026-11-22T06:30:00.250Z", 1795329000250, 1);
    time_is("2026-11-22T06:30:00.2509999Z", 1795329000250, 1);
    time_is("1970-01-01T00:00Z", 0, 60000);
    time_is("1969-12-31T23:59:59Z", -1000, 1000);
    time_is("2000-02-29T00:00Z", 951782400000, 60000);
    time_is("０２００-01-01T00:00Z", -55855785600000, 60000);
}

static void times_without_a_zone_are_local(void **state) {
    (void)state;
    setenv("TZ", "Asia/Shanghai", 1);
    tzset();
    time_is("2026-11-22 14:30", 1795329000000, 60000);
    time_is("2026-11-22", 1795276800000, 86400000);
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    time_is("2026-10-25", 1792879200000, 25 * 3600000);
    setenv("TZ", "UTC", 1);
    tzset();
    time_is("2026-11-22", 1795305600000, 86400000);
}

static void what_is_no_time_is_refused(void **state) {
    (void)state;
    const char *bad[] = {"2026",
                         "2026-13-01",
                         "2026-02-29",
                         "2026-00-10",
                         "0000-01-01",
                         "2026-11-22T24:00Z",
                         "2026-11-22T10:60Z",
                         "2026-11-22T10",
                         "2026-11-22T10:00:00.Z",
                         "2026-11-22T10:00+8",
                         "2026-11-22T10:00+08:",
                         "2026-11-22T10:00ZZ",
                         "2026-11-22x",
                         "22.11.2026",
                         "tomorrow"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        does_not_read(LEAD_CAPTURED_AT, bad[i]);
}

static void ids_and_bytes_are_read(void **state) {
    (void)state;
    buf b = {0};
    lp_error error = {0};
    const field_info *lead = schema_field(KIND_TOUCH, TOUCH_LEAD);
    assert_int_equal(typed_value(lead, "lead", "0190B5A0-0000-7000-8000-00000000002a", &b, &error), LP_OK);
    lp_value value = wire_value(buf_span(&b));
    assert_int_equal(value.type, LP_BYTES);
    assert_int_equal(value.size, 16);
    assert_int_equal(value.data[15], 0x2a);
    buf_clear(&b);
    assert_int_equal(typed_value(lead, "lead", "me", &b, &error), LP_INVALID);
    const field_info *bytes = schema_field(KIND_CONFLICT, CONFLICT_LOST_STAMP);
    assert_int_equal(typed_value(bytes, "b", "00ffA0", &b, &error), LP_OK);
    assert_memory_equal(wire_value(buf_span(&b)).data, "\x00\xff\xa0", 3);
    buf_clear(&b);
    assert_int_equal(typed_value(bytes, "b", "00f", &b, &error), LP_INVALID);
    assert_int_equal(typed_value(bytes, "b", "zz", &b, &error), LP_INVALID);
    buf_fini(&b);
}

/* ---- the schema and its columns ---- */

static void every_field_is_listed_with_its_type(void **state) {
    (void)state;
    lp_field_info info;
    assert_int_equal(lp_schema_field("lead", LEAD_CAPTURED_AT - 1, &info), LP_OK);
    assert_string_equal(info.name, "captured_at");
    assert_true(info.time && info.type == LP_INT && info.writable && !info.map && !info.hidden);
    assert_int_equal(lp_schema_field("lead", LEAD_TAGS - 1, &info), LP_OK);
    assert_true(info.map && info.type == LP_BOOL);
    assert_int_equal(lp_schema_field("lead", LEAD_COMPANY - 1, &info), LP_OK);
    assert_int_equal(info.max_bytes, 255);
    assert_int_equal(info.number, LEAD_COMPANY);
    assert_string_equal(info.label_zh, "公司");
    assert_int_equal(lp_schema_field("staff", 1, &info), LP_OK);
    assert_false(info.writable);
    assert_int_equal(lp_schema_field("lead", 1000, &info), LP_NOT_FOUND);
    assert_int_equal(lp_schema_field("leed", 0, &info), LP_INVALID);
    assert_int_equal(lp_schema_field(NULL, 0, &info), LP_INVALID);
}

static void fields_that_share_a_column_share_its_type(void **state) {
    (void)state;
    uint32_t kind_count, field_count;
    const kind_info *kinds = schema_kinds(&kind_count);
    for (uint32_t i = 0; i < kind_count; i++) {
        const field_info *fields = schema_fields(kinds[i].number, &field_count);
        for (uint32_t j = 0; j < field_count; j++) {
            const field_info *other = schema_field_named(KIND_LEAD, span_text(fields[j].name));
            if (other && fields_column_of(&fields[j]) && fields_column_of(other))
                assert_int_equal(other->type, fields[j].type);
        }
    }
}

static void columns_are_listed_once_and_bound_in_order(void **state) {
    (void)state;
    const char *type, *name;
    uint32_t count = 0, company = 0;
    for (; (name = fields_column(count, &type)); count++) {
        const char *ignored;
        for (uint32_t i = 0; i < count; i++)
            assert_string_not_equal(fields_column(i, &ignored), name);
        assert_string_not_equal(name, "c_deleted");
        if (strcmp(name, "c_company") == 0)
            company = count;
    }
    char sql[256] = "SELECT ?1";
    for (uint32_t i = 2; i <= count; i++)
        snprintf(sql + strlen(sql), sizeof sql - strlen(sql), ", ?%u", i);
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    record rec;
    bool made;
    record_init(&rec, KIND_LEAD, &(lp_id){0});
    record_at(&rec, LEAD_COMPANY, (span){0}, &made)->value = span_text("\xa8ＡＣme");
    assert_int_equal(fields_bind_columns(statement, 1, &rec), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(statement, (int)company), "acme");
    for (uint32_t i = 0; i < count; i++)
        if (i != company)
            assert_int_equal(sqlite3_column_type(statement, (int)i), SQLITE_NULL);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    record_fini(&rec);
}

/* ---- folding ---- */

static void folds_to(const char *text, fold_accents accents, const char *expected) {
    buf b = {0};
    fold_text(span_text(text), accents, &b);
    buf_append_byte(&b, 0);
    assert_string_equal(b.data, expected);
    buf_fini(&b);
}

static void folding_makes_case_width_and_composition_equal(void **state) {
    (void)state;
    folds_to("ＪＯＳＥ", FOLD_KEEP_ACCENTS, "jose");
    folds_to("Jose\xcc\x81", FOLD_KEEP_ACCENTS, "jos\xc3\xa9");
    folds_to("José", FOLD_DROP_ACCENTS, "jose");
    folds_to("STRAßE", FOLD_KEEP_ACCENTS, "strasse");
    folds_to("ｶﾞ王Ⅳ", FOLD_DROP_ACCENTS, "ガ王iv");
    folds_to("김민준", FOLD_DROP_ACCENTS, "김민준");
    folds_to("\xff\xfe", FOLD_DROP_ACCENTS, "\xff\xfe");
    folds_to("", FOLD_DROP_ACCENTS, "");
}

static void folding_twice_changes_nothing(void **state) {
    (void)state;
    prop p = prop_begin("fold");
    for (uint32_t i = 0; i < prop_rounds(500); i++) {
        prop_round(&p, i);
        buf text = {0}, once = {0}, twice = {0};
        prop_text(&p, &text, 64);
        fold_text(buf_span(&text), FOLD_KEEP_ACCENTS, &once);
        fold_text(buf_span(&once), FOLD_KEEP_ACCENTS, &twice);
        assert_true(prop_holds(&p, span_equal(buf_span(&once), buf_span(&twice)), "folding is idempotent"));
        buf_fini(&text);
        buf_fini(&once);
        buf_fini(&twice);
    }
}

/* ---- snapshots ---- */

static void a_snapshot_outlives_what_it_was_made_of(void **state) {
    (void)state;
    record rec;
    bool made;
    char text[] = "\xa4"
                  "Acme",
         nothing[] = "\xc0", yes[] = "\xc3", key[] = "vip", odd[] = "\x92\x01\x02";
    record_init(&rec, KIND_LEAD, &(lp_id){{7}});
    record_at(&rec, LEAD_COMPANY, (span){0}, &made)->value = span_of(text, 5);
    record_find(&rec, LEAD_COMPANY, (span){0})->stamp = (stamp){UINT64_C(1700000000123) << 16, 9};
    record_at(&rec, LEAD_PHONE, (span){0}, &made)->value = span_of(nothing, 1);
    record_at(&rec, LEAD_TAGS, span_of(key, 3), &made)->value = span_of(yes, 1);
    record_at(&rec, 217, (span){0}, &made)->value = span_of(odd, 3);
    lp_record *row;
    assert_int_equal(snapshot_new(&rec, true, &row, NULL), LP_OK);
    record_fini(&rec);
    memset(text, 0, sizeof text);
    memset(key, 0, sizeof key);
    memset(odd, 0, sizeof odd);
    assert_int_equal(lp_record_field_count(row), 3);
    assert_string_equal(lp_record_value(row, "company").data, "Acme");
    assert_int_equal(lp_record_value(row, "phone").type, LP_NULL);
    assert_int_equal(lp_record_value(row, "nonsense").type, LP_NULL);
    assert_int_equal(lp_record_value(row, "tags.vip").integer, 1);
    assert_int_equal(lp_record_value(row, "#217").type, LP_OTHER);
    lp_field field;
    assert_int_equal(lp_record_field(row, 0, &field), LP_OK);
    assert_int_equal(field.changed_ms, 1700000000123);
    assert_int_equal(field.author, 9);
    assert_string_equal(field.label_zh, "公司");
    assert_int_equal(lp_record_field(row, 1, &field), LP_OK);
    assert_string_equal(field.name, "tags.vip");
    assert_string_equal(field.label_en, "vip");
    assert_int_equal(lp_record_field(row, 2, &field), LP_OK);
    assert_string_equal(field.label_en, "#217");
    assert_int_equal(lp_record_field(row, 3, &field), LP_INVALID);
    assert_string_equal(lp_record_kind(row), "lead");
    assert_true(lp_record_unsent(row) && !lp_record_deleted(row) && lp_record_id(row)->bytes[0] == 7);
    lp_record_free(row);
}

static void a_kind_of_the_future_has_a_number_for_a_name(void **state) {
    (void)state;
    record rec;
    record_init(&rec, 65535, &(lp_id){{7}});
    lp_record *row;
    assert_int_equal(snapshot_new(&rec, false, &row, NULL), LP_OK);
    assert_string_equal(lp_record_kind(row), "#65535");
    lp_record_free(row);
    lp_record_free(NULL);
    lp_rows_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_with_their_keys),
        cmocka_unit_test(names_are_written_as_they_are_read),
        cmocka_unit_test(an_unknown_name_is_named_and_the_nearest_suggested),
        cmocka_unit_test(long_names_and_keys_are_refused_not_crashed_on),
        cmocka_unit_test(numbers_are_read_whole_and_in_full_width_too),
        cmocka_unit_test(yes_and_no_are_read_in_both_languages),
        cmocka_unit_test(text_is_kept_as_typed_and_empty_clears),
        cmocka_unit_test(times_are_read_with_their_zone),
        cmocka_unit_test(times_without_a_zone_are_local),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(ids_and_bytes_are_read),
        cmocka_unit_test(every_field_is_listed_with_its_type),
        cmocka_unit_test(fields_that_share_a_column_share_its_type),
        cmocka_unit_test(columns_are_listed_once_and_bound_in_order),
        cmocka_unit_test(folding_makes_case_width_and_composition_equal),
        cmocka_unit_test(folding_twice_changes_nothing),
        cmocka_unit_test(a_snapshot_outlives_what_it_was_made_of),
        cmocka_unit_test(a_kind_of_the_future_has_a_number_for_a_name),
    };
    return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
