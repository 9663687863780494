/* test_client_session.c - the device's contract, message by message: the production client session and replica, answered by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client/replica/clock.h"
#include "client/replica/outbox.h"
#include "proto/err.h"
#include "proto/page.h"
#include "tests/support/rig.h"

/* ---- connecting ---- */

static void an_unjoined_replica_is_told_to_join(void **state) {
    rig r;
    (void)state;
    rig_open(&r, false);
    rig_start(&r, false);
    assert_int_equal(client_state(r.session), LP_STATE_BLOCKED);
    assert_int_equal(r.done, LP_NOT_FOUND);
    rig_close(&r);
}

static void the_hello_is_first_and_signed_for_the_connection(void **state) {
    rig r;
    buf to_sign = {0};
    uint8_t key[CRYPTO_KEY_BYTES];
    (void)state;
    rig_open(&r, true);
    rig_start(&r, false);
    assert_int_equal(client_state(r.session), LP_STATE_CONNECTING);
    assert_true(r.connects == 1);
    rig_channel(&r, "binding one");
    assert_int_equal(r.sent[0].number, MSG_HELLO);
    message hello = r.sent[0].message;
    assert_int_equal(crypto_public_key(r.seed, key, NULL), LP_OK);
    message_hello_signed(&hello, SPAN_LITERAL("binding one"), &to_sign);
    assert_int_equal(crypto_verify(span_of(key, sizeof key), buf_span(&to_sign), hello.signature, NULL), LP_OK);
    assert_int_equal(hello.device, RIG_DEVICE);
    assert_int_equal(hello.now_ms, r.now_ms);
    buf_fini(&to_sign);
    rig_close(&r);
}

static void the_first_push_goes_out_with_the_hello(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, false);
    rig_channel(&r, "b");
    assert_int_equal(r.sent_count, 2);
    assert_int_equal(r.sent[1].number, MSG_SYNC);
    assert_int_equal(r.sent[1].message.batch, 1);
    rig_close(&r);
}

static void one_sync_ends_when_all_is_sent_and_read(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, false);
    rig_channel(&r, "b");
    rig_welcome(&r, 0);
    rig_synced(&r, 1, 0);
    assert_int_equal(r.done_count, 0);
    assert_int_equal(rig_last(&r)->number, MSG_SYNC);
    assert_true(rig_last(&r)->message.cursors.size > 0);
    rig_synced(&r, 0, 5);
    assert_int_equal(r.done_count, 1);
    assert_int_equal(r.done, LP_OK);
    lp_sync_result result = {0};
    client_result(r.session, &result);
    assert_true(result.complete);
    assert_int_equal(result.pushed, 1);
    rig_close(&r);
}

static void staying_in_sync_waits_for_news_and_renews_the_wait(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_welcome(&r, 0);
    rig_synced(&r, 0, 5);
    assert_int_equal(client_state(r.session), LP_STATE_LIVE);
    assert_int_equal(rig_last(&r)->number, MSG_WAIT);
    assert_true(rig_last(&r)->message.timeout_ms <= 60000);
    uint32_t sent = r.sent_count;
    rig_synced(&r, 0, 5);
    assert_int_equal(r.sent_count, sent + 1);
    assert_int_equal(rig_last(&r)->number, MSG_WAIT);
    rig_close(&r);
}

static void what_is_written_while_live_is_sent_at_once(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_welcome(&r, 0);
    rig_synced(&r, 0, 5);
    rig_make_lead(&r, "Li Wei");
    rig_work(&r);
    assert_int_equal(rig_last(&r)->number, MSG_SYNC);
    assert_int_equal(rig_last(&r)->message.batch, 1);
    rig_close(&r);
}

static void at_most_a_window_of_batches_is_unanswered(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_welcome(&r, 0);
    rig_synced(&r, 0, 5);
    uint32_t before = r.sent_count;
    for (int i = 0; i < CLIENT_WINDOW + 3; i++) {
        rig_make_lead(&r, "Li Wei");
        rig_work(&r);
    }
    assert_int_equal(r.sent_count, before + CLIENT_WINDOW);
    rig_close(&r);
}

/* ---- losing it ---- */

