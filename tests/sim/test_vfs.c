/* test_vfs.c - the disks of vfs.h lose what a disk may lose and nothing else, and SQLite runs on them as on any other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <string.h>

#include "server/store/store.h"
#include "tests/sim/vfs.h"
#include "tests/support/store_kit.h"

static vfs_disk *disk;

static int setup(void **state) {
    (void)state;
    vfs_install();
    disk = vfs_disk_new("/ram/d", 7);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    vfs_disk_free(disk);
    vfs_remove();
    return 0;
}

static sqlite3 *open_db(const char *path) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL), SQLITE_OK);
    sqlite3_extended_result_codes(db, 1);
    return db;
}

static int run(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int64_t number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *s;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

static sqlite3 *open_wal(void) {
    sqlite3 *db = open_db("/ram/d/t.db");
    assert_int_equal(
        run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(n INTEGER PRIMARY KEY, x)"),
        SQLITE_OK);
    return db;
}

static void connections_share_a_log_and_its_locks(void **state) {
    (void)state;
    sqlite3 *writer = open_wal(), *reader = open_db("/ram/d/t.db");
    assert_int_equal(run(writer, "INSERT INTO t VALUES(1, 'a')"), SQLITE_OK);
    assert_int_equal(run(reader, "BEGIN"), SQLITE_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), 1);
    assert_int_equal(run(writer, "BEGIN IMMEDIATE; INSERT INTO t VALUES(2, 'b')"), SQLITE_OK);
    sqlite3 *third = open_db("/ram/d/t.db");
    assert_int_equal(run(third, "BEGIN IMMEDIATE") & 0xff, SQLITE_BUSY);
    assert_int_equal(run(writer, "COMMIT"), SQLITE_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), 1);
    assert_int_equal(run(reader, "COMMIT"), SQLITE_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), 2);
    sqlite3_close(third);
    sqlite3_close(reader);
    sqlite3_close(writer);
    assert_false(vfs_exists(disk, "t.db-wal"));
}

static void what_was_committed_survives_a_cut_at_every_step(void **state) {
    (void)state;
    uint64_t cuts = 0, survived = 0;
    for (int loss = 0; loss < VFS_LOSSES; loss++) {
        for (uint64_t at = 1;; at++) {
            vfs_disk *d = vfs_disk_new("/ram/cut", at * 8 + (uint64_t)loss);
            sqlite3 *db = open_db("/ram/cut/t.db");
            assert_int_equal(
                run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(n INTEGER PRIMARY KEY, x)"),
                SQLITE_OK);
            vfs_break(d, &(vfs_faults){.cut_at = at});
            int64_t told = 0;
            for (int i = 0; i < 6; i++) {
                told += run(db, "INSERT INTO t SELECT count(*)+1, hex(zeroblob(3000)) FROM t") == SQLITE_OK;
                if (i == 3)
                    run(db, "PRAGMA wal_checkpoint");
            }
            sqlite3_close(db);
            bool off = vfs_is_off(d);
            if (off) {
                vfs_power_on(d, (vfs_loss)loss, at % 2 ? 512 : 4096);
                db = open_db("/ram/cut/t.db");
                assert_int_equal(number(db, "SELECT count(*) FROM pragma_quick_check WHERE quick_check <> 'ok'"), 0);
                int64_t there = number(db, "SELECT count(*) FROM t");
                assert_true(there >= told);
                survived += there > told;
                sqlite3_close(db);
                cuts++;
            }
            vfs_disk_free(d);
            if (!off)
                break;
        }
    }
    assert_true(cuts > 100);
    assert_true(survived > 0);
}

static void a_lie_about_a_sync_loses_what_was_committed(void **state) {
    (void)state;
    sqlite3 *db = open_wal();
    vfs_break(disk, &(vfs_faults){.lie_percent = 100});
    assert_int_equal(run(db, "INSERT INTO t VALUES(1, 'a')"), SQLITE_OK);
    vfs_cut(disk);
    assert_int_equal(run(db, "INSERT INTO t VALUES(2, 'a')") & 0xff, SQLITE_IOERR);
    sqlite3_close(db);
    vfs_power_on(disk, VFS_NONE, 0);
    db = open_db("/ram/d/t.db");
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 0);
    sqlite3_close(db);
    assert_true(vfs_count(disk)->lies > 0);
}

static void a_crash_of_the_program_loses_nothing_that_was_written(void **state) {
    (void)state;
    sqlite3 *db = open_wal();
    run(db, "PRAGMA synchronous=OFF");
    assert_int_equal(run(db, "INSERT INTO t VALUES(1, 'a'); BEGIN IMMEDIATE; INSERT INTO t VALUES(2, 'b')"), SQLITE_OK);
    vfs_crash(disk);
    sqlite3 *next = open_db("/ram/d/t.db");
    assert_int_equal(number(next, "SELECT count(*) FROM t"), 1);
    assert_int_equal(run(next, "INSERT INTO t VALUES(3, 'c')"), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(run(next, "INSERT INTO t VALUES(4, 'd')"), SQLITE_OK);
    assert_int_equal(number(next, "SELECT count(*) FROM t"), 3);
    sqlite3_close(next);
}

static void a_full_disk_and_errors_fail_as_asked_and_then_pass(void **state) {
    (void)state;
    sqlite3 *db = open_wal();
    vfs_break(disk, &(vfs_faults){.space_bytes = vfs_used_bytes(disk) + 5000});
    assert_int_equal(run(db, "INSERT INTO t VALUES(1, hex(zeroblob(20000)))"), SQLITE_FULL);
    vfs_break(disk, NULL);
    assert_int_equal(run(db, "INSERT INTO t VALUES(1, hex(zeroblob(20000)))"), SQLITE_OK);
    vfs_break(disk, &(vfs_faults){.eio[VFS_SYNC] = {1, 1}});
    assert_int_equal(run(db, "INSERT INTO t VALUES(2, 'b')"), SQLITE_IOERR_FSYNC);
    assert_int_equal(run(db, "INSERT INTO t VALUES(3, 'c')"), SQLITE_OK);
    vfs_break(disk, &(vfs_faults){.eio[VFS_WRITE] = {2, UINT64_MAX}});
    assert_int_equal(run(db, "INSERT INTO t VALUES(4, hex(zeroblob(9000)))"), SQLITE_IOERR_WRITE);
    assert_int_equal(run(db, "INSERT INTO t VALUES(5, hex(zeroblob(9000)))") & 0xff, SQLITE_IOERR);
    vfs_break(disk, NULL);
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 2);
    sqlite3_close(db);
    assert_int_equal(vfs_count(disk)->failed[VFS_SYNC], 1);
    assert_true(vfs_count(disk)->full > 0);
}

static void an_image_makes_an_older_copy_and_a_clone(void **state) {
    (void)state;
    sqlite3 *db = open_wal();
    assert_int_equal(run(db, "INSERT INTO t VALUES(1, 'a')"), SQLITE_OK);
    vfs_image *image = vfs_save(disk);
    assert_int_equal(run(db, "INSERT INTO t VALUES(2, 'b')"), SQLITE_OK);
    vfs_disk *other = vfs_disk_new("/ram/e", 9);
    vfs_restore(other, image);
    sqlite3 *clone = open_db("/ram/e/t.db");
    assert_int_equal(number(clone, "SELECT count(*) FROM t"), 1);
    sqlite3_close(clone);
    vfs_restore(disk, image);
    assert_int_equal(run(db, "INSERT INTO t VALUES(3, 'c')") & 0xff, SQLITE_IOERR);
    sqlite3_close(db);
    assert_int_equal(vfs_hash(disk), vfs_hash(disk));
    db = open_db("/ram/d/t.db");
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 1);
    sqlite3_close(db);
    assert_int_equal(vfs_hash(disk), vfs_hash(other));
    vfs_image_free(image);
    vfs_disk_free(other);
}

static uint64_t hash_of_a_run(uint64_t seed) {
    vfs_reseed(seed);
    vfs_disk *d = vfs_disk_new("/ram/run", seed);
    sqlite3 *db = open_db("/ram/run/t.db");
    run(db,
        "PRAGMA journal_mode=WAL; CREATE TABLE t(n INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(1, randomblob(100))");
    vfs_cut(d);
    sqlite3_close(db);
    vfs_power_on(d, VFS_SOME, 512);
    uint64_t hash = vfs_hash(d);
    vfs_disk_free(d);
    return hash;
}

static void the_same_seed_gives_the_same_bytes(void **state) {
    (void)state;
    assert_int_equal(hash_of_a_run(5), hash_of_a_run(5));
    assert_int_not_equal(hash_of_a_run(5), hash_of_a_run(6));
}

static void a_store_lives_on_a_disk_with_its_files(void **state) {
    (void)state;
    store *s = NULL;
    lp_error error = {.message = ""};
    assert_int_equal(store_sqlite_ops.open("/ram/d", true, &s, &error), LP_OK);
    kit_commit_lead(s, 1);
    vfs_cut(disk);
    assert_int_not_equal(store_sqlite_ops.begin(s, &error), LP_OK);
    store_sqlite_ops.close(s);
    vfs_power_on(disk, VFS_NONE, 0);
    assert_int_equal(store_sqlite_ops.open("/ram/d", false, &s, &error), LP_OK);
    store_reader *r = NULL;
    store_counts counts;
    assert_int_equal(store_sqlite_ops.reader_open(s, &r, &error), LP_OK);
    assert_int_equal(store_sqlite_ops.snapshot(r, &error), LP_OK);
    assert_int_equal(store_sqlite_ops.counts(r, &counts, &error), LP_OK);
    assert_int_equal(counts.leads, 1);
    store_sqlite_ops.reader_close(r);
    store_sqlite_ops.close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connections_share_a_log_and_its_locks, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_committed_survives_a_cut_at_every_step, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lie_about_a_sync_loses_what_was_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_of_the_program_loses_nothing_that_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_and_errors_fail_as_asked_and_then_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(an_image_makes_an_older_copy_and_a_clone, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_seed_gives_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_lives_on_a_disk_with_its_files, setup, teardown),
    };
    return cmocka_run_group_tests_name("vfs", tests, NULL, NULL);
}
