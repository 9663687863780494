/* test_restamp.c - a clock was wrong: what is unacked gets new stamps, and nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client/replica/clock.h"
#include "client/replica/outbox.h"
#include "proto/change.h"
#include "tests/support/rig.h"

#define HOUR_MS 3600000

static void freeze_and_settle(rig *r, uint64_t number, bool settle) {
    uint64_t frozen;
    outbox_outcome outcome;
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(outbox_freeze(r->replica, OUTBOX_BATCH_BYTES, &frozen, NULL), LP_OK);
    assert_int_equal(frozen, number);
    if (settle)
        assert_int_equal(outbox_settle(r->replica, number, SPAN_LITERAL("\x90"), 1, &outcome, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
}

static void restamp(rig *r, uint64_t high, int64_t delta_ms) {
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    clock_sample said = {r->now_ms, r->now_ms + delta_ms, 0};
    assert_int_equal(clock_contact(r->replica, &said, NULL), LP_OK);
    assert_int_equal(outbox_restamp(r->replica, high, RESTAMP_ESTIMATE, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
}

/* As before a hello: what is frozen stays, and the server has not said the time yet. */
static void restamp_untold(rig *r) {
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(outbox_restamp(r->replica, UINT64_MAX, RESTAMP_ESTIMATE, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
}

static void unacked_stamps_move_and_stay_in_order(void **state) {
    rig r;
    stamp before[3], after[3];
    lp_id ids[3];
    (void)state;
    rig_open(&r, true);
    for (int i = 0; i < 3; i++) {
        ids[i] = rig_make_lead(&r, "Li Wei");
        assert_true(rig_get(&r, &ids[i], "full_name", &before[i], NULL));
        r.now_ms += 1000;
    }
    restamp(&r, 0, -HOUR_MS);
    for (int i = 0; i < 3; i++) {
        assert_true(rig_get(&r, &ids[i], "full_name", &after[i], NULL));
        assert_int_equal(stamp_ms(before[i]) - stamp_ms(after[i]), HOUR_MS);
        assert_true(i == 0 || stamp_compare(after[i - 1], after[i]) < 0);
    }
    rig_close(&r);
}

#define MANY 150

static void many_stay_in_order_and_bases_among_them_follow(void **state) {
    rig r;
    static stamp before[MANY], after[MANY];
    static lp_id ids[MANY];
    (void)state;
    rig_open(&r, true);
    for (int i = 0; i < MANY; i++) {
        ids[i] = rig_make_lead(&r, "Li Wei");
        r.now_ms++;
    }
    freeze_and_settle(&r, 1, false);
    for (int i = 0; i < MANY; i++) {
        rig_set(&r, &ids[i], "full_name", "Li Wei 2");
        assert_true(rig_get(&r, &ids[i], "full_name", &before[i], NULL));
    }
    restamp(&r, 0, -HOUR_MS);
    for (int i = 0; i < MANY; i++) {
        assert_true(rig_get(&r, &ids[i], "full_name", &after[i], NULL));
        assert_true(stamp_compare(after[i], before[i]) < 0);
        assert_true(i == 0 || stamp_compare(after[i - 1], after[i]) < 0);
    }
    /* The second change of each was made on the first one. */
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM outbox a JOIN outbox b ON a.rid = b.rid AND a.base = b.stamp"),
                     MANY);
    rig_close(&r);
}

/* A stamp at the end of all time cannot be passed; nor does it drag others along. */
static void the_end_of_time_stays_where_it_is(void **state) {
    rig r;
    stamp at;
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_NOTES, "at the end of time", (stamp){UINT64_MAX, 9});
    rig_set(&r, &id, "notes", "after it");
    lp_id other = rig_make_lead(&r, "Li Wei");
    restamp(&r, 0, 0);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM outbox WHERE hex(stamp) LIKE 'FFFFFFFFFFFFFFFF%'"), 1);
    assert_true(rig_get(&r, &other, "full_name", &at, NULL));
    assert_int_equal(stamp_ms(at), r.now_ms);
    rig_close(&r);
}

