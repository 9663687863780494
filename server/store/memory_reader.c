/* memory_reader.c - snapshots and what is read in them; see memory.h. */
#include <assert.h>
#include <stdlib.h>

#include "proto/err.h"
#include "server/store/memory.h"

lp_err memory_reader_open(store *base, store_reader **reader_out, lp_error *error) {
    memory_store *m = (memory_store *)base;
    memory_reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_plain(error, LP_NOMEM);
    r->base.ops = m->base.ops;
    r->store = m;
    memory_lock(m);
    r->next = m->readers;
    m->readers = r;
    memory_unlock(m);
    *reader_out = &r->base;
    return LP_OK;
}

void memory_reader_close(store_reader *base) {
    memory_reader *r = (memory_reader *)base;
    memory_store *m = r->store;
    memory_lock(m);
    memory_reader **at = &m->readers;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    memory_unlock(m);
    free(r);
}

lp_err memory_snapshot(store_reader *base, lp_error *error) {
    (void)error;
    memory_reader *r = (memory_reader *)base;
    memory_lock(r->store);
    r->open = true;
    r->at = r->store->commits;
    r->tally = r->store->last;
    memory_unlock(r->store);
    return LP_OK;
}

void memory_snapshot_end(store_reader *base) {
    memory_reader *r = (memory_reader *)base;
    memory_lock(r->store);
    r->open = false;
    memory_unlock(r->store);
}

lp_err memory_counts(store_reader *base, store_counts *counts_out, lp_error *error) {
    (void)error;
    const memory_reader *r = (const memory_reader *)base;
    assert(r->open);
    *counts_out = (store_counts){r->tally.last_seq, r->tally.leads, r->tally.records, r->tally.history, 0};
    return LP_OK;
}

lp_err memory_feed(store_reader *base, scope_class scope, uint64_t after, store_row_fn each, void *ctx,
                   lp_error *error) {
    (void)error;
    memory_reader *r = (memory_reader *)base;
    memory_store *m = r->store;
    assert(r->open);
    uint8_t bytes[FEED_KEY_BYTES];
    span key = memory_feed_key(bytes, scope, after), prefix = span_of(bytes, 1);
    const table_version *version = memory_step(m, &m->feed, key, true, r->at, &key);
    for (; version && memory_has_prefix(key, prefix); version = memory_step(m, &m->feed, key, true, r->at, &key)) {
        const table_version *row = memory_look(m, &m->rows, version->value, r->at);
        assert(row);
        if (!each(ctx, &row->row))
            break;
    }
    return LP_OK;
}

lp_err memory_read(store_reader *base, const lp_id *id, store_row *row_out, lp_error *error) {
    (void)error;
    memory_reader *r = (memory_reader *)base;
    assert(r->open);
    return memory_row(r->store, id, r->at, row_out);
}

lp_err memory_read_history(store_reader *base, const lp_id *id, store_history_fn each, void *ctx, lp_error *error) {
    (void)error;
    memory_reader *r = (memory_reader *)base;
    assert(r->open);
    memory_entries(r->store, id_span(id), r->at, each, ctx);
    return LP_OK;
}

lp_err memory_read_document(store_reader *base, store_space space, span key, span *value_out, lp_error *error) {
    memory_reader *r = (memory_reader *)base;
    assert(r->open);
    return memory_value(r->store, space, key, r->at, value_out, error);
}

lp_err memory_read_documents(store_reader *base, store_space space, span prefix, span after, store_document_fn fn,
                             void *ctx, lp_error *error) {
    memory_reader *r = (memory_reader *)base;
    memory_store *m = r->store;
    assert(r->open);
    buf from = {0}, full = {0};
    bool room = memory_document_key(&from, space, after) && memory_document_key(&full, space, prefix);
    span key = {0};
    /* `after` may stand before the first key of the prefix. */
    bool before = room && span_compare(buf_span(&from), buf_span(&full)) < 0;
    const table_version *version =
        room ? memory_step(m, &m->documents, before ? buf_span(&full) : buf_span(&from), !before, r->at, &key) : NULL;
    while (version && memory_has_prefix(key, buf_span(&full)) &&
           fn(ctx, span_of(key.data + 1, key.size - 1), version->value))
        version = memory_step(m, &m->documents, key, true, r->at, &key);
    buf_fini(&from);
    buf_fini(&full);
    return room ? LP_OK : err_plain(error, LP_NOMEM);
}

lp_err memory_read_next(store_reader *base, store_space space, span from, span *key_out, span *value_out,
                        lp_error *error) {
    memory_reader *r = (memory_reader *)base;
    assert(r->open);
    buf full = {0};
    span key = {0};
    lp_err err = memory_document_key(&full, space, from) ? LP_NOT_FOUND : err_plain(error, LP_NOMEM);
    const table_version *version =
        err == LP_NOT_FOUND ? memory_step(r->store, &r->store->documents, buf_span(&full), false, r->at, &key) : NULL;
    buf_fini(&full);
    if (!version || key.data[0] != (uint8_t)space)
        return err;
    *key_out = span_of(key.data + 1, key.size - 1);
    *value_out = version->value;
    return LP_OK;
}