static void what_was_not_acknowledged_is_sent_again_byte_for_byte(void **state) {
    rig r;
    buf first = {0};
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    buf_append_span(&first, r.sent[1].message.changes);
    rig_lost(&r, LP_OFFLINE);
    assert_int_equal(client_state(r.session), LP_STATE_WAITING);
    rig_make_lead(&r, "written meanwhile");
    rig_tick(&r);
    assert_int_equal(client_state(r.session), LP_STATE_CONNECTING);
    rig_channel(&r, "c");
    message *again = &r.sent[r.sent_count - 2].message;
    assert_int_equal(again->batch, 1);
    assert_true(span_equal(again->changes, buf_span(&first)));
    assert_int_equal(rig_last(&r)->message.batch, 2);
    buf_fini(&first);
    rig_close(&r);
}

static void being_offline_always_has_a_next_attempt_within_five_minutes(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_start(&r, true);
    for (int i = 0; i < 200; i++) {
        rig_lost(&r, LP_OFFLINE);
        assert_int_equal(client_state(r.session), LP_STATE_WAITING);
        int64_t delay_ms = client_deadline_ms(r.session) - r.now_ms;
        assert_true(delay_ms >= 0 && delay_ms <= CLIENT_BACKOFF_MAX_MS);
        assert_true(client_next_attempt_ms(r.session) == r.now_ms + delay_ms);
        rig_tick(&r);
        assert_int_equal(client_state(r.session), LP_STATE_CONNECTING);
    }
    rig_close(&r);
}

static void one_sync_offline_says_so_at_once(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_start(&r, false);
    rig_lost(&r, LP_OFFLINE);
    assert_int_equal(r.done, LP_OFFLINE);
    assert_int_equal(client_state(r.session), LP_STATE_IDLE);
    rig_close(&r);
}

/* F53: nothing was said to it, and another network may lead to the right one. */
static void a_server_that_cannot_be_trusted_is_told_and_tried_again(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_start(&r, true);
    rig_lost(&r, LP_UNTRUSTED);
    assert_int_equal(client_state(r.session), LP_STATE_WAITING);
    assert_true(client_deadline_ms(r.session) <= r.now_ms + CLIENT_BACKOFF_MIN_MS);
    assert_true(client_reason(r.session)[0] != '\0');
    rig_close(&r);

    rig_open(&r, true);
    rig_start(&r, false);
    rig_lost(&r, LP_UNTRUSTED);
    assert_int_equal(r.done, LP_UNTRUSTED);
    assert_int_equal(client_state(r.session), LP_STATE_IDLE);
    rig_close(&r);
}

static void a_silent_connection_is_given_up(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_start(&r, true);
    rig_channel(&r, "b");
    int64_t due_ms = client_deadline_ms(r.session);
    assert_true(due_ms <= r.now_ms + CLIENT_ANSWER_MS);
    r.now_ms += CLIENT_ANSWER_MS - 1000;
    client_alive(r.session);
    assert_true(client_deadline_ms(r.session) > due_ms);
    rig_tick(&r);
    assert_int_equal(client_state(r.session), LP_STATE_WAITING);
    assert_int_equal(r.closes, 1);
    rig_close(&r);
}

static void a_busy_server_is_asked_again_no_sooner_than_it_says(void **state) {
    rig r;
    message busy = {.number = MSG_BUSY, .retry_ms = 20000, .reason = SPAN_LITERAL("full")};
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_answer(&r, r.sent[1].id, &busy);
    assert_int_equal(client_state(r.session), LP_STATE_WAITING);
    assert_true(client_deadline_ms(r.session) >= r.now_ms + 20000);
    assert_int_equal(rig_unsent(&r), 1);
    rig_close(&r);
}

static void a_refusal_blocks_until_somebody_starts_again(void **state) {
    rig r;
    message refused = {.number = MSG_REFUSED, .code = LP_REFUSED, .reason = SPAN_LITERAL("go away")};
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, false);
    rig_channel(&r, "b");
    rig_answer(&r, r.sent[0].id, &refused);
    assert_int_equal(client_state(r.session), LP_STATE_BLOCKED);
    assert_int_equal(r.done, LP_REFUSED);
    assert_string_equal(client_reason(r.session), "go away");
    assert_int_equal(rig_unsent(&r), 1);
    rig_start(&r, false);
    assert_int_equal(client_state(r.session), LP_STATE_CONNECTING);
    rig_close(&r);
}

static void answers_to_nothing_are_ignored(void **state) {
    rig r;
    message synced = {.number = MSG_SYNCED, .batch = 1};
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_answer(&r, 0x8fffffff, &synced);
    assert_int_equal(rig_unsent(&r), 1);
    assert_int_equal(client_state(r.session), LP_STATE_SYNCING);
    rig_close(&r);
}

