/* feed.c - rows after a cursor into pages; see feed.h. */
#include "server/session/feed.h"

#include <stdlib.h>
#include <string.h>

#include "proto/bug.h"
#include "proto/change.h"
#include "proto/err.h"
#include "proto/page.h"
#include "server/office/purge.h"
#include "server/pool/scopes.h"
#include "server/pool/epochs.h"

#define SET_BYTES 64 /* of a set beside its registers: heads, id, indexes, its stamp */
#define REG_BYTES 8  /* of a register beside key and value */
#define ID_BYTES 18  /* of an id in a list */
#define BEFORE_BYTES_MAX (64 * 1024)

typedef struct id_list {
    buf ids;
    uint32_t count;
} id_list;

/* A page in the making. */
typedef struct builder {
    uint32_t reader; /* the device that reads */
    const device *device;
    uint64_t forgot; /* what the pool had forgotten when the pull began */
    bool returned;   /* it has sent something before this session */
    bool shared;     /* others have written under its number */
    const epochs *epochs;
    uint64_t after;   /* its cursor */
    uint64_t since;   /* where the pull began: fields at or below it the device has */
    uint64_t reached; /* seq of the last row looked at */
    size_t budget_bytes;
    bool again; /* a re-read, which begins here if `start` */
    bool start;
    bool all;   /* the present record comes whole */
    bool first; /* the pages before it in the answer are small: there is room for the largest of records */
    bool full;
    record rec;
    reg *sorted;
    uint32_t sorted_capacity;
    changes_writer writer;
    id_list erased, purged, whole, left, joined;
    store_reader *members; /* a narrow scope: who reads its members, and */
    uint32_t number;       /* which it is */
    lp_err err;
    lp_error error;
} builder;

static int by_stamp(const void *a, const void *b) {
    const reg *x = a, *y = b;
    int order = stamp_compare(x->stamp, y->stamp);
    return order ? order : x->field != y->field ? (x->field < y->field ? -1 : 1) : span_compare(x->key, y->key);
}

/* What the device wrote itself it has, except what has got another stamp here (moved.h), and in records the server derives from changes under
 * their own stamps. A re-read is whole. Who comes again and reads from the beginning has lost it. */
