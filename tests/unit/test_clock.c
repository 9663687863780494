/* test_clock.c - server time on a device: within a boot by the time since boot, over boots by contacts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client/replica/clock.h"
#include "client/replica/history.h"
#include "client/replica/outbox.h"
#include "proto/change.h"
#include "tests/support/rig.h"
#include "tests/support/short_memory.h"

#define SECOND_MS INT64_C(1000)
#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

/* A rig whose three clocks are apart: `true_ms` is the server's, the wall is off by `wall_off_ms`, a boot began at `boot_at_ms`. */
typedef struct bench {
    rig rig;
    int64_t true_ms, wall_off_ms, boot_at_ms;
    uint8_t boots;
} bench;

static int64_t bench_wall(void *ctx) {
    const bench *b = ctx;
    return (int64_t)((uint64_t)b->true_ms + (uint64_t)b->wall_off_ms);
}

static int64_t bench_boot(void *ctx) {
    const bench *b = ctx;
    return b->true_ms - b->boot_at_ms;
}

static void bench_random(void *ctx, void *bytes, size_t size) {
    prop_bytes(&((bench *)ctx)->rig.random, bytes, size);
}

static void bench_boot_id(void *ctx, uint8_t id_out[16]) {
    memset(id_out, ((const bench *)ctx)->boots, 16);
}

/* The device starts anew, with its wall clock off by so much. */
static void reboot(bench *b, int64_t wall_off_ms) {
    b->boots++;
    b->boot_at_ms = b->true_ms - 20 * SECOND_MS;
    b->wall_off_ms = wall_off_ms;
    rig_reopen(&b->rig);
}

static void begin(bench *b) {
    memset(b, 0, sizeof *b);
    rig_open(&b->rig, true);
    b->true_ms = RIG_START_MS;
    b->boots = 100; /* the rig joined in a boot of its own */
    b->rig.env = (lp_env){b, bench_wall, bench_boot, bench_random, bench_boot_id};
    reboot(b, 0);
}

static void say(bench *b, int64_t server_ms, int64_t error_ms) {
    clock_sample sample = {bench_boot(b), server_ms, error_ms};
    assert_int_equal(replica_begin(b->rig.replica, NULL), LP_OK);
    assert_int_equal(clock_contact(b->rig.replica, &sample, NULL), LP_OK);
    assert_int_equal(replica_commit(b->rig.replica, NULL), LP_OK);
}

static void reach(bench *b) {
    say(b, b->true_ms, 0);
}

static void restamp(bench *b) {
    assert_int_equal(replica_begin(b->rig.replica, NULL), LP_OK);
    assert_int_equal(outbox_restamp(b->rig.replica, 0, RESTAMP_ESTIMATE, NULL), LP_OK);
    assert_int_equal(replica_commit(b->rig.replica, NULL), LP_OK);
}

static int64_t ms_of(bench *b, const lp_id *id) {
    stamp at;
    assert_true(rig_get(&b->rig, id, "full_name", &at, NULL));
    return stamp_ms(at);
}

static uint64_t freeze(bench *b) {
    uint64_t number;
    assert_int_equal(replica_begin(b->rig.replica, NULL), LP_OK);
    assert_int_equal(outbox_freeze(b->rig.replica, OUTBOX_BATCH_BYTES, &number, NULL), LP_OK);
    assert_int_equal(replica_commit(b->rig.replica, NULL), LP_OK);
    return number;
}

static int64_t uncertain(bench *b) {
    return rig_count(&b->rig, "SELECT count(*) FROM outbox WHERE uncertain = 1");
}

/* ---- the estimate ---- */

static void within_a_boot_the_wall_clock_may_jump_as_it_likes(void **state) {
    bench b;
    (void)state;
    begin(&b);
    lp_id first = rig_make_lead(&b.rig, "first");
    static const int64_t jumps[] = {-RIG_START_MS, HOUR_MS, -HOUR_MS, INT64_C(2500000000000), INT64_C(1) << 60};
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        b.wall_off_ms = jumps[i];
        b.true_ms += 5 * SECOND_MS;
        lp_id next = rig_make_lead(&b.rig, "next");
        assert_int_equal(ms_of(&b, &next), b.true_ms);
        assert_int_equal(clock_now_ms(b.rig.replica), b.true_ms);
    }
    assert_int_equal(ms_of(&b, &first), RIG_START_MS);
    rig_close(&b.rig);
}

