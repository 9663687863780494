/* restamp.c - more is known of when unsent changes were made: they get new stamps (outbox.h outbox_restamp).
 *
 * Each change moves to where the clock's line (clock.h) puts it: if the server was reached in its boot, to that moment; if not, it stays
 * where it is, but between its neighbours that are certain. Then from first to last: not below what its author had seen of the record,
 * and above the device's stamp before. So what was typed later is still later, and no stamp is given twice. Bases that name
 * restamped changes follow them.
 *
 * What is far ahead of the present does not count as something to be later than, but for changes of the very record: a
 * pool whose clock was wrong for an hour must not drag all that is written after it along. That holds for others' values as for this
 * device's own, which the server has, or which are in a batch that stays, or which were given such a stamp a moment ago. */
#include <stdlib.h>
#include <string.h>

#include "client/replica/clock.h"
#include "client/replica/kept.h"
#include "client/replica/layers.h"
#include "client/replica/outbox.h"
#include "client/replica/statements.h"
#include "proto/bug.h"
#include "proto/err.h"
#include "proto/message.h"

/* ---- which stamp became which ---- */

/* By record: stamps far ahead stay alone, so two records may have the same one. */
typedef struct moved {
    stamp from;
    int64_t rid;
    stamp to;
} moved;

typedef struct moves {
    moved *list; /* by `from`, then `rid` */
    uint32_t count, capacity;
} moves;

static int compare(const moved *m, stamp old, int64_t rid) {
    int order = stamp_compare(m->from, old);
    return order ? order : (m->rid > rid) - (m->rid < rid);
}

