/* txn.c - changes gathered in memory, then stored and queued at once; see txn.h.
 *
 * Nothing is locked while a program fills a transaction in. Values are copied as msgpack into one buffer; records and
 * changes refer to them by offset. Commit takes one stamp for all, and per record lets layers_write decide what changes. */
#include "client/replica/txn.h"

#include <stdlib.h>
#include <string.h>

#include "client/replica/clock.h"
#include "client/replica/fields.h"
#include "client/replica/layers.h"
#include "client/find/query.h"
#include "client/replica/statements.h"
#include "client/find/typed.h"
#include "proto/err.h"
#include "proto/schema.h"
#include "proto/wire.h"

#define NONE UINT32_MAX

typedef struct item {
    uint32_t field;
    uint32_t next;                           /* of the same record; NONE at the end */
    size_t key, key_size, value, value_size; /* in `bytes` */
} item;

typedef struct touched {
    lp_id id;
    uint32_t kind;
    uint32_t first, last; /* items */
} touched;

struct lp_txn {
    replica *replica;
    void *owner;
    touched *records;
    uint32_t record_count, record_capacity;
    item *items;
    uint32_t item_count, item_capacity;
    uint32_t *slots; /* open addressing by id; NONE is free; twice as many as records at least */
    uint32_t slot_count;
    buf bytes;
};

lp_err txn_new(replica *r, void *owner, lp_txn **txn_out, lp_error *error) {
    lp_txn *t = calloc(1, sizeof *t);
    if (!t)
        return err_plain(error, LP_NOMEM);
    t->replica = r;
    t->owner = owner;
    *txn_out = t;
    return LP_OK;
}

void txn_free(lp_txn *t) {
    if (!t)
        return;
    free(t->records);
    free(t->items);
    free(t->slots);
    buf_fini(&t->bytes);
    free(t);
}

void *txn_owner(const lp_txn *t) {
    return t->owner;
}

/* ---- records of the transaction ---- */

static uint32_t hash(const lp_id *id) {
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (int i = 0; i < 16; i++)
        h = (h ^ id->bytes[i]) * 1099511628211u;
    return (uint32_t)(h ^ h >> 32);
}

/* The slot of `id`, or the free one it would take. */
static uint32_t slot_of(const lp_txn *t, const lp_id *id) {
    uint32_t at = hash(id) & (t->slot_count - 1);
    while (t->slots[at] != NONE && !id_equal(&t->records[t->slots[at]].id, id))
        at = (at + 1) & (t->slot_count - 1);
    return at;
}

static touched *find_record(const lp_txn *t, const lp_id *id) {
    if (t->slot_count == 0)
        return NULL;
    uint32_t index = t->slots[slot_of(t, id)];
    return index == NONE ? NULL : &t->records[index];
}

static bool grow_records(lp_txn *t) {
    if (t->record_count < t->record_capacity)
        return true;
    uint32_t capacity = t->record_capacity ? t->record_capacity * 2 : 8;
    touched *records = realloc(t->records, capacity * sizeof *records);
    if (!records)
        return false;
    t->records = records;
    uint32_t *slots = malloc(capacity * 4 * sizeof *slots);
    if (!slots)
        return false;
    free(t->slots);
    t->slots = slots;
    t->slot_count = capacity * 4;
    t->record_capacity = capacity;
    memset(slots, 0xff, t->slot_count * sizeof *slots);
    for (uint32_t i = 0; i < t->record_count; i++)
        slots[slot_of(t, &records[i].id)] = i;
    return true;
}

static touched *add_record(lp_txn *t, const lp_id *id, uint32_t kind) {
    if (!grow_records(t))
        return NULL;
    t->slots[slot_of(t, id)] = t->record_count;
    touched *rec = &t->records[t->record_count++];
    *rec = (touched){*id, kind, NONE, NONE};
    return rec;
}

/* The read ends at once: left at its row it would hold a snapshot, and once another process has written, a transaction cannot
 * begin on an old one (SQLITE_BUSY_SNAPSHOT). */
static lp_err load_kind(replica *r, const lp_id *id, uint32_t *kind_out, lp_error *error) {
    replica_row row;
    lp_err err = replica_load(r, id, &row, error);
    if (!err)
        *kind_out = row.kind;
    statement(r, STATEMENT_ROW_BY_ID, NULL);
    return err;
}

/* The record, from the transaction or the replica. */
static lp_err require_record(lp_txn *t, const lp_id *id, touched **rec_out, lp_error *error) {
    touched *rec = find_record(t, id);
    uint32_t kind = 0;
    if (!rec) {
        lp_err err = load_kind(t->replica, id, &kind, error);
        if (err == LP_NOT_FOUND) {
            char text[LP_ID_TEXT_BYTES];
            lp_id_format(id, text);
            return err_set(error, LP_NOT_FOUND, "there is no record %s here; sync, or check the id", text);
        }
        if (err)
            return err;
        rec = add_record(t, id, kind);
    }
    *rec_out = rec;
    return rec ? LP_OK : err_plain(error, LP_NOMEM);
}

