/* doctor_records.c - every record against itself, its columns, its two layers and the digests; see doctor.h.
 *
 * A record's value stands in the file more than once: visible and server layer, derived columns, the digest over all server layers. That is
 * why a flipped bit is found although SQLite has no checksums. */
#include <string.h>

#include "client/doctor/checks.h"
#include "client/doctor/doctor.h"
#include "client/replica/fields.h"
#include "client/replica/holdings.h"
#include "client/replica/outbox.h"
#include "client/replica/statements.h"
#include "proto/err.h"
#include "proto/merge.h"

#define FIXED_COLUMNS 10
#define REPORTS_MAX 20 /* of one sort; what follows is more of the same */

/* What one walk over the records keeps. */
typedef struct walk {
    doctor *d;
    sqlite3_stmt *rows, *columns, *mark;
    record visible, server, rebuilt;
    buf unacked;
    uint32_t told;
    bool whole; /* every record was read: the sums say something */
} walk;

static const char rows_sql[] =
    "SELECT r.rid, r.id, r.kind, r.deleted, r.unsent, r.body, r.stamps, r.server_body, r.server_stamps,"
    " EXISTS(SELECT 1 FROM outbox o WHERE o.rid = r.rid), r.held FROM record r ORDER BY r.rid";

/* SELECT (c_a IS ?2) + ... FROM record WHERE rid = ?1: how many columns are what the body says. */
static lp_err prepare_columns(walk *w, lp_error *error) {
    buf sql = {0};
    const char *type;
    char text[80];
    buf_append_span(&sql, SPAN_LITERAL("SELECT 0"));
    for (uint32_t i = 0; fields_column(i, &type); i++) {
        sqlite3_snprintf(sizeof text, text, " + (%s IS ?%u)", fields_column(i, &type), i + 2);
        buf_append_span(&sql, span_text(text));
    }
    buf_append(&sql, " FROM record WHERE rid = ?1", sizeof " FROM record WHERE rid = ?1");
    lp_err err = sql.failed ? err_plain(error, LP_NOMEM) : LP_OK;
    if (!err && sqlite3_prepare_v2(w->d->r->db, (const char *)sql.data, -1, &w->columns, NULL) != SQLITE_OK)
        err = replica_sql_error(w->d->r, "check the records", error);
    buf_fini(&sql);
    return err;
}

static lp_err mark(walk *w, int64_t rid, bool visible, lp_error *error) {
    sqlite3_bind_int64(w->mark, 1, rid);
    sqlite3_bind_int(w->mark, 2, visible);
    int step = sqlite3_step(w->mark);
    lp_err err = step == SQLITE_DONE ? LP_OK : replica_sql_error(w->d->r, "check the records", error);
    sqlite3_reset(w->mark);
    w->d->visible |= visible;
    w->d->columns |= !visible;
    return err;
}

static void tell(walk *w, const lp_id *id, bool repairable, const char *what) {
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(id, text);
    w->told++;
    if (w->told <= REPORTS_MAX)
        doctor_found(w->d, "record", repairable, repairable ? ADVICE_REPAIR : ADVICE_RESCUE, "record %s %s", text,
                     what);
}

/* ---- one record ---- */

static lp_err columns_agree(walk *w, int64_t rid, bool deleted, bool *agree_out, lp_error *error) {
    const field_layout *layout = w->d->r->layout;
    sqlite3_reset(w->columns);
    sqlite3_bind_int64(w->columns, 1, rid);
    bool known =
        fields_bind_layout(w->columns, 2, layout, &w->visible) == SQLITE_OK && sqlite3_step(w->columns) == SQLITE_ROW;
    lp_err err = known ? LP_OK : replica_sql_error(w->d->r, "check the records", error);
    *agree_out = known && sqlite3_column_int64(w->columns, 0) == (int64_t)layout->count &&
                 deleted == record_deleted(&w->visible);
    sqlite3_reset(w->columns);
    return err;
}

static lp_err merge_unacked(void *ctx, const reg *change, lp_error *error) {
    return merge_change(ctx, change, NULL) == MERGE_NOMEM ? err_plain(error, LP_NOMEM) : LP_OK;
}

/* Invariant (2) of replica.h: visible is the server layer with every unacked change. */
static lp_err layers_agree(walk *w, int64_t rid, bool *agree_out, lp_error *error) {
    buf body[2] = {{0}}, stamps[2] = {{0}};
    lp_err err = LP_OK;
    record_clear(&w->rebuilt);
    w->rebuilt.kind = w->visible.kind;
    for (uint32_t i = 0; !err && i < w->server.count; i++)
        err = merge_unacked(&w->rebuilt, &w->server.regs[i], error);
    buf_clear(&w->unacked);
    if (!err)
        err = outbox_each(w->d->r, rid, &w->unacked, merge_unacked, &w->rebuilt, error);
    *agree_out = true;
    if (err == LP_CORRUPT) /* the outbox's check tells it */
        return LP_OK;
    if (!err)
        err = record_pack(&w->rebuilt, &body[0], &stamps[0], error);
    if (!err)
        err = record_pack(&w->visible, &body[1], &stamps[1], error);
    *agree_out =
        span_equal(buf_span(&body[0]), buf_span(&body[1])) && span_equal(buf_span(&stamps[0]), buf_span(&stamps[1]));
    for (int i = 0; i < 2; i++) {
        buf_fini(&body[i]);
        buf_fini(&stamps[i]);
    }
    return err;
}

