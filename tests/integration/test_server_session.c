/* test_server_session.c - the server's contract, message by message: a hand-driven device against the production session, committer and
 * memory store, over a perfect network in virtual time (tests/sim/world.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/change.h"
#include "proto/page.h"
#include "proto/ranges.h"
#include "proto/wire.h"
#include "tests/sim/hand.h"

/* ---- before a hello ---- */

static void nothing_is_answered_before_a_hello(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    hand_pull(&h);
    hand_expect_refused(&h, LP_REFUSED);
    hand_wait(&h, 1000);
    hand_expect_refused(&h, LP_REFUSED);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect_refused(&h, LP_REFUSED);
    hand_close(&h);
}

static void an_unknown_device_is_refused(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    h.device += 100;
    hand_hello(&h, 0);
    hand_expect_refused(&h, LP_FORGOTTEN);
    h.device = 0;
    hand_hello(&h, 0);
    hand_expect_refused(&h, LP_FORGOTTEN);
    h.device =
        (UINT64_C(1) << 32) + h.clock.author; /* no device has such a number, least of all the one it is cut to */
    hand_hello(&h, 0);
    hand_expect_refused(&h, LP_FORGOTTEN);
    hand_close(&h);
}

static void a_hello_signed_for_another_connection_is_refused(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    h.binding[0] ^= 1;
    hand_hello(&h, 0);
    hand_expect_refused(&h, LP_REFUSED);
    hand_close(&h);
}

static void a_hello_with_a_forged_number_is_refused(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    h.forge_batch = 7;
    hand_hello(&h, 0);
    hand_expect_refused(&h, LP_REFUSED);
    hand_close(&h);
}

static void another_install_is_a_clone(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    h.install[0] ^= 1;
    hand_hello(&h, 0);
    hand_expect_refused(&h, LP_CLONED);
    hand_close(&h);
}

static void a_version_nobody_speaks_is_refused(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    h.version = PROTOCOL_VERSION + 1;
    h.version_min = PROTOCOL_VERSION + 1;
    hand_hello(&h, 0);
    hand_expect_refused(&h, LP_VERSION);
    hand_join(&h);
    hand_expect_refused(&h, LP_VERSION);
    h.version_min = PROTOCOL_VERSION;
    hand_hello(&h, 0);
    hand_expect(&h, MSG_WELCOME);
    assert_int_equal(h.answer.version, PROTOCOL_VERSION);
    h.version = PROTOCOL_VERSION_MIN - 1;
    h.version_min = 0;
    hand_hello(&h, 0);
    hand_expect_refused(&h, LP_VERSION);
    hand_close(&h);
}

static void nonsense_is_an_error_and_ends_the_connection(void **state) {
    hand h;
    buf nonsense = {0};
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    buf_append_byte(&nonsense, 0xc1);
    hand_send(&h, &nonsense);
    hand_expect(&h, MSG_ERROR);
    assert_int_equal(h.answer.code, LP_PROTOCOL);
    hand_hello(&h, 0);
    assert_false(hand_receive(&h));
    hand_close(&h);
}

static void an_answer_sent_as_a_request_is_an_error(void **state) {
    hand h;
    message m = {.number = MSG_WELCOME, .version = 1};
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    hand_send_message(&h, &m);
    hand_expect(&h, MSG_ERROR);
    hand_close(&h);
}

/* ---- joining ---- */

static void joining_again_with_the_same_key_gives_the_same_device(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 0);
    hand_connect(&h);
    hand_join(&h);
    hand_expect(&h, MSG_JOINED);
    uint64_t number = h.answer.device;
    assert_true(number >= DEVICE_NUMBER_MIN);
    hand_join(&h);
    hand_expect(&h, MSG_JOINED);
    assert_int_equal(h.answer.device, number);
    hand_connect(&h);
    hand_join(&h);
    hand_expect(&h, MSG_JOINED);
    assert_int_equal(h.answer.device, number);
    hand_close(&h);
}

