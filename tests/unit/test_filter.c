/* test_filter.c - the filter and sort languages against real rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/find/query.h"
#include "tests/support/prop.h"
#include "tests/support/shelf.h"

static shelf fixture;
static lp_id wang, jose, anna, odd;

/* One replica for all tests; none of them writes. */
static int open_shelf(void **state) {
    (void)state;
    setenv("TZ", "Asia/Shanghai", 1);
    tzset();
    shelf *s = &fixture;
    shelf_open(s);
    wang = shelf_put(s, "lead", "full_name", "王伟明", "company", "华为", "score", "80", "status", "new", "tags.vip",
                     "yes", "captured_at", "2026-11-22 14:30", "budget_amount", "1000.5", NULL);
    jose = shelf_put(s, "lead", "full_name", "José", "company", "ACME GmbH", "score", "8", "status", "won", "converted",
                     "yes", "captured_at", "2026-11-23 00:00", "street", "Main (rear) \"B\"", NULL);
    anna = shelf_put(s, "lead", "full_name", "anna", "company", "acme 100%_x", "converted", "no", "tags.vip", "no",
                     "#217", "42", NULL);
    odd = shelf_put(s, "lead", "full_name", "O'Brien; DROP TABLE record;--", "captured_at", "2026-11-21 23:59:59",
                    "score", "-3", NULL);
    lp_id gone = shelf_put(s, "lead", "full_name", "gone", "company", "acme", NULL);
    shelf_set(s, &gone, "deleted", "yes");
    char touched[LP_ID_TEXT_BYTES];
    lp_id_format(&wang, touched);
    shelf_put(s, "touch", "lead", touched, "text", "called", NULL);
    shelf_set_raw(s, &anna, 218, NULL, (span){(const uint8_t *)"\x2a", 1});
    shelf_sql(s, "UPDATE record SET unsent = 1 WHERE c_company = '华为'");
    return 0;
}

static int close_shelf(void **state) {
    (void)state;
    shelf_close(&fixture);
    return 0;
}

/* Letters of the leads found, w j a o, by name for readable expectations. */
static const char *found(const char *filter, char letters_out[16]) {
    lp_rows *rows;
    lp_error error = {0};
    lp_query query = {.filter = filter, .sort = "id"};
    if (query_list(fixture.r, &query, &rows, &error) != LP_OK)
        fail_msg("%s: %s", filter, error.message);
    const lp_id *ids[] = {&wang, &jose, &anna, &odd};
    uint32_t count = lp_rows_count(rows);
    for (uint32_t i = 0; i < count && i < 15; i++) {
        letters_out[i] = '?';
        for (int j = 0; j < 4; j++)
            if (id_equal(lp_record_id(lp_rows_at(rows, i)), ids[j]))
                letters_out[i] = "wjao"[j];
    }
    letters_out[count] = 0;
    lp_rows_free(rows);
    uint64_t counted;
    assert_int_equal(query_count(fixture.r, &query, &counted, NULL), LP_OK);
    assert_int_equal(counted, count);
    return letters_out;
}

static void finds(const char *filter, const char *expected) {
    char letters[16];
    if (strcmp(found(filter, letters), expected) != 0)
        fail_msg("%s found '%s', not '%s'", filter, letters, expected);
}

static void refuses(const char *filter, const char *part_of_message) {
    lp_rows *rows;
    lp_error error = {0};
    lp_query query = {.filter = filter};
    if (query_list(fixture.r, &query, &rows, &error) != LP_INVALID)
        fail_msg("'%s' was accepted or failed otherwise: %s", filter, error.message);
    assert_null(rows);
    if (!strstr(error.message, part_of_message))
        fail_msg("'%s' lacks '%s'", error.message, part_of_message);
}

static void no_filter_finds_all_that_is_not_deleted(void **state) {
    (void)state;
    finds(NULL, "wjao");
    finds("", "wjao");
    finds(" \t\n", "wjao");
}

static void text_is_equal_without_case_and_width_but_with_accents(void **state) {
    (void)state;
    finds("company=\"acme gmbh\"", "j");
    finds("company='ＡＣＭＥ ＧmbH'", "j");
    finds("full_name=JOSÉ", "j");
    finds("full_name=Jose\xcc\x81", "j");
    finds("full_name=jose", "");
    finds("status=won", "j");
    finds("status=Won", "");
    finds("status~WO", "j");
    finds("full_name=王伟", "");
    finds("full_name=王伟明", "w");
}

