/* replica_schema.c - the tables of the file on a device, and how earlier versions become this one; see replica.h. */
#include "client/replica/fields.h"
#include "client/replica/replica.h"
#include "client/find/search.h"
#include "proto/err.h"

#define APPLICATION_ID 0x4c505231 /* "LPR1" */
#define SCHEMA_VERSION 1

static const char schema_sql[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE outbox(oseq INTEGER PRIMARY KEY AUTOINCREMENT, rid INTEGER NOT NULL, stamp BLOB NOT NULL,"
    " base BLOB NOT NULL, seen INTEGER NOT NULL, made_ms INTEGER NOT NULL,"
    " boot INTEGER NOT NULL, boot_ms INTEGER NOT NULL, uncertain INTEGER NOT NULL DEFAULT 0,"
    " count INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX outbox_rid ON outbox(rid);"
    "CREATE TABLE batch(number INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL);"
    "CREATE TABLE refused(rid INTEGER NOT NULL, stamp BLOB NOT NULL, field INTEGER NOT NULL,"
    " key TEXT NOT NULL, value BLOB NOT NULL, reason TEXT NOT NULL, at_ms INTEGER NOT NULL);"
    "CREATE TABLE past(rid INTEGER NOT NULL, stamp BLOB NOT NULL, body BLOB NOT NULL,"
    " uncertain INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX past_rid ON past(rid);"
    "CREATE TABLE boot(number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, offset_ms INTEGER NOT NULL);"
    "CREATE TABLE contact(boot INTEGER NOT NULL, boot_ms INTEGER NOT NULL, server_ms INTEGER NOT NULL,"
    " error_ms INTEGER NOT NULL, oseq INTEGER NOT NULL);"
    "CREATE TABLE kept(n INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, seq INTEGER NOT NULL, sealed BLOB NOT "
    "NULL);"
    "CREATE TABLE recovered(id BLOB NOT NULL, kind INTEGER NOT NULL, field INTEGER NOT NULL, key TEXT NOT NULL,"
    " value BLOB NOT NULL, stamp BLOB NOT NULL, at_ms INTEGER NOT NULL, sending INTEGER NOT NULL DEFAULT 0, PRIMARY "
    "KEY(id, field, key, stamp)) WITHOUT "
    "ROWID;"
    "CREATE TABLE unindexed(rid INTEGER PRIMARY KEY);"
    "CREATE TABLE erased(id BLOB PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE quarantine(qid INTEGER PRIMARY KEY, id BLOB NOT NULL, kind INTEGER NOT NULL, scope TEXT NOT NULL,"
    " changes BLOB NOT NULL, reason TEXT NOT NULL, version TEXT NOT NULL, at_ms INTEGER NOT NULL);"
    "CREATE INDEX quarantine_id ON quarantine(id);"
    "CREATE TABLE scope(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest BLOB NOT NULL,"
    " reading INTEGER NOT NULL);"
    "CREATE TABLE came(scope INTEGER NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY(scope, rid)) WITHOUT ROWID;"
    "CREATE TABLE leaving(rid INTEGER PRIMARY KEY);";

static void put_record_table(buf *sql) {
    const char *type;
    char text[80];
    buf_append_span(
        sql, span_text("CREATE TABLE record(rid INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL,"
                       " deleted INTEGER NOT NULL, unsent INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0,"
                       " body BLOB NOT NULL, stamps BLOB NOT NULL,"
                       " server_body BLOB, server_stamps BLOB"));
    for (uint32_t i = 0; fields_column(i, &type); i++) {
        sqlite3_snprintf(sizeof text, text, ", %s %s", fields_column(i, &type), type);
        buf_append_span(sql, span_text(text));
    }
    buf_append_span(sql, span_text(");CREATE INDEX record_kind ON record(kind, deleted);"));
    buf_append_byte(sql, 0);
}

static lp_err create_tables(replica *r, lp_error *error) {
    buf sql = {0};
    put_record_table(&sql);
    lp_err err = sql.failed ? err_plain(error, LP_NOMEM)
                            : replica_run_sql(r, (const char *)sql.data, "create the replica's tables", error);
    buf_fini(&sql);
    if (!err)
        err = replica_run_sql(r, schema_sql, "create the replica's tables", error);
    if (!err)
        err = replica_run_sql(r, search_schema_sql(), "create the search index", error);
    return err;
}

static int64_t pragma_int(replica *r, const char *sql) {
    sqlite3_stmt *s;
    int64_t value = -1;
    if (sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

lp_err replica_migrate(replica *r, bool create, lp_error *error) {
    int64_t application = pragma_int(r, "PRAGMA application_id");
    int64_t version = pragma_int(r, "PRAGMA user_version");
    int64_t tables = application || version ? 1 : pragma_int(r, "SELECT count(*) FROM sqlite_schema");
    if (application < 0 || version < 0 || tables < 0)
        return replica_sql_error(r, "open the replica", error);
    bool empty = tables == 0;
    if (!empty && application != APPLICATION_ID)
        return err_set(error, LP_CORRUPT, "the file is not a leadpool replica; give another --replica");
    if (version > SCHEMA_VERSION)
        return err_set(error, LP_VERSION, "the replica was made by a newer version of leadpool; update this one");
    if (version == SCHEMA_VERSION)
        return LP_OK;
    if (!empty)
        return err_set(error, LP_CORRUPT, "the replica's header is damaged; run leadpool doctor");
    /* A joining that was cut short leaves the same: nothing is in it either way. */
    if (!create)
        return err_set(error, LP_NOT_FOUND, "the file is empty; join with an invitation");
    char stamp_sql[96];
    sqlite3_snprintf(sizeof stamp_sql, stamp_sql, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
                     APPLICATION_ID, SCHEMA_VERSION);
    lp_err err = replica_run_sql(r, "BEGIN IMMEDIATE", "open the replica", error);
    if (!err)
        err = create_tables(r, error);
    if (!err)
        err = replica_run_sql(r, stamp_sql, "open the replica", error);
    if (!err)
        err = replica_run_sql(r, "COMMIT", "open the replica", error);
    if (err)
        sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}
