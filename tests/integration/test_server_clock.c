/* test_server_clock.c - the server's own clock is set, to 2036 and back, and nothing of the pool is poisoned; and an older connection of a
 * device writes nothing more. The production session, committer and stores in virtual time (tests/sim/world.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/wire.h"
#include "server/pool/epochs.h"
#include "tests/sim/hand.h"

#define YEAR_MS (INT64_C(365) * 86400000)

static int64_t latest_ms(hand *h) {
    world *w = h->world;
    store_row row;
    record rec;
    int64_t latest = 0;
    lp_id id = h->record;
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    assert_int_equal(w->reader->ops->read(w->reader, &id, &row, NULL), LP_OK);
    record_init(&rec, row.kind, &id);
    assert_int_equal(record_unpack(&rec, row.body, row.stamps, NULL), LP_OK);
    for (uint32_t i = 0; i < rec.count; i++)
        latest = stamp_ms(rec.regs[i].stamp) > latest ? stamp_ms(rec.regs[i].stamp) : latest;
    record_fini(&rec);
    w->reader->ops->snapshot_end(w->reader);
    return latest;
}

static void keep_done(void *ctx, job *j) {
    (void)ctx;
    (void)j;
}

/* The operator's command; the number of stamps it found ahead. */
static int64_t repair(hand *h) {
    message control = {.number = MSG_CONTROL, .verb = SPAN_LITERAL("repair-clock")}, answer;
    job *j = job_new(JOB_CONTROL);
    assert_int_equal(message_encode(&control, &j->request, NULL), LP_OK);
    j->done = keep_done;
    committer_run(h->world->committer, j);
    assert_int_equal(j->result, LP_OK);
    assert_int_equal(message_decode(buf_span(&j->answer), &answer, NULL), LP_OK);
    wire_reader r = wire_open(answer.result);
    int64_t stamps = -1;
    for (uint32_t left = wire_map(&r); left > 0; left--) {
        bool sought = span_equal(wire_text(&r), SPAN_LITERAL("stamps"));
        int64_t value = wire_i64(&r);
        stamps = sought ? value : stamps;
    }
    job_free(j);
    return stamps;
}

static void read_epochs(hand *h, epochs *out) {
    world *w = h->world;
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    assert_int_equal(epochs_read(w->reader, out, NULL), LP_OK);
    w->reader->ops->snapshot_end(w->reader);
}

static void verify(hand *h) {
    world *w = h->world;
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    assert_int_equal(w->reader->ops->verify(w->reader, NULL, NULL, NULL), LP_OK);
    w->reader->ops->snapshot_end(w->reader);
}

static void a_clock_that_is_set_while_the_server_runs_puts_pushes_off_and_poisons_nothing(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    hand_push_text(&h, 1, LEAD_COMPANY, "before");
    hand_expect(&h, MSG_SYNCED);
    assert_true(h.answer.now_ms > 0);
    h.world->server_wall_off_ms = 10 * YEAR_MS;
    hand_push_text(&h, 2, LEAD_COMPANY, "meanwhile");
    hand_expect(&h, MSG_BUSY);
    hand_connect(&h);
    hand_hello(&h, 2);
    hand_expect(&h, MSG_WELCOME); /* whose clock is wrong? not the device's, for all that is known */
    assert_int_equal(h.answer.now_ms, 0);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.answer.now_ms, 0);
    h.world->server_wall_off_ms = 0;
    hand_push_text(&h, 3, LEAD_COMPANY, "after");
    hand_expect(&h, MSG_SYNCED);
    assert_true(latest_ms(&h) <= h.world->now_ms);
    hand_close(&h);
}

static void nobody_joins_while_the_time_is_in_doubt(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 0);
    hand_connect(&h);
    h.world->server_wall_off_ms = -YEAR_MS;
    hand_join(&h);
    hand_expect(&h, MSG_BUSY);
    h.world->server_wall_off_ms = 0;
    hand_join(&h);
    hand_expect(&h, MSG_JOINED);
    hand_close(&h);
}

/* The server was started in 2036, and devices followed it. */
static void live_in_2036(hand *h) {
    h->world->server_wall_off_ms = 10 * YEAR_MS;
    world_server_restart(h->world);
    h->off_ms = h->clock_ms = 10 * YEAR_MS;
    hand_connect(h);
    hand_hello(h, 1);
    hand_expect(h, MSG_WELCOME);
    hand_push_text(h, 2, LEAD_COMPANY, "in 2036");
    hand_expect(h, MSG_SYNCED);
    h->base = STAMP_NONE;
    hand_push_text(h, 3, LEAD_NOTES, "and later in 2036");
    hand_expect(h, MSG_SYNCED);
    assert_true(latest_ms(h) >= h->world->now_ms + 9 * YEAR_MS);
    h->world->server_wall_off_ms = 0;
    world_server_restart(h->world);
    h->off_ms = h->clock_ms = 0;
}

