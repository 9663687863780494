/* deeds.c - see deeds.h. A deed goes on after an error, as a person does, but not after its machine has lost power. */
#include "tests/sim/deeds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

vfs_disk *deed_disk(pair *p, uint32_t disk) {
    return disk < 2 ? p->devices[disk].disk : p->disk;
}

static bool lives(const pair *p, uint32_t who) {
    return !vfs_is_off(p->devices[who].disk);
}

/* ---- starts ---- */

/* Three leads that everybody has, and something unsent. */
static void some_leads(pair *p) {
    lp_err err;
    for (int i = 0; i < 3; i++) {
        pair_make_lead(p, 0, &err);
        assert_int_equal(err, LP_OK);
    }
    assert_int_equal(pair_sync(p, 0), LP_OK);
    assert_int_equal(pair_sync(p, 1), LP_OK);
    assert_int_equal(pair_set(p, 0, "company", (uint32_t[]){0}, 1), LP_OK);
}

/* Both have much to say, about the same leads too. */
static void much_to_say(pair *p) {
    lp_err err;
    some_leads(p);
    for (uint32_t who = 0; who < 2; who++) {
        pair_make_lead(p, who, &err);
        assert_int_equal(pair_set(p, who, "company", (uint32_t[]){0, 1}, 2), LP_OK);
        assert_int_equal(pair_set(p, who, "notes", (uint32_t[]){2}, 1), LP_OK);
        pair_make_lead(p, who, &err);
    }
}

static void much_to_read(pair *p) {
    much_to_say(p);
    assert_int_equal(pair_sync(p, 1), LP_OK);
}

/* ---- deeds ---- */

static void save(pair *p) {
    lp_err err;
    uint32_t made = pair_make_lead(p, 0, &err);
    if (lives(p, 0))
        pair_set(p, 0, "company", (uint32_t[]){0, 1}, 2);
    if (lives(p, 0) && !err)
        pair_set(p, 0, "company", (uint32_t[]){0, made}, 2);
}

static void sync_first(pair *p) {
    pair_sync(p, 0);
}

static void sync_second(pair *p) {
    pair_sync(p, 1);
}

static void sync_both(pair *p) {
    pair_sync(p, 0);
    pair_sync(p, 1);
}

static void save_and_sync(pair *p) {
    save(p);
    if (lives(p, 0))
        pair_sync(p, 0);
}

/* A clock an hour off is set right: what is unsent gets new stamps. */
static void sync_with_wrong_clock(pair *p) {
    p->devices[0].off_ms = 3600000;
    pair_set(p, 0, "notes", (uint32_t[]){1}, 1);
    if (lives(p, 0))
        pair_sync(p, 0);
}

/* The clock of the device is set back: what is saved from now on is still later than what was saved before. */
static void save_with_clock_set_back(pair *p) {
    p->devices[0].off_ms = -3600000;
    save(p);
    if (lives(p, 0))
        pair_set(p, 0, "company", (uint32_t[]){0, 1}, 2);
}

/* Closing writes the log back into the file. */
static void restart_device(pair *p) {
    lp_error error;
    save_and_sync(p);
    pair_close_device(p, 0);
    lp_err err = lives(p, 0) ? pair_open_device(p, 0, &error) : LP_OK;
    p->refusal = err ? err : p->refusal;
}

/* As after an eviction: what was removed leaves the log and the middles of pages. */
static void scrub(pair *p) {
    replica *r = p->devices[0].replica;
    lp_error error;
    lp_err err = replica_begin(r, &error);
    if (!err)
        err = replica_scrub_later(r, &error);
    if (!err)
        err = replica_commit(r, &error);
    else
        replica_rollback(r);
    p->refusal = err ? err : p->refusal;
    replica_checkpoint(r, false);
}

static void restart_server(pair *p) {
    lp_error error;
    pair_sync(p, 0);
    pair_close_server(p);
    lp_err err = vfs_is_off(p->disk) ? LP_OK : pair_open_server(p, &error);
    p->refusal = err ? err : p->refusal;
}

const deed deeds[] = {
    {"save", some_leads, save, 0},
    {"push", much_to_say, sync_first, 0},
    {"pull", much_to_read, sync_first, 0},
    {"clock correction", much_to_say, sync_with_wrong_clock, 0},
    {"clock set back", much_to_read, save_with_clock_set_back, 0},
    {"device restart", much_to_read, restart_device, 0},
    {"scrub", much_to_read, scrub, 0},
    {"second device", much_to_say, sync_second, 1},
    {"server commit", much_to_say, sync_first, 2},
    {"server commits of two", much_to_say, sync_both, 2},
    {"server restart", much_to_read, restart_server, 2},
};

const size_t deed_count = sizeof deeds / sizeof deeds[0];