/* What its author had seen is a little ahead, within what clocks may differ: it is passed, and what follows comes after. */
static void what_was_seen_a_little_ahead_is_passed_by_all_that_follows(void **state) {
    rig r;
    stamp seen = {(uint64_t)(RIG_START_MS + 1000) << 16, 99}, at, next;
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_NOTES, "a second ahead", seen);
    rig_set(&r, &id, "notes", "after it");
    lp_id other = rig_make_lead(&r, "Li Wei");
    restamp(&r, 0, 0);
    assert_true(rig_get(&r, &id, "notes", &at, NULL));
    assert_true(rig_get(&r, &other, "full_name", &next, NULL));
    assert_int_equal(at.time, seen.time + 2);
    assert_true(stamp_compare(at, next) < 0);
    rig_close(&r);
}

static void changes_of_one_moment_stay_of_one_moment(void **state) {
    rig r;
    stamp street, city;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "Li Wei");
    rig_set(&r, &id, "street", "Main St");
    restamp(&r, 0, HOUR_MS);
    assert_true(rig_get(&r, &id, "street", &street, NULL));
    assert_true(rig_get(&r, &id, "city", &city, NULL));
    assert_int_equal(stamp_compare(street, city), 0);
    assert_true(stamp_ms(street) >= RIG_START_MS + HOUR_MS);
    rig_close(&r);
}

static void bases_follow_what_they_name(void **state) {
    rig r;
    buf bytes = {0};
    uint64_t count;
    changes_reader reader;
    change_set first, second;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "one");
    freeze_and_settle(&r, 1, false);
    r.now_ms += 1000;
    rig_set(&r, &id, "full_name", "two");
    restamp(&r, 0, -HOUR_MS);
    freeze_and_settle(&r, 2, false);
    assert_int_equal(outbox_encode(r.replica, 2, &bytes, &count, NULL), LP_OK);
    assert_int_equal(changes_open(&reader, buf_span(&bytes), NULL), LP_OK);
    assert_true(changes_next(&reader, &first) && changes_next(&reader, &second));
    assert_int_equal(stamp_compare(second.base, first.stamp), 0);
    assert_int_equal(stamp_ms(second.stamp) - stamp_ms(first.stamp), 1000);
    changes_close(&reader);
    buf_fini(&bytes);
    rig_close(&r);
}

static void what_the_server_holds_stays_and_nothing_moves_below_it(void **state) {
    rig r;
    stamp held, later;
    (void)state;
    rig_open(&r, true);
    lp_id one = rig_make_lead(&r, "held, no verdict yet");
    freeze_and_settle(&r, 1, false);
    lp_id two = rig_make_lead(&r, "later");
    restamp(&r, 1, -1500);
    assert_true(rig_get(&r, &one, "full_name", &held, NULL));
    assert_true(rig_get(&r, &two, "full_name", &later, NULL));
    assert_int_equal(stamp_ms(held), RIG_START_MS);
    assert_true(stamp_compare(held, later) < 0);
    rig_close(&r);
}

static void no_stamp_is_given_twice_after_the_clock_went_back(void **state) {
    rig r;
    stamp judged, next;
    (void)state;
    rig_open(&r, true);
    lp_id one = rig_make_lead(&r, "judged");
    freeze_and_settle(&r, 1, true);
    assert_true(rig_get(&r, &one, "full_name", &judged, NULL));
    restamp(&r, 1, -1500);
    rig_reopen(&r);
    lp_id two = rig_make_lead(&r, "next");
    assert_true(rig_get(&r, &two, "full_name", &next, NULL));
    assert_true(stamp_compare(judged, next) < 0);
    restamp(&r, 1, -1500);
    assert_true(rig_get(&r, &two, "full_name", &next, NULL));
    assert_true(stamp_compare(judged, next) < 0);
    rig_close(&r);
}

static void other_boot_id(void *ctx, uint8_t id_out[16]) {
    (void)ctx;
    memset(id_out, 9, 16);
}

