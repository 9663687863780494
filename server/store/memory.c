/* memory.c - the store port in memory: the reference to read, and the simulator's store.
 *
 * Four sorted tables of versions (table.h) and a tally. The tables' keys are what makes their order the port's order:
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
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "server/store/check.h"
#include "server/store/table.h"

typedef struct tally {
    uint64_t last_seq, leads, records, history;
    uint64_t appended; /* to history, ever: never goes down, so that no number is used twice */
} tally;

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
    tally last, now, mark;
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
    tally tally;
} memory_reader;

#define ROW_KEY_BYTES 16
#define FEED_KEY_BYTES 9
#define STAMP_KEY_BYTES (16 + STAMP_BYTES)
#define HISTORY_KEY_BYTES (STAMP_KEY_BYTES + 8)

static void put_u64(uint8_t *at, uint64_t value) {
    for (int i = 7; i >= 0; i--, value >>= 8)
        at[i] = (uint8_t)value;
}

static span feed_key(uint8_t bytes[FEED_KEY_BYTES], scope_class scope, uint64_t seq) {
    bytes[0] = (uint8_t)scope;
    put_u64(bytes + 1, seq);
    return span_of(bytes, FEED_KEY_BYTES);
}

static span history_key(uint8_t bytes[HISTORY_KEY_BYTES], const store_history *entry, uint64_t number) {
    memcpy(bytes, entry->id.bytes, 16);
    stamp_pack(entry->stamp, bytes + 16);
    put_u64(bytes + STAMP_KEY_BYTES, number);
    return span_of(bytes, HISTORY_KEY_BYTES);
}

static bool document_key(buf *b, store_space space, span key) {
    buf_append_byte(b, (uint8_t)space);
    buf_append_span(b, key);
    return !b->failed;
}

static bool has_prefix(span text, span prefix) {
    return text.size >= prefix.size && span_equal(span_of(text.data, prefix.size), prefix);
}

static void lock(memory_store *m) {
    pthread_mutex_lock(&m->lock);
}

static void unlock(memory_store *m) {
    pthread_mutex_unlock(&m->lock);
}

/* --- transactions --- */

static bool list_reserve(entry_list *list, size_t more) {
    if (list->count + more <= list->capacity)
        return true;
    size_t capacity = (list->count + more) * 2;
    table_entry **items = realloc(list->items, capacity * sizeof(table_entry *));
    if (!items)
        return false;
    list->items = items;
    list->capacity = capacity;
    return true;
}

/* Puts a version, which it owns from here on, into the open transaction. NULL as a version is out of memory, too. */
static lp_err put_version(memory_store *m, table *t, span key, table_version *version, lp_error *error) {
    if (!version)
        return err_plain(error, LP_NOMEM);
    version->at = m->commits + 1;
    lock(m);
    bool room = list_reserve(&m->journal, 1) && list_reserve(&m->unsettled, m->journal.count + 1);
    table_entry *entry = room ? table_put(t, key, version) : NULL;
    if (entry)
        m->journal.items[m->journal.count++] = entry;
    unlock(m);
    if (entry)
        return LP_OK;
    free(version);
    return err_plain(error, LP_NOMEM);
}

static lp_err put_gone(memory_store *m, table *t, span key, lp_error *error) {
    span nothing = {0}, nothing_too = {0};
    table_version *version = table_version_new(&nothing, &nothing_too);
    if (version)
        version->gone = true;
    return put_version(m, t, key, version, error);
}

static lp_err memory_begin(store *base, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(!m->open);
    m->open = true;
    m->marked = false;
    m->now = m->last;
    return LP_OK;
}

static uint64_t oldest_snapshot(const memory_store *m) {
    uint64_t oldest = m->commits;
    for (const memory_reader *r = m->readers; r; r = r->next)
        if (r->open && r->at < oldest)
            oldest = r->at;
    return oldest;
}

static void settle(memory_store *m) {
    uint64_t oldest = oldest_snapshot(m);
    size_t kept = 0;
    for (size_t i = 0; i < m->unsettled.count; i++) {
        table_entry *entry = m->unsettled.items[i];
        entry->listed = false;
        if (table_settle(entry, oldest))
            continue;
        entry->listed = true;
        m->unsettled.items[kept++] = entry;
    }
    m->unsettled.count = kept;
}