static void contains_takes_every_character_literally(void **state) {
    (void)state;
    finds("full_name~伟", "w");
    finds("company~acme", "ja");
    finds("company~%", "a");
    finds("company~_", "a");
    finds("company~*", "");
    finds("full_name~\"' or 1=1\"", "");
    finds("full_name~\"'\"", "o");
    finds("full_name~'DROP TABLE'", "o");
    finds("street~'(rear) \"b'", "j");
    finds("street~\"(rear) \\\"b\\\"\"", "j");
    finds("street~\\", "");
}

static void empty_and_not_empty_are_told_apart(void **state) {
    (void)state;
    finds("company=", "o");
    finds("company!=", "wja");
    finds("score=", "a");
    finds("street=\"\"", "wao");
    finds("tags=", "jo");
    finds("tags!=", "wa");
    finds("tags.vip=", "jo");
    finds("company= score!=", "o");
    finds("(company=)", "o");
    finds("company= and score!=", "o");
}

static void numbers_compare_as_numbers(void **state) {
    (void)state;
    finds("score=80", "w");
    finds("score=80.0", "w");
    finds("score=８０", "w");
    finds("score>8", "w");
    finds("score>=8", "wj");
    finds("score<9", "jo");
    finds("score <= -3", "o");
    finds("score!=8", "wao");
    finds("budget_amount>1000", "w");
    finds("budget_amount=1000.5", "w");
}

static void an_unticked_box_counts_as_no(void **state) {
    (void)state;
    finds("converted=yes", "j");
    finds("converted=否", "wao");
    finds("converted!=yes", "wao");
    finds("converted!=no", "j");
    finds("tags.vip=yes", "w");
    finds("tags.vip=no", "jao");
    finds("tags.other=yes", "");
    finds("tags.VIP=yes", "");
    finds("unsent=yes", "w");
    finds("deleted=no", "wjao");
}

static void a_time_names_a_whole_day_or_minute(void **state) {
    (void)state;
    finds("captured_at=2026-11-22", "w");
    finds("captured_at!=2026-11-22", "jao");
    finds("captured_at>2026-11-22", "j");
    finds("captured_at>=2026-11-22", "wj");
    finds("captured_at<2026-11-22", "o");
    finds("captured_at<=2026-11-22", "wo");
    finds("captured_at='2026-11-22 14:30'", "w");
    finds("captured_at=2026-11-22T06:30:00Z", "w");
    finds("captured_at>2026-11-22T06:30:00Z", "j");
    finds("updated>2000-01-01", "wjao");
    finds("updated<2000-01-01", "");
}

static void ids_and_unknown_fields_can_be_asked_for(void **state) {
    (void)state;
    char text[64], id[LP_ID_TEXT_BYTES];
    lp_id_format(&jose, id);
    snprintf(text, sizeof text, "id=%s", id);
    finds(text, "j");
    snprintf(text, sizeof text, "id!=%s", id);
    finds(text, "wao");
    finds("#217=42", "a");
    finds("#218=42", "a");
    finds("#217~4", "a");
    finds("#217!=42", "wjo");
    finds("#9999=", "wjao");
    finds("#217.key=", "wjao");
}

static void and_binds_tighter_than_or_and_not_tightest(void **state) {
    (void)state;
    finds("score>=8 status=new", "w");
    finds("score>=8 and status=new", "w");
    finds("status=new or status=won company~acme", "wj");
    finds("(status=new or status=won) company~acme", "j");
    finds("not status=new", "jao");
    finds("not status=new and score!=", "jo");
    finds("not (status=new or score=)", "jo");
    finds("NOT not status=new", "w");
    finds("not score>8", "jao");
    finds("status=new OR status=won", "wj");
    finds("score = 8 or score = 80", "wj");
    finds("((((score=8))))", "j");
    finds("company = or score=8", "jo");
}