static void an_invitation_used_by_another_is_refused(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 0);
    hand_connect(&h);
    hand_join(&h);
    hand_expect(&h, MSG_JOINED);
    h.seed[0] ^= 1;
    hand_join(&h);
    hand_expect_refused(&h, LP_REFUSED);
    hand_close(&h);
}

static void an_unknown_invitation_is_refused_and_guessing_ends(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 0);
    hand_connect(&h);
    h.token[0] ^= 1;
    for (int i = 0; i < 4; i++) {
        hand_join(&h);
        hand_expect_refused(&h, LP_REFUSED);
    }
    hand_join(&h);
    assert_false(hand_receive(&h));
    hand_close(&h);
}

static void guessing_who_a_device_was_ends_too(void **state) {
    static const uint8_t new_seed[CRYPTO_SEED_BYTES] = {3};
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    for (int i = 0; i < 4; i++) {
        hand_rejoin(&h, new_seed, (span){0}, true);
        hand_expect_refused(&h, LP_REFUSED);
    }
    hand_rejoin(&h, new_seed, (span){0}, false);
    assert_false(hand_receive(&h));
    hand_close(&h);
}

static void an_invitation_expires_unless_it_was_used(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 0);
    world_run(h.world, INVITE_LIFETIME_MS + 1);
    hand_connect(&h);
    hand_join(&h);
    hand_expect_refused(&h, LP_EXPIRED);
    world_invite(h.world, "another", "manager", h.token);
    hand_join(&h);
    hand_expect(&h, MSG_JOINED);
    uint64_t number = h.answer.device;
    world_run(h.world, INVITE_LIFETIME_MS + 1);
    hand_connect(&h);
    hand_join(&h);
    hand_expect(&h, MSG_JOINED);
    assert_int_equal(h.answer.device, number);
    hand_close(&h);
}

/* ---- pushing ---- */

static void a_batch_sent_twice_gets_the_remembered_verdicts(void **state) {
    hand h;
    buf first = {0};
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 1);
    h.kind = KIND_STAFF;
    hand_push_text(&h, 1, STAFF_NAME, "not mine");
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.answer.batch, 1);
    hand_expect_verdict(&h, 0, 0, VERDICT_REFUSED);
    buf_append_span(&first, h.answer.verdicts);
    uint64_t seq = committer_seq(h.world->committer);
    hand_repeat(&h);
    hand_expect(&h, MSG_SYNCED);
    assert_true(span_equal(buf_span(&first), h.answer.verdicts));
    assert_int_equal(committer_seq(h.world->committer), seq);
    hand_connect(&h);
    hand_greet(&h, 1);
    hand_repeat(&h);
    hand_expect(&h, MSG_SYNCED);
    assert_true(span_equal(buf_span(&first), h.answer.verdicts));
    assert_int_equal(committer_seq(h.world->committer), seq);
    buf_fini(&first);
    hand_close(&h);
}

/* Two copies of one device write in the same moment: every replica keeps the same one of the two, and the server says so. */
static void one_stamp_with_two_values_is_told(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 2);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.world->trouble.code, LP_OK);
    h.clock.last--;
    h.clock_ms = -3600000; /* so that the clock gives the same stamp again */
    hand_push_text(&h, 2, LEAD_COMPANY, "Other");
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.world->trouble.code, LP_CLONED);
    hand_close(&h);
}

static void a_batch_number_with_other_content_is_a_clone(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 1);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    uint64_t seq = committer_seq(h.world->committer);
    hand_push_text(&h, 1, LEAD_COMPANY, "Other");
    hand_expect_refused(&h, LP_CLONED);
    assert_int_equal(committer_seq(h.world->committer), seq);
    hand_close(&h);
}

