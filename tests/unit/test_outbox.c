/* test_outbox.c - the queue of local changes: its invariants, batches that never change, verdicts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client/replica/outbox.h"
#include "client/replica/txn.h"
#include "proto/change.h"
#include "proto/page.h"
#include "tests/support/rig.h"

static uint64_t freeze(rig *r) {
    uint64_t number;
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(outbox_freeze(r->replica, OUTBOX_BATCH_BYTES, &number, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    return number;
}

static outbox_outcome settle(rig *r, uint64_t number, const verdict *list, uint32_t count) {
    buf verdicts = {0};
    outbox_outcome outcome;
    wire_put_array(&verdicts, count);
    for (uint32_t i = 0; i < count; i++)
        verdict_put(&verdicts, &list[i]);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(outbox_settle(r->replica, number, buf_span(&verdicts), 1, &outcome, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    buf_fini(&verdicts);
    return outcome;
}

static void nothing_to_freeze_is_no_batch(void **state) {
    rig r;
    uint64_t number;
    (void)state;
    rig_open(&r, true);
    assert_int_equal(freeze(&r), 0);
    assert_int_equal(outbox_last_batch(r.replica, &number, NULL), LP_OK);
    assert_int_equal(number, 0);
    rig_close(&r);
}

static void a_frozen_batch_never_changes(void **state) {
    rig r;
    buf before = {0}, after = {0};
    uint64_t count;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "Li Wei");
    assert_int_equal(freeze(&r), 1);
    assert_int_equal(outbox_encode(r.replica, 1, &before, &count, NULL), LP_OK);
    assert_int_equal(count, 1);
    rig_set(&r, &id, "full_name", "Li Wei 2");
    rig_set(&r, &id, "company", "Acme");
    rig_reopen(&r);
    assert_int_equal(outbox_encode(r.replica, 1, &after, &count, NULL), LP_OK);
    assert_true(span_equal(buf_span(&before), buf_span(&after)));
    assert_int_equal(freeze(&r), 2);
    assert_int_equal(freeze(&r), 0);
    buf_fini(&before);
    buf_fini(&after);
    rig_close(&r);
}

static void unfrozen_changes_of_one_field_coalesce_on_the_first_base(void **state) {
    rig r;
    buf bytes = {0};
    uint64_t count;
    changes_reader reader;
    change_set set;
    stamp seen = {(uint64_t)(RIG_START_MS - 1000) << 16, 99};
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_COMPANY, "Acme", seen);
    for (int i = 0; i < 5; i++) {
        char text[8];
        snprintf(text, sizeof text, "v%d", i);
        rig_set(&r, &id, "company", text);
        r.now_ms += 10;
    }
    assert_int_equal(rig_unsent(&r), 1);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM past"), 5);
    assert_int_equal(freeze(&r), 1);
    assert_int_equal(outbox_encode(r.replica, 1, &bytes, &count, NULL), LP_OK);
    assert_int_equal(changes_open(&reader, buf_span(&bytes), NULL), LP_OK);
    assert_true(changes_next(&reader, &set));
    assert_int_equal(stamp_compare(set.base, seen), 0);
    assert_int_equal(set.field_count, 1);
    changes_close(&reader);
    buf_fini(&bytes);
    rig_close(&r);
}

/* Two changes of one field stand unfrozen when the batch of the first is given up; neither may be named any more once a third replaces both. */
static void changes_of_a_batch_that_was_given_up_coalesce_on_the_first_base(void **state) {
    rig r;
    stamp seen = {(uint64_t)(RIG_START_MS - 1000) << 16, 99};
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_COMPANY, "Acme", seen);
    for (uint64_t batch = 1; batch <= 3; batch++) {
        rig_set(&r, &id, "company", batch == 1 ? "first" : batch == 2 ? "second" : "third");
        assert_int_equal(freeze(&r), batch);
    }
    assert_int_equal(replica_begin(r.replica, NULL), LP_OK);
    assert_int_equal(outbox_restamp(r.replica, 0, RESTAMP_ESTIMATE, NULL), LP_OK);
    assert_int_equal(replica_commit(r.replica, NULL), LP_OK);
    assert_int_equal(rig_unsent(&r), 3);
    rig_set(&r, &id, "company", "last");
    assert_int_equal(rig_unsent(&r), 1);
    uint8_t base[STAMP_BYTES];
    char sql[120], hex[2 * STAMP_BYTES + 1];
    stamp_pack(seen, base);
    for (int i = 0; i < STAMP_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02X", base[i]);
    snprintf(sql, sizeof sql, "SELECT hex(base) = '%s' FROM outbox", hex);
    assert_int_equal(rig_count(&r, sql), 1);
    rig_close(&r);
}

