/* sqlite_reader.c - snapshots: a reader's connection holds a read transaction, and the log keeps what it needs.
 *
 * A snapshot holds up checkpoints, so the log grows for as long as the oldest one lives: readers end theirs after each page. */
#include <assert.h>
#include <stdlib.h>

#include "proto/err.h"
#include "server/store/files.h"
#include "server/store/sqlite.h"
#include "server/store/sqlite_file.h"

static lp_err open_reader(const char *path, store_reader **reader_out, lp_error *error) {
    sqlite_reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_plain(error, LP_NOMEM);
    r->base.ops = &store_sqlite_ops;
    lp_err err = sql_open(&r->conn, path, SQL_READER, error);
    if (err) {
        sqlite_reader_close(&r->base);
        return err;
    }
    *reader_out = &r->base;
    return LP_OK;
}

lp_err sqlite_reader_open(store *base, store_reader **reader_out, lp_error *error) {
    return open_reader(((const sqlite_store *)base)->path, reader_out, error);
}

lp_err sqlite_file_read(const char *path, store_reader **reader_out, lp_error *error) {
    if (!file_exists(path))
        return err_set(error, LP_NOT_FOUND, "there is no file %s", path);
    lp_err err = open_reader(path, reader_out, error);
    if (err)
        return err;
    sql_conn *c = &((sqlite_reader *)*reader_out)->conn;
    int64_t application = 0, version = 0;
    err = sql_number(c, "PRAGMA application_id", &application, error);
    if (!err)
        err = sql_number(c, "PRAGMA user_version", &version, error);
    if (!err && application != POOL_APPLICATION_ID)
        err = err_set(error, LP_CORRUPT, "%s is not a leadpool pool; give a file that leadpoold backup has made", path);
    if (!err && version > POOL_SCHEMA_VERSION)
        err = err_set(error, LP_VERSION, "%s was made by a newer version of leadpool; upgrade this one", path);
    if (err)
        sqlite_reader_close(*reader_out);
    return err;
}

void sqlite_reader_close(store_reader *base) {
    sqlite_reader *r = (sqlite_reader *)base;
    sqlite_snapshot_end(base);
    sql_close(&r->conn);
    free(r);
}

/* BEGIN alone takes nothing: the first read does. */
lp_err sqlite_snapshot(store_reader *base, lp_error *error) {
    sqlite_reader *r = (sqlite_reader *)base;
    sqlite_snapshot_end(base);
    lp_err err = sql_do(&r->conn, SQL_SNAPSHOT, error);
    if (err)
        return err;
    r->open = true;
    err = sql_tally_read(&r->conn, &r->tally, error);
    if (err)
        sqlite_snapshot_end(base);
    return err;
}

void sqlite_snapshot_end(store_reader *base) {
    sqlite_reader *r = (sqlite_reader *)base;
    if (r->conn.db && !sqlite3_get_autocommit(r->conn.db))
        sql_do(&r->conn, SQL_SNAPSHOT_END, NULL);
    r->open = false;
}

lp_err sqlite_counts(store_reader *base, store_counts *counts_out, lp_error *error) {
    sqlite_reader *r = (sqlite_reader *)base;
    assert(r->open);
    sqlite3_stmt *statement;
    lp_err err = sql_take(&r->conn, SQL_BYTES, &statement, error);
    if (err == LP_OK)
        err = sql_step(&r->conn, statement, error);
    if (err)
        return err == LP_NOT_FOUND ? sql_failed(&r->conn, SQLITE_CORRUPT, error) : err;
    *counts_out = (store_counts){
        .last_seq = r->tally.last_seq,
        .leads = r->tally.leads,
        .records = r->tally.records,
        .history = r->tally.history,
        .bytes = (uint64_t)sqlite3_column_int64(statement, 0),
    };
    sqlite3_reset(statement);
    return LP_OK;
}

lp_err sqlite_feed(store_reader *base, scope_class scope, uint64_t after, store_row_fn each, void *ctx,
                   lp_error *error) {
    sqlite_reader *r = (sqlite_reader *)base;
    assert(r->open);
    if (after >= r->tally.last_seq)
        return LP_OK;
    sqlite3_stmt *statement;
    lp_err err = sql_take(&r->conn, SQL_FEED, &statement, error);
    if (err)
        return err;
    sqlite3_bind_int(statement, 1, (int)scope);
    sqlite3_bind_int64(statement, 2, (int64_t)after);
    while ((err = sql_step(&r->conn, statement, error)) == LP_OK) {
        store_row row = {0};
        sql_row(statement, 1, &row);
        bool readable = id_from_span(sql_span(statement, 0), &row.id);
        if (readable && each(ctx, &row))
            continue;
        sqlite3_reset(statement);
        return readable ? LP_OK : sql_failed(&r->conn, SQLITE_CORRUPT, error);
    }
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err sqlite_read(store_reader *base, const lp_id *id, store_row *row_out, lp_error *error) {
    sqlite_reader *r = (sqlite_reader *)base;
    assert(r->open);
    return sql_load(&r->conn, id, NULL, row_out, error);
}

lp_err sqlite_read_history(store_reader *base, const lp_id *id, store_history_fn each, void *ctx, lp_error *error) {
    sqlite_reader *r = (sqlite_reader *)base;
    assert(r->open);
    return sql_history(&r->conn, id, NULL, each, ctx, error);
}

lp_err sqlite_read_document(store_reader *base, store_space space, span key, span *value_out, lp_error *error) {
    sqlite_reader *r = (sqlite_reader *)base;
    assert(r->open);
    return sql_document(&r->conn, space, key, value_out, error);
}

lp_err sqlite_read_next(store_reader *base, store_space space, span from, span *key_out, span *value_out,
                        lp_error *error) {
    sqlite_reader *r = (sqlite_reader *)base;
    assert(r->open);
    sqlite3_stmt *statement;
    lp_err err = sql_take(&r->conn, SQL_NEXT, &statement, error);
    if (err)
        return err;
    sqlite3_bind_int(statement, 1, (int)space);
    sql_bind(statement, 2, from);
    err = sql_step(&r->conn, statement, error);
    if (err)
        return err;
    span key = sql_span(statement, 0), value = sql_span(statement, 1);
    err = sql_keep(&r->conn, &key, &value, error);
    if (err == LP_OK) {
        *key_out = key;
        *value_out = value;
    }
    sqlite3_reset(statement);
    return err;
}

lp_err sqlite_read_documents(store_reader *base, store_space space, span prefix, span after, store_document_fn fn,
                             void *ctx, lp_error *error) {
    sqlite_reader *r = (sqlite_reader *)base;
    assert(r->open);
    sqlite3_stmt *statement;
    lp_err err = sql_take(&r->conn, SQL_AFTER, &statement, error);
    if (err)
        return err;
    sqlite3_bind_int(statement, 1, (int)space);
    sql_bind(statement, 2, after);
    sql_bind(statement, 3, prefix);
    return sql_documents(&r->conn, statement, prefix, fn, ctx, error);
}
