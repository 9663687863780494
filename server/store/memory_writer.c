/* memory_writer.c - rows, seqs, history and documents of the open transaction; see memory.h. */
#include <assert.h>

#include "proto/err.h"
#include "server/store/memory.h"

static uint64_t writing(const memory_store *m) {
    assert(m->open);
    return m->commits + 1;
}

lp_err memory_load(store *base, const lp_id *id, store_row *row_out, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    return memory_row(m, id, writing(m), row_out);
}

static lp_err put_row(memory_store *m, const store_row *row, lp_error *error) {
    store_row copy = *row;
    table_version *version = table_version_new(&copy.body, &copy.stamps);
    if (version)
        version->row = copy;
    return memory_put_version(m, &m->rows, id_span(&row->id), version, error);
}

static lp_err put_feed(memory_store *m, const store_row *row, lp_error *error) {
    uint8_t bytes[FEED_KEY_BYTES];
    span id = id_span(&row->id), nothing = {0};
    table_version *version = table_version_new(&id, &nothing);
    if (version)
        version->value = id;
    return memory_put_version(m, &m->feed, memory_feed_key(bytes, row->scope, row->seq), version, error);
}

lp_err memory_save(store *base, const store_row *row, lp_error *error) {
    memory_store *m = (memory_store *)base;
    uint64_t at = writing(m);
    assert(row->seq > m->last.last_seq && row->seq <= m->now.last_seq);
    store_row before = {0};
    bool known = memory_row(m, &row->id, at, &before) == LP_OK;
    bool lives = memory_is_live_lead(row), lived = known && memory_is_live_lead(&before);
    lp_err err = LP_OK;
    if (known) {
        uint8_t bytes[FEED_KEY_BYTES];
        err = memory_put_gone(m, &m->feed, memory_feed_key(bytes, before.scope, before.seq), error);
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

lp_err memory_take_seq(store *base, uint64_t count, uint64_t *first_out, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(m->open && count >= 1);
    *first_out = m->now.last_seq + 1;
    m->now.last_seq += count;
    return LP_OK;
}

uint64_t memory_last_seq(const store *base) {
    return ((const memory_store *)base)->now.last_seq;
}

static bool is_appended(memory_store *m, const store_history *entry) {
    uint8_t bytes[HISTORY_KEY_BYTES];
    memory_history_key(bytes, &entry->id, entry->stamp, 0);
    span prefix = span_of(bytes, STAMP_KEY_BYTES), key = {0};
    uint64_t at = writing(m);
    const table_version *version = memory_step(m, &m->history, prefix, false, at, &key);
    for (; version && memory_has_prefix(key, prefix); version = memory_step(m, &m->history, key, true, at, &key))
        if (span_equal(version->entry.bases, entry->bases) && span_equal(version->entry.body, entry->body))
            return true;
    return false;
}

lp_err memory_append(store *base, const store_history *entry, bool *added_out, lp_error *error) {
    memory_store *m = (memory_store *)base;
    *added_out = false;
    if (is_appended(m, entry))
        return LP_OK;
    store_history copy = *entry;
    table_version *version = table_version_new(&copy.body, &copy.bases);
    if (version)
        version->entry = copy;
    uint8_t bytes[HISTORY_KEY_BYTES];
    span key = memory_history_key(bytes, &entry->id, entry->stamp, m->now.appended + 1);
    lp_err err = memory_put_version(m, &m->history, key, version, error);
    if (err)
        return err;
    m->now.history++;
    m->now.appended++;
    *added_out = true;
    return LP_OK;
}

lp_err memory_history(store *base, const lp_id *id, store_history_fn each, void *ctx, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    memory_entries(m, id_span(id), writing(m), each, ctx);
    return LP_OK;
}

lp_err memory_history_at(store *base, const lp_id *id, stamp at, store_history_fn each, void *ctx, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    uint8_t bytes[HISTORY_KEY_BYTES];
    memory_history_key(bytes, id, at, 0);
    memory_entries(m, span_of(bytes, STAMP_KEY_BYTES), writing(m), each, ctx);
    return LP_OK;
}

lp_err memory_rows(store *base, bool deleted_only, store_row_fn each, void *ctx, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    uint64_t at = writing(m);
    span key = {0};
    const table_version *version = memory_step(m, &m->rows, key, false, at, &key);
    for (; version; version = memory_step(m, &m->rows, key, true, at, &key))
        if ((version->row.deleted || !deleted_only) && !each(ctx, &version->row))
            break;
    return LP_OK;
}

lp_err memory_get(store *base, store_space space, span key, span *value_out, lp_error *error) {
    memory_store *m = (memory_store *)base;
    return memory_value(m, space, key, writing(m), value_out, error);
}

lp_err memory_put(store *base, store_space space, span key, span value, lp_error *error) {
    memory_store *m = (memory_store *)base;
    assert(m->open);
    buf full = {0};
    span nothing = {0};
    table_version *version = memory_document_key(&full, space, key) ? table_version_new(&value, &nothing) : NULL;
    if (version) {
        version->value = value;
        version->gone = value.size == 0;
    }
    lp_err err = memory_put_version(m, &m->documents, buf_span(&full), version, error);
    buf_fini(&full);
    return err;
}

lp_err memory_each(store *base, store_space space, span prefix, store_document_fn fn, void *ctx, lp_error *error) {
    memory_store *m = (memory_store *)base;
    uint64_t at = writing(m);
    buf full = {0};
    if (!memory_document_key(&full, space, prefix)) {
        buf_fini(&full);
        return err_plain(error, LP_NOMEM);
    }
    span key = {0};
    const table_version *version = memory_step(m, &m->documents, buf_span(&full), false, at, &key);
    while (version && memory_has_prefix(key, buf_span(&full)) &&
           fn(ctx, span_of(key.data + 1, key.size - 1), version->value))
        version = memory_step(m, &m->documents, key, true, at, &key);
    buf_fini(&full);
    return LP_OK;
}

lp_err memory_drop_history(store *base, const lp_id *id, lp_error *error) {
    memory_store *m = (memory_store *)base;
    uint64_t at = writing(m);
    span prefix = id_span(id), key = {0};
    const table_version *version = memory_step(m, &m->history, prefix, false, at, &key);
    while (version && memory_has_prefix(key, prefix)) {
        lp_err err = memory_put_gone(m, &m->history, key, error);
        if (err)
            return err;
        m->now.history--;
        version = memory_step(m, &m->history, key, true, at, &key);
    }
    return LP_OK;
}

lp_err memory_drop_row(store *base, const lp_id *id, lp_error *error) {
    memory_store *m = (memory_store *)base;
    store_row before = {0};
    if (memory_row(m, id, writing(m), &before) != LP_OK)
        return LP_OK;
    uint8_t bytes[FEED_KEY_BYTES];
    bool lived = memory_is_live_lead(&before);
    lp_err err = memory_put_gone(m, &m->feed, memory_feed_key(bytes, before.scope, before.seq), error);
    if (err == LP_OK)
        err = memory_put_gone(m, &m->rows, id_span(id), error);
    if (err)
        return err;
    m->now.records--;
    m->now.leads -= lived;
    return LP_OK;
}

lp_err memory_scrub(store *base, lp_error *error) {
    (void)base;
    (void)error;
    return LP_OK;
}
