/* test_epochs.c - a server that was restored or set back, and devices that are copies or forgotten: the contracts of epochs.h, reoffer.h and
 * rejoin.h, with a device driven by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/wire.h"
#include "server/pool/epochs.h"
#include "server/office/review.h"
#include "tests/sim/hand.h"

static void seal(hand *h, span changes, buf *entries) {
    uint8_t ephemeral[CRYPTO_SEAL_KEY_BYTES];
    crypto_sealer *sealer;
    buf sealed = {0};
    prop_bytes(&h->world->random, ephemeral, sizeof ephemeral);
    assert_int_equal(crypto_sealer_new(h->world->pool.seal_key, ephemeral, &sealer, NULL), LP_OK);
    assert_int_equal(crypto_seal(sealer, changes, &sealed, NULL), LP_OK);
    wire_put_bytes(entries, buf_span(&sealed));
    crypto_sealer_free(sealer);
    buf_fini(&sealed);
}

/* The changes of the last push. */
static span pushed_changes(const hand *h) {
    message m;
    assert_int_equal(message_decode(buf_span(&h->pushed), &m, NULL), LP_OK);
    return m.changes;
}

static void offer_pushed_again(hand *h) {
    buf entries = {0};
    wire_put_array(&entries, 1);
    seal(h, pushed_changes(h), &entries);
    hand_reoffer(h, buf_span(&entries), (span){0});
    hand_expect(h, MSG_REOFFERED);
    assert_int_equal(h->answer.taken, 1);
    buf_fini(&entries);
}

static void a_restored_pool_names_the_fork_and_takes_back_what_it_lacks(void **state) {
    hand h;
    buf old = {0}, entries = {0};
    (void)state;
    hand_open_on(&h, 1, &store_sqlite_ops);
    hand_greet(&h, 0);
    buf_append_span(&old, h.answer.epoch);
    assert_int_equal(h.answer.forks.size, 0);
    hand_push_text(&h, 1, LEAD_COMPANY, "before");
    hand_expect(&h, MSG_SYNCED);
    uint64_t fork = h.answer.seq;
    assert_int_equal(fork, committer_seq(h.world->committer));
    world_server_backup(h.world, "monday.db");
    hand_push_text(&h, 2, LEAD_FULL_NAME, "after");
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.answer.seq, fork + 1);

    world_server_restore(h.world, "monday.db");
    hand_connect(&h);
    hand_greet(&h, 2);
    assert_false(span_equal(h.answer.epoch, buf_span(&old)));
    assert_int_equal(h.answer.kept_seq, fork);
    wire_reader forks = wire_open(h.answer.forks);
    assert_int_equal(wire_array(&forks), 1);
    assert_int_equal(wire_array(&forks), 2);
    assert_true(span_equal(wire_bytes(&forks), buf_span(&old)));
    assert_int_equal(wire_u64(&forks), fork);

    assert_true(hand_pool_has(&h, LEAD_COMPANY));
    assert_false(hand_pool_has(&h, LEAD_FULL_NAME));
    for (int i = 0; i < 2; i++) {
        offer_pushed_again(&h);
        assert_int_equal(h.answer.seq, fork + 1);
        assert_true(hand_pool_has(&h, LEAD_FULL_NAME));
        assert_int_equal(hand_history(&h), 2);
    }
    buf_fini(&old);
    buf_fini(&entries);
    hand_close(&h);
}

