/* test_server_limits.c - what one connection may ask of the server at once, and what becomes of that when something else happens to its
 * device meanwhile. A device driven by hand, in virtual time. */
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
#include "server/pool/epochs.h"
#include "server/pool/seen.h"
#include "tests/sim/hand.h"

/* Jobs that come within the next seconds wait for one commit. */
static void hold_commits(hand *h) {
    h->world->commit_at_ms = h->world->now_ms + 5000;
}

/* Greeted, and everything read. */
static void open_up_to_date(hand *h) {
    hand_open(h, 1);
    hand_greet(h, 99);
    hand_pull(h);
    hand_expect(h, MSG_SYNCED);
    hand_read_pages(h);
}

static void wait_for_pages(hand *h, span cursors, uint64_t timeout_ms, uint64_t page_bytes) {
    message m = {.number = MSG_WAIT, .cursors = cursors, .timeout_ms = timeout_ms, .page_bytes = page_bytes};
    hand_send_message(h, &m);
}

/* ---- jobs ---- */

static void more_jobs_than_allowed_are_told_to_come_later(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 99);
    hold_commits(&h);
    for (uint32_t i = 1; i <= SESSION_JOBS_MAX + 1; i++)
        hand_push_text(&h, i, LEAD_COMPANY, "Acme");
    hand_expect_of(&h, MSG_BUSY, 0);
    assert_true(h.answer.retry_ms > 0);
    for (uint32_t i = 1; i <= SESSION_JOBS_MAX; i++) {
        hand_expect_of(&h, MSG_SYNCED, SESSION_JOBS_MAX + 1 - i);
        assert_int_equal(h.answer.batch, i);
    }
    hand_push_text(&h, SESSION_JOBS_MAX + 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    hand_close(&h);
}

static int64_t seen_at_ms(hand *h) {
    seen s;
    store *st = h->world->store;
    assert_int_equal(st->ops->begin(st, NULL), LP_OK);
    assert_int_equal(seen_get(&h->world->pool, h->clock.author, &s, NULL), LP_OK);
    st->ops->rollback(st);
    return s.at_ms;
}

static void a_device_that_stays_is_noted_now_and_then_and_not_when_there_is_much_to_write(void **state) {
    hand h;
    (void)state;
    open_up_to_date(&h);
    world_run(h.world, 1000);
    int64_t first_ms = seen_at_ms(&h);
    assert_true(first_ms > 0);
    world_run(h.world, SEEN_EVERY_MS - 5000);
    hand_pull(&h);
    world_run(h.world, 1000);
    assert_int_equal(seen_at_ms(&h), first_ms);
    world_run(h.world, 5000);
    hold_commits(&h);
    for (uint32_t i = 1; i <= SESSION_JOBS_MAX / 2; i++)
        hand_push_text(&h, i, LEAD_COMPANY, "Acme");
    hand_pull(&h);
    world_run(h.world, 10000);
    assert_int_equal(seen_at_ms(&h), first_ms);
    hand_pull(&h);
    world_run(h.world, 1000);
    assert_true(seen_at_ms(&h) > first_ms + SEEN_EVERY_MS);
    hand_close(&h);
}

/* ---- answers that are large ---- */

/* Pushes `count` records that are not a device's to write; each is refused with a reason. */
static void push_refused(hand *h, uint64_t batch, uint32_t count) {
    buf changes = {0}, value = {0};
    wire_put_text(&value, SPAN_LITERAL("x"));
    changes_reset(&h->writer);
    for (uint32_t i = 0; i < count; i++) {
        lp_id id = id_new(&h->world->env, h->world->now_ms);
        changes_begin(&h->writer);
        change_put(&h->writer, STAFF_NAME, (span){0}, buf_span(&value));
        changes_end(&h->writer, KIND_STAFF, &id, hlc_next(&h->clock, h->world->now_ms), STAMP_NONE, 0);
    }
    assert_int_equal(changes_finish(&h->writer, &changes, NULL), LP_OK);
    message m = {.number = MSG_SYNC, .batch = batch, .changes = buf_span(&changes), .cursors = buf_span(&h->cursors)};
    hand_send_message(h, &m);
    buf_fini(&changes);
    buf_fini(&value);
}

