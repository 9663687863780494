/* test_copies.c - a real client core meets a server that has lost what it acknowledged, and copies of itself: what it writes is never lost, and
 * nobody has to do anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/world.h"

static world *make(uint32_t devices) {
    world_options options = {.engine = &store_sqlite_ops, .devices = devices, .seed = 5, .name = "integration_copies"};
    return world_new(&options);
}

static void expect_text(world *w, uint32_t who, uint32_t lead, const char *field, const char *wanted) {
    char text[256];
    assert_string_equal(world_text(w, who, lead, field, text), wanted);
}

static uint32_t number_of(const world *w, uint32_t who) {
    return w->devices[who].replica->clock.author;
}

static void a_device_brings_back_what_a_restored_server_has_lost(void **state) {
    (void)state;
    world *w = make(1);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    world_server_backup(w, "monday.db");
    world_set(w, 0, lead, "company", "first");
    world_settle(w, false);
    world_set(w, 0, lead, "company", "second"); /* the first has lost by then */
    uint32_t late = world_make_lead(w, 0, "Zhang Min");
    world_settle(w, false);
    assert_int_equal(world_device_count(&w->devices[0], "SELECT count(*) FROM kept"), 3);
    world_server_restore(w, "monday.db");
    world_settle(w, true);
    expect_text(w, 0, lead, "company", "second");
    expect_text(w, 0, late, "full_name", "Zhang Min");
    world_check(w);
    world_server_restore(w, "monday.db"); /* and once more: it still has it */
    world_settle(w, false);
    world_check(w);
    world_free(w);
}

/* What awaits review has no number of its own: the pool may stand where it stood when it was backed up. */
static void what_went_to_review_is_brought_back_after_each_restore(void **state) {
    (void)state;
    world *w = make(2);
    world_settle(w, false);
    world_revoke(w, 1);
    world_server_backup(w, "monday.db");
    world_make_lead(w, 1, "Li Wei");
    world_settle(w, false);
    for (int i = 0; i < 2; i++) {
        world_server_restore(w, "monday.db");
        world_settle(w, false);
        assert_true(world_in_review(w, &w->typed[0]));
    }
    world_check(w);
    world_free(w);
}

static void what_every_backup_has_is_kept_no_longer(void **state) {
    (void)state;
    world *w = make(1);
    world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    assert_int_equal(world_device_count(&w->devices[0], "SELECT count(*) FROM kept"), 1);
    world_server_backup(w, "monday.db");
    world_settle(w, false);
    assert_int_equal(world_device_count(&w->devices[0], "SELECT count(*) FROM kept"), 0);
    world_free(w);
}

/* A backup older than any that counts is put in place all the same. */
static void what_was_forgotten_too_early_is_offered_from_what_stands(void **state) {
    (void)state;
    world *w = make(1);
    world_settle(w, false);
    world_server_backup(w, "old.db");
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    w->now_ms += w->pool.backup_retention_ms + 1000;
    world_server_backup(w, "new.db");
    world_settle(w, false);
    assert_int_equal(world_device_count(&w->devices[0], "SELECT count(*) FROM kept"), 0);
    world_server_restore(w, "old.db");
    world_settle(w, false);
    expect_text(w, 0, lead, "full_name", "Li Wei");
    world_check(w);
    world_free(w);
}

/* What its author replaced, and what somebody else did, no backup that counts is without: it stands nowhere, and is offered by nobody. What
 * stands says, rightly, that its author saw it. */
