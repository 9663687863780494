/* sqlite_open.c - a pool's directory: its lock, the making of the file, its migrations, and the engine's table.
 *
 *     DIR/pool.db        the database; there if and only if it is whole
 *     DIR/pool.db-wal    its log, -shm the index of the log: SQLite's
 *     DIR/pool.db.new    one being made; left over from a crash it is worth nothing
 *     DIR/pool.lock      held while a process has the store open; its number inside
 *
 * Invariants:
 *   (1) One process, once, has a store open.
 *   (2) A file of a newer version, or of another program, is never written to. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "server/store/files.h"
#include "server/store/sqlite.h"

static const struct {
    int64_t version;
    const char *sql;
} migrations[] = {
#define MIGRATION(number, text) {number, text "PRAGMA user_version = " #number ";"},
#include "server/store/migrations.def"
#undef MIGRATION
};

#define MIGRATION_COUNT (sizeof migrations / sizeof migrations[0])

_Static_assert(MIGRATION_COUNT == POOL_SCHEMA_VERSION, "every step adds one to the version");

const store_ops store_sqlite_ops = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .rest = sqlite_rest,
    .savepoint = sqlite_savepoint,
    .release = sqlite_release,
    .undo = sqlite_undo,
    .load = sqlite_load,
    .save = sqlite_save,
    .take_seq = sqlite_take_seq,
    .last_seq = sqlite_last_seq,
    .append = sqlite_append,
    .history = sqlite_history,
    .history_at = sqlite_history_at,
    .rows = sqlite_rows,
    .drop_history = sqlite_drop_history,
    .drop_row = sqlite_drop_row,
    .scrub = sqlite_scrub,
    .get = sqlite_get,
    .put = sqlite_put,
    .each = sqlite_each,
    .reader_open = sqlite_reader_open,
    .reader_close = sqlite_reader_close,
    .snapshot = sqlite_snapshot,
    .snapshot_end = sqlite_snapshot_end,
    .counts = sqlite_counts,
    .feed = sqlite_feed,
    .read = sqlite_read,
    .read_history = sqlite_read_history,
    .read_document = sqlite_read_document,
    .read_documents = sqlite_read_documents,
    .read_next = sqlite_read_next,
    .backup = sqlite_backup,
    .verify = sqlite_verify,
};

static lp_err migrate(sql_conn *c, int64_t version, lp_error *error) {
    for (size_t i = 0; i < MIGRATION_COUNT; i++) {
        if (migrations[i].version <= version)
            continue;
        lp_err err = sql_exec(c, "BEGIN IMMEDIATE", error);
        if (err == LP_OK)
            err = sql_exec(c, migrations[i].sql, error);
        if (err == LP_OK)
            err = sql_exec(c, "COMMIT", error);
        if (err) {
            sql_exec(c, "ROLLBACK", NULL);
            return err;
        }
    }
    return LP_OK;
}

/* Says whether the file is a pool of a version we know, without changing it. */
static lp_err identify(const char *path, int64_t *version_out, lp_error *error) {
    sql_conn c;
    int64_t application = 0;
    lp_err err = sql_open(&c, path, SQL_BUILDER, error);
    if (err == LP_OK)
        err = sql_number(&c, "PRAGMA application_id", &application, error);
    if (err == LP_OK)
        err = sql_number(&c, "PRAGMA user_version", version_out, error);
    sql_close(&c);
    if (err)
        return err;
    if (application != POOL_APPLICATION_ID || *version_out < 1)
        return err_set(error, LP_CORRUPT, "%s is not a leadpool pool; give the directory of one", path);
    if (*version_out > migrations[MIGRATION_COUNT - 1].version)
        return err_set(error, LP_VERSION, "%s was made by a newer version of leadpool; upgrade this one", path);
    return LP_OK;
}

static lp_err build(const char *path, lp_error *error) {
    char pragma[80];
    sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA auto_vacuum = NONE; PRAGMA page_size = %d", POOL_PAGE_BYTES);
    sql_conn c;
    lp_err err = sql_open(&c, path, SQL_BUILDER, error);
    if (err == LP_OK)
        err = sql_exec(&c, pragma, error);
    if (err == LP_OK)
        err = migrate(&c, 0, error);
    sql_close(&c);
    return err;
}

static lp_err make(const sqlite_store *s, lp_error *error) {
    char *draft = file_join(s->directory, "pool.db.new");
    char *log = file_join(s->directory, "pool.db-wal");
    lp_err err = draft && log ? LP_OK : err_plain(error, LP_NOMEM);
    if (err)
        goto out;
    /* SQLite would replay another pool's log into the new file. */
    if (file_exists(log)) {
        err = err_set(error, LP_EXISTS, "%s is left from another pool; move it away first", log);
        goto out;
    }
    file_remove(draft);
    err = file_create(draft, error);
    if (err == LP_OK)
        err = build(draft, error);
    if (err == LP_OK)
        err = file_publish(draft, s->path, error);
    if (err)
        file_remove(draft);
out:
    free(draft);
    free(log);
    return err;
}

static lp_err open_writer(sqlite_store *s, lp_error *error) {
    int64_t version = 0;
    lp_err err = identify(s->path, &version, error);
    if (err == LP_OK)
        err = sql_open(&s->conn, s->path, SQL_WRITER, error);
    if (err == LP_OK)
        err = migrate(&s->conn, version, error);
    if (err == LP_OK)
        err = sql_tally_read(&s->conn, &s->last, error);
    if (err == LP_OK)
        sqlite_watch_log(s);
    return err;
}

lp_err sqlite_reopen(sqlite_store *s, lp_error *error) {
    sql_close(&s->conn);
    lp_err err = open_writer(s, error);
    s->doubtful = err != LP_OK;
    return err;
}

static lp_err open_directory(sqlite_store *s, bool create, lp_error *error) {
    if (create) {
        lp_err err = file_make_directory(s->directory, error);
        if (err)
            return err;
    }
    if (create == file_exists(s->path))
        return create
                   ? err_set(error, LP_EXISTS, "there is a pool in %s already; choose another directory", s->directory)
                   : err_set(error, LP_NOT_FOUND, "there is no pool in %s; create it first", s->directory);
    lp_err err = file_lock(s->directory, &s->lock, error);
    if (err)
        return err;
    if (create)
        err = make(s, error);
    return err ? err : open_writer(s, error);
}

lp_err sqlite_open(const char *path, bool create, store **store_out, lp_error *error) {
    assert(path && store_ops_complete(&store_sqlite_ops));
    sqlite_store *s = calloc(1, sizeof *s);
    if (!s)
        return err_plain(error, LP_NOMEM);
    s->base.ops = &store_sqlite_ops;
    s->lock = -1;
    s->directory = strdup(path);
    s->path = file_join(path, "pool.db");
    lp_err err = s->directory && s->path ? open_directory(s, create, error) : err_plain(error, LP_NOMEM);
    if (err) {
        sqlite_close(&s->base);
        return err;
    }
    *store_out = &s->base;
    return LP_OK;
}

void sqlite_close(store *base) {
    sqlite_store *s = (sqlite_store *)base;
    sqlite_rollback(base);
    sql_close(&s->conn);
    file_unlock(s->lock);
    free(s->directory);
    free(s->path);
    free(s);
}
