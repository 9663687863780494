/* record.c - registers in order, and their packed form; see record.h. */
#include "proto/record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/change.h"
#include "proto/err.h"
#include "proto/schema.h"

void record_init(record *rec, uint32_t kind, const lp_id *id) {
    *rec = (record){.kind = kind, .id = *id};
}

void record_fini(record *rec) {
    free(rec->regs);
    *rec = (record){0};
}

void record_clear(record *rec) {
    rec->count = 0;
}

static int compare(const reg *r, uint32_t field, span key) {
    if (r->field != field)
        return r->field < field ? -1 : 1;
    return span_compare(r->key, key);
}

/* Index of the first register not before (field, key). Appending in order, the common case, costs one comparison. */
static uint32_t lower_bound(const record *rec, uint32_t field, span key) {
    uint32_t low = 0, high = rec->count;
    if (high && compare(&rec->regs[high - 1], field, key) < 0)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(&rec->regs[middle], field, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

reg *record_find(const record *rec, uint32_t field, span key) {
    uint32_t at = lower_bound(rec, field, key);
    return at < rec->count && compare(&rec->regs[at], field, key) == 0 ? &rec->regs[at] : NULL;
}

static bool grow(record *rec) {
    if (rec->count < rec->capacity)
        return true;
    uint32_t capacity = rec->capacity ? rec->capacity * 2 : 32;
    reg *regs = realloc(rec->regs, capacity * sizeof *regs);
    if (!regs)
        return false;
    rec->regs = regs;
    rec->capacity = capacity;
    return true;
}

reg *record_at(record *rec, uint32_t field, span key, bool *made_out) {
    uint32_t at = lower_bound(rec, field, key);
    *made_out = false;
    if (at < rec->count && compare(&rec->regs[at], field, key) == 0)
        return &rec->regs[at];
    if (!grow(rec))
        return NULL;
    memmove(&rec->regs[at + 1], &rec->regs[at], (rec->count - at) * sizeof *rec->regs);
    rec->count++;
    rec->regs[at] = (reg){.field = field, .key = key};
    *made_out = true;
    return &rec->regs[at];
}

span record_value(const record *rec, uint32_t field, span key) {
    const reg *r = record_find(rec, field, key);
    return r && !span_equal(r->value, WIRE_NIL_SPAN) ? r->value : (span){0};
}

bool record_deleted(const record *rec) {
    return span_equal(record_value(rec, FIELD_DELETED, (span){0}), SPAN_LITERAL("\xc3"));
}

size_t record_bytes(const record *rec) {
    size_t size = 0;
    for (uint32_t i = 0; i < rec->count; i++)
        size += rec->regs[i].value.size + (rec->regs[i].key.size ? rec->regs[i].key.size + 6 : 3);
    return size;
}

/* ---- packed form ---- */

/* Bits of a run. */
#define RUN_BASED 1
#define RUN_UNCERTAIN 2

static bool same_run(const reg *a, const reg *b) {
    return a->seq == b->seq && a->uncertain == b->uncertain && stamp_compare(a->stamp, b->stamp) == 0 &&
           stamp_compare(a->base, b->base) == 0;
}

static void put_stamp(buf *b, stamp s) {
    uint8_t bytes[STAMP_BYTES];
    stamp_pack(s, bytes);
    buf_append(b, bytes, sizeof bytes);
}

lp_err record_pack(const record *rec, buf *body, buf *stamps, lp_error *error) {
    buf_reserve(body, record_bytes(rec)); /* one allocation instead of one for each doubling */
    for (uint32_t i = 0; i < rec->count; i++)
        change_pack(body, rec->regs[i].field, rec->regs[i].key, rec->regs[i].value);
    for (uint32_t i = 0; i < rec->count;) {
        const reg *first = &rec->regs[i];
        uint32_t count = 1;
        while (i + count < rec->count && same_run(first, &rec->regs[i + count]))
            count++;
        buf_append_varint(stamps, count);
        put_stamp(stamps, first->stamp);
        buf_append_varint(stamps, first->seq);
        bool based = !stamp_is_none(first->base);
        buf_append_byte(stamps, (uint8_t)((based ? RUN_BASED : 0) | (first->uncertain ? RUN_UNCERTAIN : 0)));
        if (based)
            put_stamp(stamps, first->base);
        i += count;
    }
    return body->failed || stamps->failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

static bool take_stamp(span *from, stamp *stamp_out) {
    span bytes;
    if (!span_take(from, STAMP_BYTES, &bytes))
        return false;
    *stamp_out = stamp_unpack(bytes.data);
    return true;
}

/* One run of the stamps blob: how many registers, and what they share. */
static bool take_run(span *stamps, uint64_t *count_out, reg *shared_out) {
    span flags;
    *shared_out = (reg){0};
    if (!span_take_varint(stamps, count_out) || *count_out == 0 || !take_stamp(stamps, &shared_out->stamp) ||
        !span_take_varint(stamps, &shared_out->seq) || !span_take(stamps, 1, &flags) ||
        flags.data[0] > (RUN_BASED | RUN_UNCERTAIN))
        return false;
    shared_out->uncertain = flags.data[0] & RUN_UNCERTAIN;
    return !(flags.data[0] & RUN_BASED) || take_stamp(stamps, &shared_out->base);
}

lp_err record_unpack(record *rec, span body, span stamps, lp_error *error) {
    wire_reader r = wire_open(body);
    uint64_t left = 0;
    reg shared = {0};
    record_clear(rec);
    while (r.at < r.end) {
        if (left == 0 && !take_run(&stamps, &left, &shared))
            goto damaged;
        reg change;
        if (!change_unpack(&r, &change))
            goto damaged;
        if (rec->count && compare(&rec->regs[rec->count - 1], change.field, change.key) >= 0)
            goto damaged;
        if (!grow(rec))
            return err_plain(error, LP_NOMEM);
        reg *stored = &rec->regs[rec->count++];
        *stored = shared;
        stored->field = change.field;
        stored->key = change.key;
        stored->value = change.value;
        left--;
    }
    if (left == 0 && stamps.size == 0)
        return LP_OK;
damaged:
    record_clear(rec);
    return err_set(error, LP_CORRUPT, "a stored record is damaged; run verify, then restore a backup or sync again");
}
