/* purge.c - see purge.h.
 *
 *   meta "purge.seq"   the greatest seq of a purged record or a forgotten mark */
#include "server/office/purge.h"

#include <string.h>

#include "proto/bug.h"
#include "proto/err.h"
#include "server/pool/auth.h"
#include "server/office/erase.h"
#include "server/pool/ids.h"
#include "server/pool/rows.h"
#include "server/pool/seen.h"

#define STEP_MAX 2000 /* records in one commit */

/* ---- what everybody has read ---- */

typedef struct readers {
    pool *pool;
    buf numbers; /* of devices that are not revoked, 4 bytes each */
} readers;

static bool add_reader(void *ctx, const device *d) {
    readers *r = ctx;
    if (!d->revoked_ms)
        buf_append(&r->numbers, &d->number, sizeof d->number);
    return !r->numbers.failed;
}

/* The least seq that a device which was here since `since_ms` has read to. */
static lp_err read_by_all(pool *p, int64_t since_ms, uint64_t *seq_out, lp_error *error) {
    readers r = {.pool = p};
    *seq_out = UINT64_MAX;
    lp_err err = auth_each_device(p, add_reader, &r, error);
    if (!err && r.numbers.failed)
        err = err_plain(error, LP_NOMEM);
    for (size_t at = 0; !err && at < r.numbers.size; at += sizeof(uint32_t)) {
        uint32_t number;
        seen s;
        memcpy(&number, r.numbers.data + at, sizeof number);
        err = seen_get(p, number, &s, error);
        if (!err && s.at_ms >= since_ms && s.seq < *seq_out)
            *seq_out = s.seq;
    }
    buf_fini(&r.numbers);
    return err;
}

/* ---- what may go ---- */

/* A record that follows a candidate. */
typedef struct follower {
    lp_id id, followed;
    bool ripe;
} follower;

typedef struct choice {
    uint64_t read_seq;  /* everybody has read to here */
    int64_t horizon_ms; /* nothing younger goes */
    id_set ripe;        /* deleted, old, read: candidates */
    id_set marks;       /* old marks that everybody has read */
    id_set going;       /* candidates and what follows them */
    id_set kept;        /* of these, what has to stay */
    buf followers;      /* of struct follower */
    record rec;
    purge_outcome *outcome;
    bool grew;
    lp_err err;
    lp_error *error;
} choice;

static bool is_ripe(choice *c, const store_row *row) {
    c->rec.kind = row->kind;
    c->rec.id = row->id;
    c->err = record_unpack(&c->rec, row->body, row->stamps, c->error);
    for (uint32_t i = 0; !c->err && i < c->rec.count; i++)
        if (stamp_ms(c->rec.regs[i].stamp) >= c->horizon_ms)
            return false;
    return !c->err && row->seq <= c->read_seq;
}

static bool is_old(choice *c, const store_row *row) {
    uint64_t seq = c->read_seq;
    c->read_seq = UINT64_MAX;
    bool old = is_ripe(c, row);
    c->read_seq = seq;
    return old;
}

static bool choose(void *ctx, const store_row *row) {
    choice *c = ctx;
    if (row->kind == KIND_ERASED || (row->scope == SCOPE_SETUP && row->kind != KIND_PURGED))
        return true;
    if (!is_ripe(c, row)) {
        c->outcome->waiting += row->kind != KIND_PURGED && !c->err && is_old(c, row);
        return !c->err;
    }
    if (c->ripe.count + c->marks.count == STEP_MAX) {
        c->outcome->more = true;
        return false;
    }
    ids_add(row->kind == KIND_PURGED ? &c->marks : &c->ripe, &row->id);
    return !c->err;
}

static bool add_follower(void *ctx, const store_row *row) {
    choice *c = ctx;
    follower f = {.id = row->id};
    if (!schema_follows(row->kind) || ids_hold(&c->going, &row->id))
        return true;
    f.ripe = is_ripe(c, row);
    if (c->err || !rows_followed(&c->rec, &f.followed) || !ids_hold(&c->going, &f.followed))
        return !c->err;
    c->grew |= ids_add(&c->going, &row->id);
    buf_append(&c->followers, &f, sizeof f);
    return !c->err;
}

