/* test_import_map.c - headers to fields, cells to values, rows to ids, values to text and times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cli/columns.h"
#include "client/cli/fieldtext.h"
#include "client/cli/import_key.h"
#include "client/cli/import_map.h"
#include "client/cli/timetext.h"

static void expect_field(const char *header, const char *field) {
    lp_field_info info;
    const char *key = NULL;
    if (!field) {
        assert_false(column_field(header, &info, &key));
        return;
    }
    if (!column_field(header, &info, &key))
        fail_msg("'%s' is not known", header);
    char path[128];
    snprintf(path, sizeof path, "%s%s%s", info.name, key ? "." : "", key ? key : "");
    assert_string_equal(path, field);
}

static void headers_are_known_by_many_names_in_two_languages(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"full_name", "full_name"},
                                           {"Full Name", "full_name"},
                                           {"姓名", "full_name"},
                                           {"COMPANY", "company"},
                                           {"Company Name", "company"},
                                           {"公司名称", "company"},
                                           {"E-Mail Address", "email"},
                                           {"手机号码", "mobile"},
                                           {"Ｐｈｏｎｅ", "phone"},
                                           {"LastName", "family_name"},
                                           {"First Name", "given_name"},
                                           {"Lead Source", "source"},
                                           {"线索来源", "source"},
                                           {"MailingZip/PostalCode", "postal_code"},
                                           {"Zip/Postal Code", "postal_code"},
                                           {"NumberOfEmployees", "employees"},
                                           {"HasOptedOutOfEmail", "do_not_email"},
                                           {"Prospect ID", "external_id"},
                                           {"Record ID - Contact", "external_id"},
                                           {"线索编号", "external_id"},
                                           {"WeChat", "social.wechat"},
                                           {"微信号", "social.wechat"},
                                           {"备注", "notes"},
                                           {"Favourite colour", NULL},
                                           {"deleted", NULL},
                                           {"---", NULL},
                                           {"", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_field(cases[i][0], cases[i][1]);
}

static void every_synonym_names_a_field_that_exists_and_none_names_two(void **state) {
    (void)state;
    static const char *const rows[][2] = {
#define COLUMN(field, names) {#field, names},
#include "client/cli/columns.def"
#undef COLUMN
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *names = strdup(rows[i][1]);
        char *rest = NULL;
        for (char *name = strtok_r(names, "|", &rest); name; name = strtok_r(NULL, "|", &rest))
            expect_field(name, rows[i][0]);
        free(names);
    }
}

/* ---- maps ---- */

typedef struct table {
    sheet sheet;
    import_map map;
} table;

static table read_table(const char *text) {
    table t;
    sheet_fault fault;
    assert_true(sheet_read(text, strlen(text), 0, &t.sheet, &fault));
    assert_int_equal(import_map_make(&t.sheet, &t.map), LP_OK);
    return t;
}

static void table_fini(table *t) {
    import_map_fini(&t->map);
    sheet_fini(&t->sheet);
}

static import_values read_values(const table *t, uint32_t row) {
    import_values values = {0};
    uint32_t limit_bytes = 0;
    for (uint32_t i = 0; i < t->map.count; i++)
        assert_int_equal(import_map_cell(&t->map, i, sheet_cell(&t->sheet, row, i), &values, &limit_bytes), LP_OK);
    return values;
}

static void expect_text(const import_values *values, const char *path, const char *text) {
    const lp_value *value = import_values_find(values, path);
    assert_non_null(value);
    assert_int_equal(value->type, LP_TEXT);
    assert_int_equal(value->size, strlen(text));
    assert_memory_equal(value->data, text, value->size);
}

static void unknown_columns_second_columns_and_misfits_become_answers(void **state) {
    (void)state;
    table t = read_table("name,公司,Company,Colour,employees,consent\nLi,甲,乙,red,many,是\n");
    import_values values = read_values(&t, 0);
    expect_text(&values, "full_name", "Li");
    expect_text(&values, "company", "甲");
    expect_text(&values, "answers.Company", "乙");
    expect_text(&values, "answers.Colour", "red");
    expect_text(&values, "answers.employees", "many");
    assert_int_equal(import_values_find(&values, "consent")->type, LP_BOOL);
    assert_int_equal(import_values_find(&values, "consent")->integer, 1);
    assert_int_equal(values.count, 6);
    import_values_fini(&values);
    table_fini(&t);
}

