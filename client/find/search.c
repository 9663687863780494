/* search.c - the full-text index and searches in it; see search.h.
 *
 * The FTS5 table keeps its text, twice the bytes of an index alone: taking a record out needs the text that was put in, and by
 * then the record has changed. Deleting from FTS5 only marks; the words stay in older segments until they are merged, hence
 * search_scrub. */
#include "client/find/search.h"

#include "client/find/filter.h"
#include "client/find/match.h"
#include "client/replica/snapshot.h"
#include "client/find/tokenizer.h"
#include "proto/err.h"
#include "proto/schema.h"
#include "proto/wire.h"

const char *search_schema_sql(void) {
    return "CREATE VIRTUAL TABLE lead_text USING fts5(names, other, tokenize = 'leadpool');";
}

lp_err search_register(sqlite3 *db, lp_error *error) {
    lp_err code = tokenizer_register(db, error);
    return code == LP_OK ? filter_register(db, error) : code;
}

/* ---- keeping the index ---- */

/* Runs a statement with at most one parameter, a rid. */
static lp_err run_sql(replica *r, const char *sql, int64_t rid, lp_error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(r->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK && sqlite3_bind_parameter_count(statement) == 1)
        code = sqlite3_bind_int64(statement, 1, rid);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    lp_err result = code == SQLITE_DONE ? LP_OK : replica_sql_error(r, "bring the search index up to date", error);
    sqlite3_finalize(statement);
    return result;
}

lp_err search_forget(replica *r, int64_t rid, lp_error *error) {
    return run_sql(r, "DELETE FROM lead_text WHERE rowid = ?1", rid, error);
}

lp_err search_scrub(replica *r, lp_error *error) {
    return run_sql(r, "INSERT INTO lead_text(lead_text) VALUES('optimize')", 0, error);
}

/* The statements of a catch-up, prepared once for its many records. */
typedef struct indexer {
    replica *r;
    sqlite3_stmt *next; /* the first waiting rid */
    sqlite3_stmt *load; /* kind, deleted, id, body, stamps of a rid */
    sqlite3_stmt *forget;
    sqlite3_stmt *insert;
    sqlite3_stmt *done;
    buf names, other;
    bool gone; /* a record was not there any more: its text must leave the file */
} indexer;

static int step_rid(sqlite3_stmt *statement, int64_t rid) {
    sqlite3_reset(statement);
    int code = sqlite3_bind_int64(statement, 1, rid);
    return code == SQLITE_OK ? sqlite3_step(statement) : code;
}