static void nonsense_from_the_server_loses_nothing(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_answer_bytes(&r, r.sent[0].id, SPAN_LITERAL("\xc1\xff"));
    assert_int_not_equal(client_state(r.session), LP_STATE_SYNCING);
    assert_int_equal(rig_unsent(&r), 1);
    rig_close(&r);
}

/* ---- thin lines ---- */

static void make_bulk(rig *r, size_t bytes) {
    char text[1001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t made = 0; made < bytes; made += sizeof text) {
        lp_id id = rig_make_lead(r, "Li Wei");
        rig_set(r, &id, "need", text);
    }
}

/* A connection that is welcome and breaks before anything else is answered. */
static void connect_in_vain(rig *r) {
    rig_channel(r, "b");
    rig_welcome(r, 0);
    rig_lost(r, LP_OFFLINE);
}

static void batches_a_line_cannot_carry_are_given_up_and_come_smaller(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    make_bulk(&r, 20 * 1024);
    rig_start(&r, true);
    connect_in_vain(&r);
    size_t before = r.sent[1].bytes.size;
    assert_true(before > 16 * 1024);
    rig_tick(&r);
    uint32_t hello = r.sent_count;
    rig_channel(&r, "c");
    assert_int_equal(r.sent_count, hello + 1); /* nothing goes out behind it */
    assert_true(r.sent[hello].message.anew);
    rig_welcome_fenced(&r, 0, 1);
    assert_int_equal(r.sent[hello + 1].number, MSG_HELLO);
    assert_false(r.sent[hello + 1].message.anew);
    assert_int_equal(r.sent[hello + 2].number, MSG_SYNC);
    assert_int_equal(r.sent[hello + 2].message.batch, 2);
    assert_true(r.sent[hello + 2].bytes.size < before / 2);
    rig_close(&r);
}

/* The clock was set right by an answer that was lost: the welcome says what it gave up, and what time it is. */
static void what_a_lost_clock_answer_gave_up_gets_new_stamps(void **state) {
    rig r;
    stamp before, after;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM batch"), 1);
    assert_true(rig_get(&r, &id, "full_name", &before, NULL));
    int64_t now_ms = r.now_ms;
    r.server_off_ms = -3600000;
    rig_welcome_fenced(&r, 0, 1);
    assert_true(rig_get(&r, &id, "full_name", &after, NULL));
    assert_true(stamp_ms(before) - stamp_ms(after) > 3500000 && stamp_ms(after) <= now_ms - 3600000);
    rig_close(&r);
}

static void what_a_line_carries_is_remembered(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    make_bulk(&r, 60 * 1024);
    rig_start(&r, true);
    connect_in_vain(&r);
    rig_reopen(&r);
    rig_start(&r, true);
    rig_channel(&r, "c");
    assert_true(rig_last(&r)->message.anew);
    rig_close(&r);
}

static void a_single_entry_is_not_given_up_for_its_size(void **state) {
    rig r;
    char text[30001];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "a");
    rig_welcome(&r, 0);
    rig_synced(&r, 1, 0);
    rig_set(&r, &id, "need", text);
    rig_lost(&r, LP_OFFLINE);
    for (int i = 0; i < 3; i++) {
        rig_tick(&r);
        connect_in_vain(&r);
    }
    rig_tick(&r);
    rig_channel(&r, "c");
    assert_int_equal(rig_last(&r)->number, MSG_HELLO);
    assert_false(rig_last(&r)->message.anew);
    rig_welcome(&r, 1);
    assert_int_equal(rig_last(&r)->number, MSG_SYNC);
    assert_int_equal(rig_last(&r)->message.batch, 2);
    rig_close(&r);
}

static void the_answer_to_what_has_arrived_is_asked_for_by_hash(void **state) {
    rig r;
    uint8_t hash[CRYPTO_HASH_BYTES];
    (void)state;
    rig_open(&r, true);
    make_bulk(&r, 20 * 1024);
    rig_start(&r, true);
    rig_channel(&r, "b");
    crypto_sha256(r.sent[1].message.changes, hash);
    rig_lost(&r, LP_OFFLINE);
    rig_tick(&r);
    rig_channel(&r, "c");
    assert_int_equal(rig_last(&r)->number, MSG_HELLO);
    rig_welcome(&r, 1);
    assert_int_equal(rig_last(&r)->message.batch, 1);
    assert_int_equal(rig_last(&r)->message.changes.size, 0);
    assert_true(span_equal(rig_last(&r)->message.hash, span_of(hash, sizeof hash)));
    rig_synced(&r, 1, 0);
    assert_int_equal(rig_unsent(&r), 0);
    rig_close(&r);
}