static void tags_are_split_and_keyed_columns_keep_their_key(void **state) {
    (void)state;
    table t = read_table("name\tTags\ttags.vip\tanswers.Why?\nLi\thot, big deal；中国,hot\tno\tbecause\n");
    import_values values = read_values(&t, 0);
    assert_int_equal(import_values_find(&values, "tags.hot")->integer, 1);
    assert_int_equal(import_values_find(&values, "tags.big deal")->integer, 1);
    assert_int_equal(import_values_find(&values, "tags.中国")->integer, 1);
    assert_int_equal(import_values_find(&values, "tags.vip")->integer, 0);
    expect_text(&values, "answers.Why?", "because");
    assert_int_equal(values.count, 6);
    import_values_fini(&values);
    table_fini(&t);
}

static void a_cell_above_its_limit_is_refused_with_the_limit(void **state) {
    (void)state;
    table t = read_table("name,city\nLi,x\n");
    import_values values = {0};
    uint32_t limit_bytes = 0;
    char city[100];
    memset(city, 'x', sizeof city);
    city[81] = '\0';
    assert_int_equal(import_map_cell(&t.map, 1, (csv_cell){city, 81, false}, &values, &limit_bytes), LP_TOO_LARGE);
    assert_int_equal(limit_bytes, 80);
    assert_int_equal(import_map_cell(&t.map, 1, (csv_cell){city, 80, false}, &values, &limit_bytes), LP_OK);
    import_values_fini(&values);
    table_fini(&t);
}

/* ---- ids ---- */

static const lp_id pool = {{1, 2, 3}};

static void ids_of(const char *text, uint32_t *key_out, lp_id *ids) {
    table t = read_table(text);
    *key_out = import_key_column(&t.sheet, &t.map);
    assert_int_equal(import_key_ids(&t.sheet, &t.map, *key_out, &pool, ids), LP_OK);
    table_fini(&t);
}

