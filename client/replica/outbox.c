/* outbox.c - the queue of local changes; see outbox.h for its invariants. */
#include "client/replica/outbox.h"

#include <assert.h>
#include <stdlib.h>

#include "client/replica/clock.h"
#include "client/replica/holdings.h"
#include "client/replica/kept.h"
#include "client/replica/layers.h"
#include "client/replica/statements.h"
#include "client/replica/unpulled.h"
#include "proto/bug.h"
#include "proto/change.h"
#include "proto/err.h"
#include "proto/message.h"
#include "proto/page.h"

/* What an entry costs on the wire beside its fields: array heads, kind, id, indexes, and its stamp. */
#define ENTRY_BYTES 64

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

/* The next change of an entry's body; false at its end, and where it cannot be read: check_body tells which. */
static bool next_change(wire_reader *body, reg *change_out) {
    return body->at < body->end && change_unpack(body, change_out);
}

static lp_err check_body(const wire_reader *body, lp_error *error) {
    return body->failed ? err_set(error, LP_CORRUPT, "the outbox is damaged; run leadpool doctor") : LP_OK;
}

/* ---- coalescing ---- */

static reg *find(reg *changes, uint32_t count, const reg *like) {
    for (uint32_t i = 0; i < count; i++)
        if (changes[i].field == like->field && span_equal(changes[i].key, like->key))
            return &changes[i];
    return NULL;
}

