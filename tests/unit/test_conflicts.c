/* test_conflicts.c - conflict records are a function of the set of changes: who conflicts, what is said, in every order of arrival. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/change.h"
#include "proto/merge.h"
#include "proto/wire.h"
#include "server/pool/apply.h"
#include "tests/support/prop.h"

#define START_MS INT64_C(1795000000000)
#define CHANGES 10

/* A pool in memory whose every random number is the same in every run, so that two pools give the same ids. */
typedef struct basin {
    lp_env env;
    prop random;
    store *store;
    store_reader *reader;
    pool pool;
} basin;

static int64_t now(void *ctx) {
    (void)ctx;
    return START_MS + 1000000;
}

static void random_bytes(void *ctx, void *bytes, size_t size) {
    prop_bytes(&((basin *)ctx)->random, bytes, size);
}

static void boot_id(void *ctx, uint8_t id_out[16]) {
    (void)ctx;
    memset(id_out, 1, 16);
}

static void basin_open(basin *b) {
    *b = (basin){.random = prop_seeded(3)};
    b->env = (lp_env){b, now, now, random_bytes, boot_id};
    assert_int_equal(store_memory_ops.open(NULL, true, &b->store, NULL), LP_OK);
    assert_int_equal(pool_create(b->store, &b->env, "Messe", NULL), LP_OK);
    assert_int_equal(pool_open(&b->pool, b->store, &b->env, NULL), LP_OK);
    assert_int_equal(b->store->ops->reader_open(b->store, &b->reader, NULL), LP_OK);
}

static void basin_close(basin *b) {
    b->store->ops->reader_close(b->reader);
    pool_close(&b->pool);
    b->store->ops->close(b->store);
}

/* One change of the one lead. Devices 20 and 21 are of one person. */
typedef struct deed {
    uint64_t at, base; /* moments; 0: no base. A moment names its author: at % 3 */
    uint32_t field;
    const char *key;
    const char *text; /* NULL clears */
} deed;

static const lp_id lead = {{1, 2, 3}};

static uint32_t author_of(uint64_t moment) {
    return 20 + (uint32_t)(moment % 3);
}

static lp_id person_of(uint32_t device_number) {
    lp_id id = {{0}};
    id.bytes[0] = device_number < 22 ? 1 : 2;
    return id;
}

static stamp stamp_at(uint64_t moment) {
    return moment ? (stamp){(uint64_t)(START_MS + (int64_t)moment) << 16, author_of(moment)} : STAMP_NONE;
}

static void do_it(basin *b, const deed *d) {
    changes_writer w;
    changes_reader reader;
    change_set set;
    buf value = {0}, raw = {0};
    apply_verdicts verdicts = {0};
    uint32_t device_number = author_of(d->at);
    apply_author author = {.device = device_number, .person = person_of(device_number)};
    lp_value typed = {
        .type = d->text ? LP_TEXT : LP_NULL, .data = d->text, .size = d->text ? (uint32_t)strlen(d->text) : 0};
    changes_init(&w);
    wire_put_value(&value, &typed);
    changes_begin(&w);
    change_put(&w, d->field, span_text(d->key), buf_span(&value));
    changes_end(&w, KIND_LEAD, &lead, stamp_at(d->at), stamp_at(d->base), 0);
    assert_int_equal(changes_finish(&w, &raw, NULL), LP_OK);
    assert_int_equal(changes_open(&reader, buf_span(&raw), NULL), LP_OK);
    assert_true(changes_next(&reader, &set));
    assert_int_equal(b->store->ops->begin(b->store, NULL), LP_OK);
    assert_int_equal(apply_set(&b->pool, &set, 0, &author, &verdicts, NULL), LP_OK);
    assert_int_equal(pool_save_digests(&b->pool, NULL), LP_OK);
    assert_int_equal(b->store->ops->commit(b->store, NULL), LP_OK);
    changes_close(&reader);
    changes_fini(&w);
    buf_fini(&value);
    buf_fini(&raw);
    buf_fini(&verdicts.list);
}

static void do_all(basin *b, const deed *list, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        do_it(b, &list[i]);
}

/* ---- what is there ---- */

typedef struct walk {
    uint32_t conflicts;
    digest sum; /* of all conflict records */
    digester *digester;
    char lost[64], won[64]; /* of the last one */
} walk;

static void copy_text(const record *rec, uint32_t field, char text_out[64]) {
    const reg *found = record_find(rec, field, (span){0});
    lp_value value = found ? wire_value(found->value) : (lp_value){.type = LP_NULL};
    size_t size = value.type == LP_TEXT ? value.size : 0;
    assert_true(size < 64);
    memcpy(text_out, size ? value.data : "", size);
    text_out[size] = '\0';
}

