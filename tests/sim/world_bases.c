/* world_bases.c - what an author was looking at is something that was there: the base of every entry of history is the stamp of another
 * entry of the record, or of a change that was refused or, after a restore, offered again by a device that is revoked now: it awaits review, or
 * that nobody had to keep, as it was older than the backups that count, or that a device and the pool were both set back behind; and it is no older than what the author's device showed. A base that names an unsent value its own author replaced would hide a
 * conflict, and nothing that is derived from history could tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/change.h"
#include "proto/schema.h"
#include "server/office/review.h"
#include "tests/sim/world.h"

#define ENTRIES_MAX 4096

typedef struct base_walk {
    stamp stamps[ENTRIES_MAX], bases[ENTRIES_MAX];
    uint32_t count;
} base_walk;

/* An entry was seen under any stamp that it had (server/pool/moved.h); the first of them has the base. */
static void add(base_walk *walk, stamp at, stamp base) {
    walk->stamps[walk->count] = at;
    walk->bases[walk->count++] = base;
}

static bool on_entry(void *ctx, const store_history *entry) {
    base_walk *walk = ctx;
    size_t kept = entry->bases.size / STAMP_BYTES;
    if (walk->count + kept > ENTRIES_MAX) {
        walk->count = ENTRIES_MAX;
        return false;
    }
    add(walk, entry->stamp, kept ? stamp_unpack(entry->bases.data) : STAMP_NONE);
    for (size_t i = 1; i < kept; i++)
        add(walk, stamp_unpack(entry->bases.data + i * STAMP_BYTES), STAMP_NONE);
    return true;
}

/* Of the record that `for_id` names. */
typedef struct review_walk {
    base_walk *into;
    const lp_id *for_id;
} review_walk;

static bool on_review(void *ctx, const review_entry *e) {
    const review_walk *walk = ctx;
    base_walk *into = walk->into;
    if (!id_equal(&e->set.id, walk->for_id) || into->count == ENTRIES_MAX)
        return true;
    add(into, e->set.stamp, STAMP_NONE);
    return true;
}

static bool is_there(const base_walk *walk, stamp base) {
    bool there = stamp_is_none(base);
    for (uint32_t i = 0; i < walk->count && !there; i++)
        there = stamp_compare(walk->stamps[i], base) == 0;
    return there;
}

/* Two faults at once: the device that wrote it was set back to before it, and so was the pool (world_forgive). Whoever had seen it says so. */
static bool is_lost(const world *w, uint32_t index, stamp base) {
    bool lost = false;
    for (uint32_t i = 0; i < w->typed_count && !lost; i++) {
        const world_typed *t = &w->typed[i];
        lost = t->may_be_lost && t->record == index && stamp_compare(t->stamp, base) == 0;
    }
    return lost;
}

static bool anything_refused(const world *w) {
    int64_t refused = 0;
    for (uint32_t i = 0; i < w->options.devices; i++)
        refused += world_device_count(&w->devices[i], "SELECT count(*) FROM refused");
    return refused > 0;
}

/* ---- what was on the screen ---- */

typedef struct seen_walk {
    const world_typed *typed;
    stamp base;
    bool found;
} seen_walk;

static bool find_typed(void *ctx, const store_history *entry) {
    seen_walk *walk = ctx;
    const world_typed *t = walk->typed;
    wire_reader r = wire_open(entry->body);
    reg change;
    while (!walk->found && r.at < r.end && change_unpack(&r, &change))
        walk->found = change.field == t->field && span_equal(change.key, span_text(t->key)) &&
                      span_equal(change.value, span_of(t->value, t->value_size));
    if (walk->found && entry->bases.size >= STAMP_BYTES)
        walk->base = stamp_unpack(entry->bases.data);
    return !walk->found;
}

/* Texts that people type are unique (next_text), ticks, owners and clearings are not; members of a group share the greatest base of theirs. */
static bool is_telling(const world *w, const world_typed *t) {
    const field_info *info = schema_field(w->records[t->record].kind, t->field);
    return !stamp_is_none(t->over) && t->value_size > 6 && t->value[1] == 'v' && info && !info->group;
}

static void check_seen(world *w, uint32_t index) {
    const world_typed *t = &w->typed[index];
    seen_walk walk = {.typed = t};
    if (!is_telling(w, t))
        return;
    const lp_id *id = &w->records[t->record].id;
    assert_int_equal(w->reader->ops->read_history(w->reader, id, find_typed, &walk, NULL), LP_OK);
    world_expect(w, !walk.found || stamp_compare(walk.base, t->over) >= 0,
                 "change %u of device %u, field %u: history does not say what its author had seen (I4)", index,
                 t->device, t->field);
}

void world_check_bases(world *w) {
    static base_walk walk;
    /* What was unsent when the pool's clock was repaired names what its author saw by the stamps of before. */
    if (w->repairs)
        return;
    for (uint32_t i = 0; i < w->typed_count; i++)
        check_seen(w, i);
    if (anything_refused(w))
        return;
    for (uint32_t r = 0; r < w->record_count; r++) {
        walk.count = 0;
        review_walk awaiting = {&walk, &w->records[r].id};
        assert_int_equal(w->reader->ops->read_history(w->reader, awaiting.for_id, on_entry, &walk, NULL), LP_OK);
        assert_int_equal(w->store->ops->begin(w->store, NULL), LP_OK);
        review_each(&w->pool, on_review, &awaiting, NULL);
        w->store->ops->rollback(w->store);
        for (uint32_t i = 0; i < walk.count && walk.count < ENTRIES_MAX; i++)
            world_expect(w,
                         is_there(&walk, walk.bases[i]) || world_is_forgotten(w, walk.bases[i]) ||
                             is_lost(w, r, walk.bases[i]),
                         "record %u: an entry of history says that its author saw what never was there (I4)", r);
    }
}
