/* test_merge.c - merging is a join: any set of changes, in any order, any number of times, cut into any replicas, gives one record and
 * one conflict list (I4). Honest devices give a stamp once; cloned ones do not, and the same must hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/merge.h"
#include "proto/schema.h"
#include "proto/wire.h"
#include "tests/support/prop.h"

#define CHANGES_MAX 24

static const char *const keys[] = {"", "a", "ab", "b"};
static const char *const values[] = {"\xc0", "\xc2", "\xc3", "\x01", "\xa1x", "\xa1y", "\xa2xy"};

typedef struct scene {
    reg changes[CHANGES_MAX];
    lp_id people[CHANGES_MAX];
    uint32_t count;
} scene;

static lp_id person_of(uint32_t author) {
    /* Authors 1 and 2 are two devices of one person. */
    lp_id id = {{0}};
    id.bytes[15] = (uint8_t)(author < 2 ? 2 : author);
    return id;
}

/* Few registers, few instants, few values: everything collides. With `cloned` unset, a stamp says all about its change. */
static void draw(prop *p, scene *s, bool cloned) {
    s->count = 1 + (uint32_t)prop_below(p, CHANGES_MAX);
    for (uint32_t i = 0; i < s->count; i++) {
        reg *r = &s->changes[i];
        *r = (reg){.field = 1 + (uint32_t)prop_below(p, 3)};
        r->key = span_text(keys[prop_below(p, 4)]);
        r->stamp = (stamp){1 + prop_below(p, 12), 1 + (uint32_t)prop_below(p, 4)};
        prop of_stamp = prop_seeded(p->first ^ (r->stamp.time << 40) ^ ((uint64_t)r->stamp.author << 32) ^
                                    (r->field << 8) ^ r->key.size);
        prop *of_value = cloned ? p : &of_stamp;
        r->value = span_text(values[prop_below(of_value, sizeof values / sizeof values[0])]);
        if (prop_chance(of_value, 70))
            r->base = (stamp){prop_below(of_value, r->stamp.time), 1 + (uint32_t)prop_below(of_value, 4)};
        s->people[i] = person_of(r->stamp.author);
    }
}

/* The record that the changes first..end make, packed: the form in which two replicas are compared. */
static void fold(const reg *changes, uint32_t count, record *rec, buf *packed) {
    static const lp_id nil;
    record_init(rec, KIND_LEAD, &nil);
    for (uint32_t i = 0; i < count; i++)
        assert_int_not_equal(merge_change(rec, &changes[i], NULL), MERGE_NOMEM);
    buf stamps = {0};
    assert_int_equal(record_pack(rec, packed, &stamps, NULL), LP_OK);
    buf_append_span(packed, buf_span(&stamps));
    buf_fini(&stamps);
}

static bool same_fold(const reg *a, uint32_t a_count, const reg *b, uint32_t b_count) {
    record one, two;
    buf packed_one = {0}, packed_two = {0};
    fold(a, a_count, &one, &packed_one);
    fold(b, b_count, &two, &packed_two);
    bool same = span_equal(buf_span(&packed_one), buf_span(&packed_two));
    buf_fini(&packed_one);
    buf_fini(&packed_two);
    record_fini(&one);
    record_fini(&two);
    return same;
}

static void order_of_arrival_and_repetition_do_not_matter(void **state) {
    (void)state;
    prop p = prop_begin("merge order");
    for (uint32_t i = 0; i < prop_rounds(4000); i++) {
        prop_round(&p, i);
        scene s;
        reg again[CHANGES_MAX * 2];
        draw(&p, &s, prop_chance(&p, 30));
        memcpy(again, s.changes, sizeof s.changes);
        for (uint32_t j = 0; j < s.count; j++)
            again[s.count + j] = s.changes[prop_below(&p, s.count)];
        prop_shuffle(&p, again, s.count * 2, sizeof again[0]);
        /* The shuffled list must still hold every change once: it holds `s.changes` and repetitions. */
        assert_true(
            prop_holds(&p, same_fold(s.changes, s.count, again, s.count * 2), "any order, any number of times"));
    }
}

