/* repair.c - see repair.h. Two walks over the pool: the first finds the stamps that are ahead, the second gives them others. */
#include "server/office/repair.h"

#include <stdlib.h>
#include <string.h>

#include "proto/change.h"
#include "proto/err.h"
#include "server/pool/conflicts.h"
#include "server/pool/epochs.h"
#include "server/pool/moved.h"
#include "server/pool/rows.h"
#include "server/pool/scopes.h"

typedef struct repair {
    pool *pool;
    uint64_t limit;  /* hybrid times above it are ahead */
    uint64_t first;  /* what the first of them becomes */
    uint64_t *times; /* that are ahead; ascending, each once, after the first walk */
    size_t count, capacity;
    lp_id *ids; /* of all rows */
    size_t id_count, id_capacity;
    bool ahead; /* something of the record at hand is */
    bool failed;
} repair;

/* ---- the first walk ---- */

static bool keep_id(void *ctx, const store_row *row) {
    repair *r = ctx;
    if (r->id_count == r->id_capacity) {
        size_t capacity = r->id_capacity ? r->id_capacity * 2 : 1024;
        lp_id *ids = realloc(r->ids, capacity * sizeof *ids);
        if (!ids) {
            r->failed = true;
            return false;
        }
        r->ids = ids;
        r->id_capacity = capacity;
    }
    r->ids[r->id_count++] = row->id;
    return true;
}

static void note(repair *r, stamp at) {
    if (at.time <= r->limit)
        return;
    r->ahead = true;
    if (r->count && r->times[r->count - 1] == at.time)
        return;
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 1024;
        uint64_t *times = realloc(r->times, capacity * sizeof *times);
        if (!times) {
            r->failed = true;
            return;
        }
        r->times = times;
        r->capacity = capacity;
    }
    r->times[r->count++] = at.time;
}

static bool note_entry(void *ctx, const store_history *entry) {
    note(ctx, entry->stamp);
    note(ctx, moved_base(entry));
    return true;
}

/* The stamps that a conflict's record names are those of changes in history. */
static lp_err look(repair *r, const lp_id *id, lp_error *error) {
    record rec;
    rows_kept kept = {0};
    record_init(&rec, 0, id);
    r->ahead = false;
    lp_err err = rows_load(r->pool, &rec, &kept, error);
    for (uint32_t i = 0; !err && i < rec.count; i++) {
        note(r, rec.regs[i].stamp);
        note(r, rec.regs[i].base);
    }
    record_fini(&rec);
    rows_drop(&kept);
    return err ? err : r->pool->store->ops->history(r->pool->store, id, note_entry, r, error);
}

static int by_time(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void sort_times(repair *r) {
    size_t kept = 0;
    if (r->count)
        qsort(r->times, r->count, sizeof *r->times, by_time);
    for (size_t i = 0; i < r->count; i++)
        if (kept == 0 || r->times[kept - 1] != r->times[i])
            r->times[kept++] = r->times[i];
    r->count = kept;
}

/* Finds the times; of the ids, those that have some stay. */
static lp_err find_times(repair *r, lp_error *error) {
    lp_err err = r->pool->store->ops->rows(r->pool->store, false, keep_id, r, error);
    size_t kept = 0;
    for (size_t i = 0; !err && !r->failed && i < r->id_count; i++) {
        err = look(r, &r->ids[i], error);
        if (r->ahead)
            r->ids[kept++] = r->ids[i];
    }
    if (!err && r->failed)
        return err_plain(error, LP_NOMEM);
    r->id_count = kept;
    sort_times(r);
    return err;
}

/* ---- the second ---- */

/* Hybrid times that no clock gives, nor has given (hlc.h, invariant 4): all of them within a second, and apart if they are not too many. */
static uint64_t moved_to(const repair *r, size_t index) {
    uint64_t step = r->count ? (UINT64_C(1000) << 16) / r->count : MOVED_STEP;
    step = step > MOVED_STEP ? MOVED_STEP : step < 2 ? 2 : step & ~STAMP_MOVED;
    return (r->first + step * index) | STAMP_MOVED;
}

static stamp repaired(const repair *r, stamp at) {
    size_t low = 0, high = r->count;
    if (at.time <= r->limit)
        return at;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->times[middle] < at.time)
            low = middle + 1;
        else
            high = middle;
    }
    return (stamp){moved_to(r, low), at.author};
}

