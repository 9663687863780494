/* test_power.c - the power goes at every write, every sync and every change of a name, in everything that writes: what was reported
 * saved is there, what was acknowledged is there, nothing is there by half, and the rest is done again (F1 to F9, F92, F94).
 *
 * A sweep does one deed from one start again and again and cuts one step later each time, until the deed ends before the cut. Each
 * cut is looked at with nothing unsynced left, with all of it, and with parts of it in sectors of 512 and of 4096 bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/sim/sweep.h"

static const struct way {
    vfs_loss loss;
    uint32_t tear_bytes;
} ways[] = {{VFS_NONE, 0}, {VFS_ALL, 0}, {VFS_FIRST, 512}, {VFS_SOME, 512}, {VFS_SOME, 4096}};

#define PLACES_MIN 5
#define WAYS (sizeof ways / sizeof ways[0])

static void check(pair *p) {
    pair_audit(p, 0);
    pair_audit(p, 1);
    pair_settle(p);
}

static bool cut_and_look(pair *p, const deed *what, const struct way *left) {
    vfs_disk *disk = deed_disk(p, what->disk);
    vfs_break(disk, &(vfs_faults){.cut_at = p->at});
    what->act(p);
    bool cut = vfs_is_off(disk);
    vfs_break(disk, NULL);
    pair_revive(p, left->loss, left->tear_bytes);
    check(p);
    return cut;
}

/* The deed takes the same steps each time: once it ends before the cut, it does so whatever would have been left. */
static bool cut(pair *p, const deed *what, const disturbance *how) {
    bool was = cut_and_look(p, what, &ways[0]);
    (void)how;
    for (size_t i = 1; i < WAYS && was; i++) {
        sweep_ran(true);
        pair_again(p);
        was = cut_and_look(p, what, &ways[i]);
    }
    return was;
}

static void nothing_saved_or_acknowledged_is_lost_by_a_cut_at_any_step(void **state) {
    (void)state;
    sweep_deeds(&(disturbance){.name = "cut", .disturb = cut, .least = PLACES_MIN});
}

/* ---- what is being made ---- */

/* Half a replica opens as one that has yet to join, or is not there; never as a damaged one. */
static void a_replica_in_the_making_is_whole_or_made_anew(void **state) {
    (void)state;
    if (!sweep_wants("join"))
        return;
    pair *p = sweep_begin("join");
    lp_error error = {.message = ""};
    lp_err err;
    pair_make_lead(p, 0, &err);
    pair_sync(p, 0);
    pair_close_device(p, 1);
    vfs_wipe(p->devices[1].disk);
    pair_keep(p);
    vfs_disk *disk = p->devices[1].disk;
    for (bool cut = true; cut;) {
        p->at++;
        for (size_t i = 0; i < WAYS && cut; i++) {
            pair_again(p);
            vfs_break(disk, &(vfs_faults){.cut_at = p->at});
            err = pair_join(p, 1, &error);
            cut = vfs_is_off(disk);
            vfs_break(disk, NULL);
            if (cut) {
                pair_close_device(p, 1);
                vfs_power_on(disk, ways[i].loss, ways[i].tear_bytes);
                lp_err opened = pair_open_device(p, 1, &error);
                pair_expect(p, !opened || opened == LP_NOT_FOUND, "half a replica: %s", error.message);
                bool joined = !opened && p->devices[1].replica->clock.author;
                pair_expect(p, err || joined, "it was told to be joined and is not");
                pair_close_device(p, 1);
                err = joined ? pair_open_device(p, 1, &error) : pair_join(p, 1, &error);
            }
            pair_expect(p, !err, "joining again: %s", error.message);
            check(p);
            sweep_ran(cut);
        }
    }
    sweep_end(p, PLACES_MIN);
}

/* As `leadpoold init` does: the store first, then who it is. */
static lp_err make_pool(pair *p, lp_error *error) {
    pool present = {0};
    lp_err err = store_sqlite_ops.open("/ram/new", false, &p->store, error);
    if (err == LP_NOT_FOUND)
        err = store_sqlite_ops.open("/ram/new", true, &p->store, error);
    if (err)
        return err;
    err = pool_open(&present, p->store, &p->env, error);
    if (err == LP_CORRUPT)
        err = pool_create(p->store, &p->env, "Messe", error);
    pool_close(&present);
    p->store->ops->close(p->store);
    p->store = NULL;
    return err;
}

static void a_pool_in_the_making_is_whole_or_made_anew(void **state) {
    (void)state;
    if (!sweep_wants("init"))
        return;
    pair *p = sweep_begin("init");
    for (bool cut = true; cut;) {
        p->at++;
        for (size_t i = 0; i < WAYS && cut; i++) {
            lp_error error = {.message = ""};
            pool made = {0};
            pair_close_server(p);
            vfs_disk *disk = vfs_disk_new("/ram/new", p->at * WAYS + i);
            vfs_break(disk, &(vfs_faults){.cut_at = p->at});
            lp_err told = make_pool(p, &error);
            cut = vfs_is_off(disk);
            vfs_break(disk, NULL);
            if (cut)
                vfs_power_on(disk, ways[i].loss, ways[i].tear_bytes);
            lp_err err = make_pool(p, &error);
            pair_expect(p, !err, "making it again: %s", error.message);
            assert_int_equal(store_sqlite_ops.open("/ram/new", false, &p->store, &error), LP_OK);
            pair_expect(p, !pool_open(&made, p->store, &p->env, &error), "opening it: %s", error.message);
            pool_close(&made);
            p->store->ops->close(p->store);
            p->store = NULL;
            vfs_disk_free(disk);
            sweep_ran(cut);
            assert_true(cut || !told);
        }
    }
    sweep_end(p, PLACES_MIN);
}

/* A file under the name of a backup is a whole one. */
static void a_backup_is_whole_or_not_there(void **state) {
    (void)state;
    if (!sweep_wants("backup"))
        return;
    pair *p = sweep_begin("backup");
    lp_error error = {.message = ""};
    lp_err err;
    pair_make_lead(p, 0, &err);
    pair_sync(p, 0);
    pair_keep(p);
    for (bool cut = true; cut;) {
        p->at++;
        for (size_t i = 0; i < WAYS && cut; i++) {
            sqlite3 *db = NULL;
            pair_again(p);
            vfs_break(p->disk, &(vfs_faults){.cut_at = p->at});
            err = p->store->ops->backup(p->store, "/ram/pool/copy.db", NULL, NULL, &error);
            cut = vfs_is_off(p->disk);
            vfs_break(p->disk, NULL);
            pair_revive(p, ways[i].loss, ways[i].tear_bytes);
            bool there = vfs_exists(p->disk, "copy.db");
            pair_expect(p, there || err, "the backup was reported made and is gone");
            if (there) {
                assert_int_equal(sqlite3_open_v2("/ram/pool/copy.db", &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
                int64_t bad =
                    pair_count(p, db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'");
                pair_expect(p, !bad && pair_count(p, db, "SELECT leads FROM counter") == 1, "a backup that is none");
                sqlite3_close(db);
            }
            check(p);
            sweep_ran(cut);
        }
    }
    sweep_end(p, PLACES_MIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_saved_or_acknowledged_is_lost_by_a_cut_at_any_step),
        cmocka_unit_test(a_replica_in_the_making_is_whole_or_made_anew),
        cmocka_unit_test(a_pool_in_the_making_is_whole_or_made_anew),
        cmocka_unit_test(a_backup_is_whole_or_not_there),
    };
    return cmocka_run_group_tests_name("power", tests, sweep_install, sweep_uninstall);
}
