/* sqlite_conn.c - one SQLite connection: how it is opened, its statements, its errors.
 *
 * Traps this file is built around (measured, SQLite 3.40):
 *   - With synchronous=NORMAL a WAL loses acknowledged commits on power loss: FULL.
 *   - Before 3.51.3 two connections that write or checkpoint at once can damage a WAL: all but the writer have their
 *     automatic checkpoints off, are opened read-only, and do not checkpoint when they close.
 *   - A mapped file turns a disk error into SIGBUS, and a feed reads as fast without: no mmap. */
#include <assert.h>
#include <errno.h>

#include "proto/bug.h"
#include "proto/err.h"
#include "server/store/sqlite.h"

#define BUSY_MS 5000

static const char *const statement_sql[] = {
#define S(name, sql) sql,
#include "server/store/statements.def"
#undef S
};

/* cache_size is in KiB when negative; journal_size_limit in bytes. */
static const char *const role_pragmas[] = {
    [SQL_WRITER] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
                   "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 8388608; PRAGMA cache_size = -65536;"
                   "PRAGMA temp_store = MEMORY",
    [SQL_READER] = "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -8192",
    [SQL_BUILDER] = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0",
};

lp_err sql_open(sql_conn *c, const char *path, sql_role role, lp_error *error) {
    *c = (sql_conn){.path = path};
    int flags = (role == SQL_READER ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX;
    int result = sqlite3_open_v2(path, &c->db, flags, NULL);
    if (result != SQLITE_OK)
        return sql_failed(c, result, error);
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, BUSY_MS);
    if (role != SQL_WRITER)
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    lp_err err = sql_exec(c, role_pragmas[role], error);
    if (err || role != SQL_WRITER || !BUG(SERVER_SYNC_LEFT_OUT))
        return err;
    return sql_exec(c, "PRAGMA synchronous = OFF", error);
}

void sql_close(sql_conn *c) {
    for (int i = 0; i < SQL_COUNT_OF; i++)
        sqlite3_finalize(c->statements[i]);
    sqlite3_close(c->db);
    buf_fini(&c->scratch);
    *c = (sql_conn){0};
}

/* SQLite knows one full disk, ENOSPC. A quota and a size limit are the same to whoever runs the server, and like it they fail
 * the write itself: unlike after a failed sync it is certain that nothing was committed. */
static bool wrote_too_much(const sql_conn *c, int which_file) {
    sqlite3_file *file = NULL;
    int reason = 0;
    sqlite3_file_control(c->db, "main", which_file, &file);
    if (file && file->pMethods)
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &reason);
    return reason == EDQUOT || reason == EFBIG;
}

static bool out_of_space(const sql_conn *c, int result) {
    if ((result & 0xff) == SQLITE_FULL)
        return true;
    return result == SQLITE_IOERR_WRITE && c->db &&
           (wrote_too_much(c, SQLITE_FCNTL_FILE_POINTER) || wrote_too_much(c, SQLITE_FCNTL_JOURNAL_POINTER));
}

lp_err sql_failed(const sql_conn *c, int result, lp_error *error) {
    if (out_of_space(c, result))
        return err_set(error, LP_FULL, "no space left for %s; free some disk and try again", c->path);
    switch (result & 0xff) {
    case SQLITE_NOMEM:
        return err_plain(error, LP_NOMEM);
    case SQLITE_CORRUPT:
        return err_set(error, LP_CORRUPT, "%s is damaged; restore it from a backup", c->path);
    case SQLITE_NOTADB:
        return err_set(error, LP_CORRUPT, "%s is not a leadpool pool; give the directory of one", c->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(error, LP_BUSY, "%s is held by another program; close it and try again", c->path);
    case SQLITE_INTERRUPT:
        return err_set(error, LP_CLOSED, "the work on %s was given up", c->path);
    default:
        return err_set(error, LP_IO, "%s: %s; check the disk and its permissions", c->path,
                       c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(result));
    }
}

lp_err sql_exec(sql_conn *c, const char *sql, lp_error *error) {
    int result = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? LP_OK : sql_failed(c, result, error);
}

lp_err sql_number(sql_conn *c, const char *sql, int64_t *number_out, lp_error *error) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *number_out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    if (result == SQLITE_DONE)
        return err_set(error, LP_CORRUPT, "%s is damaged; restore it from a backup", c->path);
    return result == SQLITE_ROW ? LP_OK : sql_failed(c, result, error);
}

lp_err sql_take(sql_conn *c, sql_statement which, sqlite3_stmt **statement_out, lp_error *error) {
    sqlite3_stmt *statement = c->statements[which];
    if (!statement) {
        int result = sqlite3_prepare_v3(c->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
        if (result != SQLITE_OK)
            return sql_failed(c, result, error);
        c->statements[which] = statement;
    }
    assert(!sqlite3_stmt_busy(statement) && "a callback must not ask the question it is answering");
    *statement_out = statement;
    return LP_OK;
}

lp_err sql_step(sql_conn *c, sqlite3_stmt *statement, lp_error *error) {
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        return LP_OK;
    lp_err err = result == SQLITE_DONE ? LP_NOT_FOUND : sql_failed(c, result, error);
    sqlite3_reset(statement);
    return err;
}

lp_err sql_run(sql_conn *c, sqlite3_stmt *statement, lp_error *error) {
    lp_err err = sql_step(c, statement, error);
    if (err == LP_OK)
        sqlite3_reset(statement);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err sql_do(sql_conn *c, sql_statement which, lp_error *error) {
    sqlite3_stmt *statement;
    lp_err err = sql_take(c, which, &statement, error);
    return err ? err : sql_run(c, statement, error);
}

void sql_bind(sqlite3_stmt *statement, int index, span bytes) {
    sqlite3_bind_blob64(statement, index, bytes.size ? (const void *)bytes.data : "", bytes.size, SQLITE_STATIC);
}

span sql_span(sqlite3_stmt *statement, int column) {
    const void *data = sqlite3_column_blob(statement, column);
    return span_of(data, (size_t)sqlite3_column_bytes(statement, column));
}