/* Writes an entry without the changes that newer ones replace, or removes it. */
static lp_err shrink(replica *r, int64_t oseq, uint32_t count, span body, lp_error *error) {
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

static lp_err coalesce_entry(replica *r, sqlite3_stmt *entry, reg *changes, uint32_t count, lp_error *error) {
    int64_t oseq = sqlite3_column_int64(entry, 0);
    stamp base = column_stamp(entry, 2);
    wire_reader from = wire_open(column_span(entry, 4));
    buf rest = {0};
    uint32_t rest_count = 0, taken = 0;
    reg old;
    while (next_change(&from, &old)) {
        reg *newer = find(changes, count, &old);
        if (newer) {
            newer->base = BUG(BASE_LOST_ON_COALESCING) ? newer->base : base;
            taken++;
        } else {
            change_pack(&rest, old.field, old.key, old.value);
            rest_count++;
        }
    }
    lp_err err = rest.failed ? err_plain(error, LP_NOMEM) : check_body(&from, error);
    if (!err && taken)
        err = shrink(r, oseq, rest_count, buf_span(&rest), error);
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

/* Entries copied out of the table, so that it may change while they are walked. */
typedef struct entry {
    int64_t oseq, rid;
    stamp at, base;
    bool uncertain;
    uint32_t kind;
    int64_t made_ms;
    size_t offset, size; /* of the body in `bytes` */
} entry;

typedef struct entries {
    entry *list;
    uint32_t count, capacity;
    buf *bytes;
} entries;

static lp_err keep_entry(entries *e, const entry *what, span body, lp_error *error) {
    if (e->count == e->capacity) {
        uint32_t capacity = e->capacity ? e->capacity * 2 : 16;
        entry *list = realloc(e->list, capacity * sizeof *list);
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

static wire_reader open_entry(const entries *e, uint32_t index) {
    return wire_open(span_of(e->bytes->data + e->list[index].offset, e->list[index].size));
}

lp_err outbox_each(replica *r, int64_t rid, buf *bytes_out,
                   lp_err (*each)(void *ctx, const reg *change, lp_error *error), void *ctx, lp_error *error) {
    entries e = {.bytes = bytes_out};
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_OF, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    lp_err err;
    while (!(err = statement_row(r, s, "read the outbox", error))) {
        entry found = {.at = column_stamp(s, 1), .base = column_stamp(s, 2)};
        if ((err = keep_entry(&e, &found, column_span(s, 4), error)))
            break;
    }
    sqlite3_reset(s);
    if (err == LP_NOT_FOUND)
        err = LP_OK;
    for (uint32_t i = 0; !err && i < e.count; i++) {
        wire_reader from = open_entry(&e, i);
        reg change;
        while (!err && next_change(&from, &change)) {
            change.stamp = e.list[i].at;
            change.base = e.list[i].base;
            err = each(ctx, &change, error);
        }
        if (!err)
            err = check_body(&from, error);
    }
    free(e.list);
    return err;
}

/* ---- batches ---- */

lp_err outbox_last_batch(replica *r, uint64_t *number_out, lp_error *error) {
    int64_t number;
    lp_err err = replica_meta_read_int(r, "batch.last", 0, &number, error);
    *number_out = (uint64_t)number;
    return err;
}

lp_err outbox_unfrozen(replica *r, bool *waiting_out, lp_error *error) {
    int64_t frozen;
    *waiting_out = false;
    lp_err err = statement_int(r, STATEMENT_BATCH_LAST, &frozen, error);
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_OUTBOX_SIZES, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, frozen);
    err = statement_row(r, s, "read the outbox", error);
    sqlite3_reset(s);
    *waiting_out = !err;
    return err == LP_NOT_FOUND ? LP_OK : err;
}

bool outbox_is_empty(replica *r) {
    uint64_t frozen = 1;
    bool waiting = true;
    return !outbox_next_batch(r, 0, &frozen, NULL) && frozen == 0 && !outbox_unfrozen(r, &waiting, NULL) && !waiting;
}

/* The oseqs the next batch spans; first is 0 if nothing is left to freeze. */
static lp_err next_range(replica *r, size_t bytes_max, int64_t *first_out, int64_t *last_out, lp_error *error) {
    int64_t frozen;
    size_t bytes = 0;
    size_t most = bytes_max < OUTBOX_BATCH_BYTES ? bytes_max : OUTBOX_BATCH_BYTES;
    *first_out = 0;
    lp_err err = statement_int(r, STATEMENT_BATCH_LAST, &frozen, error);
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_OUTBOX_SIZES, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, frozen);
    while (!(err = statement_row(r, s, "read the outbox", error))) {
        bytes += (size_t)sqlite3_column_int64(s, 1) + ENTRY_BYTES;
        if (*first_out && bytes > most)
            break;
        if (*first_out == 0)
            *first_out = sqlite3_column_int64(s, 0);
        *last_out = sqlite3_column_int64(s, 0);
    }
    sqlite3_reset(s);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err outbox_freeze(replica *r, size_t bytes_max, uint64_t *number_out, lp_error *error) {
    int64_t first = 0, last = 0;
    *number_out = 0;
    lp_err err = next_range(r, bytes_max, &first, &last, error);
    if (err || first == 0)
        return err;
    uint64_t number = 0;
    err = outbox_last_batch(r, &number, error);
    number++;
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_BATCH_ADD, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)number);
    sqlite3_bind_int64(s, 2, first);
    sqlite3_bind_int64(s, 3, last);
    err = statement_run(r, s, "save", error);
    if (!err)
        err = clock_mark_uncertain(r, first, last, error);
    if (!err)
        err = replica_meta_put_int(r, "batch.last", (int64_t)number, error);
    if (!err)
        *number_out = number;
    return err;
}

lp_err outbox_first_size(replica *r, size_t *bytes_out, uint32_t *entries_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_BATCH_FIRST_SIZE, error);
    lp_err err = s ? statement_row(r, s, "read the outbox", error) : LP_IO;
    if (err)
        return err;
    *entries_out = (uint32_t)sqlite3_column_int64(s, 0);
    *bytes_out = (size_t)sqlite3_column_int64(s, 1) + (size_t)*entries_out * ENTRY_BYTES;
    sqlite3_reset(s);
    return LP_OK;
}

/* One row of table batch; LP_NOT_FOUND if there is none. */
static lp_err batch_range(replica *r, uint64_t number, int64_t *first_out, int64_t *last_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_BATCH_GET, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)number);
    lp_err err = statement_row(r, s, "read the outbox", error);
    if (err)
        return err;
    *first_out = sqlite3_column_int64(s, 0);
    *last_out = sqlite3_column_int64(s, 1);
    sqlite3_reset(s);
    return LP_OK;
}

