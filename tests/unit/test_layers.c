/* test_layers.c - what the person sees and what the pool is known to hold, as local writes and pulls move them. */
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
#include "tests/support/rig.h"

static stamp at(int64_t offset_ms, uint32_t author) {
    return (stamp){(uint64_t)(RIG_START_MS + offset_ms) << 16, author};
}

static void a_local_write_is_visible_at_once_and_not_in_the_servers_layer(void **state) {
    rig r;
    char text[64];
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_COMPANY, "theirs", at(-1000, 99));
    rig_set(&r, &id, "company", "mine");
    rig_get(&r, &id, "company", NULL, text);
    assert_string_equal(text, "mine");
    assert_int_equal(
        rig_count(&r, "SELECT count(*) FROM record WHERE unsent AND instr(server_body, CAST('theirs' AS BLOB))"), 1);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void a_pull_below_an_unsent_change_goes_to_the_servers_layer_only(void **state) {
    rig r;
    char text[64];
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "mine");
    rig_pull(&r, &id, LEAD_FULL_NAME, "older", at(-5000, 99));
    rig_get(&r, &id, "full_name", NULL, text);
    assert_string_equal(text, "mine");
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM past"), 0);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void a_greater_stamp_overtakes_an_unsent_change_and_keeps_it_as_past(void **state) {
    rig r;
    char text[64];
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "mine");
    rig_pull(&r, &id, LEAD_FULL_NAME, "newer", at(5000, 99));
    rig_get(&r, &id, "full_name", NULL, text);
    assert_string_equal(text, "newer");
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM past"), 1);
    assert_int_equal(rig_unsent(&r), 1);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void the_next_write_is_later_than_anything_seen(void **state) {
    rig r;
    stamp mine;
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_FULL_NAME, "from the future", at(5000, 99));
    rig_set(&r, &id, "full_name", "after it");
    assert_true(rig_get(&r, &id, "full_name", &mine, NULL));
    assert_true(stamp_compare(mine, at(5000, 99)) > 0);
    rig_close(&r);
}

static void a_page_read_twice_changes_nothing(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_FULL_NAME, "one", at(-5000, 99));
    rig_pull(&r, &id, LEAD_FULL_NAME, "two", at(-4000, 98));
    rig_pull(&r, &id, LEAD_FULL_NAME, "two", at(-4000, 98));
    rig_pull(&r, &id, LEAD_FULL_NAME, "one", at(-5000, 99));
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 1);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM past"), 1);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

/* A copy of the device gave another value the stamp of what was typed here: the greater bytes stand, on the copy too. */
static void what_a_copys_value_of_the_same_stamp_replaces_is_past(void **state) {
    rig r;
    stamp mine;
    char text[64];
    (void)state;
    for (int sent = 0; sent < 2; sent++) {
        uint64_t number;
        outbox_outcome outcome;
        rig_open(&r, true);
        lp_id id = rig_make_lead(&r, "mine");
        assert_true(rig_get(&r, &id, "full_name", &mine, NULL));
        if (sent) {
            assert_int_equal(replica_begin(r.replica, NULL), LP_OK);
            assert_int_equal(outbox_freeze(r.replica, OUTBOX_BATCH_BYTES, &number, NULL), LP_OK);
            assert_int_equal(outbox_settle(r.replica, number, SPAN_LITERAL("\x90"), 1, &outcome, NULL), LP_OK);
            assert_int_equal(replica_commit(r.replica, NULL), LP_OK);
        }
        rig_pull(&r, &id, LEAD_FULL_NAME, "less", mine);
        rig_get(&r, &id, "full_name", NULL, text);
        assert_string_equal(text, "mine");
        assert_int_equal(rig_count(&r, "SELECT count(*) FROM past"), 0);
        for (int again = 0; again < 2; again++) {
            rig_pull(&r, &id, LEAD_FULL_NAME, "the copy's", mine);
            rig_get(&r, &id, "full_name", NULL, text);
            assert_string_equal(text, "the copy's");
            assert_int_equal(rig_count(&r, "SELECT count(*) FROM past"), 1);
            assert_int_equal(rig_count(&r, "SELECT count(*) FROM past WHERE instr(body, CAST('mine' AS BLOB))"), 1);
        }
        assert_true(rig_digest_holds(&r));
        rig_close(&r);
    }
}

