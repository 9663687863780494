/* conflicts.c - pairs of changes that did not see each other; see conflicts.h. */
#include "server/pool/conflicts.h"

#include <stdlib.h>

#include "proto/change.h"
#include "proto/err.h"
#include "proto/merge.h"
#include "server/pool/moved.h"
#include "server/pool/rows.h"

#define ENTRY_WORK 256 /* what looking at an entry of history costs beside its bytes */
#define PAIR_WORK 2048 /* what writing a conflict costs */

/* One side of a conflict. */
typedef struct side {
    reg change;
    lp_id person;
} side;

/* A change of history that conflicts with one of the new ones. */
typedef struct pair {
    uint32_t index; /* of the new change */
    side other;
} pair;

/* One walk through history finds the pairs of all changes of a set. Values are kept in `bytes` by size, because it may move
 * while it grows; they are put together afterwards. */
typedef struct search {
    const reg *changes;
    uint32_t change_count;
    const lp_id *person;
    pair *found;
    uint32_t count;
    uint32_t capacity;
    buf bytes;
    uint64_t work;
    bool failed;
} search;

static void keep(search *s, uint32_t index, const reg *other, const lp_id *person) {
    if (s->count == s->capacity) {
        uint32_t capacity = s->capacity ? s->capacity * 2 : 4;
        pair *found = realloc(s->found, capacity * sizeof *found);
        if (!found) {
            s->failed = true;
            return;
        }
        s->found = found;
        s->capacity = capacity;
    }
    pair *kept = &s->found[s->count++];
    *kept = (pair){index, {*other, *person}};
    kept->other.change.key = s->changes[index].key;
    kept->other.change.value = span_of((const uint8_t *)NULL, other->value.size);
    buf_append_span(&s->bytes, other->value);
    s->work += PAIR_WORK;
}

/* Index of the new change of the same register; change_count if there is none. */
static uint32_t find(const search *s, const reg *other) {
    uint32_t low = 0, high = s->change_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const reg *r = &s->changes[middle];
        int order = r->field != other->field ? (r->field < other->field ? -1 : 1) : span_compare(r->key, other->key);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return s->change_count;
}

static bool look(void *ctx, const store_history *entry) {
    search *s = ctx;
    wire_reader r = wire_open(entry->body);
    reg other;
    s->work += ENTRY_WORK + entry->body.size;
    while (r.at < r.end && change_unpack(&r, &other)) {
        uint32_t index = find(s, &other);
        if (index == s->change_count)
            continue;
        other.stamp = entry->stamp;
        other.base = moved_base(entry);
        if (merge_conflict(&other, &entry->person, &s->changes[index], s->person))
            keep(s, index, &other, &entry->person);
    }
    return !s->failed;
}

/* Appends a value to `bytes` and a register that points at it by offset; settle turns offsets into pointers. */
typedef struct draft {
    reg regs[10];
    size_t offsets[10];
    uint32_t count;
    buf bytes;
} draft;

static void begin_value(draft *d, uint32_t field, stamp at) {
    d->offsets[d->count] = d->bytes.size;
    d->regs[d->count++] = (reg){.field = field, .stamp = at};
}

static void settle(draft *d) {
    for (uint32_t i = 0; i < d->count; i++) {
        size_t end = i + 1 < d->count ? d->offsets[i + 1] : d->bytes.size;
        d->regs[i].value = span_of(d->bytes.data + d->offsets[i], end - d->offsets[i]);
    }
}

static void put_side(draft *d, const side *s, uint32_t value_field, uint32_t stamp_field, uint32_t by_field) {
    uint8_t bytes[STAMP_BYTES];
    stamp_pack(s->change.stamp, bytes);
    begin_value(d, value_field, s->change.stamp);
    buf_append_span(&d->bytes, s->change.value);
    begin_value(d, stamp_field, s->change.stamp);
    wire_put_bytes(&d->bytes, span_of(bytes, sizeof bytes));
    begin_value(d, by_field, s->change.stamp);
    wire_put_bytes(&d->bytes, id_span(&s->person));
}