static void what_was_forgotten_and_replaced_stays_in_its_authors_past(void **state) {
    (void)state;
    world *w = make(2);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    world_server_backup(w, "old.db");
    world_set(w, 0, lead, "company", "replaced by its author");
    world_set(w, 0, lead, "city", "replaced by somebody else");
    world_settle(w, false);
    w->now_ms += w->pool.backup_retention_ms + 1000;
    world_server_backup(w, "new.db");
    world_settle(w, false);
    assert_int_equal(world_device_count(&w->devices[0], "SELECT count(*) FROM kept"), 0);
    world_set(w, 0, lead, "company", "written later");
    world_set(w, 1, lead, "city", "written by somebody else");
    world_settle(w, false);
    world_server_restore(w, "old.db");
    world_settle(w, false);
    for (uint32_t who = 0; who < 2; who++) {
        expect_text(w, who, lead, "company", "written later");
        expect_text(w, who, lead, "city", "written by somebody else");
    }
    assert_int_equal(world_device_count(&w->devices[0], "SELECT count(*) FROM past"), 2);
    world_check(w);
    world_free(w);
}

static void an_offer_cut_short_goes_on_where_it_was(void **state) {
    (void)state;
    world *w = make(1);
    world_server_backup(w, "empty.db");
    for (int i = 0; i < 20; i++) {
        world_make_lead(w, 0, "Li Wei");
        world_settle(w, false);
    }
    world_server_restore(w, "empty.db");
    w->faults = (world_faults){.delay_min_ms = 1, .delay_max_ms = 20, .cut_percent = 40, .commit_max_ms = 5};
    for (int i = 0; i < 20; i++) {
        world_device_start(&w->devices[0], false);
        world_run(w, 3000);
        if (i % 5 == 4) {
            world_device_restart(&w->devices[0], false);
        }
    }
    world_settle(w, false);
    world_check(w);
    world_free(w);
}

/* It has read nothing that would tell by a cursor. Its next batch must not fill the gap: what was acknowledged would never be missed. */
static void a_batch_that_follows_what_a_set_back_server_lacks_does_not_hide_it(void **state) {
    (void)state;
    world *w = make(1);
    w->faults = (world_faults){.delay_min_ms = 50, .delay_max_ms = 50};
    world_server_backup(w, "copy.db");
    uint32_t lost = world_make_lead(w, 0, "Li Wei");
    world_device_start(&w->devices[0], false);
    while (world_device_count(&w->devices[0], "SELECT count(*) FROM outbox"))
        assert_true(world_step(w, w->now_ms + 60000));
    assert_int_equal(world_device_cursor(&w->devices[0], "pool"), 0);
    world_cut(w, (uint32_t)w->devices[0].link);
    world_device_stop(&w->devices[0]);
    world_server_set_back(w, "copy.db");
    uint32_t next = world_make_lead(w, 0, "Zhang Min");
    world_device_start(&w->devices[0], false);
    while (!w->jobs || w->jobs->kind != JOB_PUSH)
        assert_true(world_step(w, w->now_ms + 60000));
    while (w->jobs)
        assert_true(world_step(w, w->now_ms + 60000));
    world_cut(w, (uint32_t)w->devices[0].link); /* before any answer */
    world_settle(w, false);
    expect_text(w, 0, lost, "full_name", "Li Wei");
    expect_text(w, 0, next, "full_name", "Zhang Min");
    world_check(w);
    world_free(w);
}

/* It says that a repair has lost nothing, and does not know that it was set back before. */
static void a_pool_set_back_whose_clock_is_repaired_before_anybody_calls_gets_back_what_it_lacks(void **state) {
    (void)state;
    world *w = make(1);
    uint8_t token[INVITE_TOKEN_BYTES];
    world_settle(w, false);
    world_server_backup(w, "copy.db");
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    w->server_wall_off_ms = 3600000;
    world_server_set_back(w, "copy.db");
    world_invite(w, "Zhang Min", "manager", token); /* a commit at a time that has not come */
    world_heal_server_clock(w);
    assert_int_equal(w->repairs, 1);
    world_settle(w, false);
    expect_text(w, 0, lead, "full_name", "Li Wei");
    world_check(w);
    world_free(w);
}

