/* outbox.c - the queue of local changes; see outbox.h for its invariants. */
#include "client/replica/outbox_parts.h"

#include <assert.h>
#include <stdlib.h>

#include "client/replica/clock.h"
#include "client/replica/statements.h"
#include "proto/bug.h"
#include "proto/err.h"

/* ---- adding ---- */

static lp_err add_entry(replica *r, int64_t rid, const outbox_made *made, stamp base, uint32_t count, span body,
                        lp_error *error) {
    const clock_mark *mark = &r->mark;
    assert(mark->boot); /* the stamp was taken in this transaction, and the mark with it */
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_ADD, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    bind_stamp(s, 2, made->at);
    bind_stamp(s, 3, base);
    sqlite3_bind_int64(s, 4, (int64_t)made->seen);
    sqlite3_bind_int64(s, 5, mark->wall_ms);
    sqlite3_bind_int64(s, 6, mark->boot);
    sqlite3_bind_int64(s, 7, mark->boot_ms);
    sqlite3_bind_int64(s, 8, count);
    bind_span(s, 9, body);
    return statement_run(r, s, "save", error);
}

static int by_base(const void *a, const void *b) {
    const reg *x = a, *y = b;
    int order = stamp_compare(x->base, y->base);
    if (order == 0)
        order = (int)x->field - (int)y->field;
    return order ? order : span_compare(x->key, y->key);
}

lp_err outbox_add(replica *r, int64_t rid, const outbox_made *made, reg *changes, uint32_t count, lp_error *error) {
    buf body = {0};
    lp_err err = LP_OK;
    qsort(changes, count, sizeof *changes, by_base);
    for (uint32_t i = 0; !err && i < count;) {
        uint32_t first = i;
        buf_clear(&body);
        for (; i < count && stamp_compare(changes[i].base, changes[first].base) == 0; i++)
            change_pack(&body, changes[i].field, changes[i].key, changes[i].value);
        err = body.failed ? err_plain(error, LP_NOMEM)
                          : add_entry(r, rid, made, changes[first].base, i - first, buf_span(&body), error);
    }
    buf_fini(&body);
    return err;
}

/* ---- entries ---- */

bool outbox_next_change(wire_reader *body, reg *change_out) {
    return body->at < body->end && change_unpack(body, change_out);
}

lp_err outbox_check_body(const wire_reader *body, lp_error *error) {
    return body->failed ? err_set(error, LP_CORRUPT, "the outbox is damaged; run leadpool doctor") : LP_OK;
}

lp_err outbox_shrink(replica *r, int64_t oseq, uint32_t count, span body, lp_error *error) {
    sqlite3_stmt *s = statement(r, count ? STATEMENT_OUTBOX_SHRINK : STATEMENT_OUTBOX_DROP, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, oseq);
    if (count) {
        sqlite3_bind_int64(s, 2, count);
        bind_span(s, 3, body);
    }
    return statement_run(r, s, "save", error);
}

lp_err outbox_keep_entry(outbox_entries *e, const outbox_entry *what, span body, lp_error *error) {
    if (e->count == e->capacity) {
        uint32_t capacity = e->capacity ? e->capacity * 2 : 16;
        outbox_entry *list = realloc(e->list, capacity * sizeof *list);
        if (!list)
            return err_plain(error, LP_NOMEM);
        e->list = list;
        e->capacity = capacity;
    }
    e->list[e->count] = *what;
    e->list[e->count].offset = e->bytes->size;
    e->list[e->count++].size = body.size;
    buf_append_span(e->bytes, body);
    return e->bytes->failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

wire_reader outbox_open_entry(const outbox_entries *e, uint32_t index) {
    return wire_open(span_of(e->bytes->data + e->list[index].offset, e->list[index].size));
}

/* ---- coalescing ---- */

static reg *find(reg *changes, uint32_t count, const reg *like) {
    for (uint32_t i = 0; i < count; i++)
        if (changes[i].field == like->field && span_equal(changes[i].key, like->key))
            return &changes[i];
    return NULL;
}

static lp_err coalesce_entry(replica *r, sqlite3_stmt *entry, reg *changes, uint32_t count, lp_error *error) {
    int64_t oseq = sqlite3_column_int64(entry, 0);
    stamp base = column_stamp(entry, 2);
    wire_reader from = wire_open(column_span(entry, 4));
    buf rest = {0};
    uint32_t rest_count = 0, taken = 0;
    reg old;
    while (outbox_next_change(&from, &old)) {
        reg *newer = find(changes, count, &old);
        if (newer) {
            newer->base = BUG(BASE_LOST_ON_COALESCING) ? newer->base : base;
            taken++;
        } else {
            change_pack(&rest, old.field, old.key, old.value);
            rest_count++;
        }
    }
    lp_err err = rest.failed ? err_plain(error, LP_NOMEM) : outbox_check_body(&from, error);
    if (!err && taken)
        err = outbox_shrink(r, oseq, rest_count, buf_span(&rest), error);
    buf_fini(&rest);
    return err;
}

/* From the newest entry to the oldest, whose base counts: of a register there may be several, if their batches were given up. */
lp_err outbox_coalesce(replica *r, int64_t rid, reg *changes, uint32_t count, lp_error *error) {
    int64_t frozen;
    lp_err err = statement_int(r, STATEMENT_BATCH_LAST, &frozen, error);
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_OUTBOX_UNFROZEN_OF, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    sqlite3_bind_int64(s, 2, BUG(FROZEN_BATCH_CHANGES) ? 0 : frozen);
    while (!(err = statement_row(r, s, "read the outbox", error)))
        if ((err = coalesce_entry(r, s, changes, count, error)))
            break;
    sqlite3_reset(s);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* ---- reading ---- */

lp_err outbox_each(replica *r, int64_t rid, buf *bytes_out,
                   lp_err (*each)(void *ctx, const reg *change, lp_error *error), void *ctx, lp_error *error) {
    outbox_entries e = {.bytes = bytes_out};
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_OF, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    lp_err err;
    while (!(err = statement_row(r, s, "read the outbox", error))) {
        outbox_entry found = {.at = column_stamp(s, 1), .base = column_stamp(s, 2)};
        if ((err = outbox_keep_entry(&e, &found, column_span(s, 4), error)))
            break;
    }
    sqlite3_reset(s);
    if (err == LP_NOT_FOUND)
        err = LP_OK;
    for (uint32_t i = 0; !err && i < e.count; i++) {
        wire_reader from = outbox_open_entry(&e, i);
        reg change;
        while (!err && outbox_next_change(&from, &change)) {
            change.stamp = e.list[i].at;
            change.base = e.list[i].base;
            err = each(ctx, &change, error);
        }
        if (!err)
            err = outbox_check_body(&from, error);
    }
    free(e.list);
    return err;
}
