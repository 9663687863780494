/* query.c - lists, counts, single records, refused changes; see query.h. One statement per read, so each read is of one
 * moment even while another process writes. */
#include "client/find/query.h"

#include <stdlib.h>
#include <string.h>

#include "client/find/filter.h"
#include "client/replica/snapshot.h"
#include "proto/err.h"
#include "proto/schema.h"

/* ---- lists ---- */

/* "lead", or "#9" as lp_record_kind writes a kind this version does not know. */
static lp_err parse_kind(const char *name, uint32_t *kind_out, lp_error *error) {
    const kind_info *info = schema_kind_named(name ? name : "lead");
    if (info) {
        *kind_out = info->number;
        return LP_OK;
    }
    char *end = NULL;
    unsigned long number = name[0] == '#' && name[1] >= '1' && name[1] <= '9' ? strtoul(name + 1, &end, 10) : 0;
    if (number == 0 || number > KIND_NUMBER_MAX || *end)
        return err_set(error, LP_INVALID, "no kind is called '%.40s'; lead and touch are kinds", name);
    *kind_out = (uint32_t)number;
    return LP_OK;
}

static lp_err append_int(clause *c, int64_t value, lp_error *error) {
    return clause_append_value(c, &(lp_value){.type = LP_INT, .integer = value}, error);
}

static lp_err append_where(clause *c, const lp_query *query, uint32_t kind, lp_error *error) {
    clause_append(c, " FROM record WHERE record.kind = ");
    lp_err code = append_int(c, kind, error);
    if (code != LP_OK)
        return code;
    /* A record whose every field was refused is a row without a body, kept for what lp_refused shows. */
    clause_append(c, query->deleted ? " AND record.body <> x'' AND ("
                                    : " AND record.deleted = 0 AND record.body <> x'' AND (");
    code = filter_append(c, kind, query->filter, error);
    clause_append(c, ")");
    return code;
}

static lp_err append_list(clause *c, const lp_query *query, lp_error *error) {
    uint32_t kind;
    lp_err code = parse_kind(query->kind, &kind, error);
    if (code != LP_OK)
        return code;
    clause_append(c, "SELECT " SNAPSHOT_COLUMNS);
    if ((code = append_where(c, query, kind, error)) != LP_OK)
        return code;
    clause_append(c, " ORDER BY ");
    if ((code = filter_append_order(c, kind, query->sort, error)) != LP_OK)
        return code;
    clause_append(c, " LIMIT ");
    if ((code = append_int(c, query->limit ? (int64_t)query->limit : -1, error)) != LP_OK)
        return code;
    clause_append(c, " OFFSET ");
    return append_int(c, query->offset, error);
}

/* Appends every row the statement has left. */
static lp_err read_rows(replica *r, sqlite3_stmt *statement, lp_rows *rows, lp_error *error) {
    int step;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        lp_record *row;
        lp_err code = snapshot_of_row(statement, 0, &row, error);
        if (code == LP_OK)
            code = rows_append(rows, row, error);
        if (code != LP_OK)
            return code;
    }
    return step == SQLITE_DONE ? LP_OK : replica_sql_error(r, "list the records", error);
}

lp_err query_list(replica *r, const lp_query *query, lp_rows **rows_out, lp_error *error) {
    clause c = {0};
    sqlite3_stmt *statement = NULL;
    *rows_out = NULL;
    lp_err code = append_list(&c, query, error);
    if (code != LP_OK)
        goto out;
    if (clause_prepare(&c, r->db, &statement) != SQLITE_OK) {
        code = replica_sql_error(r, "list the records", error);
        goto out;
    }
    code = rows_new(rows_out, error);
    if (code == LP_OK)
        code = read_rows(r, statement, *rows_out, error);
out:
    sqlite3_finalize(statement);
    clause_fini(&c);
    if (code != LP_OK) {
        lp_rows_free(*rows_out);
        *rows_out = NULL;
    }
    return code;
}