static void a_contact_moves_the_estimate_and_the_next_boots_first_guess(void **state) {
    bench b;
    (void)state;
    begin(&b);
    reboot(&b, HOUR_MS);
    assert_int_equal(clock_now_ms(b.rig.replica), b.true_ms + HOUR_MS);
    reach(&b);
    assert_int_equal(clock_now_ms(b.rig.replica), b.true_ms);
    b.true_ms += DAY_MS;
    reboot(&b, HOUR_MS);
    assert_int_equal(clock_now_ms(b.rig.replica), b.true_ms);
    rig_make_lead(&b.rig, "in this boot");
    assert_int_equal(clock_now_ms(b.rig.replica), b.true_ms);
    rig_close(&b.rig);
}

static void no_clock_shows_a_time_before_the_last_contact(void **state) {
    bench b;
    (void)state;
    begin(&b);
    reach(&b);
    int64_t reached_ms = b.true_ms;
    b.true_ms += DAY_MS;
    static const int64_t walls[] = {0, INT64_C(978307200000), -1, INT64_MIN};
    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        reboot(&b, (int64_t)((uint64_t)walls[i] - (uint64_t)b.true_ms));
        assert_int_equal(clock_now_ms(b.rig.replica), reached_ms);
        b.true_ms += 1;
        lp_id id = rig_make_lead(&b.rig, "1970, 2001 or nonsense");
        assert_true(ms_of(&b, &id) >= reached_ms && ms_of(&b, &id) < reached_ms + 2 * SECOND_MS);
    }
    rig_close(&b.rig);
}

static void the_years_2038_and_2106_and_the_end_of_stamps_are_taken(void **state) {
    bench b;
    (void)state;
    begin(&b);
    static const int64_t walls[] = {INT64_C(0x7fffffff) * 1000, INT64_C(0xffffffff) * 1000, STAMP_MS_MAX, INT64_MAX};
    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        reboot(&b, (int64_t)((uint64_t)walls[i] - (uint64_t)b.true_ms));
        lp_id id = rig_make_lead(&b.rig, "far ahead");
        assert_true(ms_of(&b, &id) == (walls[i] < STAMP_MS_MAX ? walls[i] : STAMP_MS_MAX));
        lp_id next = rig_make_lead(&b.rig, "and on");
        assert_true(ms_of(&b, &next) >= ms_of(&b, &id));
    }
    reboot(&b, 0);
    reach(&b);
    restamp(&b);
    lp_id now = rig_make_lead(&b.rig, "back");
    assert_true(ms_of(&b, &now) - b.true_ms <= SECOND_MS);
    rig_close(&b.rig);
}

/* ---- samples ---- */

static bool wants(bench *b, int64_t off_ms, int64_t error_ms) {
    clock_sample sample = {bench_boot(b), b->true_ms + off_ms, error_ms};
    return clock_wants(b->rig.replica, &sample);
}

static void a_sample_is_kept_if_it_tells_something(void **state) {
    bench b;
    (void)state;
    begin(&b);
    assert_true(wants(&b, 0, 10)); /* the first of a boot */
    rig_make_lead(&b.rig, "written before any contact");
    assert_true(wants(&b, 0, 10));
    say(&b, b.true_ms, 300);
    assert_false(wants(&b, 0, 10));     /* nothing moves */
    assert_false(wants(&b, 200, 400));  /* moves, but is worse */
    assert_true(wants(&b, 200, 100));   /* moves, and is better */
    assert_true(wants(&b, 5000, 1000)); /* what is known cannot be right */
    assert_true(wants(&b, -5000, 1000));
    b.true_ms += 2 * HOUR_MS;
    assert_true(wants(&b, 0, 100)); /* as good, and later */
    assert_true(wants(&b, 0, 650)); /* extrapolating may be wrong by as much: 50 ppm of two hours */
    assert_false(wants(&b, 0, 700));
    rig_close(&b.rig);
}

static void what_a_slow_answer_leaves_open_stays_as_it_is(void **state) {
    bench b;
    (void)state;
    begin(&b);
    rig_make_lead(&b.rig, "by the wall clock");
    static const int64_t said_ms[] = {-1500, 1500, -5000, 5000}, becomes_ms[] = {0, 0, -5000, 5000};
    for (int i = 0; i < 4; i++) {
        clock_sample sample = {bench_boot(&b), b.true_ms + said_ms[i], 2000};
        clock_fit(b.rig.replica, &sample);
        assert_int_equal(sample.server_ms, b.true_ms + becomes_ms[i]);
    }
    rig_close(&b.rig);
}

