/* test_query.c - lists with order and pages, single records, authors, history, refused changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client/replica/author.h"
#include "client/replica/history.h"
#include "client/find/query.h"
#include "proto/change.h"
#include "proto/schema.h"
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

static void lists(const lp_query *query, const char *expected) {
    lp_rows *rows;
    lp_error error = {0};
    char names[256];
    if (query_list(fixture.r, query, &rows, &error) != LP_OK)
        fail_msg("%s", error.message);
    assert_string_equal(shelf_values(rows, "full_name", names, sizeof names), expected);
}

static void refuses(const lp_query *query, const char *part_of_message) {
    lp_rows *rows;
    lp_error error = {0};
    assert_int_equal(query_list(fixture.r, query, &rows, &error), LP_INVALID);
    assert_null(rows);
    if (!strstr(error.message, part_of_message))
        fail_msg("'%s' lacks '%s'", error.message, part_of_message);
}

static void put_four(void) {
    shelf_put(&fixture, "lead", "full_name", "b", "score", "5", "tags.x", "yes", NULL);
    shelf_put(&fixture, "lead", "full_name", "A", "score", "5", NULL);
    shelf_put(&fixture, "lead", "full_name", "c", NULL);
    shelf_put(&fixture, "lead", "full_name", "D", "score", "40", "job_title", "CEO", NULL);
}

static void the_newest_come_first_unless_sorted(void **state) {
    (void)state;
    put_four();
    lists(&(lp_query){0}, "D,c,A,b");
    lists(&(lp_query){.sort = ""}, "D,c,A,b");
    lists(&(lp_query){.sort = "full_name"}, "A,b,c,D");
    lists(&(lp_query){.sort = "-full_name"}, "D,c,b,A");
    lists(&(lp_query){.sort = "updated"}, "b,A,c,D");
    lists(&(lp_query){.sort = "-id"}, "D,c,A,b");
}

static void ties_are_broken_by_id_and_empty_comes_last(void **state) {
    (void)state;
    put_four();
    lists(&(lp_query){.sort = "score"}, "b,A,D,c");
    lists(&(lp_query){.sort = "-score"}, "D,b,A,c");
    lists(&(lp_query){.sort = "-score, full_name"}, "D,A,b,c");
    lists(&(lp_query){.sort = " -score , -full_name "}, "D,b,A,c");
    lists(&(lp_query){.sort = "tags.x"}, "b,A,c,D");
    lists(&(lp_query){.sort = "job_title"}, "D,b,A,c");
    lists(&(lp_query){.sort = "#300"}, "b,A,c,D");
}

static void pages_do_not_overlap_and_end(void **state) {
    (void)state;
    put_four();
    lists(&(lp_query){.sort = "score", .limit = 3}, "b,A,D");
    lists(&(lp_query){.sort = "score", .limit = 3, .offset = 3}, "c");
    lists(&(lp_query){.sort = "score", .limit = 3, .offset = 6}, "");
    lists(&(lp_query){.sort = "score", .offset = 1}, "A,D,c");
    lists(&(lp_query){.limit = UINT32_MAX, .offset = UINT32_MAX}, "");
    uint64_t count;
    assert_int_equal(query_count(fixture.r, &(lp_query){.limit = 1, .offset = 2}, &count, NULL), LP_OK);
    assert_int_equal(count, 4);
}

static void sorts_that_name_nothing_are_refused(void **state) {
    (void)state;
    refuses(&(lp_query){.sort = "scor"}, "did you mean score?");
    refuses(&(lp_query){.sort = "score,"}, "empty field name");
    refuses(&(lp_query){.sort = ",score"}, "empty field name");
    refuses(&(lp_query){.sort = "-"}, "empty");
    refuses(&(lp_query){.sort = "tags"}, "needs a key");
    refuses(&(lp_query){.sort = "score; DROP TABLE record"}, "no field");
    refuses(&(lp_query){.sort = "score DESC"}, "no field");
}

static void kinds_and_deleted_ones_are_chosen(void **state) {
    (void)state;
    put_four();
    lp_id gone = shelf_put(&fixture, "lead", "full_name", "gone", NULL);
    shelf_set(&fixture, &gone, "deleted", "yes");
    shelf_put(&fixture, "touch", "text", "hello", NULL);
    lists(&(lp_query){.sort = "full_name"}, "A,b,c,D");
    lists(&(lp_query){.sort = "full_name", .deleted = true}, "A,b,c,D,gone");
    lists(&(lp_query){.filter = "deleted=yes", .deleted = true}, "gone");
    lists(&(lp_query){.kind = "touch", .filter = "text=hello"}, "-");
    lists(&(lp_query){.kind = "#2"}, "-");
    lists(&(lp_query){.kind = "#999"}, "");
    refuses(&(lp_query){.kind = "leed"}, "'leed'");
    refuses(&(lp_query){.kind = ""}, "kind");
    refuses(&(lp_query){.kind = "#0"}, "kind");
    refuses(&(lp_query){.kind = "#70000"}, "kind");
    refuses(&(lp_query){.kind = "#2x"}, "kind");
    refuses(&(lp_query){.kind = "touch", .filter = "company=x"}, "company");
}

static void a_record_is_got_by_id_deleted_or_not(void **state) {
    (void)state;
    lp_id id = shelf_put(&fixture, "lead", "full_name", "李雷", NULL);
    shelf_set(&fixture, &id, "deleted", "yes");
    lp_record *row;
    lp_error error;
    assert_int_equal(query_get(fixture.r, &id, &row, &error), LP_OK);
    assert_string_equal(lp_record_value(row, "full_name").data, "李雷");
    assert_true(lp_record_deleted(row));
    lp_record_free(row);
    id.bytes[0] ^= 1;
    assert_int_equal(query_get(fixture.r, &id, &row, &error), LP_NOT_FOUND);
    assert_null(row);
    assert_non_null(strstr(error.message, "00000"));
}

static void a_damaged_record_is_reported_not_shown(void **state) {
    (void)state;
    lp_id id = shelf_put(&fixture, "lead", "full_name", "x", "job_title", "y", NULL);
    shelf_sql(&fixture, "UPDATE record SET stamps = x'05'");
    lp_record *row;
    lp_rows *rows;
    assert_int_equal(query_get(fixture.r, &id, &row, NULL), LP_CORRUPT);
    assert_int_equal(query_list(fixture.r, &(lp_query){.sort = "updated"}, &rows, NULL), LP_CORRUPT);
    assert_null(rows);
    shelf_sql(&fixture, "UPDATE record SET body = x'02d9ff41'");
    assert_int_equal(query_list(fixture.r, &(lp_query){.filter = "job_title=y"}, &rows, NULL), LP_OK);
    lp_rows_free(rows);
}

/* ---- authors ---- */