static void two_copies_go_on_as_two_devices_and_neither_loses_anything(void **state) {
    (void)state;
    world *w = make(1);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    world_set(w, 0, lead, "company", "unsent when it was copied");
    vfs_image *phone = world_device_copy(w, 0);
    assert_true(world_device_clone(w, 0, phone));
    vfs_image_free(phone);
    world_set(w, 0, lead, "job_title", "on the first");
    uint32_t second = world_make_lead(w, 1, "made on the copy");
    uint32_t before = number_of(w, 0);
    world_settle(w, false);
    assert_int_not_equal(number_of(w, 0), number_of(w, 1));
    assert_true(number_of(w, 0) == before || number_of(w, 1) == before);
    for (uint32_t who = 0; who < 2; who++) {
        expect_text(w, who, lead, "company", "unsent when it was copied");
        expect_text(w, who, lead, "job_title", "on the first");
        expect_text(w, who, second, "full_name", "made on the copy");
    }
    world_check(w);
    world_free(w);
}

static void a_copy_that_only_waits_learns_of_it_when_the_other_writes(void **state) {
    (void)state;
    world *w = make(1);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    vfs_image *phone = world_device_copy(w, 0);
    assert_true(world_device_clone(w, 0, phone));
    vfs_image_free(phone);
    w->faults = (world_faults){.delay_min_ms = 1, .delay_max_ms = 20, .commit_max_ms = 5};
    world_device_start(&w->devices[1], true);
    world_run(w, 3000); /* it waits for news */
    world_set(w, 0, lead, "company", "under the number of both");
    world_device_start(&w->devices[0], true);
    world_run(w, 60000); /* nothing is said to have diverged meanwhile: world_device.c looks */
    expect_text(w, 1, lead, "company", "under the number of both");
    assert_int_not_equal(number_of(w, 0), number_of(w, 1));
    world_settle(w, false);
    world_check(w);
    world_free(w);
}

/* The clock is set right between the other's hello and its own push: the number it gives up for that is the one its twin uses. */
static void a_copy_that_skips_the_number_its_twin_has_used_is_noticed(void **state) {
    (void)state;
    world *w = make(1);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    vfs_image *phone = world_device_copy(w, 0);
    assert_true(world_device_clone(w, 0, phone));
    vfs_image_free(phone);
    world_set(w, 0, lead, "company", "under the number of both");
    w->devices[1].wall_offset_ms = 3600000;
    world_device_restart(&w->devices[1], true);
    w->faults = (world_faults){.delay_min_ms = 10, .delay_max_ms = 10};
    world_device_start(&w->devices[1], false);
    world_run(w, 12); /* it has greeted, with nothing to send */
    world_device_start(&w->devices[0], false);
    world_run(w, 16);
    world_set(w, 1, lead, "job_title", "while it is told what time it is");
    world_run(w, 1000);
    assert_true(w->devices[1].clock_answers > 0);
    world_settle(w, false);
    assert_int_not_equal(number_of(w, 0), number_of(w, 1));
    for (uint32_t who = 0; who < 2; who++) {
        expect_text(w, who, lead, "company", "under the number of both");
        expect_text(w, who, lead, "job_title", "while it is told what time it is");
    }
    world_check(w);
    world_free(w);
}

static void a_phone_set_back_reads_again_what_it_had_written_since(void **state) {
    (void)state;
    world *w = make(1);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    vfs_image *phone = world_device_copy(w, 0);
    world_set(w, 0, lead, "company", "written later");
    world_settle(w, false);
    uint32_t before = number_of(w, 0);
    world_device_roll_back(w, 0, phone);
    vfs_image_free(phone);
    world_set(w, 0, lead, "job_title", "written before it noticed");
    world_settle(w, true);
    assert_int_not_equal(number_of(w, 0), before);
    lp_sync_result result = {0};
    client_result(w->devices[0].session, &result);
    assert_true(result.rejoined == number_of(w, 0) || result.rejoined == 0); /* told once, by the sync that did it */
    expect_text(w, 0, lead, "company", "written later");
    expect_text(w, 0, lead, "job_title", "written before it noticed");
    world_check(w);
    world_free(w);
}

