/* test_disk_faults.c - the disk fills up at every byte count that matters, and every read, write and sync fails once or for good,
 * in everything that writes: errors are clear, nothing is there by half, what can be read is read, and once the disk is well again
 * everything goes on without a restart (F10 to F14, F95). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/sweep.h"

#define SPACE_STEP_BYTES 1024

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
static void recover(pair *p, vfs_disk *disk) {
    vfs_break(disk, NULL);
    pair_revive(p, VFS_ALL, 0);
    pair_audit(p, 0);
    pair_audit(p, 1);
    pair_settle(p);
}

static bool fill_up(pair *p, const deed *what, const disturbance *how) {
    vfs_disk *disk = deed_disk(p, what->disk);
    uint64_t before = vfs_count(disk)->full;
    (void)how;
    vfs_break(disk, &(vfs_faults){.space_bytes = vfs_used_bytes(disk) + (p->at - 1) * SPACE_STEP_BYTES});
    what->act(p);
    bool full = vfs_count(disk)->full > before;
    pair_expect(p, !p->refusal || p->refusal == LP_FULL, "a full disk is called error %d", p->refusal);
    look(p);
    recover(p, disk);
    return full;
}

static bool fail_at(pair *p, const deed *what, const disturbance *how) {
    vfs_disk *disk = deed_disk(p, what->disk);
    uint64_t before = vfs_count(disk)->failed[how->op];
    vfs_faults plan = {0};
    plan.eio[how->op].at = p->at;
    plan.eio[how->op].count = how->count;
    vfs_break(disk, &plan);
    what->act(p);
    bool failed = vfs_count(disk)->failed[how->op] > before;
    pair_expect(p, !p->refusal || p->refusal == LP_IO || (p->refusal == LP_NOT_FOUND && how->op == VFS_OPEN),
                "a failing disk is called error %d", p->refusal);
    if (how->op == VFS_WRITE || how->op == VFS_SYNC)
        look(p);
    recover(p, disk);
    return failed;
}

static void a_disk_may_fill_up_at_any_point(void **state) {
    (void)state;
    sweep_deeds(&(disturbance){.name = "full", .disturb = fill_up});
}

static void any_write_may_fail(void **state) {
    (void)state;
    sweep_deeds(&(disturbance){.name = "a write fails", .disturb = fail_at, .op = VFS_WRITE, .count = 1});
    sweep_deeds(&(disturbance){.name = "writes fail", .disturb = fail_at, .op = VFS_WRITE, .count = UINT64_MAX});
}

static void any_sync_may_fail(void **state) {
    (void)state;
    sweep_deeds(&(disturbance){.name = "a sync fails", .disturb = fail_at, .op = VFS_SYNC, .count = 1});
    sweep_deeds(&(disturbance){.name = "syncs fail", .disturb = fail_at, .op = VFS_SYNC, .count = UINT64_MAX});
}

static void any_read_may_fail(void **state) {
    (void)state;
    sweep_deeds(&(disturbance){.name = "a read fails", .disturb = fail_at, .op = VFS_READ, .count = 1, .cold = true});
    sweep_deeds(
        &(disturbance){.name = "reads fail", .disturb = fail_at, .op = VFS_READ, .count = UINT64_MAX, .cold = true});
}

static void any_file_may_fail_to_be_made_or_opened(void **state) {
    (void)state;
    sweep_deeds(&(disturbance){.name = "a change of a name fails", .disturb = fail_at, .op = VFS_NAME, .count = 1});
    sweep_deeds(&(disturbance){.name = "an opening fails", .disturb = fail_at, .op = VFS_OPEN, .count = 1});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_may_fill_up_at_any_point),
        cmocka_unit_test(any_write_may_fail),
        cmocka_unit_test(any_sync_may_fail),
        cmocka_unit_test(any_read_may_fail),
        cmocka_unit_test(any_file_may_fail_to_be_made_or_opened),
    };
    return cmocka_run_group_tests_name("disk_faults", tests, sweep_install, sweep_uninstall);
}
