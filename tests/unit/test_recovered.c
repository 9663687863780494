/* test_recovered.c - what the server has lost and this replica had: listed, sent to review, or gone when it comes back. And what of a welcome makes
 * a device offer again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client/replica/kept.h"
#include "client/sync/pull.h"
#include "client/replica/recovered.h"
#include "proto/change.h"
#include "tests/support/rig.h"

static const stamp others = {(uint64_t)(RIG_START_MS - 5000) << 16, 99};

static void keep(rig *r, const lp_id *id, const char *company) {
    buf value = {0};
    wire_put_text(&value, span_text(company));
    reg lost = {.field = LEAD_COMPANY, .value = buf_span(&value), .stamp = others};
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(recovered_keep(r->replica, KIND_LEAD, id, &lost, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    buf_fini(&value);
}

static uint32_t listed(rig *r) {
    lp_rows *rows;
    assert_int_equal(recovered_list(r->replica, &rows, NULL), LP_OK);
    uint32_t count = lp_rows_count(rows);
    if (count) {
        lp_value company = lp_record_value(lp_rows_at(rows, 0), "company");
        assert_int_equal(company.size, 4);
        assert_memory_equal(company.data, "Acme", 4);
    }
    lp_rows_free(rows);
    return count;
}

static void what_was_lost_is_listed_until_it_comes_back(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    keep(&r, &id, "Acme");
    keep(&r, &id, "Acme"); /* twice is once */
    assert_int_equal(listed(&r), 1);
    lp_status status = {0};
    assert_int_equal(replica_status(r.replica, &status, NULL), LP_OK);
    assert_int_equal(status.recovered, 1);
    rig_pull(&r, &id, LEAD_COMPANY, "older", (stamp){others.time - 1, 99});
    assert_int_equal(recovered_prune(r.replica, NULL), LP_OK);
    assert_int_equal(listed(&r), 1);
    rig_pull(&r, &id, LEAD_COMPANY, "Acme", others);
    assert_int_equal(recovered_prune(r.replica, NULL), LP_OK);
    assert_int_equal(listed(&r), 0);
    rig_close(&r);
}

static void what_was_lost_goes_to_review_once_and_is_gone_when_it_was_taken(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random), another = prop_id(&r.random);
    keep(&r, &id, "Acme");
    assert_int_equal(recovered_send(r.replica, &another, NULL), LP_NOT_FOUND);
    assert_int_equal(recovered_send(r.replica, &id, NULL), LP_OK);
    assert_int_equal(listed(&r), 0);
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_welcome(&r, 0);
    rig_sent *offer = NULL;
    for (uint32_t i = 0; i < r.sent_count; i++)
        offer = r.sent[i].number == MSG_REOFFER ? &r.sent[i] : offer;
    assert_non_null(offer);
    changes_reader reader;
    change_set set;
    assert_int_equal(changes_open(&reader, offer->message.others, NULL), LP_OK);
    assert_true(changes_next(&reader, &set));
    assert_true(id_equal(&set.id, &id));
    assert_int_equal(stamp_compare(set.stamp, others), 0);
    changes_close(&reader);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM recovered"), 1);
    message taken = {.number = MSG_REOFFERED, .taken = 1, .seq = 1};
    rig_answer(&r, offer->id, &taken);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM recovered"), 0);
    rig_close(&r);
}

static void what_was_lost_can_be_dropped(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    keep(&r, &id, "Acme");
    assert_int_equal(recovered_drop(r.replica, &id, NULL), LP_OK);
    assert_int_equal(listed(&r), 0);
    assert_int_equal(recovered_drop(r.replica, &id, NULL), LP_NOT_FOUND);
    rig_close(&r);
}

