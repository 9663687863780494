/* sqlite_verify.c - is what is stored whole? Reads everything in the reader's snapshot and stops at the first damage.
 *
 * Checked: SQLite's own structures; that every row unpacks, agrees with its columns and has an id that leads back to it; that
 * every history entry belongs to an id; that no seq is 0, above the pool's last, or used twice among rows or among history;
 * that the counters are what counting gives.
 * Not checked, because the store does not promise it: that every seq is found in a row or in history. A change set that
 * history held already keeps the number it was given. */
#include <assert.h>
#include <inttypes.h>

#include "proto/err.h"
#include "server/store/check.h"
#include "server/store/sqlite.h"

#define STEPS_A_REPORT 1000000 /**< of SQLite's machine, while one long statement runs */
#define ROWS_A_REPORT 1024

typedef struct check {
    sqlite_reader *reader;
    store_progress_fn progress;
    void *ctx;
    uint64_t done, total;
    uint64_t leads;
} check;

static int report(void *ctx) {
    check *k = ctx;
    return k->progress && !k->progress(k->ctx, k->done, k->total);
}

static lp_err count_one(check *k, lp_error *error) {
    if (++k->done % ROWS_A_REPORT != 0 || !report(k))
        return LP_OK;
    return err_set(error, LP_CLOSED, "the check of %s was given up", k->reader->conn.path);
}

static lp_err check_structure(check *k, sqlite3_stmt *statement, lp_error *error) {
    span text = sql_span(statement, 0);
    if (span_equal(text, SPAN_LITERAL("ok")))
        return LP_OK;
    return err_set(error, LP_CORRUPT, "%s is damaged: %.*s", k->reader->conn.path, (int)text.size,
                   (const char *)text.data);
}

static lp_err check_record(check *k, sqlite3_stmt *statement, lp_error *error) {
    store_row row = {0};
    if (!id_from_span(sql_span(statement, 0), &row.id))
        return err_set(error, LP_CORRUPT, "a record of %s has no id", k->reader->conn.path);
    sql_row(statement, 1, &row);
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(&row.id, text);
    if (!sqlite3_column_int(statement, 7))
        return err_set(error, LP_CORRUPT, "record %s is not found by its id", text);
    k->leads += row.kind == KIND_LEAD && !row.deleted;
    record scratch;
    record_init(&scratch, row.kind, &row.id);
    lp_err err = check_row(&row, k->reader->tally.last_seq, &scratch, error);
    record_fini(&scratch);
    return err ? err : count_one(k, error);
}

static lp_err check_entry(check *k, sqlite3_stmt *statement, lp_error *error) {
    uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 2);
    if (sql_span(statement, 0).size != STAMP_BYTES || sql_span(statement, 1).size != sizeof(lp_id))
        return err_set(error, LP_CORRUPT, "the history entry with seq %" PRIu64 " is damaged", seq);
    if (!sqlite3_column_int(statement, 3))
        return err_set(error, LP_CORRUPT, "the history entry with seq %" PRIu64 " belongs to no record", seq);
    return count_one(k, error);
}

typedef lp_err (*check_fn)(check *k, sqlite3_stmt *statement, lp_error *error);

static lp_err check_each(check *k, sql_statement which, check_fn each, lp_error *error) {
    sql_conn *c = &k->reader->conn;
    sqlite3_stmt *statement;
    lp_err err = sql_take(c, which, &statement, error);
    if (err)
        return err;
    while ((err = sql_step(c, statement, error)) == LP_OK) {
        err = each(k, statement, error);
        if (err) {
            sqlite3_reset(statement);
            return err;
        }
    }
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* The statement answers seqs in order. *count_out: how many. */
static lp_err check_seqs(check *k, sql_statement which, const char *where, uint64_t *count_out, lp_error *error) {
    sql_conn *c = &k->reader->conn;
    sqlite3_stmt *statement;
    lp_err err = sql_take(c, which, &statement, error);
    if (err)
        return err;
    uint64_t before = 0;
    *count_out = 0;
    while ((err = sql_step(c, statement, error)) == LP_OK) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 0);
        bool good = seq > before && seq <= k->reader->tally.last_seq;
        if (good) {
            before = seq;
            ++*count_out;
            continue;
        }
        sqlite3_reset(statement);
        return err_set(error, LP_CORRUPT, "seq %" PRIu64 " in %s of %s is %s", seq, where, c->path,
                       seq == before && seq ? "there twice" : "outside the pool's order");
    }
    return err == LP_NOT_FOUND ? LP_OK : err;
}

static lp_err check_all(check *k, lp_error *error) {
    const sql_tally *tally = &k->reader->tally;
    uint64_t records = 0, history = 0;
    lp_err err = check_each(k, SQL_CHECK, check_structure, error);
    if (err == LP_OK)
        err = check_each(k, SQL_CHECK_RECORDS, check_record, error);
    if (err == LP_OK)
        err = check_seqs(k, SQL_CHECK_RECORD_SEQS, "the records", &records, error);
    if (err == LP_OK)
        err = check_each(k, SQL_CHECK_HISTORY, check_entry, error);
    if (err == LP_OK)
        err = check_seqs(k, SQL_CHECK_HISTORY_SEQS, "the history", &history, error);
    if (err)
        return err;
    if (records != tally->records || history != tally->history || k->leads != tally->leads)
        return err_set(error, LP_CORRUPT,
                       "%s counts %" PRIu64 " records, %" PRIu64 " history, %" PRIu64 " leads, but holds %" PRIu64
                       ", %" PRIu64 ", %" PRIu64,
                       k->reader->conn.path, tally->records, tally->history, tally->leads, records, history, k->leads);
    return LP_OK;
}

lp_err sqlite_verify(store_reader *base, store_progress_fn progress, void *ctx, lp_error *error) {
    sqlite_reader *r = (sqlite_reader *)base;
    assert(r->open);
    check k = {.reader = r, .progress = progress, .ctx = ctx, .total = r->tally.records + r->tally.history};
    sqlite3_progress_handler(r->conn.db, STEPS_A_REPORT, report, &k);
    lp_err err = check_all(&k, error);
    sqlite3_progress_handler(r->conn.db, 0, NULL, NULL);
    return err;
}
