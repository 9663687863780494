/* sqlite_writer.c - what the writer does inside a transaction: rows, seqs, history, documents.
 *
 * Invariants:
 *   (1) An id gets its rid on first mention, by save or append, in whichever order they come, and keeps it.
 *   (2) s->seen tells what the tables tell. It is emptied whenever something is taken back.
 *   (3) The tally moves with the rows: a record once per id, a lead while it lives, history per added entry. */
#include <assert.h>

#include "proto/err.h"
#include "server/store/sqlite.h"

static sql_seen *slot_of(sqlite_store *s, const lp_id *id) {
    return &s->seen[id->bytes[15] % SEEN_COUNT];
}

static bool is_live_lead(const store_row *row) {
    return row->kind == KIND_LEAD && !row->deleted;
}

lp_err sqlite_load(store *base, const lp_id *id, store_row *row_out, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    if (err)
        return err;
    sql_seen *seen = slot_of(s, id);
    if (seen->valid && !seen->has_row && id_equal(&seen->id, id))
        return LP_NOT_FOUND;
    uint64_t rid = 0;
    err = sql_load(&s->conn, id, &rid, row_out, error);
    if (err && err != LP_NOT_FOUND)
        return sqlite_note(s, err);
    bool has_row = err == LP_OK;
    *seen = (sql_seen){*id, true, rid, has_row, has_row && is_live_lead(row_out), false};
    return err;
}

