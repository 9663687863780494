/* replica.h - the SQLite file on a device: records in two layers, outbox, cursors. Core: no socket, no thread, no clock.
 *
 * Tables (schema and migrations: replica_schema.c)
 *   meta(key TEXT PRIMARY KEY, value)                 identity, cursors, clock, digest, sync state
 *   scope(number INTEGER PRIMARY KEY, name TEXT, digest BLOB, reading INTEGER)   what this device may read (holdings.h)
 *   came(scope, rid), leaving(rid)                    re-reads and evictions under way (holdings.h)
 *   record(rid INTEGER PRIMARY KEY, id BLOB UNIQUE, kind INTEGER, deleted INTEGER, unsent INTEGER,
 *          held INTEGER,                              the scopes that hold it, a bit each
 *          body BLOB, stamps BLOB,                    what the person sees (record.h packed)
 *          server_body BLOB, server_stamps BLOB,      the server's layer while changes are unacked; NULL: the same as body, stamps
 *          c_full_name, c_company, ...)               one column per schema field with COLUMN, derived from body
 *   outbox(oseq INTEGER PRIMARY KEY, rid, stamp BLOB, base BLOB, seen, made_ms, boot, boot_ms, uncertain, count, body BLOB)
 *   batch(number INTEGER PRIMARY KEY, first, last)    frozen slices of the outbox, by oseq
 *   kept(n INTEGER PRIMARY KEY, id BLOB, seq, sealed BLOB)      acknowledged own changes (kept.h)
 *   recovered(id BLOB, kind, field, key, value, stamp, at_ms)   what the server has lost (recovered.h)
 *   refused(rid, stamp BLOB, field, key, value, reason, at_ms)
 *   past(rid, stamp BLOB, body BLOB, uncertain)       values that something newer replaced here
 *   boot(...), contact(...)                           what is known of the server's time (clock.h)
 *   erased(id BLOB PRIMARY KEY)                       records that were erased for good: never taken in again
 *   quarantine(id, kind, scope, changes BLOB, reason, version, at_ms)  pulled records this version could not apply, as they came
 *   unindexed(rid INTEGER PRIMARY KEY)                records the full-text index has to catch up with
 *   lead_text                                         FTS5, rowid = rid (search.c)
 *
 * Invariants:
 *   (1) Invariants of outbox.h hold between any two transactions.
 *   (2) body/stamps = the server layer merged with every unacked change of the record.
 *   (3) meta.clock.last is not less than any stamp this device gave, but for what clock.h (4) excepts.
 *   (4) A scope's digest is that of the server layers it holds; it and the cursor move in one transaction with the rows.
 *   (5) Once something in a write transaction failed, nothing of it is stored: SQLite may have rolled back by itself, and what followed
 *       would run, and be stored, on its own.
 * Thread: one at a time; the owner locks. */
#ifndef CLIENT_REPLICA_H
#define CLIENT_REPLICA_H

#include <sqlite3.h>

#include "leadpool/leadpool.h"
#include "proto/digest.h"
#include "proto/env.h"
#include "proto/hlc.h"
#include "proto/record.h"

/** What the core needs of the platform beside lp_env: a lock between processes, held per write transaction and checkpoint. */
typedef struct replica_lock {
    void *ctx;
    lp_err (*acquire)(void *ctx, lp_error *error); /**< waits a bounded time, then LP_BUSY */
    void (*release)(void *ctx);
    bool read_only; /**< nothing can be locked there, because nobody may write: a read-only file system, or rights */
} replica_lock;

/** When a transaction happens: what the clocks show, and the estimate of server time. */
typedef struct clock_mark {
    int64_t boot; /**< number of the boot in this replica; 0: not looked at yet */
    int64_t boot_ms, wall_ms, now_ms;
} clock_mark;

#define REPLICA_FORMER_MAX 32

#define HELD_SCOPES_MAX 60 /**< as many bits as `held` has, and a few to spare */

typedef enum reading_state {
    READING_NEWS = 0, /**< what is new since the cursor */
    READING_FIRST,    /**< from the beginning, and nothing was held before */
    READING_AGAIN,    /**< from the beginning: what does not come is gone from the scope */
    READING_EPOCH,    /**< the same, of another history of the pool */
} reading_state;

/** A scope this device may read; holdings.h keeps them. */
typedef struct held_scope {
    uint32_t number; /**< its bit in `held` */
    char name[65];
    digest sum; /**< of the server layers it holds, as of the open transaction */
    reading_state reading;
    bool changed; /**< to be stored by the commit */
} held_scope;

typedef struct held_scopes {
    uint32_t count;
    bool leaving; /**< a record may be leaving */
    held_scope list[HELD_SCOPES_MAX];
} held_scopes;

