/* world_conflicts.c - the pool against its own history: what stands is the greatest, nothing twice, and the conflict records are exactly
 * those among all pairs of changes that the design calls so. Written without a look at proto/merge.c and server/pool/conflicts.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/change.h"
#include "server/pool/apply.h"
#include "tests/sim/world.h"

#define CHANGES_MAX 4096

/* One change of history. */
typedef struct told {
    uint32_t record;
    reg change; /* key and value lie in `bytes` by offset until all is read */
    size_t key_at, value_at;
    lp_id person;
    int64_t server_ms;
} told;

typedef struct telling {
    world *world;
    uint32_t record;
    told *list;
    uint32_t count;
    buf bytes;
} telling;

static bool on_entry(void *ctx, const store_history *entry) {
    telling *all = ctx;
    world_expect(all->world, !id_is_nil(&entry->person), "a change in history is nobody's (I7)");
    wire_reader r = wire_open(entry->body);
    reg change;
    while (r.at < r.end && change_unpack(&r, &change)) {
        assert_true(all->count < CHANGES_MAX);
        told *t = &all->list[all->count++];
        *t = (told){.record = all->record, .change = change, .person = entry->person, .server_ms = entry->server_ms};
        t->change.stamp = entry->stamp;
        t->change.base = stamp_unpack(entry->bases.data);
        t->key_at = all->bytes.size;
        buf_append_span(&all->bytes, change.key);
        t->value_at = all->bytes.size;
        buf_append_span(&all->bytes, change.value);
    }
    return true;
}

static void read_all(world *w, telling *all) {
    all->world = w;
    all->list = calloc(CHANGES_MAX, sizeof *all->list);
    assert_non_null(all->list);
    for (all->record = 0; all->record < w->record_count; all->record++)
        assert_int_equal(w->reader->ops->read_history(w->reader, &w->records[all->record].id, on_entry, all, NULL),
                         LP_OK);
    for (uint32_t i = 0; i < all->count; i++) {
        told *t = &all->list[i];
        t->change.key = span_of(all->bytes.data + t->key_at, t->change.key.size);
        t->change.value = span_of(all->bytes.data + t->value_at, t->change.value.size);
    }
}

static bool same_register(const told *a, const told *b) {
    return a->record == b->record && a->change.field == b->change.field && span_equal(a->change.key, b->change.key);
}

/* ---- what stands ---- */

static int compare(const told *a, const told *b) {
    int order = stamp_compare(a->change.stamp, b->change.stamp);
    return order ? order : span_compare(a->change.value, b->change.value);
}

static void check_standing(world *w, const telling *all, const told *t) {
    store_row row;
    record rec;
    const lp_id *id = &w->records[t->record].id;
    world_expect(w, !w->reader->ops->read(w->reader, id, &row, NULL), "a record with history is not in the pool");
    record_init(&rec, row.kind, id);
    assert_int_equal(record_unpack(&rec, row.body, row.stamps, NULL), LP_OK);
    const told *greatest = t; /* of two copies' changes under one stamp the greater bytes stand */
    for (uint32_t i = 0; i < all->count; i++) {
        const told *o = &all->list[i];
        bool same = o != t && same_register(o, t);
        int order = same ? compare(o, t) : 1;
        /* Two copies may send one change in different company. */
        world_expect(w, order != 0, "one change is in history twice (I4)");
        world_expect(w, order == 0 || w->copied || !same || stamp_compare(o->change.stamp, t->change.stamp) != 0,
                     "two changes have one stamp (I4)");
        if (same && compare(o, greatest) > 0)
            greatest = o;
    }
    const reg *stored = record_find(&rec, t->change.field, t->change.key);
    world_expect(w,
                 stored && stamp_compare(stored->stamp, greatest->change.stamp) == 0 &&
                     span_equal(stored->value, greatest->change.value),
                 "field %u is not the greatest of its history", t->change.field);
    record_fini(&rec);
}

/* ---- conflicts ---- */

/* The words of the design: l < w to one register, by different people, with different values, conflict if w's author had not seen l. */
static bool conflicting(const told *a, const told *b) {
    int order = stamp_compare(a->change.stamp, b->change.stamp);
    const told *l = order < 0 ? a : b, *w = order < 0 ? b : a;
    return order && same_register(a, b) && memcmp(a->person.bytes, b->person.bytes, sizeof a->person.bytes) != 0 &&
           !span_equal(a->change.value, b->change.value) && stamp_compare(w->change.base, l->change.stamp) < 0;
}

/* The greatest change that overwrote `t` unseen; NULL: none did. Of two copies' changes under one stamp the greater bytes are. */
static const told *winner_over(const telling *all, const told *t) {
    const told *winner = NULL;
    for (uint32_t i = 0; i < all->count; i++) {
        const told *o = &all->list[i];
        if (stamp_compare(o->change.stamp, t->change.stamp) > 0 && conflicting(o, t) &&
            (!winner || compare(o, winner) > 0))
            winner = o;
    }
    return winner;
}

