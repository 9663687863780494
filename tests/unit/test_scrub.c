/* test_scrub.c - what scrub_pages writes and what it leaves alone, on databases of SQLite's own making. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client/replica/scrub.h"
#include "proto/buf.h"
#include "tests/support/failing_disk.h"
#include "tests/support/prop.h"
#include "tests/support/store_kit.h"

#define ROWS 400
#define CANARY "canary"

typedef struct desk {
    kit_directory directory;
    char path[320];
    sqlite3 *db;
} desk;

static void run(sqlite3 *db, const char *sql) {
    char *message = NULL;
    int code = sqlite3_exec(db, sql, NULL, NULL, &message);
    if (code != SQLITE_OK)
        print_error("%s: %s\n", sql, message);
    sqlite3_free(message);
    assert_int_equal(code, SQLITE_OK);
}

static sqlite3 *connect(const desk *d) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(d->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL), SQLITE_OK);
    run(db, "PRAGMA secure_delete=ON; PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0");
    return db;
}

static void put(desk *d, prop *random, int rid, bool gone, size_t size) {
    sqlite3_stmt *s;
    char text[1200];
    snprintf(text, sizeof text, "%s %016llx %0*d", gone ? CANARY : "stays", (unsigned long long)prop_u64(random),
             (int)size, rid);
    assert_int_equal(sqlite3_prepare_v2(d->db, "INSERT OR REPLACE INTO t VALUES(?1, ?2, ?3)", -1, &s, NULL), SQLITE_OK);
    sqlite3_bind_int(s, 1, rid);
    sqlite3_bind_text(s, 2, text, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(s, 3, gone);
    assert_int_equal(sqlite3_step(s), SQLITE_DONE);
    sqlite3_finalize(s);
}

/* Rows that grow in any order, in a table and in an index: leaves and inner pages split. Every third is to go. `pragma`: of the new file. */
static void set_up(desk *d, prop *random, const char *pragma) {
    kit_directory_make(&d->directory);
    kit_path(&d->directory, "scrub.db", d->path);
    d->db = connect(d);
    run(d->db, pragma);
    run(d->db, "PRAGMA journal_mode=WAL");
    run(d->db, "CREATE TABLE t(rid INTEGER PRIMARY KEY, text TEXT, gone); CREATE INDEX t_text ON t(text); BEGIN");
    for (int i = 0; i < 3 * ROWS; i++) {
        int rid = (int)prop_below(random, ROWS);
        put(d, random, rid, rid % 3 == 0, (size_t)prop_below(random, 80 + (uint64_t)i / 2));
    }
    run(d->db, "COMMIT");
}

static void tear_down(desk *d) {
    sqlite3_close(d->db);
    kit_directory_remove(&d->directory);
}

static bool cut_log(sqlite3 *db) {
    return sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK;
}

static buf read_file(const desk *d, const char *suffix) {
    char path[400], block[4096];
    snprintf(path, sizeof path, "%s%s", d->path, suffix);
    FILE *f = fopen(path, "rb");
    buf all = {0};
    for (size_t got; f && (got = fread(block, 1, sizeof block, f)) > 0;)
        buf_append(&all, block, got);
    if (f)
        fclose(f);
    return all;
}

static uint32_t count_canaries(const desk *d, const char *suffix) {
    buf all = read_file(d, suffix);
    uint32_t count = 0;
    for (size_t i = 0; i + sizeof CANARY - 1 <= all.size; i++)
        count += memcmp(all.data + i, CANARY, sizeof CANARY - 1) == 0;
    buf_fini(&all);
    return count;
}