static void pages_wait_for_a_request_of_their_own_when_there_are_many_verdicts(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 99);
    push_refused(&h, 1, 4);
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.verdict_count, 4);
    assert_true(h.answer.pages.size > 0);
    push_refused(&h, 2, 4000);
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.verdict_count, 4000);
    assert_int_equal(h.answer.pages.size, 0);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    assert_true(h.answer.pages.size > 0);
    hand_close(&h);
}

/* ---- waits ---- */

static void of_two_waits_the_shorter_ends_first(void **state) {
    hand h;
    (void)state;
    open_up_to_date(&h);
    hand_wait(&h, 30000);
    hand_wait(&h, 10000);
    hand_wait(&h, 20000);
    for (uint32_t i = 0; i < 3; i++) {
        static const uint32_t back[] = {1, 0, 2};
        world_run(h.world, 9000);
        assert_false(hand_has_answer(&h));
        world_run(h.world, 1100);
        hand_expect_of(&h, MSG_SYNCED, back[i]);
    }
    hand_close(&h);
}

static void a_wait_for_no_time_or_for_nothing_is_answered_at_once(void **state) {
    hand h;
    (void)state;
    open_up_to_date(&h);
    wait_for_pages(&h, buf_span(&h.cursors), 0, 0);
    world_run(h.world, 100);
    assert_true(hand_has_answer(&h));
    hand_expect(&h, MSG_SYNCED);
    wait_for_pages(&h, (span){0}, 30000, 0);
    world_run(h.world, 100);
    assert_true(hand_has_answer(&h));
    hand_expect(&h, MSG_SYNCED);
    hand_close(&h);
}

static void a_page_may_be_asked_for_larger_than_any(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 2);
    hand_greet(&h, 0);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    /* What is kept of the size has 32 bits: cut to them it would be room for one byte. */
    wait_for_pages(&h, buf_span(&h.cursors), 30000, (UINT64_C(1) << 32) + 1);
    world_run(h.world, 100);
    assert_false(hand_has_answer(&h));
    world_make_lead(h.world, 1, "Li Wei");
    world_make_lead(h.world, 1, "Zhang Min");
    world_device_start(&h.world->devices[1], false);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    assert_int_equal(h.pool_sets, 2);
    assert_false(h.more);
    hand_close(&h);
}

static void expect_clock_ends_wait(hand *h) {
    hand_expect_of(h, MSG_SYNCED, 1);
    assert_int_equal(h->answer.pages.size, 0);
    hand_expect_of(h, MSG_CLOCK, 0);
    world_run(h->world, 60000);
    assert_false(hand_has_answer(h));
}

static void a_wait_ends_when_the_clock_turns_out_to_be_wrong(void **state) {
    hand h;
    (void)state;
    open_up_to_date(&h);
    hand_wait(&h, 30000);
    h.clock_ms = 3600000;
    hand_push_text(&h, 1, LEAD_COMPANY, "from the future");
    expect_clock_ends_wait(&h);
    hand_greet(&h, 99);
    hand_wait(&h, 30000);
    h.off_ms = 3600000;
    hand_hello(&h, 99);
    expect_clock_ends_wait(&h);
    hand_close(&h);
}

/* A second connection of the same device pushes; the first is the current one again. */
static void push_elsewhere(hand *h, uint64_t batch) {
    int32_t first = h->link;
    h->link = -1;
    hand_greet(h, batch);
    hand_push_text(h, batch, LEAD_COMPANY, "from elsewhere");
    hand_expect(h, MSG_SYNCED);
    world_hang_up(h->world, (uint32_t)h->link, false);
    h->link = first;
}