/* Index of the first move not before `old` of the record. Mostly they come in order. */
static uint32_t place_of(const moves *m, stamp old, int64_t rid) {
    uint32_t low = 0, high = m->count;
    if (high && compare(&m->list[high - 1], old, rid) < 0)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(&m->list[middle], old, rid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_known(const moves *m, uint32_t at, stamp old, int64_t rid) {
    return at < m->count && compare(&m->list[at], old, rid) == 0;
}

/* The entries of a transaction on several bases of one record say the same. */
static lp_err note(moves *m, int64_t rid, stamp from, stamp to, lp_error *error) {
    uint32_t at = place_of(m, from, rid);
    if (is_known(m, at, from, rid))
        return LP_OK;
    if (m->count == m->capacity) {
        uint32_t capacity = m->capacity ? m->capacity * 2 : 16;
        moved *list = realloc(m->list, capacity * sizeof *list);
        if (!list)
            return err_plain(error, LP_NOMEM);
        m->list = list;
        m->capacity = capacity;
    }
    memmove(&m->list[at + 1], &m->list[at], (m->count - at) * sizeof *m->list);
    m->list[at] = (moved){from, rid, to};
    m->count++;
    return LP_OK;
}

static stamp look_up(const moves *m, int64_t rid, stamp old) {
    uint32_t at = place_of(m, old, rid);
    return is_known(m, at, old, rid) ? m->list[at].to : old;
}

/* ---- the entries ---- */

typedef struct target {
    int64_t oseq, rid, boot, boot_ms;
    stamp at, base;
    uint64_t seen;
    int64_t ms; /* where the line puts it */
    bool certain;
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
        list[count++] = (target){.oseq = sqlite3_column_int64(s, 0),
                                 .rid = sqlite3_column_int64(s, 1),
                                 .boot = sqlite3_column_int64(s, 10),
                                 .boot_ms = sqlite3_column_int64(s, 11),
                                 .at = column_stamp(s, 4),
                                 .base = column_stamp(s, 5),
                                 .seen = (uint64_t)sqlite3_column_int64(s, 9)};
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
    return statement_run(r, s, "save", error);
}

/* Backwards: what is not certain comes before what follows it. */
static void place(const clock_line *line, int64_t now_ms, target *list, uint32_t count) {
    int64_t latest_ms = now_ms;
    for (uint32_t i = count; i-- > 0;) {
        target *t = &list[i];
        int64_t before_ms, after_ms;
        t->certain = clock_line_at(line, t->boot, t->boot_ms, &t->ms);
        clock_line_around(line, t->oseq, &before_ms, &after_ms);
        if (!t->certain) {
            latest_ms = after_ms < latest_ms ? after_ms : latest_ms;
            t->ms = stamp_ms(t->at) < latest_ms ? stamp_ms(t->at) : latest_ms;
            t->ms = t->ms > before_ms ? t->ms : before_ms;
        }
        latest_ms = t->ms < latest_ms ? t->ms : latest_ms;
    }
}

/* ---- what is far ahead ---- */

/* This device's own greatest stamp on a record, if that is far ahead of the present. There are few such records. */
typedef struct leading {
    int64_t rid;
    uint64_t time;
} leading;

typedef struct leadings {
    leading *list;
    uint32_t count, capacity;
} leadings;

static leading *find_leading(const leadings *l, int64_t rid) {
    for (uint32_t i = 0; i < l->count; i++)
        if (l->list[i].rid == rid)
            return &l->list[i];
    return NULL;
}

static lp_err note_leading(leadings *l, int64_t rid, uint64_t time, lp_error *error) {
    leading *known = find_leading(l, rid);
    if (known) {
        known->time = time > known->time ? time : known->time;
        return LP_OK;
    }
    if (l->count == l->capacity) {
        uint32_t capacity = l->capacity ? l->capacity * 2 : 16;
        leading *list = realloc(l->list, capacity * sizeof *list);
        if (!list)
            return err_plain(error, LP_NOMEM);
        l->list = list;
        l->capacity = capacity;
    }
    l->list[l->count++] = (leading){rid, time};
    return LP_OK;
}

/* ---- new stamps ---- */

typedef struct restamp {
    outbox_reason why;
    int64_t now_ms;
    uint64_t ahead; /* hybrid time that counts as far ahead of the present */
    bool told;      /* the server has said in this boot what the present is; else what looks ahead may be right */
    uint64_t floor; /* what the next stamp is above */
    moves moves;
    leadings leadings;
} restamp;

static bool is_ahead(const restamp *by, uint64_t time) {
    return by->told && time >= by->ahead;
}

/* The greatest own stamp that the server holds: of what it has judged, and of the batches up to `frozen`, whose verdicts are on
 * their way. One that is far ahead counts for its record only. */
static lp_err find_floor(replica *r, int64_t frozen, restamp *by, lp_error *error) {
    uint64_t judged = (uint64_t)replica_meta_int(r, "clock.judged", 0);
    if (is_ahead(by, judged))
        judged = (uint64_t)replica_meta_int(r, "clock.judged_near", 0);
    by->floor = is_ahead(by, judged) ? 0 : judged;
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_RANGE, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, 0);
    sqlite3_bind_int64(s, 2, frozen);
    lp_err err = LP_OK;
    while (!err && !(err = statement_row(r, s, "read the outbox", error))) {
        stamp at = column_stamp(s, 4);
        if (is_ahead(by, at.time))
            err = note_leading(&by->leadings, sqlite3_column_int64(s, 1), at.time, error);
        else if (at.time > by->floor)
            by->floor = at.time;
    }
    sqlite3_reset(s);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* The same for what the server has judged, of one record. */
static lp_err find_judged(replica *r, restamp *by, int64_t rid, lp_error *error) {
    layers l;
    lp_err err = layers_open_rid(r, rid, &l, error);
    for (uint32_t i = 0; !err && i < l.server.count; i++) {
        stamp at = l.server.regs[i].stamp;
        if (is_ahead(by, at.time) && kept_is_own(r, at.author))
            err = note_leading(&by->leadings, rid, at.time, error);
    }
    layers_close(&l);
    return err;
}

/* The entries of one transaction have one stamp. */
static uint32_t end_of_moment(const target *list, uint32_t first, uint32_t count) {
    uint32_t end = first + 1;
    while (end < count && stamp_compare(list[end].at, list[first].at) == 0)
        end++;
    return end;
}

/* What the authors of these entries had seen, and their changes come after. */
static uint64_t seen_by(const restamp *by, const target *list, uint32_t count) {
    uint64_t seen = 0;
    for (uint32_t i = 0; i < count; i++) {
        stamp base = look_up(&by->moves, list[i].rid, list[i].base);
        uint64_t greater = base.time > list[i].seen ? base.time : list[i].seen;
        const leading *own = find_leading(&by->leadings, list[i].rid);
        greater = own && own->time > greater ? own->time : greater;
        bool counts = by->why == RESTAMP_ESTIMATE || greater < by->ahead;
        if (counts && greater > seen)
            seen = greater;
    }
    return seen;
}

static stamp new_stamp(restamp *by, const target *t, uint64_t seen) {
    /* Moved as a whole, count and all, so that moving by nothing changes nothing. */
    bool stays = t->ms == stamp_ms(t->at);
    uint64_t time = stays ? t->at.time : (uint64_t)t->ms << 16;
    if (time <= by->floor && !BUG(RESTAMP_OUT_OF_ORDER))
        time = hlc_after(by->floor);
    bool leads = time <= seen;
    if (leads)
        time = hlc_after(seen);
    if (!leads || seen < by->ahead)
        by->floor = time;
    return (stamp){time, t->at.author};
}

static lp_err move(replica *r, restamp *by, const target *list, uint32_t count, lp_error *error) {
    lp_err err = LP_OK;
    for (uint32_t i = 0; !err && i < count;) {
        uint32_t end = end_of_moment(list, i, count);
        stamp to = new_stamp(by, &list[i], seen_by(by, &list[i], end - i));
        r->seen = to.time > r->seen ? to.time : r->seen;
        bool leads = to.time != by->floor;
        for (; !err && i < end; i++) {
            stamp base = BUG(RESTAMP_LEAVES_BASES) ? list[i].base : look_up(&by->moves, list[i].rid, list[i].base);
            /* It was repaired away: nothing of what stands was seen. */
            bool gone = stamp_compare(base, to) >= 0;
            err = write_entry(r, &list[i], to, gone ? STAMP_NONE : base, error);
            if (!err)
                err = note(&by->moves, list[i].rid, list[i].at, to, error);
            if (!err && leads)
                err = note_leading(&by->leadings, list[i].rid, to.time, error);
        }
    }
    r->seen = r->clock.last > r->seen ? r->clock.last : r->seen; /* own stamps that stand may be among those ahead */
    r->clock.last = by->floor;
    r->touched = true;
    return err;
}

static lp_err restamp_after(replica *r, int64_t frozen, restamp *by, lp_error *error) {
    target *list = NULL;
    uint32_t count = 0;
    clock_line *line = NULL;
    lp_err err = clock_line_new(r, &line, error);
    if (!err)
        err = collect(r, frozen, &list, &count, error);
    by->told = !err && clock_line_reached(line);
    if (!err)
        err = find_floor(r, frozen, by, error);
    bool judged_ahead = is_ahead(by, (uint64_t)replica_meta_int(r, "clock.judged", 0));
    for (uint32_t i = 0; !err && judged_ahead && i < count; i++)
        err = find_judged(r, by, list[i].rid, error);
    if (!err) {
        place(line, by->now_ms, list, count);
        err = move(r, by, list, count, error);
    }
    for (uint32_t i = 0; !err && i < count; i++)
        if (i == 0 || list[i].rid != list[i - 1].rid)
            err = layers_rebuild(r, list[i].rid, error);
    clock_line_free(line);
    free(list);
    return err;
}

lp_err outbox_restamp(replica *r, uint64_t high, outbox_reason why, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_BATCH_DROP_ABOVE, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, high < INT64_MAX ? (int64_t)high : INT64_MAX);
    int64_t frozen = 0;
    restamp by = {.why = why, .now_ms = clock_now_ms(r)};
    by.ahead = (uint64_t)(by.now_ms + CLOCK_TOLERANCE_MS) << 16;
    lp_err err = statement_run(r, s, "save", error);
    if (!err)
        err = statement_int(r, STATEMENT_BATCH_LAST, &frozen, error);
    if (!err)
        err = restamp_after(r, frozen, &by, error);
    if (!err)
        err = replica_meta_put_int(r, "clock.forced", 0, error);
    if (!err)
        err = replica_meta_put_int(r, "clock.corrections", replica_meta_int(r, "clock.corrections", 0) + 1, error);
    free(by.moves.list);
    free(by.leadings.list);
    return err;
}