/* The number a query for a batch beside `number` finds; 0 if there is none. */
static lp_err batch_beside(replica *r, statement_name query, uint64_t number, uint64_t *found_out, lp_error *error) {
    *found_out = 0;
    sqlite3_stmt *s = statement(r, query, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)number);
    lp_err err = statement_row(r, s, "read the outbox", error);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    *found_out = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return LP_OK;
}

lp_err outbox_next_batch(replica *r, uint64_t after, uint64_t *number_out, lp_error *error) {
    return batch_beside(r, STATEMENT_BATCH_NEXT, after, number_out, error);
}

lp_err outbox_batch_before(replica *r, uint64_t number, uint64_t *before_out, lp_error *error) {
    lp_err err = batch_beside(r, STATEMENT_BATCH_BEFORE, number, before_out, error);
    uint64_t settled = outbox_last_settled(r);
    if (settled < number && settled > *before_out)
        *before_out = settled;
    return err;
}

uint64_t outbox_given_up(replica *r, uint64_t number, uint64_t before) {
    uint64_t settled = outbox_last_settled(r), thawed = (uint64_t)replica_meta_int(r, "batch.thawed", 0);
    uint64_t known = before > settled ? before : settled;
    known = known > thawed ? known : thawed;
    return number > known ? number - known - 1 : 0;
}

lp_err outbox_thaw(replica *r, int64_t rid, lp_error *error) {
    uint64_t last = 0;
    sqlite3_stmt *s = statement(r, STATEMENT_ERASE_BATCHES, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    lp_err err = statement_run(r, s, "erase a record", error);
    if (err || sqlite3_changes(r->db) == 0)
        return err;
    err = outbox_last_batch(r, &last, error);
    return err ? err : replica_meta_put_int(r, "batch.thawed", (int64_t)last, error);
}

lp_err outbox_encode(replica *r, uint64_t number, buf *out, uint64_t *count_out, lp_error *error) {
    int64_t first, last;
    *count_out = 0;
    lp_err err = batch_range(r, number, &first, &last, error);
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_OUTBOX_RANGE, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, first);
    sqlite3_bind_int64(s, 2, last);
    changes_writer w;
    changes_init(&w);
    while (!(err = statement_row(r, s, "read the outbox", error))) {
        lp_id id = {{0}};
        uint32_t count = (uint32_t)sqlite3_column_int64(s, 7);
        id_from_span(column_span(s, 3), &id);
        stamp at = column_stamp(s, 4);
        changes_begin(&w);
        if (sqlite3_column_int(s, 12))
            changes_mark_uncertain(&w);
        change_put_packed(&w, column_span(s, 8), count);
        changes_end(&w, (uint32_t)sqlite3_column_int64(s, 2), &id, at, column_stamp(s, 5),
                    sqlite3_column_int64(s, 6) - stamp_ms(at));
        *count_out += count;
    }
    sqlite3_reset(s);
    if (err == LP_NOT_FOUND)
        err = changes_finish(&w, out, error);
    changes_fini(&w);
    return err;
}

/* ---- verdicts ---- */

static lp_err keep_refused(replica *r, int64_t rid, const reg *change, span reason, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_REFUSED_ADD, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    bind_stamp(s, 2, change->stamp);
    sqlite3_bind_int64(s, 3, change->field);
    bind_text(s, 4, change->key);
    bind_span(s, 5, change->value);
    bind_text(s, 6, reason);
    sqlite3_bind_int64(s, 7, clock_now_ms(r));
    return statement_run(r, s, "save", error);
}

/* Each entry leaves the outbox as it is settled, so that a later one of the same record is still unacked when an earlier one is.
 *
 * Walks the verdicts of a batch beside its entries: both are in order. */
typedef struct judge {
    uint64_t seq; /* up to where the pool has the batch */
    wire_reader verdicts;
    uint32_t left;
    verdict next;
    bool has_next;
} judge;

static void advance(judge *j) {
    j->has_next = j->left > 0 && verdict_take(&j->verdicts, &j->next);
    if (j->left > 0)
        j->left--;
}

