/* statements.c - prepared statements; see statements.h. */
#include "client/replica/statements.h"

#include <stdlib.h>
#include <string.h>

#include "client/replica/fields.h"
#include "proto/err.h"

struct statements {
    sqlite3_stmt *list[STATEMENT_COUNT];
    field_layout layout;
};

static const char *const sql_of[] = {
#define S(NAME, sql) sql,
    STATEMENTS(S)
#undef S
};

lp_err statements_open(replica *r, lp_error *error) {
    r->statements = calloc(1, sizeof *r->statements);
    if (!r->statements)
        return err_plain(error, LP_NOMEM);
    fields_layout(&r->statements->layout);
    r->layout = &r->statements->layout;
    /* Rolling back must not need memory. */
    return statement(r, STATEMENT_ROLLBACK, error) ? LP_OK : LP_IO;
}

void statements_rest(replica *r) {
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_reset(r->statements->list[i]);
}

void statements_close(replica *r) {
    if (!r->statements)
        return;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(r->statements->list[i]);
    free(r->statements);
    r->statements = NULL;
}

/* INSERT and UPDATE of a record name every derived column; the schema's table says which. Parameters: 1 rid or NULL, 2 id, 3 kind,
 * 4 deleted, 5 unsent, 6 held, 7 body, 8 stamps, 9 server_body, 10 server_stamps, then the columns. */
static void put_row_sql(bool add, buf *sql) {
    static const char *const fixed[] = {"id",   "kind",   "deleted",     "unsent",       "held",
                                        "body", "stamps", "server_body", "server_stamps"};
    const char *type;
    uint32_t parameter = 2;
    char text[64];
    buf values = {0};
    buf_append_span(sql, span_text(add ? "INSERT INTO record(rid" : "UPDATE record SET rid = ?1"));
    for (uint32_t i = 0;; i++) {
        uint32_t fixed_count = sizeof fixed / sizeof fixed[0];
        const char *name = i < fixed_count ? fixed[i] : fields_column(i - fixed_count, &type);
        if (!name)
            break;
        sqlite3_snprintf(sizeof text, text, add ? ", %s" : ", %s = ?%u", name, parameter);
        buf_append_span(sql, span_text(text));
        sqlite3_snprintf(sizeof text, text, ", ?%u", parameter++);
        buf_append_span(&values, span_text(text));
    }
    buf_append_span(sql, span_text(add ? ") VALUES(?1" : " WHERE rid = ?1"));
    if (add) {
        buf_append_span(sql, buf_span(&values));
        buf_append_byte(sql, ')');
    }
    buf_append_byte(sql, 0);
    sql->failed |= values.failed;
    buf_fini(&values);
}

static int prepare(replica *r, statement_name name) {
    sqlite3_stmt **slot = &r->statements->list[name];
    if (name < STATEMENT_ROW_ADD)
        return sqlite3_prepare_v3(r->db, sql_of[name], -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
    buf sql = {0};
    put_row_sql(name == STATEMENT_ROW_ADD, &sql);
    int rc = sql.failed ? SQLITE_NOMEM
                        : sqlite3_prepare_v3(r->db, (const char *)sql.data, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
    buf_fini(&sql);
    return rc;
}

sqlite3_stmt *statement(replica *r, statement_name name, lp_error *error) {
    if (r->failed) {
        err_set(error, r->failed, "something in the transaction has failed; try again");
        return NULL;
    }
    if (!r->statements->list[name] && prepare(r, name) != SQLITE_OK) {
        replica_sql_error(r, "read the replica's tables", error);
        return NULL;
    }
    sqlite3_reset(r->statements->list[name]);
    return r->statements->list[name];
}

lp_err statement_run(replica *r, sqlite3_stmt *s, const char *what, lp_error *error) {
    int rc = sqlite3_step(s);
    lp_err err = rc == SQLITE_DONE || rc == SQLITE_ROW ? LP_OK : replica_sql_error(r, what, error);
    sqlite3_reset(s);
    return err;
}

lp_err statement_run_int(replica *r, statement_name name, int64_t parameter, lp_error *error) {
    sqlite3_stmt *s = statement(r, name, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, parameter);
    return statement_run(r, s, "save", error);
}

lp_err statement_row(replica *r, sqlite3_stmt *s, const char *what, lp_error *error) {
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        return LP_OK;
    lp_err err = rc == SQLITE_DONE ? LP_NOT_FOUND : replica_sql_error(r, what, error);
    sqlite3_reset(s);
    return err;
}

lp_err statement_int(replica *r, statement_name name, int64_t *value_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, name, error);
    lp_err err = s ? statement_row(r, s, "count", error) : LP_IO;
    if (err)
        return err;
    *value_out = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return LP_OK;
}

void bind_span(sqlite3_stmt *s, int parameter, span bytes) {
    sqlite3_bind_blob64(s, parameter, bytes.size ? (const void *)bytes.data : "", bytes.size, SQLITE_STATIC);
}

void bind_text(sqlite3_stmt *s, int parameter, span text) {
    sqlite3_bind_text(s, parameter, text.size ? (const char *)text.data : "", (int)text.size, SQLITE_STATIC);
}

void bind_stamp(sqlite3_stmt *s, int parameter, stamp value) {
    uint8_t bytes[STAMP_BYTES];
    stamp_pack(value, bytes);
    sqlite3_bind_blob(s, parameter, bytes, sizeof bytes, SQLITE_TRANSIENT);
}

span column_span(sqlite3_stmt *s, int column) {
    const void *data = sqlite3_column_blob(s, column);
    return span_of(data, (size_t)sqlite3_column_bytes(s, column));
}

stamp column_stamp(sqlite3_stmt *s, int column) {
    span bytes = column_span(s, column);
    return bytes.size == STAMP_BYTES ? stamp_unpack(bytes.data) : STAMP_NONE;
}
