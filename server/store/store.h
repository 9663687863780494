/* store.h - the store port: the few things a pool needs of a database, the same on every engine.
 *
 * The store never decides who wins: proto/merge.h does, between load and save. That is why every engine gives the same
 * answers, and why this port is small. A conformance suite (tests/conformance) is stamped over all engines; store/memory.c is the reference to read.
 *
 * Two kinds of use:
 *   the writer   begin - load .. save .. append - commit. One thread, the committer's.
 *   readers      consistent snapshots for pages and counts. Any number of threads, one store_reader each. A reader never
 *                waits for the writer nor the writer for a reader.
 *
 * Invariants:
 *   (1) What commit returned LP_OK for is durable (power cut included), in the memory engine for the life of the process.
 *   (2) An open transaction is invisible to readers; after rollback, or a crash, it never was.
 *   (3) Seqs are gap-free: take_seq within a rolled back transaction or savepoint gives its numbers back.
 *   (4) A reader's snapshot holds all rows with seq up to its own last_seq and none above.
 * Errors of every fallible slot: LP_IO, LP_FULL, LP_CORRUPT, LP_NOMEM, and those named. After an error inside a transaction the
 * caller rolls back. A commit that fails has rolled back already; one that fails with LP_IO is indeterminate: the
 * next begin opens the file anew, and the caller looks what is there. */
#ifndef SERVER_STORE_H
#define SERVER_STORE_H

#include "leadpool/error.h"
#include "proto/record.h"
#include "proto/schema.h"

typedef struct store store;
typedef struct store_reader store_reader;

/** A record at rest. Spans borrow from the store until the next call on the same store or reader. */
typedef struct store_row {
    uint32_t kind;
    lp_id id;
    scope_class scope; /**< which feed it belongs to; fixed by its kind */
    uint64_t seq;      /**< greatest seq of its registers */
    bool deleted;
    span body; /**< record.h packed */
    span stamps;
} store_row;

/** One change set in history: what one transaction of one author did to one record, winner or loser. */
typedef struct store_history {
    uint64_t seq; /**< pool order */
    lp_id id;
    stamp stamp;
    lp_id person;
    int64_t device_ms; /**< the author's raw wall clock, UTC ms */
    int64_t server_ms; /**< when the server committed it, UTC ms */
    bool uncertain;    /**< nobody knows when it was: the stamp keeps the author's order, no more */
    span body;         /**< change.h field/value pairs */
    span bases;        /**< 12 bytes: the base of all of them; then what moved.h keeps */
} store_history;

/** Name spaces of the small documents beside the records. */
typedef enum store_space {
    STORE_META = 1,   /**< pool id, name, epoch, digest, high-water marks */
    STORE_INVITE = 2, /**< by hash of token */
    STORE_DEVICE = 3, /**< by device number, 4 bytes big-endian */
    STORE_BATCH = 4,  /**< batch memory: device 4, batch number 8, big-endian */
    STORE_STAFF = 5,  /**< by folded name */
    STORE_REVIEW = 6, /**< changes that await a decision: review.h */
    STORE_SEEN = 7,   /**< by device number: when it was here last, and what it has read */
    STORE_PURGED = 8, /**< by record id: deleted and forgotten, and what it followed. Kept for ever */
    STORE_TAG = 9,    /**< what names a commit: by its last seq, 8 bytes big-endian */
    STORE_SCOPE = 10, /**< narrow scopes, by key: these and the next are scopes.h's */
    STORE_MEMBER = 11,
    STORE_MEMBER_FEED = 12,
    STORE_FOLLOWER = 13,
    STORE_GRANT = 14, /**< by person id */
} store_space;

typedef struct store_counts {
    uint64_t last_seq;
    uint64_t leads; /**< live leads: kind lead, not deleted */
    uint64_t records;
    uint64_t history;
    uint64_t bytes; /**< on disk; 0 in memory */
} store_counts;

/** Called for each row or entry, in order. Return false to stop. */
typedef bool (*store_row_fn)(void *ctx, const store_row *row);
typedef bool (*store_history_fn)(void *ctx, const store_history *entry);
typedef bool (*store_document_fn)(void *ctx, span key, span value);
/** Progress of long work: done of total (total 0: unknown). Return false to give up (LP_CLOSED). */
typedef bool (*store_progress_fn)(void *ctx, uint64_t done, uint64_t total);

