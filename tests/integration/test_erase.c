/* test_erase.c - what a device can and cannot bring about with a lead that was erased, and what the power brings back of it. */
#define _GNU_SOURCE /* memmem */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/schema.h"
#include "server/office/erase.h"
#include "server/office/ledger.h"
#include "server/office/review.h"
#include "tests/sim/hand.h"

static const lp_id gone = {{0xee}};

/* Nothing is written down: the ledger's part has tests of its own. */
static lp_err forget(void *ctx, ledger_kind which, span line, lp_error *error) {
    (void)ctx;
    (void)which;
    (void)line;
    (void)error;
    return LP_OK;
}

/* A world in which the lead `gone` was there and is erased. */
static void open_erased_on(hand *h, const store_ops *engine) {
    static const ledger notes = {.append = forget};
    uint32_t count;
    hand_open_on(h, 1, engine);
    hand_greet(h, 9);
    lp_id own = h->record;
    h->record = gone;
    hand_push_text(h, 1, LEAD_COMPANY, "Acme of Springfield");
    hand_expect(h, MSG_SYNCED);
    pool *p = &h->world->pool;
    p->ledger = &notes;
    assert_int_equal(p->store->ops->begin(p->store, NULL), LP_OK);
    assert_int_equal(erase_lead(p, &gone, &count, NULL), LP_OK);
    assert_int_equal(count, 1);
    assert_int_equal(pool_save_digests(p, NULL), LP_OK);
    assert_int_equal(p->store->ops->commit(p->store, NULL), LP_OK);
    p->ledger = NULL;
    h->record = own;
}

static void open_erased(hand *h) {
    open_erased_on(h, &store_memory_ops);
}

static uint32_t kind_of(hand *h, const lp_id *id) {
    store_row row;
    store_reader *r = h->world->reader;
    assert_int_equal(r->ops->snapshot(r, NULL), LP_OK);
    lp_err err = r->ops->read(r, id, &row, NULL);
    r->ops->snapshot_end(r);
    return err ? 0 : row.kind;
}

/* Pushes a touch that says it belongs to the lead `gone`. */
static void push_touch(hand *h, uint64_t batch) {
    buf value = {0};
    wire_put_bytes(&value, id_span(&gone));
    h->kind = KIND_TOUCH;
    hand_begin(h);
    change_put(&h->writer, TOUCH_LEAD, (span){0}, buf_span(&value));
    hand_put_text(h, TOUCH_TEXT, "called");
    hand_push(h, batch);
    buf_fini(&value);
    hand_expect(h, MSG_SYNCED);
}

static void push_touch_of_erased(hand *h, uint64_t batch) {
    push_touch(h, batch);
    assert_int_equal(h->verdict_count, 0); /* acknowledged */
}

static bool count_one(void *ctx, const review_entry *e) {
    (void)e;
    ++*(uint32_t *)ctx;
    return true;
}

static uint32_t awaiting(hand *h) {
    uint32_t count = 0;
    store *s = h->world->store;
    assert_int_equal(s->ops->begin(s, NULL), LP_OK);
    assert_int_equal(review_each(&h->world->pool, count_one, &count, NULL), LP_OK);
    s->ops->rollback(s);
    return count;
}

static void late_changes_are_acknowledged_and_dropped(void **state) {
    hand h;
    (void)state;
    open_erased(&h);
    h.record = gone;
    hand_push_text(&h, 2, LEAD_COMPANY, "Acme again");
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(h.verdict_count, 0);
    assert_int_equal(kind_of(&h, &gone), KIND_ERASED);
    assert_false(hand_pool_has(&h, LEAD_COMPANY));
    assert_int_equal(hand_history(&h), 0);
    hand_close(&h);
}

static void what_is_new_and_follows_it_is_erased_along(void **state) {
    hand h;
    (void)state;
    open_erased(&h);
    push_touch_of_erased(&h, 2);
    assert_int_equal(kind_of(&h, &h.record), KIND_ERASED);
    assert_int_equal(hand_history(&h), 0);
    hand_close(&h);
}

static void nothing_that_stands_is_erased_by_pointing_it_there(void **state) {
    hand h;
    (void)state;
    open_erased(&h);
    hand_push_text(&h, 2, LEAD_COMPANY, "Globe"); /* a lead of somebody's */
    hand_expect(&h, MSG_SYNCED);
    push_touch_of_erased(&h, 3); /* under that lead's id */
    assert_int_equal(kind_of(&h, &h.record), KIND_LEAD);
    assert_true(hand_pool_has(&h, LEAD_COMPANY));
    hand_close(&h);
}

/* It has no row yet that would say so. */
static void what_awaits_review_is_erased_with_the_lead_it_follows(void **state) {
    hand h;
    char number[16], id[LP_ID_TEXT_BYTES];
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 9);
    lp_id touch = h.record;
    h.record = gone;
    hand_push_text(&h, 1, LEAD_COMPANY, "Acme");
    hand_expect(&h, MSG_SYNCED);
    snprintf(number, sizeof number, "%u", h.clock.author);
    assert_true(world_operate(h.world, "revoke", "device", number));
    h.record = touch;
    push_touch(&h, 2);
    hand_expect_verdict(&h, 0, -1, VERDICT_RECEIVED);
    hand_push_text(&h, 3, TOUCH_TEXT, "called again"); /* names nobody */
    hand_expect(&h, MSG_SYNCED);
    assert_int_equal(awaiting(&h), 2);
    lp_id_format(&gone, id);
    assert_true(world_operate(h.world, "erase", "lead", id));
    assert_int_equal(awaiting(&h), 0);
    assert_int_equal(kind_of(&h, &touch), KIND_ERASED);
    hand_close(&h);
}

static void expect_no_trace(void *ctx, const uint8_t *bytes, size_t size) {
    (void)ctx;
    assert_null(memmem(bytes, size, "Acme of Springfield", 19));
}

/* A log that is cut may come back with the power, as it was: unless the disk was waited for. */
static void what_was_erased_does_not_come_back_with_the_power(void **state) {
    hand h;
    (void)state;
    open_erased_on(&h, &store_sqlite_ops);
    vfs_disk *disk = h.world->disk.disk;
    assert_int_equal(h.world->store->ops->scrub(h.world->store, NULL), LP_OK);
    vfs_cut(disk);
    vfs_power_on(disk, VFS_NONE, 512);
    vfs_scan(disk, "pool.db", expect_no_trace, NULL);
    vfs_scan(disk, "pool.db-wal", expect_no_trace, NULL);
    world_server_power_cut(h.world);
    hand_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_erased_does_not_come_back_with_the_power),
        cmocka_unit_test(late_changes_are_acknowledged_and_dropped),
        cmocka_unit_test(what_is_new_and_follows_it_is_erased_along),
        cmocka_unit_test(nothing_that_stands_is_erased_by_pointing_it_there),
        cmocka_unit_test(what_awaits_review_is_erased_with_the_lead_it_follows),
    };
    return cmocka_run_group_tests_name("integration_erase", tests, NULL, NULL);
}
