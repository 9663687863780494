/* test_moved.c - changes accepted while the server's clock was ahead, once it is right: the contracts of moved.h, with a device driven by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"
#include "server/pool/moved.h"
#include "tests/sim/hand.h"

#define YEAR_MS (INT64_C(365) * 24 * 3600000)
#define HOUR_MS INT64_C(3600000)

/* Offers the company again as it was stamped `ahead_ms` later than now. */
static void offer_stamped(hand *h, stamp at, const char *company) {
    changes_writer w;
    buf value = {0}, changes = {0};
    changes_init(&w);
    wire_put_text(&value, span_text(company));
    changes_begin(&w);
    change_put(&w, LEAD_COMPANY, (span){0}, buf_span(&value));
    changes_end(&w, KIND_LEAD, &h->record, at, STAMP_NONE, 0);
    assert_int_equal(changes_finish(&w, &changes, NULL), LP_OK);
    hand_reoffer(h, (span){0}, buf_span(&changes));
    hand_expect(h, MSG_REOFFERED);
    changes_fini(&w);
    buf_fini(&value);
    buf_fini(&changes);
}

static stamp ahead_by(const hand *h, int64_t ms) {
    return (stamp){(uint64_t)(h->world->now_ms + ms) << 16, (uint32_t)h->device};
}

static void offer(hand *h, int64_t ahead_ms, const char *company) {
    offer_stamped(h, ahead_by(h, ahead_ms), company);
}

/* What its author typed before, and sends now. */
static void push_typed_before(hand *h, uint64_t batch, int64_t before_ms, const char *company) {
    h->clock.last = 0;
    h->clock_ms = -before_ms;
    hand_push_text(h, batch, LEAD_COMPANY, company);
    hand_expect(h, MSG_SYNCED);
    assert_int_equal(h->verdict_count, 0);
    h->clock_ms = 0;
}

static stamp expect_company(hand *h, const char *company) {
    store_row row;
    record rec;
    record_init(&rec, KIND_LEAD, &h->record);
    assert_int_equal(h->world->reader->ops->snapshot(h->world->reader, NULL), LP_OK);
    assert_int_equal(h->world->reader->ops->read(h->world->reader, &h->record, &row, NULL), LP_OK);
    assert_int_equal(record_unpack(&rec, row.body, row.stamps, NULL), LP_OK);
    const reg *stands = record_find(&rec, LEAD_COMPANY, (span){0});
    wire_reader value = wire_open(stands->value);
    assert_true(span_equal(wire_text(&value), span_text(company)));
    stamp at = stands->stamp;
    h->world->reader->ops->snapshot_end(h->world->reader);
    record_fini(&rec);
    return at;
}

#define OFFERED_MAX 400

typedef struct told {
    stamp at[OFFERED_MAX]; /* by the number that the company is */
    uint32_t count;
} told;

static bool note_entry(void *ctx, const store_history *entry) {
    told *t = ctx;
    reg change;
    wire_reader from = wire_open(entry->body);
    assert_true(change_unpack(&from, &change));
    wire_reader value = wire_open(change.value);
    char text[16] = "";
    span company = wire_text(&value);
    memcpy(text, company.data, company.size);
    t->at[atoi(text)] = entry->stamp;
    t->count++;
    return true;
}

static void read_history(hand *h, told *t) {
    t->count = 0;
    assert_int_equal(h->world->reader->ops->snapshot(h->world->reader, NULL), LP_OK);
    assert_int_equal(h->world->reader->ops->read_history(h->world->reader, &h->record, note_entry, t, NULL), LP_OK);
    h->world->reader->ops->snapshot_end(h->world->reader);
}

