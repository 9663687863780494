/* search_check.c - the full-text index held against the records, and made anew; see search.h. */
#include "client/find/search.h"
#include "client/replica/statements.h"

/* The index of a record and the record, side by side; no row of it may be missing on either side. Those that wait are not looked at. */
static const char pairs_sql[] =
    "SELECT r.kind, r.deleted, r.id, r.body, r.stamps, t.names, t.other, t.rowid IS NOT NULL FROM record r"
    " LEFT JOIN lead_text t ON t.rowid = r.rid WHERE r.rid NOT IN (SELECT rid FROM unindexed)";
static const char strays_sql[] = "SELECT count(*) FROM lead_text WHERE rowid NOT IN (SELECT rid FROM record)"
                                 " AND rowid NOT IN (SELECT rid FROM unindexed)";

/* Damage is an answer, other errors are errors. */
static lp_err judge(replica *r, bool *sound_out, lp_error *error) {
    *sound_out = false;
    lp_err err = replica_sql_error(r, "check the search index", error);
    return err == LP_CORRUPT ? LP_OK : err;
}

static bool is_same(sqlite3_stmt *s, const buf *names, const buf *other) {
    bool empty = names->size == 0 && other->size == 0;
    if (!sqlite3_column_int(s, 7))
        return empty;
    return !empty && span_equal(column_span(s, 5), buf_span(names)) && span_equal(column_span(s, 6), buf_span(other));
}

static lp_err compare(replica *r, bool *sound_out, lp_error *error) {
    sqlite3_stmt *s = NULL;
    buf names = {0}, other = {0};
    lp_err err = LP_OK;
    int step = SQLITE_ERROR;
    if (sqlite3_prepare_v2(r->db, pairs_sql, -1, &s, NULL) == SQLITE_OK)
        while (!err && *sound_out && (step = sqlite3_step(s)) == SQLITE_ROW) {
            buf_clear(&names);
            buf_clear(&other);
            err = search_texts(s, &names, &other, error);
            *sound_out = !err && is_same(s, &names, &other);
        }
    if (!err && *sound_out && step != SQLITE_DONE)
        err = judge(r, sound_out, error);
    sqlite3_finalize(s);
    buf_fini(&names);
    buf_fini(&other);
    return err;
}

static lp_err count_strays(replica *r, bool *sound_out, lp_error *error) {
    sqlite3_stmt *s = NULL;
    bool ok = sqlite3_prepare_v2(r->db, strays_sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW;
    if (ok)
        *sound_out = sqlite3_column_int64(s, 0) == 0;
    lp_err err = ok ? LP_OK : judge(r, sound_out, error);
    sqlite3_finalize(s);
    return err;
}

lp_err search_check(replica *r, bool *sound_out, lp_error *error) {
    *sound_out = true;
    if (sqlite3_exec(r->db, "INSERT INTO lead_text(lead_text) VALUES('integrity-check')", NULL, NULL, NULL) !=
        SQLITE_OK)
        return judge(r, sound_out, error);
    lp_err err = compare(r, sound_out, error);
    return err || !*sound_out ? err : count_strays(r, sound_out, error);
}

lp_err search_remake(replica *r, lp_error *error) {
    bool ok =
        sqlite3_exec(r->db, "DROP TABLE lead_text", NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_exec(r->db, search_schema_sql(), NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_exec(r->db, "INSERT OR IGNORE INTO unindexed SELECT rid FROM record", NULL, NULL, NULL) == SQLITE_OK;
    return ok ? LP_OK : replica_sql_error(r, "make the search index anew", error);
}
