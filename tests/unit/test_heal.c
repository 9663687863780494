/* test_heal.c - a replica that differs, the server answered by hand: what it asks, what it does not believe, and that it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client/sync/heal.h"
#include "proto/change.h"
#include "tests/support/rig.h"

static const uint8_t epoch[EPOCH_BYTES] = {9};
static const uint8_t nothing[DIGEST_BYTES] = {0};
static const uint8_t other[DIGEST_BYTES] = {1};

/* Ends both scopes at `seq`; `pool`: the digest the server says it has. */
static void answer_pages(rig *r, uint64_t batch, uint64_t seq, const uint8_t pool[DIGEST_BYTES]) {
    buf pages = {0};
    message synced = {.number = MSG_SYNCED, .batch = batch, .seq = batch ? seq : 0, .now_ms = r->now_ms};
    const char *const scopes[] = {"setup", "pool"};
    wire_put_array(&pages, 2);
    for (int i = 0; i < 2; i++) {
        page p = {.cursor = {.scope = span_text(scopes[i]), .epoch = span_of(epoch, sizeof epoch), .seq = seq},
                  .digest = span_of(i ? pool : nothing, DIGEST_BYTES)};
        p.start = p.again = i && rig_count(r, "SELECT reading FROM scope WHERE name = 'pool'");
        page_put(&pages, &p);
    }
    synced.pages = buf_span(&pages);
    rig_answer(r, rig_last(r)->id, &synced);
    buf_fini(&pages);
}

/* A replica with one acknowledged lead, live or in one sync, that has just been told that the pool's digest is another. */
static lp_id differ(rig *r, bool keep) {
    rig_open(r, true);
    lp_id lead = rig_make_lead(r, "Li Wei");
    rig_start(r, keep);
    rig_channel(r, "b");
    rig_welcome(r, 0);
    message synced = {.number = MSG_SYNCED, .batch = 1, .seq = 5, .now_ms = r->now_ms};
    rig_answer(r, r->sent[1].id, &synced);
    answer_pages(r, 0, 5, other);
    return lead;
}

static void come_back(rig *r) {
    rig_tick(r);
    rig_channel(r, "c");
    rig_welcome(r, 1);
}

static lp_sync_result result_of(const rig *r) {
    lp_sync_result result = {0};
    client_result(r->session, &result);
    return result;
}

static uint32_t asked(const rig *r) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->sent_count; i++)
        count += r->sent[i].number == MSG_DIGESTS;
    return count;
}

/* Says what the only range holds. */
static void answer_sums(rig *r, uint64_t count) {
    buf digests = {0};
    range_sum sum = {.count = count};
    range_sums_put(&digests, &sum, 1);
    message m = {.number = MSG_DIGESTED, .digests = buf_span(&digests), .digest = span_of(nothing, DIGEST_BYTES)};
    rig_answer(r, rig_last(r)->id, &m);
    buf_fini(&digests);
}

static void answer_no_records(rig *r, uint32_t id) {
    buf changes = {0};
    changes_writer w;
    changes_init(&w);
    assert_int_equal(changes_finish(&w, &changes, NULL), LP_OK);
    message m = {
        .number = MSG_DIGESTED, .changes = buf_span(&changes), .taken = 1, .digest = span_of(nothing, DIGEST_BYTES)};
    rig_answer(r, id, &m);
    changes_fini(&w);
    buf_fini(&changes);
}

static void what_the_server_does_not_have_is_narrowed_down_and_leaves(void **state) {
    rig r;
    (void)state;
    differ(&r, false);
    assert_int_equal(rig_last(&r)->number, MSG_DIGESTS);
    assert_false(rig_last(&r)->message.records);
    assert_int_equal(client_state(r.session), LP_STATE_SYNCING);
    answer_sums(&r, 0);
    assert_int_equal(rig_last(&r)->number, MSG_DIGESTS);
    assert_true(rig_last(&r)->message.records);
    answer_no_records(&r, rig_last(&r)->id);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 0);
    assert_true(rig_count(&r, "SELECT count(*) FROM recovered") > 0);
    assert_int_equal(result_of(&r).healed, 1);
    assert_false(result_of(&r).diverged);
    assert_int_equal(r.done_count, 1);
    assert_int_equal(r.done, LP_OK);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

/* The answer is of a moment at which the server did not have it yet. */
static void what_was_acknowledged_meanwhile_is_not_taken_away(void **state) {
    rig r;
    (void)state;
    lp_id lead = differ(&r, true);
    answer_sums(&r, 0);
    uint32_t id = rig_last(&r)->id;
    rig_set(&r, &lead, "company", "Acme");
    rig_work(&r);
    assert_int_equal(rig_last(&r)->message.batch, 2);
    message synced = {.number = MSG_SYNCED, .batch = 2, .seq = 6, .now_ms = r.now_ms};
    rig_answer(&r, rig_last(&r)->id, &synced);
    answer_no_records(&r, id);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 1);
    assert_int_equal(result_of(&r).healed, 0);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void what_is_under_way_is_not_taken_away(void **state) {
    rig r;
    (void)state;
    lp_id lead = differ(&r, true);
    answer_sums(&r, 0);
    uint32_t id = rig_last(&r)->id;
    rig_set(&r, &lead, "company", "Acme");
    rig_work(&r);
    answer_no_records(&r, id);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 1);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM recovered"), 0);
    rig_close(&r);
}