/* After a boot with a clock that is far behind: what the server has judged only looks ahead. */
static void no_stamp_is_given_twice_before_the_server_has_said_the_time(void **state) {
    rig r;
    stamp judged, next;
    (void)state;
    rig_open(&r, true);
    restamp(&r, 0, 0);
    r.now_ms += 10000;
    lp_id one = rig_make_lead(&r, "judged");
    freeze_and_settle(&r, 1, true);
    assert_true(rig_get(&r, &one, "full_name", &judged, NULL));
    r.env.boot_id = other_boot_id;
    r.now_ms -= HOUR_MS;
    rig_reopen(&r);
    lp_id two = rig_make_lead(&r, "next");
    restamp_untold(&r);
    assert_true(rig_get(&r, &two, "full_name", &next, NULL));
    assert_true(stamp_compare(judged, next) < 0);
    rig_close(&r);
}

/* The server's clock was an hour ahead and took what was stamped so. */
static void what_is_far_ahead_is_followed_on_its_record_only(void **state) {
    rig r;
    stamp ahead, same, other;
    (void)state;
    rig_open(&r, true);
    lp_id one = rig_make_lead(&r, "taken an hour ahead");
    freeze_and_settle(&r, 1, true);
    assert_true(rig_get(&r, &one, "full_name", &ahead, NULL));
    restamp(&r, 1, -HOUR_MS);
    lp_id two = rig_make_lead(&r, "on time");
    rig_set(&r, &one, "full_name", "later");
    lp_id three = rig_make_lead(&r, "on time too");
    for (int round = 0; round < 2; round++) {
        assert_true(rig_get(&r, &one, "full_name", &same, NULL));
        assert_true(stamp_compare(ahead, same) < 0);
        assert_true(rig_get(&r, &two, "full_name", &other, NULL));
        assert_int_equal(stamp_ms(other), RIG_START_MS - HOUR_MS);
        assert_true(rig_get(&r, &three, "full_name", &other, NULL));
        assert_int_equal(stamp_ms(other), RIG_START_MS - HOUR_MS);
        restamp(&r, 1, -HOUR_MS);
    }
    rig_close(&r);
}

/* The server has judged a change far ahead, and then one that is not: the order goes on from there. */
static void what_was_judged_since_something_far_ahead_is_not_passed(void **state) {
    rig r;
    stamp judged, next;
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "taken an hour ahead");
    freeze_and_settle(&r, 1, true);
    restamp(&r, 1, -HOUR_MS);
    lp_id two = rig_make_lead(&r, "on time");
    freeze_and_settle(&r, 2, true);
    lp_id three = rig_make_lead(&r, "next");
    restamp(&r, 2, -HOUR_MS - 500);
    assert_true(rig_get(&r, &two, "full_name", &judged, NULL));
    assert_true(rig_get(&r, &three, "full_name", &next, NULL));
    assert_int_equal(stamp_ms(judged), RIG_START_MS - HOUR_MS);
    assert_true(stamp_compare(judged, next) < 0);
    rig_close(&r);
}

/* What is held by the server, or frozen, does not move: other fields of its record stay later than it all the same. */
static void what_is_typed_later_on_a_record_stays_later_than_its_own_change_far_ahead(void **state) {
    (void)state;
    for (int settled = 0; settled < 2; settled++) {
        rig r;
        stamp ahead, later, latest, other;
        rig_open(&r, true);
        lp_id one = rig_make_lead(&r, "taken an hour ahead");
        freeze_and_settle(&r, 1, settled);
        assert_true(rig_get(&r, &one, "full_name", &ahead, NULL));
        restamp(&r, 1, -HOUR_MS);
        rig_set(&r, &one, "company", "later");
        rig_set(&r, &one, "notes", "latest");
        lp_id two = rig_make_lead(&r, "on time");
        for (int round = 0; round < 3; round++) {
            assert_true(rig_get(&r, &one, "company", &later, NULL));
            assert_true(rig_get(&r, &one, "notes", &latest, NULL));
            assert_true(rig_get(&r, &two, "full_name", &other, NULL));
            assert_true(stamp_compare(ahead, later) < 0);
            assert_true(stamp_compare(later, latest) < 0);
            assert_int_equal(stamp_ms(other), RIG_START_MS - HOUR_MS);
            restamp(&r, 1, -HOUR_MS);
        }
        rig_close(&r);
    }
}

