/* leadpool.h - log leads offline, keep a local replica, sync with the pool. C11; usable from any foreign-function interface.
 *
 * A replica is one SQLite file on the device. Everything except join and sync works with no network at all, and a write
 * that returned LP_OK survives a power cut. Strings are UTF-8 and NUL-terminated unless a size stands beside them. Times
 * are UTC ms since 1970.
 *
 * Fields are addressed by name: "company"; one key of a map field by "tags.vip" (all after the first dot is the key). A field that
 * a newer peer wrote and this version does not know is called "#217" or "#217.key" and is kept as it is.
 *
 * Thread: a replica and everything made from it belong to one thread at a time, except lp_sync_start's background thread,
 * which the library runs and locks by itself, and the functions that say otherwise. */
#ifndef LEADPOOL_LEADPOOL_H
#define LEADPOOL_LEADPOOL_H

#include "leadpool/error.h"
#include "leadpool/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lp_replica lp_replica;
typedef struct lp_txn lp_txn;
typedef struct lp_record lp_record;
typedef struct lp_rows lp_rows;
typedef struct lp_log lp_log;

/** "MAJOR.MINOR.PATCH". Static storage. Thread: any. */
const char *lp_version(void);

/* ---- open, join, close ---- */

/** Opens the replica in the file `path`, which lp_join made, migrating it to this version.
 *  Ownership: close it with lp_close.
 *  Errors: LP_NOT_FOUND no such file; LP_CORRUPT not a replica, or damaged; LP_VERSION made by a newer version; LP_IO; LP_FULL. */
lp_err lp_open(const char *path, lp_replica **replica_out, lp_error *error);

/** Makes a new replica in `path` for the person and device that `invitation` ("leadpool://...") was issued for. Needs the network
 *  once. `label` is what others see as the device's name (NULL: the host's name). Safe to repeat: if the answer was lost, joining again
 *  with the same `path` and invitation finishes the same joining. Ownership: close it with lp_close.
 *  Errors: LP_INVALID invitation; LP_EXISTS a joined replica is in `path`; LP_REFUSED used or unknown invitation; LP_EXPIRED; LP_OFFLINE;
 *  LP_BUSY; LP_UNTRUSTED; LP_PROTOCOL; LP_TIMEOUT after `timeout_ms`. */
lp_err lp_join(const char *path, const char *invitation, const char *label, int32_t timeout_ms,
               lp_replica **replica_out, lp_error *error);

/** Stops syncing and closes. NULL is harmless. Everything made from the replica must have been freed. */
void lp_close(lp_replica *replica);

/** Removes the replica in `path` for good: database, log and lock file. What was not sent is lost; ask first. Only a replica is removed.
 *  Errors: LP_NOT_FOUND no file there; LP_CORRUPT the file is not a replica; LP_BUSY a program has it open: stop it first; LP_IO. Nothing was
 *  removed then, but for LP_IO. */
lp_err lp_wipe(const char *path, lp_error *error);

/* ---- write ---- */

/** Begins a transaction: several changes, all or nothing, under one stamp. It is held in memory and not visible to reads until
 *  lp_commit; any number may be open. Ownership: lp_commit and lp_rollback free it. Errors: LP_NOMEM. */
lp_err lp_begin(lp_replica *replica, lp_txn **txn_out, lp_error *error);

/** Makes a record of `kind` ("lead", "touch"). `id` NULL: a new UUIDv7, which comes out in `id_out` (may be NULL). With an `id`, the record
 *  may exist already, here or elsewhere: the changes then merge. Errors: LP_INVALID unknown kind or one only the server makes; LP_NOMEM. */
lp_err lp_create(lp_txn *txn, const char *kind, const lp_id *id, lp_id *id_out, lp_error *error);

/** Sets a field. Text is copied. A field of a group (street, city, ...) takes the group's other members along as they stand.
 *  A value equal to the present one makes no change.
 *  Errors: LP_NOT_FOUND no such record; LP_INVALID no such field, wrong type, not UTF-8; LP_TOO_LARGE above the field's limit. */
lp_err lp_set(lp_txn *txn, const lp_id *id, const char *field, const lp_value *value, lp_error *error);

/** Sets a field from text as a person types it: "42", "yes", "2026-11-22 14:30" (local zone), "2026-11-22T06:30:00Z", or the text itself,
 *  by the type of the field. An empty text clears. Errors: as lp_set, LP_INVALID also for a text that does not read as the type. */