/* It builds on the one that was refused: the copy comes again as another device, with both. */
static void what_a_clone_sent_behind_the_refused_batch_is_not_applied(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 1);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    uint64_t seq = committer_seq(h.world->committer);
    hand_push_text(&h, 1, LEAD_COMPANY, "Other");
    hand_expect_refused(&h, LP_CLONED);
    hand_push_text(&h, 2, LEAD_COMPANY, "Other AG");
    hand_expect(&h, MSG_BUSY);
    assert_int_equal(committer_seq(h.world->committer), seq);
    hand_greet(&h, 1);
    hand_repeat(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_close(&h);
}

static void a_number_that_was_given_up_and_used_all_the_same_is_a_clone(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 9);
    hand_push_text(&h, 2, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    h.given_up = 2; /* 3 and 4: nobody has used them */
    hand_push_text(&h, 5, LEAD_COMPANY, "Acme AG");
    hand_expect(&h, MSG_SYNCED);
    hand_repeat(&h);
    hand_expect(&h, MSG_SYNCED);
    uint64_t seq = committer_seq(h.world->committer);
    hand_push_text(&h, 8, LEAD_COMPANY, "Other"); /* 6 and 7 */
    hand_expect(&h, MSG_SYNCED);
    assert_true(committer_seq(h.world->committer) > seq);
    seq = committer_seq(h.world->committer);
    h.given_up = 1; /* 8 */
    hand_push_text(&h, 9, LEAD_COMPANY, "Another");
    hand_expect_refused(&h, LP_CLONED);
    assert_int_equal(committer_seq(h.world->committer), seq);
    hand_close(&h);
}

static void a_hello_below_the_high_water_is_a_clone(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 5);
    hand_push_text(&h, 5, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    hand_connect(&h);
    hand_hello(&h, 4);
    hand_expect_refused(&h, LP_CLONED);
    hand_hello(&h, 5);
    hand_expect(&h, MSG_WELCOME);
    assert_int_equal(h.answer.batch, 5);
    hand_close(&h);
}

static void gaps_between_batch_numbers_are_legal(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 9);
    hand_push_text(&h, 2, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    hand_push_text(&h, 9, LEAD_COMPANY, "Acme AG");
    hand_expect(&h, MSG_SYNCED);
    hand_close(&h);
}

static void what_the_schema_forbids_is_refused_change_by_change(void **state) {
    hand h;
    char text[301];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[300] = '\0';
    hand_open(&h, 1);
    hand_greet(&h, 9);
    hand_begin(&h);
    hand_put_text(&h, LEAD_FULL_NAME, "Li Wei");
    hand_put_text(&h, LEAD_COMPANY, text);
    hand_put_text(&h, LEAD_NOTES, "kept");
    hand_push(&h, 1);
    hand_expect(&h, MSG_SYNCED);
    hand_expect_verdict(&h, 0, 1, VERDICT_REFUSED);
    assert_int_equal(h.verdict_count, 1);
    assert_true(hand_pool_has(&h, LEAD_FULL_NAME));
    assert_false(hand_pool_has(&h, LEAD_COMPANY));
    assert_true(hand_pool_has(&h, LEAD_NOTES));
    hand_close(&h);
}

static void a_group_is_taken_or_refused_as_a_whole(void **state) {
    hand h;
    char text[101];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[100] = '\0';
    hand_open(&h, 1);
    hand_greet(&h, 9);
    hand_begin(&h);
    hand_put_text(&h, LEAD_STREET, "Main St");
    hand_put_text(&h, LEAD_CITY, "Hannover");
    hand_push(&h, 1);
    hand_expect(&h, MSG_SYNCED);
    assert_true(h.verdict_count >= 1);
    assert_false(hand_pool_has(&h, LEAD_STREET));
    hand_begin(&h);
    hand_put_text(&h, LEAD_STREET, "Main St");
    hand_put_text(&h, LEAD_CITY, text); /* too long: the street must not come without it */
    hand_put_text(&h, LEAD_STATE, "NI");
    hand_put_text(&h, LEAD_POSTAL_CODE, "30521");
    hand_put_text(&h, LEAD_COUNTRY, "DE");
    hand_put_text(&h, LEAD_NOTES, "the rest flows");
    hand_push(&h, 2);
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.verdict_count, 5);
    assert_true(hand_pool_has(&h, LEAD_NOTES));
    assert_false(hand_pool_has(&h, LEAD_CITY));
    assert_false(hand_pool_has(&h, LEAD_STREET));
    assert_false(hand_pool_has(&h, LEAD_COUNTRY));
    hand_close(&h);
}

