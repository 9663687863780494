/* test_search.c - full-text search: who is found by what, and that what leaves is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/find/search.h"
#include "tests/support/shelf.h"

static shelf fixture;

static int open_shelf(void **state) {
    (void)state;
    shelf_open(&fixture);
    return 0;
}

static int close_shelf(void **state) {
    (void)state;
    shelf_close(&fixture);
    return 0;
}

static void finds(const char *text, const char *expected) {
    lp_rows *rows;
    lp_error error = {0};
    char names[512];
    if (search_run(fixture.r, text, 0, &rows, &error) != LP_OK)
        fail_msg("%s: %s", text, error.message);
    if (strcmp(shelf_values(rows, "full_name", names, sizeof names), expected) != 0)
        fail_msg("'%s' found '%s', not '%s'", text, names, expected);
}

static lp_id put_touch(const lp_id *lead, const char *text) {
    char id[LP_ID_TEXT_BYTES];
    lp_id_format(lead, id);
    return shelf_put(&fixture, "touch", "lead", id, "text", text, NULL);
}

static void chinese_is_found_by_any_characters_in_a_row(void **state) {
    (void)state;
    shelf_put(&fixture, "lead", "full_name", "王伟明", "company", "华为技术有限公司", NULL);
    finds("王伟", "王伟明");
    finds("伟明", "王伟明");
    finds("王伟明", "王伟明");
    finds("王", "王伟明");
    finds("伟", "王伟明");
    finds("明", "王伟明");
    finds("技术有限", "王伟明");
    finds("王明", "");
    finds("明伟", "");
    finds("王伟明王", "");
    finds("华为 王", "王伟明");
    finds("中兴 王", "");
}

static void case_accents_and_width_do_not_matter(void **state) {
    (void)state;
    shelf_put(&fixture, "lead", "full_name", "José", NULL);
    const char *same[] = {"José", "jose", "JOSE", "ＪＯＳＥ", "Jose\xcc\x81", "ｊｏｓｅ", "jos", "JOSÉ"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        finds(same[i], "José");
    finds("ose", "");
    shelf_put(&fixture, "lead", "full_name", "ANGELO", NULL);
    finds("ángel", "ANGELO");
}

static void numbers_and_addresses_are_found_by_their_parts(void **state) {
    (void)state;
    shelf_put(&fixture, "lead", "full_name", "A", "phone", "+86 138-0013-8000", "email", "li.wei@example.com", NULL);
    const char *same[] = {
        "13800138000",     "138-0013-8000",      "138 0013", "8000",    "8613800138000", "+8613800138000", "1380013",
        "008613800138000", "li.wei@example.com", "wei",      "example", "LI.WEI@",       "(138) 0013 8000"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        finds(same[i], "A");
    finds("13800138001", "");
    shelf_put(&fixture, "lead", "full_name", "B", "mobile", "+8613900139000", NULL);
    finds("13900139000", "B");
    finds("139-0013-9000", "B");
    finds("0086 139 0013 9000", "B");
    shelf_put(&fixture, "lead", "full_name", "C", "mobile", "13700137000", NULL);
    finds("+86 137 0013 7000", "C");
}

static void map_fields_are_found_in_every_key(void **state) {
    (void)state;
    shelf_put(&fixture, "lead", "full_name", "A", "social.wechat", "weixin_li", "social.x", "lili99", NULL);
    finds("weixin", "A");
    finds("lili99", "A");
    finds("wechat", "");
}

static void fields_without_search_are_not_found(void **state) {
    (void)state;
    shelf_put(&fixture, "lead", "full_name", "A", "need", "forklift", "notes", "crane", NULL);
    finds("forklift", "");
    finds("crane", "A");
}

static void names_come_before_notes(void **state) {
    (void)state;
    shelf_put(&fixture, "lead", "full_name", "Name Zhang", NULL);
    for (int i = 0; i < 20; i++)
        shelf_put(&fixture, "lead", "full_name", "Filler", "company", "Other", NULL);
    shelf_put(&fixture, "lead", "full_name", "Note", "notes", "met with zhang", NULL);
    finds("zhang", "Name Zhang,Note");
}

static void a_whole_word_comes_before_a_longer_one(void **state) {
    (void)state;
    shelf_put(&fixture, "lead", "full_name", "Li", NULL);
    shelf_put(&fixture, "lead", "full_name", "Lisa", NULL);
    for (int i = 0; i < 20; i++)
        shelf_put(&fixture, "lead", "full_name", "Filler", NULL);
    finds("li", "Li,Lisa");
}

static void a_touch_finds_its_lead_once(void **state) {
    (void)state;
    lp_id a = shelf_put(&fixture, "lead", "full_name", "A", "notes", "excavator", NULL);
    lp_id b = shelf_put(&fixture, "lead", "full_name", "B", NULL);
    put_touch(&a, "wants an excavator");
    put_touch(&a, "excavator again");
    lp_id touch = put_touch(&b, "asked about cranes");
    finds("excavator", "A");
    finds("cranes", "B");
    shelf_set(&fixture, &touch, "deleted", "yes");
    finds("cranes", "");
    shelf_set(&fixture, &touch, "deleted", "no");
    finds("cranes", "B");
    shelf_set(&fixture, &b, "deleted", "yes");
    finds("cranes", "");
    put_touch(&(lp_id){{9}}, "lead elsewhere");
    finds("elsewhere", "");
}

static void changes_and_deletions_move_the_index(void **state) {
    (void)state;
    lp_id a = shelf_put(&fixture, "lead", "full_name", "Alpha", NULL);
    finds("alpha", "Alpha");
    shelf_set(&fixture, &a, "full_name", "Beta");
    finds("alpha", "");
    finds("beta", "Beta");
    shelf_set(&fixture, &a, "deleted", "yes");
    finds("beta", "");
    shelf_set(&fixture, &a, "deleted", "no");
    finds("beta", "Beta");
    shelf_set(&fixture, &a, "full_name", "");
    finds("beta", "");
    shelf_sql(&fixture, "INSERT INTO lead_text(lead_text) VALUES('integrity-check')");
}

static void catching_up_can_be_taken_in_steps(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++)
        shelf_put(&fixture, "lead", "full_name", "Li", NULL);
    bool done;
    assert_int_equal(search_catch_up(fixture.r, 2, &done, NULL), LP_OK);
    assert_false(done);
    assert_int_equal(search_catch_up(fixture.r, 2, &done, NULL), LP_OK);
    assert_false(done);
    assert_int_equal(search_catch_up(fixture.r, 2, &done, NULL), LP_OK);
    assert_true(done);
    assert_int_equal(search_catch_up(fixture.r, 2, &done, NULL), LP_OK);
    assert_true(done);
    lp_rows *rows;
    assert_int_equal(search_run(fixture.r, "li", 3, &rows, NULL), LP_OK);
    assert_int_equal(lp_rows_count(rows), 3);
    lp_rows_free(rows);
}

static void hostile_texts_find_nothing_and_break_nothing(void **state) {
    (void)state;
    shelf_put(&fixture, "lead", "full_name", "Anna", NULL);
    const char *hostile[] = {
        "\"", "\"\"", "*",    "anna\" OR \"x",           "NEAR(anna)", "-anna x",        "names:anna", "^anna*x", "()",
        "'",  "%",    "_nna", "anna; DROP TABLE record", "\\",         "{names} : anna", "+",          ""};
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
        finds(hostile[i], "");
    finds("\"anna\"", "Anna");
    finds("^anna", "Anna");
    lp_rows *rows;
    lp_error error;
    assert_int_equal(search_run(fixture.r, "\xff", 0, &rows, &error), LP_INVALID);
    assert_null(rows);
    char *text = malloc(30001);
    for (size_t i = 0; i < 30000; i += 3)
        memcpy(text + i, "王", 3);
    text[30000] = 0;
    finds(text, "");
    memset(text, 'a', 30000);
    finds(text, "");
    for (size_t i = 1; i < 30000; i += 2)
        text[i] = ' ';
    finds(text, "Anna");
    free(text);
}

static void a_damaged_record_does_not_hide_the_others(void **state) {
    (void)state;
    lp_id a = shelf_put(&fixture, "lead", "full_name", "Anna", NULL);
    shelf_put(&fixture, "lead", "full_name", "Annabel", NULL);
    (void)a;
    shelf_sql(&fixture, "UPDATE record SET body = x'ff' WHERE c_full_name = 'anna'");
    finds("anna", "Annabel");
}

/* ---- what left is gone ---- */