/* What was written on another connection is not echoed on this one, so nothing may be read here. */
static void a_connection_whose_device_wrote_on_another_ends_with_its_waits(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    hand_wait(&h, 30000);
    hand_wait(&h, 30000);
    world_run(h.world, 100);
    push_elsewhere(&h, 5);
    assert_false(hand_receive(&h));
    hand_close(&h);

    /* One step ends all of it, and once. */
    hand_open(&h, 1);
    hand_greet(&h, 0);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    hand_wait(&h, 30000);
    hand_wait(&h, 30000);
    world_run(h.world, 100);
    session *s = h.world->links[h.link].session;
    session_actions actions;
    h.world->links[h.link].session = NULL; /* it is not told that the pool moves */
    push_elsewhere(&h, 5);
    h.world->links[h.link].session = s;
    session_step(s, h.world->reader, &(session_event){.kind = SESSION_MOVED}, &actions);
    assert_int_equal(actions.count, 1);
    assert_int_equal(actions.list[0].kind, SESSION_CLOSE);
    assert_false(session_parked(s));
    assert_int_equal(session_deadline_ms(s), 0);
    session_step(s, h.world->reader, &(session_event){.kind = SESSION_MOVED}, &actions);
    assert_int_equal(actions.count, 0);
    hand_close(&h);
}

static void digests_are_not_told_to_a_connection_whose_device_wrote_on_another(void **state) {
    hand h;
    buf ranges = {0};
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    push_elsewhere(&h, 5);
    ranges_put(&ranges, &range_of_all, 1);
    message m = {.number = MSG_DIGESTS, .cursors = buf_span(&h.cursors), .ranges = buf_span(&ranges)};
    hand_send_message(&h, &m);
    assert_false(hand_receive(&h));
    buf_fini(&ranges);
    hand_close(&h);
}

/* A rep of the stranger's invitation who was granted `events` scopes with long names, and a cursor for each. */
static void become_a_rep(hand *h, uint32_t events) {
    char scope[80];
    hand_open(h, 0);
    world_invite(h->world, "Ann", "rep", h->token);
    hand_connect(h);
    hand_join(h);
    hand_expect(h, MSG_JOINED);
    h->device = h->clock.author = (uint32_t)h->answer.device;
    buf_clear(&h->cursors);
    wire_put_array(&h->cursors, events);
    for (uint32_t i = 0; i < events; i++) {
        cursor c = {.scope = span_text(scope)};
        snprintf(scope, sizeof scope, "event:a fair with a name that is nearly as long as allowed %02u", i);
        const control_pair grant[] = {{"staff", "Ann"}, {"scope", scope}};
        assert_true(world_operate_with(h->world, "grant", grant, 2));
        c.scope = span_text(scope);
        cursor_put(&h->cursors, &c);
    }
    hand_greet(h, 0);
    hand_pull(h);
    hand_expect(h, MSG_SYNCED);
    hand_read_pages(h);
}

static void a_wait_costs_no_more_than_its_share(void **state) {
    hand h;
    (void)state;
    become_a_rep(&h, 8);
    hand_wait(&h, 5000);
    world_run(h.world, 4000);
    assert_false(hand_has_answer(&h));
    world_run(h.world, 2000);
    hand_expect(&h, MSG_SYNCED);
    hand_close(&h);

    become_a_rep(&h, 16);
    hand_wait(&h, 5000);
    hand_expect(&h, MSG_BUSY);
    hand_close(&h);
}

/* ---- a pool that was set back ---- */

/* A cursor of this epoch that is of another history. */
static void put_strange_cursor(const hand *h, buf *out) {
    static const uint8_t tag[CURSOR_TAG_BYTES] = {0xee};
    wire_put_array(out, 1);
    cursor c = {.scope = SPAN_LITERAL("pool"), .epoch = h->answer.epoch, .seq = 1000, .tag = span_of(tag, sizeof tag)};
    cursor_put(out, &c);
}

