/* scopes.c - the list of the scopes that are kept; see scopes.h. */
#include "server/pool/scopes_parts.h"

#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "proto/wire.h"
#include "server/pool/rows.h"

lp_err scopes_damaged(lp_error *error) {
    return err_set(error, LP_CORRUPT, "the memory of a scope is damaged; run leadpoold verify");
}

bool scopes_key(span name, const lp_id *person, buf *key_out) {
    static const char event[] = "event:";
    size_t prefix = sizeof event - 1;
    if (span_equal(name, SPAN_LITERAL("mine"))) {
        buf_append_span(key_out, SPAN_LITERAL("mine:"));
        buf_append_span(key_out, id_span(person));
        return true;
    }
    if (name.size <= prefix || memcmp(name.data, event, prefix) != 0)
        return false;
    buf_append_span(key_out, name);
    return true;
}

pool_scope *scopes_find(const pool *p, span key) {
    for (uint32_t i = 0; i < p->scopes.count; i++)
        if (span_equal(span_of(p->scopes.list[i].key, p->scopes.list[i].key_size), key))
            return &p->scopes.list[i];
    return NULL;
}

uint32_t scopes_number(const pool *p, span key) {
    const pool_scope *s = scopes_find(p, key);
    return s ? s->number : 0;
}

static pool_scope *add(pool *p, span key) {
    pool_scope *list =
        key.size > sizeof list->key ? NULL : realloc(p->scopes.list, (p->scopes.count + 1) * sizeof *p->scopes.list);
    if (!list)
        return NULL;
    p->scopes.list = list;
    pool_scope *s = &list[p->scopes.count++];
    *s = (pool_scope){.key_size = key.size};
    memcpy(s->key, key.data, key.size);
    return s;
}

static bool take_scope(span document, uint32_t *number_out, digest *sum_out) {
    wire_reader r = wire_open(document);
    wire_array(&r);
    uint64_t number = wire_u64(&r);
    bool ok = digest_unpack(wire_bytes(&r), sum_out) && !r.failed && number <= UINT32_MAX;
    *number_out = (uint32_t)number;
    return ok;
}

typedef struct loading {
    pool *pool;
    bool damaged;
} loading;

static bool load_scope(void *ctx, span key, span value) {
    loading *l = ctx;
    pool_scope *s = add(l->pool, key);
    l->damaged |= !s || !take_scope(value, &s->number, &s->sum);
    return !l->damaged;
}

lp_err scopes_load(pool *p, lp_error *error) {
    loading l = {.pool = p};
    p->scopes.count = 0;
    lp_err err = p->store->ops->each(p->store, STORE_SCOPE, (span){0}, load_scope, &l, error);
    return !err && l.damaged ? scopes_damaged(error) : err;
}

lp_err scopes_save(pool *p, lp_error *error) {
    lp_err err = LP_OK;
    for (uint32_t i = 0; !err && i < p->scopes.count; i++) {
        pool_scope *s = &p->scopes.list[i];
        uint8_t bytes[DIGEST_BYTES];
        buf value = {0};
        if (!s->changed)
            continue;
        digest_pack(s->sum, bytes);
        wire_put_array(&value, 2);
        wire_put_u64(&value, s->number);
        wire_put_bytes(&value, span_of(bytes, sizeof bytes));
        err = value.failed
                  ? err_plain(error, LP_NOMEM)
                  : p->store->ops->put(p->store, STORE_SCOPE, span_of(s->key, s->key_size), buf_span(&value), error);
        s->changed = false;
        buf_fini(&value);
    }
    return err;
}

void scopes_free(pool_scopes *s) {
    free(s->list);
    *s = (pool_scopes){0};
}

lp_err scopes_copy(const pool_scopes *from, pool_scopes *to, lp_error *error) {
    *to = (pool_scopes){.count = from->count};
    if (from->count == 0)
        return LP_OK;
    to->list = malloc(from->count * sizeof *to->list);
    if (!to->list)
        return err_plain(error, LP_NOMEM);
    memcpy(to->list, from->list, from->count * sizeof *to->list);
    return LP_OK;
}

lp_err scopes_read(store_reader *reader, span key, uint32_t *number_out, digest *digest_out, lp_error *error) {
    span value;
    lp_err err = reader->ops->read_document(reader, STORE_SCOPE, key, &value, error);
    return !err && !take_scope(value, number_out, digest_out) ? scopes_damaged(error) : err;
}

/* ---- opening ---- */

typedef struct id_list {
    buf ids;
    buf seqs;
} id_list;

static bool keep_id(void *ctx, const store_row *row) {
    id_list *l = ctx;
    if (row->scope == SCOPE_POOL) {
        buf_append_span(&l->ids, id_span(&row->id));
        buf_append(&l->seqs, &row->seq, sizeof row->seq);
    }
    return !l->ids.failed && !l->seqs.failed;
}

/* What was there before the scope was counts as having joined with its latest change. */
static lp_err fill_one(pool *p, uint32_t at, const lp_id *id, uint64_t seq, lp_error *error) {
    record rec;
    rows_kept kept = {0};
    scope_set set;
    record_init(&rec, 0, id);
    lp_err err = rows_load_bare(p, &rec, &kept, error);
    if (!err)
        err = scopes_of_stored(p, &rec, &set, error);
    if (!err)
        err = scopes_note_follower(p, &rec, error);
    if (!err && scope_set_has(&set, at))
        err = scopes_join(p, at, &rec, seq, error);
    record_fini(&rec);
    rows_drop(&kept);
    return err;
}

static lp_err fill(pool *p, uint32_t at, lp_error *error) {
    id_list l = {0};
    lp_err err = p->store->ops->rows(p->store, false, keep_id, &l, error);
    if (!err && (l.ids.failed || l.seqs.failed))
        err = err_plain(error, LP_NOMEM);
    for (size_t i = 0; !err && i < l.ids.size / 16; i++) {
        lp_id id;
        uint64_t seq;
        memcpy(id.bytes, l.ids.data + i * 16, 16);
        memcpy(&seq, l.seqs.data + i * sizeof seq, sizeof seq);
        err = fill_one(p, at, &id, seq, error);
    }
    buf_fini(&l.ids);
    buf_fini(&l.seqs);
    return err;
}

static lp_err next_number(pool *p, uint32_t *number_out, lp_error *error) {
    *number_out = SCOPE_FIRST_NUMBER;
    for (uint32_t i = 0; i < p->scopes.count; i++)
        if (p->scopes.list[i].number >= *number_out)
            *number_out = p->scopes.list[i].number + 1;
    return *number_out == UINT32_MAX ? err_set(error, LP_FULL, "there are too many scopes") : LP_OK;
}

lp_err scopes_open(pool *p, span key, lp_error *error) {
    uint32_t number;
    if (scopes_find(p, key))
        return LP_OK;
    lp_err err = next_number(p, &number, error);
    pool_scope *s = err ? NULL : add(p, key);
    if (!s)
        return err ? err : err_set(error, LP_INVALID, "the scope cannot be kept: its name is too long");
    s->number = number;
    s->changed = true;
    return fill(p, p->scopes.count - 1, error);
}