static void losers_come_back_once_in_whatever_sets_they_are_offered(void **state) {
    hand h;
    changes_writer w;
    buf one = {0}, value = {0};
    (void)state;
    hand_open_on(&h, 1, &store_sqlite_ops);
    hand_greet(&h, 0);
    hand_begin(&h);
    hand_put_text(&h, LEAD_FULL_NAME, "first");
    hand_put_text(&h, LEAD_COMPANY, "first");
    hand_push(&h, 1);
    hand_expect(&h, MSG_SYNCED);
    buf first = {0};
    buf_append_span(&first, buf_span(&h.pushed));
    stamp at = {h.clock.last, h.clock.author};
    hand_push_text(&h, 2, LEAD_COMPANY, "second");
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(hand_history(&h), 2);

    /* All of the first set again, then one value of it in a set of its own, with the base forgotten. */
    buf_clear(&h.pushed);
    buf_append_span(&h.pushed, buf_span(&first));
    offer_pushed_again(&h);
    changes_init(&w);
    wire_put_text(&value, SPAN_LITERAL("first"));
    changes_begin(&w);
    change_put(&w, LEAD_COMPANY, (span){0}, buf_span(&value));
    changes_end(&w, KIND_LEAD, &h.record, at, (stamp){1 << 16, h.clock.author}, 0);
    assert_int_equal(changes_finish(&w, &one, NULL), LP_OK);
    hand_reoffer(&h, (span){0}, buf_span(&one));
    hand_expect(&h, MSG_REOFFERED);
    assert_int_equal(hand_history(&h), 2);
    changes_fini(&w);
    buf_fini(&one);
    buf_fini(&value);
    buf_fini(&first);
    hand_close(&h);
}

static void what_cannot_be_read_or_is_anothers_is_passed_over(void **state) {
    hand h;
    buf entries = {0};
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    hand_push_text(&h, 1, LEAD_COMPANY, "mine");
    hand_expect(&h, MSG_SYNCED);
    wire_put_array(&entries, 4);
    wire_put_bytes(&entries, SPAN_LITERAL("nonsense"));
    seal(&h, SPAN_LITERAL("\x93\x01"), &entries);
    h.clock.author += 1;
    hand_push_text(&h, 2, LEAD_JOB_TITLE, "another's"); /* refused, change by change */
    hand_expect(&h, MSG_SYNCED);
    seal(&h, pushed_changes(&h), &entries);
    h.clock.author -= 1;
    hand_begin(&h);
    hand_put_text(&h, LEAD_FULL_NAME, "good");
    hand_push(&h, 3);
    hand_expect(&h, MSG_SYNCED);
    seal(&h, pushed_changes(&h), &entries);
    hand_reoffer(&h, buf_span(&entries), (span){0});
    hand_expect(&h, MSG_REOFFERED);
    assert_int_equal(h.answer.taken, 4);
    assert_false(hand_pool_has(&h, LEAD_JOB_TITLE));
    assert_true(hand_pool_has(&h, LEAD_FULL_NAME));
    buf_fini(&entries);
    hand_close(&h);
}

static bool is_moved(void *ctx, const store_history *entry) {
    *(bool *)ctx = entry->stamp.time & STAMP_MOVED;
    return true;
}

static void a_change_accepted_by_a_clock_that_was_ahead_is_from_now_when_offered_again(void **state) {
    hand h;
    buf entries = {0};
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    h.clock_ms = INT64_C(3600000) * 24 * 365;
    hand_push_text(&h, 1, LEAD_COMPANY, "from the future");
    hand_expect(&h, MSG_CLOCK);
    wire_put_array(&entries, 1);
    seal(&h, pushed_changes(&h), &entries);
    h.clock_ms = 0;
    hand_connect(&h);
    hand_greet(&h, 1);
    hand_reoffer(&h, buf_span(&entries), (span){0});
    hand_expect(&h, MSG_REOFFERED);
    assert_true(hand_pool_has(&h, LEAD_COMPANY));
    bool moved = false; /* to a stamp that its author gives to nothing */
    assert_int_equal(h.world->reader->ops->snapshot(h.world->reader, NULL), LP_OK);
    assert_int_equal(h.world->reader->ops->read_history(h.world->reader, &h.record, is_moved, &moved, NULL), LP_OK);
    h.world->reader->ops->snapshot_end(h.world->reader);
    assert_true(moved);
    h.clock.last = 0;
    h.world->now_ms += 1000;
    hand_push_text(&h, 2, LEAD_COMPANY, "today");
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.verdict_count, 0);
    buf_fini(&entries);
    hand_close(&h);
}