/* Two copies of a device gave one stamp to two values: of what lost under one stamp one conflict tells, and history has both. */
static bool has_twin_before(const telling *all, uint32_t index) {
    const told *t = &all->list[index];
    bool found = false;
    for (uint32_t i = 0; i < index; i++)
        found |= same_register(&all->list[i], t) && stamp_compare(all->list[i].change.stamp, t->change.stamp) == 0;
    return found;
}

typedef struct conflict_walk {
    world *world;
    const telling *all;
    uint32_t expected, found;
} conflict_walk;

static bool is_bytes(const record *rec, uint32_t field, span bytes) {
    wire_reader r = wire_open(record_value(rec, field, (span){0}));
    return span_equal(wire_bytes(&r), bytes);
}

static bool is_number(const record *rec, uint32_t field, uint64_t number) {
    wire_reader r = wire_open(record_value(rec, field, (span){0}));
    return wire_u64(&r) == number && !r.failed;
}

static bool is_value(const record *rec, uint32_t field, span value) {
    const reg *stored = record_find(rec, field, (span){0});
    return stored && span_equal(stored->value, value);
}

static bool says(const world *w, const record *rec, const told *lost, const told *won) {
    uint8_t lost_stamp[STAMP_BYTES], won_stamp[STAMP_BYTES];
    stamp_pack(lost->change.stamp, lost_stamp);
    stamp_pack(won->change.stamp, won_stamp);
    wire_reader key = wire_open(record_value(rec, CONFLICT_KEY, (span){0}));
    bool keyed = lost->change.key.size == 0 ? key.at == key.end : span_equal(wire_text(&key), lost->change.key);
    return keyed && is_bytes(rec, CONFLICT_RECORD, id_span(&w->records[lost->record].id)) &&
           is_number(rec, CONFLICT_KIND, w->records[lost->record].kind) &&
           is_number(rec, CONFLICT_FIELD, lost->change.field) &&
           is_bytes(rec, CONFLICT_LOST_STAMP, span_of(lost_stamp, STAMP_BYTES)) &&
           is_value(rec, CONFLICT_LOST_VALUE, lost->change.value) &&
           is_bytes(rec, CONFLICT_LOST_BY, id_span(&lost->person)) &&
           is_bytes(rec, CONFLICT_WON_STAMP, span_of(won_stamp, STAMP_BYTES)) &&
           is_value(rec, CONFLICT_WON_VALUE, won->change.value) &&
           is_bytes(rec, CONFLICT_WON_BY, id_span(&won->person));
}

static bool on_row(void *ctx, const store_row *row) {
    conflict_walk *walk = ctx;
    world *w = walk->world;
    if (row->kind != KIND_CONFLICT)
        return true;
    record rec;
    record_init(&rec, row->kind, &row->id);
    assert_int_equal(record_unpack(&rec, row->body, row->stamps, NULL), LP_OK);
    /* A mark that somebody set on a conflict which repair-clock gave another id, or of which a restored pool has one side only, as the other
     * awaits review: changes of unknown ids are kept. */
    bool bare = (w->repairs || w->restores) && !record_find(&rec, CONFLICT_RECORD, (span){0});
    uint32_t matches = 0;
    for (uint32_t i = 0; i < walk->all->count; i++) {
        const told *won = winner_over(walk->all, &walk->all->list[i]);
        matches += won && says(w, &rec, &walk->all->list[i], won);
    }
    /* After a restore there may be left of such a twin what the pool does not know any more. */
    world_expect(w, matches == 1 || bare || (w->copied && w->restores),
                 "a conflict record does not follow from history (I4)");
    walk->found += !bare;
    record_fini(&rec);
    return true;
}

void world_check_conflicts(world *w) {
    telling all = {0};
    read_all(w, &all);
    conflict_walk walk = {.world = w, .all = &all};
    for (uint32_t i = 0; i < all.count; i++) {
        const told *t = &all.list[i];
        check_standing(w, &all, t);
        walk.expected += winner_over(&all, t) && !has_twin_before(&all, i);
        int64_t ahead_ms = stamp_ms(t->change.stamp) - t->server_ms;
        /* A repair takes the server's time back: what its author had seen on the record, and follows, may be ahead by what is allowed. */
        int64_t most_ms = CLOCK_TOLERANCE_MS + w->slowest_ms;
        if (w->repairs && most_ms < APPLY_AHEAD_MS)
            most_ms = APPLY_AHEAD_MS;
        world_expect(w, ahead_ms <= most_ms, "a stamp is %lld ms later than the server's time (I9)",
                     (long long)ahead_ms);
    }
    assert_int_equal(w->reader->ops->feed(w->reader, SCOPE_POOL, 0, on_row, &walk, NULL), LP_OK);
    world_expect(w, walk.found == walk.expected, "%u conflict records, %u conflicts in history (I4)", walk.found,
                 walk.expected);
    w->counts->conflicts += walk.found;
    free(all.list);
    buf_fini(&all.bytes);
}
