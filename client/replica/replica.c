/* replica.c - transactions on the file of a device, and its checkpoints; see replica.h. */
#include "client/replica/replica.h"

#include "client/replica/holdings.h"
#include "client/replica/scrub.h"
#include "client/find/search.h"
#include "client/replica/statements.h"
#include "proto/bug.h"
#include "proto/err.h"

#define CHECKPOINT_PAGES 1000
#define CHECKPOINT_PAGES_TIGHT 64
#define CHECKPOINT_PAGES_BUSY 8192 /* 32 MiB */
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

lp_err replica_run_sql(replica *r, const char *sql, const char *what, lp_error *error) {
    return sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK ? LP_OK : replica_sql_error(r, what, error);
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

/* All of the log into the file, the log cut to nothing, and zeros where pages have copies: then nothing that was removed is anywhere. Readers
 * of other processes may be in the way; the note in meta stays until it worked. A log that was cut may come back whole until a commit after
 * it is on the disk, so it is that of the note which counts. */
static void scrub(replica *r) {
    if (r->lock && r->lock->acquire(r->lock->ctx, NULL) != LP_OK)
        return;
    sqlite3_busy_timeout(r->db, SCRUB_BUSY_MS);
    bool done = sqlite3_wal_checkpoint_v2(r->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK &&
                scrub_pages(r->db);
    sqlite3_busy_timeout(r->db, REPLICA_BUSY_MS);
    r->wal_pages = 0;
    if (r->lock)
        r->lock->release(r->lock->ctx);
    lp_error ignored;
    if (!done || replica_begin(r, &ignored))
        return;
    if (replica_meta_put_int(r, "scrub.due", 0, &ignored))
        replica_rollback(r);
    else
        r->scrub = replica_commit(r, &ignored) != LP_OK;
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