static void they_keep_their_order_in_whatever_order_they_are_offered(void **state) {
    static told first, again;
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    prop p = prop_begin("moved");
    for (uint32_t round = 0; round < prop_rounds(40); round++) {
        prop_round(&p, round);
        uint32_t order[OFFERED_MAX], count = 1 + (uint32_t)prop_below(&p, 60);
        int64_t apart_ms = prop_chance(&p, 50) ? 60000 : 10;
        h.record = prop_id(&p);
        for (uint32_t i = 0; i < count; i++)
            order[i] = i;
        prop_shuffle(&p, order, count, sizeof *order);
        int64_t now_ms = h.world->now_ms;
        for (int time = 0; time < 2; time++)
            for (uint32_t i = 0; i < count; i++) {
                char text[16];
                snprintf(text, sizeof text, "%u", order[i]);
                offer(&h, YEAR_MS + order[i] * apart_ms - (h.world->now_ms - now_ms), text);
                if (time == 0 && i + 1 == count)
                    read_history(&h, &first);
            }
        read_history(&h, &again);
        assert_true(prop_holds(&p, again.count == count, "each is there once"));
        for (uint32_t i = 0; i < count; i++) {
            assert_true(prop_holds(&p, stamp_compare(again.at[i], first.at[i]) == 0, "they stay where they are"));
            assert_true(prop_holds(&p, i == 0 || stamp_compare(again.at[i], again.at[i - 1]) > 0, "in their order"));
            assert_true(prop_holds(&p, again.at[i].time & STAMP_MOVED, "under stamps their author gives to nothing"));
        }
    }
    hand_close(&h);
}

/* As many as never fit between two: nothing is lost, and no two have one stamp. */
static void more_than_there_is_room_for_are_all_kept(void **state) {
    static told t;
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    stamp low = ahead_by(&h, YEAR_MS);
    offer_stamped(&h, low, "0");
    for (int i = 1; i < 38; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        offer_stamped(&h, (stamp){low.time + (UINT64_C(1) << (40 - i)), low.author}, text);
    }
    read_history(&h, &t);
    assert_int_equal(t.count, 38);
    for (int i = 0; i < 38; i++)
        for (int j = 0; j < i; j++)
            assert_true(stamp_compare(t.at[i], t.at[j]) != 0);
    hand_close(&h);
}

static void what_was_typed_since_the_pool_was_opened_is_later(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 2);
    hand_greet(&h, 0);
    push_typed_before(&h, 1, 0, "today");
    h.world->now_ms += HOUR_MS;
    offer(&h, YEAR_MS, "yesterday");
    expect_company(&h, "today");
    assert_int_equal(hand_history(&h), 2);
    hand_close(&h);
}

static void what_its_author_sends_later_is_later_and_told_to_its_author(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    offer(&h, YEAR_MS, "while the clock was ahead");
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    h.world->now_ms += 1000;
    push_typed_before(&h, 1, HOUR_MS, "after it, without a network");
    stamp at = expect_company(&h, "after it, without a network");
    assert_true(at.time & STAMP_MOVED);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    assert_int_equal(h.pool_sets, 1);
    push_typed_before(&h, 2, HOUR_MS / 2, "last of all");
    expect_company(&h, "last of all");
    offer_stamped(&h, (stamp){h.clock.last, (uint32_t)h.device}, "last of all"); /* it may be lost once more */
    assert_int_equal(hand_history(&h), 3);
    hand_close(&h);
}

/* A transaction comes in as many sets as there are bases; they stay of one moment. */
static void a_transaction_keeps_one_stamp(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    offer(&h, YEAR_MS, "while the clock was ahead");
    push_typed_before(&h, 1, HOUR_MS, "after it");
    stamp at = expect_company(&h, "after it");
    offer_stamped(&h, (stamp){h.clock.last, (uint32_t)h.device}, "of the same moment");
    assert_int_equal(hand_history(&h), 3);
    assert_int_equal(stamp_compare(expect_company(&h, "of the same moment"), at), 0);
    hand_close(&h);
}

static void what_is_offered_after_its_author_has_sent_something_is_before_that(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    push_typed_before(&h, 1, HOUR_MS, "typed later");
    offer(&h, YEAR_MS, "while the clock was ahead");
    expect_company(&h, "typed later");
    assert_int_equal(hand_history(&h), 2);
    hand_close(&h);
}

