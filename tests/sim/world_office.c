/* world_office.c - what the office does to a pool, and what must hold of it afterwards: who was erased is nowhere (I8), what a revoked
 * device sends awaits a decision (I1). */
#define _GNU_SOURCE /* memmem */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/replica/kept.h"
#include "proto/change.h"
#include "server/office/review.h"
#include "tests/sim/world.h"

/* ---- the ledgers ---- */

static lp_err append_line(void *ctx, ledger_kind which, span line, lp_error *error) {
    (void)error;
    buf_append_span(&((world *)ctx)->ledger_lines[which], line);
    return LP_OK;
}

static lp_err read_lines(void *ctx, ledger_kind which, buf *lines_out, lp_error *error) {
    (void)error;
    buf_append_span(lines_out, buf_span(&((world *)ctx)->ledger_lines[which]));
    return LP_OK;
}

void world_ledger_open(world *w) {
    w->ledger = (ledger){w, append_line, read_lines};
}

/* ---- deeds ---- */

bool world_is_erased(const world *w, uint32_t index) {
    const world_record *r = &w->records[index];
    return r->erased || (r->follows >= 0 && w->records[r->follows].erased);
}

void world_erase(world *w, uint32_t index) {
    char id[LP_ID_TEXT_BYTES];
    lp_id_format(&w->records[index].id, id);
    if (!world_operate(w, "erase", "lead", id))
        return; /* nothing of it has come yet */
    w->records[index].erased = true;
    world_count(w, FAULT_ERASED);
}

static bool is_listed(world *w, uint32_t number) {
    device ignored;
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    bool listed = auth_device(w->reader, number, &ignored, NULL) == LP_OK;
    w->reader->ops->snapshot_end(w->reader);
    return listed;
}

void world_revoke(world *w, uint32_t who) {
    char text[16];
    uint32_t number = w->devices[who].replica->clock.author;
    bool listed = is_listed(w, number);
    snprintf(text, sizeof text, "%u", number);
    world_expect(w, world_operate(w, "revoke", "device", text) == listed, "device %u cannot be revoked", who);
    /* It got its number after the backup that was restored, and has not called since: the office cannot know of it yet. */
    world_expect(w, listed || w->made_count, "device %u is not in the list", who);
    if (!listed)
        return;
    w->revoked_author = number;
    /* A copy that still goes by the same number is revoked with it. */
    for (uint32_t i = 0; i < w->options.devices; i++)
        if (!w->devices[i].revoked && w->devices[i].replica->clock.author == w->revoked_author) {
            w->devices[i].revoked = true;
            w->devices[i].revoked_ms = w->now_ms;
        }
    world_count(w, FAULT_REVOKED);
}

/* ---- purging ---- */

static bool on_history(void *ctx, const store_history *entry) {
    (void)entry;
    *(bool *)ctx = true;
    return false;
}

static bool is_purged(world *w, const lp_id *id) {
    span value;
    return w->reader->ops->read_document(w->reader, STORE_PURGED, id_span(id), &value, NULL) == LP_OK;
}

static bool count_mark(void *ctx, const store_row *row) {
    *(uint32_t *)ctx += row->kind == KIND_PURGED;
    return true;
}

/* Marks that stand; newly forgotten records are noted. */
static uint32_t look_at_marks(world *w) {
    uint32_t marks = 0;
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    assert_int_equal(w->reader->ops->feed(w->reader, SCOPE_SETUP, 0, count_mark, &marks, NULL), LP_OK);
    for (uint32_t i = 0; i < w->record_count; i++) {
        bool purged = is_purged(w, &w->records[i].id);
        if (purged && !w->records[i].purged)
            world_happened(w, EVENT_PURGED);
        w->records[i].purged |= purged;
    }
    w->reader->ops->snapshot_end(w->reader);
    return marks;
}

void world_purge(world *w) {
    world_note_stored(w);
    uint32_t before = look_at_marks(w);
    if (world_operate(w, "purge", "days", "90") && look_at_marks(w) < before)
        world_happened(w, EVENT_MARK_FORGOTTEN);
}

void world_check_purged(world *w) {
    for (uint32_t i = 0; i < w->record_count; i++) {
        const lp_id *id = &w->records[i].id;
        bool told = false;
        store_row row;
        if (!is_purged(w, id)) {
            world_expect(w, !w->records[i].purged || w->restores, "the id of a purged record is forgotten");
            continue;
        }
        assert_int_equal(w->reader->ops->read_history(w->reader, id, on_history, &told, NULL), LP_OK);
        bool row_there = w->reader->ops->read(w->reader, id, &row, NULL) == LP_OK;
        world_expect(w, !told && (!row_there || row.kind == KIND_PURGED || row.kind == KIND_ERASED),
                     "a purged record is back in the pool");
    }
}

/* ---- review ---- */

typedef struct review_walk {
    world *world;
    uint32_t device, record;
    bool (*is_it)(const struct review_walk *walk, const reg *change);
    span packed; /* what is looked for, if `is_it` compares */
    bool found;
} review_walk;

