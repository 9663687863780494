/* doctor_outbox.c - the outbox, its batches, what was refused and what is past; see doctor.h and outbox.h. */
#include <inttypes.h>

#include "client/doctor/checks.h"
#include "client/doctor/doctor.h"
#include "client/replica/statements.h"
#include "proto/err.h"
#include "proto/wire.h"

typedef lp_err (*row_fn)(doctor *d, sqlite3_stmt *s, int64_t *before);

static lp_err each_row(doctor *d, const char *area, const char *sql, row_fn fn, lp_error *error) {
    sqlite3_stmt *s = NULL;
    int step = SQLITE_ERROR;
    int64_t before = 0;
    lp_err err = LP_OK;
    if (sqlite3_prepare_v2(d->r->db, sql, -1, &s, NULL) == SQLITE_OK)
        while (!err && (step = sqlite3_step(s)) == SQLITE_ROW)
            err = fn(d, s, &before);
    if (err)
        err_plain(error, err);
    else if (step != SQLITE_DONE)
        err = doctor_unreadable(d, area, error);
    sqlite3_finalize(s);
    return err;
}

static bool is_stamp(sqlite3_stmt *s, int column) {
    return column_span(s, column).size == STAMP_BYTES;
}

/* oseq, stamp, base, count, body, whether the record is there */
static lp_err check_outbox_row(doctor *d, sqlite3_stmt *s, int64_t *before) {
    (void)before;
    int64_t oseq = sqlite3_column_int64(s, 0), count = sqlite3_column_int64(s, 3);
    lp_err err = check_entry(column_span(s, 4), count);
    if (err == LP_NOMEM)
        return err;
    bool reads = is_stamp(s, 1) && is_stamp(s, 2) && !err;
    d->checkup->unsent += count > 0 ? (uint64_t)count : 0;
    if (!reads || stamp_is_none(column_stamp(s, 1)))
        doctor_found(d, "outbox", false, ADVICE_RESCUE, "unsent change %" PRId64 " cannot be read", oseq);
    else if (!sqlite3_column_int(s, 5))
        doctor_found(d, "outbox", false, ADVICE_RESCUE, "the record of unsent change %" PRId64 " is gone", oseq);
    return LP_OK;
}

/* number, first, last, in order of number; *before: where the last one ended. Invariant (2) of outbox.h. */
static lp_err check_batch(doctor *d, sqlite3_stmt *s, int64_t *before) {
    int64_t number = sqlite3_column_int64(s, 0), first = sqlite3_column_int64(s, 1), last = sqlite3_column_int64(s, 2);
    if (first <= *before || last < first || number <= 0 || number > replica_meta_int(d->r, "batch.last", 0))
        doctor_found(d, "outbox", false, ADVICE_RESCUE, "batch %" PRId64 " of unsent changes is not what it was cut as",
                     number);
    *before = last;
    return LP_OK;
}

/* stamp, value, whether the record is there */
static lp_err check_refused_row(doctor *d, sqlite3_stmt *s, int64_t *before) {
    (void)before;
    d->checkup->refused++;
    if (!is_stamp(s, 0) || wire_scan(column_span(s, 1), NULL) != LP_OK)
        doctor_found(d, "refused", false, ADVICE_RESCUE, "a refused change cannot be read");
    else if (!sqlite3_column_int(s, 2))
        doctor_found(d, "refused", false, ADVICE_RESCUE, "the record of a refused change is gone");
    return LP_OK;
}

static lp_err check_past_row(doctor *d, sqlite3_stmt *s, int64_t *before) {
    (void)before;
    lp_err err = check_entry(column_span(s, 1), 1);
    if (err == LP_NOMEM)
        return err;
    if (!is_stamp(s, 0) || err)
        doctor_found(d, "history", false, ADVICE_RESCUE, "an older value of a record cannot be read");
    return LP_OK;
}

lp_err doctor_outbox(doctor *d, lp_error *error) {
    lp_err err =
        each_row(d, "outbox",
                 "SELECT o.oseq, o.stamp, o.base, o.count, o.body, EXISTS(SELECT 1 FROM record r WHERE r.rid = o.rid)"
                 " FROM outbox o ORDER BY o.oseq",
                 check_outbox_row, error);
    if (!err)
        err = each_row(d, "outbox", "SELECT number, first, last FROM batch ORDER BY number", check_batch, error);
    if (!err)
        err = each_row(d, "refused",
                       "SELECT stamp, value, EXISTS(SELECT 1 FROM record r WHERE r.rid = f.rid) FROM refused f",
                       check_refused_row, error);
    return err ? err : each_row(d, "history", "SELECT stamp, body FROM past", check_past_row, error);
}
