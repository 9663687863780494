/* feed.c - rows after a cursor into pages; see feed.h. */
#include "server/feed.h"

#include <stdlib.h>
#include <string.h>

#include "proto/bug.h"
#include "proto/change.h"
#include "proto/err.h"
#include "proto/page.h"
#include "server/access.h"
#include "server/purge.h"
#include "server/epochs.h"

#define SET_BYTES 64 /* of a set beside its registers: heads, id, indexes, its stamp */
#define REG_BYTES 8  /* of a register beside key and value */
#define ID_BYTES 18  /* of an id in a list */
#define BEFORE_BYTES_MAX (64 * 1024)

/* A list of ids in the making. */
typedef struct id_list {
    buf ids;
    uint32_t count;
} id_list;

/* A page in the making. */
typedef struct builder {
    uint32_t reader; /* the device that reads */
    bool returned;   /* it has sent something before this session */
    bool shared;     /* others have written under its number */
    const epochs *epochs;
    uint64_t after;   /* its cursor */
    uint64_t since;   /* where the pull began: fields at or below it the device has */
    uint64_t reached; /* seq of the last row looked at */
    size_t budget_bytes;
    bool again; /* a re-read, which begins here if `start` */
    bool start;
    bool first; /* the pages before it in the answer are small: there is room for the largest of records */
    bool full;
    record rec;
    reg *sorted;
    uint32_t sorted_capacity;
    changes_writer writer;
    id_list erased, purged;
    lp_err err;
    lp_error error;
} builder;

static int by_stamp(const void *a, const void *b) {
    const reg *x = a, *y = b;
    int order = stamp_compare(x->stamp, y->stamp);
    return order ? order : x->field != y->field ? (x->field < y->field ? -1 : 1) : span_compare(x->key, y->key);
}

/* What the device wrote itself it has, except in records the server derives from changes under their own stamps. A re-read is whole. Who comes
 * again and reads from the beginning has lost it. */
static bool has_already(const builder *b, const reg *r) {
    if (r->stamp.author != b->reader || b->again || (b->returned && b->since == 0) || b->shared)
        return false;
    const field_info *info = schema_field(b->rec.kind, r->field);
    return !info || !(info->flags & FIELD_SERVER) || BUG(OWN_RECORDS_LEFT_OUT);
}

/* Copies the registers the device has to hear of, in order of stamp: one set per stamp. */
static uint32_t pick(builder *b) {
    const record *rec = &b->rec;
    if (rec->count > b->sorted_capacity) {
        reg *sorted = realloc(b->sorted, rec->count * sizeof *sorted);
        if (!sorted) {
            b->err = err_plain(&b->error, LP_NOMEM);
            return 0;
        }
        b->sorted = sorted;
        b->sorted_capacity = rec->count;
    }
    uint32_t count = 0;
    bool one_stamp = true;
    for (uint32_t i = 0; i < rec->count; i++) {
        const reg *r = &rec->regs[i];
        if (r->seq <= b->since || has_already(b, r))
            continue;
        one_stamp &= count == 0 || stamp_compare(r->stamp, b->sorted[0].stamp) == 0;
        b->sorted[count++] = *r;
    }
    if (!one_stamp)
        qsort(b->sorted, count, sizeof *b->sorted, by_stamp);
    return count;
}

/* At least what the picked registers take on the wire: per set its head, id and stamp, per register its number and the head of its key. */
static size_t most_bytes(const builder *b, uint32_t count) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool opens = i == 0 || stamp_compare(b->sorted[i].stamp, b->sorted[i - 1].stamp) != 0;
        bytes += b->sorted[i].value.size + b->sorted[i].key.size + REG_BYTES + (opens ? SET_BYTES : 0);
    }
    return bytes;
}

static void put_sets(builder *b, const record *rec, uint32_t count) {
    for (uint32_t i = 0; i < count;) {
        stamp at = b->sorted[i].stamp;
        changes_begin(&b->writer);
        if (b->sorted[i].uncertain)
            changes_mark_uncertain(&b->writer);
        for (; i < count && stamp_compare(b->sorted[i].stamp, at) == 0; i++)
            change_put(&b->writer, b->sorted[i].field, b->sorted[i].key, b->sorted[i].value);
        changes_end(&b->writer, rec->kind, &rec->id, at, STAMP_NONE, 0);
    }
}