static void what_is_frozen_does_not_coalesce(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "one");
    freeze(&r);
    rig_set(&r, &id, "full_name", "two");
    assert_int_equal(rig_unsent(&r), 2);
    rig_close(&r);
}

static void changing_back_is_a_change_and_changing_to_the_same_is_none(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "one");
    rig_set(&r, &id, "full_name", "one");
    assert_int_equal(rig_unsent(&r), 1);
    freeze(&r);
    settle(&r, 1, NULL, 0);
    rig_set(&r, &id, "full_name", "two");
    rig_set(&r, &id, "full_name", "one");
    assert_int_equal(rig_unsent(&r), 1);
    rig_close(&r);
}

static void batches_end_in_good_time_and_keep_the_order(void **state) {
    rig r;
    static char text[30001];
    uint64_t number, next = 0, batches = 0;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    rig_open(&r, true);
    for (size_t i = 0; i < 2 * OUTBOX_BATCH_BYTES / sizeof text + 3; i++) {
        lp_id id = rig_make_lead(&r, "Li Wei");
        rig_set(&r, &id, "notes", text);
    }
    while ((number = freeze(&r)) != 0) {
        buf bytes = {0};
        uint64_t count;
        assert_int_equal(number, ++batches);
        assert_int_equal(outbox_encode(r.replica, number, &bytes, &count, NULL), LP_OK);
        assert_true(bytes.size <= OUTBOX_BATCH_BYTES + 64 * 1024);
        buf_fini(&bytes);
    }
    assert_true(batches >= 3);
    for (uint64_t i = 1; i <= batches; i++) {
        assert_int_equal(outbox_next_batch(r.replica, i - 1, &next, NULL), LP_OK);
        assert_int_equal(next, i);
    }
    assert_int_equal(
        rig_count(&r, "SELECT count(*) FROM batch a JOIN batch b ON b.number = a.number + 1 WHERE b.first <= a.last"),
        0);
    rig_close(&r);
}

