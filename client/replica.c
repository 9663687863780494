/* replica.c - opening, migrating and transactions of the file on a device; see replica.h. */
#include "client/replica.h"

#include <stdlib.h>
#include <string.h>

#include "client/fields.h"
#include "client/holdings.h"
#include "client/image.h"
#include "client/recovered.h"
#include "client/search.h"
#include "client/statements.h"
#include "proto/bug.h"
#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/schema.h"
#include "proto/wire.h"

#define APPLICATION_ID 0x4c505231 /* "LPR1" */
#define SCHEMA_VERSION 1
#define CHECKPOINT_PAGES 1000
#define CHECKPOINT_PAGES_TIGHT 64
#define CHECKPOINT_PAGES_BUSY 8192 /* 32 MiB */
#define BUSY_MS 5000
#define SCRUB_BUSY_MS 100

static lp_err translate(const replica *r, const char *what, lp_error *error) {
    int rc = r->db ? sqlite3_extended_errcode(r->db) : SQLITE_NOMEM;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return err_set(error, LP_FULL, "cannot %s: no space left on the device; free some space and try again", what);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(error, LP_BUSY, "cannot %s: another program is using the replica; try again", what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(error, LP_CORRUPT, "cannot %s: %s is damaged; run leadpool doctor", what,
                       sqlite3_db_filename(r->db, "main"));
    case SQLITE_NOMEM:
        return err_plain(error, LP_NOMEM);
    case SQLITE_READONLY:
        return err_set(error, LP_IO, "cannot %s: the replica is read-only; check the file's rights and the file system",
                       what);
    default:
        return err_set(error, LP_IO, "cannot %s: %s; check the disk and its free space", what,
                       r->db ? sqlite3_errmsg(r->db) : "no database");
    }
}

lp_err replica_sql_error(replica *r, const char *what, lp_error *error) {
    lp_err err = translate(r, what, error);
    if (r->writing)
        r->failed = err;
    return err;
}

static lp_err run_sql(replica *r, const char *sql, const char *what, lp_error *error) {
    return sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK ? LP_OK : replica_sql_error(r, what, error);
}

/* ---- schema ---- */

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
                            : run_sql(r, (const char *)sql.data, "create the replica's tables", error);
    buf_fini(&sql);
    if (!err)
        err = run_sql(r, schema_sql, "create the replica's tables", error);
    if (!err)
        err = run_sql(r, search_schema_sql(), "create the search index", error);
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

/* Brings a file of any earlier version to this one, in one transaction. */
static lp_err migrate(replica *r, bool create, lp_error *error) {
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
    lp_err err = run_sql(r, "BEGIN IMMEDIATE", "open the replica", error);
    if (!err)
        err = create_tables(r, error);
    if (!err)
        err = run_sql(r, stamp_sql, "open the replica", error);
    if (!err)
        err = run_sql(r, "COMMIT", "open the replica", error);
    if (err)
        sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

/* ---- open and close ---- */

/* Told by SQLite after every commit; replaces the automatic checkpoint, which would run without the lock. */
static int note_wal(void *ctx, sqlite3 *db, const char *name, int pages) {
    replica *r = ctx;
    (void)db;
    (void)name;
    r->wal_pages = pages;
    return SQLITE_OK;
}

/* On a read-only file system nobody writes, so that the file may be read without locks and shared memory. */
static int open_immutable(replica *r, const char *path) {
    buf uri = {0};
    buf_append_span(&uri, SPAN_LITERAL("file:"));
    for (const char *at = path; *at; at++)
        if (strchr("%?#", *at)) {
            char code[4];
            sqlite3_snprintf(sizeof code, code, "%%%02x", *at);
            buf_append(&uri, code, 3);
        } else {
            buf_append_byte(&uri, (uint8_t)*at);
        }
    buf_append(&uri, "?immutable=1", sizeof "?immutable=1");
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
    int rc = uri.failed ? SQLITE_NOMEM : sqlite3_open_v2((const char *)uri.data, &r->db, flags, NULL);
    buf_fini(&uri);
    return rc;
}

/* Read-only: as usual if the log can be read that way, else without it, if there is nothing in it. */
static int open_read_only(replica *r, const char *path) {
    int rc = sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK || sqlite3_exec(r->db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL) == SQLITE_OK ||
        image_log_has_bytes(path))
        return rc;
    sqlite3_close_v2(r->db);
    r->db = NULL;
    return open_immutable(r, path);
}

static int open_file(replica *r, const char *path, bool create) {
    r->read_only = r->lock && r->lock->read_only;
    if (r->read_only)
        return open_read_only(r, path);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    int rc = sqlite3_open_v2(path, &r->db, flags, NULL);
    r->read_only = rc == SQLITE_OK && sqlite3_db_readonly(r->db, "main") == 1;
    return rc;
}