static bool same(lp_id a, lp_id b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

static void a_key_column_gives_the_same_id_whatever_else_the_row_says(void **state) {
    (void)state;
    uint32_t key = 0;
    lp_id a[2];
    lp_id b[2];
    ids_of("Prospect ID,name\nx1,Li\nx2,Wang\n", &key, a);
    assert_int_equal(key, 0);
    ids_of("city,prospect_id,name\nP,x2,Wang Wei\nQ,x1,Li\n", &key, b);
    assert_int_equal(key, 1);
    assert_true(same(a[0], b[1]));
    assert_true(same(a[1], b[0]));
    assert_false(same(a[0], a[1]));
}

static void a_column_that_counts_repeats_or_has_gaps_is_no_key(void **state) {
    (void)state;
    uint32_t key = 0;
    lp_id ids[3];
    ids_of("id,name\n1,Li\n2,Wang\n3,Zhao\n", &key, ids);
    assert_int_equal(key, IMPORT_NO_COLUMN);
    ids_of("id,name\nx,Li\nx,Wang\n", &key, ids);
    assert_int_equal(key, IMPORT_NO_COLUMN);
    ids_of("id,name\nx,Li\n,Wang\n", &key, ids);
    assert_int_equal(key, IMPORT_NO_COLUMN);
    ids_of("id,name\n100,Li\n102,Wang\n", &key, ids);
    assert_int_equal(key, 0);
}

static void equal_rows_are_told_apart_by_their_number(void **state) {
    (void)state;
    uint32_t key = 0;
    lp_id a[4];
    lp_id b[4];
    ids_of("name,city\nLi,P\nLi,P\nWang,Q\nLi,P\n", &key, a);
    ids_of("name,city\nWang,Q\nLi,P\nLi,P\nLi,P\n", &key, b);
    assert_false(same(a[0], a[1]));
    assert_false(same(a[1], a[3]));
    assert_true(same(a[0], b[1]) && same(a[1], b[2]) && same(a[3], b[3]) && same(a[2], b[0]));
}

static void a_column_of_record_ids_is_taken_as_it_is(void **state) {
    (void)state;
    uint32_t key = 0;
    lp_id ids[2];
    lp_id wanted;
    ids_of("id,name\n01a201b2-a529-7492-b311-11a347b78d9b,Li\n,Wang\n", &key, ids);
    assert_true(lp_id_parse("01a201b2-a529-7492-b311-11a347b78d9b", &wanted));
    assert_true(same(ids[0], wanted));
    assert_false(same(ids[1], wanted));
}

/* ---- values and times ---- */

static void values_read_back_from_what_is_written(void **state) {
    (void)state;
    const struct {
        lp_field_info field;
        lp_value value;
    } cases[] = {{{.type = LP_BOOL}, {.type = LP_BOOL, .integer = 1}},
                 {{.type = LP_BOOL}, {.type = LP_BOOL, .integer = 0}},
                 {{.type = LP_INT}, {.type = LP_INT, .integer = INT64_MIN}},
                 {{.type = LP_INT}, {.type = LP_INT, .integer = INT64_MAX}},
                 {{.type = LP_INT, .time = true}, {.type = LP_INT, .integer = 1795324814633}},
                 {{.type = LP_INT, .time = true}, {.type = LP_INT, .integer = -1}},
                 {{.type = LP_REAL}, {.type = LP_REAL, .real = 0.1}},
                 {{.type = LP_REAL}, {.type = LP_REAL, .real = 1.7976931348623157e308}},
                 {{.type = LP_REAL}, {.type = LP_REAL, .real = -5e-324}},
                 {{.type = LP_TEXT}, {.type = LP_TEXT, .data = " as is\n", .size = 7}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        size_t size = 0;
        lp_value back;
        FILE *out = open_memstream(&text, &size);
        field_print(out, &cases[i].value, cases[i].field.time);
        fclose(out);
        assert_true(field_read(&cases[i].field, text, size, &back));
        assert_true(field_equal(&back, &cases[i].value));
        free(text);
    }
}

static void numbers_that_are_none_do_not_read(void **state) {
    (void)state;
    static const char *const texts[] = {"", "x", "1x", "0x10", "inf", "nan", "1,000", "99999999999999999999", "1.5"};
    lp_field_info integer = {.type = LP_INT};
    lp_field_info real = {.type = LP_REAL};
    lp_value value;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(field_read(&integer, texts[i], strlen(texts[i]), &value));
    for (size_t i = 0; i < 7; i++)
        assert_false(field_read(&real, texts[i], strlen(texts[i]), &value));
    assert_true(field_read(&integer, " 15.0 ", 6, &value));
    assert_int_equal(value.integer, 15);
}

static void times_read_in_every_unmistakable_form(void **state) {
    (void)state;
    setenv("TZ", "Asia/Shanghai", 1);
    tzset();
    const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"2026-11-22T06:30:00Z", 1795329000000},      {"2026-11-22T06:30:00.125Z", 1795329000125},
                 {"2026-11-22T14:30:00+08:00", 1795329000000}, {"2026-11-22 14:30", 1795329000000},
                 {"2026/11/22 14:30:00", 1795329000000},       {"1970-01-01T00:00:00Z", 0},
                 {"2024-02-29T00:00:00Z", 1709164800000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = 0;
        assert_true(time_parse(cases[i].text, strlen(cases[i].text), &ms));
        assert_int_equal(ms, cases[i].ms);
    }
    static const char *const wrong[] = {
        "", "22/11/2026", "2026-13-01", "2026-02-29", "2026-11-22T25:00", "2026-11-22x", "now"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t ms = 0;
        assert_false(time_parse(wrong[i], strlen(wrong[i]), &ms));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_known_by_many_names_in_two_languages),
        cmocka_unit_test(every_synonym_names_a_field_that_exists_and_none_names_two),
        cmocka_unit_test(unknown_columns_second_columns_and_misfits_become_answers),
        cmocka_unit_test(tags_are_split_and_keyed_columns_keep_their_key),
        cmocka_unit_test(a_cell_above_its_limit_is_refused_with_the_limit),
        cmocka_unit_test(a_key_column_gives_the_same_id_whatever_else_the_row_says),
        cmocka_unit_test(a_column_that_counts_repeats_or_has_gaps_is_no_key),
        cmocka_unit_test(equal_rows_are_told_apart_by_their_number),
        cmocka_unit_test(a_column_of_record_ids_is_taken_as_it_is),
        cmocka_unit_test(values_read_back_from_what_is_written),
        cmocka_unit_test(numbers_that_are_none_do_not_read),
        cmocka_unit_test(times_read_in_every_unmistakable_form),
    };
    return cmocka_run_group_tests_name("import map", tests, NULL, NULL);
}