static void an_applied_batch_leaves_no_trace_of_being_unsent(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "Li Wei");
    rig_set(&r, &id, "company", "Acme");
    assert_int_equal(rig_count(&r, "SELECT unsent FROM record"), 1);
    freeze(&r);
    outbox_outcome outcome = settle(&r, 1, NULL, 0);
    assert_int_equal(outcome.pushed, 2);
    assert_int_equal(rig_unsent(&r), 0);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record WHERE unsent OR server_body NOT NULL"), 0);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM batch"), 0);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void settling_twice_is_harmless(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    freeze(&r);
    settle(&r, 1, NULL, 0);
    outbox_outcome outcome = settle(&r, 1, NULL, 0);
    assert_int_equal(outcome.pushed, 0);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void one_refused_change_of_several_leaves_alone(void **state) {
    rig r;
    char text[64];
    verdict no = {.set = 0, .field = 1, .kind = VERDICT_REFUSED, .reason = SPAN_LITERAL("not allowed")};
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "one");
    freeze(&r);
    settle(&r, 1, NULL, 0);
    rig_set(&r, &id, "company", "Acme");
    freeze(&r);
    settle(&r, 2, NULL, 0);

    rig_set(&r, &id, "job_title", "CEO");
    rig_set(&r, &id, "notes", "n");
    freeze(&r);
    no.set = 1;
    no.field = 0;
    outbox_outcome outcome = settle(&r, 3, &no, 1);
    assert_int_equal(outcome.refused, 1);
    assert_true(id_equal(&outcome.refused_id, &id));
    assert_true(rig_get(&r, &id, "job_title", NULL, text));
    assert_string_equal(text, "CEO");
    assert_false(rig_get(&r, &id, "notes", NULL, text));
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM refused WHERE reason = 'not allowed'"), 1);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void a_refused_change_uncovers_what_the_server_has(void **state) {
    rig r;
    char text[64];
    verdict no = {.set = 0, .field = -1, .kind = VERDICT_REFUSED, .reason = SPAN_LITERAL("not allowed")};
    stamp seen = {(uint64_t)(RIG_START_MS - 1000) << 16, 99};
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_COMPANY, "theirs", seen);
    rig_set(&r, &id, "company", "mine");
    freeze(&r);
    settle(&r, 1, &no, 1);
    assert_true(rig_get(&r, &id, "company", NULL, text));
    assert_string_equal(text, "theirs");
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void a_lost_change_stays_until_the_winner_comes_and_then_is_past(void **state) {
    rig r;
    char text[64];
    verdict lost = {.set = 0, .field = 0, .kind = VERDICT_LOST};
    stamp winner = {(uint64_t)(RIG_START_MS + 1000) << 16, 99};
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "mine");
    freeze(&r);
    outbox_outcome outcome = settle(&r, 1, &lost, 1);
    assert_int_equal(outcome.lost, 1);
    assert_true(rig_get(&r, &id, "full_name", NULL, text));
    assert_string_equal(text, "mine");
    assert_int_equal(rig_unsent(&r), 0);
    rig_pull(&r, &id, LEAD_FULL_NAME, "theirs", winner);
    rig_get(&r, &id, "full_name", NULL, text);
    assert_string_equal(text, "theirs");
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM past"), 1);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void a_later_own_change_survives_the_verdict_on_an_earlier_one(void **state) {
    rig r;
    char text[64];
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "one");
    freeze(&r);
    rig_set(&r, &id, "full_name", "two");
    settle(&r, 1, NULL, 0);
    rig_get(&r, &id, "full_name", NULL, text);
    assert_string_equal(text, "two");
    assert_int_equal(rig_count(&r, "SELECT unsent FROM record"), 1);
    assert_true(rig_digest_holds(&r));
    freeze(&r);
    settle(&r, 2, NULL, 0);
    assert_int_equal(rig_count(&r, "SELECT unsent FROM record"), 0);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void one_record_twice_in_a_batch_keeps_all_its_fields(void **state) {
    rig r;
    char text[64];
    verdict no = {.set = 1, .field = 0, .kind = VERDICT_REFUSED, .reason = SPAN_LITERAL("no")};
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "one");
    rig_set(&r, &id, "company", "refused");
    rig_set(&r, &id, "notes", "kept");
    assert_int_equal(rig_unsent(&r), 3);
    freeze(&r);
    settle(&r, 1, &no, 1);
    assert_true(rig_get(&r, &id, "full_name", NULL, text));
    assert_false(rig_get(&r, &id, "company", NULL, text));
    assert_true(rig_get(&r, &id, "notes", NULL, text));
    assert_int_equal(rig_count(&r, "SELECT unsent FROM record"), 0);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