static void a_contact_that_contradicts_others_removes_them(void **state) {
    bench b;
    (void)state;
    begin(&b);
    lp_id id = rig_make_lead(&b.rig, "before");
    say(&b, b.true_ms + 10 * 365 * DAY_MS, 0); /* the server is in 2036 */
    b.true_ms += HOUR_MS;
    rig_make_lead(&b.rig, "between");
    say(&b, b.true_ms, 0);
    assert_int_equal(rig_count(&b.rig, "SELECT count(*) FROM contact WHERE error_ms = 0"), 1);
    restamp(&b);
    assert_int_equal(ms_of(&b, &id), RIG_START_MS);
    /* And one from before its clock was set right, in the other direction. */
    b.true_ms += HOUR_MS;
    say(&b, b.true_ms + DAY_MS, 0);
    assert_int_equal(rig_count(&b.rig, "SELECT count(*) FROM contact WHERE error_ms = 0"), 1);
    rig_close(&b.rig);
}

static void contacts_that_nothing_needs_are_forgotten(void **state) {
    bench b;
    (void)state;
    begin(&b);
    for (int i = 0; i < 50; i++) {
        if (i % 10 == 0)
            reboot(&b, 0);
        b.true_ms += HOUR_MS;
        reach(&b);
    }
    assert_true(rig_count(&b.rig, "SELECT count(*) FROM contact") <= 12);
    assert_true(rig_count(&b.rig, "SELECT count(*) FROM boot") <= 6);
    rig_make_lead(&b.rig, "one");
    uint64_t number = freeze(&b);
    outbox_outcome outcome;
    assert_int_equal(replica_begin(b.rig.replica, NULL), LP_OK);
    assert_int_equal(outbox_settle(b.rig.replica, number, SPAN_LITERAL("\x90"), 1, &outcome, NULL), LP_OK);
    assert_int_equal(replica_commit(b.rig.replica, NULL), LP_OK);
    reboot(&b, 0);
    reach(&b);
    assert_true(rig_count(&b.rig, "SELECT count(*) FROM contact") <= 3);
    assert_true(rig_count(&b.rig, "SELECT count(*) FROM boot") <= 2);
    rig_close(&b.rig);
}

/* ---- the line ---- */

static void a_boot_in_which_the_server_was_reached_is_interpolated(void **state) {
    bench b;
    lp_id ids[5];
    (void)state;
    begin(&b);
    reboot(&b, -DAY_MS);
    reach(&b);
    for (int i = 0; i < 5; i++) {
        b.true_ms += DAY_MS;
        ids[i] = rig_make_lead(&b.rig, "a day");
    }
    /* Since the first contact the device's quartz has lost 10 s. */
    say(&b, b.true_ms + 10 * SECOND_MS, 0);
    restamp(&b);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ms_of(&b, &ids[i]), RIG_START_MS + (i + 1) * (DAY_MS + 2 * SECOND_MS));
    freeze(&b);
    assert_int_equal(uncertain(&b), 0);
    rig_close(&b.rig);
}

static void what_was_made_before_the_first_contact_of_its_boot_is_placed_by_it(void **state) {
    bench b;
    (void)state;
    begin(&b);
    reboot(&b, 365 * DAY_MS);
    lp_id id = rig_make_lead(&b.rig, "a year ahead");
    int64_t made_ms = b.true_ms;
    b.true_ms += HOUR_MS;
    reach(&b);
    restamp(&b);
    assert_int_equal(ms_of(&b, &id), made_ms);
    /* In the boot after, it is remembered. */
    b.true_ms += HOUR_MS;
    reboot(&b, 0);
    reach(&b);
    restamp(&b);
    assert_int_equal(ms_of(&b, &id), made_ms);
    freeze(&b);
    assert_int_equal(uncertain(&b), 0);
    rig_close(&b.rig);
}

/* A day of work between many contacts: each lead is placed by the two around it. */
static void between_many_contacts_the_two_around_it_count(void **state) {
    enum { COUNT = 40 };
    bench b;
    lp_id ids[COUNT];
    int64_t made_ms[COUNT];
    (void)state;
    begin(&b);
    reboot(&b, -DAY_MS);
    for (int i = 0; i < COUNT; i++) {
        b.true_ms += HOUR_MS;
        ids[i] = rig_make_lead(&b.rig, "an hour");
        made_ms[i] = b.true_ms;
        b.true_ms += HOUR_MS;
        reach(&b);
    }
    restamp(&b);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(ms_of(&b, &ids[i]), made_ms[i]);
    freeze(&b);
    assert_int_equal(uncertain(&b), 0);
    rig_close(&b.rig);
}