static void stamps_of_another_device_are_refused(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 9);
    hand_begin(&h);
    h.clock.author++;
    hand_put_text(&h, LEAD_COMPANY, "Acme");
    hand_push(&h, 1);
    hand_expect(&h, MSG_SYNCED);
    hand_expect_verdict(&h, 0, -1, VERDICT_REFUSED);
    assert_false(hand_pool_has(&h, LEAD_COMPANY));
    hand_close(&h);
}

static void a_record_that_is_full_takes_no_more_but_may_shrink(void **state) {
    hand h;
    static char text[8001];
    char key[8];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    hand_open(&h, 1);
    hand_greet(&h, 99);
    for (unsigned batch = 1; batch <= 3; batch++) {
        hand_begin(&h);
        for (unsigned i = 0; i < 30; i++) {
            snprintf(key, sizeof key, "q%u%02u", batch, i);
            hand_put_key(&h, LEAD_ANSWERS, key, text);
        }
        hand_push(&h, batch);
        hand_expect(&h, MSG_SYNCED);
        assert_int_equal(h.verdict_count, batch == 3 ? 1 : 0);
    }
    hand_expect_verdict(&h, 0, -1, VERDICT_REFUSED);
    hand_begin(&h);
    hand_put_key(&h, LEAD_ANSWERS, "q100", "short");
    hand_push(&h, 4);
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.verdict_count, 0);
    hand_close(&h);
}

static void the_loser_is_told_and_kept(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 9);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    h.clock.last = 0;
    h.clock_ms -= 60000;
    hand_push_text(&h, 2, LEAD_COMPANY, "Acme before");
    hand_expect(&h, MSG_SYNCED);
    hand_expect_verdict(&h, 0, 0, VERDICT_LOST);
    assert_int_equal(hand_history(&h), 2);
    hand_close(&h);
}

/* As after an erasure: the rest of a batch is frozen anew although the server has applied it. */
static void what_comes_again_in_other_company_is_kept_once(void **state) {
    hand h;
    buf first = {0}, again = {0};
    message m;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 9);
    hand_begin(&h);
    hand_put_text(&h, LEAD_FULL_NAME, "first");
    hand_put_text(&h, LEAD_COMPANY, "first");
    hand_push(&h, 1);
    hand_expect(&h, MSG_SYNCED);
    buf_append_span(&first, buf_span(&h.pushed));
    hand_push_text(&h, 2, LEAD_COMPANY, "second");
    hand_expect(&h, MSG_SYNCED);
    /* The name stands, so that only the company loses: a set of one change now. */
    assert_int_equal(message_decode(buf_span(&first), &m, NULL), LP_OK);
    m.batch = 3;
    assert_int_equal(message_encode(&m, &again, NULL), LP_OK);
    hand_send(&h, &again);
    hand_expect(&h, MSG_SYNCED);
    hand_expect_verdict(&h, 0, 1, VERDICT_LOST);
    assert_int_equal(hand_history(&h), 2);
    buf_fini(&first);
    hand_close(&h);
}

/* ---- the clock ---- */

static void a_clock_that_is_off_applies_nothing(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    h.off_ms = CLOCK_TOLERANCE_MS + 1000;
    hand_hello(&h, 3);
    hand_expect(&h, MSG_CLOCK);
    assert_int_equal(h.answer.batch, 0);
    assert_true(h.answer.now_ms <= h.world->now_ms && h.answer.now_ms > h.world->now_ms - 1000);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_CLOCK);
    assert_false(hand_pool_has(&h, LEAD_COMPANY));
    h.off_ms = 0;
    hand_hello(&h, 3);
    hand_expect(&h, MSG_WELCOME);
    hand_push_text(&h, 4, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    assert_true(hand_pool_has(&h, LEAD_COMPANY));
    hand_close(&h);
}