/* Two transactions follow one value of somebody else's, whether the server has said the time in this boot or not. */
static void no_stamp_is_given_twice_behind_what_is_far_ahead(void **state) {
    stamp first, second, seen = {(uint64_t)(RIG_START_MS + HOUR_MS) << 16, 99};
    (void)state;
    for (int told = 0; told < 2; told++) {
        rig r;
        rig_open(&r, true);
        lp_id id = prop_id(&r.random);
        rig_pull(&r, &id, LEAD_FULL_NAME, "an hour ahead", seen);
        rig_set(&r, &id, "company", "first");
        rig_set(&r, &id, "notes", "second");
        for (int round = 0; round < 3; round++) {
            assert_true(rig_get(&r, &id, "company", &first, NULL));
            assert_true(rig_get(&r, &id, "notes", &second, NULL));
            assert_int_equal(first.time, seen.time + 2);
            assert_int_equal(second.time, seen.time + 4);
            if (told)
                restamp(&r, 0, 0);
            else
                restamp_untold(&r);
        }
        rig_close(&r);
    }
}

/* Stamps that are far ahead stay alone, so two records may have the same of this device: a base is one of its own record. */
static void bases_follow_what_they_name_on_their_own_record(void **state) {
    rig r;
    stamp first, other, ahead = {(uint64_t)(RIG_START_MS + HOUR_MS) << 16, 99};
    (void)state;
    rig_open(&r, true);
    lp_id one = prop_id(&r.random), two = prop_id(&r.random);
    rig_pull(&r, &one, LEAD_COMPANY, "an hour ahead", ahead);
    rig_pull(&r, &two, LEAD_COMPANY, "an hour ahead", ahead);
    rig_set(&r, &one, "notes", "first");
    rig_make_lead(&r, "on time");
    rig_set(&r, &two, "notes", "other");
    assert_true(rig_get(&r, &one, "notes", &first, NULL));
    assert_true(rig_get(&r, &two, "notes", &other, NULL));
    assert_int_equal(stamp_compare(first, other), 0);
    freeze_and_settle(&r, 1, false);
    rig_set(&r, &one, "notes", "after the first");
    assert_int_equal(replica_begin(r.replica, NULL), LP_OK);
    assert_int_equal(outbox_restamp(r.replica, 0, RESTAMP_AHEAD, NULL), LP_OK);
    assert_int_equal(replica_commit(r.replica, NULL), LP_OK);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM outbox a JOIN outbox b ON a.rid = b.rid AND a.base = b.stamp"),
                     1);
    rig_close(&r);
}

/* The pool was repaired: nothing of it is ahead any more, and the server says that the change is. */
static void a_server_that_finds_a_stamp_ahead_gets_one_that_is_not(void **state) {
    rig r;
    stamp at;
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_NOTES, "of 2036", (stamp){(uint64_t)(RIG_START_MS + 80000 * INT64_C(3600000)) << 16, 99});
    rig_set(&r, &id, "notes", "built on it");
    assert_true(rig_get(&r, &id, "notes", &at, NULL));
    assert_int_equal(stamp_ms(at), RIG_START_MS + 80000 * INT64_C(3600000));
    assert_int_equal(replica_begin(r.replica, NULL), LP_OK);
    assert_int_equal(outbox_restamp(r.replica, 0, RESTAMP_AHEAD, NULL), LP_OK);
    assert_int_equal(replica_commit(r.replica, NULL), LP_OK);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM outbox WHERE base = zeroblob(12)"), 1);
    freeze_and_settle(&r, 1, false);
    buf bytes = {0};
    uint64_t count;
    changes_reader reader;
    change_set set;
    assert_int_equal(outbox_encode(r.replica, 1, &bytes, &count, NULL), LP_OK);
    assert_int_equal(changes_open(&reader, buf_span(&bytes), NULL), LP_OK);
    assert_true(changes_next(&reader, &set));
    assert_int_equal(stamp_ms(set.stamp), RIG_START_MS);
    changes_close(&reader);
    buf_fini(&bytes);
    rig_close(&r);
}