/* Two faults at once. Whoever had seen what is lost, and replaced it, goes on saying so. */
static void what_a_phone_and_the_pool_were_both_set_back_behind_is_replaced_all_the_same(void **state) {
    (void)state;
    world *w = make(2);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    vfs_image *phone = world_device_copy(w, 0);
    uint32_t copied_at = w->typed_count;
    world_server_backup(w, "early.db");
    world_set(w, 0, lead, "company", "lost by both");
    world_settle(w, false);
    world_set(w, 1, lead, "company", "written over it");
    world_server_restore(w, "early.db");
    world_forgive(w, 0, copied_at);
    world_device_roll_back(w, 0, phone);
    vfs_image_free(phone);
    world_settle(w, false);
    for (uint32_t who = 0; who < 2; who++)
        expect_text(w, who, lead, "company", "written over it");
    world_check(w);
    world_free(w);
}

static void a_device_that_joined_after_the_backup_is_not_locked_out(void **state) {
    (void)state;
    world *w = make(0);
    uint8_t token[INVITE_TOKEN_BYTES];
    world_server_backup(w, "empty.db");
    world_invite(w, "Zhang Min", "manager", token);
    w->options.devices = 1;
    world_device_open(w, 0, true);
    world_device_join(w, 0, token);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    world_set(w, 0, lead, "company", "unsent");
    world_server_restore(w, "empty.db");
    world_settle(w, false);
    expect_text(w, 0, lead, "company", "unsent");
    world_check(w);
    world_free(w);
}

static void a_device_that_a_restored_pool_does_not_know_can_be_revoked_once_it_has_called(void **state) {
    (void)state;
    world *w = make(1);
    uint8_t token[INVITE_TOKEN_BYTES];
    world_server_backup(w, "early.db");
    world_invite(w, "Zhang Min", "manager", token);
    w->options.devices = 2;
    world_device_open(w, 1, true);
    world_device_join(w, 1, token);
    world_settle(w, false);
    world_server_restore(w, "early.db");
    world_revoke(w, 1);
    assert_false(w->devices[1].revoked);
    world_settle(w, false);
    world_revoke(w, 1);
    assert_true(w->devices[1].revoked);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_settle(w, false);
    assert_false(world_holds(w, 1, lead));
    world_check(w);
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_brings_back_what_a_restored_server_has_lost),
        cmocka_unit_test(what_went_to_review_is_brought_back_after_each_restore),
        cmocka_unit_test(what_every_backup_has_is_kept_no_longer),
        cmocka_unit_test(what_was_forgotten_too_early_is_offered_from_what_stands),
        cmocka_unit_test(what_was_forgotten_and_replaced_stays_in_its_authors_past),
        cmocka_unit_test(an_offer_cut_short_goes_on_where_it_was),
        cmocka_unit_test(a_batch_that_follows_what_a_set_back_server_lacks_does_not_hide_it),
        cmocka_unit_test(a_pool_set_back_whose_clock_is_repaired_before_anybody_calls_gets_back_what_it_lacks),
        cmocka_unit_test(two_copies_go_on_as_two_devices_and_neither_loses_anything),
        cmocka_unit_test(a_copy_that_only_waits_learns_of_it_when_the_other_writes),
        cmocka_unit_test(a_copy_that_skips_the_number_its_twin_has_used_is_noticed),
        cmocka_unit_test(a_phone_set_back_reads_again_what_it_had_written_since),
        cmocka_unit_test(what_a_phone_and_the_pool_were_both_set_back_behind_is_replaced_all_the_same),
        cmocka_unit_test(a_device_that_joined_after_the_backup_is_not_locked_out),
        cmocka_unit_test(a_device_that_a_restored_pool_does_not_know_can_be_revoked_once_it_has_called),
    };
    return cmocka_run_group_tests_name("integration_copies", tests, NULL, NULL);
}