static bool on_row(void *ctx, const store_row *row) {
    walk *found = ctx;
    record rec;
    if (row->kind != KIND_CONFLICT)
        return true;
    record_init(&rec, row->kind, &row->id);
    assert_int_equal(record_unpack(&rec, row->body, row->stamps, NULL), LP_OK);
    for (uint32_t i = 0; i < rec.count; i++)
        digest_add(found->digester, &found->sum, row->kind, &row->id, &rec.regs[i]);
    copy_text(&rec, CONFLICT_LOST_VALUE, found->lost);
    copy_text(&rec, CONFLICT_WON_VALUE, found->won);
    found->conflicts++;
    record_fini(&rec);
    return true;
}

static walk look(basin *b) {
    walk found = {.digester = b->pool.digester};
    assert_int_equal(b->reader->ops->snapshot(b->reader, NULL), LP_OK);
    assert_int_equal(b->reader->ops->feed(b->reader, SCOPE_POOL, 0, on_row, &found, NULL), LP_OK);
    assert_int_equal(b->reader->ops->verify(b->reader, NULL, NULL, NULL), LP_OK);
    b->reader->ops->snapshot_end(b->reader);
    return found;
}

static walk conflicts_of(const deed *list, uint32_t count) {
    basin b;
    basin_open(&b);
    do_all(&b, list, count);
    walk found = look(&b);
    basin_close(&b);
    found.digester = NULL;
    return found;
}

/* ---- who conflicts ---- */