static void a_scope_that_always_moves_on_is_not_asked_about_for_ever(void **state) {
    rig r;
    uint64_t seq = 6;
    (void)state;
    differ(&r, false);
    for (int i = 0; i < 20 && r.done_count == 0; i++) {
        message moved = {.number = MSG_DIGESTED, .moved = true};
        if (rig_last(&r)->number == MSG_DIGESTS)
            rig_answer(&r, rig_last(&r)->id, &moved);
        else
            answer_pages(&r, 0, seq++, other);
    }
    assert_int_equal(r.done_count, 1);
    assert_in_range(asked(&r), 1, HEAL_TRIES_MAX);
    assert_true(result_of(&r).diverged);
    assert_non_null(strstr(client_reason(r.session), "join again"));
    assert_false(heal_may_try(r.replica, "pool"));
    rig_close(&r);
}

static void a_day_later_it_is_tried_again(void **state) {
    rig r;
    (void)state;
    differ(&r, false);
    assert_int_equal(heal_give_up(r.replica, "pool", NULL), LP_OK);
    assert_false(heal_may_try(r.replica, "pool"));
    assert_int_equal(heal_audit_due(r.replica, NULL), LP_OK);
    assert_false(heal_may_try(r.replica, "pool")); /* not yet */
    r.now_ms += INT64_C(24) * 3600 * 1000;
    assert_int_equal(heal_audit_due(r.replica, NULL), LP_OK);
    assert_true(heal_may_try(r.replica, "pool"));
    rig_close(&r);
}

static void an_older_server_is_asked_once(void **state) {
    rig r;
    (void)state;
    differ(&r, false);
    message error = {.number = MSG_ERROR, .code = LP_PROTOCOL, .reason = SPAN_LITERAL("no answer to that")};
    rig_answer(&r, rig_last(&r)->id, &error);
    assert_int_equal(client_state(r.session), LP_STATE_WAITING); /* not blocked */
    come_back(&r);
    answer_pages(&r, 0, 5, other);
    assert_int_equal(asked(&r), 1);
    assert_int_equal(r.done, LP_OK);
    assert_true(result_of(&r).diverged);
    rig_close(&r);
}

static void nonsense_is_no_answer(void **state) {
    const message answers[] = {
        {.number = MSG_DIGESTED},
        {.number = MSG_DIGESTED, .digest = SPAN_LITERAL("short")},
        {.number = MSG_DIGESTED, .digest = span_of(nothing, DIGEST_BYTES)},
        {.number = MSG_DIGESTED, .digest = span_of(nothing, DIGEST_BYTES), .digests = SPAN_LITERAL("\x90")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        rig r;
        differ(&r, false);
        rig_answer(&r, rig_last(&r)->id, &answers[i]);
        assert_int_equal(client_state(r.session), LP_STATE_BLOCKED);
        assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 1);
        rig_close(&r);
    }
}

static void digests_nobody_asked_for_are_no_answer(void **state) {
    rig r;
    (void)state;
    differ(&r, true);
    answer_sums(&r, 0);
    answer_no_records(&r, rig_last(&r)->id);
    assert_int_equal(rig_last(&r)->number, MSG_WAIT);
    answer_no_records(&r, rig_last(&r)->id);
    assert_int_equal(client_state(r.session), LP_STATE_BLOCKED);
    rig_close(&r);
}

static void an_audit_makes_the_digest_that_of_the_rows(void **state) {
    rig r;
    (void)state;
    differ(&r, false);
    assert_true(rig_digest_holds(&r));
    rig_count(&r, "UPDATE scope SET digest = zeroblob(16) RETURNING 1");
    assert_false(rig_digest_holds(&r));
    r.now_ms += INT64_C(24) * 3600 * 1000;
    assert_int_equal(heal_audit_due(r.replica, NULL), LP_OK);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_server_does_not_have_is_narrowed_down_and_leaves),
        cmocka_unit_test(what_was_acknowledged_meanwhile_is_not_taken_away),
        cmocka_unit_test(what_is_under_way_is_not_taken_away),
        cmocka_unit_test(a_scope_that_always_moves_on_is_not_asked_about_for_ever),
        cmocka_unit_test(a_day_later_it_is_tried_again),
        cmocka_unit_test(an_older_server_is_asked_once),
        cmocka_unit_test(nonsense_is_no_answer),
        cmocka_unit_test(digests_nobody_asked_for_are_no_answer),
        cmocka_unit_test(an_audit_makes_the_digest_that_of_the_rows),
    };
    return cmocka_run_group_tests_name("unit_heal", tests, NULL, NULL);
}