static lp_err memory_commit(store *base, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(m->open && !m->marked);
    lock(m);
    m->commits++;
    m->last = m->now;
    for (size_t i = 0; i < m->journal.count; i++) {
        table_entry *entry = m->journal.items[i];
        if (!entry->listed)
            m->unsettled.items[m->unsettled.count++] = entry;
        entry->listed = true;
    }
    m->journal.count = 0;
    settle(m);
    unlock(m);
    m->open = false;
    return LP_OK;
}

static void take_back(memory_store *m, size_t down_to) {
    lock(m);
    while (m->journal.count > down_to)
        table_pop(m->journal.items[--m->journal.count]);
    unlock(m);
}

static void memory_rollback(store *base) {
    memory_store *m = (memory_store *)base;
    if (!m->open)
        return;
    take_back(m, 0);
    m->open = false;
    m->marked = false;
}

static lp_err memory_savepoint(store *base, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(m->open && !m->marked);
    m->marked = true;
    m->mark = m->now;
    m->journal_mark = m->journal.count;
    return LP_OK;
}

static lp_err memory_release(store *base, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(m->open && m->marked);
    m->marked = false;
    return LP_OK;
}

static lp_err memory_undo(store *base, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(m->open && m->marked);
    take_back(m, m->journal_mark);
    m->now = m->mark;
    m->marked = false;
    return LP_OK;
}

/* --- what writer and readers read alike --- */

static const table_version *look(memory_store *m, const table *t, span key, uint64_t at) {
    lock(m);
    const table_version *version = table_get(t, key, at);
    unlock(m);
    return version;
}

/* The next entry in order, and the version of it that a snapshot sees. */
static const table_version *step(memory_store *m, const table *t, span from, bool beyond, uint64_t at, span *key_out) {
    lock(m);
    const table_entry *entry = table_seek(t, from, beyond, at);
    const table_version *version = entry ? table_version_at(entry, at) : NULL;
    if (entry)
        *key_out = table_key(entry);
    unlock(m);
    return version;
}

static lp_err read_row(memory_store *m, const lp_id *id, uint64_t at, store_row *row_out) {
    const table_version *version = look(m, &m->rows, id_span(id), at);
    if (!version)
        return LP_NOT_FOUND;
    *row_out = version->row;
    return LP_OK;
}

static void each_entry(memory_store *m, const lp_id *id, uint64_t at, store_history_fn each, void *ctx) {
    span prefix = id_span(id), key = {0};
    const table_version *version = step(m, &m->history, prefix, false, at, &key);
    while (version && has_prefix(key, prefix) && each(ctx, &version->entry))
        version = step(m, &m->history, key, true, at, &key);
}

static lp_err read_value(memory_store *m, store_space space, span key, uint64_t at, span *value_out, lp_error *error) {
    buf full = {0};
    lp_err err = document_key(&full, space, key) ? LP_NOT_FOUND : err_plain(error, LP_NOMEM);
    const table_version *version = err == LP_NOT_FOUND ? look(m, &m->documents, buf_span(&full), at) : NULL;
    buf_fini(&full);
    if (!version)
        return err;
    *value_out = version->value;
    return LP_OK;
}

/* --- the writer --- */

static uint64_t writing(const memory_store *m) {
    assert(m->open);
    return m->commits + 1;
}

static lp_err memory_load(store *base, const lp_id *id, store_row *row_out, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    return read_row(m, id, writing(m), row_out);
}

static bool is_live_lead(const store_row *row) {
    return row->kind == KIND_LEAD && !row->deleted;
}

static lp_err put_row(memory_store *m, const store_row *row, lp_error *error) {
    store_row copy = *row;
    table_version *version = table_version_new(&copy.body, &copy.stamps);
    if (version)
        version->row = copy;
    return put_version(m, &m->rows, id_span(&row->id), version, error);
}

static lp_err put_feed(memory_store *m, const store_row *row, lp_error *error) {
    uint8_t bytes[FEED_KEY_BYTES];
    span id = id_span(&row->id), nothing = {0};
    table_version *version = table_version_new(&id, &nothing);
    if (version)
        version->value = id;
    return put_version(m, &m->feed, feed_key(bytes, row->scope, row->seq), version, error);
}