/* Young ones hold what they follow; and what is held holds those that would only have gone along. */
static void hold_back(choice *c) {
    for (bool grew = true; grew;) {
        grew = false;
        for (size_t at = 0; at < c->followers.size; at += sizeof(follower)) {
            follower f;
            memcpy(&f, c->followers.data + at, sizeof f);
            if (!f.ripe)
                grew |= ids_add(&c->kept, &f.id);
            if (ids_hold(&c->kept, &f.id))
                grew |= ids_add(&c->kept, &f.followed);
            else if (ids_hold(&c->kept, &f.followed) && !ids_hold(&c->ripe, &f.id))
                grew |= ids_add(&c->kept, &f.id);
        }
    }
}

static lp_err check(const choice *c, lp_err err, lp_error *error) {
    if (!err)
        err = c->err;
    bool failed = c->ripe.failed || c->marks.failed || c->going.failed || c->kept.failed || c->followers.failed;
    return !err && failed ? err_plain(error, LP_NOMEM) : err;
}

static lp_err choose_all(pool *p, choice *c, lp_error *error) {
    lp_err err = check(c, p->store->ops->rows(p->store, true, choose, c, error), error);
    for (uint32_t i = 0; !err && i < c->ripe.count; i++)
        ids_add(&c->going, &c->ripe.list[i]);
    c->grew = c->ripe.count > 0;
    while (!err && c->grew) {
        c->grew = false;
        err = check(c, p->store->ops->rows(p->store, false, add_follower, c, error), error);
    }
    hold_back(c);
    return check(c, err, error);
}

/* ---- going ---- */

static span purge_key(void) {
    return SPAN_LITERAL("purge.seq");
}

static lp_err raise_purge_seq(pool *p, uint64_t seq, lp_error *error) {
    span value;
    uint64_t before = 0;
    lp_err err = p->store->ops->get(p->store, STORE_META, purge_key(), &value, error);
    if (err && err != LP_NOT_FOUND)
        return err;
    wire_reader r = wire_open(err ? (span){0} : value);
    before = err ? 0 : wire_u64(&r);
    if (before >= seq || BUG(PURGE_SEQ_STAYS))
        return LP_OK;
    buf out = {0};
    wire_put_u64(&out, seq);
    err = out.failed ? err_plain(error, LP_NOMEM)
                     : p->store->ops->put(p->store, STORE_META, purge_key(), buf_span(&out), error);
    buf_fini(&out);
    return err;
}

/* Row and history; its greatest seq comes out. */
static lp_err drop(pool *p, const lp_id *id, uint64_t *seq, lp_error *error) {
    store_row row;
    lp_err err = p->store->ops->load(p->store, id, &row, error);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    *seq = row.seq > *seq ? row.seq : *seq;
    err = p->store->ops->drop_history(p->store, id, error);
    return err ? err : p->store->ops->drop_row(p->store, id, error);
}

/* The document that stays: what the record followed, or true. */
static lp_err note_purged(pool *p, const lp_id *id, lp_error *error) {
    record rec;
    rows_kept kept = {0};
    lp_id followed;
    buf document = {0};
    record_init(&rec, 0, id);
    lp_err err = rows_load_bare(p, &rec, &kept, error);
    if (!err && rows_followed(&rec, &followed))
        wire_put_bytes(&document, id_span(&followed));
    else
        wire_put_bool(&document, true);
    if (!err)
        err = document.failed ? err_plain(error, LP_NOMEM)
                              : p->store->ops->put(p->store, STORE_PURGED, id_span(id), buf_span(&document), error);
    buf_fini(&document);
    record_fini(&rec);
    rows_drop(&kept);
    return err;
}

static lp_err purge_one(pool *p, const lp_id *id, uint64_t *seq, lp_error *error) {
    lp_err err = note_purged(p, id, error);
    if (!err)
        err = drop(p, id, seq, error);
    return err ? err : rows_put_mark(p, KIND_PURGED, id, error);
}