/* Of several epochs, or because the answer was lost. What its author wrote twice, with something else between, was written twice. */
static void what_was_moved_to_now_is_taken_once_however_often_it_is_offered(void **state) {
    static const char *const texts[] = {"first", "second", "first"};
    hand h;
    buf entries = {0};
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    h.clock_ms = INT64_C(3600000) * 24 * 365;
    wire_put_array(&entries, 3);
    for (uint32_t i = 0; i < 3; i++) {
        hand_push_text(&h, 1, LEAD_COMPANY, texts[i]);
        hand_expect(&h, MSG_CLOCK);
        seal(&h, pushed_changes(&h), &entries);
        h.base = (stamp){h.clock.last, h.device};
    }
    h.clock_ms = 0;
    hand_connect(&h);
    hand_greet(&h, 1);
    for (int time = 0; time < 3; time++) {
        hand_reoffer(&h, buf_span(&entries), (span){0});
        hand_expect(&h, MSG_REOFFERED);
        assert_int_equal(hand_history(&h), 3);
        h.world->now_ms += 60000;
    }
    store_row row;
    record rec;
    record_init(&rec, 0, &h.record);
    assert_int_equal(h.world->reader->ops->snapshot(h.world->reader, NULL), LP_OK);
    assert_int_equal(h.world->reader->ops->read(h.world->reader, &h.record, &row, NULL), LP_OK);
    assert_int_equal(record_unpack(&rec, row.body, row.stamps, NULL), LP_OK);
    wire_reader value = wire_open(record_value(&rec, LEAD_COMPANY, (span){0}));
    assert_true(span_equal(wire_text(&value), SPAN_LITERAL("first")));
    h.world->reader->ops->snapshot_end(h.world->reader);
    record_fini(&rec);
    buf_fini(&entries);
    hand_close(&h);
}

typedef struct review_count {
    review_reason why;
    uint32_t count;
} review_count;

static bool count_review(void *ctx, const review_entry *entry) {
    review_count *c = ctx;
    c->count += entry->why == c->why;
    return true;
}

static uint32_t in_review(hand *h, review_reason why) {
    review_count c = {why, 0};
    store *s = h->world->store;
    assert_int_equal(s->ops->begin(s, NULL), LP_OK);
    assert_int_equal(review_each(&h->world->pool, count_review, &c, NULL), LP_OK);
    s->ops->rollback(s);
    return c.count;
}

/* It had another number, of which the restored pool knows nothing. */
static void what_is_refused_when_it_is_offered_again_awaits_review(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    h.clock.author += 5;
    hand_push_text(&h, 1, LEAD_COMPANY, "under another number");
    hand_expect(&h, MSG_SYNCED);
    hand_expect_verdict(&h, 0, -1, VERDICT_REFUSED);
    assert_int_equal(in_review(&h, REVIEW_REFUSED), 0); /* its author was told */
    for (int i = 0; i < 2; i++) {
        hand_reoffer(&h, (span){0}, pushed_changes(&h));
        hand_expect(&h, MSG_REOFFERED);
        assert_int_equal(in_review(&h, REVIEW_REFUSED), 1);
    }
    assert_false(hand_pool_has(&h, LEAD_COMPANY));
    hand_close(&h);
}

static void values_of_others_that_a_replica_still_had_go_to_review(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    h.clock.author += 5; /* whoever that is */
    hand_push_text(&h, 1, LEAD_COMPANY, "theirs");
    hand_expect(&h, MSG_SYNCED);
    message m = {.number = MSG_REOFFER, .others = pushed_changes(&h)};
    for (int i = 0; i < 2; i++) {
        hand_send_message(&h, &m);
        hand_expect(&h, MSG_REOFFERED);
        assert_int_equal(h.answer.taken, 1);
    }
    assert_false(hand_pool_has(&h, LEAD_COMPANY));
    assert_int_equal(in_review(&h, REVIEW_RECOVERED), 1);
    hand_close(&h);
}