static verdict_kind judge_change(judge *j, uint32_t set, int32_t field, span *reason_out) {
    while (j->has_next && (j->next.set < set || (j->next.set == set && j->next.field >= 0 && j->next.field < field)))
        advance(j);
    if (!j->has_next || j->next.set != set || (j->next.field != field && j->next.field != -1))
        return VERDICT_APPLIED;
    *reason_out = j->next.reason;
    return j->next.kind;
}

static lp_err settle_change(replica *r, layers *l, const reg *change, verdict_kind kind, span reason,
                            outbox_outcome *outcome, lp_error *error) {
    lp_err err;
    outcome->pushed++;
    switch (kind) {
    /* What lost stays until the pull that brings the winner replaces it: nobody sees an older value in between, and what was typed
     * ends in the past like all that is replaced. */
    case VERDICT_APPLIED:
    case VERDICT_LOST:
        outcome->lost += kind == VERDICT_LOST;
        if (kind == VERDICT_LOST && BUG(LOSER_FORGOTTEN))
            return LP_OK;
        err = holdings_hold_pool(r, l, error);
        return err ? err : layers_apply(r, l, change, error);
    case VERDICT_REFUSED:
        outcome->refused++;
        outcome->refused_id = l->visible.id;
        return BUG(REFUSED_NOT_KEPT) ? LP_OK : keep_refused(r, l->rid, change, reason, error);
    case VERDICT_RECEIVED:
        break;
    }
    /* It does not stand, and is not refused: the office has it. While the device holds the record, its author still finds it in the
     * history. */
    outcome->received++;
    return layers_keep_past(r, l->rid, change, error);
}

/* What the server has now, and may lose: kept.h. */
static lp_err keep_settled(replica *r, const entry *what, const lp_id *id, uint64_t seq, changes_writer *w,
                           lp_error *error) {
    buf changes = {0};
    changes_end(w, what->kind, id, what->at, what->base, what->made_ms - stamp_ms(what->at));
    lp_err err = w->set_count ? changes_finish(w, &changes, error) : LP_OK;
    if (!err && changes.size)
        err = kept_add(r, id, seq, buf_span(&changes), error);
    buf_fini(&changes);
    return err;
}

static lp_err settle_entry(replica *r, const entries *e, uint32_t index, judge *j, outbox_outcome *outcome,
                           lp_error *error) {
    layers l;
    changes_writer w;
    wire_reader from = open_entry(e, index);
    reg change;
    bool as_seen = true;
    lp_err err = layers_open_rid(r, e->list[index].rid, &l, error);
    bool unknown = l.server.count == 0; /* to the server, as far as was heard here */
    bool received = false; /* what awaits review moves no seq: the next one is the first that surely came after it */
    changes_init(&w);
    changes_begin(&w);
    if (e->list[index].uncertain)
        changes_mark_uncertain(&w);
    for (int32_t field = 0; !err && next_change(&from, &change); field++) {
        span reason = {0};
        change.stamp = e->list[index].at;
        change.base = e->list[index].base;
        change.uncertain = e->list[index].uncertain;
        verdict_kind kind = judge_change(j, index + BUG(VERDICT_OFF_BY_ONE), field, &reason);
        as_seen &= kind == VERDICT_APPLIED && !change.uncertain; /* the visible register does not say so yet */
        err = settle_change(r, &l, &change, kind, reason, outcome, error);
        received |= kind == VERDICT_RECEIVED;
        if (kind != VERDICT_REFUSED)
            change_put(&w, change.field, change.key, change.value);
    }
    if (!err)
        err = check_body(&from, error);
    if (!err)
        err = keep_settled(r, &e->list[index], &l.visible.id, j->seq + received, &w, error);
    changes_fini(&w);
    if (!err)
        err = shrink(r, e->list[index].oseq, 0, (span){0}, error);
    if (!err)
        err = layers_settle(r, &l, as_seen, error);
    /* The office had an earlier part of it for review, and this one stands: the record is there, and a page tells which scope holds it. */
    if (!err && unknown && l.server.count)
        err = holdings_keep(r, l.rid, error);
    /* The office has it, and no scope of this device has anything of the record. */
    if (!err && received && !BUG(RECEIVED_STAYS) && l.held == 0 && l.server.count == 0)
        err = holdings_let_go(r, l.rid, error);
    if (!err && l.held == 0 && l.server.count)
        err = unpulled_note(r, j->seq, error);
    layers_close(&l);
    return err;
}