static void a_clock_within_the_tolerance_is_welcome(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    h.off_ms = -CLOCK_TOLERANCE_MS + 500;
    hand_hello(&h, 0);
    hand_expect(&h, MSG_WELCOME);
    hand_close(&h);
}

static void what_is_held_is_answered_to_its_hash_alone(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 2);
    uint32_t made = world_make_lead(h.world, 1, "Li Wei");
    world_device_start(&h.world->devices[1], false);
    world_run(h.world, 5000);
    h.record = h.world->records[made].id;
    hand_greet(&h, 9);
    h.clock_ms = -60000; /* older than what stands: the answer to remember is "lost" */
    hand_push_text(&h, 1, LEAD_FULL_NAME, "Lee");
    hand_expect(&h, MSG_SYNCED);
    hand_expect_verdict(&h, 0, 0, VERDICT_LOST);
    hand_ask(&h, 1);
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.answer.batch, 1);
    hand_expect_verdict(&h, 0, 0, VERDICT_LOST);
    hand_ask(&h, 2); /* not held: it has to come whole */
    hand_expect(&h, MSG_BUSY);
    hand_push_text(&h, 2, LEAD_CITY, "Ulm");
    hand_expect(&h, MSG_SYNCED);
    hand_close(&h);
}

static void a_device_that_begins_anew_is_welcome_when_what_it_sent_is_settled(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 2);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_connect(&h); /* the answer is never read */
    h.anew = true;
    hand_hello(&h, 2);
    hand_expect(&h, MSG_WELCOME);
    assert_int_equal(h.answer.fence, 2);
    bool held = h.answer.batch == 1;
    assert_true(held == hand_pool_has(&h, LEAD_COMPANY));
    hand_push_text(&h, 2, LEAD_CITY, "Ulm");
    hand_expect(&h, MSG_BUSY); /* given up: it comes again under another number */
    hand_connect(&h);
    h.anew = false;
    hand_hello(&h, 3);
    hand_expect(&h, MSG_WELCOME);
    hand_push_text(&h, 3, LEAD_JOB_TITLE, "Buyer");
    hand_expect(&h, MSG_SYNCED);
    assert_true(hand_pool_has(&h, LEAD_JOB_TITLE));
    hand_close(&h);
}

/* ---- pulling and waiting ---- */

static void a_pull_brings_what_others_wrote_and_not_the_own(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 2);
    uint32_t made = world_make_lead(h.world, 1, "Li Wei");
    (void)made;
    world_device_start(&h.world->devices[1], false);
    world_run(h.world, 5000);
    hand_greet(&h, 9);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    assert_int_equal(h.pool_sets, 1);
    assert_int_equal(h.pool_seq, committer_seq(h.world->committer));
    assert_false(h.more);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    assert_int_equal(h.pool_sets, 0);
    hand_close(&h);
}

static void a_scope_that_nobody_can_have_is_refused(void **state) {
    hand h;
    buf cursors = {0};
    cursor c = {.scope = SPAN_LITERAL("warehouse")};
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    wire_put_array(&cursors, 1);
    cursor_put(&cursors, &c);
    hand_pull_from(&h, buf_span(&cursors));
    hand_expect_refused(&h, LP_DENIED);
    buf_fini(&cursors);
    hand_close(&h);
}

static void a_wait_is_answered_when_there_is_news(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 2);
    hand_greet(&h, 0);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    hand_wait(&h, 30000);
    world_run(h.world, 10000);
    assert_false(hand_has_answer(&h));
    world_make_lead(h.world, 1, "Li Wei");
    world_device_start(&h.world->devices[1], false);
    world_run(h.world, 1000);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    assert_int_equal(h.pool_sets, 1);
    hand_close(&h);
}