static uint32_t forks_told(hand *h) {
    hand_connect(h);
    hand_greet(h, 99);
    wire_reader r = wire_open(h->answer.forks);
    return h->answer.forks.size ? wire_array(&r) : 0;
}

static void two_who_notice_at_once_that_the_pool_was_set_back_get_one_new_epoch(void **state) {
    hand h;
    buf cursors = {0};
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 99);
    put_strange_cursor(&h, &cursors);
    hold_commits(&h);
    hand_pull_from(&h, buf_span(&cursors));
    hand_pull_from(&h, buf_span(&cursors));
    hand_expect_of(&h, MSG_SYNCED, 1);
    hand_expect_of(&h, MSG_SYNCED, 0);
    assert_true(h.answer.pages.size > 0);
    assert_int_equal(h.world->trouble.code, LP_CORRUPT); /* one line in the log */
    assert_int_equal(forks_told(&h), 1);
    buf_fini(&cursors);
    hand_close(&h);
}

/* The batch is answered; what there is to read is asked for again, and leads to the new epoch. */
static void a_batch_with_cursors_of_another_history_is_answered_without_pages(void **state) {
    hand h;
    buf cursors = {0};
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 99);
    put_strange_cursor(&h, &cursors);
    buf_fini(&h.cursors);
    h.cursors = cursors;
    push_refused(&h, 1, 1);
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.answer.batch, 1);
    assert_int_equal(h.verdict_count, 1);
    assert_int_equal(h.answer.pages.size, 0);
    assert_int_equal(forks_told(&h), 0);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    assert_true(h.answer.pages.size > 0);
    assert_int_equal(forks_told(&h), 1);
    hand_close(&h);
}

/* The second of two cursors is nonsense, or the first again: nothing of the first is answered, or kept (a sanitizer would tell). */
static void cursors_that_do_not_read_end_the_connection(void **state) {
    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        hand h;
        buf cursors = {0};
        cursor c = {.scope = SPAN_LITERAL("pool")};
        hand_open(&h, 1);
        hand_greet(&h, 99);
        hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
        hand_expect(&h, MSG_SYNCED);
        wire_put_array(&cursors, 2);
        cursor_put(&cursors, &c);
        if (twice)
            cursor_put(&cursors, &c);
        else
            wire_put_u64(&cursors, 7);
        hand_pull_from(&h, buf_span(&cursors));
        hand_expect(&h, MSG_ERROR);
        assert_false(hand_receive(&h));
        buf_fini(&cursors);
        hand_close(&h);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_jobs_than_allowed_are_told_to_come_later),
        cmocka_unit_test(a_device_that_stays_is_noted_now_and_then_and_not_when_there_is_much_to_write),
        cmocka_unit_test(pages_wait_for_a_request_of_their_own_when_there_are_many_verdicts),
        cmocka_unit_test(of_two_waits_the_shorter_ends_first),
        cmocka_unit_test(a_wait_for_no_time_or_for_nothing_is_answered_at_once),
        cmocka_unit_test(a_page_may_be_asked_for_larger_than_any),
        cmocka_unit_test(a_wait_ends_when_the_clock_turns_out_to_be_wrong),
        cmocka_unit_test(a_connection_whose_device_wrote_on_another_ends_with_its_waits),
        cmocka_unit_test(digests_are_not_told_to_a_connection_whose_device_wrote_on_another),
        cmocka_unit_test(a_wait_costs_no_more_than_its_share),
        cmocka_unit_test(two_who_notice_at_once_that_the_pool_was_set_back_get_one_new_epoch),
        cmocka_unit_test(a_batch_with_cursors_of_another_history_is_answered_without_pages),
        cmocka_unit_test(cursors_that_do_not_read_end_the_connection),
    };
    return cmocka_run_group_tests_name("integration_server_limits", tests, NULL, NULL);
}