static lp_err open_database(replica *r, const char *path, bool create, lp_error *error) {
    if (image_cut_off(path))
        return err_set(error, LP_CORRUPT, "%s has lost its content, but not its log; run leadpool doctor --rescue FILE",
                       path);
    if (open_file(r, path, create) != SQLITE_OK) {
        bool missing = (sqlite3_errcode(r->db) & 0xff) == SQLITE_CANTOPEN && !image_exists(path);
        if (!create && missing)
            return err_set(error, LP_NOT_FOUND, "there is no replica at %s; join with an invitation first", path);
        return replica_sql_error(r, "open the replica", error);
    }
    sqlite3_busy_timeout(r->db, BUSY_MS);
    sqlite3_extended_result_codes(r->db, 1);
    sqlite3_wal_hook(r->db, note_wal, r);
    /* A full disk has no room for the shared memory that even a reader needs: what was there once stays (see replica_close). */
    int stays = 1;
    sqlite3_file_control(r->db, "main", SQLITE_FCNTL_PERSIST_WAL, &stays);
    lp_err err = run_sql(
        r,
        r->read_only
            ? "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16000"
            : "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
              "PRAGMA secure_delete=ON; PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16000",
        "open the replica", error);
    if (!err && BUG(DEVICE_SYNC_LEFT_OUT))
        err = run_sql(r, "PRAGMA synchronous=OFF", "open the replica", error);
    return err ? err : search_register(r->db, error);
}

lp_err replica_open(const char *path, bool create, const lp_env *env, const replica_lock *lock, replica **replica_out,
                    lp_error *error) {
    replica *r = calloc(1, sizeof *r);
    if (!r)
        return err_plain(error, LP_NOMEM);
    r->env = env;
    r->lock = lock;
    r->gone = recovered_keep;
    env->boot_id(env->ctx, r->boot_id);
    lp_err err = lock ? lock->acquire(lock->ctx, error) : LP_OK;
    bool locked = !err && lock;
    if (!err)
        err = open_database(r, path, create, error);
    if (!err)
        err = migrate(r, create, error);
    if (locked)
        lock->release(lock->ctx);
    if (!err)
        err = statements_open(r, error);
    if (!err)
        err = replica_identify(r, error);
    if (!err)
        r->scrub = replica_meta_int(r, "scrub.due", 0) != 0;
    if (err) {
        replica_close(r);
        return err;
    }
    *replica_out = r;
    return LP_OK;
}

void replica_close(replica *r) {
    if (!r)
        return;
    if (r->writing)
        replica_rollback(r);
    statements_close(r);
    digester_free(r->digester);
    crypto_sealer_free(r->sealer);
    /* Closing the last connection checkpoints by itself: that is a checkpoint like any other and wants the lock. */
    bool locked = r->lock && r->lock->acquire(r->lock->ctx, NULL) == LP_OK;
    /* The log stays as an empty file: one with pages in it would be taken for that of an older copy put in this file's place. */
    if (!r->read_only)
        sqlite3_exec(r->db, "PRAGMA journal_size_limit=0", NULL, NULL, NULL);
    sqlite3_close_v2(r->db);
    if (locked)
        r->lock->release(r->lock->ctx);
    free(r);
}

