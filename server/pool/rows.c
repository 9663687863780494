/* rows.c - packing and unpacking between store and merge; see rows.h. */
#include "server/pool/rows.h"

#include "proto/err.h"
#include "proto/merge.h"
#include "server/pool/scopes.h"

scope_class rows_scope(uint32_t kind) {
    const kind_info *info = schema_kind(kind);
    return info ? info->scope : SCOPE_POOL;
}

bool rows_followed(const record *rec, lp_id *id_out) {
    uint32_t field = schema_follows(rec->kind);
    wire_reader r = wire_open(field ? record_value(rec, field, (span){0}) : (span){0});
    return r.at < r.end && id_from_span(wire_bytes(&r), id_out) && !r.failed;
}

lp_err rows_load_bare(pool *p, record *rec, rows_kept *kept, lp_error *error) {
    store_row row;
    lp_err err = p->store->ops->load(p->store, &rec->id, &row, error);
    if (err == LP_NOT_FOUND)
        return LP_OK;
    if (err)
        return err;
    rec->kind = row.kind;
    kept->known = true;
    buf_append_span(&kept->bytes, row.body);
    buf_append_span(&kept->bytes, row.stamps);
    if (kept->bytes.failed)
        return err_plain(error, LP_NOMEM);
    span body = span_of(kept->bytes.data, row.body.size);
    span stamps = span_of(kept->bytes.data + row.body.size, row.stamps.size);
    return record_unpack(rec, body, stamps, error);
}

lp_err rows_load(pool *p, record *rec, rows_kept *kept, lp_error *error) {
    lp_err err = rows_load_bare(p, rec, kept, error);
    return !err && kept->known ? scopes_of_stored(p, rec, &kept->before, error) : err;
}

void rows_count(pool *p, const record *rec, rows_kept *kept, scope_class scope, const reg *before, const reg *now) {
    digest added = digest_term(p->digester, rec->kind, &rec->id, now);
    if (!stamp_is_none(before->stamp)) {
        digest removed = digest_term(p->digester, rec->kind, &rec->id, before);
        digest_minus(&p->digests[scope], removed);
        digest_minus(&kept->delta, removed);
    }
    digest_plus(&p->digests[scope], added);
    digest_plus(&kept->delta, added);
}

lp_err rows_merge(pool *p, record *rec, rows_kept *kept, scope_class scope, const reg *change, uint64_t seq,
                  lp_error *error) {
    reg numbered = *change;
    reg before;
    numbered.seq = seq;
    merge_outcome outcome = merge_change(rec, &numbered, &before);
    if (outcome == MERGE_NOMEM)
        return err_plain(error, LP_NOMEM);
    if (outcome == MERGE_APPLIED || outcome == MERGE_CLONED)
        rows_count(p, rec, kept, scope, &before, record_find(rec, change->field, change->key));
    return LP_OK;
}

lp_err rows_save(pool *p, const record *rec, rows_kept *kept, scope_class scope, const lp_id *person, uint64_t seq,
                 lp_error *error) {
    static const lp_id nobody;
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
    kept->seq = seq;
    if (!err && scope == SCOPE_POOL)
        err = scopes_moved(p, rec, &kept->before, kept->known, kept->delta, person ? person : &nobody, seq, error);
    buf_fini(&body);
    buf_fini(&stamps);
    return err;
}

lp_err rows_leave_digest(pool *p, const lp_id *id, lp_error *error) {
    record rec;
    rows_kept kept = {0};
    record_init(&rec, 0, id);
    lp_err err = rows_load(p, &rec, &kept, error);
    scope_class scope = rows_scope(rec.kind);
    bool counts = rec.kind != KIND_PURGED && rec.kind != KIND_ERASED;
    for (uint32_t i = 0; !err && counts && i < rec.count; i++)
        digest_remove(p->digester, &p->digests[scope], rec.kind, id, &rec.regs[i]);
    if (!err)
        err = scopes_forget(p, &rec, &kept.before, error);
    record_fini(&rec);
    rows_drop(&kept);
    return err;
}

lp_err rows_put_mark(pool *p, uint32_t kind, const lp_id *id, lp_error *error) {
    record mark;
    rows_kept kept = {.known = true};
    bool made;
    uint64_t seq;
    record_init(&mark, kind, id);
    lp_err err = p->store->ops->take_seq(p->store, 1, &seq, error);
    reg *slot = err ? NULL : record_at(&mark, FIELD_DELETED, (span){0}, &made);
    if (!err && !slot)
        err = err_plain(error, LP_NOMEM);
    if (!err) {
        slot->value = SPAN_LITERAL("\xc3");
        slot->stamp = hlc_next(&p->clock, pool_now_ms(p));
        slot->seq = seq;
        err = rows_save(p, &mark, &kept, SCOPE_SETUP, NULL, seq, error);
    }
    record_fini(&mark);
    return err;
}

void rows_drop(rows_kept *kept) {
    buf_fini(&kept->bytes);
}
