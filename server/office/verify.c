/* verify.c - see verify.h. */
#include "server/office/verify.h"

#include <stdlib.h>
#include <string.h>

#include "proto/change.h"
#include "proto/crypto.h"
#include "proto/err.h"
#include "server/pool/auth.h"
#include "server/office/control_verbs.h"
#include "server/store/sqlite_file.h"

#define ROWS_A_REPORT 256

typedef struct verifier {
    store_reader *reader;
    store_progress_fn progress;
    void *ctx;
    uint64_t done, total;
    buf bytes; /* of the row: asking for its history ends what was borrowed */
    record row;
    bool *stands; /* by register: the value that stands is in the history */
    bool *told;   /* by register: the history says something of it */
    uint32_t capacity;
    const reg *lost; /* of a conflict: what its record's history must hold */
    bool found, any;
    char name[LP_ID_TEXT_BYTES];
    lp_err err;
    lp_error *error;
} verifier;

static bool damaged(verifier *v, const char *what) {
    v->err = err_set(v->error, LP_CORRUPT, "record %s is damaged: %s; restore a backup", v->name, what);
    return false;
}

/* ---- a row against its history ---- */

static bool compare(verifier *v, const reg *change) {
    const reg *now = record_find(&v->row, change->field, change->key);
    if (!now)
        return damaged(v, "its history has a field that it has not");
    int order = stamp_compare(now->stamp, change->stamp);
    if (order == 0)
        order = span_compare(now->value, change->value);
    if (order < 0)
        return damaged(v, "an older value stands than its history has");
    v->told[now - v->row.regs] = true;
    v->stands[now - v->row.regs] |= order == 0;
    return true;
}

static bool take_entry(void *ctx, const store_history *entry) {
    verifier *v = ctx;
    wire_reader from = wire_open(entry->body);
    reg change;
    v->any = true;
    while (from.at < from.end && change_unpack(&from, &change)) {
        change.stamp = entry->stamp;
        if (!compare(v, &change))
            return false;
    }
    return wire_done(&from) || damaged(v, "its history cannot be read");
}

static bool make_room(verifier *v) {
    if (v->row.count > v->capacity) {
        bool *stands = realloc(v->stands, v->row.count * sizeof *stands);
        v->stands = stands ? stands : v->stands;
        bool *told = realloc(v->told, v->row.count * sizeof *told);
        v->told = told ? told : v->told;
        if (!stands || !told) {
            v->err = err_plain(v->error, LP_NOMEM);
            return false;
        }
        v->capacity = v->row.count;
    }
    for (uint32_t i = 0; i < v->row.count; i++)
        v->stands[i] = v->told[i] = false;
    return true;
}

static bool check_history(verifier *v) {
    if (!make_room(v))
        return false;
    lp_err err = v->reader->ops->read_history(v->reader, &v->row.id, take_entry, v, v->error);
    if (err || v->err) {
        v->err = v->err ? v->err : err;
        return false;
    }
    for (uint32_t i = 0; i < v->row.count; i++)
        if (v->told[i] && !v->stands[i])
            return damaged(v, "the value that stands is not in its history");
    return true;
}

/* ---- a conflict against the history it is about ---- */

static bool find_lost(void *ctx, const store_history *entry) {
    verifier *v = ctx;
    wire_reader from = wire_open(entry->body);
    reg change;
    v->any = true;
    while (stamp_compare(entry->stamp, v->lost->stamp) == 0 && from.at < from.end && change_unpack(&from, &change))
        v->found |= change.field == v->lost->field && span_equal(change.key, v->lost->key);
    return !v->found;
}

/* What was erased or purged has no history any more, and no conflict says anything of it. */
static bool check_conflict(verifier *v) {
    wire_reader about = wire_open(record_value(&v->row, CONFLICT_RECORD, (span){0}));
    wire_reader field = wire_open(record_value(&v->row, CONFLICT_FIELD, (span){0}));
    wire_reader key = wire_open(record_value(&v->row, CONFLICT_KEY, (span){0}));
    wire_reader made = wire_open(record_value(&v->row, CONFLICT_LOST_STAMP, (span){0}));
    lp_id id;
    span at = wire_bytes(&made);
    if (record_deleted(&v->row) || at.size != STAMP_BYTES || !id_from_span(wire_bytes(&about), &id))
        return true;
    reg lost = {.field = (uint32_t)wire_u64(&field),
                .key = wire_peek(&key) == WIRE_TEXT ? wire_text(&key) : (span){0},
                .stamp = stamp_unpack(at.data)};
    v->lost = &lost;
    v->found = v->any = false;
    v->err = v->reader->ops->read_history(v->reader, &id, find_lost, v, v->error);
    v->lost = NULL;
    return !v->err && (v->found || !v->any || damaged(v, "the conflict names a change that its record never had"));
}

/* ---- all rows ---- */

static bool check_row_of(void *ctx, const store_row *row) {
    verifier *v = ctx;
    if (++v->done % ROWS_A_REPORT == 0 && v->progress && !v->progress(v->ctx, v->done, v->total)) {
        v->err = err_set(v->error, LP_CLOSED, "the check was given up");
        return false;
    }
    buf_clear(&v->bytes);
    buf_append_span(&v->bytes, row->body);
    buf_append_span(&v->bytes, row->stamps);
    if (v->bytes.failed) {
        v->err = err_plain(v->error, LP_NOMEM);
        return false;
    }
    size_t body = row->body.size;
    v->row.kind = row->kind;
    v->row.id = row->id;
    lp_id_format(&row->id, v->name);
    v->err = record_unpack(&v->row, span_of(v->bytes.data, body), span_of(v->bytes.data + body, v->bytes.size - body),
                           v->error);
    if (v->err || !check_history(v))
        return false;
    return row->kind != KIND_CONFLICT || check_conflict(v);
}

