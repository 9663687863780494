/* kept.c - see kept.h. */
#include "client/replica/kept.h"

#include <stdlib.h>

#include "client/replica/statements.h"
#include "proto/change.h"
#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/schema.h"
#include "proto/wire.h"

/* ---- keeping ---- */

/* One key pair for as long as the replica is open. NULL, without an error, if the pool has given no key. */
static lp_err take_sealer(replica *r, crypto_sealer **sealer_out, lp_error *error) {
    buf key = {0};
    uint8_t ephemeral[CRYPTO_SEAL_KEY_BYTES];
    *sealer_out = r->sealer;
    if (r->sealer)
        return LP_OK;
    lp_err err = replica_meta(r, "seal.key", &key, error);
    if (!err && key.size == CRYPTO_SEAL_KEY_BYTES) {
        r->env->random(r->env->ctx, ephemeral, sizeof ephemeral);
        err = crypto_sealer_new(key.data, ephemeral, &r->sealer, error);
        *sealer_out = r->sealer;
    }
    buf_fini(&key);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err kept_add(replica *r, const lp_id *id, uint64_t seq, span changes, lp_error *error) {
    crypto_sealer *sealer;
    buf sealed = {0};
    lp_err err = take_sealer(r, &sealer, error);
    if (err || !sealer)
        return err;
    err = crypto_seal(sealer, changes, &sealed, error);
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_KEPT_ADD, error);
    if (!err && !s)
        err = LP_IO;
    if (!err) {
        bind_span(s, 1, id_span(id));
        sqlite3_bind_int64(s, 2, (int64_t)seq);
        bind_span(s, 3, buf_span(&sealed));
        err = statement_run(r, s, "save", error);
    }
    buf_fini(&sealed);
    return err;
}

lp_err kept_forget(replica *r, uint64_t seq, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_KEPT_FORGET, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)seq);
    lp_err err = statement_run(r, s, "save", error);
    return err ? err : replica_meta_put_int(r, "kept.floor", (int64_t)seq, error);
}

lp_err kept_erase(replica *r, const lp_id *id, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_KEPT_ERASE, error);
    if (!s)
        return LP_IO;
    bind_span(s, 1, id_span(id));
    return statement_run(r, s, "save", error);
}

lp_err kept_above(replica *r, const lp_id *id, uint64_t seq, bool *above_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_KEPT_ABOVE, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)seq);
    bind_span(s, 2, id_span(id));
    lp_err err = statement_row(r, s, "read the replica", error);
    *above_out = !err && sqlite3_column_int(s, 0) != 0;
    sqlite3_reset(s);
    return err;
}

lp_err kept_seqs_above(replica *r, uint64_t seq, int64_t *count_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_KEPT_SEQS_ABOVE, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)seq);
    lp_err err = statement_row(r, s, "read the replica", error);
    *count_out = err ? 0 : sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return err;
}

/* ---- offering again ---- */

lp_err kept_last(replica *r, int64_t *last_out, lp_error *error) {
    return statement_int(r, STATEMENT_KEPT_LAST, last_out, error);
}

lp_err kept_next(replica *r, const kept_range *range, buf *entries_out, uint32_t *count_out, int64_t *upto_out,
                 lp_error *error) {
    buf list = {0};
    *count_out = 0;
    *upto_out = range->after;
    sqlite3_stmt *s = statement(r, STATEMENT_KEPT_NEXT, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, range->after);
    sqlite3_bind_int64(s, 2, range->last);
    sqlite3_bind_int64(s, 3, (int64_t)range->fork);
    lp_err err = LP_OK;
    while (*count_out < range->most && !(err = statement_row(r, s, "read what was acknowledged", error))) {
        span sealed = column_span(s, 1);
        if (*count_out && list.size + sealed.size > range->bytes)
            break;
        wire_put_bytes(&list, sealed);
        *upto_out = sqlite3_column_int64(s, 0);
        (*count_out)++;
    }
    sqlite3_reset(s);
    wire_put_array(entries_out, *count_out);
    buf_append_span(entries_out, buf_span(&list));
    if (list.failed || entries_out->failed)
        err = err_plain(error, LP_NOMEM);
    buf_fini(&list);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err kept_returned(replica *r, const kept_range *range, uint64_t seq, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_KEPT_RETURNED, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, range->after);
    sqlite3_bind_int64(s, 2, range->last);
    sqlite3_bind_int64(s, 3, (int64_t)range->fork);
    sqlite3_bind_int64(s, 4, (int64_t)seq);
    return statement_run(r, s, "save", error);
}

/* ---- what stands ---- */

bool kept_is_own(const replica *r, uint32_t author) {
    bool own = author == r->clock.author;
    for (uint32_t i = 0; i < r->former_count; i++)
        own |= author == r->former[i];
    return own;
}

static bool is_offered(const replica *r, uint32_t kind, const reg *value) {
    const field_info *info = schema_field(kind, value->field);
    return kept_is_own(r, value->stamp.author) && !(info && (info->flags & FIELD_SERVER));
}

static bool same_set(const reg *a, const reg *b) {
    return stamp_compare(a->stamp, b->stamp) == 0 && stamp_compare(a->base, b->base) == 0;
}

/* Own values of one record, one set for each stamp and base. A record has few of them. */
static void put_standing(const replica *r, const record *rec, changes_writer *w) {
    for (uint32_t i = 0; i < rec->count; i++) {
        const reg *first = &rec->regs[i];
        bool done = !is_offered(r, rec->kind, first);
        for (uint32_t k = 0; k < i && !done; k++)
            done = same_set(&rec->regs[k], first);
        if (done)
            continue;
        changes_begin(w);
        for (uint32_t k = i; k < rec->count; k++)
            if (same_set(&rec->regs[k], first) && is_offered(r, rec->kind, &rec->regs[k]))
                change_put(w, rec->regs[k].field, rec->regs[k].key, rec->regs[k].value);
        changes_end(w, rec->kind, &rec->id, first->stamp, first->base, 0);
    }
}

lp_err kept_standing(replica *r, int64_t after, size_t bytes, buf *changes_out, int64_t *upto_out, lp_error *error) {
    changes_writer w;
    *upto_out = 0;
    sqlite3_stmt *s = statement(r, STATEMENT_KEPT_STANDING, error);
    if (!s)
        return LP_IO;
    changes_init(&w);
    sqlite3_bind_int64(s, 1, after);
    lp_err err = LP_OK;
    while (changes_bytes(&w) < bytes && !(err = statement_row(r, s, "read the replica", error))) {
        lp_id id = {{0}};
        record rec;
        id_from_span(column_span(s, 1), &id);
        record_init(&rec, (uint32_t)sqlite3_column_int64(s, 2), &id);
        err = record_unpack(&rec, column_span(s, 3), column_span(s, 4), error);
        if (!err)
            put_standing(r, &rec, &w);
        record_fini(&rec);
        *upto_out = sqlite3_column_int64(s, 0);
        if (err)
            break;
    }
    sqlite3_reset(s);
    if (!err || err == LP_NOT_FOUND)
        err = changes_finish(&w, changes_out, error);
    changes_fini(&w);
    return err;
}