static void authors_are_named_by_person_and_device(void **state) {
    (void)state;
    char text[64], id[LP_ID_TEXT_BYTES];
    lp_id li = shelf_put(&fixture, "staff", "name", "李伟", NULL);
    lp_id_format(&li, id);
    shelf_put(&fixture, "device", "number", "17", "staff", id, "label", "iPad 3", NULL);
    shelf_put(&fixture, "device", "number", "18", "label", "Desk", NULL);
    shelf_put(&fixture, "device", "number", "19", NULL);
    author_name(fixture.r, 17, text, sizeof text);
    assert_string_equal(text, "李伟 (iPad 3)");
    author_name(fixture.r, 18, text, sizeof text);
    assert_string_equal(text, "Desk");
    author_name(fixture.r, 19, text, sizeof text);
    assert_string_equal(text, "device 19");
    author_name(fixture.r, UINT32_MAX, text, sizeof text);
    assert_string_equal(text, "device 4294967295");
    author_name(fixture.r, 17, text, 6);
    assert_string_equal(text, "李");
    author_name(fixture.r, 17, text, 1);
    assert_string_equal(text, "");
    author_name(fixture.r, 17, text, 0);
}

/* ---- history ---- */

#define AUTHOR_HERE 1
#define AUTHOR_OTHER 2

static void bind_stamp(sqlite3_stmt *statement, int parameter, int64_t ms, uint32_t author) {
    uint8_t packed[STAMP_BYTES];
    stamp_pack((stamp){(uint64_t)ms << 16, author}, packed);
    sqlite3_bind_blob(statement, parameter, packed, sizeof packed, SQLITE_TRANSIENT);
}