/* A field of a conflict whose value is a stamp. */
static bool names_stamp(const record *rec, const reg *change) {
    return rec->kind == KIND_CONFLICT && (change->field == CONFLICT_LOST_STAMP || change->field == CONFLICT_WON_STAMP);
}

/* Writes the value anew into `bytes`, which has to be large enough already: spans point into it. */
static void repair_value(const repair *r, reg *change, buf *bytes) {
    wire_reader from = wire_open(change->value);
    span packed = wire_bytes(&from);
    uint8_t again[STAMP_BYTES];
    if (from.failed || packed.size != STAMP_BYTES)
        return;
    stamp_pack(repaired(r, stamp_unpack(packed.data)), again);
    size_t at = bytes->size;
    wire_put_bytes(bytes, span_of(again, sizeof again));
    if (!bytes->failed)
        change->value = span_of(bytes->data + at, bytes->size - at);
}

/* What was erased or purged has left a mark, in the feed of scope `setup` and in no digest (rows.h). */
static bool is_mark(const record *rec) {
    return rec->kind == KIND_ERASED || rec->kind == KIND_PURGED;
}

static void move_digest(pool *p, const record *rec, rows_kept *kept, bool add) {
    digest *sum = &p->digests[rows_scope(rec->kind)];
    for (uint32_t i = 0; i < rec->count && !is_mark(rec); i++) {
        digest term = digest_term(p->digester, rec->kind, &rec->id, &rec->regs[i]);
        (add ? digest_plus : digest_minus)(sum, term);
        (add ? digest_plus : digest_minus)(&kept->delta, term);
    }
}

/* A conflict is known by what lost. */
static lp_id new_id(const repair *r, const record *rec) {
    span of = record_value(rec, CONFLICT_RECORD, (span){0}), field = record_value(rec, CONFLICT_FIELD, (span){0});
    span key = record_value(rec, CONFLICT_KEY, (span){0}), lost = record_value(rec, CONFLICT_LOST_STAMP, (span){0});
    wire_reader of_reader = wire_open(of), field_reader = wire_open(field), key_reader = wire_open(key),
                lost_reader = wire_open(lost);
    lp_id id;
    span packed = wire_bytes(&lost_reader);
    if (rec->kind != KIND_CONFLICT || !of.size || !field.size || packed.size != STAMP_BYTES ||
        !id_from_span(wire_bytes(&of_reader), &id))
        return rec->id;
    reg change = {.field = (uint32_t)wire_u64(&field_reader),
                  .key = key.size ? wire_text(&key_reader) : (span){0},
                  .stamp = stamp_unpack(packed.data)};
    return conflicts_id(r->pool, &id, &change);
}

static lp_err repair_row(repair *r, const lp_id *id, lp_id *now_out, lp_error *error) {
    pool *p = r->pool;
    record rec;
    rows_kept kept = {0};
    buf values = {0};
    uint64_t seq;
    record_init(&rec, 0, id);
    lp_err err = rows_load(p, &rec, &kept, error);
    if (!err)
        err = p->store->ops->take_seq(p->store, 1, &seq, error);
    if (err)
        goto out;
    move_digest(p, &rec, &kept, false);
    if (rec.kind == KIND_CONFLICT) { /* it may get another id: it leaves its scopes under this one */
        err = scopes_forget(p, &rec, &kept.before, error);
        kept.before = (scope_set){0};
        kept.known = false;
        if (err)
            goto out;
    }
    if (!buf_reserve(&values, 4 * STAMP_BYTES)) {
        err = err_plain(error, LP_NOMEM);
        goto out;
    }
    for (uint32_t i = 0; i < rec.count; i++) {
        reg *change = &rec.regs[i];
        change->stamp = repaired(r, change->stamp);
        change->base = repaired(r, change->base);
        change->seq = seq;
        if (names_stamp(&rec, change))
            repair_value(r, change, &values);
    }
    rec.id = *now_out = new_id(r, &rec);
    move_digest(p, &rec, &kept, true);
    if (!id_equal(id, &rec.id))
        err = p->store->ops->drop_row(p->store, id, error);
    if (!err)
        err = rows_save(p, &rec, &kept, is_mark(&rec) ? SCOPE_SETUP : rows_scope(rec.kind), NULL, seq, error);
out:
    record_fini(&rec);
    rows_drop(&kept);
    buf_fini(&values);
    return err;
}