lp_err sqlite_find(sqlite_store *s, const lp_id *id, sql_seen **seen_out, lp_error *error) {
    sql_seen *seen = slot_of(s, id);
    *seen_out = seen;
    if (seen->valid && id_equal(&seen->id, id))
        return LP_OK;
    store_row row;
    lp_err err = sqlite_load(&s->base, id, &row, error);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* Gives the id a rid if it has none. */
static lp_err name(sqlite_store *s, sql_seen *seen, lp_error *error) {
    if (seen->rid)
        return LP_OK;
    sqlite3_stmt *statement;
    lp_err err = sql_take(&s->conn, SQL_IDENT, &statement, error);
    if (err)
        return err;
    sql_bind(statement, 1, id_span(&seen->id));
    sqlite3_bind_int64(statement, 2, (int64_t)s->now.last_rid + 1);
    err = sql_run(&s->conn, statement, error);
    if (err)
        return err;
    seen->rid = ++s->now.last_rid;
    seen->unheard = true;
    return LP_OK;
}

static lp_err write_row(sqlite_store *s, const sql_seen *seen, const store_row *row, lp_error *error) {
    sqlite3_stmt *statement;
    lp_err err = sql_take(&s->conn, seen->has_row ? SQL_UPDATE : SQL_INSERT, &statement, error);
    if (err)
        return err;
    sqlite3_bind_int64(statement, 1, (int64_t)seen->rid);
    sql_bind(statement, 2, id_span(&row->id));
    sqlite3_bind_int64(statement, 3, row->kind);
    sqlite3_bind_int(statement, 4, (int)row->scope);
    sqlite3_bind_int64(statement, 5, (int64_t)row->seq);
    sqlite3_bind_int(statement, 6, row->deleted);
    sql_bind(statement, 7, row->body);
    sql_bind(statement, 8, row->stamps);
    return sql_run(&s->conn, statement, error);
}

lp_err sqlite_save(store *base, const store_row *row, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    if (err)
        return err;
    assert(row->seq > s->last.last_seq && row->seq <= s->now.last_seq);
    sql_seen *seen;
    err = sqlite_find(s, &row->id, &seen, error);
    if (err == LP_OK)
        err = name(s, seen, error);
    if (err == LP_OK)
        err = write_row(s, seen, row, error);
    if (err)
        return sqlite_note(s, err);
    bool lives = is_live_lead(row);
    s->now.records += !seen->has_row;
    s->now.leads += (uint64_t)lives - (uint64_t)seen->live_lead;
    seen->has_row = true;
    seen->live_lead = lives;
    return LP_OK;
}

uint64_t sqlite_last_seq(const store *base) {
    return ((const sqlite_store *)base)->now.last_seq;
}

lp_err sqlite_take_seq(store *base, uint64_t count, uint64_t *first_out, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    if (err)
        return err;
    assert(count >= 1);
    if (count > (uint64_t)INT64_MAX - s->now.last_seq)
        return sqlite_note(s, err_set(error, LP_FULL, "%s has no sequence numbers left; start a new pool", s->path));
    *first_out = s->now.last_seq + 1;
    s->now.last_seq += count;
    return LP_OK;
}

/* *found_out: history holds the same base and body under this record and stamp. */
static lp_err find_same(sqlite_store *s, uint64_t rid, span packed, const store_history *entry, bool *found_out,
                        lp_error *error) {
    *found_out = false;
    sqlite3_stmt *statement;
    lp_err err = sql_take(&s->conn, SQL_SAME, &statement, error);
    if (err)
        return err;
    sqlite3_bind_int64(statement, 1, (int64_t)rid);
    sql_bind(statement, 2, packed);
    while ((err = sql_step(&s->conn, statement, error)) == LP_OK) {
        if (!span_equal(sql_span(statement, 0), entry->bases) || !span_equal(sql_span(statement, 1), entry->body))
            continue;
        *found_out = true;
        sqlite3_reset(statement);
        return LP_OK;
    }
    return err == LP_NOT_FOUND ? LP_OK : err;
}

static lp_err write_entry(sqlite_store *s, uint64_t rid, span packed, const store_history *entry, lp_error *error) {
    sqlite3_stmt *statement;
    lp_err err = sql_take(&s->conn, SQL_APPEND, &statement, error);
    if (err)
        return err;
    sqlite3_bind_int64(statement, 1, (int64_t)rid);
    sql_bind(statement, 2, packed);
    sqlite3_bind_int64(statement, 3, (int64_t)entry->seq);
    sql_bind(statement, 4, id_span(&entry->person));
    sqlite3_bind_int64(statement, 5, entry->device_ms);
    sqlite3_bind_int64(statement, 6, entry->server_ms);
    sql_bind(statement, 7, entry->bases);
    sql_bind(statement, 8, entry->body);
    sqlite3_bind_int(statement, 9, entry->uncertain);
    return sql_run(&s->conn, statement, error);
}

lp_err sqlite_append(store *base, const store_history *entry, bool *added_out, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    if (err)
        return err;
    uint8_t packed[STAMP_BYTES];
    stamp_pack(entry->stamp, packed);
    span key = span_of(packed, sizeof packed);
    bool known = false;
    sql_seen *seen;
    err = sqlite_find(s, &entry->id, &seen, error);
    if (err == LP_OK)
        err = name(s, seen, error);
    if (err == LP_OK && !seen->unheard)
        err = find_same(s, seen->rid, key, entry, &known, error);
    if (err == LP_OK && !known)
        err = write_entry(s, seen->rid, key, entry, error);
    if (err)
        return sqlite_note(s, err);
    seen->unheard = false;
    s->now.history += !known;
    *added_out = !known;
    return LP_OK;
}

lp_err sqlite_history(store *base, const lp_id *id, store_history_fn each, void *ctx, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    return err ? err : sqlite_note(s, sql_history(&s->conn, id, NULL, each, ctx, error));
}

lp_err sqlite_history_at(store *base, const lp_id *id, stamp at, store_history_fn each, void *ctx, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    return err ? err : sqlite_note(s, sql_history(&s->conn, id, &at, each, ctx, error));
}

lp_err sqlite_get(store *base, store_space space, span key, span *value_out, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    return err ? err : sqlite_note(s, sql_document(&s->conn, space, key, value_out, error));
}

lp_err sqlite_put(store *base, store_space space, span key, span value, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    if (err)
        return err;
    sqlite3_stmt *statement;
    err = sql_take(&s->conn, value.size ? SQL_PUT : SQL_DROP, &statement, error);
    if (err)
        return sqlite_note(s, err);
    sqlite3_bind_int(statement, 1, (int)space);
    sql_bind(statement, 2, key);
    if (value.size)
        sql_bind(statement, 3, value);
    return sqlite_note(s, sql_run(&s->conn, statement, error));
}

static lp_err each_document(sqlite_store *s, store_space space, span prefix, store_document_fn fn, void *ctx,
                            lp_error *error) {
    sqlite3_stmt *statement;
    lp_err err = sql_take(&s->conn, SQL_EACH, &statement, error);
    if (err)
        return err;
    sqlite3_bind_int(statement, 1, (int)space);
    sql_bind(statement, 2, prefix);
    return sql_documents(&s->conn, statement, prefix, fn, ctx, error);
}

lp_err sqlite_each(store *base, store_space space, span prefix, store_document_fn fn, void *ctx, lp_error *error) {
    sqlite_store *s = (sqlite_store *)base;
    lp_err err = sqlite_usable(s, error);
    return err ? err : sqlite_note(s, each_document(s, space, prefix, fn, ctx, error));
}
