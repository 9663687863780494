/* test_disk_faults.c - the disk fills up at every byte count that matters, and every read, write and sync fails once or for good,
 * in everything that writes: errors are clear, nothing is there by half, what can be read is read, and once the disk is well again
 * everything goes on without a restart (F10 to F14, F95). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/deeds.h"

#define SPACE_STEP_BYTES 1024

static uint64_t faults;

static int install(void **state) {
    (void)state;
    vfs_install();
    return 0;
}

static int uninstall(void **state) {
    (void)state;
    vfs_remove();
    fprintf(stderr, "[     INFO ] %llu runs with faults\n", (unsigned long long)faults);
    return 0;
}

/* A disk that cannot be written to can still be read. */
static void look(pair *p) {
    for (uint32_t who = 0; who < 2; who++) {
        replica_row row;
        lp_error error = {.message = ""};
        lp_err err =
            p->devices[who].replica ? replica_load(p->devices[who].replica, &p->leads[0], &row, &error) : LP_OK;
        pair_expect(p, !err, "device %u cannot be read: %s", who, error.message);
    }
}

/* The disk is well again. Who could not be opened is; who was open goes on. */
static void recover(pair *p, const deed *what) {
    vfs_break(deed_disk(p, what->disk), NULL);
    pair_revive(p, VFS_ALL, 0);
    pair_audit(p, 0);
    pair_audit(p, 1);
    pair_settle(p);
}

static uint64_t used_by(pair *p, const deed *what) {
    return vfs_used_bytes(deed_disk(p, what->disk));
}

static void fill_up(const deed *what) {
    pair *p = pair_new(1);
    what->prepare(p);
    pair_keep(p);
    p->deed = what->name;
    vfs_disk *disk = deed_disk(p, what->disk);
    for (bool full = true; full; p->at++) {
        pair_again(p);
        uint64_t before = vfs_count(disk)->full;
        vfs_break(disk, &(vfs_faults){.space_bytes = used_by(p, what) + p->at * SPACE_STEP_BYTES});
        what->act(p);
        full = vfs_count(disk)->full > before;
        pair_expect(p, !p->refusal || p->refusal == LP_FULL, "a full disk is called error %d", p->refusal);
        look(p);
        recover(p, what);
        faults += full;
    }
    fprintf(stderr, "[     INFO ] %s: full at %llu sizes\n", what->name, (unsigned long long)p->at - 1);
    pair_free(p);
}

/* Every `op` of a deed fails in turn, `count` in a row. */
static void fail_each(const deed *what, vfs_op op, uint64_t count) {
    pair *p = pair_new(1);
    what->prepare(p);
    pair_keep(p);
    p->deed = what->name;
    p->cold = op == VFS_READ;
    vfs_disk *disk = deed_disk(p, what->disk);
    for (bool failed = true; failed;) {
        p->at++;
        pair_again(p);
        uint64_t before = vfs_count(disk)->failed[op];
        vfs_faults plan = {0};
        plan.eio[op].at = p->at;
        plan.eio[op].count = count;
        vfs_break(disk, &plan);
        what->act(p);
        failed = vfs_count(disk)->failed[op] > before;
        pair_expect(p, !p->refusal || p->refusal == LP_IO || (p->refusal == LP_NOT_FOUND && op == VFS_OPEN),
                    "a failing disk is called error %d", p->refusal);
        if (op != VFS_READ && op != VFS_OPEN && op != VFS_NAME)
            look(p);
        recover(p, what);
        faults += failed;
    }
    fprintf(stderr, "[     INFO ] %s: op %d failed at %llu places\n", what->name, op, (unsigned long long)p->at - 1);
    pair_free(p);
}

static void for_each_deed(void (*fn)(const deed *what)) {
    const char *only = getenv("LEADPOOL_DEED");
    for (size_t i = 0; i < deed_count; i++)
        if (!only || strcmp(only, deeds[i].name) == 0)
            fn(&deeds[i]);
}

static void fail_writes(const deed *what) {
    fail_each(what, VFS_WRITE, 1);
    fail_each(what, VFS_WRITE, UINT64_MAX);
}

static void fail_syncs(const deed *what) {
    fail_each(what, VFS_SYNC, 1);
    fail_each(what, VFS_SYNC, UINT64_MAX);
}

static void fail_reads(const deed *what) {
    fail_each(what, VFS_READ, 1);
    fail_each(what, VFS_READ, UINT64_MAX);
}

static void fail_names(const deed *what) {
    fail_each(what, VFS_NAME, 1);
    fail_each(what, VFS_OPEN, 1);
}

static void a_disk_may_fill_up_at_any_point(void **state) {
    (void)state;
    for_each_deed(fill_up);
}

static void any_write_may_fail(void **state) {
    (void)state;
    for_each_deed(fail_writes);
}

static void any_sync_may_fail(void **state) {
    (void)state;
    for_each_deed(fail_syncs);
}

static void any_read_may_fail(void **state) {
    (void)state;
    for_each_deed(fail_reads);
}

static void any_file_may_fail_to_be_made_or_opened(void **state) {
    (void)state;
    for_each_deed(fail_names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_may_fill_up_at_any_point),
        cmocka_unit_test(any_write_may_fail),
        cmocka_unit_test(any_sync_may_fail),
        cmocka_unit_test(any_read_may_fail),
        cmocka_unit_test(any_file_may_fail_to_be_made_or_opened),
    };
    return cmocka_run_group_tests_name("disk_faults", tests, install, uninstall);
}