/* ---- digests ---- */

/* A page whose digest differs from what this device has. `erased`: the record it says is erased, or NULL. */
static void answer_with_a_digest(rig *r, uint32_t id, uint64_t batch, const lp_id *erased, const char *of) {
    buf pages = {0}, ids = {0};
    wire_put_array(&ids, erased != NULL);
    if (erased)
        wire_put_bytes(&ids, id_span(erased));
    page p = {.cursor = {.scope = SPAN_LITERAL("pool"),
                         .epoch = SPAN_LITERAL("\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
                         .seq = 7},
              .erased = buf_span(&ids),
              .digest = span_text(of)};
    wire_put_array(&pages, 1);
    page_put(&pages, &p);
    message m = {.number = MSG_SYNCED, .batch = batch, .seq = 7, .pages = buf_span(&pages), .now_ms = r->now_ms};
    rig_answer(r, id, &m);
    buf_fini(&pages);
    buf_fini(&ids);
}

static bool is_told_to_differ(rig *r) {
    lp_sync_result result = {0};
    client_result(r->session, &result);
    return result.diverged;
}

static void an_answer_from_before_a_settled_push_says_nothing_of_the_digest(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_welcome(&r, 0);
    uint32_t first = r.sent[1].id;
    rig_make_lead(&r, "Zoe");
    rig_work(&r);
    message second = {.number = MSG_SYNCED, .batch = 2, .seq = 8, .now_ms = r.now_ms};
    rig_answer(&r, rig_last(&r)->id, &second);
    answer_with_a_digest(&r, first, 1, NULL, "of the first one");
    assert_int_equal(rig_unsent(&r), 0);
    assert_false(is_told_to_differ(&r));
    rig_close(&r);
}

/* An erasure has a batch given up that the server may have applied, and may have counted in its digest. */
static void a_digest_says_nothing_while_something_given_up_is_unsent(void **state) {
    rig r;
    lp_id erased;
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_welcome(&r, 0);
    uint32_t first = r.sent[1].id;
    erased = rig_make_lead(&r, "Zoe");
    rig_make_lead(&r, "Ada");
    rig_work(&r);
    answer_with_a_digest(&r, first, 1, &erased, "of first and Ada");
    assert_int_equal(rig_unsent(&r), 1);
    assert_false(is_told_to_differ(&r));
    rig_close(&r);
}

/* ---- the clock ---- */

static void a_clock_correction_restamps_and_greets_again(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    message clock = {.number = MSG_CLOCK, .now_ms = r.now_ms - 3600000};
    rig_answer(&r, r.sent[0].id, &clock);
    assert_int_equal(r.sent_count, 4);
    assert_int_equal(r.sent[2].number, MSG_HELLO);
    assert_int_equal(r.sent[2].message.now_ms, r.now_ms - 3600000);
    assert_int_equal(r.sent[3].message.batch, 2);
    assert_false(span_equal(r.sent[1].message.changes, r.sent[3].message.changes));
    rig_close(&r);
}

static void half_the_round_trip_belongs_to_the_servers_time(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_start(&r, true);
    rig_channel(&r, "b");
    r.now_ms += 3000;
    message clock = {.number = MSG_CLOCK, .now_ms = r.now_ms - 1500};
    rig_answer(&r, r.sent[0].id, &clock);
    assert_int_equal(clock_now_ms(r.replica), r.now_ms);
    rig_close(&r);
}

static void what_the_server_holds_keeps_its_stamps(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "held");
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_lost(&r, LP_OFFLINE);
    rig_make_lead(&r, "not held");
    rig_tick(&r);
    rig_channel(&r, "c");
    uint32_t hello = r.sent_count - 3;
    buf held = {0};
    buf_append_span(&held, r.sent[hello + 1].message.changes);
    message clock = {.number = MSG_CLOCK, .now_ms = r.now_ms - 3600000, .batch = 1};
    rig_answer(&r, r.sent[hello].id, &clock);
    assert_int_equal(r.sent[hello + 4].message.batch, 1);
    assert_true(span_equal(r.sent[hello + 4].message.changes, buf_span(&held)));
    assert_int_equal(r.sent[hello + 5].message.batch, 3);
    assert_int_equal(r.sent[hello + 4].message.given_up, 0);
    assert_int_equal(r.sent[hello + 5].message.given_up, 1); /* the second */
    buf_fini(&held);
    rig_close(&r);
}

