/* outbox_settle.c - what becomes of a batch of the outbox; see outbox.h. */
#include "client/replica/outbox_parts.h"

#include <stdlib.h>

#include "client/replica/clock.h"
#include "client/replica/holdings.h"
#include "client/replica/kept.h"
#include "client/replica/layers.h"
#include "client/replica/statements.h"
#include "client/replica/unpulled.h"
#include "proto/bug.h"
#include "proto/err.h"
#include "proto/message.h"
#include "proto/page.h"

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
static lp_err keep_settled(replica *r, const outbox_entry *what, const lp_id *id, uint64_t seq, changes_writer *w,
                           lp_error *error) {
    buf changes = {0};
    changes_end(w, what->kind, id, what->at, what->base, what->made_ms - stamp_ms(what->at));
    lp_err err = w->set_count ? changes_finish(w, &changes, error) : LP_OK;
    if (!err && changes.size)
        err = kept_add(r, id, seq, buf_span(&changes), error);
    buf_fini(&changes);
    return err;
}

static lp_err settle_entry(replica *r, const outbox_entries *e, uint32_t index, judge *j, outbox_outcome *outcome,
                           lp_error *error) {
    layers l;
    changes_writer w;
    wire_reader from = outbox_open_entry(e, index);
    reg change;
    bool as_seen = true;
    lp_err err = layers_open_rid(r, e->list[index].rid, &l, error);
    bool unknown = l.server.count == 0; /* to the server, as far as was heard here */
    bool received = false; /* what awaits review moves no seq: the next one is the first that surely came after it */
    changes_init(&w);
    changes_begin(&w);
    if (e->list[index].uncertain)
        changes_mark_uncertain(&w);
    for (int32_t field = 0; !err && outbox_next_change(&from, &change); field++) {
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
        err = outbox_check_body(&from, error);
    if (!err)
        err = keep_settled(r, &e->list[index], &l.visible.id, j->seq + received, &w, error);
    changes_fini(&w);
    if (!err)
        err = outbox_shrink(r, e->list[index].oseq, 0, (span){0}, error);
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
static lp_err read_batch(replica *r, int64_t first, int64_t last, outbox_entries *e, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_RANGE, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, first);
    sqlite3_bind_int64(s, 2, last);
    lp_err err = LP_OK;
    while (!err && !(err = statement_row(r, s, "read the outbox", error))) {
        outbox_entry found = {.oseq = sqlite3_column_int64(s, 0),
                              .rid = sqlite3_column_int64(s, 1),
                              .at = column_stamp(s, 4),
                              .base = column_stamp(s, 5),
                              .kind = (uint32_t)sqlite3_column_int64(s, 2),
                              .made_ms = sqlite3_column_int64(s, 6),
                              .uncertain = sqlite3_column_int(s, 12) != 0};
        err = outbox_keep_entry(e, &found, column_span(s, 8), error);
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
static lp_err raise_judged(replica *r, const char *name, const outbox_entries *e, uint64_t below, lp_error *error) {
    uint64_t known = (uint64_t)replica_meta_int(r, name, 0), greatest = known < below ? known : 0;
    for (uint32_t i = 0; i < e->count; i++) {
        uint64_t time = e->list[i].at.time;
        greatest = time < below && time > greatest ? time : greatest;
    }
    return greatest == known ? LP_OK : replica_meta_put_int(r, name, (int64_t)greatest, error);
}

/* Remembers the greatest own stamp the server has judged: no clock correction goes below it. One that is far ahead counts for its record only:
 * while there is one, the greatest that is not is remembered as well. */
static lp_err note_judged(replica *r, const outbox_entries *e, lp_error *error) {
    uint64_t ahead = (uint64_t)(clock_now_ms(r) + CLOCK_TOLERANCE_MS) << 16;
    lp_err err = raise_judged(r, "clock.judged", e, UINT64_MAX, error);
    bool leads = (uint64_t)replica_meta_int(r, "clock.judged", 0) >= ahead;
    return err || !leads ? err : raise_judged(r, "clock.judged_near", e, ahead, error);
}

lp_err outbox_settle(replica *r, uint64_t number, span verdicts, uint64_t seq, outbox_outcome *outcome_out,
                     lp_error *error) {
    buf bytes = {0};
    outbox_entries e = {.bytes = &bytes};
    judge j = {.seq = seq, .verdicts = wire_open(verdicts)};
    *outcome_out = (outbox_outcome){0};
    j.left = verdicts.size ? wire_array(&j.verdicts) : 0;
    advance(&j);
    int64_t first, last;
    lp_err err = outbox_batch_range(r, number, &first, &last, error);
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