static bool is_of(const review_walk *walk, const review_entry *e) {
    const world_device *d = &walk->world->devices[walk->device];
    const lp_id *id = &walk->world->records[walk->record].id;
    /* Of two copies either may have brought it; what people type is unique anyway. */
    return id_equal(&e->set.id, id) && (walk->world->copied || kept_is_own(d->replica, e->device));
}

static bool on_review(void *ctx, const review_entry *e) {
    review_walk *walk = ctx;
    change_set set = e->set;
    reg change;
    if (!is_of(walk, e))
        return true;
    while (!walk->found && change_next(&set, &change))
        walk->found = walk->is_it(walk, &change);
    return !walk->found;
}

static bool is_in_review(review_walk *walk) {
    world *w = walk->world;
    assert_int_equal(w->store->ops->begin(w->store, NULL), LP_OK);
    review_each(&w->pool, on_review, walk, NULL);
    w->store->ops->rollback(w->store);
    return walk->found;
}

static bool is_same(const review_walk *walk, const reg *change) {
    buf packed = {0};
    change_pack(&packed, change->field, change->key, change->value);
    bool same = span_equal(buf_span(&packed), walk->packed);
    buf_fini(&packed);
    return same;
}

bool world_in_review(world *w, const world_typed *t) {
    buf packed = {0};
    change_pack(&packed, t->field, span_text(t->key), span_of(t->value, t->value_size));
    review_walk walk = {
        .world = w, .device = t->device, .record = t->record, .is_it = is_same, .packed = buf_span(&packed)};
    bool found = is_in_review(&walk);
    buf_fini(&packed);
    return found;
}

static bool is_poison(const review_walk *walk, const reg *change) {
    (void)walk;
    return change->value.size > 300;
}

bool world_poison_in_review(world *w, uint32_t who) {
    review_walk walk = {.world = w, .device = who, .record = 0, .is_it = is_poison};
    return is_in_review(&walk);
}

static bool count_review(void *ctx, const review_entry *e) {
    if (e->why == REVIEW_OUTSIDE)
        world_happened(ctx, EVENT_REVIEWED);
    if (e->why == REVIEW_PURGED)
        world_happened(ctx, EVENT_REVIEWED_PURGED);
    return true;
}

void world_count_reviews(world *w) {
    assert_int_equal(w->store->ops->begin(w->store, NULL), LP_OK);
    review_each(&w->pool, count_review, w, NULL);
    w->store->ops->rollback(w->store);
}

/* ---- I8 ---- */

/* Texts that people type here are unique (next_text); ticks and clearings are not. */
static bool is_telling(const world_typed *t) {
    return t->value_size > 6 && t->value[1] == 'v';
}

typedef struct search {
    world *world;
    const char *where;
} search;

static void check_piece(void *ctx, const uint8_t *bytes, size_t size) {
    const search *s = ctx;
    const world *w = s->world;
    for (uint32_t i = 0; i < w->typed_count; i++) {
        const world_typed *t = &w->typed[i];
        bool gone = world_is_erased(w, t->record) && is_telling(t);
        world_expect(s->world, !gone || !memmem(bytes, size, t->value, t->value_size),
                     "change %u of device %u was erased and is %s (I8)", i, t->device, s->where);
    }
}

static void check_disk(world *w, const vfs_disk *disk, const char *name, const char *whose) {
    char log[40], where[80];
    snprintf(log, sizeof log, "%s-wal", name);
    snprintf(where, sizeof where, "in %s of %s", name, whose);
    vfs_scan(disk, name, check_piece, &(search){w, where});
    snprintf(where, sizeof where, "in %s of %s", log, whose);
    vfs_scan(disk, log, check_piece, &(search){w, where});
}

static void check_gone(world *w, uint32_t index) {
    const lp_id *id = &w->records[index].id;
    bool told = false;
    store_row row;
    assert_int_equal(w->reader->ops->read_history(w->reader, id, on_history, &told, NULL), LP_OK);
    world_expect(w, !told, "an erased record has history (I8)");
    if (w->reader->ops->read(w->reader, id, &row, NULL) == LP_OK)
        world_expect(w, row.kind == KIND_ERASED, "an erased record is back in the pool (I8)");
    for (uint32_t i = 0; i < w->options.devices; i++)
        world_expect(w, w->devices[i].revoked || !world_holds(w, i, index),
                     "device %u still holds an erased record (I8)", i);
}

void world_check_erased(world *w) {
    bool any = false;
    for (uint32_t i = 0; i < w->record_count; i++) {
        if (!world_is_erased(w, i))
            continue;
        check_gone(w, i);
        any = true;
    }
    if (!any)
        return;
    check_disk(w, w->disk.disk, "pool.db", "the store");
    for (uint32_t i = 0; i < w->options.devices; i++) {
        char whose[20];
        snprintf(whose, sizeof whose, "device %u", i);
        if (!w->devices[i].revoked)
            check_disk(w, w->devices[i].disk.disk, "replica", whose);
    }
}
