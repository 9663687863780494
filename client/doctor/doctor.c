/* doctor.c - the course of a check, what is not about single records, and the repairs; see doctor.h. */
#include "client/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/replica/layers.h"
#include "client/sync/pull.h"
#include "client/find/search.h"
#include "client/replica/statements.h"
#include "proto/err.h"

#define TEXT_BYTES 256

void doctor_found(doctor *d, const char *area, bool repairable, const char *advice, const char *format, ...) {
    char text[TEXT_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    d->checkup->findings++;
    d->repairable += repairable;
    lp_finding finding = {.area = area, .text = text, .advice = advice, .repairable = repairable};
    if (d->each)
        d->each(d->ctx, &finding);
}

void doctor_waits(doctor *d, const char *area, const char *advice, const char *format, ...) {
    char text[TEXT_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    lp_finding finding = {.area = area, .text = text, .advice = advice, .waits = true};
    if (d->each)
        d->each(d->ctx, &finding);
}

lp_err doctor_unreadable(doctor *d, const char *area, lp_error *error) {
    lp_error why = {0};
    lp_err err = replica_sql_error(d->r, "read the replica", &why);
    if (err != LP_CORRUPT)
        return err_set(error, err, "%s", why.message);
    doctor_found(d, area, false, ADVICE_RESCUE, "the part of the file that holds the %s cannot be read: %s", area,
                 sqlite3_errmsg(d->r->db));
    return LP_OK;
}

/* ---- the file ---- */

/* SQLite's words for an index that does not fit its table; all else is damage to the tables. */
static bool is_about_an_index(const char *text) {
    return strstr(text, "missing from index") || strstr(text, "wrong # of entries in index") ||
           strstr(text, "non-unique entry in index");
}

static lp_err check_file(doctor *d, lp_error *error) {
    sqlite3_stmt *s = NULL;
    int step = SQLITE_ERROR;
    if (sqlite3_prepare_v2(d->r->db, "PRAGMA integrity_check(20)", -1, &s, NULL) == SQLITE_OK)
        while ((step = sqlite3_step(s)) == SQLITE_ROW) {
            const char *text = (const char *)sqlite3_column_text(s, 0);
            if (!text || strcmp(text, "ok") == 0)
                continue;
            bool index = is_about_an_index(text);
            d->reindex |= index;
            doctor_found(d, "file", index, index ? ADVICE_REPAIR : ADVICE_RESCUE, "the file is damaged: %s", text);
        }
    lp_err err = step == SQLITE_DONE ? LP_OK : doctor_unreadable(d, "file", error);
    sqlite3_finalize(s);
    return err;
}

/* ---- cursors ---- */

static lp_err check_cursors(doctor *d, lp_error *error) {
    buf cursors = {0};
    bool known;
    lp_error why = {0};
    lp_err err = pull_cursors(d->r, &cursors, &known, &why);
    buf_fini(&cursors);
    if (err == LP_CORRUPT) {
        d->reread = true;
        doctor_found(d, "cursor", true, ADVICE_REPAIR, "how far a scope was read does not make sense");
        return LP_OK;
    }
    return err ? err_set(error, err, "%s", why.message) : LP_OK;
}

/* ---- the search index ---- */

/* Rows that are in the index with another text than theirs are found by the texts themselves: search.c makes them anew and compares. */
static lp_err check_index(doctor *d, lp_error *error) {
    if (d->r->read_only)
        return LP_OK;
    bool sound;
    lp_err err = search_check(d->r, &sound, error);
    if (!err && !sound) {
        d->index = true;
        doctor_found(d, "search", true, ADVICE_REPAIR, "the search index is not that of the records");
    }
    return err;
}

/* ---- the whole ---- */

lp_err doctor_check(doctor *d, lp_error *error) {
    replica *r = d->r;
    const replica_lock *lock = r->lock;
    lp_err err = LP_OK;
    d->checkup->read_only = r->read_only;
    if (!r->read_only) { /* takes the digests and the clock into the handle */
        err = replica_begin(r, error);
        replica_rollback(r);
    }
    if (!err && lock)
        err = lock->acquire(lock->ctx, error);
    if (err)
        return err;
    sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL);
    err = check_file(d, error);
    if (!err)
        err = doctor_records(d, error);
    if (!err)
        err = doctor_outbox(d, error);
    if (!err)
        err = doctor_waiting(d, error);
    if (!err)
        err = check_cursors(d, error);
    if (!err)
        err = check_index(d, error);
    sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL); /* nothing was written but what is marked, in memory */
    if (lock)
        lock->release(lock->ctx);
    return err;
}

/* ---- repairs ---- */

/* Stores the record as it stands: that makes its columns anew. */
static lp_err store_again(doctor *d, int64_t rid, lp_error *error) {
    layers l;
    lp_id id = {{0}};
    replica_row row;
    lp_err err = replica_load_rid(d->r, rid, &row, error);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    id = row.id;
    uint32_t kind = row.kind;
    statement(d->r, STATEMENT_ROW_BY_RID, NULL); /* ends it: a table that is read cannot be dropped later */
    err = layers_open(d->r, kind, &id, &l, error);
    l.unsent = l.layered;
    if (!err)
        err = layers_save(d->r, &l, error);
    layers_close(&l);
    return err;
}

static lp_err each_marked(doctor *d, const char *sql, lp_err (*fn)(doctor *d, int64_t rid, lp_error *error),
                          lp_error *error) {
    sqlite3_stmt *s = NULL;
    lp_err err =
        sqlite3_prepare_v2(d->r->db, sql, -1, &s, NULL) == SQLITE_OK ? LP_OK : replica_sql_error(d->r, "repair", error);
    while (!err && sqlite3_step(s) == SQLITE_ROW)
        err = fn(d, sqlite3_column_int64(s, 0), error);
    sqlite3_finalize(s);
    return err;
}

static lp_err rebuild(doctor *d, int64_t rid, lp_error *error) {
    return layers_rebuild(d->r, rid, error);
}

static lp_err repair(doctor *d, lp_error *error) {
    lp_err err = d->reindex ? replica_run_sql(d->r, "REINDEX", "repair", error) : LP_OK;
    if (!err && d->visible)
        err = each_marked(d, "SELECT rid FROM temp.doctor_mark WHERE visible", rebuild, error);
    if (!err && d->columns)
        err = each_marked(d, "SELECT rid FROM temp.doctor_mark WHERE NOT visible", store_again, error);
    if (!err && d->reread) {
        for (uint32_t i = 0; i < d->r->scopes.count; i++) {
            held_scope *scope = &d->r->scopes.list[i];
            scope->sum = d->sums[scope->number];
            scope->changed = true;
        }
        err = pull_forget_cursors(d->r, error);
    }
    if (!err && d->index)
        err = search_remake(d->r, error);
    d->r->touched = true;
    return err;
}

lp_err doctor_repair(doctor *d, lp_error *error) {
    bool beyond = d->repairable < d->checkup->findings;
    if (beyond)
        return err_set(error, LP_CORRUPT, "the replica is damaged beyond repair; " ADVICE_RESCUE);
    lp_err err = replica_begin(d->r, error);
    if (err)
        return err;
    err = repair(d, error);
    if (err) {
        replica_rollback(d->r);
        return err;
    }
    err = replica_commit(d->r, error);
    if (!err)
        d->checkup->repaired = d->repairable;
    return err;
}