/* Copies the batch's entries into memory. */
static lp_err read_batch(replica *r, int64_t first, int64_t last, entries *e, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_RANGE, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, first);
    sqlite3_bind_int64(s, 2, last);
    lp_err err = LP_OK;
    while (!err && !(err = statement_row(r, s, "read the outbox", error))) {
        entry found = {.oseq = sqlite3_column_int64(s, 0),
                       .rid = sqlite3_column_int64(s, 1),
                       .at = column_stamp(s, 4),
                       .base = column_stamp(s, 5),
                       .kind = (uint32_t)sqlite3_column_int64(s, 2),
                       .made_ms = sqlite3_column_int64(s, 6),
                       .uncertain = sqlite3_column_int(s, 12) != 0};
        err = keep_entry(e, &found, column_span(s, 8), error);
    }
    sqlite3_reset(s);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* Its entries are gone, but for those of records that are gone. */
static lp_err drop_batch(replica *r, uint64_t number, int64_t first, int64_t last, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_DROP_RANGE, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, BUG(ACK_BY_RANGE) ? 0 : first);
    sqlite3_bind_int64(s, 2, BUG(ACK_TAKES_ALL) ? INT64_MAX : last);
    lp_err err = statement_run(r, s, "save", error);
    if (err || !(s = statement(r, STATEMENT_BATCH_DROP, error)))
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)number);
    return statement_run(r, s, "save", error);
}

/* The greatest of the entries' stamps below `below`, or of those before. */
static lp_err raise_judged(replica *r, const char *name, const entries *e, uint64_t below, lp_error *error) {
    uint64_t known = (uint64_t)replica_meta_int(r, name, 0), greatest = known < below ? known : 0;
    for (uint32_t i = 0; i < e->count; i++) {
        uint64_t time = e->list[i].at.time;
        greatest = time < below && time > greatest ? time : greatest;
    }
    return greatest == known ? LP_OK : replica_meta_put_int(r, name, (int64_t)greatest, error);
}

/* Remembers the greatest own stamp the server has judged: no clock correction goes below it. One that is far ahead counts for its record only:
 * while there is one, the greatest that is not is remembered as well. */
static lp_err note_judged(replica *r, const entries *e, lp_error *error) {
    uint64_t ahead = (uint64_t)(clock_now_ms(r) + CLOCK_TOLERANCE_MS) << 16;
    lp_err err = raise_judged(r, "clock.judged", e, UINT64_MAX, error);
    bool leads = (uint64_t)replica_meta_int(r, "clock.judged", 0) >= ahead;
    return err || !leads ? err : raise_judged(r, "clock.judged_near", e, ahead, error);
}

uint64_t outbox_last_settled(replica *r) {
    return (uint64_t)replica_meta_int(r, "batch.settled", 0);
}

lp_err outbox_settle(replica *r, uint64_t number, span verdicts, uint64_t seq, outbox_outcome *outcome_out,
                     lp_error *error) {
    buf bytes = {0};
    entries e = {.bytes = &bytes};
    judge j = {.seq = seq, .verdicts = wire_open(verdicts)};
    *outcome_out = (outbox_outcome){0};
    j.left = verdicts.size ? wire_array(&j.verdicts) : 0;
    advance(&j);
    int64_t first, last;
    lp_err err = batch_range(r, number, &first, &last, error);
    if (!err)
        err = read_batch(r, first, last, &e, error);
    for (uint32_t i = 0; !err && i < e.count; i++)
        err = settle_entry(r, &e, i, &j, outcome_out, error);
    if (!err)
        err = drop_batch(r, number, first, last, error);
    if (!err && j.verdicts.failed)
        err = err_set(error, LP_PROTOCOL, "the server's verdicts are malformed");
    if (!err)
        err = note_judged(r, &e, error);
    if (!err && number > outbox_last_settled(r))
        err = replica_meta_put_int(r, "batch.settled", (int64_t)number, error);
    free(e.list);
    buf_fini(&bytes);
    return err == LP_NOT_FOUND ? LP_OK : err;
}