static void a_member_of_a_group_takes_the_others_along(void **state) {
    rig r;
    stamp street, city;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "Li Wei");
    rig_set(&r, &id, "street", "Main St");
    r.now_ms += 1000;
    rig_set(&r, &id, "city", "Hannover");
    assert_true(rig_get(&r, &id, "street", &street, NULL));
    assert_true(rig_get(&r, &id, "city", &city, NULL));
    assert_int_equal(stamp_compare(street, city), 0);
    assert_true(rig_get(&r, &id, "country", &city, NULL));
    assert_int_equal(stamp_compare(street, city), 0);
    rig_close(&r);
}

static void all_changes_of_a_transaction_share_one_stamp(void **state) {
    rig r;
    lp_txn *t;
    stamp a, b;
    lp_value value = {.type = LP_TEXT, .data = "x", .size = 1};
    (void)state;
    rig_open(&r, true);
    lp_id one = rig_make_lead(&r, "one"), two = rig_make_lead(&r, "two");
    assert_int_equal(txn_new(r.replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set(t, &one, "company", &value, NULL), LP_OK);
    assert_int_equal(txn_set(t, &two, "tags.vip", &(lp_value){.type = LP_BOOL, .integer = 1}, NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
    assert_true(rig_get(&r, &one, "company", &a, NULL));
    assert_true(rig_get(&r, &two, "tags.vip", &b, NULL));
    assert_int_equal(stamp_compare(a, b), 0);
    rig_close(&r);
}

static void a_transaction_that_fails_leaves_nothing(void **state) {
    rig r;
    lp_txn *t;
    static char text[8001];
    char field[16];
    lp_error error;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    lp_value value = {.type = LP_TEXT, .data = text, .size = sizeof text - 1};
    rig_open(&r, true);
    lp_id small = rig_make_lead(&r, "small"), big = rig_make_lead(&r, "big");
    int64_t unsent = rig_unsent(&r);
    assert_int_equal(txn_new(r.replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set(t, &small, "company", &(lp_value){.type = LP_TEXT, .data = "y", .size = 1}, NULL), LP_OK);
    for (int i = 0; i < 70; i++) {
        snprintf(field, sizeof field, "answers.q%d", i);
        assert_int_equal(txn_set(t, &big, field, &value, NULL), LP_OK);
    }
    assert_int_equal(txn_commit(t, &error), LP_TOO_LARGE);
    txn_free(t);
    assert_int_equal(rig_unsent(&r), unsent);
    assert_false(rig_get(&r, &small, "company", NULL, NULL));
    assert_false(rig_get(&r, &big, "answers.q0", NULL, NULL));
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_local_write_is_visible_at_once_and_not_in_the_servers_layer),
        cmocka_unit_test(a_pull_below_an_unsent_change_goes_to_the_servers_layer_only),
        cmocka_unit_test(a_greater_stamp_overtakes_an_unsent_change_and_keeps_it_as_past),
        cmocka_unit_test(the_next_write_is_later_than_anything_seen),
        cmocka_unit_test(a_page_read_twice_changes_nothing),
        cmocka_unit_test(what_a_copys_value_of_the_same_stamp_replaces_is_past),
        cmocka_unit_test(a_member_of_a_group_takes_the_others_along),
        cmocka_unit_test(all_changes_of_a_transaction_share_one_stamp),
        cmocka_unit_test(a_transaction_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests_name("unit_layers", tests, NULL, NULL);
}