static void replicas_that_merge_each_other_agree_however_they_are_grouped(void **state) {
    (void)state;
    prop p = prop_begin("merge grouping");
    for (uint32_t i = 0; i < prop_rounds(3000); i++) {
        prop_round(&p, i);
        scene s;
        draw(&p, &s, prop_chance(&p, 30));
        uint32_t first = (uint32_t)prop_below(&p, s.count + 1);
        uint32_t second = first + (uint32_t)prop_below(&p, s.count - first + 1);
        record a, b, c, ab;
        buf ignored = {0};
        fold(s.changes, first, &a, &ignored);
        fold(s.changes + first, second - first, &b, &ignored);
        fold(s.changes + second, s.count - second, &c, &ignored);
        /* c, then (b, then a): states are merged, not changes. */
        reg joined[CHANGES_MAX];
        uint32_t count = 0;
        for (uint32_t j = 0; j < b.count; j++)
            joined[count++] = b.regs[j];
        for (uint32_t j = 0; j < a.count; j++)
            joined[count++] = a.regs[j];
        fold(joined, count, &ab, &ignored);
        reg all[CHANGES_MAX];
        uint32_t all_count = 0;
        for (uint32_t j = 0; j < c.count; j++)
            all[all_count++] = c.regs[j];
        for (uint32_t j = 0; j < ab.count; j++)
            all[all_count++] = ab.regs[j];
        assert_true(prop_holds(&p, same_fold(all, all_count, s.changes, s.count), "states merge like their changes"));
        record_fini(&a);
        record_fini(&b);
        record_fini(&c);
        record_fini(&ab);
        buf_fini(&ignored);
    }
}

static void the_greatest_stamp_of_each_register_stands(void **state) {
    (void)state;
    prop p = prop_begin("merge winner");
    for (uint32_t i = 0; i < prop_rounds(2000); i++) {
        prop_round(&p, i);
        scene s;
        record rec;
        buf ignored = {0};
        draw(&p, &s, false);
        fold(s.changes, s.count, &rec, &ignored);
        for (uint32_t j = 0; j < s.count; j++) {
            const reg *now = record_find(&rec, s.changes[j].field, s.changes[j].key);
            assert_non_null(now);
            int order = stamp_compare(s.changes[j].stamp, now->stamp);
            assert_true(prop_holds(&p, order <= 0, "nothing greater was passed over"));
            assert_true(
                prop_holds(&p, order < 0 || span_equal(now->value, s.changes[j].value), "the stamp's own value"));
        }
        record_fini(&rec);
        buf_fini(&ignored);
    }
}

static void outcomes_tell_what_happened(void **state) {
    (void)state;
    prop p = prop_begin("merge outcome");
    for (uint32_t i = 0; i < prop_rounds(2000); i++) {
        prop_round(&p, i);
        scene s;
        record rec;
        lp_id id = prop_id(&p);
        draw(&p, &s, true);
        record_init(&rec, KIND_LEAD, &id);
        for (uint32_t j = 0; j < s.count; j++) {
            const reg *c = &s.changes[j];
            const reg *stored = record_find(&rec, c->field, c->key);
            reg was = stored ? *stored : (reg){0};
            reg before;
            merge_outcome outcome = merge_change(&rec, c, &before);
            const reg *now = record_find(&rec, c->field, c->key);
            assert_true(prop_holds(&p, stamp_compare(before.stamp, was.stamp) == 0, "before is what was there"));
            bool is_change = span_equal(now->value, c->value) && stamp_compare(now->stamp, c->stamp) == 0;
            bool is_before = span_equal(now->value, was.value) && stamp_compare(now->stamp, was.stamp) == 0;
            assert_true(prop_holds(&p, outcome != MERGE_APPLIED || is_change, "applied: it stands"));
            assert_true(prop_holds(&p, outcome != MERGE_LOST || is_before, "lost: nothing moved"));
            assert_true(prop_holds(&p, outcome != MERGE_SAME || (is_change && is_before), "same: both"));
            assert_true(prop_holds(&p, outcome != MERGE_CLONED || is_change || is_before, "cloned: one of the two"));
        }
        record_fini(&rec);
    }
}

static uint64_t fingerprint(const reg *r) {
    uint64_t sum = r->stamp.time * 1000003 + r->stamp.author * 10007 + r->field * 101 + r->base.time * 31;
    for (size_t i = 0; i < r->value.size; i++)
        sum = sum * 131 + r->value.data[i];
    for (size_t i = 0; i < r->key.size; i++)
        sum = sum * 137 + r->key.data[i];
    return sum;
}

/* Every change meets those that came before it, as they would at a server. The list is a set: a sum over its unordered pairs tells it. */
static uint64_t conflicts_in_order(const scene *s, const uint32_t *order, uint32_t *count_out) {
    uint64_t sum = 0;
    *count_out = 0;
    for (uint32_t i = 0; i < s->count; i++)
        for (uint32_t j = 0; j < i; j++) {
            uint32_t at = order[i], met = order[j];
            const reg *a = &s->changes[at], *b = &s->changes[met];
            if (a->field != b->field || !span_equal(a->key, b->key))
                continue;
            if (merge_conflict(a, &s->people[at], b, &s->people[met])) {
                sum += fingerprint(a) ^ fingerprint(b);
                ++*count_out;
            }
        }
    return sum;
}

