/* restamp.c - a clock was wrong: move the stamps of everything unacknowledged (outbox.h outbox_restamp).
 *
 * Every stamp above the server's high batch moves by the same delta, never below what it is based on nor below what the server
 * holds of this device, never past the present, and stays in order; so what was typed later is still later, and no stamp is
 * given twice. Bases that name restamped changes follow them. */
#include <stdlib.h>

#include "client/layers.h"
#include "client/outbox.h"
#include "client/statements.h"
#include "proto/err.h"

/* One old stamp and what became of it; sorted by old because the outbox is in order of stamps. */
typedef struct moved {
    stamp from, to;
} moved;

typedef struct moves {
    moved *list;
    uint32_t count, capacity;
} moves;

static lp_err note(moves *m, stamp from, stamp to, lp_error *error) {
    if (m->count && stamp_compare(m->list[m->count - 1].from, from) == 0)
        return LP_OK;
    if (m->count == m->capacity) {
        uint32_t capacity = m->capacity ? m->capacity * 2 : 16;
        moved *list = realloc(m->list, capacity * sizeof *list);
        if (!list)
            return err_plain(error, LP_NOMEM);
        m->list = list;
        m->capacity = capacity;
    }
    m->list[m->count++] = (moved){from, to};
    return LP_OK;
}

static stamp look_up(const moves *m, stamp old) {
    uint32_t low = 0, high = m->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (stamp_compare(m->list[middle].from, old) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->count && stamp_compare(m->list[low].from, old) == 0 ? m->list[low].to : old;
}

typedef struct target {
    int64_t oseq, rid, skew_ms;
    stamp at, base;
} target;

static lp_err collect(replica *r, int64_t after, target **list_out, uint32_t *count_out, lp_error *error) {
    target *list = NULL;
    uint32_t count = 0, capacity = 0;
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_RANGE, error);
    lp_err err = s ? LP_OK : LP_IO;
    if (s) {
        sqlite3_bind_int64(s, 1, after + 1);
        sqlite3_bind_int64(s, 2, INT64_MAX);
    }
    while (!err && !(err = statement_row(r, s, "read the outbox", error))) {
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            target *grown = realloc(list, capacity * sizeof *list);
            if (!grown) {
                err = err_plain(error, LP_NOMEM);
                break;
            }
            list = grown;
        }
        list[count++] = (target){sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 6),
                                 column_stamp(s, 4), column_stamp(s, 5)};
    }
    if (s)
        sqlite3_reset(s);
    *list_out = list;
    *count_out = count;
    return err == LP_NOT_FOUND ? LP_OK : err;
}

static lp_err write_entry(replica *r, const target *t, stamp to, stamp base, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_RESTAMP, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, t->oseq);
    bind_stamp(s, 2, to);
    bind_stamp(s, 3, base);
    sqlite3_bind_int64(s, 4, t->skew_ms + stamp_ms(t->at) - stamp_ms(to));
    return statement_run(r, s, "save", error);
}

/* The greatest own stamp that the server holds: of what it has judged, and of the batches up to `frozen`, whose verdicts are on
 * their way. */
static lp_err find_floor(replica *r, int64_t frozen, uint64_t *floor_out, lp_error *error) {
    *floor_out = (uint64_t)replica_meta_int(r, "clock.judged", 0);
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_RANGE, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, 0);
    sqlite3_bind_int64(s, 2, frozen);
    lp_err err;
    while (!(err = statement_row(r, s, "read the outbox", error))) {
        stamp at = column_stamp(s, 4);
        *floor_out = at.time > *floor_out ? at.time : *floor_out;
    }
    return err == LP_NOT_FOUND ? LP_OK : err;
}

typedef struct shift {
    int64_t delta_ms;
    int64_t now_ms; /* the server's: what no stamp passes */
    uint64_t floor; /* what the first stamp is above */
} shift;

/* The stamp moved as a whole, count and all, so that moving by nothing changes nothing. */
static stamp moved_stamp(stamp old, const shift *by, uint64_t least) {
    int64_t ms = stamp_ms(old) + by->delta_ms;
    uint64_t time = ms < 0            ? 0
                    : ms > by->now_ms ? (uint64_t)by->now_ms << 16
                                      : (uint64_t)ms << 16 | (old.time & 0xffff);
    return (stamp){time > least ? time : least + 1, old.author};
}

/* New stamps for all targets, in order. */
static lp_err move(replica *r, const target *list, uint32_t count, const shift *by, moves *m, lp_error *error) {
    uint64_t floor = by->floor;
    for (uint32_t i = 0; i < count; i++) {
        stamp base = look_up(m, list[i].base);
        uint64_t least = floor > base.time ? floor : base.time;
        bool together = i > 0 && stamp_compare(list[i].at, list[i - 1].at) == 0;
        stamp to = together ? look_up(m, list[i].at) : moved_stamp(list[i].at, by, least);
        lp_err err = note(m, list[i].at, to, error);
        if (!err)
            err = write_entry(r, &list[i], to, base, error);
        if (err)
            return err;
        floor = to.time;
    }
    r->clock.last = floor > r->seen ? floor : r->seen;
    return LP_OK;
}

lp_err outbox_restamp(replica *r, uint64_t high, int64_t delta_ms, int64_t now_ms, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_BATCH_DROP_ABOVE, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)high);
    int64_t frozen = 0;
    target *list = NULL;
    uint32_t count = 0;
    moves m = {0};
    shift by = {delta_ms, now_ms, 0};
    lp_err err = statement_run(r, s, "save", error);
    if (!err)
        err = statement_int(r, STATEMENT_BATCH_LAST, &frozen, error);
    if (!err)
        err = collect(r, frozen, &list, &count, error);
    if (!err)
        err = find_floor(r, frozen, &by.floor, error);
    if (!err)
        err = move(r, list, count, &by, &m, error);
    for (uint32_t i = 0; !err && i < count; i++)
        if (i == 0 || list[i].rid != list[i - 1].rid)
            err = layers_rebuild(r, list[i].rid, error);
    r->touched = true;
    free(list);
    free(m.list);
    return err;
}