lp_err txn_create(lp_txn *t, const char *kind, const lp_id *id, lp_id *id_out, lp_error *error) {
    const kind_info *info = schema_kind_named(kind);
    if (!info)
        return err_set(error, LP_INVALID, "there is no kind of record called %.40s; leads are \"lead\"", kind);
    if (info->scope == SCOPE_SETUP || info->number == KIND_CONFLICT)
        return err_set(error, LP_INVALID, "records of kind %s are made by the server only; ask the office", kind);
    lp_id made = id ? *id : id_new(t->replica->env, clock_now_ms(t->replica));
    uint32_t stored_kind = 0;
    lp_err err = load_kind(t->replica, &made, &stored_kind, error);
    if (err && err != LP_NOT_FOUND)
        return err;
    touched *rec = find_record(t, &made);
    uint32_t present = rec ? rec->kind : err ? info->number : stored_kind;
    if (present != info->number)
        return err_set(error, LP_INVALID, "the id is taken by a record of another kind; use another id");
    if (!rec && !add_record(t, &made, info->number))
        return err_plain(error, LP_NOMEM);
    if (id_out)
        *id_out = made;
    return LP_OK;
}

/* ---- changes ---- */

static lp_err add_item(lp_txn *t, touched *rec, const field_ref *ref, span value, lp_error *error) {
    if (t->item_count == t->item_capacity) {
        uint32_t capacity = t->item_capacity ? t->item_capacity * 2 : 32;
        item *items = realloc(t->items, capacity * sizeof *items);
        if (!items)
            return err_plain(error, LP_NOMEM);
        t->items = items;
        t->item_capacity = capacity;
    }
    item added = {.field = ref->number, .next = NONE, .key = t->bytes.size, .key_size = ref->key.size};
    buf_append_span(&t->bytes, ref->key);
    added.value = t->bytes.size;
    added.value_size = value.size;
    buf_append_span(&t->bytes, value);
    if (t->bytes.failed)
        return err_plain(error, LP_NOMEM);
    uint32_t at = t->item_count++;
    t->items[at] = added;
    if (rec->first == NONE)
        rec->first = at;
    else
        t->items[rec->last].next = at;
    rec->last = at;
    return LP_OK;
}

/* Scans too: a value of type LP_OTHER is bytes a program made up. */
static lp_err check_value(const touched *rec, const field_ref *ref, span value, lp_error *error) {
    if (ref->info && (ref->info->flags & FIELD_SERVER))
        return err_set(error, LP_INVALID, "%s is written by the server only; ask the office", ref->info->name);
    if (wire_scan(value, error))
        return err_set(error, LP_INVALID,
                       "the value of %s is not UTF-8 text, or holds NUL or a number that is not finite",
                       ref->info ? ref->info->name : "the field");
    return schema_check(rec->kind, ref->number, ref->key, value, error);
}

static lp_err set_raw(lp_txn *t, touched *rec, const field_ref *ref, span value, lp_error *error) {
    lp_err err = check_value(rec, ref, value, error);
    return err ? err : add_item(t, rec, ref, value, error);
}

lp_err txn_set(lp_txn *t, const lp_id *id, const char *field, const lp_value *value, lp_error *error) {
    touched *rec;
    field_ref ref;
    lp_err err = require_record(t, id, &rec, error);
    if (!err)
        err = fields_parse(rec->kind, span_text(field), &ref, error);
    if (err)
        return err;
    if (value->type == LP_TEXT && ref.info && ref.info->max_bytes && value->size > ref.info->max_bytes)
        return err_set(error, LP_TOO_LARGE, "%s is %u bytes long, at most %u are allowed; shorten it", ref.info->name,
                       value->size, ref.info->max_bytes);
    buf raw = {0};
    bool empty = value->type == LP_TEXT && value->size == 0;
    if (empty)
        wire_put_nil(&raw);
    else
        wire_put_value(&raw, value);
    err = raw.failed ? err_plain(error, LP_NOMEM) : set_raw(t, rec, &ref, buf_span(&raw), error);
    buf_fini(&raw);
    return err;
}

lp_err txn_set_text(lp_txn *t, const lp_id *id, const char *field, const char *text, lp_error *error) {
    touched *rec;
    field_ref ref;
    buf raw = {0};
    lp_err err = require_record(t, id, &rec, error);
    if (!err)
        err = fields_parse(rec->kind, span_text(field), &ref, error);
    if (!err)
        err = typed_value(ref.info, field, text, &raw, error);
    if (!err)
        err = set_raw(t, rec, &ref, buf_span(&raw), error);
    buf_fini(&raw);
    return err;
}