lp_err query_count(replica *r, const lp_query *query, uint64_t *count_out, lp_error *error) {
    clause c = {0};
    sqlite3_stmt *statement = NULL;
    uint32_t kind;
    *count_out = 0;
    lp_err code = parse_kind(query->kind, &kind, error);
    if (code != LP_OK)
        return code;
    clause_append(&c, "SELECT count(*)");
    code = append_where(&c, query, kind, error);
    if (code != LP_OK)
        goto out;
    if (clause_prepare(&c, r->db, &statement) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
        code = replica_sql_error(r, "count the records", error);
    else
        *count_out = (uint64_t)sqlite3_column_int64(statement, 0);
out:
    sqlite3_finalize(statement);
    clause_fini(&c);
    return code;
}

lp_err query_get(replica *r, const lp_id *id, lp_record **record_out, lp_error *error) {
    static const char sql[] = "SELECT " SNAPSHOT_COLUMNS " FROM record WHERE id = ?1";
    sqlite3_stmt *statement = NULL;
    lp_err code = LP_OK;
    int step = SQLITE_ERROR;
    *record_out = NULL;
    if (sqlite3_prepare_v2(r->db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_blob(statement, 1, id->bytes, sizeof id->bytes, SQLITE_STATIC) == SQLITE_OK)
        step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        code = snapshot_of_row(statement, 0, record_out, error);
    } else if (step == SQLITE_DONE) {
        char text[LP_ID_TEXT_BYTES];
        lp_id_format(id, text);
        code = err_set(error, LP_NOT_FOUND, "no record %s on this device; sync, or check the id", text);
    } else {
        code = replica_sql_error(r, "read a record", error);
    }
    sqlite3_finalize(statement);
    return code;
}

/* ---- refused changes ---- */

/* One record's refused fields while its rows go by. The bytes of a row last only until the next, so they are copied; the
 * copies live in fixed places until the snapshot is made. */
typedef struct refusal {
    record rec;
    bool unsent;
    void **copies;
    uint32_t copy_count;
    int64_t rid;
} refusal;

static void refusal_clear(refusal *f) {
    for (uint32_t i = 0; i < f->copy_count; i++)
        free(f->copies[i]);
    free(f->copies);
    record_fini(&f->rec);
    *f = (refusal){0};
}

/* The bytes of a column, owned by `f`; false if out of memory. */
static bool keep(refusal *f, sqlite3_stmt *statement, int column, span *kept_out) {
    const void *data = sqlite3_column_blob(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    *kept_out = (span){0};
    if (size == 0)
        return true;
    void **copies = realloc(f->copies, (f->copy_count + 1u) * sizeof *copies);
    if (!copies)
        return false;
    f->copies = copies;
    void *copy = malloc(size);
    if (!copy)
        return false;
    memcpy(copy, data, size);
    copies[f->copy_count++] = copy;
    *kept_out = span_of(copy, size);
    return true;
}

static lp_err finish_refusal(refusal *f, lp_rows *rows, lp_error *error) {
    if (f->rec.count == 0)
        return LP_OK;
    lp_record *row;
    lp_err code = snapshot_new(&f->rec, f->unsent, &row, error);
    return code == LP_OK ? rows_append(rows, row, error) : code;
}

/* Columns: rid, id, kind, unsent, stamp, field, key, value. Rows of one record follow each other, newest stamp first, so the
 * first value of a register is the one to show. */
static lp_err take_refused(refusal *f, sqlite3_stmt *statement, lp_error *error) {
    lp_id id;
    const uint8_t *packed = sqlite3_column_blob(statement, 4);
    if (!id_from_span(span_of(sqlite3_column_blob(statement, 1), (size_t)sqlite3_column_bytes(statement, 1)), &id) ||
        sqlite3_column_bytes(statement, 4) != STAMP_BYTES)
        return err_set(error, LP_CORRUPT, "a refused change in the replica is damaged; restore the file from a backup");
    stamp made = stamp_unpack(packed);
    if (f->rec.count == 0)
        record_init(&f->rec, (uint32_t)sqlite3_column_int64(statement, 2), &id);
    f->rid = sqlite3_column_int64(statement, 0);
    f->unsent = sqlite3_column_int(statement, 3) != 0;
    span key, value;
    if (!keep(f, statement, 6, &key) || !keep(f, statement, 7, &value))
        return err_plain(error, LP_NOMEM);
    bool new_register;
    reg *shown = record_at(&f->rec, (uint32_t)sqlite3_column_int64(statement, 5), key, &new_register);
    if (!shown)
        return err_plain(error, LP_NOMEM);
    if (new_register) {
        shown->value = value;
        shown->stamp = made;
    }
    return LP_OK;
}

static lp_err read_refused(replica *r, sqlite3_stmt *statement, lp_rows *rows, lp_error *error) {
    refusal f = {0};
    lp_err code = LP_OK;
    int step = SQLITE_DONE;
    while (code == LP_OK && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        if (f.rec.count && f.rid != sqlite3_column_int64(statement, 0)) {
            code = finish_refusal(&f, rows, error);
            refusal_clear(&f);
        }
        if (code == LP_OK)
            code = take_refused(&f, statement, error);
    }
    if (code == LP_OK)
        code = step == SQLITE_DONE ? finish_refusal(&f, rows, error)
                                   : replica_sql_error(r, "read the refused changes", error);
    refusal_clear(&f);
    return code;
}

lp_err query_refused(replica *r, lp_rows **rows_out, lp_error *error) {
    static const char sql[] = "SELECT record.rid, record.id, record.kind, record.unsent, refused.stamp, refused.field,"
                              " refused.key, refused.value FROM refused JOIN record ON record.rid = refused.rid"
                              " ORDER BY record.rid DESC, refused.stamp DESC";
    return query_registers(r, sql, rows_out, error);
}

lp_err query_registers(replica *r, const char *sql, lp_rows **rows_out, lp_error *error) {
    sqlite3_stmt *statement = NULL;
    lp_err code = rows_new(rows_out, error);
    if (code != LP_OK)
        return code;
    if (sqlite3_prepare_v2(r->db, sql, -1, &statement, NULL) != SQLITE_OK)
        code = replica_sql_error(r, "read the refused changes", error);
    else
        code = read_refused(r, statement, *rows_out, error);
    sqlite3_finalize(statement);
    if (code != LP_OK) {
        lp_rows_free(*rows_out);
        *rows_out = NULL;
    }
    return code;
}