static lp_err check_rows(verifier *v) {
    static const scope_class feeds[] = {SCOPE_SETUP, SCOPE_POOL};
    lp_err err = LP_OK;
    for (size_t i = 0; !err && i < sizeof feeds / sizeof *feeds; i++) {
        err = v->reader->ops->feed(v->reader, feeds[i], 0, check_row_of, v, v->error);
        err = err ? err : v->err;
    }
    return err;
}

/* ---- documents ---- */

static uint32_t device_of(span key) {
    uint32_t number = 0;
    for (size_t i = 0; i < 4 && i < key.size; i++)
        number = number << 8 | key.data[i];
    return number;
}

static lp_err check_device(verifier *v, span key, span value) {
    device d;
    (void)value;
    if (key.size != 4)
        return err_set(v->error, LP_CORRUPT, "a device has no number; restore a backup");
    return auth_device(v->reader, device_of(key), &d, v->error);
}

static lp_err check_batch(verifier *v, span key, span value) {
    device d;
    uint32_t number = device_of(key);
    wire_reader r = wire_open(value);
    wire_array(&r);
    bool reads = wire_bytes(&r).size == CRYPTO_HASH_BYTES;
    wire_raw(&r);
    if (!reads || r.failed || key.size != 12)
        return err_set(v->error, LP_CORRUPT, "the memory of a batch of device %u is damaged; restore a backup", number);
    lp_err err = auth_device(v->reader, number, &d, v->error);
    if (err == LP_NOT_FOUND)
        return err_set(v->error, LP_CORRUPT, "there is a batch of device %u, but no such device; restore a backup",
                       number);
    return err;
}

static lp_err each_document(verifier *v, store_space space, lp_err (*check)(verifier *v, span key, span value)) {
    buf from = {0};
    span key, value;
    lp_err err;
    while (!(err = v->reader->ops->read_next(v->reader, space, buf_span(&from), &key, &value, v->error))) {
        buf_clear(&from);
        buf_append_span(&from, key);
        err = check(v, buf_span(&from), value);
        buf_append_byte(&from, 0); /* the next key is greater */
        if (err || from.failed)
            break;
    }
    if (!err && from.failed)
        err = err_plain(v->error, LP_NOMEM);
    buf_fini(&from);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* ---- the whole ---- */

lp_err verify_contents(store_reader *reader, store_progress_fn progress, void *ctx, lp_error *error) {
    verifier v = {.reader = reader, .progress = progress, .ctx = ctx, .error = error};
    store_counts counts;
    record_init(&v.row, 0, &(lp_id){{0}});
    lp_err err = reader->ops->counts(reader, &counts, error);
    v.total = counts.records;
    if (!err)
        err = check_rows(&v);
    if (!err)
        err = each_document(&v, STORE_DEVICE, check_device);
    if (!err)
        err = each_document(&v, STORE_BATCH, check_batch);
    record_fini(&v.row);
    free(v.stands);
    free(v.told);
    buf_fini(&v.bytes);
    return err;
}

lp_err verify_all(const pool *p, store_reader *reader, store_progress_fn progress, void *ctx, lp_error *error) {
    lp_err err = reader->ops->verify(reader, progress, ctx, error);
    if (!err)
        err = control_verify_digest(p, reader, error);
    return err ? err : verify_contents(reader, progress, ctx, error);
}

/* Of a pool without a server only the id is needed: it keys the digest. */
static lp_err take_id(store_reader *reader, pool *p, lp_error *error) {
    span document;
    lp_err err = reader->ops->read_document(reader, STORE_META, SPAN_LITERAL("pool"), &document, error);
    wire_reader from = wire_open(err ? (span){0} : document);
    wire_array(&from);
    if (err == LP_NOT_FOUND || (!err && !id_from_span(wire_bytes(&from), &p->id)))
        return err_set(error, LP_CORRUPT, "the file does not say which pool it is of; take another backup");
    return err;
}

lp_err verify_file(const char *path, store_progress_fn progress, void *ctx, store_counts *counts_out, lp_error *error) {
    pool p = {.store = NULL};
    store_reader *reader;
    lp_err err = sqlite_file_read(path, &reader, error);
    if (err)
        return err;
    err = reader->ops->snapshot(reader, error);
    if (!err)
        err = take_id(reader, &p, error);
    if (!err)
        err = verify_all(&p, reader, progress, ctx, error);
    if (!err)
        err = reader->ops->counts(reader, counts_out, error);
    reader->ops->reader_close(reader);
    return err;
}

static void put_number(buf *out, span name, uint64_t value) {
    wire_put_text(out, name);
    wire_put_u64(out, value);
}

void verify_report(const store_counts *counts, buf *out) {
    wire_put_map(out, 4);
    wire_put_text(out, SPAN_LITERAL("verified"));
    wire_put_bool(out, true);
    put_number(out, SPAN_LITERAL("records"), counts->records);
    put_number(out, SPAN_LITERAL("history"), counts->history);
    put_number(out, SPAN_LITERAL("seq"), counts->last_seq);
}