static void the_conflict_list_does_not_depend_on_order(void **state) {
    (void)state;
    prop p = prop_begin("conflicts");
    uint32_t seen = 0;
    for (uint32_t i = 0; i < prop_rounds(3000); i++) {
        prop_round(&p, i);
        scene s;
        uint32_t order[CHANGES_MAX], count, count_again;
        draw(&p, &s, prop_chance(&p, 50));
        for (uint32_t j = 0; j < s.count; j++)
            order[j] = j;
        uint64_t list = conflicts_in_order(&s, order, &count);
        prop_shuffle(&p, order, s.count, sizeof order[0]);
        uint64_t again = conflicts_in_order(&s, order, &count_again);
        assert_true(prop_holds(&p, list == again && count == count_again, "one list for every order"));
        seen += count;
    }
    assert_true(seen > 0);
}

static void a_conflict_needs_two_people_two_values_and_not_having_seen(void **state) {
    (void)state;
    lp_id li = person_of(3), wang = person_of(4);
    reg early = {.field = 3, .value = span_text("\xa1x"), .stamp = {100, 3}};
    reg late = {.field = 3, .value = span_text("\xa1y"), .stamp = {200, 4}, .base = {99, 3}};
    assert_true(merge_conflict(&early, &li, &late, &wang));
    assert_true(merge_conflict(&late, &wang, &early, &li));
    assert_false(merge_conflict(&early, &li, &late, &li));
    late.value = early.value;
    assert_false(merge_conflict(&early, &li, &late, &wang));
    late.value = span_text("\xa1y");
    late.base = early.stamp; /* seen it */
    assert_false(merge_conflict(&early, &li, &late, &wang));
    late.base = (stamp){150, 9}; /* seen something later still */
    assert_false(merge_conflict(&early, &li, &late, &wang));
    /* A stamp given twice, and a base that lies: still one answer for both orders. */
    early.stamp = late.stamp;
    assert_true(merge_conflict(&early, &li, &late, &wang) == merge_conflict(&late, &wang, &early, &li));
    late.base = (stamp){300, 9};
    assert_true(merge_conflict(&early, &li, &late, &wang) == merge_conflict(&late, &wang, &early, &li));
}

static void stamps_are_totally_ordered_as_their_bytes_are(void **state) {
    (void)state;
    prop p = prop_begin("stamp order");
    for (uint32_t i = 0; i < prop_rounds(20000); i++) {
        prop_round(&p, i);
        stamp s[3];
        uint8_t packed[3][STAMP_BYTES];
        for (int j = 0; j < 3; j++) {
            s[j] = (stamp){j && prop_chance(&p, 40) ? s[0].time : prop_number(&p), (uint32_t)prop_number(&p)};
            stamp_pack(s[j], packed[j]);
            assert_int_equal(stamp_compare(stamp_unpack(packed[j]), s[j]), 0);
        }
        int order = stamp_compare(s[0], s[1]);
        int bytes = memcmp(packed[0], packed[1], STAMP_BYTES);
        assert_true(prop_holds(&p, order == -stamp_compare(s[1], s[0]), "antisymmetric"));
        assert_true(prop_holds(&p, (order < 0) == (bytes < 0) && (order > 0) == (bytes > 0), "like memcmp"));
        assert_true(prop_holds(&p, !(order <= 0 && stamp_compare(s[1], s[2]) <= 0) || stamp_compare(s[0], s[2]) <= 0,
                               "transitive"));
    }
}

#define GROUP_MEMBERS 5 /* street, city, state, postal code, country */

/* What a device writes: all members of the group, one stamp, one base. */
static void draw_address(prop *p, uint32_t number, reg *changes, char (*texts)[3]) {
    stamp made = {1 + prop_below(p, 1000) * 8 + number, 1 + (uint32_t)prop_below(p, 3)};
    for (uint32_t i = 0; i < GROUP_MEMBERS; i++) {
        texts[i][0] = '\xa1';
        texts[i][1] = (char)('A' + number);
        texts[i][2] = '\0';
        changes[i] = (reg){.field = LEAD_STREET + i, .value = span_text(texts[i]), .stamp = made};
    }
}

static void a_group_wins_or_loses_together(void **state) {
    (void)state;
    prop p = prop_begin("groups");
    for (uint32_t i = 0; i < prop_rounds(3000); i++) {
        prop_round(&p, i);
        char texts[6][GROUP_MEMBERS][3];
        reg changes[6 * GROUP_MEMBERS];
        for (uint32_t j = 0; j < 6; j++)
            draw_address(&p, j, &changes[j * GROUP_MEMBERS], texts[j]);
        prop_shuffle(&p, changes, sizeof changes / sizeof changes[0], sizeof changes[0]);
        record rec;
        buf ignored = {0};
        fold(changes, sizeof changes / sizeof changes[0], &rec, &ignored);
        assert_int_equal(rec.count, GROUP_MEMBERS);
        for (uint32_t j = 1; j < rec.count; j++) {
            bool together = span_equal(rec.regs[j].value, rec.regs[0].value) &&
                            stamp_compare(rec.regs[j].stamp, rec.regs[0].stamp) == 0;
            assert_true(prop_holds(&p, together, "one address, not a mixture"));
        }
        record_fini(&rec);
        buf_fini(&ignored);
    }
}

