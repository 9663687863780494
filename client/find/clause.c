/* clause.c - SQL text and its bound values; see filter.h. */
#include "client/find/filter.h"

#include <stdio.h>
#include <string.h>

#include "proto/err.h"

void clause_fini(clause *c) {
    buf_fini(&c->sql);
    buf_fini(&c->bytes);
}

void clause_append(clause *c, const char *sql) {
    buf_append(&c->sql, sql, strlen(sql));
}

lp_err clause_append_value(clause *c, const lp_value *value, lp_error *error) {
    if (c->count == CLAUSE_VALUES_MAX)
        return err_set(error, LP_INVALID, "the filter has more than %d parts; make it shorter", CLAUSE_VALUES_MAX);
    clause_value *kept = &c->values[c->count++];
    *kept = (clause_value){.type = value->type, .integer = value->integer, .real = value->real};
    if (value->type == LP_TEXT || value->type == LP_BYTES) {
        kept->offset = c->bytes.size;
        kept->size = value->size;
        buf_append(&c->bytes, value->data, value->size);
    }
    char parameter[16];
    snprintf(parameter, sizeof parameter, "?%u", c->count);
    clause_append(c, parameter);
    return LP_OK;
}

static int bind(sqlite3_stmt *statement, int parameter, const clause *c, const clause_value *value) {
    const char *bytes = value->size ? (const char *)c->bytes.data + value->offset : "";
    switch (value->type) {
    case LP_BOOL:
    case LP_INT:
        return sqlite3_bind_int64(statement, parameter, value->integer);
    case LP_REAL:
        return sqlite3_bind_double(statement, parameter, value->real);
    case LP_TEXT:
        return sqlite3_bind_text(statement, parameter, bytes, (int)value->size, SQLITE_TRANSIENT);
    case LP_BYTES:
        return sqlite3_bind_blob(statement, parameter, bytes, (int)value->size, SQLITE_TRANSIENT);
    case LP_NULL:
    case LP_OTHER:
    case LP_TYPE_FORCE_INT32:
        break;
    }
    return sqlite3_bind_null(statement, parameter);
}

int clause_prepare(clause *c, sqlite3 *db, sqlite3_stmt **statement_out) {
    *statement_out = NULL;
    if (c->sql.failed || c->bytes.failed)
        return SQLITE_NOMEM;
    int code = sqlite3_prepare_v2(db, (const char *)c->sql.data, (int)c->sql.size, statement_out, NULL);
    for (uint32_t i = 0; i < c->count && code == SQLITE_OK; i++)
        code = bind(*statement_out, (int)i + 1, c, &c->values[i]);
    if (code == SQLITE_OK)
        return code;
    sqlite3_finalize(*statement_out);
    *statement_out = NULL;
    return code;
}