lp_err lp_set_text(lp_txn *txn, const lp_id *id, const char *field, const char *text, lp_error *error);

/** Clears a field: a change like any other. Errors: as lp_set. */
lp_err lp_clear(lp_txn *txn, const lp_id *id, const char *field, lp_error *error);

/** Marks a record deleted, or not deleted again. Its other fields stay and go on merging. Errors: LP_NOT_FOUND. */
lp_err lp_delete(lp_txn *txn, const lp_id *id, lp_error *error);
lp_err lp_undelete(lp_txn *txn, const lp_id *id, lp_error *error);

/** Stores the transaction durably, with its place in the outbox, and frees it in any case. LP_OK means saved.
 *  Errors: LP_FULL, LP_IO, LP_BUSY another process holds the replica, LP_TOO_LARGE a record above 512 KiB, LP_DENIED of somebody erased,
 *  LP_CORRUPT: nothing stored. */
lp_err lp_commit(lp_txn *txn, lp_error *error);
/** Forgets the transaction. NULL is harmless. */
void lp_rollback(lp_txn *txn);

/** Writes a conflict's lost value back and marks the conflict resolved, in one transaction. Errors: LP_NOT_FOUND, LP_INVALID not a conflict, as lp_commit. */
lp_err lp_restore(lp_replica *replica, const lp_id *conflict, lp_error *error);

/* ---- read ---- */

/** One record as it stands here, deleted or not. Ownership: lp_record_free. Errors: LP_NOT_FOUND. */
lp_err lp_get(lp_replica *replica, const lp_id *id, lp_record **record_out, lp_error *error);
void lp_record_free(lp_record *record);

/** Borrowed from the record. */
const lp_id *lp_record_id(const lp_record *record);
/** "lead"; "#9" for a kind this version does not know. Borrowed. */
const char *lp_record_kind(const lp_record *record);
bool lp_record_deleted(const lp_record *record);
/** True while a change of it waits for the server's acknowledgement. */
bool lp_record_unsent(const lp_record *record);
/** The value of a field; LP_NULL if empty or unknown. Borrowed from the record. */
lp_value lp_record_value(const lp_record *record, const char *field);
/** Non-empty fields, in order of number and key. */
uint32_t lp_record_field_count(const lp_record *record);

/** One field of a record. Borrowed from the record. */
typedef struct lp_field {
    const char *name;     /**< "company", "tags.vip", "#217" */
    const char *label_en; /**< "Company"; the key for map fields; the name for unknown fields */
    const char *label_zh;
    lp_value value;
    int64_t changed_ms; /**< when, by the pool's time */
    uint32_t author;    /**< device number that wrote it; lp_author_name tells who that is */
} lp_field;
/** Field number `index` (below lp_record_field_count). Errors: LP_INVALID. */
lp_err lp_record_field(const lp_record *record, uint32_t index, lp_field *field_out);

/** "Li Wei (iPad 3)" for a device number, as far as this replica knows; else "device 17". Writes at most `size` bytes with the NUL. */
void lp_author_name(lp_replica *replica, uint32_t author, char *text_out, uint32_t size);

/** What to list. Zero-initialise. */
typedef struct lp_query {
    const char *kind;   /**< NULL: "lead" */
    const char *filter; /**< NULL: all. See lp_filter_help() */
    const char *sort; /**< NULL: newest first. "company", "-score,full_name": fields, '-' for descending, ties by id */
    uint32_t limit;   /**< 0: no limit */
    uint32_t offset;  /**< rows to skip */
    bool deleted;     /**< deleted ones too */
} lp_query;

/** The filter language in a few lines: terms `FIELD=VALUE != < <= > >= ~(contains)`, words in quotes, `FIELD=` for empty, juxtaposition
 *  or `and`, `or`, `not`, parentheses. Static storage. Thread: any. */
const char *lp_filter_help(void);

/** Runs a query. Ownership: lp_rows_free. Errors: LP_INVALID names what in the filter or sort is wrong. */
lp_err lp_list(lp_replica *replica, const lp_query *query, lp_rows **rows_out, lp_error *error);
/** How many a query has, without limit and offset. Errors: as lp_list. */
lp_err lp_count(lp_replica *replica, const lp_query *query, uint64_t *count_out, lp_error *error);
/** Leads whose names, company, contact data or notes hold all words of `text`, best first; Chinese is found by any two
 *  characters in a row, Latin by the beginning of a word, without regard to case, accents or width. Ownership: lp_rows_free. */