/* ---- what devices may forget (backups.h) ---- */

static uint64_t push_next(hand *h, uint64_t batch) {
    hand_push_text(h, batch, LEAD_COMPANY, "Acme");
    hand_expect(h, MSG_SYNCED);
    return h->answer.seq;
}

static uint64_t kept_seq(hand *h, uint64_t batch) {
    hand_connect(h);
    hand_greet(h, batch);
    return h->answer.kept_seq;
}

/* Nothing was lost by it, so nobody notices; it may be set back to the same copy again. */
static void a_pool_set_back_to_a_copy_knows_of_that_copy(void **state) {
    hand h;
    (void)state;
    hand_open_on(&h, 1, &store_sqlite_ops);
    hand_greet(&h, 0);
    uint64_t copied = push_next(&h, 1);
    world_server_backup(h.world, "copy.db");
    world_server_set_back(h.world, "copy.db");
    hand_connect(&h);
    hand_greet(&h, 1);
    assert_int_equal(h.answer.kept_seq, 0); /* what nobody says was checked lets nobody forget */
    assert_true(push_next(&h, 2) > copied);
    world_server_backup(h.world, "later.db");
    assert_int_equal(kept_seq(&h, 2), copied);
    hand_close(&h);
}

static void backups_of_the_pool_that_is_replaced_still_count(void **state) {
    hand h;
    (void)state;
    hand_open_on(&h, 1, &store_sqlite_ops);
    hand_greet(&h, 0);
    uint64_t shared = push_next(&h, 1);
    world_server_backup(h.world, "old.db");
    h.world->now_ms += BACKUP_RETENTION_MS - DAY_MS;
    hand_connect(&h);
    hand_greet(&h, 1);
    push_next(&h, 2);
    world_server_backup(h.world, "one.db");
    world_server_restore(h.world, "old.db");
    hand_connect(&h);
    hand_greet(&h, 2);
    push_next(&h, 3);
    world_server_backup(h.world, "other.db"); /* of another branch than one.db */
    h.world->now_ms += 2 * DAY_MS;
    world_server_restore(h.world, "one.db");
    assert_int_equal(kept_seq(&h, 3), shared);
    hand_close(&h);
}

/* ---- cursors of a history that is gone ---- */

static void read_all(hand *h) {
    do {
        hand_pull(h);
        hand_expect(h, MSG_SYNCED);
        hand_read_pages(h);
    } while (h->more);
}

static void epoch_of_cursors(const hand *h, uint8_t epoch_out[EPOCH_BYTES]) {
    wire_reader r = wire_open(buf_span(&h->cursors));
    cursor c;
    wire_array(&r);
    assert_true(cursor_take(&r, &c));
    assert_int_equal(c.epoch.size, EPOCH_BYTES);
    assert_int_equal(c.tag.size, CURSOR_TAG_BYTES);
    memcpy(epoch_out, c.epoch.data, EPOCH_BYTES);
}