static bool has_already(const builder *b, const reg *r) {
    if (r->stamp.author != b->reader || (r->stamp.time & STAMP_MOVED) || b->all || (b->returned && b->since == 0) ||
        b->shared)
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
        if ((r->seq <= b->since && !b->all) || has_already(b, r))
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

/* `sorted`: registers of the record by stamp. One set per stamp. */
static void put_sets(changes_writer *w, const record *rec, const reg *sorted, uint32_t count) {
    for (uint32_t i = 0; i < count;) {
        stamp at = sorted[i].stamp;
        changes_begin(w);
        if (sorted[i].uncertain)
            changes_mark_uncertain(w);
        for (; i < count && stamp_compare(sorted[i].stamp, at) == 0; i++)
            change_put(w, sorted[i].field, sorted[i].key, sorted[i].value);
        changes_end(w, rec->kind, &rec->id, at, STAMP_NONE, 0);
    }
}

lp_err feed_put_record(changes_writer *w, const record *rec, lp_error *error) {
    reg *sorted = rec->count ? malloc(rec->count * sizeof *sorted) : NULL;
    if (rec->count && !sorted)
        return err_plain(error, LP_NOMEM);
    if (rec->count) {
        memcpy(sorted, rec->regs, rec->count * sizeof *sorted);
        qsort(sorted, rec->count, sizeof *sorted, by_stamp);
        put_sets(w, rec, sorted, rec->count);
    }
    free(sorted);
    return LP_OK;
}

static size_t page_bytes_of(const builder *b) {
    return changes_bytes(&b->writer) + b->erased.ids.size + b->purged.ids.size + b->whole.ids.size + b->left.ids.size +
           b->joined.ids.size;
}

static bool holds_nothing(const builder *b) {
    return b->writer.set_count + b->erased.count + b->purged.count + b->left.count + b->joined.count == 0;
}

static void name(id_list *l, const lp_id *id) {
    wire_put_bytes(&l->ids, id_span(id));
    l->count++;
}

/* Puts an id into a list of the page, if there is room. */
static bool add_id(builder *b, id_list *l, const lp_id *id, uint64_t seq) {
    if (page_bytes_of(b) + ID_BYTES > b->budget_bytes && !holds_nothing(b)) {
        b->full = true;
        return false;
    }
    name(l, id);
    b->reached = seq;
    return true;
}

/* Puts the picked registers of `rec` on the page, if there is room. */
static bool add_picked(builder *b, uint32_t count, uint64_t seq) {
    /* A record that is larger than a page has one for itself. */
    bool alone = b->first && holds_nothing(b);
    if (count && !alone && page_bytes_of(b) + most_bytes(b, count) + ID_BYTES > b->budget_bytes) {
        b->full = true;
        return false;
    }
    put_sets(&b->writer, &b->rec, b->sorted, count);
    b->reached = seq;
    return true;
}

/* Where a record was. Whoever reads from the beginning and never wrote has nothing of what was purged; what was erased it may still hold. */
static bool add_mark(builder *b, const store_row *row) {
    if (row->kind == KIND_ERASED)
        return add_id(b, &b->erased, &row->id, row->seq);
    if ((b->since > 0 || b->device->batch > 0) && !BUG(PURGE_NOT_TOLD))
        return add_id(b, &b->purged, &row->id, row->seq);
    b->reached = row->seq;
    return true;
}

static bool take_row(builder *b, const store_row *row) {
    b->rec.kind = row->kind;
    b->rec.id = row->id;
    b->err = record_unpack(&b->rec, row->body, row->stamps, &b->error);
    return !b->err;
}

static bool add_row(void *ctx, const store_row *row) {
    builder *b = ctx;
    if (row->kind == KIND_ERASED || row->kind == KIND_PURGED)
        return add_mark(b, row);
    if (!take_row(b, row))
        return false;
    b->all = b->again;
    uint32_t count = pick(b);
    return !b->err && add_picked(b, count, row->seq);
}

/* True if the device made all of the record, and that since it joined: so it never had to let go of any of it. */
static bool made_by_reader(const builder *b, uint64_t seq_in) {
    for (uint32_t i = 0; i < b->rec.count; i++)
        if (b->rec.regs[i].seq < seq_in || !has_already(b, &b->rec.regs[i]))
            return false;
    return true;
}

static bool add_joined(builder *b, uint64_t seq_in, uint64_t seq_last) {
    if (made_by_reader(b, seq_in))
        return add_id(b, &b->joined, &b->rec.id, seq_last);
    b->all = true;
    uint32_t count = pick(b);
    if (b->err || !add_picked(b, count, seq_last))
        return false;
    name(&b->whole, &b->rec.id);
    return true;
}

/* A record joined the scope, changed, or left. */
static bool add_member(void *ctx, const lp_id *id, uint64_t seq_last) {
    builder *b = ctx;
    scope_member m;
    store_row row;
    b->err = scopes_read_member(b->members, b->number, id, &m, &b->error);
    if (b->err)
        return false;
    if (m.seq_out && BUG(LEFT_NOT_TOLD))
        return true;
    /* Who reads from the beginning lets go of what does not come. */
    if (m.seq_out && !BUG(LEFT_STILL_SENT))
        return b->start || add_id(b, &b->left, id, seq_last);
    b->err = b->members->ops->read(b->members, id, &row, &b->error);
    if (b->err == LP_NOT_FOUND) {
        b->err = LP_OK;
        return true;
    }
    if (b->err || !take_row(b, &row))
        return false;
    b->all = b->again;
    if (!b->again && m.seq_in > b->since && !BUG(REGAINED_NOT_WHOLE))
        return add_joined(b, m.seq_in, seq_last);
    uint32_t count = pick(b);
    return !b->err && add_picked(b, count, seq_last);
}

static span close_list(id_list *l, buf *out) {
    if (l->count == 0)
        return (span){0};
    wire_put_array(out, l->count);
    buf_append_span(out, buf_span(&l->ids));
    out->failed |= l->ids.failed;
    return buf_span(out);
}

static lp_err put_page(builder *b, store_reader *reader, const access_grant *grant, digest sum, uint64_t last_seq,
                       buf *out, lp_error *error) {
    id_list *const lists[] = {&b->whole, &b->left, &b->erased, &b->joined, &b->purged};
    buf changes = {0}, ids[5] = {{0}};
    span closed[5];
    uint8_t digest_bytes[DIGEST_BYTES], tag_bytes[CURSOR_TAG_BYTES];
    uint64_t seq = b->full && !BUG(PAGE_CURSOR_AHEAD) ? b->reached + BUG(PAGE_SKIPS_A_ROW) : last_seq;
    span tag;
    lp_err err = changes_finish(&b->writer, &changes, error);
    bool failed = false;
    for (int i = 0; i < 5; i++) {
        closed[i] = close_list(lists[i], &ids[i]);
        failed |= ids[i].failed;
    }
    if (!err && failed)
        err = err_plain(error, LP_NOMEM);
    if (!err)
        err = epochs_tag_at(reader, seq, tag_bytes, &tag, error);
    if (!err) {
        digest_pack(sum, digest_bytes);
        page made = {.cursor = {.scope = span_text(grant->name),
                                .epoch = span_of(b->epochs->epoch, EPOCH_BYTES),
                                .seq = seq,
                                .tag = tag,
                                .behind = b->full ? b->reached - b->since : 0,
                                .generation = grant->generation,
                                .forgot = b->full || b->again ? b->forgot : 0},
                     .more = b->full,
                     .start = b->start,
                     .again = b->again,
                     .changes = buf_span(&changes),
                     .whole = closed[0],
                     .left = closed[1],
                     .erased = closed[2],
                     .joined = closed[3],
                     .purged = closed[4],
                     .digest = span_of(digest_bytes, b->full ? 0 : DIGEST_BYTES)};
        page_put(out, &made);
        if (out->failed)
            err = err_plain(error, LP_NOMEM);
    }
    buf_fini(&changes);
    for (int i = 0; i < 5; i++)
        buf_fini(&ids[i]);
    return err;
}

/* Which narrow scope a grant means. One that is not kept yet holds nothing. */
static lp_err find_narrow(builder *b, store_reader *reader, const device *d, const access_grant *grant, digest *sum_out,
                          lp_error *error) {
    buf key = {0};
    scopes_key(span_text(grant->name), &d->staff, &key);
    lp_err err =
        key.failed ? err_plain(error, LP_NOMEM) : scopes_read(reader, buf_span(&key), &b->number, sum_out, error);
    b->members = reader;
    buf_fini(&key);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

static lp_err walk(builder *b, store_reader *reader, const access_grant *grant, uint64_t last_seq, lp_error *error) {
    lp_err err = LP_OK;
    if (b->budget_bytes == 0)
        b->full = b->after < last_seq;
    else if (b->after < last_seq && grant->feed)
        err = reader->ops->feed(reader, grant->feed, b->after, add_row, b, error);
    else if (b->after < last_seq && b->number)
        err = scopes_read_feed(reader, b->number, b->after, add_member, b, error);
    return !err && b->err ? err_set(error, b->err, "%s", b->error.message) : err;
}

/* What one cursor asks for. */
typedef struct wish {
    cursor from;
    uint64_t setup_seq; /* of the cursor of `setup` in the same request: marks up to there the device has read */
    size_t budget_bytes;
} wish;

/* The device may hold something as it was before it was purged, and not hear of it: what it has read, or written before its first pull, is older
 * than what is forgotten. Between two pages it hears of marks as long as it goes on reading them. */
static bool may_miss_a_purge(const device *d, const wish *what, uint64_t purged_seq) {
    const cursor *from = &what->from;
    uint64_t began = from->seq - from->behind;
    bool holds_some = began > 0 || (from->seq == 0 && d->batch > 0);
    bool between = from->behind > 0 && what->setup_seq < purged_seq;
    return (holds_some && began < purged_seq) || between;
}

static lp_err build(store_reader *reader, const epochs *e, const device *d, const access_grant *grant, const wish *what,
                    buf *out, bool *news_out, lp_error *error) {
    const cursor *from = &what->from;
    store_counts counts;
    cursor_history history;
    digest sum = {0};
    uint64_t purged_seq = 0;
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
    /* Another epoch is another history, another grant another slice of it: read from its beginning. */
    bool same = history == CURSOR_FITS && (from->generation == grant->generation || BUG(GENERATION_IGNORED));
    /* The same if something may be missed that was purged. A narrow scope remembers who left. */
    bool purged = grant->feed == SCOPE_POOL && may_miss_a_purge(d, what, purged_seq);
    same &= !purged;
    bool start = from->again && from->seq == 0;
    start |= from->epoch.size ? !same : purged;
    builder b = {.reader = d->number,
                 .device = d,
                 .returned = d->returned,
                 .shared = d->shared,
                 .epochs = e,
                 .after = same ? from->seq : 0,
                 .since = same ? from->seq - (BUG(BEHIND_IGNORED) ? 0 : from->behind) : 0,
                 .start = start,
                 .again = start || (same && from->again),
                 .forgot = grant->feed != SCOPE_POOL ? 0
                           : same && from->behind    ? from->forgot
                                                     : purged_seq,
                 .budget_bytes = what->budget_bytes,
                 .first = out->size <= BEFORE_BYTES_MAX};
    b.reached = b.after;
    changes_init(&b.writer);
    err = grant->feed ? pool_scope_digest(reader, grant->feed, &sum, error)
                      : find_narrow(&b, reader, d, grant, &sum, error);
    if (!err)
        err = walk(&b, reader, grant, counts.last_seq, error);
    *news_out |= !holds_nothing(&b) || b.full || !same || start;
    if (!err)
        err = put_page(&b, reader, grant, sum, counts.last_seq, out, error);
    changes_fini(&b.writer);
    id_list *const lists[] = {&b.whole, &b.left, &b.erased, &b.joined, &b.purged};
    for (int i = 0; i < 5; i++)
        buf_fini(&lists[i]->ids);
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

/* How far `setup` was read. Of a device that asks for it apart from `pool` nothing is known, and nothing is begun anew again and again. */
static uint64_t setup_seq_of(span cursors) {
    wire_reader r = wire_open(cursors);
    cursor c;
    for (uint32_t left = wire_array(&r); left && cursor_take(&r, &c); left--)
        if (span_equal(c.scope, SPAN_LITERAL("setup")))
            return c.seq;
    return UINT64_MAX;
}

lp_err feed_pages(store_reader *reader, const device *d, const access *may, span cursors, uint64_t page_bytes,
                  buf *pages_out, bool *news_out, lp_error *error) {
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
    buf made = {0};
    uint32_t made_count = 0;
    wish what = {.setup_seq = setup_seq_of(cursors)};
    for (uint32_t i = 0; i < count; i++) {
        if (!cursor_take(&r, &what.from) || names_twice(cursors, i, what.from.scope)) {
            err = err_set(error, LP_PROTOCOL, "the list of cursors is malformed");
            break;
        }
        /* A device may ask for what it has lost before it is told so, which the list of scopes does: there is no page. */
        const access_grant *grant = access_find(may, what.from.scope);
        if (!grant && access_is_scope(what.from.scope))
            continue;
        if (!grant)
            err = err_set(error, LP_DENIED, "the scope %.*s is not open to this device", (int)what.from.scope.size,
                          (const char *)what.from.scope.data);
        what.budget_bytes = made.size < budget ? budget - made.size : 0;
        if (!err)
            err = build(reader, &e, d, grant, &what, &made, news_out, error);
        made_count++;
        if (err)
            break;
    }
    wire_put_array(pages_out, made_count);
    buf_append_span(pages_out, buf_span(&made));
    if (!err && (made.failed || pages_out->failed))
        err = err_plain(error, LP_NOMEM);
    buf_fini(&made);
    return err;
}