static int64_t number_of(sqlite3 *db, const char *sql) {
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

static void expect_sound(const desk *d) {
    assert_int_equal(number_of(d->db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}

/* The rest, as a number that any other row or text would change. */
static int64_t sum_of(const desk *d) {
    return number_of(d->db, "SELECT sum(rid * length(text) + unicode(substr(text, 7 + rid % 16))) + count(*) FROM t");
}

static void what_was_deleted_is_nowhere_and_the_rest_is_as_it_was(void **state) {
    static const char *const pragmas[] = {"PRAGMA page_size=512", "PRAGMA page_size=1024", "PRAGMA page_size=4096",
                                          "PRAGMA page_size=65536"};
    prop random = prop_begin("scrub");
    uint32_t left_by_sqlite = 0;
    (void)state;
    for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++) {
        desk d;
        set_up(&d, &random, pragmas[i]);
        run(d.db, "DELETE FROM t WHERE gone");
        assert_true(cut_log(d.db));
        left_by_sqlite += count_canaries(&d, "");
        int64_t sum = sum_of(&d);
        assert_true(scrub_pages(d.db));
        assert_int_equal(count_canaries(&d, ""), 0);
        assert_int_equal(sum_of(&d), sum);
        expect_sound(&d);
        tear_down(&d);
    }
    assert_true(left_by_sqlite > 0);
}

/* Both have pages with copies in their memory, and change them. */
static void what_a_connection_keeps_in_memory_does_not_bring_it_back(void **state) {
    prop random = prop_begin("scrub");
    desk d;
    (void)state;
    set_up(&d, &random, "PRAGMA page_size=4096");
    assert_true(cut_log(d.db));
    sqlite3 *other = connect(&d);
    run(d.db, "DELETE FROM t WHERE gone");
    assert_true(number_of(other, "SELECT sum(length(text)) FROM t") > 0);
    assert_true(cut_log(d.db));
    assert_true(number_of(other, "SELECT sum(length(text)) FROM t") > 0);
    assert_true(count_canaries(&d, "") > 0);
    assert_true(scrub_pages(d.db));
    run(d.db, "CREATE TABLE note(done)"); /* what was to be done is noted as done: a commit */
    run(d.db, "UPDATE t SET gone = 1");
    assert_int_equal(count_canaries(&d, "-wal"), 0);
    run(other, "UPDATE t SET gone = 2");
    assert_int_equal(count_canaries(&d, "-wal"), 0);
    assert_true(cut_log(other));
    assert_int_equal(count_canaries(&d, ""), 0);
    sqlite3_close(other);
    expect_sound(&d);
    tear_down(&d);
}

static void set_byte(const desk *d, size_t at, uint8_t value) {
    FILE *f = fopen(d->path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc(value, f), value);
    fclose(f);
}

static bool same_file(const desk *d, const buf *before) {
    buf now = read_file(d, "");
    bool same = span_equal(buf_span(&now), buf_span(before));
    buf_fini(&now);
    return same;
}

static size_t two_at(const buf *file, size_t at) {
    return (size_t)file->data[at] << 8 | file->data[at + 1];
}

/* ---- pages that look like others ---- */

/* Puts a byte into the middle of every page that has one, and counts the pages by their kind. */
static void soil(const desk *d, const buf *clean, size_t page_bytes, uint32_t *kinds) {
    for (size_t start = 0; start < clean->size; start += page_bytes) {
        size_t head = start ? start : 100;
        uint8_t kind = clean->data[head];
        size_t list_end = head - start + (kind < 10 ? 12 : 8) + 2 * two_at(clean, head + 3);
        size_t content = two_at(clean, head + 5) ? two_at(clean, head + 5) : 65536;
        if (kind == 0 || list_end >= content)
            continue;
        set_byte(d, start + list_end, 1);
        set_byte(d, start + content - 1, 1);
        kinds[kind]++;
    }
}

/* The first page begins behind the file's header; in a page of 65536 bytes that is empty the content begins at 0, which means its end. */
static void every_kind_of_page_has_a_middle_the_first_and_an_empty_one_too(void **state) {
    static const size_t page_bytes[] = {512, 65536};
    static const uint8_t kinds[] = {2, 5, 10, 13};
    prop random = prop_begin("scrub");
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        desk d;
        uint32_t counts[256] = {0};
        set_up(&d, &random, i ? "PRAGMA page_size=65536" : "PRAGMA page_size=512");
        run(d.db, "CREATE TABLE bare(x)");
        /* Pages that hold the rest of a long text look like no b-tree, and free ones are zeros. */
        run(d.db, "UPDATE t SET text = substr(text, 1, 60); VACUUM");
        assert_true(cut_log(d.db) && scrub_pages(d.db));
        buf clean = read_file(&d, "");
        soil(&d, &clean, page_bytes[i], counts);
        for (size_t k = 0; i == 0 && k < sizeof kinds; k++)
            assert_true(counts[kinds[k]] > 0);
        assert_false(same_file(&d, &clean));
        assert_true(scrub_pages(d.db));
        assert_true(same_file(&d, &clean));
        buf_fini(&clean);
        tear_down(&d);
    }
}

/* A leaf of the table that has an unused middle. All is clean but for a byte there, which a sound page would lose. */
static void a_page_whose_parts_do_not_add_up_stays_as_it_is(void **state) {
    static const struct {
        uint8_t from_head, value;
    } wrong[] = {
        {0, 12},   /* not a page of a b-tree */
        {5, 0xff}, /* the content begins behind the page */
        {5, 0x0f}, /* behind some cells */
        {5, 0},    /* inside of the list of cells */
        {1, 1},    /* a free block lies before it */
        {3, 0x7f}, /* more cells than there is room for */
        {8, 0},    /* a cell lies before it */
    };
    prop random = prop_begin("scrub");
    desk d;
    (void)state;
    set_up(&d, &random, "PRAGMA page_size=4096");
    assert_true(cut_log(d.db) && scrub_pages(d.db));
    buf clean = read_file(&d, "");
    size_t leaf = 0;
    while (clean.data[leaf] != 13 || two_at(&clean, leaf + 5) < 0x0200 || two_at(&clean, leaf + 5) > 0x0e00)
        leaf += 4096;
    size_t middle = leaf + two_at(&clean, leaf + 5) - 1;
    assert_true(middle > leaf + 8 + 2 * two_at(&clean, leaf + 3));
    set_byte(&d, middle, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        size_t at = leaf + wrong[i].from_head;
        set_byte(&d, at, wrong[i].value);
        buf damaged = read_file(&d, "");
        assert_true(scrub_pages(d.db));
        assert_true(same_file(&d, &damaged));
        buf_fini(&damaged);
        set_byte(&d, at, clean.data[at]);
    }
    assert_true(scrub_pages(d.db));
    assert_true(same_file(&d, &clean));
    buf_fini(&clean);
    tear_down(&d);
}

/* Pages of pointers may begin like those of a b-tree. */
static void a_file_with_pages_of_pointers_is_left_alone(void **state) {
    prop random = prop_begin("scrub");
    desk d;
    (void)state;
    set_up(&d, &random, "PRAGMA auto_vacuum=FULL");
    assert_true(cut_log(d.db));
    buf before = read_file(&d, "");
    assert_false(scrub_pages(d.db));
    assert_true(same_file(&d, &before));
    buf_fini(&before);
    tear_down(&d);
}

static void nothing_is_done_before_the_disk_says_so_even_if_an_earlier_try_has_written_it(void **state) {
    prop random = prop_begin("scrub");
    desk d;
    (void)state;
    failing_disk_install();
    set_up(&d, &random, "PRAGMA page_size=4096");
    run(d.db, "DELETE FROM t WHERE gone");
    assert_true(cut_log(d.db));
    failing_disk_fail_syncs(2);
    assert_false(scrub_pages(d.db));
    assert_false(scrub_pages(d.db));
    assert_true(scrub_pages(d.db));
    assert_int_equal(count_canaries(&d, ""), 0);
    tear_down(&d);
    failing_disk_remove();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_deleted_is_nowhere_and_the_rest_is_as_it_was),
        cmocka_unit_test(what_a_connection_keeps_in_memory_does_not_bring_it_back),
        cmocka_unit_test(every_kind_of_page_has_a_middle_the_first_and_an_empty_one_too),
        cmocka_unit_test(a_page_whose_parts_do_not_add_up_stays_as_it_is),
        cmocka_unit_test(a_file_with_pages_of_pointers_is_left_alone),
        cmocka_unit_test(nothing_is_done_before_the_disk_says_so_even_if_an_earlier_try_has_written_it),
    };
    return cmocka_run_group_tests_name("scrub", tests, NULL, NULL);
}