static void other_boots_keep_their_order_between_the_contacts_and_are_marked(void **state) {
    bench b;
    lp_id ids[4];
    static const int64_t off_ms[] = {-RIG_START_MS, 3650 * DAY_MS, -HOUR_MS, HOUR_MS};
    (void)state;
    begin(&b);
    reach(&b);
    int64_t before_ms = b.true_ms, last = before_ms - 1;
    for (int i = 0; i < 4; i++) {
        b.true_ms += 2 * HOUR_MS;
        reboot(&b, off_ms[i]);
        ids[i] = rig_make_lead(&b.rig, "somewhen");
    }
    b.true_ms += DAY_MS;
    reboot(&b, 0);
    lp_id now = rig_make_lead(&b.rig, "now");
    int64_t now_ms = b.true_ms;
    reach(&b);
    restamp(&b);
    for (int i = 0; i < 4; i++) {
        assert_true(ms_of(&b, &ids[i]) >= last && ms_of(&b, &ids[i]) <= now_ms);
        last = ms_of(&b, &ids[i]);
    }
    assert_int_equal(ms_of(&b, &now), now_ms);
    freeze(&b);
    assert_int_equal(uncertain(&b), 4);
    rig_close(&b.rig);
}

static void the_mark_travels_and_stays_in_the_authors_own_log(void **state) {
    bench b;
    buf bytes = {0};
    uint64_t count;
    changes_reader reader;
    change_set set;
    outbox_outcome outcome;
    (void)state;
    begin(&b);
    lp_id id = rig_make_lead(&b.rig, "somewhen");
    b.true_ms += HOUR_MS;
    reboot(&b, 0);
    uint64_t number = freeze(&b);
    assert_int_equal(outbox_encode(b.rig.replica, number, &bytes, &count, NULL), LP_OK);
    assert_int_equal(changes_open(&reader, buf_span(&bytes), NULL), LP_OK);
    assert_true(changes_next(&reader, &set) && set.uncertain);
    assert_int_equal(stamp_ms(set.stamp) + set.skew_ms, RIG_START_MS);
    changes_close(&reader);
    buf_fini(&bytes);
    for (int settled = 0; settled < 2; settled++) {
        lp_log *log;
        lp_change change;
        assert_int_equal(history_list(b.rig.replica, &id, &log, NULL), LP_OK);
        assert_int_equal(lp_log_at(log, 0, &change), LP_OK);
        assert_int_equal(change.state, settled ? LP_CHANGE_CURRENT : LP_CHANGE_UNSENT);
        assert_int_equal(change.time_uncertain, 1);
        lp_log_free(log);
        assert_int_equal(replica_begin(b.rig.replica, NULL), LP_OK);
        assert_int_equal(outbox_settle(b.rig.replica, number, SPAN_LITERAL("\x90"), 1, &outcome, NULL), LP_OK);
        assert_int_equal(replica_commit(b.rig.replica, NULL), LP_OK);
    }
    rig_close(&b.rig);
}

/* The wall was an hour ahead in a boot without contact, and is right in the next: causality puts the next boot's stamps ahead too. */
static void what_followed_a_clock_ahead_comes_to_its_place_before_it_is_sent(void **state) {
    bench b;
    (void)state;
    begin(&b);
    reach(&b);
    reboot(&b, HOUR_MS);
    lp_id ahead = rig_make_lead(&b.rig, "an hour ahead");
    b.true_ms += 60 * SECOND_MS;
    reboot(&b, 0);
    lp_id right = rig_make_lead(&b.rig, "on time");
    int64_t made_ms = b.true_ms;
    assert_true(ms_of(&b, &right) >= ms_of(&b, &ahead));
    b.true_ms += 2 * HOUR_MS;
    rig_start(&b.rig, true);
    rig_channel(&b.rig, "b");
    assert_int_equal(ms_of(&b, &right), made_ms);
    assert_true(ms_of(&b, &ahead) <= made_ms);
    assert_int_equal(b.rig.sent[0].message.now_ms, b.true_ms);
    assert_int_equal(b.rig.sent[1].message.batch, 1);
    rig_close(&b.rig);
}

/* An outbox over many boots, some with contact, and one stamp far ahead. */
static void write_much(bench *b) {
    for (int i = 0; i < 6; i++) {
        b->true_ms += HOUR_MS;
        reboot(b, i % 3 ? HOUR_MS : -HOUR_MS);
        if (i % 4)
            reach(b);
        for (int k = 0; k < 2; k++) {
            b->true_ms += SECOND_MS;
            rig_make_lead(&b->rig, "one of many");
        }
        if (i % 4 == 2)
            reach(b);
    }
}