/* ---- commit ---- */

/* The changes of one record as registers, the last one of each register only. Borrow `bytes`. */
static uint32_t registers_of(const lp_txn *t, const touched *rec, reg *list) {
    uint32_t count = 0;
    for (uint32_t i = rec->first; i != NONE; i = t->items[i].next) {
        const item *it = &t->items[i];
        reg change = {.field = it->field,
                      .key = span_of(t->bytes.data + it->key, it->key_size),
                      .value = span_of(t->bytes.data + it->value, it->value_size)};
        uint32_t at = 0;
        while (at < count && (list[at].field != change.field || !span_equal(list[at].key, change.key)))
            at++;
        list[at] = change;
        count += at == count;
    }
    return count;
}

static lp_err write_record(lp_txn *t, const touched *rec, stamp at, reg *list, lp_error *error) {
    layers l;
    uint32_t changed;
    lp_err err = layers_open(t->replica, rec->kind, &rec->id, &l, error);
    if (!err)
        err = layers_write(t->replica, &l, list, registers_of(t, rec, list), at, &changed, error);
    layers_close(&l);
    return err;
}

/* The greatest stamp on the records of the transaction. Only where a stamp of the file is ahead of this device's time does it have to
 * be looked for. */
static lp_err find_seen(const lp_txn *t, uint64_t *seen_out, lp_error *error) {
    replica *r = t->replica;
    clock_mark mark;
    *seen_out = 0;
    lp_err err = clock_mark_now(r, &mark, error);
    if (err || r->seen < (uint64_t)mark.now_ms << 16)
        return err;
    for (uint32_t i = 0; !err && i < t->record_count; i++) {
        layers l;
        err = layers_open(r, t->records[i].kind, &t->records[i].id, &l, error);
        for (uint32_t k = 0; !err && k < l.visible.count; k++)
            if (l.visible.regs[k].stamp.time > *seen_out)
                *seen_out = l.visible.regs[k].stamp.time;
        layers_close(&l);
    }
    return err;
}

lp_err txn_commit(lp_txn *t, lp_error *error) {
    replica *r = t->replica;
    if (t->item_count == 0)
        return LP_OK;
    reg *list = malloc(t->item_count * sizeof *list);
    if (!list)
        return err_plain(error, LP_NOMEM);
    lp_err err = replica_begin(r, error);
    if (!err) {
        stamp at;
        uint64_t seen;
        err = find_seen(t, &seen, error);
        if (!err)
            err = clock_stamp(r, seen, &at, error);
        for (uint32_t i = 0; !err && i < t->record_count; i++)
            if (t->records[i].first != NONE)
                err = write_record(t, &t->records[i], at, list, error);
        if (err)
            replica_rollback(r);
        else
            err = replica_commit(r, error);
    }
    free(list);
    return err;
}

/* ---- restoring a conflict's loser ---- */

static lp_err restore_into(lp_txn *t, const lp_id *conflict, const lp_record *found, lp_error *error) {
    lp_value of = lp_record_value(found, "record");
    lp_value field = lp_record_value(found, "field");
    lp_value key = lp_record_value(found, "key");
    lp_value lost = lp_record_value(found, "lost_value");
    lp_id id;
    if (strcmp(lp_record_kind(found), "conflict") != 0 || of.type != LP_BYTES ||
        !id_from_span(span_of(of.data, of.size), &id) || field.type != LP_INT)
        return err_set(error, LP_INVALID, "the record is not a conflict; list them with leadpool conflicts");
    touched *rec;
    lp_err err = require_record(t, &id, &rec, error);
    if (err)
        return err;
    field_ref ref = {.number = (uint32_t)field.integer,
                     .key = span_of(key.data, key.size),
                     .info = schema_field(rec->kind, (uint32_t)field.integer)};
    buf raw = {0};
    wire_put_value(&raw, &lost);
    err = raw.failed ? err_plain(error, LP_NOMEM) : set_raw(t, rec, &ref, buf_span(&raw), error);
    buf_fini(&raw);
    lp_value yes = {.type = LP_BOOL, .integer = 1};
    return err ? err : txn_set(t, conflict, "resolved", &yes, error);
}

lp_err txn_restore(replica *r, const lp_id *conflict, lp_error *error) {
    lp_txn *t = NULL;
    lp_record *found = NULL;
    lp_err err = query_get(r, conflict, &found, error);
    if (!err)
        err = txn_new(r, NULL, &t, error);
    if (!err)
        err = restore_into(t, conflict, found, error);
    if (!err)
        err = txn_commit(t, error);
    txn_free(t);
    lp_record_free(found);
    return err;
}