static lp_err memory_save(store *base, const store_row *row, lp_error *error) {
    memory_store *m = (memory_store *)base;
    uint64_t at = writing(m);
    assert(row->seq > m->last.last_seq && row->seq <= m->now.last_seq);
    store_row before = {0};
    bool known = read_row(m, &row->id, at, &before) == LP_OK;
    bool lives = is_live_lead(row), lived = known && is_live_lead(&before);
    lp_err err = LP_OK;
    if (known) {
        uint8_t bytes[FEED_KEY_BYTES];
        err = put_gone(m, &m->feed, feed_key(bytes, before.scope, before.seq), error);
    }
    if (err == LP_OK)
        err = put_row(m, row, error);
    if (err == LP_OK)
        err = put_feed(m, row, error);
    if (err)
        return err;
    m->now.records += !known;
    m->now.leads += (uint64_t)lives - (uint64_t)lived;
    return LP_OK;
}

static lp_err memory_take_seq(store *base, uint64_t count, uint64_t *first_out, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(m->open && count >= 1);
    *first_out = m->now.last_seq + 1;
    m->now.last_seq += count;
    return LP_OK;
}

static uint64_t memory_last_seq(const store *base) {
    return ((const memory_store *)base)->now.last_seq;
}

static bool is_appended(memory_store *m, const store_history *entry) {
    uint8_t bytes[HISTORY_KEY_BYTES];
    history_key(bytes, entry, 0);
    span prefix = span_of(bytes, STAMP_KEY_BYTES), key = {0};
    uint64_t at = writing(m);
    const table_version *version = step(m, &m->history, prefix, false, at, &key);
    for (; version && has_prefix(key, prefix); version = step(m, &m->history, key, true, at, &key))
        if (span_equal(version->entry.bases, entry->bases) && span_equal(version->entry.body, entry->body))
            return true;
    return false;
}

static lp_err memory_append(store *base, const store_history *entry, bool *added_out, lp_error *error) {
    memory_store *m = (memory_store *)base;
    *added_out = false;
    if (is_appended(m, entry))
        return LP_OK;
    store_history copy = *entry;
    table_version *version = table_version_new(&copy.body, &copy.bases);
    if (version)
        version->entry = copy;
    uint8_t bytes[HISTORY_KEY_BYTES];
    lp_err err = put_version(m, &m->history, history_key(bytes, entry, m->now.appended + 1), version, error);
    if (err)
        return err;
    m->now.history++;
    m->now.appended++;
    *added_out = true;
    return LP_OK;
}

static lp_err memory_holds(store *base, const store_history *entry, bool *found_out, lp_error *error) {
    (void)error;
    *found_out = is_appended((memory_store *)base, entry);
    return LP_OK;
}

static lp_err memory_history(store *base, const lp_id *id, store_history_fn each, void *ctx, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    each_entry(m, id, writing(m), each, ctx);
    return LP_OK;
}

static lp_err memory_rows(store *base, bool deleted_only, store_row_fn each, void *ctx, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    uint64_t at = writing(m);
    span key = {0};
    const table_version *version = step(m, &m->rows, key, false, at, &key);
    for (; version; version = step(m, &m->rows, key, true, at, &key))
        if ((version->row.deleted || !deleted_only) && !each(ctx, &version->row))
            break;
    return LP_OK;
}

static lp_err memory_drop_history(store *base, const lp_id *id, lp_error *error) {
    memory_store *m = (memory_store *)base;
    uint64_t at = writing(m);
    span prefix = id_span(id), key = {0};
    const table_version *version = step(m, &m->history, prefix, false, at, &key);
    while (version && has_prefix(key, prefix)) {
        lp_err err = put_gone(m, &m->history, key, error);
        if (err)
            return err;
        m->now.history--;
        version = step(m, &m->history, key, true, at, &key);
    }
    return LP_OK;
}

