/* sqlite_transaction.c - the writer's transactions: begin, commit, savepoints, and the log's checkpoints.
 *
 * The tally (seqs handed out, counts, the last rid) lives in memory while a transaction is open, is remembered at a savepoint
 * and written once, in the commit. So take_seq costs nothing, and undo and rollback give everything back by assignment.
 *
 * Invariants:
 *   (1) s->last is what the counter row on disk says.
 *   (2) Once something in a transaction failed, nothing but rollback succeeds: SQLite may have rolled back by itself, and what
 *       followed would run, and commit, on its own.
 *   (3) After a commit that failed with LP_IO nothing begins: what is on disk is known only to whoever opens the file anew.
 *   (4) Only this connection checkpoints, after a commit, and the commit's answer neither depends on it nor, but for a very long
 *       log, waits for it. */
#include <assert.h>
#include <string.h>

#include "proto/bug.h"
#include "proto/err.h"
#include "server/store/sqlite.h"

#define WAL_PAGES_DUE (4 * 1024 * 1024 / POOL_PAGE_BYTES)  /**< checkpoint a log longer than this when at rest */
#define WAL_PAGES_MAX (64 * 1024 * 1024 / POOL_PAGE_BYTES) /**< and one longer than this without waiting for a rest */

static void forget_all(sqlite_store *s) {
    for (int i = 0; i < SEEN_COUNT; i++)
        s->seen[i].valid = false;
}

lp_err sqlite_usable(sqlite_store *s, lp_error *error) {
    assert(s->open);
    if (s->failed)
        return err_set(error, s->failed, "the transaction on %s has failed; roll it back", s->path);
    return LP_OK;
}

lp_err sqlite_note(sqlite_store *s, lp_err err) {
    if (err && err != LP_NOT_FOUND)
        s->failed = err;
    return err;
}

static int count_pages(void *ctx, sqlite3 *db, const char *name, int pages) {
    (void)db;
    (void)name;
    ((sqlite_store *)ctx)->wal_pages = pages;
    return SQLITE_OK;
}

void sqlite_watch_log(sqlite_store *s) {
    sqlite3_wal_hook(s->conn.db, count_pages, s);
}

lp_err sqlite_begin(store *base, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    assert(!s->open);
    lp_err err = s->doubtful ? sqlite_reopen(s, error) : LP_OK;
    if (err == LP_OK)
        err = sql_do(&s->conn, SQL_BEGIN, error);
    if (err)
        return err;
    s->open = true;
    s->failed = LP_OK;
    s->marked = false;
    s->now = s->last;
    return LP_OK;
}

static lp_err store_tally(sqlite_store *s, lp_error *error) {
    if (memcmp(&s->now, &s->last, sizeof s->now) == 0)
        return LP_OK;
    sqlite3_stmt *statement;
    lp_err err = sql_take(&s->conn, SQL_COUNT, &statement, error);
    if (err)
        return err;
    sqlite3_bind_int64(statement, 1, (int64_t)s->now.last_seq);
    sqlite3_bind_int64(statement, 2, (int64_t)s->now.leads);
    sqlite3_bind_int64(statement, 3, (int64_t)s->now.records);
    sqlite3_bind_int64(statement, 4, (int64_t)s->now.history);
    sqlite3_bind_int64(statement, 5, (int64_t)s->now.last_rid);
    return sql_run(&s->conn, statement, error);
}

/* Waits for the disk twice, so it is not for between two commits that somebody waits for. One that fails or is held up by a
 * reader is tried again once the log has grown as much again: the commits are safe in the log either way. */
static void checkpoint_if_due(sqlite_store *s, int pages_due) {
    if (s->wal_pages < s->wal_pages_held + pages_due)
        return;
    int pages = 0, done = -1;
    int result = sqlite3_wal_checkpoint_v2(s->conn.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
    bool whole = result == SQLITE_OK && pages == done;
    s->wal_pages_held = whole ? 0 : s->wal_pages;
    if (whole)
        s->wal_pages = 0;
}

void sqlite_rest(store *base) {
    sqlite_store *s = (sqlite_store *)base;
    assert(!s->open);
    if (!s->doubtful)
        checkpoint_if_due(s, WAL_PAGES_DUE);
}

lp_err sqlite_commit(store *base, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    assert(!s->marked);
    lp_err err = sqlite_usable(s, error);
    if (err == LP_OK)
        err = store_tally(s, error);
    if (err == LP_OK) {
        err = sql_do(&s->conn, SQL_COMMIT, error);
        s->doubtful = err == LP_IO;
    }
    if (err) {
        sqlite_rollback(base);
        return err;
    }
    s->open = false;
    s->last = s->now;
    checkpoint_if_due(s, WAL_PAGES_MAX);
    return LP_OK;
}

void sqlite_rollback(store *base) {
    sqlite_store *s = (sqlite_store *)base;
    if (!s->open)
        return;
    if (!sqlite3_get_autocommit(s->conn.db))
        sql_exec(&s->conn, "ROLLBACK", NULL);
    s->open = false;
    s->marked = false;
    s->failed = LP_OK;
    forget_all(s);
}

lp_err sqlite_savepoint(store *base, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    if (err)
        return err;
    assert(!s->marked);
    err = sqlite_note(s, sql_do(&s->conn, SQL_SAVEPOINT, error));
    if (err)
        return err;
    s->mark = s->now;
    s->marked = true;
    return LP_OK;
}

lp_err sqlite_release(store *base, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    if (err)
        return err;
    assert(s->marked);
    s->marked = false;
    return sqlite_note(s, sql_do(&s->conn, SQL_RELEASE, error));
}

lp_err sqlite_undo(store *base, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    if (err)
        return err;
    assert(s->marked);
    s->marked = false;
    s->now = BUG(TALLY_NOT_UNDONE) ? s->now : s->mark;
    forget_all(s);
    err = sql_do(&s->conn, SQL_UNDO, error);
    if (err == LP_OK)
        err = sql_do(&s->conn, SQL_RELEASE, error);
    return sqlite_note(s, err);
}