static void a_pool_set_back_behind_its_back_is_noticed_by_the_first_cursor(void **state) {
    hand h;
    uint8_t before[EPOCH_BYTES], after[EPOCH_BYTES];
    (void)state;
    hand_open_on(&h, 1, &store_sqlite_ops);
    hand_greet(&h, 0);
    world_server_backup(h.world, "copy.db");
    hand_push_text(&h, 1, LEAD_COMPANY, "gone");
    hand_expect(&h, MSG_SYNCED);
    read_all(&h);
    epoch_of_cursors(&h, before);

    world_server_set_back(h.world, "copy.db");
    /* Another history, as long as the one that is gone. */
    lp_id first = h.record;
    h.record = id_new(&h.world->env, h.world->now_ms);
    hand_connect(&h);
    hand_greet(&h, 1);
    hand_push_text(&h, 2, LEAD_COMPANY, "in its place");
    hand_expect(&h, MSG_SYNCED);
    h.world->trouble.code = LP_OK;
    read_all(&h);
    epoch_of_cursors(&h, after);
    assert_memory_not_equal(before, after, EPOCH_BYTES);
    assert_int_equal(h.world->trouble.code, LP_CORRUPT);
    hand_greet(&h, 2);
    wire_reader forks = wire_open(h.answer.forks);
    assert_int_equal(wire_array(&forks), 1);
    assert_int_equal(wire_array(&forks), 2);
    assert_true(span_equal(wire_bytes(&forks), span_of(before, EPOCH_BYTES)));
    assert_int_equal(wire_u64(&forks), 0); /* nobody knows where they part */
    world_server_backup(h.world, "later.db");
    assert_int_equal(kept_seq(&h, 2), 0); /* nor which backups were made there */
    h.record = first;
    hand_close(&h);
}

static void forge_cursors(hand *h, int what) {
    wire_reader r = wire_open(buf_span(&h->cursors));
    buf forged = {0};
    cursor c;
    uint32_t count = wire_array(&r);
    wire_put_array(&forged, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(cursor_take(&r, &c));
        c.tag = what == 1 ? SPAN_LITERAL("12345678") : c.tag;
        c.seq += what == 2 ? 1000 : 0;
        cursor_put(&forged, &c);
    }
    buf_fini(&h->cursors);
    h->cursors = forged;
}

static void forged_cursors_bring_about_one_epoch_in_ten_minutes(void **state) {
    hand h;
    uint8_t before[EPOCH_BYTES], after[EPOCH_BYTES];
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    read_all(&h);
    epoch_of_cursors(&h, before);
    forge_cursors(&h, 1);
    read_all(&h);
    epoch_of_cursors(&h, after);
    assert_memory_not_equal(before, after, EPOCH_BYTES);
    memcpy(before, after, EPOCH_BYTES);
    forge_cursors(&h, 2);
    hand_pull(&h);
    hand_expect(&h, MSG_BUSY);
    hand_wait(&h, 25000);
    hand_expect(&h, MSG_BUSY);
    h.world->now_ms += EPOCH_REDRAW_MIN_MS;
    hand_connect(&h);
    hand_greet(&h, 1);
    hand_wait(&h, 25000);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    epoch_of_cursors(&h, after);
    assert_memory_not_equal(before, after, EPOCH_BYTES);
    hand_close(&h);
}

/* ---- becoming another device ---- */

static void a_copy_goes_on_as_another_device_with_the_stamps_it_had(void **state) {
    hand h;
    uint8_t new_seed[CRYPTO_SEED_BYTES] = {5};
    (void)state;
    hand_open(&h, 1);
    hand_connect(&h);
    h.install[0] ^= 1;
    hand_hello(&h, 0);
    hand_expect_refused(&h, LP_CLONED);
    hand_rejoin(&h, new_seed, (span){0}, true);
    hand_expect_refused(&h, LP_REFUSED);
    hand_rejoin(&h, new_seed, (span){0}, false);
    hand_expect(&h, MSG_JOINED);
    uint64_t before = h.device, number = h.answer.device;
    assert_int_not_equal(number, before);
    hand_rejoin(&h, new_seed, (span){0}, false); /* the answer was lost */
    hand_expect(&h, MSG_JOINED);
    assert_int_equal(h.answer.device, number);

    memcpy(h.seed, new_seed, sizeof h.seed);
    memset(h.install, 0, sizeof h.install);
    h.install[0] = 7;
    h.device = number;
    hand_greet(&h, 0);
    hand_push_text(&h, 1, LEAD_COMPANY, "written before"); /* h.clock.author is still the old number */
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.verdict_count, 0);
    h.clock.author = (uint32_t)number;
    hand_push_text(&h, 2, LEAD_FULL_NAME, "written after");
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.verdict_count, 0);
    h.clock.author = (uint32_t)number + 1;
    hand_push_text(&h, 3, LEAD_JOB_TITLE, "another's");
    hand_expect(&h, MSG_SYNCED);
    hand_expect_verdict(&h, 0, -1, VERDICT_REFUSED);
    hand_close(&h);
}