static bool prepare(indexer *x) {
    const struct {
        const char *sql;
        sqlite3_stmt **statement;
    } all[] = {
        {"SELECT min(rid) FROM unindexed", &x->next},
        {"SELECT kind, deleted, id, body, stamps FROM record WHERE rid = ?1", &x->load},
        {"DELETE FROM lead_text WHERE rowid = ?1", &x->forget},
        {"INSERT INTO lead_text(rowid, names, other) VALUES(?1, ?2, ?3)", &x->insert},
        {"DELETE FROM unindexed WHERE rid = ?1", &x->done},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (sqlite3_prepare_v2(x->r->db, all[i].sql, -1, all[i].statement, NULL) != SQLITE_OK)
            return false;
    return true;
}

static void indexer_fini(indexer *x) {
    sqlite3_finalize(x->next);
    sqlite3_finalize(x->load);
    sqlite3_finalize(x->forget);
    sqlite3_finalize(x->insert);
    sqlite3_finalize(x->done);
    buf_fini(&x->names);
    buf_fini(&x->other);
}

static span column_span(sqlite3_stmt *statement, int column) {
    const void *data = sqlite3_column_blob(statement, column);
    return span_of(data, (size_t)sqlite3_column_bytes(statement, column));
}

lp_err search_texts(sqlite3_stmt *row, buf *names, buf *other, lp_error *error) {
    uint32_t kind = (uint32_t)sqlite3_column_int64(row, 0);
    lp_id id;
    if (!match_indexes(kind) || sqlite3_column_int(row, 1) || !id_from_span(column_span(row, 2), &id))
        return LP_OK;
    record rec;
    record_init(&rec, kind, &id);
    lp_err code = record_unpack(&rec, column_span(row, 3), column_span(row, 4), error);
    if (code == LP_OK)
        match_texts(&rec, names, other);
    record_fini(&rec);
    if (code == LP_OK && (names->failed || other->failed))
        code = err_plain(error, LP_NOMEM);
    /* A damaged record is doctor's affair; it must not keep all others from being found. */
    return code == LP_CORRUPT ? LP_OK : code;
}

static int bind_text(sqlite3_stmt *statement, int parameter, const buf *text) {
    return sqlite3_bind_text(statement, parameter, text->size ? (const char *)text->data : "", (int)text->size,
                             SQLITE_TRANSIENT);
}

static int insert_texts(indexer *x, int64_t rid) {
    sqlite3_reset(x->insert);
    int code = bind_text(x->insert, 2, &x->names);
    if (code == SQLITE_OK)
        code = bind_text(x->insert, 3, &x->other);
    return code == SQLITE_OK ? step_rid(x->insert, rid) : code;
}

static lp_err index_record(indexer *x, int64_t rid, lp_error *error) {
    buf_clear(&x->names);
    buf_clear(&x->other);
    int step = step_rid(x->load, rid);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return replica_sql_error(x->r, "bring the search index up to date", error);
    x->gone |= step == SQLITE_DONE;
    lp_err code = step == SQLITE_ROW ? search_texts(x->load, &x->names, &x->other, error) : LP_OK;
    sqlite3_reset(x->load);
    if (code != LP_OK)
        return code;
    if (step_rid(x->forget, rid) != SQLITE_DONE)
        return replica_sql_error(x->r, "bring the search index up to date", error);
    bool empty = x->names.size == 0 && x->other.size == 0;
    if (!empty && insert_texts(x, rid) != SQLITE_DONE)
        return replica_sql_error(x->r, "bring the search index up to date", error);
    if (step_rid(x->done, rid) != SQLITE_DONE)
        return replica_sql_error(x->r, "bring the search index up to date", error);
    return LP_OK;
}

/* The first waiting rid; *none_out if no record waits. */
static lp_err next_waiting(indexer *x, int64_t *rid_out, bool *none_out, lp_error *error) {
    sqlite3_reset(x->next);
    if (sqlite3_step(x->next) != SQLITE_ROW)
        return replica_sql_error(x->r, "bring the search index up to date", error);
    *none_out = sqlite3_column_type(x->next, 0) == SQLITE_NULL;
    *rid_out = sqlite3_column_int64(x->next, 0);
    sqlite3_reset(x->next);
    return LP_OK;
}

static lp_err index_waiting(indexer *x, uint32_t max_records, bool *done_out, lp_error *error) {
    int64_t rid = 0;
    for (uint32_t count = 0;; count++) {
        lp_err code = next_waiting(x, &rid, done_out, error);
        if (code != LP_OK || *done_out || (max_records && count == max_records))
            return code;
        if ((code = index_record(x, rid, error)) != LP_OK)
            return code;
    }
}

static lp_err catch_up(replica *r, uint32_t max_records, bool *done_out, lp_error *error) {
    indexer x = {.r = r};
    lp_err code = prepare(&x) ? LP_OK : replica_sql_error(r, "bring the search index up to date", error);
    if (code == LP_OK)
        code = index_waiting(&x, max_records, done_out, error);
    indexer_fini(&x);
    return code == LP_OK && x.gone ? search_scrub(r, error) : code;
}

static lp_err is_waiting(replica *r, bool *waiting_out, lp_error *error) {
    sqlite3_stmt *statement = NULL;
    lp_err code = LP_OK;
    if (sqlite3_prepare_v2(r->db, "SELECT EXISTS(SELECT 1 FROM unindexed)", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        *waiting_out = sqlite3_column_int(statement, 0) != 0;
    else
        code = replica_sql_error(r, "bring the search index up to date", error);
    sqlite3_finalize(statement);
    return code;
}

lp_err search_catch_up(replica *r, uint32_t max_records, bool *done_out, lp_error *error) {
    bool waiting = false;
    *done_out = false;
    /* Asked first without the lock: with nothing to do, a search must not wait for another process's write. */
    lp_err code = is_waiting(r, &waiting, error);
    *done_out = code == LP_OK && !waiting;
    if (code != LP_OK || !waiting || r->read_only)
        return code;
    if ((code = replica_begin(r, error)) != LP_OK)
        return code;
    code = catch_up(r, max_records, done_out, error);
    if (code == LP_OK)
        return replica_commit(r, error);
    replica_rollback(r);
    return code;
}

/* ---- searching ---- */

/* The best entry of each lead, its own or of one of its touches (which count half); rank is negative, the best the least.
 * Names weigh ten times the rest. The bodies are read for the rows that are returned only. */
static const char search_sql[] =
    "WITH hit AS MATERIALIZED (SELECT rowid AS rid, bm25(lead_text, 10.0, 1.0) AS score FROM lead_text"
    "                          WHERE lead_text MATCH ?1),"
    " found AS (SELECT hit.rid AS rid, hit.score AS score FROM hit JOIN record ON record.rid = hit.rid"
    "            WHERE record.kind = ?2 AND record.deleted = 0"
    "           UNION ALL"
    "           SELECT lead.rid, hit.score * 0.5 FROM hit JOIN record AS touch ON touch.rid = hit.rid"
    "             JOIN record AS lead ON lead.id = touch.c_lead"
    "            WHERE touch.kind = ?3 AND touch.deleted = 0 AND lead.kind = ?2 AND lead.deleted = 0),"
    " best AS (SELECT rid, min(score) AS score FROM found GROUP BY rid ORDER BY 2, 1 DESC LIMIT ?4)"
    " SELECT " SNAPSHOT_COLUMNS " FROM best JOIN record ON record.rid = best.rid"
    " ORDER BY best.score, best.rid DESC";

static int prepare_search(replica *r, const buf *expression, uint32_t limit, sqlite3_stmt **statement_out) {
    int code = sqlite3_prepare_v2(r->db, search_sql, -1, statement_out, NULL);
    if (code != SQLITE_OK)
        return code;
    sqlite3_stmt *statement = *statement_out;
    code = bind_text(statement, 1, expression);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int(statement, 2, KIND_LEAD);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int(statement, 3, KIND_TOUCH);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 4, limit ? (int64_t)limit : -1);
    return code;
}

static lp_err find(replica *r, const buf *expression, uint32_t limit, lp_rows *rows, lp_error *error) {
    sqlite3_stmt *statement = NULL;
    lp_err code = LP_OK;
    int step = prepare_search(r, expression, limit, &statement);
    if (step == SQLITE_OK)
        while (code == LP_OK && (step = sqlite3_step(statement)) == SQLITE_ROW) {
            lp_record *row;
            code = snapshot_of_row(statement, 0, &row, error);
            if (code == LP_OK)
                code = rows_append(rows, row, error);
        }
    if (code == LP_OK && step != SQLITE_DONE)
        code = replica_sql_error(r, "search", error);
    sqlite3_finalize(statement);
    return code;
}

lp_err search_run(replica *r, const char *text, uint32_t limit, lp_rows **rows_out, lp_error *error) {
    buf expression = {0};
    bool done;
    *rows_out = NULL;
    if (!text_valid(span_text(text)))
        return err_set(error, LP_INVALID, "the search text is not UTF-8; convert it first");
    match_expression(span_text(text), &expression);
    lp_err code = expression.failed ? err_plain(error, LP_NOMEM) : search_catch_up(r, 0, &done, error);
    if (code == LP_OK)
        code = rows_new(rows_out, error);
    if (code == LP_OK && expression.size)
        code = find(r, &expression, limit, *rows_out, error);
    buf_fini(&expression);
    if (code != LP_OK) {
        lp_rows_free(*rows_out);
        *rows_out = NULL;
    }
    return code;
}