/* ---- verdicts ---- */

static void a_refused_change_is_kept_with_its_reason_and_blocks_nothing(void **state) {
    rig r;
    buf verdicts = {0};
    verdict no = {.set = 0, .field = 0, .kind = VERDICT_REFUSED, .reason = SPAN_LITERAL("too long")};
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_make_lead(&r, "Wang Fang");
    rig_start(&r, true);
    rig_channel(&r, "b");
    wire_put_array(&verdicts, 1);
    verdict_put(&verdicts, &no);
    message synced = {.number = MSG_SYNCED, .batch = 1, .verdicts = buf_span(&verdicts)};
    rig_answer(&r, r.sent[1].id, &synced);
    assert_int_equal(rig_unsent(&r), 0);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM refused WHERE reason = 'too long'"), 1);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record WHERE c_full_name IS NOT NULL"), 1);
    lp_sync_result result = {0};
    client_result(r.session, &result);
    assert_int_equal(result.refused, 1);
    assert_int_equal(r.refused_events, 1);
    buf_fini(&verdicts);
    rig_close(&r);
}

static void malformed_verdicts_settle_nothing(void **state) {
    rig r;
    message synced = {.number = MSG_SYNCED, .batch = 1, .verdicts = SPAN_LITERAL("\x91\x91\xa1x")};
    (void)state;
    rig_open(&r, true);
    rig_make_lead(&r, "Li Wei");
    rig_start(&r, true);
    rig_channel(&r, "b");
    rig_answer(&r, r.sent[1].id, &synced);
    assert_int_equal(rig_unsent(&r), 1);
    assert_int_not_equal(client_state(r.session), LP_STATE_SYNCING);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unjoined_replica_is_told_to_join),
        cmocka_unit_test(the_hello_is_first_and_signed_for_the_connection),
        cmocka_unit_test(the_first_push_goes_out_with_the_hello),
        cmocka_unit_test(one_sync_ends_when_all_is_sent_and_read),
        cmocka_unit_test(staying_in_sync_waits_for_news_and_renews_the_wait),
        cmocka_unit_test(what_is_written_while_live_is_sent_at_once),
        cmocka_unit_test(at_most_a_window_of_batches_is_unanswered),
        cmocka_unit_test(what_was_not_acknowledged_is_sent_again_byte_for_byte),
        cmocka_unit_test(being_offline_always_has_a_next_attempt_within_five_minutes),
        cmocka_unit_test(one_sync_offline_says_so_at_once),
        cmocka_unit_test(a_server_that_cannot_be_trusted_is_told_and_tried_again),
        cmocka_unit_test(a_silent_connection_is_given_up),
        cmocka_unit_test(a_busy_server_is_asked_again_no_sooner_than_it_says),
        cmocka_unit_test(a_refusal_blocks_until_somebody_starts_again),
        cmocka_unit_test(answers_to_nothing_are_ignored),
        cmocka_unit_test(nonsense_from_the_server_loses_nothing),
        cmocka_unit_test(batches_a_line_cannot_carry_are_given_up_and_come_smaller),
        cmocka_unit_test(what_a_lost_clock_answer_gave_up_gets_new_stamps),
        cmocka_unit_test(what_a_line_carries_is_remembered),
        cmocka_unit_test(a_single_entry_is_not_given_up_for_its_size),
        cmocka_unit_test(the_answer_to_what_has_arrived_is_asked_for_by_hash),
        cmocka_unit_test(an_answer_from_before_a_settled_push_says_nothing_of_the_digest),
        cmocka_unit_test(a_digest_says_nothing_while_something_given_up_is_unsent),
        cmocka_unit_test(a_clock_correction_restamps_and_greets_again),
        cmocka_unit_test(half_the_round_trip_belongs_to_the_servers_time),
        cmocka_unit_test(what_the_server_holds_keeps_its_stamps),
        cmocka_unit_test(a_refused_change_is_kept_with_its_reason_and_blocks_nothing),
        cmocka_unit_test(malformed_verdicts_settle_nothing),
    };
    return cmocka_run_group_tests_name("integration_client_session", tests, NULL, NULL);
}