lp_err lp_search(lp_replica *replica, const char *text, uint32_t limit, lp_rows **rows_out, lp_error *error);

uint32_t lp_rows_count(const lp_rows *rows);
/** Borrowed from the rows; NULL if there is no such row. */
const lp_record *lp_rows_at(const lp_rows *rows, uint32_t index);
void lp_rows_free(lp_rows *rows);

/** State of a logged change. */
typedef enum lp_change_state {
    LP_CHANGE_CURRENT = 0, /**< it is the value now, the server has it */
    LP_CHANGE_UNSENT = 1,  /**< it is the value here, the server does not have it yet */
    LP_CHANGE_PAST = 2,    /**< something newer replaced it */
    LP_CHANGE_REFUSED = 3, /**< the server refused it */
    LP_CHANGE_STATE_FORCE_INT32 = 0x7fffffff
} lp_change_state;

/** One entry of a record's history. Borrowed from the log. */
typedef struct lp_change {
    const char *field; /**< name as in lp_field */
    lp_value value;    /**< LP_NULL: cleared */
    int64_t at_ms;     /**< when, by the pool's time */
    uint32_t author;
    lp_change_state state;
    const char *reason; /**< why it was refused; else NULL */
    int32_t
        time_uncertain; /**< 1: at_ms only keeps the order: the author's device did not reach the server before it was restarted */
} lp_change;

/** History of a record as this device knows it, oldest first: what stands, what it wrote itself, and what it saw replaced.
 *  Ownership: lp_log_free. Errors: LP_NOT_FOUND. */
lp_err lp_history(lp_replica *replica, const lp_id *id, lp_log **log_out, lp_error *error);
uint32_t lp_log_count(const lp_log *log);
lp_err lp_log_at(const lp_log *log, uint32_t index, lp_change *change_out);
void lp_log_free(lp_log *log);

/** The id that every device of pool `pool` gives to the thing named by the `size` bytes at `name`: a function of its input, so that doing
 *  something again (an import) meets the record it made before, also on another device. Thread: any. Errors: none. */
void lp_id_derive(const lp_id *pool, const char *name, uint32_t size, lp_id *id_out);

/* ---- the schema, for forms, imports and exports ---- */

/** A field of the schema. Static storage. */
typedef struct lp_field_info {
    const char *name;
    const char *label_en;
    const char *label_zh;
    lp_type type;       /**< LP_INT for times too; LP_NULL: any */
    bool time;          /**< an LP_INT that is UTC ms */
    bool map;           /**< one value per key */
    bool writable;      /**< false: the server alone writes it */
    bool hidden;        /**< not for forms or exports */
    uint32_t max_bytes; /**< of a text; 0 where the type bounds it */
    uint32_t group;     /**< 0, or fields with the same number are set together */
    uint32_t number;    /**< the field's number within its kind, as conflicts name it; never changes */
} lp_field_info;
/** Field `index` of a kind; LP_NOT_FOUND past the last, LP_INVALID unknown kind. Thread: any. */
lp_err lp_schema_field(const char *kind, uint32_t index, lp_field_info *info_out);

/* ---- sync ---- */

/** What one sync did. */
typedef struct lp_sync_result {
    uint64_t pushed; /**< changes the server acknowledged */
    uint64_t pulled; /**< changes that came from others */
    uint64_t lost;   /**< pushed ones that a newer value had overtaken */
    uint64_t
        received; /**< pushed ones that the office has to decide about; they do not stand, here or there, until it has */
    uint64_t refused;   /**< pushed ones the server refused; see lp_refused */
    uint64_t conflicts; /**< open conflicts this replica knows of */
    uint32_t
        rejoined; /**< the number of the device this replica became, because it was a copy or the server had forgotten it; 0: it did not */
    uint64_t bytes_up; /**< on the network, TLS included */
    uint64_t bytes_down;
    uint32_t round_trips; /**< request and answer pairs waited for */
    bool
        diverged; /**< all was read, yet this replica's digest is not the server's, and it could not be set right: lp_status.reason says what to do */
    bool complete;   /**< the outbox is empty and every scope read to its end */
    uint64_t healed; /**< records that were not what the server has, though they had been read, and were set right */
} lp_sync_result;