static size_t page_bytes(const builder *b) {
    return changes_bytes(&b->writer) + b->erased.ids.size + b->purged.ids.size;
}

static uint32_t page_items(const builder *b) {
    return b->writer.set_count + b->erased.count + b->purged.count;
}

/* Where a record was. Whoever reads from the beginning never had what was purged; what was erased it may still hold. */
static bool add_mark(builder *b, const store_row *row) {
    id_list *list = row->kind == KIND_ERASED ? &b->erased : &b->purged;
    bool tell = row->kind == KIND_ERASED || b->since > 0;
    if (tell && page_bytes(b) + ID_BYTES > b->budget_bytes && page_items(b)) {
        b->full = true;
        return false;
    }
    if (tell) {
        wire_put_bytes(&list->ids, id_span(&row->id));
        list->count++;
    }
    b->reached = row->seq;
    return true;
}

static bool add_row(void *ctx, const store_row *row) {
    builder *b = ctx;
    if (row->kind == KIND_ERASED || row->kind == KIND_PURGED)
        return add_mark(b, row);
    b->rec.kind = row->kind;
    b->rec.id = row->id;
    b->err = record_unpack(&b->rec, row->body, row->stamps, &b->error);
    uint32_t count = b->err ? 0 : pick(b);
    if (b->err)
        return false;
    /* A record that is larger than a page has one for itself. */
    bool alone = b->first && page_items(b) == 0;
    if (count && !alone && page_bytes(b) + most_bytes(b, count) > b->budget_bytes) {
        b->full = true;
        return false;
    }
    put_sets(b, &b->rec, count);
    b->reached = row->seq;
    return true;
}

static void put_list(const id_list *list, buf *out) {
    if (list->count == 0)
        return;
    wire_put_array(out, list->count);
    buf_append_span(out, buf_span(&list->ids));
    out->failed |= list->ids.failed;
}

static lp_err put_page(builder *b, store_reader *reader, scope_class scope, const cursor *from, uint64_t last_seq,
                       buf *out, lp_error *error) {
    buf changes = {0}, erased = {0}, purged = {0};
    uint8_t tag_bytes[CURSOR_TAG_BYTES];
    span tag;
    uint64_t seq = b->full && !BUG(PAGE_CURSOR_AHEAD) ? b->reached + BUG(PAGE_SKIPS_A_ROW) : last_seq;
    uint8_t digest_bytes[DIGEST_BYTES];
    digest sum;
    lp_err err = changes_finish(&b->writer, &changes, error);
    put_list(&b->erased, &erased);
    put_list(&b->purged, &purged);
    if (!err && (erased.failed || purged.failed))
        err = err_plain(error, LP_NOMEM);
    if (!err)
        err = pool_scope_digest(reader, scope, &sum, error);
    if (!err)
        err = epochs_tag_at(reader, seq, tag_bytes, &tag, error);
    if (!err) {
        digest_pack(sum, digest_bytes);
        page made = {.cursor = {.scope = from->scope,
                                .epoch = span_of(b->epochs->epoch, EPOCH_BYTES),
                                .seq = seq,
                                .tag = tag,
                                .behind = b->full ? b->reached - b->since : 0},
                     .more = b->full,
                     .start = b->start,
                     .again = b->again,
                     .changes = buf_span(&changes),
                     .erased = buf_span(&erased),
                     .purged = buf_span(&purged),
                     .digest = span_of(digest_bytes, b->full ? 0 : DIGEST_BYTES)};
        page_put(out, &made);
        if (out->failed)
            err = err_plain(error, LP_NOMEM);
    }
    buf_fini(&changes);
    buf_fini(&erased);
    buf_fini(&purged);
    return err;
}