static void two_people_who_did_not_see_each_other_conflict(void **state) {
    const deed list[] = {{.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"},
                         {.at = 5, .field = LEAD_COMPANY, .key = "", .text = "b"}};
    (void)state;
    walk found = conflicts_of(list, 2);
    assert_int_equal(found.conflicts, 1);
    assert_string_equal(found.lost, "a");
    assert_string_equal(found.won, "b");
}

static void the_one_who_came_first_may_be_the_later_one(void **state) {
    const deed list[] = {{.at = 5, .field = LEAD_COMPANY, .key = "", .text = "b"},
                         {.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"}};
    (void)state;
    walk found = conflicts_of(list, 2);
    assert_int_equal(found.conflicts, 1);
    assert_string_equal(found.lost, "a");
    assert_string_equal(found.won, "b");
}

static void a_value_that_was_seen_is_no_conflict(void **state) {
    const deed list[] = {{.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"},
                         {.at = 5, .base = 3, .field = LEAD_COMPANY, .key = "", .text = "b"}};
    (void)state;
    assert_int_equal(conflicts_of(list, 2).conflicts, 0);
}

static void one_person_on_two_devices_does_not_conflict(void **state) {
    const deed list[] = {{.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"},
                         {.at = 4, .field = LEAD_COMPANY, .key = "", .text = "b"}};
    (void)state;
    assert_int_equal(conflicts_of(list, 2).conflicts, 0);
}

static void the_same_value_is_no_conflict(void **state) {
    const deed list[] = {{.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"},
                         {.at = 5, .field = LEAD_COMPANY, .key = "", .text = "a"}};
    (void)state;
    assert_int_equal(conflicts_of(list, 2).conflicts, 0);
}

static void other_fields_and_other_keys_do_not_conflict(void **state) {
    const deed list[] = {{.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"},
                         {.at = 5, .field = LEAD_NOTES, .key = "", .text = "b"},
                         {.at = 6, .field = LEAD_ANSWERS, .key = "x", .text = "c"},
                         {.at = 8, .field = LEAD_ANSWERS, .key = "y", .text = "d"}};
    (void)state;
    assert_int_equal(conflicts_of(list, 4).conflicts, 0);
}

static void clearing_conflicts_with_writing(void **state) {
    const deed list[] = {{.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"},
                         {.at = 5, .field = LEAD_COMPANY, .key = "", .text = NULL}};
    (void)state;
    walk found = conflicts_of(list, 2);
    assert_int_equal(found.conflicts, 1);
    assert_string_equal(found.lost, "a");
}

static void every_overwritten_value_has_one_record_that_names_the_greatest_winner(void **state) {
    const deed list[] = {{.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"},
                         {.at = 5, .field = LEAD_COMPANY, .key = "", .text = "b"},
                         {.at = 8, .field = LEAD_COMPANY, .key = "", .text = "c"}};
    (void)state;
    walk found = conflicts_of(list, 3);
    assert_int_equal(found.conflicts, 1); /* 5 and 8 are of one device */
    assert_string_equal(found.lost, "a");
    assert_string_equal(found.won, "c");
}

static void a_change_that_comes_again_brings_nothing(void **state) {
    basin b;
    store_counts before, after;
    const deed list[] = {{.at = 5, .field = LEAD_COMPANY, .key = "", .text = "b"},
                         {.at = 8, .field = LEAD_COMPANY, .key = "", .text = "c"},
                         {.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"}};
    (void)state;
    basin_open(&b);
    do_all(&b, list, 3);
    assert_int_equal(b.reader->ops->snapshot(b.reader, NULL), LP_OK);
    assert_int_equal(b.reader->ops->counts(b.reader, &before, NULL), LP_OK);
    do_all(&b, list, 3);
    assert_int_equal(b.reader->ops->snapshot(b.reader, NULL), LP_OK);
    assert_int_equal(b.reader->ops->counts(b.reader, &after, NULL), LP_OK);
    b.reader->ops->snapshot_end(b.reader);
    assert_int_equal(before.records, after.records);
    assert_int_equal(look(&b).conflicts, 1);
    basin_close(&b);
}

/* A lesser winner that comes late must not number the record of a conflict it does not change: a number nobody's register carries
 * is a damaged store. */
static void a_lesser_winner_that_comes_late_changes_nothing(void **state) {
    const deed list[] = {{.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"},
                         {.at = 8, .field = LEAD_COMPANY, .key = "", .text = "c"},
                         {.at = 5, .field = LEAD_COMPANY, .key = "", .text = "b"}};
    (void)state;
    walk found = conflicts_of(list, 3);
    assert_int_equal(found.conflicts, 1);
    assert_string_equal(found.won, "c");
}

/* Two copies of a device have given one stamp to two values: the greater bytes stand, and have won, whichever came first. */
static void of_two_copies_winners_under_one_stamp_the_greater_bytes_are_named(void **state) {
    deed list[] = {{.at = 3, .field = LEAD_COMPANY, .key = "", .text = "a"},
                   {.at = 5, .field = LEAD_COMPANY, .key = "", .text = "b"},
                   {.at = 5, .field = LEAD_COMPANY, .key = "", .text = "c"}};
    (void)state;
    walk one = conflicts_of(list, 3);
    assert_int_equal(one.conflicts, 1);
    assert_string_equal(one.lost, "a");
    assert_string_equal(one.won, "c");
    list[1].text = "c";
    list[2].text = "b";
    walk two = conflicts_of(list, 3);
    assert_string_equal(two.won, "c");
    assert_true(digest_equal(one.sum, two.sum));
}

/* ---- any order ---- */

static void draw(prop *p, deed list[CHANGES]) {
    static const char *const texts[] = {"a", "b", "c", NULL};
    for (uint64_t i = 0; i < CHANGES; i++) {
        uint64_t at = 1 + i * 2 + prop_below(p, 2);
        bool keyed = prop_chance(p, 30);
        list[i] = (deed){.at = at,
                         .base = prop_chance(p, 50) ? prop_below(p, at) : 0,
                         .field = keyed ? LEAD_ANSWERS : LEAD_COMPANY,
                         .key = keyed ? "k" : "",
                         .text = texts[prop_below(p, 4)]};
    }
}

static uint32_t count_overwritten(const deed list[CHANGES]) {
    uint32_t count = 0;
    for (int l = 0; l < CHANGES; l++) {
        bool overwritten = false;
        for (int w = 0; w < CHANGES; w++) {
            const deed *a = &list[l], *b = &list[w];
            lp_id person_a = person_of(author_of(a->at)), person_b = person_of(author_of(b->at));
            bool same_value = a->text == b->text || (a->text && b->text && strcmp(a->text, b->text) == 0);
            overwritten |= a->field == b->field && b->at > a->at &&
                           stamp_compare(stamp_at(b->base), stamp_at(a->at)) < 0 && !same_value &&
                           !id_equal(&person_a, &person_b);
        }
        count += overwritten;
    }
    return count;
}

static void any_order_of_arrival_gives_the_same_conflicts(void **state) {
    prop p = prop_begin("unit_conflicts");
    (void)state;
    for (uint32_t i = 0; i < prop_rounds(300); i++) {
        deed list[CHANGES];
        prop_round(&p, i);
        draw(&p, list);
        walk one = conflicts_of(list, CHANGES);
        assert_true(prop_holds(&p, one.conflicts == count_overwritten(list), "one record per overwritten value"));
        prop_shuffle(&p, list, CHANGES, sizeof *list);
        walk two = conflicts_of(list, CHANGES);
        assert_true(
            prop_holds(&p, one.conflicts == two.conflicts && digest_equal(one.sum, two.sum), "order does not matter"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_people_who_did_not_see_each_other_conflict),
        cmocka_unit_test(the_one_who_came_first_may_be_the_later_one),
        cmocka_unit_test(a_value_that_was_seen_is_no_conflict),
        cmocka_unit_test(one_person_on_two_devices_does_not_conflict),
        cmocka_unit_test(the_same_value_is_no_conflict),
        cmocka_unit_test(other_fields_and_other_keys_do_not_conflict),
        cmocka_unit_test(clearing_conflicts_with_writing),
        cmocka_unit_test(every_overwritten_value_has_one_record_that_names_the_greatest_winner),
        cmocka_unit_test(a_change_that_comes_again_brings_nothing),
        cmocka_unit_test(a_lesser_winner_that_comes_late_changes_nothing),
        cmocka_unit_test(of_two_copies_winners_under_one_stamp_the_greater_bytes_are_named),
        cmocka_unit_test(any_order_of_arrival_gives_the_same_conflicts),
    };
    return cmocka_run_group_tests_name("unit_conflicts", tests, NULL, NULL);
}
