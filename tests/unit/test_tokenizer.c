/* test_tokenizer.c - runs of folded text, and what the index and its queries make of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client/find/fold.h"
#include "client/find/match.h"
#include "client/find/tokenizer.h"
#include "tests/support/prop.h"

/* "jose|王伟": the runs of a text, CJK ones in brackets. */
static void runs_are(const char *text, const char *expected) {
    buf folded = {0}, runs = {0};
    fold_text(span_text(text), FOLD_DROP_ACCENTS, &folded);
    span rest = buf_span(&folded);
    run next;
    while (tokenizer_next_run(&rest, &next)) {
        if (runs.size)
            buf_append_byte(&runs, '|');
        if (next.kind == RUN_CJK)
            buf_append_byte(&runs, '[');
        buf_append_span(&runs, next.text);
        if (next.kind == RUN_CJK)
            buf_append_byte(&runs, ']');
    }
    buf_append_byte(&runs, 0);
    assert_string_equal(runs.data, expected);
    buf_fini(&folded);
    buf_fini(&runs);
}

static void text_is_cut_at_what_is_neither_letter_nor_digit(void **state) {
    (void)state;
    runs_are("José García-Márquez", "jose|garcia|marquez");
    runs_are("li.wei@example.com", "li|wei|example|com");
    runs_are("+86 (138) 0013-8000", "86|138|0013|8000");
    runs_are("", "");
    runs_are(" ,.;'\"*-()^~%_ ", "");
    runs_are("C++", "c");
    runs_are("a\xef\xbc\x8c"
             "b",
             "a|b");
    runs_are("Привет мир", "привет|мир");
    runs_are("हिन्दी", "हिन्दी");
}

static void cjk_runs_are_told_from_words_beside_them(void **state) {
    (void)state;
    runs_are("王伟明", "[王伟明]");
    runs_are("张伟David", "[张伟]|david");
    runs_are("华为2012实验室", "[华为]|2012|[实验室]");
    runs_are("上海（中国）", "[上海]|[中国]");
    runs_are("ジョン・スミス", "[ジョン]|[スミス]");
    runs_are("人々", "[人々]");
    runs_are("ｶﾞﾝﾀﾞﾑ", "[ガンダム]");
    runs_are("김민준", "[김민준]");
    runs_are("𠮷野家", "[𠮷野家]");
}

static void damaged_utf8_is_cut_not_read_past(void **state) {
    (void)state;
    runs_are("a\xff"
             "b\xe7\x8e",
             "a|b");
}

static void runs_cover_every_letter_of_any_text(void **state) {
    (void)state;
    prop p = prop_begin("runs");
    for (uint32_t i = 0; i < prop_rounds(500); i++) {
        prop_round(&p, i);
        buf text = {0}, folded = {0};
        prop_text(&p, &text, 200);
        fold_text(buf_span(&text), FOLD_DROP_ACCENTS, &folded);
        span rest = buf_span(&folded);
        const uint8_t *reached = rest.data;
        run next;
        while (tokenizer_next_run(&rest, &next)) {
            span chars = next.text;
            uint32_t count = 0;
            for (; chars.size; count++)
                fold_take_char(&chars);
            assert_true(prop_holds(&p, next.text.size > 0 && next.text.data >= reached, "runs move on"));
            assert_true(prop_holds(&p, count == next.chars, "a run counts its characters"));
            reached = next.text.data + next.text.size;
        }
        assert_true(prop_holds(&p, rest.size == 0, "the whole text is read"));
        buf_fini(&text);
        buf_fini(&folded);
    }
}

/* ---- queries ---- */

static void expression_is(const char *text, const char *expected) {
    buf expression = {0};
    match_expression(span_text(text), &expression);
    buf_append_byte(&expression, 0);
    assert_string_equal(expression.data, expected);
    buf_fini(&expression);
}

static void every_word_is_quoted_and_latin_is_asked_by_its_beginning(void **state) {
    (void)state;
    expression_is("JOSE", "(\"jose\" OR \"jose\"*)");
    expression_is("王伟 acme", "\"王伟\" AND (\"acme\" OR \"acme\"*)");
    expression_is("王", "\"王\"*");
    expression_is("", "");
    expression_is("***", "");
}

static void operators_of_fts5_do_not_get_in(void **state) {
    (void)state;
    expression_is("a\" OR \"b", "(\"a\" OR \"a\"*) AND (\"or\" OR \"or\"*) AND (\"b\" OR \"b\"*)");
    expression_is("NEAR(a b, 3) -c names:x ^y",
                  "(\"near\" OR \"near\"*) AND (\"a\" OR \"a\"*) AND (\"b\" OR \"b\"*) AND (\"3\" OR \"3\"*) AND "
                  "(\"c\" OR \"c\"*) AND (\"names\" OR \"names\"*) AND (\"x\" OR \"x\"*) AND (\"y\" OR \"y\"*)");
}

static void a_dialled_number_is_asked_for_joined_too(void **state) {
    (void)state;
    expression_is("138-0013-8000", "(\"138\" OR \"138\"*) AND (\"0013\" OR \"0013\"*) AND (\"8000\" OR \"8000\"*) OR "
                                   "\"13800138000\"* OR \"00138000\"*");
    expression_is("8000", "(\"8000\" OR \"8000\"*)");
}

static void a_long_query_is_cut_not_refused(void **state) {
    (void)state;
    char text[4001];
    for (size_t i = 0; i < 4000; i += 2)
        memcpy(text + i, "a ", 2);
    text[4000] = 0;
    buf expression = {0};
    match_expression(span_text(text), &expression);
    assert_true(expression.size < 2000);
    buf_fini(&expression);
}