typedef struct replica {
    sqlite3 *db;
    const lp_env *env;
    const replica_lock *lock; /**< NULL: nobody else has the file */
    struct statements *statements;
    const struct field_layout *layout; /**< which column each field is kept in */
    digester *digester;
    hlc clock; /**< author = device number; `last` is the device's own */
    uint64_t
        seen; /**< greatest hybrid time of a stamp in the file: below it, records have to be looked at (clock_stamp) */
    uint8_t boot_id[16];
    uint32_t former[REPLICA_FORMER_MAX]; /**< numbers the device had before */
    uint32_t former_count;
    struct crypto_sealer *sealer; /**< kept.h; NULL until something is sealed */
    clock_mark mark;              /**< of the open transaction */
    lp_id pool;
    lp_id person;
    held_scopes scopes; /**< as of the open transaction */
    bool tight;         /**< the disk is nearly full: the log is kept short */
    bool read_only;     /**< nothing can be written: reading works, every write fails with LP_IO */
    bool writing;       /**< a write transaction is open */
    lp_err failed;      /**< why it can only be rolled back */
    int wal_pages;      /**< size of the WAL after the last commit */
    bool touched;       /**< clock or scopes changed in it */
    bool scrub;         /**< text was removed that is still in the log: the next checkpoint cuts it */
    /** Told of each register that the server does not have any more after its pool was restored; NULL: nobody. */
    lp_err (*gone)(struct replica *r, uint32_t kind, const lp_id *id, const reg *gone, lp_error *error);
} replica;

#define REPLICA_BUSY_MS 5000 /**< so long SQLite waits for another process */

/** Opens, checks and migrates. `create`: makes an empty, unjoined replica. Errors: as lp_open. */
lp_err replica_open(const char *path, bool create, const lp_env *env, const replica_lock *lock, replica **replica_out,
                    lp_error *error);
void replica_close(replica *r);
/** Part of opening: brings a file of any earlier version to this one, in one transaction. */
lp_err replica_migrate(replica *r, bool create, lp_error *error);

/** Makes sure that nobody else has the file open, and folds the log into it: the last thing before the file is removed. Errors: LP_BUSY. */
lp_err replica_retire(replica *r, lp_error *error);

/** Takes the identity out of meta into the handle, after joining. Harmless on an unjoined replica. */
lp_err replica_identify(replica *r, lp_error *error);

/** One write transaction under the lock; durable when replica_commit returned LP_OK. Not nested. Clock and digests are read at its
 *  beginning, because another process may have moved them, and stored by its commit. */
lp_err replica_begin(replica *r, lp_error *error);
lp_err replica_commit(replica *r, lp_error *error);
void replica_rollback(replica *r); /**< harmless without a transaction */

/** Translates the last SQLite failure into the error convention (LP_FULL, LP_CORRUPT, LP_BUSY, LP_IO, LP_NOMEM), naming `what`. */
lp_err replica_sql_error(replica *r, const char *what, lp_error *error);

/** Runs statements without parameters. */
lp_err replica_run_sql(replica *r, const char *sql, const char *what, lp_error *error);

/** Runs a checkpoint under the lock if the WAL has grown; failure is harmless. `busy`: more is about to be written, and a checkpoint,
 *  which waits for the disk twice, would hold it up; so only if the WAL has grown far. */
void replica_checkpoint(replica *r, bool busy);

/** Notes, in a write transaction, that removed text must leave the file: the search index is rewritten, and replica_checkpoint cuts the log until
 *  it has succeeded, by this process or the next. */
lp_err replica_scrub_later(replica *r, lp_error *error);

/** Open conflicts the replica knows of. */
lp_err replica_count_conflicts(replica *r, int64_t *count_out, lp_error *error);
/** Counts of lp_status: unsent, oldest_unsent_ms, refused, leads, conflicts, digest, identity, last_sync_ms. */
lp_err replica_status(replica *r, lp_status *status, lp_error *error);

/** meta documents; LP_NOT_FOUND (error untouched) if absent. Appended to `value_out`. */
lp_err replica_meta(replica *r, const char *key, buf *value_out, lp_error *error);
/** An integer of meta; `absent` if there is none, and if it cannot be read: for what does no harm then. */
int64_t replica_meta_int(replica *r, const char *key, int64_t absent);
/** The same for what would: errors are errors. */
lp_err replica_meta_read_int(replica *r, const char *key, int64_t absent, int64_t *value_out, lp_error *error);
lp_err replica_meta_put(replica *r, const char *key, span value, lp_error *error);
lp_err replica_meta_drop(replica *r, const char *key, lp_error *error);
lp_err replica_meta_put_int(replica *r, const char *key, int64_t value, lp_error *error);

/** A record row as stored. Spans borrow from the replica until the next call. */
typedef struct replica_row {
    int64_t rid;
    lp_id id;
    uint32_t kind;
    bool unsent;
    uint64_t held;
    span body, stamps;
    bool layered; /**< server_body and server_stamps are set */
    span server_body, server_stamps;
} replica_row;

/** LP_NOT_FOUND (error untouched) if there is none. */
lp_err replica_load(replica *r, const lp_id *id, replica_row *row_out, lp_error *error);
lp_err replica_load_rid(replica *r, int64_t rid, replica_row *row_out, lp_error *error);

/** What replica_store writes. The columns are derived from `visible`. */
typedef struct replica_image {
    const record *visible;
    const record *server; /**< NULL: the same as visible */
    bool unsent;
    uint64_t held;
} replica_image;
/** Inserts (rid 0) or replaces a record's row, and marks it for the index. In a write transaction. */
lp_err replica_store(replica *r, int64_t rid, const replica_image *image, int64_t *rid_out, lp_error *error);

#endif