/** Syncs on the caller's thread until done or `timeout_ms` have passed (a phone's background slot); what was transferred by then stays.
 *  `result_out` (may be NULL) is filled in either case. Errors: LP_OFFLINE, LP_UNTRUSTED, LP_PROTOCOL, LP_REFUSED, LP_REVOKED, LP_VERSION,
 *  LP_BUSY, LP_TIMEOUT; LP_CLOCK the two clocks do not come together; LP_EXISTS it is syncing in the background. */
lp_err lp_sync(lp_replica *replica, int32_t timeout_ms, lp_sync_result *result_out, lp_error *error);

/** Keeps in sync from now on, on a thread of the library's own: pushes what is written, by this process or another, pulls what moves, reconnects
 *  with back-off. Errors: LP_EXISTS it is running already, LP_NOMEM. */
lp_err lp_sync_start(lp_replica *replica, lp_error *error);
/** Ends it; returns when the thread has ended. Harmless when not running. */
void lp_sync_stop(lp_replica *replica);

typedef enum lp_event_kind {
    LP_EVENT_NONE = 0,
    LP_EVENT_STATE = 1,    /**< the sync state changed; see lp_status_get */
    LP_EVENT_CHANGED = 2,  /**< `id` was changed by somebody else; nil: many records were */
    LP_EVENT_PROGRESS = 3, /**< `done` of `total` changes pushed or pulled; total 0: unknown */
    LP_EVENT_REFUSED = 4,  /**< a change of `id` was refused */
    LP_EVENT_REJOINED =
        5, /**< the replica was a copy, or the server had forgotten it: it goes on as device number `done`. Nothing is lost */
    LP_EVENT_KIND_FORCE_INT32 = 0x7fffffff
} lp_event_kind;

typedef struct lp_event {
    lp_event_kind kind;
    lp_id id;
    uint64_t done;
    uint64_t total;
} lp_event;

/** Takes the next event off the queue; false if there is none. The queue holds 1,024; beyond that CHANGED events merge into one with a nil id. Thread: any. */
bool lp_next_event(lp_replica *replica, lp_event *event_out);
/** Waits up to `timeout_ms` for an event; true if there is one. Thread: any. */
bool lp_poll(lp_replica *replica, int32_t timeout_ms);
/** Calls `fn` for each event instead of queueing it, from the thread that syncs; it must not call leadpool for this replica. NULL: queue again. Thread: any. */
void lp_on_event(lp_replica *replica, void (*fn)(void *ctx, const lp_event *event), void *ctx);

typedef enum lp_state {
    LP_STATE_IDLE = 0, /**< not syncing */
    LP_STATE_CONNECTING = 1,
    LP_STATE_SYNCING = 2,
    LP_STATE_LIVE = 3,    /**< all read and sent, waiting for news */
    LP_STATE_WAITING = 4, /**< not connected; will try again at next_attempt_ms */
    LP_STATE_BLOCKED = 5, /**< needs a person: see reason */
    LP_STATE_FORCE_INT32 = 0x7fffffff
} lp_state;

typedef struct lp_status {
    lp_state state;
    char state_name[16];          /**< "idle", "connecting", "syncing", "live", "waiting", "blocked" */
    char reason[256];             /**< why it is not in sync; empty if it is */
    uint64_t unsent;              /**< changes not acknowledged yet */
    int64_t oldest_unsent_ms;     /**< when the oldest was made; 0 if none */
    int64_t oldest_unsent_age_ms; /**< how long ago that was, by the device's clock */
    uint64_t unsent_bytes;        /**< of the unsent changes: what is still to go up, about */
    uint64_t refused;
    uint64_t
        quarantined; /**< records from the server that this version could not take in; kept, and tried again after an update */
    uint64_t recovered;       /**< values the server lost in a restore and this device kept */
    uint64_t healed;          /**< records that had changed by themselves, and were read again from the server */
    uint64_t leads;           /**< live ones on this device */
    uint64_t conflicts;       /**< open ones */
    int64_t last_sync_ms;     /**< when all was in sync last; 0: never */
    int64_t next_attempt_ms;  /**< 0: none planned */
    uint64_t disk_free_bytes; /**< on the replica's file system */
    char digest[33];          /**< of the pool as this replica holds it, equal to the server's when in sync */
    uint32_t device;
    lp_id pool;
    char pool_name[121];
    char staff_name[121];
    char role[33];
    char server[300]; /**< host:port */
} lp_status;