static void a_wait_without_news_ends_when_its_time_is_up(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 9);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    hand_wait(&h, 30000);
    hand_push_text(&h, 1, LEAD_COMPANY, "its own change is no news");
    world_run(h.world, 29000);
    hand_expect_of(&h, MSG_SYNCED, 0);
    assert_false(hand_has_answer(&h));
    world_run(h.world, 2000);
    hand_expect_of(&h, MSG_SYNCED, 1);
    hand_read_pages(&h);
    assert_int_equal(h.pool_sets, 0);
    hand_close(&h);
}

static void a_wait_longer_than_allowed_is_shortened(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    hand_wait(&h, UINT64_MAX);
    world_run(h.world, 59000);
    assert_false(hand_has_answer(&h));
    world_run(h.world, 2000);
    assert_true(hand_has_answer(&h));
    hand_close(&h);
}

static void too_many_waits_at_once_are_told_to_come_later(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    for (int i = 0; i < SESSION_WAITS_MAX; i++)
        hand_wait(&h, 30000);
    world_run(h.world, 100);
    assert_false(hand_has_answer(&h));
    hand_wait(&h, 30000);
    hand_expect(&h, MSG_BUSY);
    hand_close(&h);
}

/* ---- digests ---- */

/* Asks about the whole of a scope, as of the last pull. */
static void ask_for_digests(hand *h, const char *scope, uint64_t seq, bool records) {
    buf cursors = {0}, ranges = {0};
    cursor at = {.scope = span_text(scope), .epoch = SPAN_LITERAL("no such epoch..."), .seq = seq};
    wire_reader known = wire_open(buf_span(&h->cursors));
    for (uint32_t left = wire_array(&known); left; left--) {
        cursor c;
        if (cursor_take(&known, &c) && span_equal(c.scope, at.scope))
            at = c;
    }
    wire_put_array(&cursors, 1);
    cursor_put(&cursors, &at);
    ranges_put(&ranges, &range_of_all, 1);
    message m = {.number = MSG_DIGESTS, .cursors = buf_span(&cursors), .ranges = buf_span(&ranges), .records = records};
    hand_send_message(h, &m);
    buf_fini(&cursors);
    buf_fini(&ranges);
}

static void digests_by_ranges_are_of_what_the_cursor_has_read(void **state) {
    hand h;
    range_sum sum;
    digest whole;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 9);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    ask_for_digests(&h, "pool", 0, false);
    hand_expect(&h, MSG_DIGESTED);
    assert_false(h.answer.moved);
    assert_true(range_sums_take(h.answer.digests, &sum, 1));
    assert_true(digest_unpack(h.answer.digest, &whole) && digest_equal(whole, sum.sum));
    assert_int_equal(sum.count, 1);
    ask_for_digests(&h, "pool", 0, true);
    hand_expect(&h, MSG_DIGESTED);
    assert_int_equal(h.answer.taken, 1);
    changes_reader reader;
    change_set set;
    assert_int_equal(changes_open(&reader, h.answer.changes, NULL), LP_OK);
    assert_true(changes_next(&reader, &set) && id_equal(&set.id, &h.record));
    assert_false(changes_next(&reader, &set));
    changes_close(&reader);
    assert_int_equal(h.world->pool.healed, 1);
    assert_int_equal(h.world->trouble.code, LP_CORRUPT); /* one line in the log */
    hand_close(&h);
}

static void about_a_scope_that_has_moved_on_nothing_is_said(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 9);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    ask_for_digests(&h, "pool", 0, false);
    hand_expect(&h, MSG_DIGESTED);
    assert_true(h.answer.moved);
    assert_int_equal(h.answer.digests.size, 0);
    ask_for_digests(&h, "setup", 0, false); /* it has not */
    hand_expect(&h, MSG_DIGESTED);
    assert_false(h.answer.moved);
    ask_for_digests(&h, "event:expo", 7, true); /* not open to this device, and perhaps it was */
    hand_expect(&h, MSG_DIGESTED);
    assert_true(h.answer.moved);
    assert_int_equal(h.world->pool.healed, 0);
    hand_close(&h);
}

