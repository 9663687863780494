/* replica_rows.c - documents of meta and rows of records; see replica.h. */
#include "client/replica/fields.h"
#include "client/replica/replica.h"
#include "client/replica/statements.h"
#include "proto/err.h"

/* ---- meta ---- */

static sqlite3_stmt *find_meta(replica *r, const char *key, lp_err *err_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_META_GET, error);
    if (!s) {
        *err_out = LP_IO;
        return NULL;
    }
    sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    *err_out = statement_row(r, s, "read the replica", error);
    return *err_out ? NULL : s;
}

lp_err replica_meta(replica *r, const char *key, buf *value_out, lp_error *error) {
    lp_err err;
    sqlite3_stmt *s = find_meta(r, key, &err, error);
    if (!s)
        return err;
    buf_append_span(value_out, column_span(s, 0));
    sqlite3_reset(s);
    return value_out->failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

lp_err replica_meta_read_int(replica *r, const char *key, int64_t absent, int64_t *value_out, lp_error *error) {
    lp_err err;
    sqlite3_stmt *s = find_meta(r, key, &err, error);
    *value_out = s ? sqlite3_column_int64(s, 0) : absent;
    if (s)
        sqlite3_reset(s);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

int64_t replica_meta_int(replica *r, const char *key, int64_t absent) {
    int64_t value;
    return replica_meta_read_int(r, key, absent, &value, NULL) ? absent : value;
}

lp_err replica_meta_drop(replica *r, const char *key, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_META_DROP, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    return statement_run(r, s, "save", error);
}

lp_err replica_meta_put(replica *r, const char *key, span value, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_META_PUT, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    bind_span(s, 2, value);
    return statement_run(r, s, "save", error);
}

lp_err replica_meta_put_int(replica *r, const char *key, int64_t value, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_META_PUT, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, value);
    return statement_run(r, s, "save", error);
}

/* ---- rows ---- */

static lp_err read_row(replica *r, sqlite3_stmt *s, replica_row *row_out, lp_error *error) {
    lp_err err = statement_row(r, s, "read the replica", error);
    if (err)
        return err;
    *row_out = (replica_row){.rid = sqlite3_column_int64(s, 0),
                             .kind = (uint32_t)sqlite3_column_int64(s, 2),
                             .unsent = sqlite3_column_int(s, 3) != 0,
                             .body = column_span(s, 4),
                             .stamps = column_span(s, 5),
                             .held = (uint64_t)sqlite3_column_int64(s, 8),
                             .layered = sqlite3_column_type(s, 6) != SQLITE_NULL,
                             .server_body = column_span(s, 6),
                             .server_stamps = column_span(s, 7)};
    if (!id_from_span(column_span(s, 1), &row_out->id))
        return err_set(error, LP_CORRUPT, "a record of the replica has no id; keep the file and join again");
    return LP_OK;
}

lp_err replica_load(replica *r, const lp_id *id, replica_row *row_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_ROW_BY_ID, error);
    if (!s)
        return LP_IO;
    bind_span(s, 1, id_span(id));
    return read_row(r, s, row_out, error);
}

lp_err replica_load_rid(replica *r, int64_t rid, replica_row *row_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_ROW_BY_RID, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    return read_row(r, s, row_out, error);
}

static lp_err mark_unindexed(replica *r, int64_t rid, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_UNINDEXED, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    return statement_run(r, s, "save", error);
}

lp_err replica_store(replica *r, int64_t rid, const replica_image *image, int64_t *rid_out, lp_error *error) {
    buf packed[4] = {{0}};
    const record *rec = image->visible;
    lp_err err = record_pack(rec, &packed[0], &packed[1], error);
    if (!err && image->server)
        err = record_pack(image->server, &packed[2], &packed[3], error);
    sqlite3_stmt *s = err ? NULL : statement(r, rid ? STATEMENT_ROW_PUT : STATEMENT_ROW_ADD, error);
    if (!err && !s)
        err = LP_IO;
    if (!err) {
        sqlite3_clear_bindings(s);
        if (rid)
            sqlite3_bind_int64(s, 1, rid);
        bind_span(s, 2, id_span(&rec->id));
        sqlite3_bind_int64(s, 3, rec->kind);
        sqlite3_bind_int(s, 4, record_deleted(rec));
        sqlite3_bind_int(s, 5, image->unsent);
        sqlite3_bind_int64(s, 6, (int64_t)image->held);
        bind_span(s, 7, buf_span(&packed[0]));
        bind_span(s, 8, buf_span(&packed[1]));
        if (image->server) {
            bind_span(s, 9, buf_span(&packed[2]));
            bind_span(s, 10, buf_span(&packed[3]));
        }
        if (fields_bind_layout(s, 11, r->layout, rec) != SQLITE_OK)
            err = replica_sql_error(r, "save", error);
        else
            err = statement_run(r, s, "save", error);
    }
    if (!err) {
        int64_t stored = rid ? rid : sqlite3_last_insert_rowid(r->db);
        if (rid_out)
            *rid_out = stored;
        err = mark_unindexed(r, stored, error);
    }
    for (int i = 0; i < 4; i++)
        buf_fini(&packed[i]);
    return err;
}