static lp_err memory_drop_row(store *base, const lp_id *id, lp_error *error) {
    memory_store *m = (memory_store *)base;
    store_row before = {0};
    if (read_row(m, id, writing(m), &before) != LP_OK)
        return LP_OK;
    uint8_t bytes[FEED_KEY_BYTES];
    bool lived = is_live_lead(&before);
    lp_err err = put_gone(m, &m->feed, feed_key(bytes, before.scope, before.seq), error);
    if (err == LP_OK)
        err = put_gone(m, &m->rows, id_span(id), error);
    if (err)
        return err;
    m->now.records--;
    m->now.leads -= lived;
    return LP_OK;
}

static lp_err memory_scrub(store *base, lp_error *error) {
    (void)base;
    (void)error;
    return LP_OK;
}

static lp_err memory_get(store *base, store_space space, span key, span *value_out, lp_error *error) {
    memory_store *m = (memory_store *)base;
    return read_value(m, space, key, writing(m), value_out, error);
}

static lp_err memory_put(store *base, store_space space, span key, span value, lp_error *error) {
    memory_store *m = (memory_store *)base;
    assert(m->open);
    buf full = {0};
    span nothing = {0};
    table_version *version = document_key(&full, space, key) ? table_version_new(&value, &nothing) : NULL;
    if (version) {
        version->value = value;
        version->gone = value.size == 0;
    }
    lp_err err = put_version(m, &m->documents, buf_span(&full), version, error);
    buf_fini(&full);
    return err;
}

static lp_err memory_each(store *base, store_space space, span prefix, store_document_fn fn, void *ctx,
                          lp_error *error) {
    memory_store *m = (memory_store *)base;
    uint64_t at = writing(m);
    buf full = {0};
    if (!document_key(&full, space, prefix)) {
        buf_fini(&full);
        return err_plain(error, LP_NOMEM);
    }
    span key = {0};
    const table_version *version = step(m, &m->documents, buf_span(&full), false, at, &key);
    while (version && has_prefix(key, buf_span(&full)) && fn(ctx, span_of(key.data + 1, key.size - 1), version->value))
        version = step(m, &m->documents, key, true, at, &key);
    buf_fini(&full);
    return LP_OK;
}

/* --- readers --- */

static lp_err memory_reader_open(store *base, store_reader **reader_out, lp_error *error) {
    memory_store *m = (memory_store *)base;
    memory_reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_plain(error, LP_NOMEM);
    r->base.ops = m->base.ops;
    r->store = m;
    lock(m);
    r->next = m->readers;
    m->readers = r;
    unlock(m);
    *reader_out = &r->base;
    return LP_OK;
}

static void memory_reader_close(store_reader *base) {
    memory_reader *r = (memory_reader *)base;
    memory_store *m = r->store;
    lock(m);
    memory_reader **at = &m->readers;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    unlock(m);
    free(r);
}

static lp_err memory_snapshot(store_reader *base, lp_error *error) {
    (void)error;
    memory_reader *r = (memory_reader *)base;
    lock(r->store);
    r->open = true;
    r->at = r->store->commits;
    r->tally = r->store->last;
    unlock(r->store);
    return LP_OK;
}

static void memory_snapshot_end(store_reader *base) {
    memory_reader *r = (memory_reader *)base;
    lock(r->store);
    r->open = false;
    unlock(r->store);
}

static lp_err memory_counts(store_reader *base, store_counts *counts_out, lp_error *error) {
    (void)error;
    const memory_reader *r = (const memory_reader *)base;
    assert(r->open);
    *counts_out = (store_counts){r->tally.last_seq, r->tally.leads, r->tally.records, r->tally.history, 0};
    return LP_OK;
}

static lp_err memory_feed(store_reader *base, scope_class scope, uint64_t after, store_row_fn each, void *ctx,
                          lp_error *error) {
    (void)error;
    memory_reader *r = (memory_reader *)base;
    memory_store *m = r->store;
    assert(r->open);
    uint8_t bytes[FEED_KEY_BYTES];
    span key = feed_key(bytes, scope, after), prefix = span_of(bytes, 1);
    const table_version *version = step(m, &m->feed, key, true, r->at, &key);
    for (; version && has_prefix(key, prefix); version = step(m, &m->feed, key, true, r->at, &key)) {
        const table_version *row = look(m, &m->rows, version->value, r->at);
        assert(row);
        if (!each(ctx, &row->row))
            break;
    }
    return LP_OK;
}

