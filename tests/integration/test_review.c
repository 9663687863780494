/* test_review.c - changes that await a decision: kept whole and once, in order, applied or dropped by the office. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "server/office/review.h"
#include "tests/sim/hand.h"

#define WHO ((apply_author){.device = 77, .person = {{9}}})

static void begin(hand *h) {
    assert_int_equal(h->world->store->ops->begin(h->world->store, NULL), LP_OK);
}

static void commit(hand *h) {
    assert_int_equal(pool_save_digests(&h->world->pool, NULL), LP_OK);
    assert_int_equal(h->world->store->ops->commit(h->world->store, NULL), LP_OK);
}

/* A set of one text field of the hand's record, as device 77 would send it. */
static void put(hand *h, int64_t ms, uint32_t field, const char *text) {
    buf value = {0}, changes = {0};
    changes_writer w;
    changes_reader r;
    change_set set;
    apply_author who = WHO;
    wire_put_text(&value, span_text(text));
    changes_init(&w);
    changes_begin(&w);
    change_put(&w, field, (span){0}, buf_span(&value));
    changes_end(&w, KIND_LEAD, &h->record, (stamp){(uint64_t)ms << 16, who.device}, STAMP_NONE, 0);
    assert_int_equal(changes_finish(&w, &changes, NULL), LP_OK);
    assert_int_equal(changes_open(&r, buf_span(&changes), NULL), LP_OK);
    assert_true(changes_next(&r, &set));
    assert_int_equal(review_put(&h->world->pool, &who, &set, REVIEW_PURGED, NULL), LP_OK);
    changes_close(&r);
    changes_fini(&w);
    buf_fini(&changes);
    buf_fini(&value);
}

typedef struct seen {
    uint64_t numbers[8];
    uint32_t count;
    review_entry last;
} seen;

static bool note(void *ctx, const review_entry *e) {
    seen *s = ctx;
    s->numbers[s->count++] = e->number;
    s->last = *e;
    return true;
}

static seen look(hand *h) {
    seen s = {.count = 0};
    assert_int_equal(review_each(&h->world->pool, note, &s, NULL), LP_OK);
    return s;
}

static void a_change_is_kept_once_with_who_and_why(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    begin(&h);
    put(&h, WORLD_START_MS, LEAD_COMPANY, "Acme");
    put(&h, WORLD_START_MS, LEAD_COMPANY, "Acme");
    put(&h, WORLD_START_MS + 1, LEAD_COMPANY, "Acme");
    seen s = look(&h);
    assert_int_equal(s.count, 2);
    assert_true(s.numbers[0] < s.numbers[1]);
    assert_int_equal(s.last.device, 77);
    assert_int_equal(s.last.why, REVIEW_PURGED);
    assert_true(id_equal(&s.last.set.id, &h.record));
    commit(&h);
    hand_close(&h);
}

static void accepting_makes_the_values_stand_and_rejecting_does_not(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 0);
    hand_push_text(&h, 1, LEAD_COMPANY, "newer");
    hand_expect(&h, MSG_SYNCED);
    begin(&h);
    put(&h, WORLD_START_MS - 1000, LEAD_COMPANY, "old, yet wanted");
    put(&h, WORLD_START_MS - 1000, LEAD_EMAIL, "not wanted");
    seen s = look(&h);
    assert_int_equal(s.count, 2);
    assert_int_equal(review_accept(&h.world->pool, s.numbers[0], NULL), LP_OK);
    assert_int_equal(review_reject(&h.world->pool, s.numbers[1], NULL), LP_OK);
    assert_int_equal(look(&h).count, 0);
    assert_int_equal(review_accept(&h.world->pool, s.numbers[0], NULL), LP_NOT_FOUND);
    assert_int_equal(review_reject(&h.world->pool, s.numbers[1], NULL), LP_NOT_FOUND);
    store_row row;
    record rec;
    record_init(&rec, KIND_LEAD, &h.record);
    assert_int_equal(h.world->store->ops->load(h.world->store, &h.record, &row, NULL), LP_OK);
    assert_int_equal(record_unpack(&rec, row.body, row.stamps, NULL), LP_OK);
    const reg *company = record_find(&rec, LEAD_COMPANY, (span){0});
    assert_non_null(company);
    wire_reader r = wire_open(company->value);
    assert_true(span_equal(wire_text(&r), SPAN_LITERAL("old, yet wanted")));
    assert_int_equal(company->stamp.author, SERVER_AUTHOR);
    assert_null(record_find(&rec, LEAD_EMAIL, (span){0}));
    record_fini(&rec);
    commit(&h);
    assert_int_equal(hand_history(&h), 2);
    hand_pull(&h);
    hand_expect(&h, MSG_SYNCED);
    hand_read_pages(&h);
    assert_int_equal(h.pool_sets, 1); /* and no conflict: the office saw what it replaced */
    hand_close(&h);
}

static void what_breaks_a_rule_stays_until_it_is_rejected(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    begin(&h);
    put(&h, WORLD_START_MS, LEAD_CONVERTED, "text where yes or no belongs");
    seen s = look(&h);
    lp_error error;
    assert_int_equal(review_accept(&h.world->pool, s.numbers[0], &error), LP_REFUSED);
    assert_non_null(strstr(error.message, "converted"));
    assert_int_equal(look(&h).count, 1);
    commit(&h);
    hand_close(&h);
}

static void an_erased_record_awaits_nothing(void **state) {
    hand h;
    (void)state;
    hand_open(&h, 1);
    begin(&h);
    put(&h, WORLD_START_MS, LEAD_COMPANY, "Acme");
    put(&h, WORLD_START_MS + 1, LEAD_COMPANY, "Acme");
    assert_int_equal(review_forget(&h.world->pool, &h.record, NULL), LP_OK);
    assert_int_equal(look(&h).count, 0);
    commit(&h);
    hand_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_kept_once_with_who_and_why),
        cmocka_unit_test(accepting_makes_the_values_stand_and_rejecting_does_not),
        cmocka_unit_test(what_breaks_a_rule_stays_until_it_is_rejected),
        cmocka_unit_test(an_erased_record_awaits_nothing),
    };
    return cmocka_run_group_tests_name("review", tests, NULL, NULL);
}