/* Another history of this pool had moved it: the stamp it had there says nothing here. */
static void what_another_history_had_moved_is_known_by_what_it_says(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    offer(&h, YEAR_MS, "twice");
    offer(&h, YEAR_MS + 1000, "another");
    h.world->now_ms += HOUR_MS;
    stamp elsewhere = ahead_by(&h, -1);
    elsewhere.time |= STAMP_MOVED;
    offer_stamped(&h, elsewhere, "twice");
    assert_int_equal(hand_history(&h), 2);
    expect_company(&h, "another");
    offer_stamped(&h, elsewhere, "never here");
    assert_int_equal(hand_history(&h), 3);
    hand_close(&h);
}

static void what_a_repair_has_moved_is_known_by_the_stamps_it_had(void **state) {
    static told before, after;
    hand h;
    stamp given[3];
    (void)state;
    hand_open(&h, 1);
    for (int time = 0; time < 2; time++) { /* the second takes back what the first has moved too */
        h.world->server_wall_off_ms = 3 * YEAR_MS - time * YEAR_MS;
        world_server_restart(h.world);
        hand_connect(&h);
        h.off_ms = h.clock_ms = h.world->server_wall_off_ms;
        hand_greet(&h, (uint64_t)time * 2);
        for (int i = 0; time == 0 && i < 2; i++) {
            hand_push_text(&h, (uint64_t)i + 1, LEAD_COMPANY, i ? "1" : "0");
            hand_expect(&h, MSG_SYNCED);
            given[i] = (stamp){h.clock.last, (uint32_t)h.device};
        }
        h.world->server_wall_off_ms = YEAR_MS - time * YEAR_MS;
        assert_true(world_operate_with(h.world, "repair-clock", NULL, 0));
        h.off_ms = h.clock_ms = h.world->server_wall_off_ms;
        hand_connect(&h);
        hand_greet(&h, 2);
        read_history(&h, &before);
        for (int i = 2; i-- > 0;)
            offer_stamped(&h, given[i], i ? "1" : "0");
        read_history(&h, &after);
        assert_int_equal(after.count, 2);
        for (int i = 0; i < 2; i++)
            assert_int_equal(stamp_compare(before.at[i], after.at[i]), 0);
        expect_company(&h, "1");
    }
    hand_close(&h);
}

static void who_knew_another_epoch_offers_before_it_pushes(void **state) {
    static const uint8_t other[EPOCH_BYTES] = {1, 2, 3};
    hand h;
    buf epoch = {0};
    (void)state;
    hand_open(&h, 1);
    h.epoch = span_of(other, sizeof other);
    hand_greet(&h, 0);
    buf_append_span(&epoch, h.answer.epoch);
    offer(&h, -1000, "offered");
    hand_push_text(&h, 1, LEAD_COMPANY, "pushed");
    hand_expect(&h, MSG_CLOCK);
    assert_int_equal(hand_history(&h), 1);
    h.epoch = buf_span(&epoch);
    hand_hello(&h, 1);
    hand_expect(&h, MSG_WELCOME);
    hand_push_text(&h, 2, LEAD_COMPANY, "pushed");
    hand_expect(&h, MSG_SYNCED);
    expect_company(&h, "pushed");
    buf_fini(&epoch);
    hand_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_keep_their_order_in_whatever_order_they_are_offered),
        cmocka_unit_test(more_than_there_is_room_for_are_all_kept),
        cmocka_unit_test(what_was_typed_since_the_pool_was_opened_is_later),
        cmocka_unit_test(what_its_author_sends_later_is_later_and_told_to_its_author),
        cmocka_unit_test(a_transaction_keeps_one_stamp),
        cmocka_unit_test(what_is_offered_after_its_author_has_sent_something_is_before_that),
        cmocka_unit_test(what_another_history_had_moved_is_known_by_what_it_says),
        cmocka_unit_test(what_a_repair_has_moved_is_known_by_the_stamps_it_had),
        cmocka_unit_test(who_knew_another_epoch_offers_before_it_pushes),
    };
    return cmocka_run_group_tests_name("moved", tests, NULL, NULL);
}