static lp_err memory_read(store_reader *base, const lp_id *id, store_row *row_out, lp_error *error) {
    (void)error;
    memory_reader *r = (memory_reader *)base;
    assert(r->open);
    return read_row(r->store, id, r->at, row_out);
}

static lp_err memory_read_history(store_reader *base, const lp_id *id, store_history_fn each, void *ctx,
                                  lp_error *error) {
    (void)error;
    memory_reader *r = (memory_reader *)base;
    assert(r->open);
    each_entry(r->store, id, r->at, each, ctx);
    return LP_OK;
}

static lp_err memory_read_document(store_reader *base, store_space space, span key, span *value_out, lp_error *error) {
    memory_reader *r = (memory_reader *)base;
    assert(r->open);
    return read_value(r->store, space, key, r->at, value_out, error);
}

static lp_err memory_read_next(store_reader *base, store_space space, span from, span *key_out, span *value_out,
                               lp_error *error) {
    memory_reader *r = (memory_reader *)base;
    assert(r->open);
    buf full = {0};
    span key = {0};
    lp_err err = document_key(&full, space, from) ? LP_NOT_FOUND : err_plain(error, LP_NOMEM);
    const table_version *version =
        err == LP_NOT_FOUND ? step(r->store, &r->store->documents, buf_span(&full), false, r->at, &key) : NULL;
    buf_fini(&full);
    if (!version || key.data[0] != (uint8_t)space)
        return err;
    *key_out = span_of(key.data + 1, key.size - 1);
    *value_out = version->value;
    return LP_OK;
}

static lp_err memory_read_documents(store_reader *base, store_space space, span prefix, span after,
                                    store_document_fn fn, void *ctx, lp_error *error) {
    memory_reader *r = (memory_reader *)base;
    memory_store *m = r->store;
    assert(r->open);
    buf from = {0}, full = {0};
    bool room = document_key(&from, space, after) && document_key(&full, space, prefix);
    span key = {0};
    /* `after` may stand before the first key of the prefix. */
    bool before = room && span_compare(buf_span(&from), buf_span(&full)) < 0;
    const table_version *version =
        room ? step(m, &m->documents, before ? buf_span(&full) : buf_span(&from), !before, r->at, &key) : NULL;
    while (version && has_prefix(key, buf_span(&full)) && fn(ctx, span_of(key.data + 1, key.size - 1), version->value))
        version = step(m, &m->documents, key, true, r->at, &key);
    buf_fini(&from);
    buf_fini(&full);
    return room ? LP_OK : err_plain(error, LP_NOMEM);
}

/* --- the store as a whole --- */

static lp_err memory_backup(store *base, const char *path, store_progress_fn progress, void *ctx, lp_error *error) {
    (void)base;
    (void)progress;
    (void)ctx;
    return err_set(error, LP_UNSUPPORTED, "a pool in memory cannot be copied to %s; use the sqlite store", path);
}

/* One row: it unpacks, agrees with itself, and the feed leads to it. */
static lp_err check_one(memory_reader *r, const store_row *row, lp_error *error) {
    record scratch;
    record_init(&scratch, row->kind, &row->id);
    lp_err err = check_row(row, r->tally.last_seq, &scratch, error);
    record_fini(&scratch);
    if (err)
        return err;
    uint8_t bytes[FEED_KEY_BYTES];
    const table_version *version = look(r->store, &r->store->feed, feed_key(bytes, row->scope, row->seq), r->at);
    if (!version || !span_equal(version->value, id_span(&row->id)))
        return err_set(error, LP_CORRUPT, "seq %" PRIu64 " is there twice", row->seq);
    return LP_OK;
}