/* ---- the tokenizer in SQLite ---- */

typedef struct index_fixture {
    sqlite3 *db;
} index_fixture;

static int open_index(void **state) {
    static index_fixture fixture;
    *state = &fixture;
    assert_int_equal(sqlite3_open(":memory:", &fixture.db), SQLITE_OK);
    assert_int_equal(tokenizer_register(fixture.db, NULL), LP_OK);
    assert_int_equal(sqlite3_exec(fixture.db,
                                  "CREATE VIRTUAL TABLE t USING fts5(x, tokenize = 'leadpool');"
                                  "CREATE VIRTUAL TABLE v USING fts5vocab(t, instance);",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    return 0;
}

static int close_index(void **state) {
    index_fixture *fixture = *state;
    sqlite3_close(fixture->db);
    return 0;
}

/* What the first column of the first row of a statement with one text parameter says; "" if there is no row. */
static char *ask(sqlite3 *db, const char *sql, const char *text, size_t size) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_text(statement, 1, text, (int)size, SQLITE_STATIC);
    int step = sqlite3_step(statement);
    assert_true(step == SQLITE_ROW || step == SQLITE_DONE);
    const char *answer = step == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : "";
    char *kept = strdup(answer ? answer : "");
    sqlite3_finalize(statement);
    return kept;
}

static void tokens_are(void **state, const char *text, size_t size, const char *expected) {
    index_fixture *fixture = *state;
    free(ask(fixture->db, "INSERT INTO t(rowid, x) VALUES(1, ?1)", text, size));
    char *tokens = ask(fixture->db, "SELECT group_concat(term, ' ') FROM (SELECT term FROM v ORDER BY offset)", "", 0);
    assert_string_equal(tokens, expected);
    free(tokens);
    free(ask(fixture->db, "DELETE FROM t", "", 0));
}

static void an_indexed_run_gives_pairs_and_its_last_character(void **state) {
    tokens_are(state, "王伟明", strlen("王伟明"), "王伟 伟明 明");
    tokens_are(state, "王", strlen("王"), "王");
    tokens_are(state, "王伟 José", strlen("王伟 José"), "王伟 伟 jose");
    tokens_are(state, "𠮷野", strlen("𠮷野"), "𠮷野 野");
}

static void nul_and_bad_bytes_in_text_end_words_only(void **state) {
    tokens_are(state, "a\0b", 3, "a b");
    tokens_are(state,
               "a\xff"
               "b",
               3, "a b");
    tokens_are(state, "", 0, "");
}

static void a_word_of_10000_letters_is_cut_alike_in_index_and_query(void **state) {
    index_fixture *fixture = *state;
    enum { LETTERS = 10000 };
    char *text = malloc(2 * LETTERS + 1);
    for (size_t i = 0; i < LETTERS; i++)
        memcpy(text + 2 * i, "д", 2);
    text[2 * LETTERS] = 0;
    free(ask(fixture->db, "INSERT INTO t(rowid, x) VALUES(1, ?1)", text, 2 * LETTERS));
    buf expression = {0};
    match_expression(span_text(text), &expression);
    char *found = ask(fixture->db, "SELECT count(*) FROM t WHERE t MATCH ?1", (char *)expression.data, expression.size);
    assert_string_equal(found, "1");
    free(found);
    found = ask(fixture->db, "SELECT max(length(CAST(term AS BLOB))) FROM v", "", 0);
    assert_int_equal(atoi(found), TOKEN_BYTES_MAX);
    free(found);
    buf_fini(&expression);
    free(text);
}

static void no_text_makes_an_expression_that_sqlite_refuses(void **state) {
    index_fixture *fixture = *state;
    prop p = prop_begin("expressions");
    for (uint32_t i = 0; i < prop_rounds(500); i++) {
        prop_round(&p, i);
        buf text = {0}, expression = {0};
        prop_text(&p, &text, 100);
        match_expression(buf_span(&text), &expression);
        if (expression.size) {
            free(ask(fixture->db, "INSERT INTO t(rowid, x) VALUES(1, ?1)", (char *)text.data, text.size));
            char *found =
                ask(fixture->db, "SELECT count(*) FROM t WHERE t MATCH ?1", (char *)expression.data, expression.size);
            assert_true(prop_holds(&p, strcmp(found, "1") == 0, "a text is found by itself"));
            free(found);
            free(ask(fixture->db, "DELETE FROM t", "", 0));
        }
        buf_fini(&text);
        buf_fini(&expression);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_cut_at_what_is_neither_letter_nor_digit),
        cmocka_unit_test(cjk_runs_are_told_from_words_beside_them),
        cmocka_unit_test(damaged_utf8_is_cut_not_read_past),
        cmocka_unit_test(runs_cover_every_letter_of_any_text),
        cmocka_unit_test(every_word_is_quoted_and_latin_is_asked_by_its_beginning),
        cmocka_unit_test(operators_of_fts5_do_not_get_in),
        cmocka_unit_test(a_dialled_number_is_asked_for_joined_too),
        cmocka_unit_test(a_long_query_is_cut_not_refused),
        cmocka_unit_test_setup_teardown(an_indexed_run_gives_pairs_and_its_last_character, open_index, close_index),
        cmocka_unit_test_setup_teardown(nul_and_bad_bytes_in_text_end_words_only, open_index, close_index),
        cmocka_unit_test_setup_teardown(a_word_of_10000_letters_is_cut_alike_in_index_and_query, open_index,
                                        close_index),
        cmocka_unit_test_setup_teardown(no_text_makes_an_expression_that_sqlite_refuses, open_index, close_index),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