/* All that the clock does, in one transaction. */
static lp_err do_all(bench *b, lp_error *error) {
    replica *r = b->rig.replica;
    stamp at;
    uint64_t number;
    clock_sample said = {bench_boot(b), b->true_ms, 0};
    clock_wants(r, &said);
    lp_err err = replica_begin(r, error);
    if (err)
        return err;
    err = clock_stamp(r, (uint64_t)(b->true_ms + DAY_MS) << 16, &at, error);
    if (!err)
        err = outbox_freeze(r, OUTBOX_BATCH_BYTES, &number, error);
    if (!err)
        err = clock_contact(r, &said, error);
    if (!err)
        err = outbox_restamp(r, 0, RESTAMP_ESTIMATE, error);
    if (!err)
        err = replica_commit(r, error);
    else
        replica_rollback(r);
    return err;
}

static void want_of_memory_leaves_all_as_it_was(void **state) {
    bench b;
    (void)state;
    if (!short_memory_works())
        skip();
    begin(&b);
    write_much(&b);
    b.true_ms += HOUR_MS;
    b.boots++; /* a boot that is not known yet */
    b.boot_at_ms = b.true_ms;
    int64_t entries = rig_unsent(&b.rig);
    uint64_t failed = 0;
    bool made = true;
    for (uint64_t i = 0; made; i += 1 + i / 50) {
        lp_error error;
        rig_reopen(&b.rig);
        int64_t corrections = replica_meta_int(b.rig.replica, "clock.corrections", 0);
        short_memory_fail(i, 1);
        lp_err err = do_all(&b, &error);
        made = short_memory_end() > i; /* else nothing failed any more */
        failed += err != LP_OK;
        assert_true(err == LP_OK || err == LP_NOMEM || err == LP_IO);
        assert_int_equal(replica_meta_int(b.rig.replica, "clock.corrections", 0), corrections + !err);
        assert_int_equal(rig_unsent(&b.rig), entries);
    }
    assert_true(failed > 50);
    assert_true(rig_digest_holds(&b.rig));
    rig_close(&b.rig);
}

static void one_stamp_serves_a_transaction_whatever_it_saw(void **state) {
    bench b;
    stamp at, again;
    (void)state;
    begin(&b);
    assert_int_equal(replica_begin(b.rig.replica, NULL), LP_OK);
    uint64_t seen = (uint64_t)(b.true_ms + 1000) << 16;
    assert_int_equal(clock_stamp(b.rig.replica, seen, &at, NULL), LP_OK);
    assert_true(at.time == seen + 2);
    assert_int_equal(clock_stamp(b.rig.replica, 0, &again, NULL), LP_OK);
    assert_true(again.time == seen + 4); /* near enough to be the device's own */
    seen = (uint64_t)(b.true_ms + DAY_MS) << 16;
    assert_int_equal(clock_stamp(b.rig.replica, seen, &at, NULL), LP_OK);
    assert_true(at.time == seen + 2);
    assert_int_equal(clock_stamp(b.rig.replica, 0, &again, NULL), LP_OK);
    assert_true(again.time < seen); /* too far: it stays with the record */
    assert_int_equal(replica_commit(b.rig.replica, NULL), LP_OK);
    rig_close(&b.rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_a_boot_the_wall_clock_may_jump_as_it_likes),
        cmocka_unit_test(a_contact_moves_the_estimate_and_the_next_boots_first_guess),
        cmocka_unit_test(no_clock_shows_a_time_before_the_last_contact),
        cmocka_unit_test(the_years_2038_and_2106_and_the_end_of_stamps_are_taken),
        cmocka_unit_test(a_sample_is_kept_if_it_tells_something),
        cmocka_unit_test(what_a_slow_answer_leaves_open_stays_as_it_is),
        cmocka_unit_test(a_contact_that_contradicts_others_removes_them),
        cmocka_unit_test(contacts_that_nothing_needs_are_forgotten),
        cmocka_unit_test(a_boot_in_which_the_server_was_reached_is_interpolated),
        cmocka_unit_test(what_was_made_before_the_first_contact_of_its_boot_is_placed_by_it),
        cmocka_unit_test(between_many_contacts_the_two_around_it_count),
        cmocka_unit_test(other_boots_keep_their_order_between_the_contacts_and_are_marked),
        cmocka_unit_test(the_mark_travels_and_stays_in_the_authors_own_log),
        cmocka_unit_test(what_followed_a_clock_ahead_comes_to_its_place_before_it_is_sent),
        cmocka_unit_test(want_of_memory_leaves_all_as_it_was),
        cmocka_unit_test(one_stamp_serves_a_transaction_whatever_it_saw),
    };
    return cmocka_run_group_tests_name("unit_clock", tests, NULL, NULL);
}