static void a_pool_written_in_2036_waits_for_somebody_and_is_repaired(void **state) {
    static const store_ops *const engines[] = {&store_memory_ops, &store_sqlite_ops};
    (void)state;
    for (int i = 0; i < 2; i++) {
        hand h;
        epochs before, after;
        hand_open_on(&h, 1, engines[i]);
        hand_greet(&h, 0);
        hand_push_text(&h, 1, LEAD_COMPANY, "before");
        hand_expect(&h, MSG_SYNCED);
        live_in_2036(&h);
        hand_connect(&h);
        hand_hello(&h, 3);
        hand_expect(&h, MSG_WELCOME);
        hand_push_text(&h, 4, LEAD_COMPANY, "back");
        hand_expect(&h, MSG_BUSY);
        uint32_t entries = hand_history(&h);
        read_epochs(&h, &before);
        assert_int_equal(repair(&h), 2);
        read_epochs(&h, &after);
        assert_memory_not_equal(before.epoch, after.epoch, EPOCH_BYTES);
        assert_int_equal(epochs_fork_of(&after, span_of(before.epoch, EPOCH_BYTES)), committer_seq(h.world->committer));
        assert_true(latest_ms(&h) <= h.world->now_ms + 2);
        assert_int_equal(hand_history(&h), entries);
        verify(&h);
        h.clock.last = 0;
        h.world->now_ms += 1000;
        hand_connect(&h);
        hand_hello(&h, 4);
        hand_expect(&h, MSG_WELCOME);
        assert_true(h.answer.now_ms > 0);
        hand_push_text(&h, 5, LEAD_COMPANY, "wins");
        hand_expect(&h, MSG_SYNCED);
        assert_int_equal(h.verdict_count, 0);
        assert_true(latest_ms(&h) <= h.world->now_ms);
        assert_int_equal(repair(&h), 0);
        read_epochs(&h, &before);
        assert_memory_equal(before.epoch, after.epoch, EPOCH_BYTES); /* nothing was ahead: nobody has to read anew */
        verify(&h);
        hand_close(&h);
    }
}

/* The stamps of what is in the history of the hand's record, and whether two changes have one. */
typedef struct stamp_walk {
    stamp list[16];
    uint32_t count;
    bool twice;
} stamp_walk;

static bool note_stamp(void *ctx, const store_history *entry) {
    stamp_walk *walk = ctx;
    for (uint32_t i = 0; i < walk->count; i++)
        walk->twice |= stamp_compare(walk->list[i], entry->stamp) == 0;
    assert_true(walk->count < 16);
    walk->list[walk->count++] = entry->stamp;
    return true;
}

static stamp_walk read_stamps(hand *h) {
    world *w = h->world;
    stamp_walk walk = {.count = 0};
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    assert_int_equal(w->reader->ops->read_history(w->reader, &h->record, note_stamp, &walk, NULL), LP_OK);
    w->reader->ops->snapshot_end(w->reader);
    return walk;
}

/* Pushes three changes at the very hybrid time `at_ms`, as a device does that knows nothing of the stamps the pool has given. */
static void push_at(hand *h, int64_t at_ms, uint64_t batch) {
    h->clock.last = 0;
    h->base = STAMP_NONE;
    h->clock_ms = at_ms - h->world->now_ms;
    for (uint64_t i = 0; i < 3; i++) {
        hand_push_text(h, batch + i, LEAD_COMPANY, i == 0 ? "zero" : i == 1 ? "one" : "two");
        hand_expect(h, MSG_SYNCED);
    }
    h->clock_ms = 0;
}

/* Repaired stamps keep their authors, who go on giving stamps for the same moment: before they hear of the repair, or because their clock says so. */
static void what_is_repaired_has_no_stamp_that_its_author_gives_to_something_else(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    hand_push_text(&h, 1, LEAD_COMPANY, "before");
    hand_expect(&h, MSG_SYNCED);
    live_in_2036(&h);
    assert_int_equal(repair(&h), 2);
    stamp_walk walk = read_stamps(&h);
    int64_t repaired_ms = stamp_ms(walk.list[walk.count - 1]);
    hand_connect(&h);
    hand_hello(&h, 4);
    hand_expect(&h, MSG_WELCOME);
    push_at(&h, repaired_ms, 5);
    walk = read_stamps(&h);
    assert_int_equal(walk.count, 6);
    assert_false(walk.twice);
    hand_close(&h);
}

