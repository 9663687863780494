/* refused.c - see refused.h. */
#include "client/replica/refused.h"

#include <stdlib.h>

#include "client/replica/clock.h"
#include "client/replica/layers.h"
#include "client/replica/statements.h"
#include "proto/change.h"
#include "proto/err.h"
#include "proto/schema.h"

/* Refused registers of a record, newest first, in owned bytes. */
typedef struct refusals {
    reg *list;
    uint32_t count;
    buf bytes;
    size_t *ends; /* of key and value in `bytes`, two for each */
} refusals;

static void fini(refusals *f) {
    free(f->list);
    free(f->ends);
    buf_fini(&f->bytes);
}

static lp_err add(refusals *f, sqlite3_stmt *s, lp_error *error) {
    reg *list = realloc(f->list, (f->count + 1) * sizeof *list);
    if (list)
        f->list = list;
    size_t *ends = realloc(f->ends, (f->count + 1) * 2 * sizeof *ends);
    if (ends)
        f->ends = ends;
    if (!list || !ends)
        return err_plain(error, LP_NOMEM);
    list[f->count] = (reg){.field = (uint32_t)sqlite3_column_int64(s, 0), .stamp = column_stamp(s, 3)};
    buf_append_span(&f->bytes, column_span(s, 1));
    ends[f->count * 2] = f->bytes.size;
    buf_append_span(&f->bytes, column_span(s, 2));
    ends[f->count * 2 + 1] = f->bytes.size;
    f->count++;
    return f->bytes.failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

/* The bytes do not move any more. */
static void settle(refusals *f) {
    size_t at = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        size_t key_end = f->ends[i * 2], value_end = f->ends[i * 2 + 1];
        f->list[i].key = span_of(f->bytes.data + at, key_end - at);
        f->list[i].value = span_of(f->bytes.data + key_end, value_end - key_end);
        at = value_end;
    }
}

static lp_err load(replica *r, int64_t rid, refusals *f, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_REFUSED_OF, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    lp_err err;
    while (!(err = statement_row(r, s, "read the refused changes", error)))
        if ((err = add(f, s, error)))
            break;
    sqlite3_reset(s);
    settle(f);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

static lp_err to_past(replica *r, int64_t rid, const reg *refused, lp_error *error) {
    lp_err err = layers_keep_past(r, rid, refused, error);
    sqlite3_stmt *s = NULL;
    if (err || !(s = statement(r, STATEMENT_REFUSED_DROP, error)))
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    sqlite3_bind_int64(s, 2, refused->field);
    bind_text(s, 3, refused->key);
    return statement_run(r, s, "save", error);
}

static bool names(const reg *changes, uint32_t count, const reg *refused) {
    for (uint32_t i = 0; i < count; i++)
        if (changes[i].field == refused->field && span_equal(changes[i].key, refused->key))
            return true;
    return false;
}

lp_err refused_replaced(replica *r, int64_t rid, const reg *changes, uint32_t count, lp_error *error) {
    refusals f = {0};
    lp_err err = load(r, rid, &f, error);
    for (uint32_t i = 0; !err && i < f.count; i++)
        if (names(changes, count, &f.list[i]))
            err = to_past(r, rid, &f.list[i], error);
    fini(&f);
    return err;
}

/* Keeps the newest of each register only: the older ones are past by the time the newest is written. */
static uint32_t thin(refusals *f) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->count; i++)
        if (!names(f->list, kept, &f->list[i]))
            f->list[kept++] = f->list[i];
    return kept;
}

static lp_err write_again(replica *r, layers *l, refusals *f, lp_error *error) {
    uint32_t changed;
    uint64_t seen = 0;
    stamp at;
    for (uint32_t i = 0; i < l->visible.count; i++)
        seen = l->visible.regs[i].stamp.time > seen ? l->visible.regs[i].stamp.time : seen;
    lp_err err = clock_stamp(r, seen, &at, error);
    return err ? err : layers_write(r, l, f->list, thin(f), at, &changed, error);
}

static lp_err deal_with(replica *r, const lp_id *id, bool again, lp_error *error) {
    layers l;
    refusals f = {0};
    lp_err err = layers_open(r, KIND_LEAD, id, &l, error);
    if (!err && l.rid)
        err = load(r, l.rid, &f, error);
    if (!err && f.count == 0)
        err = err_set(error, LP_NOT_FOUND, "nothing of this record was refused; see leadpool refused");
    uint32_t count = f.count;
    if (!err && again)
        err = write_again(r, &l, &f, error);
    /* Those with the value that stands now made no change: they are past as well. */
    refusals left = {0};
    if (!err && count)
        err = load(r, l.rid, &left, error);
    for (uint32_t i = 0; !err && i < left.count; i++)
        err = to_past(r, l.rid, &left.list[i], error);
    fini(&left);
    fini(&f);
    layers_close(&l);
    return err;
}

static lp_err in_transaction(replica *r, const lp_id *id, bool again, lp_error *error) {
    lp_err err = replica_begin(r, error);
    if (err)
        return err;
    err = deal_with(r, id, again, error);
    if (!err)
        return replica_commit(r, error);
    replica_rollback(r);
    return err;
}

lp_err refused_resend(replica *r, const lp_id *id, lp_error *error) {
    return in_transaction(r, id, true, error);
}

lp_err refused_drop(replica *r, const lp_id *id, lp_error *error) {
    return in_transaction(r, id, false, error);
}