typedef struct store_ops {
    const char *name; /**< "memory", "sqlite" */

    /** Opens the store under directory `path` (NULL for memory), migrating it to this version. Errors: LP_NOT_FOUND if
     *  !create and there is none, LP_EXISTS if create and there is one, LP_VERSION if made by a newer version, LP_BUSY if another process has it. */
    lp_err (*open)(const char *path, bool create, store **store_out, lp_error *error);
    void (*close)(store *s); /**< no reader may be open; an open transaction is rolled back */

    /* Writer, in a transaction. Callbacks must not call the store. */
    lp_err (*begin)(store *s, lp_error *error);
    lp_err (*commit)(store *s, lp_error *error);
    void (*rollback)(store *s); /**< the transaction, whatever its savepoints; also without one */
    void (*rest)(
        store *s); /**< between transactions, when nothing waits: what need not be done before a commit is answered */
    lp_err (*savepoint)(store *s, lp_error *error); /**< one at a time, not nested */
    lp_err (*release)(store *s, lp_error *error);
    lp_err (*undo)(store *s, lp_error *error); /**< back to the savepoint, which ends */

    /** The row of `id`, with this transaction's own writes. LP_NOT_FOUND (error untouched) if there is none. */
    lp_err (*load)(store *s, const lp_id *id, store_row *row_out, lp_error *error);
    /** Inserts or replaces the row of row->id. row->seq must be one taken in this transaction. */
    lp_err (*save)(store *s, const store_row *row, lp_error *error);
    /** The next `count` (>= 1) numbers of the pool's order; the first of them comes out. */
    lp_err (*take_seq)(store *s, uint64_t count, uint64_t *first_out, lp_error *error);
    /** The last number taken, in this transaction or before. */
    uint64_t (*last_seq)(const store *s);
    /** Appends to history. The same (id, stamp, base, body) again is ignored: *added_out says which it was. */
    lp_err (*append)(store *s, const store_history *entry, bool *added_out, lp_error *error);
    /** All history of a record, oldest stamp first, with this transaction's own writes. */
    lp_err (*history)(store *s, const lp_id *id, store_history_fn each, void *ctx, lp_error *error);
    /** That under one stamp: looks in one place, however long the record's history is. */
    lp_err (*history_at)(store *s, const lp_id *id, stamp at, store_history_fn each, void *ctx, lp_error *error);

    /** All rows, or only those with `deleted` set, in no particular order, with this transaction's own writes. A walk over everything. */
    lp_err (*rows)(store *s, bool deleted_only, store_row_fn each, void *ctx, lp_error *error);
    /** Takes the history of a record away, or its row. Harmless if there is none. */
    lp_err (*drop_history)(store *s, const lp_id *id, lp_error *error);
    lp_err (*drop_row)(store *s, const lp_id *id, lp_error *error);
    /** Between transactions: makes what was dropped and replaced leave the store's files, too. LP_BUSY if a reader is in the way: try again. */
    lp_err (*scrub)(store *s, lp_error *error);

    /** Small documents, in a transaction. get: LP_NOT_FOUND (error untouched); put replaces; an empty value deletes. */
    lp_err (*get)(store *s, store_space space, span key, span *value_out, lp_error *error);
    lp_err (*put)(store *s, store_space space, span key, span value, lp_error *error);
    /** Documents whose key starts with `prefix`, in order of key. */
    lp_err (*each)(store *s, store_space space, span prefix, store_document_fn fn, void *ctx, lp_error *error);

    /* Readers. Everything but snapshot needs one (asserted). A callback may use other slots of its reader, not the running one. */
    lp_err (*reader_open)(store *s, store_reader **reader_out, lp_error *error);
    void (*reader_close)(store_reader *r);
    /** Takes a snapshot of the last commit; the one before ends. */
    lp_err (*snapshot)(store_reader *r, lp_error *error);
    /** Ends the snapshot, so that it holds back no checkpoint. Harmless without one. */
    void (*snapshot_end)(store_reader *r);
    lp_err (*counts)(store_reader *r, store_counts *counts_out, lp_error *error);
    /** Rows of a feed with seq > after, in order of seq, until `each` returns false. */
    lp_err (*feed)(store_reader *r, scope_class scope, uint64_t after, store_row_fn each, void *ctx, lp_error *error);
    lp_err (*read)(store_reader *r, const lp_id *id, store_row *row_out, lp_error *error);
    lp_err (*read_history)(store_reader *r, const lp_id *id, store_history_fn each, void *ctx, lp_error *error);
    lp_err (*read_document)(store_reader *r, store_space space, span key, span *value_out, lp_error *error);
    /** Documents whose key starts with `prefix` and is greater than `after`, in order of key: one walk along the index. */
    lp_err (*read_documents)(store_reader *r, store_space space, span prefix, span after, store_document_fn fn,
                             void *ctx, lp_error *error);
    /** The first document with a key not less than `from`. LP_NOT_FOUND (error untouched) if there is none. */
    lp_err (*read_next)(store_reader *r, store_space space, span from, span *key_out, span *value_out, lp_error *error);

    /** Consistent copy of the last commit to the new file `path`, while others read and write. Errors: LP_EXISTS, LP_UNSUPPORTED. */
    lp_err (*backup)(store *s, const char *path, store_progress_fn progress, void *ctx, lp_error *error);
    /** Checks the engine's own structures, row by row unpacking, the counts, no seq twice among rows or among history or above
     *  last_seq. (A number may be in neither: a change set history held already keeps the one it was given.)
     *  Errors: LP_CORRUPT, naming the first damage, LP_CLOSED. */
    lp_err (*verify)(store_reader *r, store_progress_fn progress, void *ctx, lp_error *error);
} store_ops;

/* Every store starts with its operations; store_* call through. Engines embed this as their first member. */
struct store {
    const store_ops *ops;
};
struct store_reader {
    const store_ops *ops;
};

extern const store_ops store_memory_ops;
extern const store_ops store_sqlite_ops;

/** True if every slot is filled: asserted when an engine is opened. */
bool store_ops_complete(const store_ops *ops);

#endif
