/* memory.h - what the files of the memory engine share; nobody else includes it.
 *
 *   memory.c              opening and closing
 *   memory_transaction.c  begin, commit, savepoints: versions put on entries and taken off again
 *   memory_tables.c       the tables' keys, and what writer and readers read alike
 *   memory_writer.c       rows, seqs, history, documents
 *   memory_reader.c       snapshots and what is read in them
 *   memory_verify.c       checks
 *
 * The store port in memory: the reference to read, and the simulator's store. Four sorted tables of versions (table.h) and a tally. The tables'
 * keys are what makes their order the port's order:
 *     rows       id
 *     feed       scope, seq          the value is the row's id; moves when a row gets a greater seq
 *     history    id, stamp, number   the number of appending keeps equal stamps apart, in order
 *     documents  space, key
 * The writer works on commit number `commits` + 1, which no snapshot can see; commit adds one to `commits`, rollback takes
 * the versions off again in reverse order of the journal.
 *
 * Invariants:
 *   (1) The journal holds, in order, every entry the open transaction put a version on.
 *   (2) An entry with versions to free later is on `unsettled` exactly once.
 * Thread: one lock over the tables, held for one step and never while a callback runs: a reader's callback may take its
 * time, or use the store, and nobody waits. */
#ifndef SERVER_STORE_MEMORY_H
#define SERVER_STORE_MEMORY_H

#include <pthread.h>

#include "server/store/table.h"

typedef struct memory_tally {
    uint64_t last_seq, leads, records, history;
    uint64_t appended; /**< to history, ever: never goes down, so that no number is used twice */
} memory_tally;

typedef struct entry_list {
    table_entry **items;
    size_t count, capacity;
} entry_list;

typedef struct memory_store {
    store base;
    pthread_mutex_t lock;
    table rows, feed, history, documents;
    uint64_t commits;
    bool open;
    bool marked;
    memory_tally last, now, mark;
    entry_list journal;
    size_t journal_mark;
    entry_list unsettled;
    struct memory_reader *readers;
} memory_store;

typedef struct memory_reader {
    store_reader base;
    memory_store *store;
    struct memory_reader *next;
    bool open;
    uint64_t at;
    memory_tally tally;
} memory_reader;

#define ROW_KEY_BYTES 16
#define FEED_KEY_BYTES 9
#define STAMP_KEY_BYTES (16 + STAMP_BYTES)
#define HISTORY_KEY_BYTES (STAMP_KEY_BYTES + 8)

void memory_lock(memory_store *m);
void memory_unlock(memory_store *m);
span memory_feed_key(uint8_t bytes[FEED_KEY_BYTES], scope_class scope, uint64_t seq);
span memory_history_key(uint8_t bytes[HISTORY_KEY_BYTES], const lp_id *id, stamp at, uint64_t number);
/** False: out of memory. */
bool memory_document_key(buf *b, store_space space, span key);
bool memory_has_prefix(span text, span prefix);
/** The version of an entry that commit number `at` sees; NULL: none. */
const table_version *memory_look(memory_store *m, const table *t, span key, uint64_t at);
/** The next entry in order, and the version of it that a snapshot sees. */
const table_version *memory_step(memory_store *m, const table *t, span from, bool beyond, uint64_t at, span *key_out);
bool memory_is_live_lead(const store_row *row);
/** Borrows the version. LP_NOT_FOUND, error untouched. */
lp_err memory_row(memory_store *m, const lp_id *id, uint64_t at, store_row *row_out);
/** Entries whose keys start with `prefix`. */
void memory_entries(memory_store *m, span prefix, uint64_t at, store_history_fn each, void *ctx);
/** Borrows the version. LP_NOT_FOUND, error untouched; LP_NOMEM. */
lp_err memory_value(memory_store *m, store_space space, span key, uint64_t at, span *value_out, lp_error *error);

/** Puts a version, which it owns from here on, into the open transaction. NULL as a version is out of memory, too. */
lp_err memory_put_version(memory_store *m, table *t, span key, table_version *version, lp_error *error);
/** The same, of an entry that is not there any more. */
lp_err memory_put_gone(memory_store *m, table *t, span key, lp_error *error);
lp_err memory_begin(store *s, lp_error *error);
lp_err memory_commit(store *s, lp_error *error);
void memory_rollback(store *s);
lp_err memory_savepoint(store *s, lp_error *error);
lp_err memory_release(store *s, lp_error *error);
lp_err memory_undo(store *s, lp_error *error);

lp_err memory_load(store *s, const lp_id *id, store_row *row_out, lp_error *error);
lp_err memory_save(store *s, const store_row *row, lp_error *error);
lp_err memory_take_seq(store *s, uint64_t count, uint64_t *first_out, lp_error *error);
uint64_t memory_last_seq(const store *s);
lp_err memory_append(store *s, const store_history *entry, bool *added_out, lp_error *error);
lp_err memory_history(store *s, const lp_id *id, store_history_fn each, void *ctx, lp_error *error);
lp_err memory_history_at(store *s, const lp_id *id, stamp at, store_history_fn each, void *ctx, lp_error *error);
lp_err memory_rows(store *s, bool deleted_only, store_row_fn each, void *ctx, lp_error *error);
lp_err memory_get(store *s, store_space space, span key, span *value_out, lp_error *error);
lp_err memory_put(store *s, store_space space, span key, span value, lp_error *error);
lp_err memory_each(store *s, store_space space, span prefix, store_document_fn fn, void *ctx, lp_error *error);
lp_err memory_drop_history(store *s, const lp_id *id, lp_error *error);
lp_err memory_drop_row(store *s, const lp_id *id, lp_error *error);
lp_err memory_scrub(store *s, lp_error *error);

lp_err memory_reader_open(store *r, store_reader **reader_out, lp_error *error);
void memory_reader_close(store_reader *r);
lp_err memory_snapshot(store_reader *r, lp_error *error);
void memory_snapshot_end(store_reader *r);
lp_err memory_counts(store_reader *r, store_counts *counts_out, lp_error *error);
lp_err memory_feed(store_reader *r, scope_class scope, uint64_t after, store_row_fn each, void *ctx, lp_error *error);
lp_err memory_read(store_reader *r, const lp_id *id, store_row *row_out, lp_error *error);
lp_err memory_read_history(store_reader *r, const lp_id *id, store_history_fn each, void *ctx, lp_error *error);
lp_err memory_read_document(store_reader *r, store_space space, span key, span *value_out, lp_error *error);
lp_err memory_read_documents(store_reader *r, store_space space, span prefix, span after, store_document_fn fn,
                             void *ctx, lp_error *error);
lp_err memory_read_next(store_reader *r, store_space space, span from, span *key_out, span *value_out, lp_error *error);

lp_err memory_verify(store_reader *r, store_progress_fn progress, void *ctx, lp_error *error);

#endif
