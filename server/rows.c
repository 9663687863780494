/* rows.c - packing and unpacking between store and merge; see rows.h. */
#include "server/rows.h"

#include "proto/err.h"
#include "proto/merge.h"

scope_class rows_scope(uint32_t kind) {
    const kind_info *info = schema_kind(kind);
    return info ? info->scope : SCOPE_POOL;
}

lp_err rows_load(pool *p, record *rec, rows_kept *kept, lp_error *error) {
    store_row row;
    lp_err err = p->store->ops->load(p->store, &rec->id, &row, error);
    if (err == LP_NOT_FOUND)
        return LP_OK;
    if (err)
        return err;
    rec->kind = row.kind;
    buf_append_span(&kept->bytes, row.body);
    buf_append_span(&kept->bytes, row.stamps);
    if (kept->bytes.failed)
        return err_plain(error, LP_NOMEM);
    span body = span_of(kept->bytes.data, row.body.size);
    span stamps = span_of(kept->bytes.data + row.body.size, row.stamps.size);
    return record_unpack(rec, body, stamps, error);
}

lp_err rows_merge(pool *p, record *rec, scope_class scope, const reg *change, uint64_t seq, lp_error *error) {
    reg numbered = *change;
    reg before;
    numbered.seq = seq;
    merge_outcome outcome = merge_change(rec, &numbered, &before);
    if (outcome == MERGE_NOMEM)
        return err_plain(error, LP_NOMEM);
    if (outcome != MERGE_APPLIED && outcome != MERGE_CLONED)
        return LP_OK;
    if (!stamp_is_none(before.stamp))
        digest_remove(p->digester, &p->digests[scope], rec->kind, &rec->id, &before);
    digest_add(p->digester, &p->digests[scope], rec->kind, &rec->id, record_find(rec, change->field, change->key));
    return LP_OK;
}

lp_err rows_save(pool *p, const record *rec, scope_class scope, uint64_t seq, lp_error *error) {
    buf body = {0};
    buf stamps = {0};
    lp_err err = record_pack(rec, &body, &stamps, error);
    if (!err) {
        store_row row = {.kind = rec->kind,
                         .id = rec->id,
                         .scope = scope,
                         .seq = seq,
                         .deleted = record_deleted(rec),
                         .body = buf_span(&body),
                         .stamps = buf_span(&stamps)};
        err = p->store->ops->save(p->store, &row, error);
    }
    buf_fini(&body);
    buf_fini(&stamps);
    return err;
}

void rows_drop(rows_kept *kept) {
    buf_fini(&kept->bytes);
}