/* Two changes of one transaction are one entry if they have one base, and each is its own to coalesce and to judge. */
static void what_one_transaction_did_is_an_entry_for_each_base(void **state) {
    rig r;
    lp_txn *t;
    buf bytes = {0};
    uint64_t count;
    changes_reader reader;
    change_set set;
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_COMPANY, "Acme", (stamp){(uint64_t)(RIG_START_MS - 2000) << 16, 99});
    rig_pull(&r, &id, LEAD_JOB_TITLE, "CEO", (stamp){(uint64_t)(RIG_START_MS - 1000) << 16, 99});
    assert_int_equal(txn_new(r.replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &id, "tags.vip", "yes", NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &id, "tags.cold", "yes", NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &id, "notes", "n", NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &id, "job_title", "CTO", NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &id, "company", "Globe", NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
    assert_int_equal(rig_unsent(&r), 3);
    assert_int_equal(rig_count(&r, "SELECT count FROM outbox WHERE base = zeroblob(12)"), 3);
    rig_set(&r, &id, "notes", "m");
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM outbox"), 4);
    assert_int_equal(rig_count(&r, "SELECT count FROM outbox ORDER BY oseq LIMIT 1"), 2);
    assert_int_equal(freeze(&r), 1);
    assert_int_equal(outbox_encode(r.replica, 1, &bytes, &count, NULL), LP_OK);
    assert_int_equal(count, 5);
    assert_int_equal(changes_open(&reader, buf_span(&bytes), NULL), LP_OK);
    stamp last = STAMP_NONE;
    for (int i = 0; i < 3; i++) {
        assert_true(changes_next(&reader, &set));
        assert_true(i == 0 || stamp_compare(last, set.base) < 0);
        last = set.base;
    }
    /* Of the first entry the second change is refused, and of the last all; nobody says why. */
    verdict no[] = {{.set = 0, .field = 1, .kind = VERDICT_REFUSED}, {.set = 3, .field = -1, .kind = VERDICT_REFUSED}};
    outbox_outcome outcome = settle(&r, 1, no, 2);
    assert_int_equal(outcome.refused, 2);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM refused WHERE reason = '' AND key = 'vip'"), 1);
    assert_true(rig_get(&r, &id, "tags.cold", NULL, NULL));
    assert_false(rig_get(&r, &id, "tags.vip", NULL, NULL));
    assert_false(rig_get(&r, &id, "notes", NULL, NULL));
    assert_true(rig_digest_holds(&r));
    changes_close(&reader);
    buf_fini(&bytes);
    rig_close(&r);
}

static void a_damaged_entry_is_told_and_nothing_of_it_is_taken_for_settled(void **state) {
    rig r;
    lp_error error;
    uint64_t number;
    outbox_outcome outcome;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "Li Wei");
    number = freeze(&r);
    rig_set(&r, &id, "notes", "n");
    assert_int_equal(sqlite3_exec(r.replica->db, "UPDATE outbox SET body = x'ffffff'", NULL, NULL, NULL), SQLITE_OK);
    lp_txn *t;
    assert_int_equal(txn_new(r.replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &id, "notes", "m", NULL), LP_OK);
    assert_int_equal(txn_commit(t, &error), LP_CORRUPT);
    assert_string_equal(error.message, "the outbox is damaged; run leadpool doctor");
    txn_free(t);
    assert_int_equal(replica_begin(r.replica, NULL), LP_OK);
    assert_int_equal(outbox_settle(r.replica, number, (span){0}, 1, &outcome, &error), LP_CORRUPT);
    replica_rollback(r.replica);
    assert_int_equal(replica_begin(r.replica, NULL), LP_OK);
    assert_int_equal(outbox_restamp(r.replica, 0, RESTAMP_ESTIMATE, &error), LP_CORRUPT);
    replica_rollback(r.replica);
    assert_int_equal(rig_unsent(&r), 2);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_freeze_is_no_batch),
        cmocka_unit_test(a_frozen_batch_never_changes),
        cmocka_unit_test(unfrozen_changes_of_one_field_coalesce_on_the_first_base),
        cmocka_unit_test(changes_of_a_batch_that_was_given_up_coalesce_on_the_first_base),
        cmocka_unit_test(what_is_frozen_does_not_coalesce),
        cmocka_unit_test(changing_back_is_a_change_and_changing_to_the_same_is_none),
        cmocka_unit_test(batches_end_in_good_time_and_keep_the_order),
        cmocka_unit_test(an_applied_batch_leaves_no_trace_of_being_unsent),
        cmocka_unit_test(settling_twice_is_harmless),
        cmocka_unit_test(one_refused_change_of_several_leaves_alone),
        cmocka_unit_test(a_refused_change_uncovers_what_the_server_has),
        cmocka_unit_test(a_lost_change_stays_until_the_winner_comes_and_then_is_past),
        cmocka_unit_test(a_later_own_change_survives_the_verdict_on_an_earlier_one),
        cmocka_unit_test(one_record_twice_in_a_batch_keeps_all_its_fields),
        cmocka_unit_test(what_one_transaction_did_is_an_entry_for_each_base),
        cmocka_unit_test(a_damaged_entry_is_told_and_nothing_of_it_is_taken_for_settled),
    };
    return cmocka_run_group_tests_name("unit_outbox", tests, NULL, NULL);
}
