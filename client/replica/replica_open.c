/* replica_open.c - opening and closing the file on a device, and whose it is; see replica.h. */
#include <stdlib.h>
#include <string.h>

#include "client/replica/image.h"
#include "client/replica/recovered.h"
#include "client/replica/replica.h"
#include "client/find/search.h"
#include "client/replica/statements.h"
#include "proto/bug.h"
#include "proto/crypto.h"
#include "proto/err.h"

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
    sqlite3_busy_timeout(r->db, REPLICA_BUSY_MS);
    sqlite3_extended_result_codes(r->db, 1);
    sqlite3_wal_hook(r->db, note_wal, r);
    /* A full disk has no room for the shared memory that even a reader needs: what was there once stays (see replica_close). */
    int stays = 1;
    sqlite3_file_control(r->db, "main", SQLITE_FCNTL_PERSIST_WAL, &stays);
    lp_err err = replica_run_sql(
        r,
        r->read_only
            ? "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16000"
            : "PRAGMA auto_vacuum=NONE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
              "PRAGMA secure_delete=ON; PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16000",
        "open the replica", error);
    if (!err && BUG(DEVICE_SYNC_LEFT_OUT))
        err = replica_run_sql(r, "PRAGMA synchronous=OFF", "open the replica", error);
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
        err = replica_migrate(r, create, error);
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
    sqlite3_busy_timeout(r->db, REPLICA_BUSY_MS);
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
    digester *made;
    err = digester_new(&r->pool, &made, error);
    if (err)
        goto out; /* with the one it has, which is of the same pool, it can go on */
    digester_free(r->digester);
    r->digester = made;
out:
    buf_fini(&pool);
    buf_fini(&staff);
    return err;
}