/* History copied out of the store, because it is taken away before it is put back. */
typedef struct copied {
    store_history *list;
    size_t count, capacity;
    buf bytes; /* bodies and bases by size, behind each other */
    bool failed;
} copied;

static bool copy_entry(void *ctx, const store_history *entry) {
    copied *c = ctx;
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 16;
        store_history *list = realloc(c->list, capacity * sizeof *list);
        if (!list) {
            c->failed = true;
            return false;
        }
        c->list = list;
        c->capacity = capacity;
    }
    c->list[c->count++] = *entry;
    buf_append_span(&c->bytes, entry->body);
    buf_append_span(&c->bytes, entry->bases);
    return !c->bytes.failed;
}

static lp_err put_back(repair *r, copied *c, const lp_id *now, lp_error *error) {
    store *s = r->pool->store;
    const uint8_t *at = c->bytes.data;
    lp_err err = LP_OK;
    for (size_t i = 0; !err && i < c->count; i++) {
        store_history *entry = &c->list[i];
        buf bases = {0};
        bool added;
        entry->body = span_of(at, entry->body.size);
        entry->bases = span_of(at + entry->body.size, entry->bases.size);
        at += entry->body.size + entry->bases.size;
        stamp before = entry->stamp;
        entry->stamp = repaired(r, before);
        moved_put(&bases, repaired(r, moved_base(entry)), entry,
                  stamp_compare(before, entry->stamp) ? before : STAMP_NONE);
        entry->bases = buf_span(&bases);
        entry->id = *now;
        err = bases.failed ? err_plain(error, LP_NOMEM) : s->ops->append(s, entry, &added, error);
        buf_fini(&bases);
    }
    return err;
}

static lp_err repair_history(repair *r, const lp_id *id, const lp_id *now, lp_error *error) {
    store *s = r->pool->store;
    copied c = {.count = 0};
    lp_err err = s->ops->history(s, id, copy_entry, &c, error);
    if (!err && (c.failed || c.bytes.failed))
        err = err_plain(error, LP_NOMEM);
    if (!err && c.count)
        err = s->ops->drop_history(s, id, error);
    if (!err)
        err = put_back(r, &c, now, error);
    free(c.list);
    buf_fini(&c.bytes);
    return err;
}

static lp_err repair_all(repair *r, lp_error *error) {
    lp_err err = LP_OK;
    for (size_t i = 0; !err && i < r->id_count; i++) {
        lp_id now = r->ids[i];
        err = repair_row(r, &r->ids[i], &now, error);
        if (!err)
            err = repair_history(r, &r->ids[i], &now, error);
    }
    return err;
}

lp_err repair_clock(pool *p, repair_report *report_out, lp_error *error) {
    int64_t now_ms = p->env->wall_ms(p->env->ctx);
    if (now_ms < 0 || now_ms >= STAMP_MS_MAX)
        return err_set(error, LP_INVALID, "the server's clock shows no time of this world; set it right first");
    repair r = {.pool = p, .limit = (uint64_t)now_ms << 16 | 0xffff, .first = (uint64_t)(now_ms + 1) << 16};
    lp_err err = find_times(&r, error);
    if (!err)
        err = repair_all(&r, error);
    bool ahead = r.count > 0 || p->clock.last > r.limit;
    if (!err && ahead)
        err = epochs_redraw(p, UINT64_MAX, 0, error);
    if (!err) {
        if (ahead)
            p->clock.last = moved_to(&r, r.count);
        p->trusting = true;
        *report_out = (repair_report){r.count, r.id_count};
    }
    free(r.times);
    free(r.ids);
    return err;
}