static bool file_holds(const char *path, const char *needle) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    buf bytes = {0};
    uint8_t chunk[4096];
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;)
        buf_append(&bytes, chunk, got);
    fclose(file);
    bool holds = false;
    for (size_t i = 0; i + strlen(needle) <= bytes.size && !holds; i++)
        holds = memcmp(bytes.data + i, needle, strlen(needle)) == 0;
    buf_fini(&bytes);
    return holds;
}

static bool replica_holds(const char *needle) {
    char wal[128];
    shelf_sql(&fixture, "PRAGMA wal_checkpoint(TRUNCATE)");
    snprintf(wal, sizeof wal, "%s-wal", fixture.path);
    return file_holds(fixture.path, needle) || file_holds(wal, needle);
}

/* More than one page of index, so that the words to forget lie among others in merged segments. */
static void fill(void) {
    char name[32];
    bool done;
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "person%d zz%dyy", i, i * 7919);
        shelf_put(&fixture, "lead", "full_name", name, NULL);
    }
    assert_int_equal(search_catch_up(fixture.r, 0, &done, NULL), LP_OK);
}

static void an_evicted_record_leaves_no_byte_after_catching_up(void **state) {
    (void)state;
    lp_id a = shelf_put(&fixture, "lead", "full_name", "Qwertzuiop", "notes", "secretword", NULL);
    fill();
    finds("secretword", "Qwertzuiop");
    assert_true(replica_holds("secretword"));
    shelf_evict(&fixture, &a);
    finds("secretword", "");
    assert_false(replica_holds("secretword"));
    assert_false(replica_holds("qwertzuiop"));
    assert_false(replica_holds("Qwertzuiop"));
    finds("person299", "person299 zz2367781yy");
    shelf_sql(&fixture, "INSERT INTO lead_text(lead_text) VALUES('integrity-check')");
}