static lp_err build(store_reader *reader, const epochs *e, const device *d, const cursor *from, size_t budget_bytes,
                    buf *out, bool *news_out, lp_error *error) {
    scope_class scope;
    store_counts counts;
    cursor_history history;
    uint64_t purged_seq = 0;
    if (!access_scope(d, from->scope, &scope))
        return err_set(error, LP_DENIED, "the scope %.*s is not open to this device", (int)from->scope.size,
                       (const char *)from->scope.data);
    lp_err err = reader->ops->counts(reader, &counts, error);
    if (!err)
        err = epochs_judge_cursor(reader, e, from, counts.last_seq, &history, error);
    if (!err)
        err = purge_seq(reader, &purged_seq, error);
    if (!err && history == CURSOR_LOST)
        err = err_set(error, LP_EXPIRED, "the pool is older than what device %u has read of it, up to %llu", d->number,
                      (unsigned long long)from->seq);
    if (err)
        return err;
    /* Another epoch is another history: it is read from its beginning. */
    bool same_epoch = history == CURSOR_FITS;
    /* Something that was purged since may still be there as it was: the same. */
    uint64_t began = from->seq - from->behind;
    same_epoch &= !(scope == SCOPE_POOL && began > 0 && began < purged_seq);
    bool start = from->epoch.size ? !same_epoch || (from->again && from->seq == 0) : from->again;
    builder b = {.reader = d->number,
                 .returned = d->returned,
                 .shared = d->shared,
                 .epochs = e,
                 .after = same_epoch ? from->seq : 0,
                 .since = same_epoch ? from->seq - (BUG(BEHIND_IGNORED) ? 0 : from->behind) : 0,
                 .start = start,
                 .again = start || (same_epoch && from->again),
                 .budget_bytes = budget_bytes,
                 .first = out->size <= BEFORE_BYTES_MAX};
    b.reached = b.after;
    changes_init(&b.writer);
    if (budget_bytes == 0)
        b.full = b.after < counts.last_seq;
    else if (b.after < counts.last_seq)
        err = reader->ops->feed(reader, scope, b.after, add_row, &b, error);
    if (!err && b.err)
        err = err_set(error, b.err, "%s", b.error.message);
    *news_out |= page_items(&b) > 0 || b.full || !same_epoch;
    if (!err)
        err = put_page(&b, reader, scope, from, counts.last_seq, out, error);
    changes_fini(&b.writer);
    buf_fini(&b.erased.ids);
    buf_fini(&b.purged.ids);
    record_fini(&b.rec);
    free(b.sorted);
    return err;
}

/* True if a cursor before number `index` has the same scope: every scope costs a walk, so none is walked twice. */
static bool names_twice(span cursors, uint32_t index, span scope) {
    wire_reader r = wire_open(cursors);
    wire_array(&r);
    cursor before;
    for (uint32_t i = 0; i < index && cursor_take(&r, &before); i++)
        if (span_equal(before.scope, scope))
            return true;
    return false;
}

lp_err feed_pages(store_reader *reader, const device *d, span cursors, uint64_t page_bytes, buf *pages_out,
                  bool *news_out, lp_error *error) {
    epochs e;
    size_t budget = page_bytes == 0                    ? FEED_PAGE_BYTES
                    : page_bytes > FEED_PAGE_BYTES_MAX ? FEED_PAGE_BYTES_MAX
                                                       : (size_t)page_bytes;
    wire_reader r = wire_open(cursors);
    uint32_t count = wire_array(&r);
    if (r.failed || count > CURSORS_MAX)
        return err_set(error, LP_PROTOCOL, "the list of cursors is malformed");
    *news_out = false;
    lp_err err = epochs_read(reader, &e, error);
    if (err)
        return err;
    wire_put_array(pages_out, count);
    size_t start = pages_out->size;
    for (uint32_t i = 0; i < count; i++) {
        cursor from;
        if (!cursor_take(&r, &from) || names_twice(cursors, i, from.scope))
            return err_set(error, LP_PROTOCOL, "the list of cursors is malformed");
        size_t used = pages_out->size - start;
        err = build(reader, &e, d, &from, used < budget ? budget - used : 0, pages_out, news_out, error);
        if (err)
            return err;
    }
    return LP_OK;
}