static void keywords_in_quotes_or_words_are_text(void **state) {
    (void)state;
    finds("full_name=\"or\"", "");
    finds("full_name=order", "");
    finds("full_name~and", "");
    finds("\"full_name\"=anna", "a");
    finds("'tags.vip'=yes", "w");
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    refuses("compny=x", "did you mean company?");
    refuses("company", "one of = !=");
    refuses("company x", "one of = !=");
    refuses("=x", "field's name before '=x'");
    refuses("company=\"x", "closing quote");
    refuses("company=\"x\"y", "space after the closing quote");
    refuses("(company=x", "closing parenthesis");
    refuses("company=x)", "too many");
    refuses("()", "needs a term");
    refuses("not", "needs a term");
    refuses("and", "needs a term");
    refuses("company=x or", "needs a term");
    refuses("company=x and and company=y", "needs a term");
    refuses("score=many", "score is compared with a number, not 'many'");
    refuses("score~8", "not text");
    refuses("score<", "value is missing");
    refuses("converted=maybe", "yes or no");
    refuses("converted>no", "no order");
    refuses("captured_at>soon", "a time");
    refuses("id=7", "an id");
    refuses("tags=vip", "tags needs a key, such as tags.name");
    refuses("#217>4", "no order");
    refuses("company=\xff", "UTF-8");
    refuses("company!x", "one of = !=");
    refuses("nul\x01=x", "no field");
}

static void hostile_sizes_are_refused_not_crashed_on(void **state) {
    (void)state;
    enum { SIZE = 40000 };
    char *text = malloc(SIZE + 1);
    memset(text, '(', SIZE);
    text[SIZE] = 0;
    refuses(text, "nested deeper");
    for (size_t i = 0; i < SIZE; i += 4)
        memcpy(text + i, "not ", 4);
    refuses(text, "nested deeper");
    for (size_t i = 0; i < SIZE; i += 8)
        memcpy(text + i, "company=", 8);
    finds(text, "");
    for (size_t i = 0; i < SIZE; i += 10)
        memcpy(text + i, "company=  ", 10);
    refuses(text, "more than");
    memset(text, 'x', SIZE);
    refuses(text, "one of");
    memcpy(text, "company=", 8);
    finds(text, "");
    memcpy(text, "company~", 8);
    finds(text, "");
    free(text);
}

static void the_longest_allowed_filter_runs(void **state) {
    (void)state;
    char text[8192] = "score=8";
    for (int i = 1; i < 200; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " or company=\"c%d\"", i);
    finds(text, "j");
}

static void random_filters_are_answered_or_refused_with_a_sentence(void **state) {
    (void)state;
    static const char *const parts[] = {"company",    "score", "tags.vip", "=",  "!=", "<",    ">=",      "~",
                                        " ",          "(",     ")",        "\"", "'",  "and",  "or",      "not ",
                                        "80",         "x",     "伟",       "\\", "id", "#217", "updated", "unsent",
                                        "2026-11-22", "%",     "--",       ";",  "?1", "NULL", "#",       "."};
    prop p = prop_begin("filters");
    for (uint32_t i = 0; i < prop_rounds(3000); i++) {
        prop_round(&p, i);
        char text[512] = "";
        for (uint64_t n = prop_below(&p, 12); n > 0; n--)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s",
                     parts[prop_below(&p, sizeof parts / sizeof parts[0])]);
        lp_error error = {0};
        uint64_t count;
        lp_query query = {.filter = text};
        lp_err code = query_count(fixture.r, &query, &count, &error);
        assert_true(prop_holds(&p, code == LP_OK || (code == LP_INVALID && error.message[0]), text));
    }
}

static void the_help_names_every_operator(void **state) {
    (void)state;
    const char *operators[] = {"=", "!=", "<", "<=", ">", ">=", "~", "and", "or", "not"};
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        assert_non_null(strstr(lp_filter_help(), operators[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_filter_finds_all_that_is_not_deleted),
        cmocka_unit_test(text_is_equal_without_case_and_width_but_with_accents),
        cmocka_unit_test(contains_takes_every_character_literally),
        cmocka_unit_test(empty_and_not_empty_are_told_apart),
        cmocka_unit_test(numbers_compare_as_numbers),
        cmocka_unit_test(an_unticked_box_counts_as_no),
        cmocka_unit_test(a_time_names_a_whole_day_or_minute),
        cmocka_unit_test(ids_and_unknown_fields_can_be_asked_for),
        cmocka_unit_test(and_binds_tighter_than_or_and_not_tightest),
        cmocka_unit_test(keywords_in_quotes_or_words_are_text),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(hostile_sizes_are_refused_not_crashed_on),
        cmocka_unit_test(the_longest_allowed_filter_runs),
        cmocka_unit_test(random_filters_are_answered_or_refused_with_a_sentence),
        cmocka_unit_test(the_help_names_every_operator),
    };
    return cmocka_run_group_tests_name("filter", tests, open_shelf, close_shelf);
}
