/* sqlite.h - what the files of the SQLite engine share; nobody else includes it.
 *
 *   sqlite_conn.c    one connection: opening, prepared statements, errors
 *   sqlite_rows.c    reads that writer and readers share
 *   sqlite_open.c    the directory: lock, creation, migrations
 *   sqlite_transaction.c  begin, commit, savepoints, checkpoints
 *   sqlite_writer.c  rows, seqs, history, documents
 *   sqlite_drop.c    what is taken away, for good
 *   sqlite_reader.c  snapshots and what is read in them
 *   sqlite_backup.c  copies
 *   sqlite_verify.c  checks */
#ifndef SERVER_STORE_SQLITE_H
#define SERVER_STORE_SQLITE_H

#include <sqlite3.h>

#include "server/store/store.h"

#define POOL_APPLICATION_ID 0x4c454144 /**< "LEAD" in the file's header */
#define POOL_SCHEMA_VERSION 1          /**< of the last step in migrations.def */
#define POOL_PAGE_BYTES 4096

typedef enum sql_statement {
#define S(name, sql) SQL_##name,
#include "server/store/statements.def"
#undef S
    SQL_COUNT_OF
} sql_statement;

/** One connection and its statements. `path` is borrowed, and named in errors. */
typedef struct sql_conn {
    sqlite3 *db;
    const char *path;
    sqlite3_stmt *statements[SQL_COUNT_OF];
    buf scratch; /**< what the last row handed out lies in */
} sql_conn;

typedef enum sql_role {
    SQL_WRITER,  /**< writes and is the only one that checkpoints */
    SQL_READER,  /**< can do neither */
    SQL_BUILDER, /**< a file of its own, without a log: a pool being made, a backup */
} sql_role;

/** Opens `path`, which must exist. Close it even after an error. Errors: as sql_failed. */
lp_err sql_open(sql_conn *c, const char *path, sql_role role, lp_error *error);
void sql_close(sql_conn *c);

/** Turns SQLite's result into ours, with a sentence that names the file and says what to do. */
lp_err sql_failed(const sql_conn *c, int result, lp_error *error);
lp_err sql_exec(sql_conn *c, const char *sql, lp_error *error);
/** The one number a query answers. */
lp_err sql_number(sql_conn *c, const char *sql, int64_t *number_out, lp_error *error);

/** A prepared statement, ready to bind. Must not be running. */
lp_err sql_take(sql_conn *c, sql_statement which, sqlite3_stmt **statement_out, lp_error *error);
/** Runs a statement that answers nothing. */
lp_err sql_run(sql_conn *c, sqlite3_stmt *statement, lp_error *error);
/** sql_take and sql_run of a statement without parameters. */
lp_err sql_do(sql_conn *c, sql_statement which, lp_error *error);
/** Takes the next row: LP_OK, LP_NOT_FOUND (error untouched) at the end. The statement is reset unless LP_OK. */
lp_err sql_step(sql_conn *c, sqlite3_stmt *statement, lp_error *error);

/** Binds borrowed bytes, which must live until the statement is reset; no bytes are an empty blob, not NULL. */
void sql_bind(sqlite3_stmt *statement, int index, span bytes);
span sql_span(sqlite3_stmt *statement, int column);

/** Kind to stamps from the six columns starting at `column`. Borrows the statement's row. */
void sql_row(sqlite3_stmt *statement, int column, store_row *row_out);

/* Reading that a writer and a reader do alike. */

typedef struct sql_tally {
    uint64_t last_seq, leads, records, history, last_rid;
} sql_tally;

lp_err sql_tally_read(sql_conn *c, sql_tally *tally_out, lp_error *error);
/** The row lies in c->scratch. rid_out (may be NULL): 0 if nothing names the id. LP_NOT_FOUND if there is no row. */
lp_err sql_load(sql_conn *c, const lp_id *id, uint64_t *rid_out, store_row *row_out, lp_error *error);
/** Of a record; `at`: only that under one stamp, NULL: all. */
lp_err sql_history(sql_conn *c, const lp_id *id, const stamp *at, store_history_fn each, void *ctx, lp_error *error);
/** Moves two spans of a statement's row into c->scratch, where they outlive it. */
lp_err sql_keep(sql_conn *c, span *first, span *second, lp_error *error);
/** The value lies in c->scratch. */
lp_err sql_document(sql_conn *c, store_space space, span key, span *value_out, lp_error *error);
/** Hands the documents that a bound statement answers to `fn`, until it has enough or a key is outside the prefix. */
lp_err sql_documents(sql_conn *c, sqlite3_stmt *statement, span prefix, store_document_fn fn, void *ctx,
                     lp_error *error);

/* The engine's objects. */

#define SEEN_COUNT 64

/** What the writer knows of an id without asking again: the common path is load, save, append of one id. */
typedef struct sql_seen {
    lp_id id;
    bool valid;
    uint64_t rid; /**< 0: nothing names this id yet */
    bool has_row;
    bool live_lead;
    bool unheard; /**< it got its rid just now, so history has nothing of it */
} sql_seen;