static void stamps_in_the_future_come_back_to_the_present(void **state) {
    rig r;
    stamp after;
    (void)state;
    rig_open(&r, true);
    r.now_ms += HOUR_MS;
    lp_id id = rig_make_lead(&r, "written while the clock was ahead");
    r.now_ms -= HOUR_MS;
    restamp(&r, 0, 0);
    assert_true(rig_get(&r, &id, "full_name", &after, NULL));
    assert_int_equal(stamp_ms(after), r.now_ms);
    rig_close(&r);
}

static void the_raw_wall_clock_is_remembered(void **state) {
    rig r;
    buf bytes = {0};
    uint64_t count;
    changes_reader reader;
    change_set set;
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    restamp(&r, 0, -HOUR_MS);
    freeze_and_settle(&r, 1, false);
    assert_int_equal(outbox_encode(r.replica, 1, &bytes, &count, NULL), LP_OK);
    assert_int_equal(changes_open(&reader, buf_span(&bytes), NULL), LP_OK);
    assert_true(changes_next(&reader, &set));
    assert_int_equal(stamp_ms(set.stamp) + set.skew_ms, RIG_START_MS);
    changes_close(&reader);
    buf_fini(&bytes);
    rig_close(&r);
}

static void a_value_that_falls_behind_the_servers_is_past(void **state) {
    rig r;
    char text[64];
    stamp theirs = {(uint64_t)RIG_START_MS << 16, 99};
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    r.now_ms += HOUR_MS;
    rig_pull(&r, &id, LEAD_COMPANY, "seen", (stamp){theirs.time - 1, 99});
    rig_set(&r, &id, "notes", "mine, an hour ahead");
    rig_pull(&r, &id, LEAD_NOTES, "theirs", (stamp){(uint64_t)(RIG_START_MS + 1000) << 16, 99});
    rig_get(&r, &id, "notes", NULL, text);
    assert_string_equal(text, "mine, an hour ahead");
    restamp(&r, 0, -HOUR_MS);
    rig_get(&r, &id, "notes", NULL, text);
    assert_string_equal(text, "theirs");
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM past WHERE instr(body, CAST('an hour ahead' AS BLOB))"), 1);
    assert_int_equal(rig_unsent(&r), 1);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unacked_stamps_move_and_stay_in_order),
        cmocka_unit_test(many_stay_in_order_and_bases_among_them_follow),
        cmocka_unit_test(the_end_of_time_stays_where_it_is),
        cmocka_unit_test(what_was_seen_a_little_ahead_is_passed_by_all_that_follows),
        cmocka_unit_test(changes_of_one_moment_stay_of_one_moment),
        cmocka_unit_test(bases_follow_what_they_name),
        cmocka_unit_test(what_the_server_holds_stays_and_nothing_moves_below_it),
        cmocka_unit_test(no_stamp_is_given_twice_after_the_clock_went_back),
        cmocka_unit_test(no_stamp_is_given_twice_before_the_server_has_said_the_time),
        cmocka_unit_test(what_is_far_ahead_is_followed_on_its_record_only),
        cmocka_unit_test(what_was_judged_since_something_far_ahead_is_not_passed),
        cmocka_unit_test(what_is_typed_later_on_a_record_stays_later_than_its_own_change_far_ahead),
        cmocka_unit_test(no_stamp_is_given_twice_behind_what_is_far_ahead),
        cmocka_unit_test(bases_follow_what_they_name_on_their_own_record),
        cmocka_unit_test(a_server_that_finds_a_stamp_ahead_gets_one_that_is_not),
        cmocka_unit_test(stamps_in_the_future_come_back_to_the_present),
        cmocka_unit_test(the_raw_wall_clock_is_remembered),
        cmocka_unit_test(a_value_that_falls_behind_the_servers_is_past),
    };
    return cmocka_run_group_tests_name("unit_restamp", tests, NULL, NULL);
}