static void a_device_that_joined_after_the_backup_is_known_again_by_its_pass(void **state) {
    hand h;
    uint8_t new_seed[CRYPTO_SEED_BYTES] = {5};
    buf pass = {0};
    (void)state;
    hand_open_on(&h, 0, &store_sqlite_ops);
    world_server_backup(h.world, "empty.db");
    world_invite(h.world, "Zhang Min", "manager", h.token);
    hand_connect(&h);
    hand_join(&h);
    hand_expect(&h, MSG_JOINED);
    h.device = h.clock.author = (uint32_t)h.answer.device;
    buf_append_span(&pass, h.answer.pass);
    world_server_restore(h.world, "empty.db");
    hand_connect(&h);
    hand_hello(&h, 0);
    hand_expect_refused(&h, LP_FORGOTTEN);
    hand_rejoin(&h, new_seed, (span){0}, false);
    hand_expect_refused(&h, LP_REFUSED);
    pass.data[5] ^= 1; /* of the staff id */
    hand_rejoin(&h, new_seed, buf_span(&pass), false);
    hand_expect_refused(&h, LP_REFUSED);
    pass.data[5] ^= 1;
    hand_rejoin(&h, new_seed, buf_span(&pass), false);
    hand_expect(&h, MSG_JOINED);
    assert_true(h.answer.device > h.device + EPOCH_NUMBERS_SKIPPED - 1);
    assert_true(span_equal(h.answer.staff_name, SPAN_LITERAL("Zhang Min")));
    memcpy(h.seed, new_seed, sizeof h.seed);
    memset(h.install, 0, sizeof h.install);
    h.install[0] = 7;
    h.device = h.answer.device;
    hand_greet(&h, 3);
    hand_push_text(&h, 4, LEAD_COMPANY, "written before the restore");
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.verdict_count, 0);
    assert_true(hand_pool_has(&h, LEAD_COMPANY));
    buf_fini(&pass);
    hand_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restored_pool_names_the_fork_and_takes_back_what_it_lacks),
        cmocka_unit_test(losers_come_back_once_in_whatever_sets_they_are_offered),
        cmocka_unit_test(what_cannot_be_read_or_is_anothers_is_passed_over),
        cmocka_unit_test(a_change_accepted_by_a_clock_that_was_ahead_is_from_now_when_offered_again),
        cmocka_unit_test(what_was_moved_to_now_is_taken_once_however_often_it_is_offered),
        cmocka_unit_test(values_of_others_that_a_replica_still_had_go_to_review),
        cmocka_unit_test(what_is_refused_when_it_is_offered_again_awaits_review),
        cmocka_unit_test(a_pool_set_back_to_a_copy_knows_of_that_copy),
        cmocka_unit_test(backups_of_the_pool_that_is_replaced_still_count),
        cmocka_unit_test(a_pool_set_back_behind_its_back_is_noticed_by_the_first_cursor),
        cmocka_unit_test(forged_cursors_bring_about_one_epoch_in_ten_minutes),
        cmocka_unit_test(a_copy_goes_on_as_another_device_with_the_stamps_it_had),
        cmocka_unit_test(a_device_that_joined_after_the_backup_is_known_again_by_its_pass),
    };
    return cmocka_run_group_tests_name("integration_epochs", tests, NULL, NULL);
}