typedef struct sqlite_store {
    store base;
    char *directory;
    char *path; /**< of the database file */
    int lock;   /**< -1 if not held */
    sql_conn conn;
    bool open;                 /**< in a transaction */
    lp_err failed;             /**< why it can only be rolled back */
    bool doubtful;             /**< a commit failed: what is on disk is known only after reopening */
    bool marked;               /**< in a savepoint */
    sql_tally now;             /**< with the open transaction; stored when it commits */
    sql_tally mark;            /**< at the savepoint */
    sql_tally last;            /**< as committed */
    sql_seen seen[SEEN_COUNT]; /**< by the last byte of the id */
    int wal_pages;             /**< pages in the log after the last commit */
    int wal_pages_held; /**< pages a reader kept the last checkpoint from; one more is worth it only after as many again */
} sqlite_store;

typedef struct sqlite_reader {
    store_reader base;
    sql_conn conn;
    bool open;       /**< in a snapshot */
    sql_tally tally; /**< of the snapshot */
} sqlite_reader;

lp_err sqlite_open(const char *path, bool create, store **store_out, lp_error *error);
void sqlite_close(store *s);

void sqlite_watch_log(sqlite_store *s); /**< from now on, commits tell how long the log is */
lp_err sqlite_begin(store *s, lp_error *error);
lp_err sqlite_commit(store *s, lp_error *error);
void sqlite_rollback(store *s);
void sqlite_rest(store *s);
lp_err sqlite_savepoint(store *s, lp_error *error);
lp_err sqlite_release(store *s, lp_error *error);
lp_err sqlite_undo(store *s, lp_error *error);
lp_err sqlite_usable(sqlite_store *s, lp_error *error); /**< in a transaction that has not failed */
/** What is known of an id, looked up if need be. */
lp_err sqlite_find(sqlite_store *s, const lp_id *id, sql_seen **seen_out, lp_error *error);
lp_err sqlite_note(sqlite_store *s, lp_err err); /**< remembers an error that spoils the transaction */

lp_err sqlite_load(store *s, const lp_id *id, store_row *row_out, lp_error *error);
lp_err sqlite_save(store *s, const store_row *row, lp_error *error);
lp_err sqlite_take_seq(store *s, uint64_t count, uint64_t *first_out, lp_error *error);
uint64_t sqlite_last_seq(const store *s);
lp_err sqlite_append(store *s, const store_history *entry, bool *added_out, lp_error *error);
/** Opens the writer's connection anew after a commit of which nobody knows whether it happened, and reads what the file says. */
lp_err sqlite_reopen(sqlite_store *s, lp_error *error);
lp_err sqlite_history(store *s, const lp_id *id, store_history_fn each, void *ctx, lp_error *error);
lp_err sqlite_history_at(store *s, const lp_id *id, stamp at, store_history_fn each, void *ctx, lp_error *error);
lp_err sqlite_rows(store *s, bool deleted_only, store_row_fn each, void *ctx, lp_error *error);
lp_err sqlite_drop_history(store *s, const lp_id *id, lp_error *error);
lp_err sqlite_drop_row(store *s, const lp_id *id, lp_error *error);
lp_err sqlite_scrub(store *s, lp_error *error);
lp_err sqlite_get(store *s, store_space space, span key, span *value_out, lp_error *error);
lp_err sqlite_put(store *s, store_space space, span key, span value, lp_error *error);
lp_err sqlite_each(store *s, store_space space, span prefix, store_document_fn fn, void *ctx, lp_error *error);

lp_err sqlite_reader_open(store *s, store_reader **reader_out, lp_error *error);
void sqlite_reader_close(store_reader *r);
lp_err sqlite_snapshot(store_reader *r, lp_error *error);
void sqlite_snapshot_end(store_reader *r);
lp_err sqlite_counts(store_reader *r, store_counts *counts_out, lp_error *error);
lp_err sqlite_feed(store_reader *r, scope_class scope, uint64_t after, store_row_fn each, void *ctx, lp_error *error);
lp_err sqlite_read(store_reader *r, const lp_id *id, store_row *row_out, lp_error *error);
lp_err sqlite_read_history(store_reader *r, const lp_id *id, store_history_fn each, void *ctx, lp_error *error);
lp_err sqlite_read_documents(store_reader *r, store_space space, span prefix, span after, store_document_fn fn,
                             void *ctx, lp_error *error);
lp_err sqlite_read_document(store_reader *r, store_space space, span key, span *value_out, lp_error *error);
lp_err sqlite_read_next(store_reader *r, store_space space, span from, span *key_out, span *value_out, lp_error *error);

lp_err sqlite_backup(store *s, const char *path, store_progress_fn progress, void *ctx, lp_error *error);
lp_err sqlite_verify(store_reader *r, store_progress_fn progress, void *ctx, lp_error *error);

#endif