/* No device can foresee the id, or it could put a record of its own there: the pool's secret is in it. */
lp_id conflicts_id(const pool *p, const lp_id *record_id, const reg *lost) {
    buf name = {0};
    uint8_t bytes[STAMP_BYTES];
    stamp_pack(lost->stamp, bytes);
    wire_put_bytes(&name, id_span(record_id));
    wire_put_u64(&name, lost->field);
    wire_put_text(&name, lost->key);
    wire_put_bytes(&name, span_of(bytes, sizeof bytes));
    lp_id id = id_derive(&p->secret, buf_span(&name));
    buf_fini(&name);
    return id;
}

/* A later conflict of the same loser may stand already, or one with a copy's change of the same stamp: then there is nothing to write, and nothing
 * to number. */
static bool brings_news(const record *rec, const draft *d) {
    for (uint32_t i = 0; i < d->count; i++) {
        const reg *stored = record_find(rec, d->regs[i].field, (span){0});
        int order = stored ? stamp_compare(d->regs[i].stamp, stored->stamp) : 1;
        if (order > 0 || (order == 0 && span_compare(d->regs[i].value, stored->value) > 0))
            return true;
    }
    return false;
}

static lp_err write_record(pool *p, const lp_id *id, const draft *d, lp_error *error) {
    record rec;
    record_init(&rec, KIND_CONFLICT, id);
    rows_kept kept = {0};
    uint64_t seq;
    lp_err err = rows_load(p, &rec, &kept, error);
    if (!err && rec.kind != KIND_CONFLICT)
        err = err_set(error, LP_CORRUPT, "a conflict's record has another kind; run leadpoold verify");
    bool news = !err && brings_news(&rec, d);
    if (news)
        err = p->store->ops->take_seq(p->store, 1, &seq, error);
    for (uint32_t i = 0; news && !err && i < d->count; i++)
        err = rows_merge(p, &rec, &kept, SCOPE_POOL, &d->regs[i], seq, error);
    if (news && !err)
        err = rows_save(p, &rec, &kept, SCOPE_POOL, NULL, seq, error);
    record_fini(&rec);
    rows_drop(&kept);
    return err;
}

static lp_err write_conflict(pool *p, uint32_t kind, const lp_id *record_id, const side *lost, const side *won,
                             lp_error *error) {
    draft d = {0};
    lp_id id = conflicts_id(p, record_id, &lost->change);
    begin_value(&d, CONFLICT_RECORD, lost->change.stamp);
    wire_put_bytes(&d.bytes, id_span(record_id));
    begin_value(&d, CONFLICT_KIND, lost->change.stamp);
    wire_put_u64(&d.bytes, kind);
    begin_value(&d, CONFLICT_FIELD, lost->change.stamp);
    wire_put_u64(&d.bytes, lost->change.field);
    if (lost->change.key.size) {
        begin_value(&d, CONFLICT_KEY, lost->change.stamp);
        wire_put_text(&d.bytes, lost->change.key);
    }
    put_side(&d, lost, CONFLICT_LOST_VALUE, CONFLICT_LOST_STAMP, CONFLICT_LOST_BY);
    put_side(&d, won, CONFLICT_WON_VALUE, CONFLICT_WON_STAMP, CONFLICT_WON_BY);
    settle(&d);
    lp_err err = d.bytes.failed ? err_plain(error, LP_NOMEM) : write_record(p, &id, &d, error);
    buf_fini(&d.bytes);
    return err;
}

lp_err conflicts_note(pool *p, const record *rec, const reg *changes, uint32_t count, const lp_id *person,
                      uint64_t *work, lp_error *error) {
    search s = {.changes = changes, .change_count = count, .person = person};
    lp_err err = p->store->ops->history(p->store, &rec->id, look, &s, error);
    if (!err && (s.failed || s.bytes.failed))
        err = err_plain(error, LP_NOMEM);
    size_t offset = 0;
    for (uint32_t i = 0; !err && i < s.count; i++) {
        side *other = &s.found[i].other;
        side mine = {changes[s.found[i].index], *person};
        other->change.value = span_of(s.bytes.data + offset, other->change.value.size);
        offset += other->change.value.size;
        bool other_lost = stamp_compare(other->change.stamp, mine.change.stamp) < 0;
        err = write_conflict(p, rec->kind, &rec->id, other_lost ? other : &mine, other_lost ? &mine : other, error);
    }
    *work += s.work;
    free(s.found);
    buf_fini(&s.bytes);
    return err;
}
