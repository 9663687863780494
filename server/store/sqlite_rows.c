/* sqlite_rows.c - the reads that the writer and the readers do alike, on either's connection.
 *
 * Rows and values handed out lie in the connection's scratch buffer and not in SQLite's pages: the statement is reset at once,
 * so nothing is open that a later write could pull the bytes from under. */
#include "proto/err.h"
#include "server/store/sqlite.h"

void sql_row(sqlite3_stmt *statement, int column, store_row *row_out) {
    row_out->kind = (uint32_t)sqlite3_column_int64(statement, column);
    row_out->scope = (scope_class)sqlite3_column_int(statement, column + 1);
    row_out->seq = (uint64_t)sqlite3_column_int64(statement, column + 2);
    row_out->deleted = sqlite3_column_int(statement, column + 3) != 0;
    row_out->body = sql_span(statement, column + 4);
    row_out->stamps = sql_span(statement, column + 5);
}

/* Copies spans of a statement's row to the scratch buffer, one after another, so that the statement can be reset. */
lp_err sql_keep(sql_conn *c, span *first, span *second, lp_error *error) {
    buf_clear(&c->scratch);
    buf_append_span(&c->scratch, *first);
    buf_append_span(&c->scratch, *second);
    if (c->scratch.failed)
        return err_plain(error, LP_NOMEM);
    first->data = c->scratch.data;
    second->data = c->scratch.data ? c->scratch.data + first->size : NULL;
    return LP_OK;
}

lp_err sql_tally_read(sql_conn *c, sql_tally *tally_out, lp_error *error) {
    sqlite3_stmt *statement;
    lp_err err = sql_take(c, SQL_COUNTERS, &statement, error);
    if (err)
        return err;
    err = sql_step(c, statement, error);
    if (err)
        return err == LP_NOT_FOUND ? sql_failed(c, SQLITE_CORRUPT, error) : err;
    *tally_out = (sql_tally){
        .last_seq = (uint64_t)sqlite3_column_int64(statement, 0),
        .leads = (uint64_t)sqlite3_column_int64(statement, 1),
        .records = (uint64_t)sqlite3_column_int64(statement, 2),
        .history = (uint64_t)sqlite3_column_int64(statement, 3),
        .last_rid = (uint64_t)sqlite3_column_int64(statement, 4),
    };
    sqlite3_reset(statement);
    return LP_OK;
}

lp_err sql_load(sql_conn *c, const lp_id *id, uint64_t *rid_out, store_row *row_out, lp_error *error) {
    if (rid_out)
        *rid_out = 0;
    sqlite3_stmt *statement;
    lp_err err = sql_take(c, SQL_LOAD, &statement, error);
    if (err)
        return err;
    sql_bind(statement, 1, id_span(id));
    err = sql_step(c, statement, error);
    if (err)
        return err;
    if (rid_out)
        *rid_out = (uint64_t)sqlite3_column_int64(statement, 0);
    if (sqlite3_column_type(statement, 1) == SQLITE_NULL) {
        err = LP_NOT_FOUND;
    } else {
        *row_out = (store_row){.id = *id};
        sql_row(statement, 1, row_out);
        err = sql_keep(c, &row_out->body, &row_out->stamps, error);
    }
    sqlite3_reset(statement);
    return err;
}

/* False if a column is not the size its type has. */
static bool read_entry(sqlite3_stmt *statement, const lp_id *id, store_history *entry_out) {
    span packed = sql_span(statement, 0);
    if (packed.size != STAMP_BYTES || !id_from_span(sql_span(statement, 2), &entry_out->person))
        return false;
    entry_out->id = *id;
    entry_out->stamp = stamp_unpack(packed.data);
    entry_out->seq = (uint64_t)sqlite3_column_int64(statement, 1);
    entry_out->device_ms = sqlite3_column_int64(statement, 3);
    entry_out->server_ms = sqlite3_column_int64(statement, 4);
    entry_out->bases = sql_span(statement, 5);
    entry_out->body = sql_span(statement, 6);
    entry_out->uncertain = sqlite3_column_int(statement, 7) != 0;
    return true;
}

lp_err sql_history(sql_conn *c, const lp_id *id, const stamp *at, store_history_fn each, void *ctx, lp_error *error) {
    sqlite3_stmt *statement;
    uint8_t packed[STAMP_BYTES];
    lp_err err = sql_take(c, at ? SQL_HISTORY_AT : SQL_HISTORY, &statement, error);
    if (err)
        return err;
    sql_bind(statement, 1, id_span(id));
    if (at) {
        stamp_pack(*at, packed);
        sql_bind(statement, 2, span_of(packed, sizeof packed));
    }
    while ((err = sql_step(c, statement, error)) == LP_OK) {
        store_history entry;
        bool readable = read_entry(statement, id, &entry);
        if (readable && each(ctx, &entry))
            continue;
        sqlite3_reset(statement);
        return readable ? LP_OK : sql_failed(c, SQLITE_CORRUPT, error);
    }
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err sql_document(sql_conn *c, store_space space, span key, span *value_out, lp_error *error) {
    sqlite3_stmt *statement;
    lp_err err = sql_take(c, SQL_GET, &statement, error);
    if (err)
        return err;
    sqlite3_bind_int(statement, 1, (int)space);
    sql_bind(statement, 2, key);
    err = sql_step(c, statement, error);
    if (err)
        return err;
    span value = sql_span(statement, 0), nothing = {0};
    err = sql_keep(c, &value, &nothing, error);
    if (err == LP_OK)
        *value_out = value;
    sqlite3_reset(statement);
    return err;
}

lp_err sql_documents(sql_conn *c, sqlite3_stmt *statement, span prefix, store_document_fn fn, void *ctx,
                     lp_error *error) {
    lp_err err;
    while ((err = sql_step(c, statement, error)) == LP_OK) {
        span key = sql_span(statement, 0);
        bool inside = key.size >= prefix.size && span_equal(span_of(key.data, prefix.size), prefix);
        if (inside && fn(ctx, key, sql_span(statement, 1)))
            continue;
        sqlite3_reset(statement);
        return LP_OK;
    }
    return err == LP_NOT_FOUND ? LP_OK : err;
}