static lp_err carry_out(pool *p, const choice *c, lp_error *error) {
    uint64_t seq = 0;
    lp_err err = LP_OK;
    for (uint32_t i = 0; !err && i < c->marks.count; i++)
        err = drop(p, &c->marks.list[i], &seq, error);
    c->outcome->marks = c->marks.count;
    /* While all of them stand it can be told which scopes they leave. */
    for (uint32_t i = 0; !err && i < c->going.count; i++)
        if (!ids_hold(&c->kept, &c->going.list[i]))
            err = rows_leave_digest(p, &c->going.list[i], error);
    for (uint32_t i = 0; !err && i < c->going.count; i++) {
        if (ids_hold(&c->kept, &c->going.list[i]))
            continue;
        err = purge_one(p, &c->going.list[i], &seq, error);
        c->outcome->purged++;
    }
    for (uint32_t i = 0; i < c->ripe.count; i++)
        c->outcome->waiting += ids_hold(&c->kept, &c->ripe.list[i]);
    p->scrub_due |= c->outcome->purged > 0;
    /* With everything held back the next step would find the same again. */
    c->outcome->more &= c->outcome->purged + c->outcome->marks > 0;
    return err || seq == 0 ? err : raise_purge_seq(p, seq, error);
}

lp_err purge_step(pool *p, int64_t retention_ms, purge_outcome *outcome, lp_error *error) {
    choice c = {.outcome = outcome, .error = error, .horizon_ms = pool_now_ms(p) - retention_ms};
    char why[TIMEKEEPER_TEXT_BYTES];
    *outcome = (purge_outcome){0};
    if (timekeeper_troubled(&p->time, why))
        return err_set(error, LP_CLOCK, "nothing is forgotten by a clock that is not trusted: %s", why);
    record_init(&c.rec, 0, &(lp_id){{0}});
    lp_err err = read_by_all(p, c.horizon_ms, &c.read_seq, error);
    if (!err)
        err = choose_all(p, &c, error);
    if (!err)
        err = carry_out(p, &c, error);
    record_fini(&c.rec);
    ids_fini(&c.ripe);
    ids_fini(&c.marks);
    ids_fini(&c.going);
    ids_fini(&c.kept);
    buf_fini(&c.followers);
    return err;
}

/* ---- meeting what was purged ---- */

static lp_err is_purged(pool *p, const lp_id *id, bool *purged_out, lp_error *error) {
    span value;
    lp_err err = p->store->ops->get(p->store, STORE_PURGED, id_span(id), &value, error);
    *purged_out = !err && !BUG(PURGED_ID_FORGOTTEN);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err purge_meets(pool *p, const change_set *set, uint32_t kind, bool *purged_out, lp_error *error) {
    lp_id followed;
    *purged_out = false;
    if (kind != 0 && kind != KIND_PURGED)
        return LP_OK;
    lp_err err = is_purged(p, &set->id, purged_out, error);
    if (!err && !*purged_out && erase_names_followed(set, &followed))
        err = is_purged(p, &followed, purged_out, error);
    return err;
}

typedef struct purged_walk {
    purge_follower_fn each;
    void *ctx;
} purged_walk;

static bool on_purged(void *ctx, span key, span value) {
    const purged_walk *w = ctx;
    lp_id id, followed;
    wire_reader r = wire_open(value);
    bool follows = wire_peek(&r) == WIRE_BYTES && id_from_span(wire_bytes(&r), &followed);
    return !follows || !id_from_span(key, &id) || w->each(w->ctx, &id, &followed);
}

lp_err purge_each_follower(pool *p, purge_follower_fn each, void *ctx, lp_error *error) {
    purged_walk w = {each, ctx};
    return p->store->ops->each(p->store, STORE_PURGED, (span){0}, on_purged, &w, error);
}

lp_err purge_undo(pool *p, const lp_id *id, lp_error *error) {
    store_row row;
    lp_err err = p->store->ops->put(p->store, STORE_PURGED, id_span(id), (span){0}, error);
    if (!err)
        err = p->store->ops->load(p->store, id, &row, error);
    if (!err && row.kind == KIND_PURGED)
        err = p->store->ops->drop_row(p->store, id, error);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err purge_seq(store_reader *reader, uint64_t *seq_out, lp_error *error) {
    span value;
    lp_err err = reader->ops->read_document(reader, STORE_META, purge_key(), &value, error);
    wire_reader r = wire_open(err ? (span){0} : value);
    *seq_out = err ? 0 : wire_u64(&r);
    return err == LP_NOT_FOUND ? LP_OK : err;
}