static lp_err check_rows(memory_reader *r, store_progress_fn progress, void *ctx, lp_error *error) {
    memory_store *m = r->store;
    uint64_t records = 0, leads = 0;
    span key = {0};
    const table_version *version = step(m, &m->rows, key, false, r->at, &key);
    for (; version; version = step(m, &m->rows, key, true, r->at, &key)) {
        lp_err err = check_one(r, &version->row, error);
        if (err)
            return err;
        records++;
        leads += is_live_lead(&version->row);
        if (progress && !progress(ctx, records, r->tally.records + r->tally.history))
            return err_set(error, LP_CLOSED, "the check was given up");
    }
    if (records != r->tally.records || leads != r->tally.leads)
        return err_set(error, LP_CORRUPT, "the pool counts %" PRIu64 " records, but holds %" PRIu64, r->tally.records,
                       records);
    return LP_OK;
}

static int compare_seqs(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static lp_err check_seqs(uint64_t *seqs, uint64_t count, uint64_t last_seq, lp_error *error) {
    qsort(seqs, count, sizeof *seqs, compare_seqs);
    for (uint64_t i = 0; i < count; i++)
        if (seqs[i] == 0 || seqs[i] > last_seq || (i && seqs[i] == seqs[i - 1]))
            return err_set(error, LP_CORRUPT,
                           "seq %" PRIu64 " in the history is there twice or outside the pool's order", seqs[i]);
    return LP_OK;
}

static lp_err check_history(memory_reader *r, lp_error *error) {
    memory_store *m = r->store;
    uint64_t *seqs = malloc((r->tally.history + 1) * sizeof *seqs);
    if (!seqs)
        return err_plain(error, LP_NOMEM);
    uint64_t count = 0;
    span key = {0};
    const table_version *version = step(m, &m->history, key, false, r->at, &key);
    for (; version && count < r->tally.history; version = step(m, &m->history, key, true, r->at, &key))
        seqs[count++] = version->entry.seq;
    lp_err err = check_seqs(seqs, count, r->tally.last_seq, error);
    if (err == LP_OK && (version || count != r->tally.history))
        err = err_set(error, LP_CORRUPT, "the pool does not hold the %" PRIu64 " history it counts", r->tally.history);
    free(seqs);
    return err;
}

static lp_err memory_verify(store_reader *base, store_progress_fn progress, void *ctx, lp_error *error) {
    memory_reader *r = (memory_reader *)base;
    assert(r->open);
    lp_err err = check_rows(r, progress, ctx, error);
    return err ? err : check_history(r, error);
}

static lp_err memory_open(const char *path, bool create, store **store_out, lp_error *error) {
    (void)path;
    assert(store_ops_complete(&store_memory_ops));
    if (!create)
        return err_set(error, LP_NOT_FOUND, "there is no pool in memory yet; create it first");
    memory_store *m = calloc(1, sizeof *m);
    if (!m)
        return err_plain(error, LP_NOMEM);
    m->base.ops = &store_memory_ops;
    pthread_mutex_init(&m->lock, NULL);
    *store_out = &m->base;
    return LP_OK;
}

static void memory_close(store *base) {
    memory_store *m = (memory_store *)base;
    assert(!m->readers);
    memory_rollback(base);
    table_fini(&m->rows);
    table_fini(&m->feed);
    table_fini(&m->history);
    table_fini(&m->documents);
    free(m->journal.items);
    free(m->unsettled.items);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static void memory_rest(store *base) {
    (void)base;
}

const store_ops store_memory_ops = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .rest = memory_rest,
    .savepoint = memory_savepoint,
    .release = memory_release,
    .undo = memory_undo,
    .load = memory_load,
    .save = memory_save,
    .take_seq = memory_take_seq,
    .last_seq = memory_last_seq,
    .append = memory_append,
    .holds = memory_holds,
    .history = memory_history,
    .rows = memory_rows,
    .drop_history = memory_drop_history,
    .drop_row = memory_drop_row,
    .scrub = memory_scrub,
    .get = memory_get,
    .put = memory_put,
    .each = memory_each,
    .reader_open = memory_reader_open,
    .reader_close = memory_reader_close,
    .snapshot = memory_snapshot,
    .snapshot_end = memory_snapshot_end,
    .counts = memory_counts,
    .feed = memory_feed,
    .read = memory_read,
    .read_history = memory_read_history,
    .read_document = memory_read_document,
    .read_documents = memory_read_documents,
    .read_next = memory_read_next,
    .backup = memory_backup,
    .verify = memory_verify,
};