static void a_forgotten_record_leaves_no_byte_after_scrubbing(void **state) {
    (void)state;
    lp_id a = shelf_put(&fixture, "lead", "full_name", "Qwertzuiop", "notes", "secretword", NULL);
    fill();
    int64_t rid = shelf_rid(&fixture, &a);
    assert_int_equal(replica_begin(fixture.r, NULL), LP_OK);
    assert_int_equal(search_forget(fixture.r, rid, NULL), LP_OK);
    assert_int_equal(search_forget(fixture.r, rid, NULL), LP_OK);
    assert_int_equal(search_scrub(fixture.r, NULL), LP_OK);
    shelf_sql(&fixture, "DELETE FROM record WHERE c_full_name = 'qwertzuiop'");
    assert_int_equal(replica_commit(fixture.r, NULL), LP_OK);
    assert_false(replica_holds("secretword"));
    finds("secretword", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(chinese_is_found_by_any_characters_in_a_row, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(case_accents_and_width_do_not_matter, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(numbers_and_addresses_are_found_by_their_parts, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(map_fields_are_found_in_every_key, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(fields_without_search_are_not_found, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(names_come_before_notes, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(a_whole_word_comes_before_a_longer_one, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(a_touch_finds_its_lead_once, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(changes_and_deletions_move_the_index, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(catching_up_can_be_taken_in_steps, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(hostile_texts_find_nothing_and_break_nothing, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(a_damaged_record_does_not_hide_the_others, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(an_evicted_record_leaves_no_byte_after_catching_up, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(a_forgotten_record_leaves_no_byte_after_scrubbing, open_shelf, close_shelf),
    };
    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