static void a_request_for_digests_that_does_not_read_ends_the_connection(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 9);
    message m = {.number = MSG_DIGESTS, .ranges = SPAN_LITERAL("\x90")};
    hand_send_message(&h, &m);
    hand_expect(&h, MSG_ERROR);
    assert_false(hand_receive(&h));
    hand_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_answered_before_a_hello),
        cmocka_unit_test(an_unknown_device_is_refused),
        cmocka_unit_test(a_hello_signed_for_another_connection_is_refused),
        cmocka_unit_test(a_hello_with_a_forged_number_is_refused),
        cmocka_unit_test(another_install_is_a_clone),
        cmocka_unit_test(a_version_nobody_speaks_is_refused),
        cmocka_unit_test(nonsense_is_an_error_and_ends_the_connection),
        cmocka_unit_test(an_answer_sent_as_a_request_is_an_error),
        cmocka_unit_test(joining_again_with_the_same_key_gives_the_same_device),
        cmocka_unit_test(an_invitation_used_by_another_is_refused),
        cmocka_unit_test(an_unknown_invitation_is_refused_and_guessing_ends),
        cmocka_unit_test(guessing_who_a_device_was_ends_too),
        cmocka_unit_test(an_invitation_expires_unless_it_was_used),
        cmocka_unit_test(a_batch_sent_twice_gets_the_remembered_verdicts),
        cmocka_unit_test(a_batch_number_with_other_content_is_a_clone),
        cmocka_unit_test(one_stamp_with_two_values_is_told),
        cmocka_unit_test(what_a_clone_sent_behind_the_refused_batch_is_not_applied),
        cmocka_unit_test(a_number_that_was_given_up_and_used_all_the_same_is_a_clone),
        cmocka_unit_test(a_hello_below_the_high_water_is_a_clone),
        cmocka_unit_test(gaps_between_batch_numbers_are_legal),
        cmocka_unit_test(what_the_schema_forbids_is_refused_change_by_change),
        cmocka_unit_test(a_group_is_taken_or_refused_as_a_whole),
        cmocka_unit_test(stamps_of_another_device_are_refused),
        cmocka_unit_test(a_record_that_is_full_takes_no_more_but_may_shrink),
        cmocka_unit_test(the_loser_is_told_and_kept),
        cmocka_unit_test(what_comes_again_in_other_company_is_kept_once),
        cmocka_unit_test(a_clock_that_is_off_applies_nothing),
        cmocka_unit_test(a_clock_within_the_tolerance_is_welcome),
        cmocka_unit_test(what_is_held_is_answered_to_its_hash_alone),
        cmocka_unit_test(a_device_that_begins_anew_is_welcome_when_what_it_sent_is_settled),
        cmocka_unit_test(a_pull_brings_what_others_wrote_and_not_the_own),
        cmocka_unit_test(a_scope_that_nobody_can_have_is_refused),
        cmocka_unit_test(a_wait_is_answered_when_there_is_news),
        cmocka_unit_test(a_wait_without_news_ends_when_its_time_is_up),
        cmocka_unit_test(a_wait_longer_than_allowed_is_shortened),
        cmocka_unit_test(digests_by_ranges_are_of_what_the_cursor_has_read),
        cmocka_unit_test(about_a_scope_that_has_moved_on_nothing_is_said),
        cmocka_unit_test(a_request_for_digests_that_does_not_read_ends_the_connection),
        cmocka_unit_test(too_many_waits_at_once_are_told_to_come_later),
    };
    return cmocka_run_group_tests_name("integration_server_session", tests, NULL, NULL);
}