static void put_pairs(const char *sql, const lp_id *id, int64_t ms, uint32_t author, uint32_t field, const char *text) {
    sqlite3_stmt *statement;
    buf value = {0}, body = {0};
    wire_put_text(&value, span_text(text));
    change_pack(&body, field, (span){0}, buf_span(&value));
    if (sqlite3_prepare_v2(fixture.r->db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(fixture.r->db));
    sqlite3_bind_int64(statement, 1, shelf_rid(&fixture, id));
    bind_stamp(statement, 2, ms, author);
    sqlite3_bind_blob(statement, 3, body.data, (int)body.size, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    buf_fini(&value);
    buf_fini(&body);
}

static void put_outbox(const lp_id *id, int64_t ms, uint32_t field, const char *text) {
    put_pairs("INSERT INTO outbox(rid, stamp, base, seen, made_ms, boot, boot_ms, count, body) "
              "VALUES(?1, ?2, x'', 0, 0, 1, 0, 1, ?3)",
              id, ms, AUTHOR_HERE, field, text);
}

static void put_past(const lp_id *id, int64_t ms, uint32_t field, const char *text) {
    put_pairs("INSERT INTO past(rid, stamp, body) VALUES(?1, ?2, ?3)", id, ms, AUTHOR_OTHER, field, text);
}

static void put_refused(const lp_id *id, int64_t ms, uint32_t field, const char *key, const char *text,
                        const char *reason) {
    sqlite3_stmt *statement;
    buf value = {0};
    wire_put_text(&value, span_text(text));
    const char *sql =
        "INSERT INTO refused(rid, stamp, field, key, value, reason, at_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0)";
    assert_int_equal(sqlite3_prepare_v2(fixture.r->db, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_int64(statement, 1, shelf_rid(&fixture, id));
    bind_stamp(statement, 2, ms, AUTHOR_HERE);
    sqlite3_bind_int64(statement, 3, field);
    sqlite3_bind_text(statement, 4, key, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 5, value.data, (int)value.size, SQLITE_STATIC);
    sqlite3_bind_text(statement, 6, reason, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    buf_fini(&value);
}

static void is_change(const lp_log *log, uint32_t index, const char *field, const char *text, lp_change_state state,
                      const char *reason) {
    lp_change change;
    assert_int_equal(lp_log_at(log, index, &change), LP_OK);
    assert_string_equal(change.field, field);
    assert_string_equal(change.value.data, text);
    assert_int_equal(change.state, state);
    if (reason)
        assert_string_equal(change.reason, reason);
    else
        assert_null(change.reason);
}

static void history_merges_what_stands_was_replaced_and_was_refused(void **state) {
    (void)state;
    lp_id id = shelf_put(&fixture, "lead", "full_name", "Li", "company", "Acme", NULL);
    int64_t first = fixture.now_ms;
    shelf_set(&fixture, &id, "phone", "42");
    int64_t second = fixture.now_ms;
    put_outbox(&id, second, LEAD_PHONE, "42");
    put_outbox(&id, first - 1, LEAD_EMAIL, "overtaken@x");
    put_past(&id, first - 1, LEAD_EMAIL, "overtaken@x");
    put_past(&id, first - 2, LEAD_COMPANY, "Old");
    put_refused(&id, second + 5, LEAD_TAGS, "vip", "no", "not yours");
    lp_id other = shelf_put(&fixture, "lead", "full_name", "other", NULL);
    put_past(&other, 5, LEAD_COMPANY, "elsewhere");
    lp_log *log;
    lp_error error = {0};
    if (history_list(fixture.r, &id, &log, &error) != LP_OK)
        fail_msg("%s", error.message);
    assert_int_equal(lp_log_count(log), 7);
    is_change(log, 0, "company", "Old", LP_CHANGE_PAST, NULL);
    /* The same stamp by two authors: two changes. */
    is_change(log, 1, "email", "overtaken@x", LP_CHANGE_PAST, NULL);
    is_change(log, 2, "email", "overtaken@x", LP_CHANGE_PAST, NULL);
    is_change(log, 3, "full_name", "Li", LP_CHANGE_CURRENT, NULL);
    is_change(log, 4, "company", "Acme", LP_CHANGE_CURRENT, NULL);
    is_change(log, 5, "phone", "42", LP_CHANGE_UNSENT, NULL);
    is_change(log, 6, "tags.vip", "no", LP_CHANGE_REFUSED, "not yours");
    lp_change change;
    assert_int_equal(lp_log_at(log, 0, &change), LP_OK);
    assert_int_equal(change.author, AUTHOR_OTHER);
    assert_int_equal(change.at_ms, first - 2);
    assert_int_equal(lp_log_at(log, 7, &change), LP_INVALID);
    lp_log_free(log);
    lp_log_free(NULL);
}

static void a_change_in_two_tables_is_one_entry(void **state) {
    (void)state;
    lp_id id = shelf_put(&fixture, "lead", "full_name", "Li", NULL);
    put_outbox(&id, 1000, LEAD_EMAIL, "a@x");
    put_pairs("INSERT INTO past(rid, stamp, body) VALUES(?1, ?2, ?3)", &id, 1000, AUTHOR_HERE, LEAD_EMAIL, "a@x");
    put_refused(&id, 2000, LEAD_PHONE, "", "1", "why");
    put_pairs("INSERT INTO past(rid, stamp, body) VALUES(?1, ?2, ?3)", &id, 2000, AUTHOR_HERE, LEAD_PHONE, "1");
    lp_log *log;
    assert_int_equal(history_list(fixture.r, &id, &log, NULL), LP_OK);
    assert_int_equal(lp_log_count(log), 3);
    is_change(log, 0, "email", "a@x", LP_CHANGE_PAST, NULL);
    is_change(log, 1, "phone", "1", LP_CHANGE_REFUSED, "why");
    is_change(log, 2, "full_name", "Li", LP_CHANGE_CURRENT, NULL);
    lp_log_free(log);
}

static void history_of_nobody_or_of_damage_is_an_error(void **state) {
    (void)state;
    lp_log *log;
    lp_error error;
    assert_int_equal(history_list(fixture.r, &(lp_id){{1}}, &log, &error), LP_NOT_FOUND);
    assert_null(log);
    lp_id id = shelf_put(&fixture, "lead", "full_name", "Li", NULL);
    put_past(&id, 1000, LEAD_EMAIL, "a@x");
    shelf_sql(&fixture, "UPDATE past SET body = x'05d9ff'");
    assert_int_equal(history_list(fixture.r, &id, &log, &error), LP_CORRUPT);
    shelf_sql(&fixture, "UPDATE past SET stamp = x'05'");
    assert_int_equal(history_list(fixture.r, &id, &log, &error), LP_CORRUPT);
    assert_null(log);
}

static void refused_changes_are_one_row_per_record_newest_values_first(void **state) {
    (void)state;
    lp_id a = shelf_put(&fixture, "lead", "full_name", "A", NULL);
    lp_id b = shelf_put(&fixture, "lead", "full_name", "B", NULL);
    put_refused(&a, 1000, LEAD_COMPANY, "", "older", "x");
    put_refused(&a, 2000, LEAD_COMPANY, "", "newer", "x");
    put_refused(&b, 1000, LEAD_SOCIAL, "x", "@b", "x");
    put_refused(&a, 1500, LEAD_EMAIL, "", "a@x", "x");
    lp_rows *rows;
    assert_int_equal(query_refused(fixture.r, &rows, NULL), LP_OK);
    assert_int_equal(lp_rows_count(rows), 2);
    const lp_record *row_b = lp_rows_at(rows, 0), *row_a = lp_rows_at(rows, 1);
    assert_true(id_equal(lp_record_id(row_a), &a) && id_equal(lp_record_id(row_b), &b));
    assert_int_equal(lp_record_field_count(row_a), 2);
    assert_string_equal(lp_record_value(row_a, "company").data, "newer");
    assert_string_equal(lp_record_value(row_a, "email").data, "a@x");
    assert_string_equal(lp_record_value(row_b, "social.x").data, "@b");
    assert_null(lp_rows_at(rows, 2));
    lp_rows_free(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_come_first_unless_sorted, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(ties_are_broken_by_id_and_empty_comes_last, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(pages_do_not_overlap_and_end, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(sorts_that_name_nothing_are_refused, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(kinds_and_deleted_ones_are_chosen, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(a_record_is_got_by_id_deleted_or_not, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(a_damaged_record_is_reported_not_shown, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(authors_are_named_by_person_and_device, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(history_merges_what_stands_was_replaced_and_was_refused, open_shelf,
                                        close_shelf),
        cmocka_unit_test_setup_teardown(a_change_in_two_tables_is_one_entry, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(history_of_nobody_or_of_damage_is_an_error, open_shelf, close_shelf),
        cmocka_unit_test_setup_teardown(refused_changes_are_one_row_per_record_newest_values_first, open_shelf,
                                        close_shelf),
    };
    return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
