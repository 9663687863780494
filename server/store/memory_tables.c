/* memory_tables.c - the tables' keys, and what writer and readers read alike; see memory.h. */
#include <string.h>

#include "proto/err.h"
#include "server/store/memory.h"

void memory_lock(memory_store *m) {
    pthread_mutex_lock(&m->lock);
}

void memory_unlock(memory_store *m) {
    pthread_mutex_unlock(&m->lock);
}

static void put_u64(uint8_t *at, uint64_t value) {
    for (int i = 7; i >= 0; i--, value >>= 8)
        at[i] = (uint8_t)value;
}

span memory_feed_key(uint8_t bytes[FEED_KEY_BYTES], scope_class scope, uint64_t seq) {
    bytes[0] = (uint8_t)scope;
    put_u64(bytes + 1, seq);
    return span_of(bytes, FEED_KEY_BYTES);
}

span memory_history_key(uint8_t bytes[HISTORY_KEY_BYTES], const lp_id *id, stamp at, uint64_t number) {
    memcpy(bytes, id->bytes, 16);
    stamp_pack(at, bytes + 16);
    put_u64(bytes + STAMP_KEY_BYTES, number);
    return span_of(bytes, HISTORY_KEY_BYTES);
}

bool memory_document_key(buf *b, store_space space, span key) {
    buf_append_byte(b, (uint8_t)space);
    buf_append_span(b, key);
    return !b->failed;
}

bool memory_has_prefix(span text, span prefix) {
    return text.size >= prefix.size && span_equal(span_of(text.data, prefix.size), prefix);
}

const table_version *memory_look(memory_store *m, const table *t, span key, uint64_t at) {
    memory_lock(m);
    const table_version *version = table_get(t, key, at);
    memory_unlock(m);
    return version;
}

const table_version *memory_step(memory_store *m, const table *t, span from, bool beyond, uint64_t at, span *key_out) {
    memory_lock(m);
    const table_entry *entry = table_seek(t, from, beyond, at);
    const table_version *version = entry ? table_version_at(entry, at) : NULL;
    if (entry)
        *key_out = table_key(entry);
    memory_unlock(m);
    return version;
}

bool memory_is_live_lead(const store_row *row) {
    return row->kind == KIND_LEAD && !row->deleted;
}

lp_err memory_row(memory_store *m, const lp_id *id, uint64_t at, store_row *row_out) {
    const table_version *version = memory_look(m, &m->rows, id_span(id), at);
    if (!version)
        return LP_NOT_FOUND;
    *row_out = version->row;
    return LP_OK;
}

void memory_entries(memory_store *m, span prefix, uint64_t at, store_history_fn each, void *ctx) {
    span key = {0};
    const table_version *version = memory_step(m, &m->history, prefix, false, at, &key);
    while (version && memory_has_prefix(key, prefix) && each(ctx, &version->entry))
        version = memory_step(m, &m->history, key, true, at, &key);
}

lp_err memory_value(memory_store *m, store_space space, span key, uint64_t at, span *value_out, lp_error *error) {
    buf full = {0};
    lp_err err = memory_document_key(&full, space, key) ? LP_NOT_FOUND : err_plain(error, LP_NOMEM);
    const table_version *version = err == LP_NOT_FOUND ? memory_look(m, &m->documents, buf_span(&full), at) : NULL;
    buf_fini(&full);
    if (!version)
        return err;
    *value_out = version->value;
    return LP_OK;
}