/* Leaving WAL mode takes the whole file: SQLite refuses while any other connection is open. */
lp_err replica_retire(replica *r, lp_error *error) {
    sqlite3_stmt *s = NULL;
    sqlite3_busy_timeout(r->db, 0);
    bool alone =
        sqlite3_prepare_v2(r->db, "PRAGMA journal_mode = DELETE", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW &&
        span_equal(span_of(sqlite3_column_text(s, 0), (size_t)sqlite3_column_bytes(s, 0)), SPAN_LITERAL("delete"));
    sqlite3_finalize(s);
    sqlite3_busy_timeout(r->db, BUSY_MS);
    return alone ? LP_OK : err_set(error, LP_BUSY, "another program has the replica open; stop it, then try again");
}

/* meta "device.former": numbers this device had before, 4 bytes each, big-endian, latest first. */
static lp_err read_former(replica *r, lp_error *error) {
    buf numbers = {0};
    lp_err err = replica_meta(r, "device.former", &numbers, error);
    for (r->former_count = 0; r->former_count < REPLICA_FORMER_MAX && (r->former_count + 1) * 4 <= numbers.size;) {
        const uint8_t *at = numbers.data + 4 * (size_t)r->former_count;
        r->former[r->former_count++] =
            (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | (uint32_t)at[3];
    }
    buf_fini(&numbers);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err replica_identify(replica *r, lp_error *error) {
    buf pool = {0};
    buf staff = {0};
    lp_err err = replica_meta(r, "pool.id", &pool, error);
    if (!err)
        err = replica_meta(r, "staff.id", &staff, error);
    if (err == LP_NOT_FOUND) {
        err = LP_OK;
        goto out;
    }
    if (err)
        goto out;
    int64_t number;
    err = replica_meta_read_int(r, "device.number", 0, &number, error);
    if (err)
        goto out;
    r->clock.author = (uint32_t)number;
    err = read_former(r, error);
    if (err)
        goto out;
    if (!id_from_span(buf_span(&pool), &r->pool) || !id_from_span(buf_span(&staff), &r->person) || !r->clock.author) {
        err = err_set(error, LP_CORRUPT, "the replica does not say whose it is; keep the file and join again");
        goto out;
    }
    digester_free(r->digester);
    r->digester = NULL;
    err = digester_new(&r->pool, &r->digester, error);
out:
    buf_fini(&pool);
    buf_fini(&staff);
    return err;
}

/* ---- transactions ---- */

static lp_err read_shared(replica *r, lp_error *error) {
    r->mark = (clock_mark){0};
    r->clock.last = (uint64_t)replica_meta_int(r, "clock.last", 0);
    r->seen = (uint64_t)replica_meta_int(r, "clock.seen", 0);
    return holdings_load(r, error);
}

static lp_err write_shared(replica *r, lp_error *error) {
    lp_err err =
        BUG(CLOCK_NOT_PERSISTED) ? LP_OK : replica_meta_put_int(r, "clock.last", (int64_t)r->clock.last, error);
    if (!err)
        err = replica_meta_put_int(r, "clock.seen", (int64_t)r->seen, error);
    return err ? err : holdings_store(r, error);
}

/* Ends whatever is open. Without memory it may stay open until the next try. */
static void roll_back(replica *r) {
    sqlite3_stmt *s = sqlite3_get_autocommit(r->db) ? NULL : statement(r, STATEMENT_ROLLBACK, NULL);
    if (!s)
        return;
    sqlite3_step(s);
    sqlite3_reset(s);
}

static lp_err do_statement(replica *r, statement_name name, const char *what, lp_error *error) {
    sqlite3_stmt *s = statement(r, name, error);
    return s ? statement_run(r, s, what, error) : LP_IO;
}

static void leave(replica *r) {
    r->writing = r->touched = false;
    r->failed = LP_OK;
    if (r->lock)
        r->lock->release(r->lock->ctx);
}

lp_err replica_begin(replica *r, lp_error *error) {
    if (r->read_only)
        return err_set(error, LP_IO,
                       "cannot save: the replica is read-only; check the file's rights and the file system");
    lp_err err = r->lock ? r->lock->acquire(r->lock->ctx, error) : LP_OK;
    if (err)
        return err;
    roll_back(r);
    err = do_statement(r, STATEMENT_BEGIN, "write to the replica", error);
    if (err) {
        leave(r);
        return err;
    }
    r->writing = true;
    err = read_shared(r, error);
    if (err)
        replica_rollback(r);
    return err;
}

lp_err replica_commit(replica *r, lp_error *error) {
    lp_err err = r->touched ? write_shared(r, error) : LP_OK;
    if (!err && r->failed)
        err = err_set(error, r->failed, "cannot save: something before it failed; try again");
    if (!err)
        err = do_statement(r, STATEMENT_COMMIT, "save", error);
    if (err) {
        replica_rollback(r);
        return err;
    }
    leave(r);
    return LP_OK;
}

void replica_rollback(replica *r) {
    if (!r->writing)
        return;
    r->failed = LP_OK;
    roll_back(r);
    leave(r);
}

lp_err replica_scrub_later(replica *r, lp_error *error) {
    r->scrub = true;
    lp_err err = search_scrub(r, error);
    return err ? err : replica_meta_put_int(r, "scrub.due", 1, error);
}

/* All of the log into the file, and the log cut to nothing: then nothing that was removed is anywhere. Readers of other processes may be in
 * the way; the note in meta stays until it worked. */
static void scrub(replica *r) {
    if (r->lock && r->lock->acquire(r->lock->ctx, NULL) != LP_OK)
        return;
    sqlite3_busy_timeout(r->db, SCRUB_BUSY_MS);
    r->scrub = sqlite3_wal_checkpoint_v2(r->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK;
    sqlite3_busy_timeout(r->db, BUSY_MS);
    r->wal_pages = 0;
    if (r->lock)
        r->lock->release(r->lock->ctx);
    lp_error ignored;
    if (r->scrub || replica_begin(r, &ignored))
        return;
    if (replica_meta_put_int(r, "scrub.due", 0, &ignored) || replica_commit(r, &ignored))
        replica_rollback(r);
}

void replica_checkpoint(replica *r, bool busy) {
    if (r->read_only)
        return;
    int due = r->tight ? CHECKPOINT_PAGES_TIGHT : busy ? CHECKPOINT_PAGES_BUSY : CHECKPOINT_PAGES;
    if (r->scrub || r->wal_pages >= due)
        statements_rest(r); /* a row that was looked at last keeps a snapshot, which holds back the log */
    if (r->scrub)
        scrub(r);
    if (r->wal_pages < due || (r->lock && r->lock->acquire(r->lock->ctx, NULL) != LP_OK))
        return;
    sqlite3_wal_checkpoint_v2(r->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    r->wal_pages = 0;
    if (r->lock)
        r->lock->release(r->lock->ctx);
}

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