static void a_step_may_be_declared_right(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    h.world->server_wall_off_ms = YEAR_MS;
    hand_push_text(&h, 1, LEAD_COMPANY, "in doubt");
    hand_expect(&h, MSG_BUSY);
    assert_int_equal(repair(&h), 0);
    hand_connect(&h);
    hand_hello(&h, 1);
    hand_expect(&h, MSG_CLOCK); /* now it is the device's that is wrong */
    h.off_ms = h.clock_ms = YEAR_MS;
    hand_hello(&h, 1);
    hand_expect(&h, MSG_WELCOME);
    hand_push_text(&h, 2, LEAD_COMPANY, "right");
    hand_expect(&h, MSG_SYNCED);
    hand_close(&h);
}

/* It has greeted by the time that was right before, and would write a year into the past of everybody else. */
static void who_greeted_before_the_time_was_set_greets_again(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    h.world->server_wall_off_ms = YEAR_MS;
    assert_int_equal(repair(&h), 0);
    hand_push_text(&h, 1, LEAD_COMPANY, "a year ago");
    hand_expect(&h, MSG_BUSY);
    assert_int_equal(hand_history(&h), 0);
    hand_hello(&h, 1);
    hand_expect(&h, MSG_CLOCK);
    h.off_ms = h.clock_ms = YEAR_MS;
    hand_hello(&h, 1);
    hand_expect(&h, MSG_WELCOME);
    hand_push_text(&h, 2, LEAD_COMPANY, "now");
    hand_expect(&h, MSG_SYNCED);
    hand_close(&h);
}

/* What stands behind the operator's word in one commit would be judged by the time of before. */
static void nothing_is_written_in_the_commit_that_sets_the_time(void **state) {
    hand h;
    message control = {.number = MSG_CONTROL, .verb = SPAN_LITERAL("repair-clock")},
            offer = {.number = MSG_REOFFER, .epoch = span_of("0123456789abcdef", EPOCH_BYTES)};
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    job *j = job_new(JOB_CONTROL), *behind = job_new(JOB_REOFFER);
    assert_int_equal(message_encode(&control, &j->request, NULL), LP_OK);
    assert_int_equal(message_encode(&offer, &behind->request, NULL), LP_OK);
    behind->device = h.clock.author;
    behind->greeting = UINT64_MAX;
    j->next = behind;
    j->done = behind->done = keep_done;
    committer_run(h.world->committer, j);
    assert_int_equal(j->result, LP_OK);
    assert_int_equal(behind->result, LP_BUSY);
    job_free(j);
    job_free(behind);
    hand_close(&h);
}

static void an_older_connection_writes_nothing_after_a_hello_on_another(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    hand_push_text(&h, 1, LEAD_COMPANY, "first");
    hand_expect(&h, MSG_SYNCED);
    /* A push waits for the writer when the device greets on another connection. */
    int32_t old = h.link;
    h.world->faults.commit_max_ms = 5000;
    hand_push_text(&h, 2, LEAD_COMPANY, "from the old one");
    h.link = -1;
    hand_greet(&h, 2);
    h.world->faults.commit_max_ms = 0;
    assert_int_equal(h.answer.batch, 1);
    world_run(h.world, 10000);
    assert_int_equal(hand_history(&h), 1);
    int32_t latest = h.link;
    h.link = old;
    hand_expect_of(&h, MSG_BUSY, 1);
    h.link = latest;
    hand_repeat(&h);
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(hand_history(&h), 2);
    world_hang_up(h.world, (uint32_t)old, false);
    hand_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_is_set_while_the_server_runs_puts_pushes_off_and_poisons_nothing),
        cmocka_unit_test(nobody_joins_while_the_time_is_in_doubt),
        cmocka_unit_test(a_pool_written_in_2036_waits_for_somebody_and_is_repaired),
        cmocka_unit_test(what_is_repaired_has_no_stamp_that_its_author_gives_to_something_else),
        cmocka_unit_test(a_step_may_be_declared_right),
        cmocka_unit_test(who_greeted_before_the_time_was_set_greets_again),
        cmocka_unit_test(nothing_is_written_in_the_commit_that_sets_the_time),
        cmocka_unit_test(an_older_connection_writes_nothing_after_a_hello_on_another),
    };
    return cmocka_run_group_tests_name("integration_server_clock", tests, NULL, NULL);
}
