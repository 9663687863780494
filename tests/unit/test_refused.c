/* test_refused.c - what a rep can do about a change that the server refused: write it anew, send it again, give it up. What was typed is in the
 * record's history after each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client/replica/outbox.h"
#include "client/replica/refused.h"
#include "proto/page.h"
#include "tests/support/rig.h"

/* A lead whose company the server has refused. */
static lp_id refuse(rig *r, const char *company) {
    lp_id id = rig_make_lead(r, "Ada");
    uint64_t number;
    outbox_outcome outcome;
    buf verdicts = {0};
    rig_set(r, &id, "company", company);
    verdict no = {.set = 1, .field = -1, .kind = VERDICT_REFUSED, .reason = SPAN_LITERAL("too long")};
    wire_put_array(&verdicts, 1);
    verdict_put(&verdicts, &no);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(outbox_freeze(r->replica, OUTBOX_BATCH_BYTES, &number, NULL), LP_OK);
    assert_int_equal(outbox_settle(r->replica, number, buf_span(&verdicts), 1, &outcome, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    assert_int_equal(outcome.refused, 1);
    assert_int_equal(rig_count(r, "SELECT count(*) FROM refused"), 1);
    assert_int_equal(rig_unsent(r), 0);
    buf_fini(&verdicts);
    return id;
}

static void assert_dealt_with(rig *r, int64_t unsent) {
    assert_int_equal(rig_count(r, "SELECT count(*) FROM refused"), 0);
    assert_int_equal(rig_count(r, "SELECT count(*) FROM past"), 1);
    assert_int_equal(rig_unsent(r), unsent);
}

static void writing_the_field_anew_deals_with_what_was_refused_of_it(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = refuse(&r, "Acme and so on and on");
    rig_set(&r, &id, "email", "ada@example.com");
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM refused"), 1);
    rig_set(&r, &id, "company", "Acme");
    assert_dealt_with(&r, 2);
    rig_close(&r);
}

static void sending_again_makes_a_change_of_now(void **state) {
    rig r;
    char company[64];
    (void)state;
    rig_open(&r, true);
    lp_id id = refuse(&r, "Acme");
    stamp before, again;
    assert_true(rig_get(&r, &id, "full_name", &before, NULL));
    assert_int_equal(refused_resend(r.replica, &id, NULL), LP_OK);
    assert_dealt_with(&r, 1);
    assert_true(rig_get(&r, &id, "company", &again, company));
    assert_string_equal(company, "Acme");
    assert_true(stamp_compare(again, before) > 0);
    assert_int_equal(refused_resend(r.replica, &id, NULL), LP_NOT_FOUND);
    rig_close(&r);
}

static void giving_up_keeps_it_in_the_history_only(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = refuse(&r, "Acme");
    assert_int_equal(refused_drop(r.replica, &id, NULL), LP_OK);
    assert_dealt_with(&r, 0);
    assert_false(rig_get(&r, &id, "company", NULL, NULL));
    lp_id nobody = {{1}};
    assert_int_equal(refused_drop(r.replica, &nobody, NULL), LP_NOT_FOUND);
    rig_close(&r);
}

static void status_says_how_old_and_how_large_the_unsent_is(void **state) {
    rig r;
    lp_status status = {0};
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Ada");
    r.now_ms += 90000;
    assert_int_equal(replica_status(r.replica, &status, NULL), LP_OK);
    assert_int_equal(status.unsent, 1);
    assert_int_equal(status.oldest_unsent_age_ms, 90000);
    assert_true(status.unsent_bytes > 3 && status.unsent_bytes < 100);
    assert_int_equal(status.quarantined, 0);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_the_field_anew_deals_with_what_was_refused_of_it),
        cmocka_unit_test(sending_again_makes_a_change_of_now),
        cmocka_unit_test(giving_up_keeps_it_in_the_history_only),
        cmocka_unit_test(status_says_how_old_and_how_large_the_unsent_is),
    };
    return cmocka_run_group_tests_name("refused", tests, NULL, NULL);
}