static void sum_up(walk *w, const record *server, const lp_id *id, uint64_t held) {
    digest sum = {0};
    for (uint32_t i = 0; w->d->r->digester && held && i < server->count; i++)
        digest_add(w->d->r->digester, &sum, server->kind, id, &server->regs[i]);
    for (uint32_t i = 0; i < HELD_SCOPES_MAX; i++)
        if (held >> i & 1)
            digest_plus(&w->d->sums[i], sum);
}

static lp_err check_row(walk *w, lp_error *error) {
    sqlite3_stmt *s = w->rows;
    int64_t rid = sqlite3_column_int64(s, 0);
    lp_id id = {{0}};
    bool layered = sqlite3_column_type(s, 7) != SQLITE_NULL, queued = sqlite3_column_int(s, 9);
    bool named = id_from_span(column_span(s, 1), &id);
    w->visible.kind = w->server.kind = (uint32_t)sqlite3_column_int64(s, 2);
    w->visible.id = w->server.id = w->rebuilt.id = id;
    w->d->checkup->records++;
    lp_err visible = check_record(&w->visible, column_span(s, 5), column_span(s, 6));
    lp_err server = layered ? check_record(&w->server, column_span(s, 7), column_span(s, 8)) : LP_OK;
    if (visible == LP_NOMEM || server == LP_NOMEM)
        return err_plain(error, LP_NOMEM);
    bool reads = named && !visible, server_reads = !server;
    w->whole &= server_reads && (layered || reads);
    if (!reads || !server_reads) {
        /* What is visible can be made anew from the server's layer, but not the other way round. */
        tell(w, &id, named && layered && server_reads, "cannot be read");
        return named && layered && server_reads ? mark(w, rid, true, error) : LP_OK;
    }
    sum_up(w, layered ? &w->server : &w->visible, &id, (uint64_t)sqlite3_column_int64(s, 10));
    if (queued != layered) {
        tell(w, &id, false,
             queued ? "has unsent changes but no server's layer" : "has a server's layer but no unsent changes");
        return LP_OK;
    }
    bool agree = true;
    lp_err err = layered ? layers_agree(w, rid, &agree, error) : LP_OK;
    if (err)
        return err;
    if (!agree) {
        tell(w, &id, true, "shows something else than the server's values and the unsent changes");
        return mark(w, rid, true, error);
    }
    err = columns_agree(w, rid, sqlite3_column_int(s, 3) != 0, &agree, error);
    if (err || (agree && queued == (sqlite3_column_int(s, 4) != 0)))
        return err;
    tell(w, &id, true, "is listed under other values than it has");
    return mark(w, rid, false, error);
}

/* ---- all of them ---- */

/* Invariant (4). */
static void compare_digests(walk *w) {
    doctor *d = w->d;
    bool same = true;
    for (uint32_t i = 0; i < d->r->scopes.count; i++)
        same &= digest_equal(d->sums[d->r->scopes.list[i].number], d->r->scopes.list[i].sum);
    if (same || !w->whole || d->r->read_only || !d->r->digester)
        return;
    d->reread = true;
    doctor_found(d, "digest", true, ADVICE_REPAIR " and sync: everything is read again",
                 "the records are not those the digest was made of: a value has changed by itself");
}

static lp_err open_walk(walk *w, lp_error *error) {
    sqlite3 *db = w->d->r->db;
    record_init(&w->visible, 0, &(lp_id){{0}});
    record_init(&w->server, 0, &(lp_id){{0}});
    record_init(&w->rebuilt, 0, &(lp_id){{0}});
    sqlite3_exec(
        db, "DROP TABLE IF EXISTS temp.doctor_mark; CREATE TEMP TABLE doctor_mark(rid INTEGER PRIMARY KEY, visible)",
        NULL, NULL, NULL);
    if (sqlite3_prepare_v2(db, rows_sql, -1, &w->rows, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO temp.doctor_mark VALUES(?1, ?2)", -1, &w->mark, NULL) !=
            SQLITE_OK)
        return doctor_unreadable(w->d, "record", error);
    lp_err err = holdings_load(w->d->r, error);
    return err ? err : prepare_columns(w, error);
}

lp_err doctor_records(doctor *d, lp_error *error) {
    walk w = {.d = d, .whole = true};
    int step = SQLITE_ERROR;
    lp_err err = open_walk(&w, error);
    while (!err && w.rows && (step = sqlite3_step(w.rows)) == SQLITE_ROW)
        err = check_row(&w, error);
    if (!err && w.rows && step != SQLITE_DONE) {
        w.whole = false;
        err = doctor_unreadable(d, "record", error);
    }
    if (!err && w.told > REPORTS_MAX)
        doctor_found(d, "record", true, ADVICE_REPAIR, "%u more records are like these", w.told - REPORTS_MAX);
    if (!err)
        compare_digests(&w);
    sqlite3_finalize(w.rows);
    sqlite3_finalize(w.columns);
    sqlite3_finalize(w.mark);
    record_fini(&w.visible);
    record_fini(&w.server);
    record_fini(&w.rebuilt);
    buf_fini(&w.unacked);
    return err;
}
