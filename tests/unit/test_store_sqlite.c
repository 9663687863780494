/* test_store_sqlite.c - what only the SQLite store can get wrong: files, locks, versions, full disks, backups, damage. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/support/failing_disk.h"
#include "tests/support/store_kit.h"

typedef struct fixture {
    const store_ops *ops;
    kit_directory directory;
    char path[320];
    store *s;
    lp_error error;
} fixture;

static void must(fixture *f, lp_err err) {
    if (err)
        print_error("%s: %s\n", lp_err_name(err), f->error.message);
    assert_int_equal(err, LP_OK);
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->ops = &store_sqlite_ops;
    kit_directory_make(&f->directory);
    kit_path(&f->directory, "pool.db", f->path);
    must(f, f->ops->open(f->directory.path, true, &f->s, &f->error));
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    if (f->s)
        f->ops->close(f->s);
    kit_directory_remove(&f->directory);
    free(f);
    return 0;
}

static void close_store(fixture *f) {
    f->ops->close(f->s);
    f->s = NULL;
}

static lp_err open_store(fixture *f) {
    return f->ops->open(f->directory.path, false, &f->s, &f->error);
}

static void reopen(fixture *f) {
    close_store(f);
    must(f, open_store(f));
}

static void assert_refused(fixture *f, lp_err expected, const char *part_of_message) {
    assert_int_equal(open_store(f), expected);
    assert_null(f->s);
    if (!strstr(f->error.message, part_of_message))
        print_error("message: %s\n", f->error.message);
    assert_non_null(strstr(f->error.message, part_of_message));
}

static store_counts counts_of(fixture *f, store *s, bool verified) {
    store_reader *r = NULL;
    store_counts c = {0};
    must(f, f->ops->reader_open(s, &r, &f->error));
    must(f, f->ops->snapshot(r, &f->error));
    must(f, f->ops->counts(r, &c, &f->error));
    if (verified)
        must(f, f->ops->verify(r, NULL, NULL, &f->error));
    f->ops->reader_close(r);
    return c;
}

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void what_was_committed_is_there_after_reopening(void **state) {
    fixture *f = *state;
    kit_commit_lead(f->s, 1);
    must(f, f->ops->begin(f->s, &f->error));
    store_history entry = kit_entry(1, 1, kit_save(f->s, 2, true), "a");
    bool added;
    must(f, f->ops->append(f->s, &entry, &added, &f->error));
    must(f, f->ops->put(f->s, STORE_META, span_text("k"), span_text("v"), &f->error));
    must(f, f->ops->commit(f->s, &f->error));
    must(f, f->ops->begin(f->s, &f->error));
    kit_save(f->s, 3, false);
    reopen(f);
    store_counts c = counts_of(f, f->s, true);
    assert_int_equal(c.last_seq, 2);
    assert_int_equal(c.records, 2);
    assert_int_equal(c.leads, 1);
    assert_int_equal(c.history, 1);
    assert_true(c.bytes > 0);
    must(f, f->ops->begin(f->s, &f->error));
    span value;
    must(f, f->ops->get(f->s, STORE_META, span_text("k"), &value, &f->error));
    assert_true(span_equal(value, span_text("v")));
    must(f, f->ops->append(f->s, &entry, &added, &f->error));
    assert_false(added);
    must(f, f->ops->commit(f->s, &f->error));
    assert_int_equal(kit_commit_lead(f->s, 3), 3);
}

/* The child ends without closing anything: what it leaves is what a crash leaves. */
static void what_was_committed_is_there_after_a_crash(void **state) {
    fixture *f = *state;
    close_store(f);
    pid_t child = fork();
    if (child == 0) {
        store *s = NULL;
        bool good = store_sqlite_ops.open(f->directory.path, false, &s, NULL) == LP_OK;
        if (good) {
            kit_commit_lead(s, 1);
            good = s->ops->begin(s, NULL) == LP_OK && kit_save(s, 2, false) == 2;
        }
        _exit(good ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    must(f, open_store(f));
    assert_int_equal(counts_of(f, f->s, true).records, 1);
}

static void creating_over_a_pool_is_refused(void **state) {
    fixture *f = *state;
    kit_commit_lead(f->s, 1);
    close_store(f);
    assert_int_equal(f->ops->open(f->directory.path, true, &f->s, &f->error), LP_EXISTS);
    must(f, open_store(f));
    assert_int_equal(counts_of(f, f->s, true).records, 1);
}

static void a_log_of_another_pool_is_not_adopted(void **state) {
    fixture *f = *state;
    close_store(f);
    unlink(f->path);
    char log[320];
    kit_path(&f->directory, "pool.db-wal", log);
    write_file(log, "some log", 8);
    assert_int_equal(f->ops->open(f->directory.path, true, &f->s, &f->error), LP_EXISTS);
    assert_non_null(strstr(f->error.message, "pool.db-wal"));
}

static void a_half_made_pool_is_made_anew(void **state) {
    fixture *f = *state;
    close_store(f);
    unlink(f->path);
    char draft[320];
    kit_path(&f->directory, "pool.db.new", draft);
    write_file(draft, "half", 4);
    assert_refused(f, LP_NOT_FOUND, f->directory.path);
    must(f, f->ops->open(f->directory.path, true, &f->s, &f->error));
    assert_int_equal(access(draft, F_OK), -1);
    kit_commit_lead(f->s, 1);
}

static void a_second_open_is_busy_and_names_the_process(void **state) {
    fixture *f = *state;
    store *other = NULL;
    char expected[64];
    snprintf(expected, sizeof expected, "in use by process %ld", (long)getpid());
    assert_int_equal(f->ops->open(f->directory.path, false, &other, &f->error), LP_BUSY);
    assert_non_null(strstr(f->error.message, expected));
    assert_int_equal(f->ops->open(f->directory.path, false, &other, &f->error), LP_BUSY);
    kit_commit_lead(f->s, 1);
    reopen(f);
}

static void a_file_of_something_else_is_not_a_pool(void **state) {
    fixture *f = *state;
    close_store(f);
    char garbage[8192];
    memset(garbage, 'g', sizeof garbage);
    write_file(f->path, garbage, sizeof garbage);
    assert_refused(f, LP_CORRUPT, "not a leadpool pool");
    write_file(f->path, "", 0);
    assert_refused(f, LP_CORRUPT, "not a leadpool pool");
    unlink(f->path);
    run_sql(f->path, "CREATE TABLE addresses(name TEXT)");
    assert_refused(f, LP_CORRUPT, "not a leadpool pool");
}

static void a_pool_cut_short_is_corrupt(void **state) {
    fixture *f = *state;
    for (uint64_t i = 1; i <= 200; i++)
        kit_commit_lead(f->s, i);
    close_store(f);
    struct stat info;
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(truncate(f->path, info.st_size / 2), 0);
    assert_refused(f, LP_CORRUPT, f->path);
}

static void a_pool_of_a_newer_version_is_left_alone(void **state) {
    fixture *f = *state;
    close_store(f);
    run_sql(f->path, "PRAGMA user_version = 99");
    assert_refused(f, LP_VERSION, "newer version");
    run_sql(f->path, "PRAGMA user_version = 1");
    must(f, open_store(f));
}

/* What a failed sync leaves is unknown; the store looks and goes on, and what it says then stays true. */
static void a_failed_sync_is_survived(void **state) {
    fixture *f = *state;
    close_store(f);
    failing_disk_install();
    must(f, open_store(f));
    kit_commit_lead(f->s, 1);
    must(f, f->ops->begin(f->s, &f->error));
    kit_save(f->s, 2, false);
    failing_disk_fail_syncs(1);
    assert_int_equal(f->ops->commit(f->s, &f->error), LP_IO);
    kit_commit_lead(f->s, 3);
    kit_commit_lead(f->s, 2);
    close_store(f);
    failing_disk_remove();
    must(f, open_store(f));
    store_counts c = counts_of(f, f->s, true);
    assert_int_equal(c.leads, 3);
    assert_int_equal(c.last_seq, 3);
}

static void expect_damage(fixture *f, const char *sql, const char *part_of_message) {
    for (uint64_t i = 1; i <= 3; i++)
        kit_commit_lead(f->s, i);
    must(f, f->ops->begin(f->s, &f->error));
    store_history entry = kit_entry(1, 1, kit_save(f->s, 9, false), "a");
    bool added;
    must(f, f->ops->append(f->s, &entry, &added, &f->error));
    must(f, f->ops->commit(f->s, &f->error));
    close_store(f);
    run_sql(f->path, sql);
    must(f, open_store(f));
    store_reader *r = NULL;
    must(f, f->ops->reader_open(f->s, &r, &f->error));
    must(f, f->ops->snapshot(r, &f->error));
    assert_int_equal(f->ops->verify(r, NULL, NULL, &f->error), LP_CORRUPT);
    if (!strstr(f->error.message, part_of_message))
        print_error("message: %s\n", f->error.message);
    assert_non_null(strstr(f->error.message, part_of_message));
    f->ops->reader_close(r);
}

static void verify_finds_a_row_no_id_leads_to(void **state) {
    expect_damage(*state, "DELETE FROM ident WHERE rid = 2", "not found by its id");
}

static void verify_finds_history_of_nobody(void **state) {
    expect_damage(*state, "UPDATE history SET rid = 77", "belongs to no record");
}

static void verify_finds_a_lost_row(void **state) {
    expect_damage(*state, "DELETE FROM record WHERE rid = 2", "counts 4 records");
}

static void verify_finds_a_wrong_number_of_leads(void **state) {
    expect_damage(*state, "UPDATE counter SET leads = 2", "2 leads");
}

static void verify_finds_a_seq_above_the_counter(void **state) {
    expect_damage(*state, "UPDATE counter SET last_seq = 3", "the pool 3");
}

static void verify_finds_history_cut_short(void **state) {
    expect_damage(*state, "UPDATE history SET stamp = x'00'", "history entry with seq 4 is damaged");
}

/* A file size limit makes writes fail the way a full disk does, without one. */
static void a_full_disk_refuses_the_commit_and_nothing_else(void **state) {
    fixture *f = *state;
    kit_commit_lead(f->s, 1);
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    tight = before;
    tight.rlim_cur = 512 * 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    must(f, f->ops->begin(f->s, &f->error));
    for (uint64_t i = 2; i <= 6000; i++)
        kit_save(f->s, i, false);
    lp_err err = f->ops->commit(f->s, &f->error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(err, LP_FULL);
    assert_non_null(strstr(f->error.message, "no space left for "));
    assert_non_null(strstr(f->error.message, f->path));
    f->ops->rollback(f->s);
    assert_int_equal(counts_of(f, f->s, true).records, 1);
    assert_int_equal(kit_commit_lead(f->s, 2), 2);
    reopen(f);
    assert_int_equal(counts_of(f, f->s, true).records, 2);
}

static void the_log_stays_short_while_nobody_reads(void **state) {
    fixture *f = *state;
    for (uint64_t round = 0; round < 30; round++) {
        must(f, f->ops->begin(f->s, &f->error));
        for (uint64_t i = 0; i < 2000; i++)
            kit_save(f->s, round * 2000 + i, false);
        must(f, f->ops->commit(f->s, &f->error));
        f->ops->rest(f->s);
    }
    char log[320];
    kit_path(&f->directory, "pool.db-wal", log);
    struct stat info;
    assert_int_equal(stat(log, &info), 0);
    assert_in_range(info.st_size, 1, 9 * 1024 * 1024);
    close_store(f);
    assert_int_equal(access(log, F_OK), -1);
    must(f, open_store(f));
}

static void deleted_text_does_not_stay_in_the_file(void **state) {
    fixture *f = *state;
    static const char secret[] = "a secret nobody should keep";
    must(f, f->ops->begin(f->s, &f->error));
    must(f, f->ops->put(f->s, STORE_INVITE, span_text("k"), SPAN_LITERAL("a secret nobody should keep"), &f->error));
    must(f, f->ops->commit(f->s, &f->error));
    reopen(f);
    must(f, f->ops->begin(f->s, &f->error));
    must(f, f->ops->put(f->s, STORE_INVITE, span_text("k"), (span){0}, &f->error));
    must(f, f->ops->commit(f->s, &f->error));
    close_store(f);
    FILE *file = fopen(f->path, "rb");
    assert_non_null(file);
    static char bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(size > 0);
    for (size_t i = 0; i + sizeof secret - 1 <= size; i++)
        assert_true(memcmp(bytes + i, secret, sizeof secret - 1) != 0);
}

/* How often a word is in the files of the store. */
static uint32_t count_on_disk(const fixture *f, const char *word) {
    static const char *const endings[] = {"", "-wal"};
    static uint8_t bytes[8 << 20];
    uint32_t count = 0;
    for (size_t e = 0; e < 2; e++) {
        char path[340];
        snprintf(path, sizeof path, "%s%s", f->path, endings[e]);
        FILE *file = fopen(path, "rb");
        size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0, length = strlen(word);
        if (file)
            fclose(file);
        assert_true(size < sizeof bytes);
        for (size_t i = 0; i + length <= size; i++)
            count += memcmp(bytes + i, word, length) == 0;
    }
    return count;
}

enum { SPLIT_DOCUMENTS = 1500, SPLIT_ROUNDS = 5 };

/* Documents grow in no order and pages split: what moves to a neighbour leaves a copy. Then every second goes. */
static void split_and_drop(fixture *f) {
    char text[300];
    for (int round = 1; round <= SPLIT_ROUNDS; round++) {
        must(f, f->ops->begin(f->s, &f->error));
        for (int i = 0; i < SPLIT_DOCUMENTS; i++) {
            int number = i * 977 % SPLIT_DOCUMENTS;
            lp_id key = kit_id((uint64_t)number);
            snprintf(text, sizeof text, "%s %0*d", number % 2 ? "canary" : "stays", i * 31 % (40 * round), number);
            must(f, f->ops->put(f->s, STORE_INVITE, id_span(&key), span_text(text), &f->error));
        }
        must(f, f->ops->commit(f->s, &f->error));
    }
    must(f, f->ops->begin(f->s, &f->error));
    for (uint64_t number = 1; number < SPLIT_DOCUMENTS; number += 2) {
        lp_id key = kit_id(number);
        must(f, f->ops->put(f->s, STORE_INVITE, id_span(&key), (span){0}, &f->error));
    }
    must(f, f->ops->commit(f->s, &f->error));
}

static void what_was_dropped_leaves_the_middles_of_pages_that_were_split(void **state) {
    fixture *f = *state;
    split_and_drop(f);
    reopen(f);
    assert_true(count_on_disk(f, "canary") > 0); /* else nothing was tried */
    must(f, f->ops->scrub(f->s, &f->error));
    assert_int_equal(count_on_disk(f, "canary"), 0);
    assert_true(count_on_disk(f, "stays") >= SPLIT_DOCUMENTS / 2);
    counts_of(f, f->s, true);
}

/* The writer keeps pages in memory, and writes them whole. */
static void what_was_scrubbed_does_not_come_back_when_its_page_is_changed(void **state) {
    fixture *f = *state;
    split_and_drop(f);
    must(f, f->ops->scrub(f->s, &f->error));
    assert_int_equal(count_on_disk(f, "canary"), 0);
    must(f, f->ops->begin(f->s, &f->error));
    for (uint64_t number = 0; number < SPLIT_DOCUMENTS; number += 2) {
        lp_id key = kit_id(number);
        must(f, f->ops->put(f->s, STORE_INVITE, id_span(&key), SPAN_LITERAL("x"), &f->error));
    }
    must(f, f->ops->commit(f->s, &f->error));
    assert_int_equal(count_on_disk(f, "canary"), 0);
}

static void a_scrub_that_the_disk_did_not_keep_is_owed(void **state) {
    fixture *f = *state;
    failing_disk_install();
    reopen(f);
    split_and_drop(f);
    must(f, f->ops->scrub(f->s, &f->error));
    failing_disk_fail_syncs(1); /* the log is empty: it is the wiping that waits for the disk */
    assert_int_equal(f->ops->scrub(f->s, &f->error), LP_IO);
    must(f, f->ops->scrub(f->s, &f->error));
    close_store(f);
    failing_disk_remove();
    must(f, open_store(f));
}

/* --- backups --- */

typedef struct busy_writer {
    store *s;
    atomic_bool done;
    atomic_uint commits;
} busy_writer;

static void *write_on(void *ctx) {
    busy_writer *w = ctx;
    uint64_t number = 10000;
    while (!atomic_load(&w->done)) {
        kit_commit_lead(w->s, number++);
        atomic_fetch_add(&w->commits, 1);
    }
    return NULL;
}

/* Holds the backup up at its first report until the writer has committed some more. */
static bool wait_for_commits(void *ctx, uint64_t done, uint64_t total) {
    busy_writer *w = ctx;
    assert_true(done <= total);
    unsigned int target = done == total ? 0 : atomic_load(&w->commits) + 3;
    while (atomic_load(&w->commits) < target)
        sched_yield();
    return true;
}

static void open_copy(fixture *f, const char *copy, kit_directory *d, store **copy_out) {
    kit_directory_make(d);
    char path[320];
    kit_path(d, "pool.db", path);
    assert_int_equal(rename(copy, path), 0);
    must(f, f->ops->open(d->path, false, copy_out, &f->error));
}

static void a_backup_while_writing_is_consistent(void **state) {
    fixture *f = *state;
    must(f, f->ops->begin(f->s, &f->error));
    for (uint64_t i = 1; i <= 6000; i++)
        kit_save(f->s, i, false);
    must(f, f->ops->commit(f->s, &f->error));
    char copy[320], part[330];
    kit_path(&f->directory, "copy.db", copy);
    snprintf(part, sizeof part, "%s.part", copy);
    busy_writer w = {.s = f->s};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &w), 0);
    lp_err err = f->ops->backup(f->s, copy, wait_for_commits, &w, &f->error);
    atomic_store(&w.done, true);
    pthread_join(thread, NULL);
    must(f, err);
    assert_int_equal(access(part, F_OK), -1);
    kit_directory d;
    store *other = NULL;
    open_copy(f, copy, &d, &other);
    store_counts c = counts_of(f, other, true);
    assert_in_range(c.records, 6000, 6000 + atomic_load(&w.commits));
    assert_int_equal(c.records, c.last_seq);
    assert_int_equal(kit_commit_lead(other, 99999), c.last_seq + 1);
    f->ops->close(other);
    kit_directory_remove(&d);
    assert_int_equal(counts_of(f, f->s, true).records, 6000 + atomic_load(&w.commits));
}

static void a_backup_never_replaces_a_file(void **state) {
    fixture *f = *state;
    char copy[320];
    kit_path(&f->directory, "copy.db", copy);
    write_file(copy, "mine", 4);
    assert_int_equal(f->ops->backup(f->s, copy, NULL, NULL, &f->error), LP_EXISTS);
    struct stat info;
    assert_int_equal(stat(copy, &info), 0);
    assert_int_equal(info.st_size, 4);
}

static bool give_up(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    (void)done;
    (void)total;
    return false;
}

static void a_backup_given_up_or_failed_leaves_nothing(void **state) {
    fixture *f = *state;
    must(f, f->ops->begin(f->s, &f->error));
    for (uint64_t i = 1; i <= 6000; i++)
        kit_save(f->s, i, false);
    must(f, f->ops->commit(f->s, &f->error));
    char copy[320], part[330];
    kit_path(&f->directory, "copy.db", copy);
    snprintf(part, sizeof part, "%s.part", copy);
    assert_int_equal(f->ops->backup(f->s, copy, give_up, NULL, &f->error), LP_CLOSED);
    assert_int_equal(access(copy, F_OK), -1);
    assert_int_equal(access(part, F_OK), -1);
    char nowhere[320];
    kit_path(&f->directory, "no/such/directory", nowhere);
    assert_int_equal(f->ops->backup(f->s, nowhere, NULL, NULL, &f->error), LP_IO);
    must(f, f->ops->backup(f->s, copy, NULL, NULL, &f->error));
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_was_committed_is_there_after_reopening),
        T(what_was_committed_is_there_after_a_crash),
        T(creating_over_a_pool_is_refused),
        T(a_log_of_another_pool_is_not_adopted),
        T(a_half_made_pool_is_made_anew),
        T(a_second_open_is_busy_and_names_the_process),
        T(a_file_of_something_else_is_not_a_pool),
        T(a_pool_cut_short_is_corrupt),
        T(a_pool_of_a_newer_version_is_left_alone),
        T(a_failed_sync_is_survived),
        T(verify_finds_a_row_no_id_leads_to),
        T(verify_finds_history_of_nobody),
        T(verify_finds_a_lost_row),
        T(verify_finds_a_wrong_number_of_leads),
        T(verify_finds_a_seq_above_the_counter),
        T(verify_finds_history_cut_short),
        T(a_full_disk_refuses_the_commit_and_nothing_else),
        T(the_log_stays_short_while_nobody_reads),
        T(deleted_text_does_not_stay_in_the_file),
        T(what_was_dropped_leaves_the_middles_of_pages_that_were_split),
        T(what_was_scrubbed_does_not_come_back_when_its_page_is_changed),
        T(a_scrub_that_the_disk_did_not_keep_is_owed),
        T(a_backup_while_writing_is_consistent),
        T(a_backup_never_replaces_a_file),
        T(a_backup_given_up_or_failed_leaves_nothing),
    };
    return cmocka_run_group_tests_name("sqlite store", tests, NULL, NULL);
}
