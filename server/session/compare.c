/* compare.c - see compare.h. */
#include "server/session/compare.h"

#include "proto/change.h"
#include "proto/err.h"
#include "proto/page.h"
#include "proto/ranges.h"
#include "server/pool/epochs.h"
#include "server/session/feed.h"
#include "server/pool/scopes.h"

#define RECORDS_BYTES FEED_PAGE_BYTES /* of an answer with records */
#define SETS_BYTES 72                 /* of a register beside key and value, if it is a set of its own */

typedef struct comparer {
    store_reader *reader;
    const access_grant *grant;
    uint32_t number; /* of a narrow scope */
    digester *digester;
    cursor at;
    id_range ranges[RANGES_MAX];
    range_sum sums[RANGES_MAX];
    size_t bytes[RANGES_MAX]; /* about what the records in it take on the wire */
    uint32_t count;
    bool putting; /* the records in the first `taken` ranges, instead of summing all */
    uint32_t taken;
    bool moved;
    changes_writer writer;
    record rec;
    lp_err err;
    lp_error error;
} comparer;

static bool add_to_sum(comparer *c, int at) {
    for (uint32_t i = 0; i < c->rec.count; i++)
        digest_add(c->digester, &c->sums[at].sum, c->rec.kind, &c->rec.id, &c->rec.regs[i]);
    c->sums[at].count++;
    c->bytes[at] += record_bytes(&c->rec) + SETS_BYTES * (size_t)c->rec.count;
    return true;
}

/* One record of the scope. */
static bool take_row(comparer *c, const store_row *row) {
    int at = ranges_find(c->ranges, c->putting ? c->taken : c->count, &row->id);
    if (at < 0)
        return true;
    c->rec.kind = row->kind;
    c->rec.id = row->id;
    c->err = record_unpack(&c->rec, row->body, row->stamps, &c->error);
    if (!c->err && !c->putting)
        return add_to_sum(c, at);
    if (!c->err)
        c->err = feed_put_record(&c->writer, &c->rec, &c->error);
    return !c->err;
}

static bool on_row(void *ctx, const store_row *row) {
    comparer *c = ctx;
    c->moved |= row->seq > c->at.seq;
    if (c->moved || row->kind == KIND_ERASED || row->kind == KIND_PURGED)
        return !c->moved;
    return take_row(c, row);
}

static bool on_member(void *ctx, const lp_id *id, uint64_t seq_last) {
    comparer *c = ctx;
    scope_member m;
    store_row row;
    c->moved |= seq_last > c->at.seq;
    if (c->moved || ranges_find(c->ranges, c->count, id) < 0)
        return !c->moved;
    c->err = scopes_read_member(c->reader, c->number, id, &m, &c->error);
    if (c->err || m.seq_out)
        return !c->err;
    c->err = c->reader->ops->read(c->reader, id, &row, &c->error);
    if (!c->err)
        return take_row(c, &row);
    c->err = c->err == LP_NOT_FOUND ? LP_OK : c->err;
    return !c->err;
}

static lp_err walk(comparer *c, lp_error *error) {
    lp_err err = LP_OK;
    if (c->grant->feed)
        err = c->reader->ops->feed(c->reader, c->grant->feed, 0, on_row, c, error);
    else if (c->number)
        err = scopes_read_feed(c->reader, c->number, 0, on_member, c, error);
    return !err && c->err ? err_set(error, c->err, "%s", c->error.message) : err;
}

static lp_err read_request(comparer *c, const access *may, const message *m, lp_error *error) {
    wire_reader r = wire_open(m->cursors);
    if (m->cursors.size == 0 || wire_array(&r) != 1 || !cursor_take(&r, &c->at) ||
        !ranges_take(m->ranges, c->ranges, &c->count))
        return err_set(error, LP_PROTOCOL, "the request for digests is malformed");
    c->grant = access_find(may, c->at.scope);
    if (!c->grant && !access_is_scope(c->at.scope))
        return err_set(error, LP_DENIED, "the scope %.*s is not open to this device", (int)c->at.scope.size,
                       (const char *)c->at.scope.data);
    c->moved = !c->grant; /* lost meanwhile: the next sync tells */
    return LP_OK;
}

/* The device has read what there is: of this epoch, under this grant, and is not within a pull. */
static lp_err look_at_cursor(comparer *c, lp_error *error) {
    epochs e;
    store_counts counts;
    cursor_history history = CURSOR_OTHER;
    lp_err err = epochs_read(c->reader, &e, error);
    if (!err)
        err = c->reader->ops->counts(c->reader, &counts, error);
    if (!err)
        err = epochs_judge_cursor(c->reader, &e, &c->at, counts.last_seq, &history, error);
    bool same = history == CURSOR_FITS && c->at.generation == c->grant->generation;
    c->moved |= !same || c->at.behind || c->at.again;
    return err;
}

static lp_err read_sum(comparer *c, const lp_id *person, digest *sum_out, lp_error *error) {
    buf key = {0};
    if (c->grant->feed)
        return pool_scope_digest(c->reader, c->grant->feed, sum_out, error);
    scopes_key(span_text(c->grant->name), person, &key);
    lp_err err =
        key.failed ? err_plain(error, LP_NOMEM) : scopes_read(c->reader, buf_span(&key), &c->number, sum_out, error);
    buf_fini(&key);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* As many whole ranges as there is room for; a single record always has. */
static lp_err put_records(comparer *c, compared *out, lp_error *error) {
    size_t bytes = 0;
    for (; c->taken < c->count; c->taken++) {
        const range_sum *next = &c->sums[c->taken];
        bytes += c->bytes[c->taken];
        if (bytes > RECORDS_BYTES && out->records + next->count > 1)
            break;
        out->records += (uint32_t)next->count;
    }
    out->taken = c->taken;
    c->putting = true;
    changes_init(&c->writer);
    lp_err err = walk(c, error);
    if (!err)
        err = changes_finish(&c->writer, &out->changes, error);
    changes_fini(&c->writer);
    return err;
}

static lp_err answer(comparer *c, bool records, compared *out, lp_error *error) {
    lp_err err = walk(c, error);
    if (err || c->moved)
        return err;
    if (records)
        return put_records(c, out, error);
    range_sums_put(&out->digests, c->sums, c->count);
    return out->digests.failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

lp_err compare(store_reader *reader, const pool *p, const access *may, const message *request, compared *compared_out,
               lp_error *error) {
    comparer c = {.reader = reader};
    *compared_out = (compared){.moved = false};
    lp_err err = read_request(&c, may, request, error);
    if (!err && !c.moved)
        err = look_at_cursor(&c, error);
    if (!err && !c.moved)
        err = read_sum(&c, &may->person, &compared_out->sum, error);
    if (!err && !c.moved)
        err = digester_new(&p->id, &c.digester, error);
    if (!err && !c.moved)
        err = answer(&c, request->records, compared_out, error);
    compared_out->moved = c.moved;
    digester_free(c.digester);
    record_fini(&c.rec);
    return err;
}

void compared_fini(compared *c) {
    buf_fini(&c->digests);
    buf_fini(&c->changes);
}
