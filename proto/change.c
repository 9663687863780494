/* change.c - sets of changes, read and written; the form is in change.h. */
#include "proto/change.h"

#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "proto/schema.h"

/* ---- one change ---- */

void change_pack(buf *b, uint32_t field, span key, span value) {
    if (key.size == 0) {
        wire_put_u64(b, field);
    } else {
        wire_put_array(b, 2);
        wire_put_u64(b, field);
        wire_put_text(b, key);
    }
    buf_append_span(b, value);
}

bool change_unpack(wire_reader *r, reg *change_out) {
    *change_out = (reg){0};
    bool keyed = wire_peek(r) == WIRE_ARRAY;
    if (keyed && wire_array(r) != 2)
        r->failed = true;
    uint64_t field = wire_u64(r);
    if (keyed) {
        change_out->key = wire_text(r);
        if (change_out->key.size == 0 || change_out->key.size > KEY_BYTES_MAX)
            r->failed = true;
    }
    if (field == 0 || field > FIELD_NUMBER_MAX)
        r->failed = true;
    change_out->field = (uint32_t)field;
    change_out->value = wire_raw(r);
    return !r->failed;
}

/* ---- reading ---- */

#define STAMP_WIRE_BYTES (2 + STAMP_BYTES + 1) /* the least that a stamp and its skew take */

/* A skew is for display. Cut to what a stamp can hold, it may be added to one without a second thought. */
static int64_t clamp_skew(int64_t skew_ms) {
    return skew_ms < -STAMP_MS_MAX ? -STAMP_MS_MAX : skew_ms > STAMP_MS_MAX ? STAMP_MS_MAX : skew_ms;
}

static lp_err read_stamps(changes_reader *r, wire_reader *from, lp_error *error) {
    uint32_t count = wire_array(from);
    /* Checked before memory is taken: a list of a million nils must not cost 24 bytes for each. */
    if (from->failed || count % 2 || count / 2 > (size_t)(from->end - from->at) / STAMP_WIRE_BYTES)
        return err_set(error, LP_PROTOCOL, "a list of stamps is malformed");
    r->stamp_count = count / 2;
    r->stamps = calloc(r->stamp_count + 1, sizeof *r->stamps);
    r->skews = calloc(r->stamp_count + 1, sizeof *r->skews);
    r->uncertain = calloc(r->stamp_count + 1, sizeof *r->uncertain);
    if (!r->stamps || !r->skews || !r->uncertain)
        return err_plain(error, LP_NOMEM);
    for (uint32_t i = 0; i < r->stamp_count; i++) {
        r->stamps[i] = wire_bytes(from);
        r->skews[i] = clamp_skew(wire_i64(from));
        if (from->failed || r->stamps[i].size != STAMP_BYTES || stamp_is_none(stamp_unpack(r->stamps[i].data)))
            return err_set(error, LP_PROTOCOL, "a stamp is malformed");
    }
    return LP_OK;
}

/* The part behind the sets, read before them: rarely there. */
static lp_err read_uncertain(changes_reader *r, wire_reader from, lp_error *error) {
    wire_raw(&from);
    uint32_t count = wire_array(&from);
    for (uint32_t i = 0; i < count && !from.failed; i++) {
        uint64_t index = wire_u64(&from);
        if (index == 0 || index > r->stamp_count)
            from.failed = true;
        else
            r->uncertain[index - 1] = true;
    }
    return from.failed ? err_set(error, LP_PROTOCOL, "a list of uncertain stamps is malformed") : LP_OK;
}

lp_err changes_open(changes_reader *r, span raw, lp_error *error) {
    *r = (changes_reader){0};
    wire_reader from = wire_open(raw);
    uint32_t parts = wire_array(&from);
    if (parts < 2)
        return err_set(error, LP_PROTOCOL, "a list of changes is malformed");
    lp_err err = read_stamps(r, &from, error);
    if (!err && parts > 2)
        err = read_uncertain(r, from, error);
    if (err)
        return err;
    r->set_count = wire_array(&from);
    if (from.failed)
        return err_set(error, LP_PROTOCOL, "a list of changes is malformed");
    r->sets = from;
    return LP_OK;
}

void changes_close(changes_reader *r) {
    free(r->stamps);
    free(r->skews);
    free(r->uncertain);
    *r = (changes_reader){0};
}

bool changes_next(changes_reader *r, change_set *set_out) {
    if (r->sets.failed || r->next == r->set_count)
        return false;
    *set_out = (change_set){0};
    wire_reader *from = &r->sets;
    uint32_t parts = wire_array(from);
    uint64_t kind = wire_u64(from);
    span id = wire_bytes(from);
    uint64_t at = wire_u64(from);
    uint64_t base = wire_u64(from);
    if (parts < 5 || kind == 0 || kind > KIND_NUMBER_MAX || !id_from_span(id, &set_out->id) || at == 0 ||
        at > r->stamp_count || base > r->stamp_count)
        from->failed = true;
    if (from->failed)
        return false;
    set_out->kind = (uint32_t)kind;
    set_out->stamp = stamp_unpack(r->stamps[at - 1].data);
    set_out->skew_ms = r->skews[at - 1];
    set_out->uncertain = r->uncertain[at - 1];
    if (base)
        set_out->base = stamp_unpack(r->stamps[base - 1].data);
    set_out->fields = wire_open(wire_raw(from));
    uint32_t count = wire_array(&set_out->fields);
    if (count == 0 || count % 2) /* 0 also when it is no array */
        from->failed = true;
    set_out->field_count = count / 2;
    for (uint32_t i = 5; i < parts; i++)
        wire_raw(from);
    r->next++;
    return !from->failed;
}