static void a_clone_is_noticed_and_settled_by_bytes_then_base(void **state) {
    (void)state;
    lp_id id = {{1}};
    record rec;
    reg before, low = {.field = 3, .value = span_text("\xa1x"), .stamp = {5, 9}, .base = {1, 1}, .seq = 1};
    reg high = low;
    high.value = span_text("\xa1y");
    high.seq = 2;
    record_init(&rec, KIND_LEAD, &id);
    assert_int_equal(merge_change(&rec, &low, &before), MERGE_APPLIED);
    assert_true(stamp_is_none(before.stamp));
    assert_int_equal(merge_change(&rec, &low, &before), MERGE_SAME);
    assert_int_equal(merge_change(&rec, &high, &before), MERGE_CLONED);
    assert_true(span_equal(before.value, low.value));
    assert_int_equal(rec.regs[0].seq, 2);
    assert_int_equal(merge_change(&rec, &low, NULL), MERGE_CLONED);
    assert_true(span_equal(rec.regs[0].value, high.value));
    reg other_base = high;
    other_base.base = (stamp){2, 1};
    assert_int_equal(merge_change(&rec, &other_base, NULL), MERGE_CLONED);
    assert_int_equal(rec.regs[0].base.time, 2);
    assert_int_equal(merge_change(&rec, &high, NULL), MERGE_CLONED);
    assert_int_equal(rec.regs[0].base.time, 2);
    record_fini(&rec);
}

static void a_value_without_a_stamp_yields_to_any_with_one(void **state) {
    (void)state;
    lp_id id = {{1}};
    record rec;
    reg plain = {.field = 3, .value = span_text("\xa1y")},
        stamped = {.field = 3, .value = span_text("\xa1x"), .stamp = {0, 1}};
    record_init(&rec, KIND_LEAD, &id);
    assert_int_equal(merge_change(&rec, &plain, NULL), MERGE_APPLIED);
    assert_int_equal(merge_change(&rec, &plain, NULL), MERGE_SAME);
    assert_int_equal(merge_change(&rec, &stamped, NULL), MERGE_APPLIED);
    assert_int_equal(merge_change(&rec, &plain, NULL), MERGE_LOST);
    record_fini(&rec);
}

static void deleting_leaves_the_other_fields_to_merge(void **state) {
    (void)state;
    lp_id id = {{1}};
    record rec;
    record_init(&rec, KIND_LEAD, &id);
    reg name = {.field = LEAD_FULL_NAME, .value = span_text("\xa1x"), .stamp = {1, 9}};
    reg deleted = {.field = FIELD_DELETED, .value = span_text("\xc3"), .stamp = {5, 9}};
    reg edit = {.field = LEAD_FULL_NAME, .value = span_text("\xa1y"), .stamp = {3, 8}};
    reg back = {.field = FIELD_DELETED, .value = span_text("\xc0"), .stamp = {6, 8}};
    merge_change(&rec, &name, NULL);
    merge_change(&rec, &deleted, NULL);
    assert_true(record_deleted(&rec));
    assert_int_equal(merge_change(&rec, &edit, NULL), MERGE_APPLIED);
    assert_true(record_deleted(&rec));
    assert_int_equal(merge_change(&rec, &back, NULL), MERGE_APPLIED);
    assert_false(record_deleted(&rec));
    assert_true(span_equal(record_value(&rec, LEAD_FULL_NAME, (span){0}), span_text("\xa1y")));
    record_fini(&rec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_arrival_and_repetition_do_not_matter),
        cmocka_unit_test(replicas_that_merge_each_other_agree_however_they_are_grouped),
        cmocka_unit_test(the_greatest_stamp_of_each_register_stands),
        cmocka_unit_test(outcomes_tell_what_happened),
        cmocka_unit_test(the_conflict_list_does_not_depend_on_order),
        cmocka_unit_test(a_conflict_needs_two_people_two_values_and_not_having_seen),
        cmocka_unit_test(stamps_are_totally_ordered_as_their_bytes_are),
        cmocka_unit_test(a_group_wins_or_loses_together),
        cmocka_unit_test(a_clone_is_noticed_and_settled_by_bytes_then_base),
        cmocka_unit_test(a_value_without_a_stamp_yields_to_any_with_one),
        cmocka_unit_test(deleting_leaves_the_other_fields_to_merge),
    };
    return cmocka_run_group_tests_name("property_merge", tests, NULL, NULL);
}