static void what_is_kept_cannot_be_read_on_the_device_and_goes_with_its_record(void **state) {
    rig r;
    uint8_t private_key[CRYPTO_SEAL_KEY_BYTES], key[CRYPTO_SEAL_KEY_BYTES];
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random), another = prop_id(&r.random);
    prop_bytes(&r.random, private_key, sizeof private_key);
    assert_int_equal(crypto_seal_public(private_key, key, NULL), LP_OK);
    assert_int_equal(replica_begin(r.replica, NULL), LP_OK);
    assert_int_equal(replica_meta_put(r.replica, "seal.key", span_of(key, sizeof key), NULL), LP_OK);
    assert_int_equal(kept_add(r.replica, &id, 7, SPAN_LITERAL("in the open"), NULL), LP_OK);
    assert_int_equal(kept_add(r.replica, &another, 8, SPAN_LITERAL("in the open"), NULL), LP_OK);
    assert_int_equal(replica_commit(r.replica, NULL), LP_OK);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM kept WHERE instr(sealed, 'in the open')"), 0);
    kept_range range = {.last = 9, .fork = 7, .most = 10, .bytes = 1000};
    buf entries = {0};
    uint32_t count;
    int64_t upto;
    assert_int_equal(kept_next(r.replica, &range, &entries, &count, &upto, NULL), LP_OK);
    assert_int_equal(count, 1); /* the other is at the fork */
    assert_int_equal(upto, 2);
    assert_int_equal(replica_begin(r.replica, NULL), LP_OK);
    assert_int_equal(kept_erase(r.replica, &another, NULL), LP_OK);
    assert_int_equal(replica_commit(r.replica, NULL), LP_OK);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM kept"), 1);
    buf_fini(&entries);
    rig_close(&r);
}

/* Pushes one lead, which the server acknowledges as batch 1, and comes back to a server that says to hold batches up to `held`: true if
 * it is offered the lead again. */
static bool offers_again(uint64_t held) {
    rig r;
    uint8_t private_key[CRYPTO_SEAL_KEY_BYTES] = {1}, key[CRYPTO_SEAL_KEY_BYTES];
    rig_open(&r, true);
    assert_int_equal(crypto_seal_public(private_key, key, NULL), LP_OK);
    assert_int_equal(replica_begin(r.replica, NULL), LP_OK);
    assert_int_equal(replica_meta_put(r.replica, "seal.key", span_of(key, sizeof key), NULL), LP_OK);
    assert_int_equal(replica_commit(r.replica, NULL), LP_OK);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_welcome(&r, 0);
    message synced = {.number = MSG_SYNCED, .batch = 1, .seq = 9, .now_ms = r.now_ms};
    for (uint32_t i = 0; i < r.sent_count; i++)
        if (r.sent[i].number == MSG_SYNC && r.sent[i].message.batch == 1)
            rig_answer(&r, r.sent[i].id, &synced);
    assert_int_equal(rig_unsent(&r), 0);
    rig_lost(&r, LP_OFFLINE);
    rig_tick(&r);
    rig_channel(&r, "c");
    rig_welcome(&r, held);
    bool offered = false;
    for (uint32_t i = 0; i < r.sent_count; i++)
        offered |= r.sent[i].number == MSG_REOFFER;
    rig_close(&r);
    return offered;
}

static void a_server_without_a_batch_it_acknowledged_is_offered_all_again(void **state) {
    (void)state;
    assert_false(offers_again(1));
    assert_true(offers_again(0));
}

/* True if a device that has read nothing yet asks for its own changes as well, once the server has said to hold batches up to `held`; what it had
 * asked for with its hello is asked for anew then. */
static bool asks_for_its_own(uint64_t held) {
    rig r;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    uint32_t asked = r.sent_count;
    rig_welcome(&r, held);
    bool anew = r.sent_count > asked;
    buf cursors = {0};
    cursor first;
    bool known;
    assert_int_equal(pull_cursors(r.replica, &cursors, &known, NULL), LP_OK);
    wire_reader from = wire_open(buf_span(&cursors));
    assert_true(known && wire_array(&from) > 0 && cursor_take(&from, &first));
    bool again = first.again;
    assert_int_equal(anew, again);
    buf_fini(&cursors);
    rig_close(&r);
    return again;
}

/* Before the answer was lost and the device came back, the pool may have been repaired. */
static void who_was_not_answered_before_its_first_pull_is_sent_its_own_changes_too(void **state) {
    (void)state;
    assert_false(asks_for_its_own(0));
    assert_true(asks_for_its_own(1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_lost_is_listed_until_it_comes_back),
        cmocka_unit_test(what_was_lost_goes_to_review_once_and_is_gone_when_it_was_taken),
        cmocka_unit_test(what_was_lost_can_be_dropped),
        cmocka_unit_test(who_was_not_answered_before_its_first_pull_is_sent_its_own_changes_too),
        cmocka_unit_test(a_server_without_a_batch_it_acknowledged_is_offered_all_again),
        cmocka_unit_test(what_is_kept_cannot_be_read_on_the_device_and_goes_with_its_record),
    };
    return cmocka_run_group_tests_name("unit_recovered", tests, NULL, NULL);
}