bool change_next(change_set *set, reg *change_out) {
    if (set->fields.failed || set->fields.at == set->fields.end)
        return false;
    if (!change_unpack(&set->fields, change_out))
        return false;
    change_out->stamp = set->stamp;
    change_out->base = set->base;
    change_out->uncertain = set->uncertain;
    return true;
}

/* ---- writing ---- */

void changes_init(changes_writer *w) {
    *w = (changes_writer){0};
}

void changes_fini(changes_writer *w) {
    buf_fini(&w->stamps);
    buf_fini(&w->sets);
    buf_fini(&w->fields);
    buf_fini(&w->uncertain);
}

void changes_reset(changes_writer *w) {
    buf_clear(&w->stamps);
    buf_clear(&w->sets);
    buf_clear(&w->fields);
    buf_clear(&w->uncertain);
    w->uncertain_count = w->recent_count = w->stamp_count = w->set_count = w->field_count = 0;
}

void changes_begin(changes_writer *w) {
    buf_clear(&w->fields);
    w->field_count = 0;
    w->is_uncertain = false;
}

void changes_mark_uncertain(changes_writer *w) {
    w->is_uncertain = true;
}

void change_put(changes_writer *w, uint32_t field, span key, span value) {
    change_pack(&w->fields, field, key, value);
    w->field_count++;
}

void change_put_packed(changes_writer *w, span packed, uint32_t count) {
    buf_append_span(&w->fields, packed);
    w->field_count += count;
}

/* Index of a stamp in the table, from 1; 0 for none. Only the last few are looked for: a stamp listed twice costs bytes,
 * nothing else, and sets that share a stamp come in a row. `skew_ms` NULL: any will do, because a base has none. */
static bool serves(const changes_writer *w, uint32_t slot, const int64_t *skew_ms) {
    return !skew_ms || (*skew_ms == w->recent_skew_ms[slot] && w->is_uncertain == w->recent_uncertain[slot]);
}

static uint32_t stamp_index(changes_writer *w, stamp s, const int64_t *skew_ms) {
    const uint32_t kept = sizeof w->recent / sizeof w->recent[0];
    if (stamp_is_none(s))
        return 0;
    uint8_t bytes[STAMP_BYTES];
    stamp_pack(s, bytes);
    uint32_t known = w->recent_count < kept ? w->recent_count : kept;
    for (uint32_t i = 0; i < known; i++)
        if (memcmp(w->recent[i], bytes, sizeof bytes) == 0 && serves(w, i, skew_ms))
            return w->recent_index[i];
    uint32_t slot = w->recent_count++ % kept;
    memcpy(w->recent[slot], bytes, sizeof bytes);
    w->recent_skew_ms[slot] = skew_ms ? *skew_ms : 0;
    wire_put_bytes(&w->stamps, span_of(bytes, sizeof bytes));
    wire_put_i64(&w->stamps, w->recent_skew_ms[slot]);
    w->recent_index[slot] = ++w->stamp_count;
    w->recent_uncertain[slot] = skew_ms && w->is_uncertain;
    if (w->recent_uncertain[slot]) {
        wire_put_u64(&w->uncertain, w->stamp_count);
        w->uncertain_count++;
    }
    return w->stamp_count;
}

void changes_end(changes_writer *w, uint32_t kind, const lp_id *id, stamp made, stamp base, int64_t skew_ms) {
    if (w->field_count == 0)
        return;
    uint32_t at = stamp_index(w, made, &skew_ms);
    uint32_t base_at = stamp_index(w, base, NULL);
    wire_put_array(&w->sets, 5);
    wire_put_u64(&w->sets, kind);
    wire_put_bytes(&w->sets, id_span(id));
    wire_put_u64(&w->sets, at);
    wire_put_u64(&w->sets, base_at);
    wire_put_array(&w->sets, w->field_count * 2);
    buf_append_span(&w->sets, buf_span(&w->fields));
    w->sets.failed |= w->fields.failed;
    w->set_count++;
    w->field_count = 0;
}

size_t changes_bytes(const changes_writer *w) {
    return w->stamps.size + w->sets.size + w->uncertain.size + 24;
}

lp_err changes_finish(changes_writer *w, buf *out, lp_error *error) {
    bool marked = w->uncertain_count > 0;
    wire_put_array(out, marked ? 3 : 2);
    wire_put_array(out, w->stamp_count * 2);
    buf_append_span(out, buf_span(&w->stamps));
    wire_put_array(out, w->set_count);
    buf_append_span(out, buf_span(&w->sets));
    if (marked) {
        wire_put_array(out, w->uncertain_count);
        buf_append_span(out, buf_span(&w->uncertain));
    }
    if (out->failed || w->stamps.failed || w->sets.failed || w->uncertain.failed)
        return err_plain(error, LP_NOMEM);
    return LP_OK;
}
