/* sqlite_drop.c - taking away for good: rows, history, and what is left of them in the files.
 *
 * SQLite overwrites what is deleted with zeros (secure_delete), but in the log, and the database file keeps the old page until a
 * checkpoint; the log keeps old frames until it is cut; and pages that were split keep copies in their unused middles. So a scrub copies all of the
 * log into the database, cuts it to nothing, and writes zeros over the middles. */
#include <assert.h>

#include "proto/err.h"
#include "proto/middles.h"
#include "server/store/sqlite.h"

#define SCRUB_BUSY_MS 50 /* the commit thread waits no longer than this for readers to be done with the log */
#define BUSY_MS 5000

lp_err sqlite_rows(store *base, bool deleted_only, store_row_fn each, void *ctx, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    if (err)
        return err;
    sqlite3_stmt *statement;
    err = sql_take(&s->conn, SQL_ROWS, &statement, error);
    if (err)
        return sqlite_note(s, err);
    sqlite3_bind_int(statement, 1, deleted_only);
    while ((err = sql_step(&s->conn, statement, error)) == LP_OK) {
        store_row row = {0};
        sql_row(statement, 1, &row);
        bool readable = id_from_span(sql_span(statement, 0), &row.id);
        if (readable && each(ctx, &row))
            continue;
        sqlite3_reset(statement);
        return readable ? LP_OK : sqlite_note(s, sql_failed(&s->conn, SQLITE_CORRUPT, error));
    }
    return err == LP_NOT_FOUND ? LP_OK : sqlite_note(s, err);
}

static lp_err drop(sqlite_store *s, sql_statement which, uint64_t rid, uint64_t *count_out, lp_error *error) {
    sqlite3_stmt *statement;
    lp_err err = sql_take(&s->conn, which, &statement, error);
    if (err)
        return err;
    sqlite3_bind_int64(statement, 1, (int64_t)rid);
    err = sql_run(&s->conn, statement, error);
    *count_out = err ? 0 : (uint64_t)sqlite3_changes(s->conn.db);
    return err;
}

lp_err sqlite_drop_history(store *base, const lp_id *id, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    sql_seen *seen;
    uint64_t count;
    lp_err err = sqlite_usable(s, error);
    if (!err)
        err = sqlite_find(s, id, &seen, error);
    if (err || seen->rid == 0)
        return sqlite_note(s, err);
    err = drop(s, SQL_DROP_HISTORY, seen->rid, &count, error);
    s->now.history -= count;
    return sqlite_note(s, err);
}

lp_err sqlite_drop_row(store *base, const lp_id *id, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    sql_seen *seen;
    uint64_t count;
    lp_err err = sqlite_usable(s, error);
    if (!err)
        err = sqlite_find(s, id, &seen, error);
    if (err || !seen->has_row)
        return sqlite_note(s, err);
    err = drop(s, SQL_DROP_ROW, seen->rid, &count, error);
    if (err)
        return sqlite_note(s, err);
    s->now.records -= count;
    s->now.leads -= seen->live_lead;
    seen->has_row = seen->live_lead = false;
    return LP_OK;
}

/* ---- files ---- */

static bool read_at(void *ctx, void *bytes, size_t size, uint64_t at) {
    sqlite3_file *file = ctx;
    return file->pMethods->xRead(file, bytes, (int)size, (sqlite3_int64)at) == SQLITE_OK;
}

static bool write_at(void *ctx, const void *bytes, size_t size, uint64_t at) {
    sqlite3_file *file = ctx;
    return file->pMethods->xWrite(file, bytes, (int)size, (sqlite3_int64)at) == SQLITE_OK;
}

/* What the connection keeps of pages goes first: it would bring the copies back. Readers keep them too, and write nothing. */
static bool wipe_middles(sql_conn *c) {
    sqlite3_file *file = NULL;
    sqlite3_int64 size;
    if (sqlite3_db_release_memory(c->db) != SQLITE_OK ||
        sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || !file->pMethods ||
        file->pMethods->xFileSize(file, &size) != SQLITE_OK)
        return false;
    return middles_wipe(&(middles_file){file, (uint64_t)size, read_at, write_at}) &&
           file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}

/* A log that was cut comes back whole with the next failure of the disk, unless the disk was waited for. */
static bool sync_log(sql_conn *c) {
    sqlite3_file *file = NULL;
    return sqlite3_file_control(c->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK && file &&
           (!file->pMethods || file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK);
}

lp_err sqlite_scrub(store *base, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    assert(!s->open);
    if (s->doubtful)
        return err_set(error, LP_BUSY, "the last commit of %s is in doubt", s->path);
    sqlite3_busy_timeout(s->conn.db, SCRUB_BUSY_MS);
    int result = sqlite3_wal_checkpoint_v2(s->conn.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(s->conn.db, BUSY_MS);
    if (result != SQLITE_OK)
        return sql_failed(&s->conn, result, error);
    s->wal_pages = s->wal_pages_held = 0;
    return sync_log(&s->conn) && wipe_middles(&s->conn) ? LP_OK : sql_failed(&s->conn, SQLITE_IOERR, error);
}