/** Errors: LP_IO, LP_CORRUPT. */
lp_err lp_status_get(lp_replica *replica, lp_status *status_out, lp_error *error);

/** Writes what was refused of a record again, as changes of now; or gives it up. Either way it is not refused any more, and in the record's history.
 *  Writing the field anew does the same to what was refused of it. Errors: LP_NOT_FOUND nothing of it was refused, as lp_commit. */
lp_err lp_refused_resend(lp_replica *replica, const lp_id *id, lp_error *error);
lp_err lp_refused_drop(lp_replica *replica, const lp_id *id, lp_error *error);

/** Values of others that this replica had and the server lost in a restore, one row per record with those values as its fields. They are
 *  not in the records any more; they go when their author's device brings them back. Ownership: lp_rows_free. */
lp_err lp_recovered(lp_replica *replica, lp_rows **rows_out, lp_error *error);
/** Sends what was recovered of a record to the office for review, with the next sync. Errors: LP_NOT_FOUND nothing of it was. */
lp_err lp_recovered_send(lp_replica *replica, const lp_id *id, lp_error *error);
/** Forgets it. Errors: LP_NOT_FOUND. */
lp_err lp_recovered_drop(lp_replica *replica, const lp_id *id, lp_error *error);

/** Refused changes, one row per record with the refused fields as its fields; lp_history gives the reasons. Ownership: lp_rows_free. */
lp_err lp_refused(lp_replica *replica, lp_rows **rows_out, lp_error *error);

/* ---- doctor ---- */

/** Something in a replica that is not as it should be. Borrowed during the call. */
typedef struct lp_finding {
    const char
        *area; /**< "file", "record", "outbox", "refused", "quarantine", "history", "cursor", "digest", "search" */
    const char *text;   /**< what was found: one line */
    const char *advice; /**< what to do about it: one line */
    bool repairable;    /**< lp_doctor can put it right without losing anything */
    bool waits; /**< nothing is damaged: it waits for a person or another version; not counted in lp_checkup.findings */
} lp_finding;

typedef struct lp_checkup {
    uint64_t records;
    uint64_t unsent; /**< changes in the outbox */
    uint64_t refused;
    uint64_t quarantined; /**< records that could not be taken in */
    uint64_t findings;
    uint64_t repaired; /**< of the findings */
    bool read_only;    /**< the file cannot be written to: it was only read, and not in full */
} lp_checkup;

/** Checks a replica in full: the file's structure, every record, the outbox, cursors, digests, search index. `each` (may be NULL) is told of
 *  every finding, and of what was refused or not taken in (`waits`). `repair`: what can be made anew from the rest is, in one transaction: derived columns, what is visible, digests, cursors, index.
 *  No other thread of this process may have the replica open. `checkup_out` (may be NULL) is filled in any case.
 *  Errors: LP_NOT_FOUND no such file; LP_IO it cannot be read at present; LP_BUSY; LP_CORRUPT something was found and not repaired. */
lp_err lp_doctor(const char *path, bool repair, void (*each)(void *ctx, const lp_finding *finding), void *ctx,
                 lp_checkup *checkup_out, lp_error *error);

typedef struct lp_rescued {
    uint64_t changes;          /**< unsent ones taken over */
    uint64_t refused;          /**< refused ones taken over */
    uint64_t past;             /**< older values taken over, for lp_history */
    uint64_t recovered;        /**< values that the server has lost (lp_recovered), taken over */
    uint64_t records;          /**< that they belong to */
    uint64_t orphans;          /**< records of which nothing said any more which they were: they are new leads now */
    uint64_t damaged;          /**< rows, of whatever kind, that could not be read */
    uint64_t unreadable_pages; /**< pages of the file that the disk did not give */
    bool
        joined; /**< the new replica goes on as the same device; else it has to join (lp_join), and sends the changes then */
} lp_rescued;

/** Takes what only this device has (unsent and refused changes, older values, what the server has lost) from the damaged replica `path`, which is
 *  only read, to the new replica `to`, whatever else is damaged. Use one of the two from then on, not both. All else comes with the next sync.
 *  Errors: LP_NOT_FOUND no such file; LP_EXISTS `to` is there; LP_IO; LP_FULL. */
lp_err lp_rescue(const char *path, const char *to, lp_rescued *rescued_out, lp_error *error);

#ifdef __cplusplus
}
#endif

#endif
