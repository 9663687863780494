/* erase.c - see erase.h. */
#include "server/office/erase.h"

#include <string.h>

#include "proto/err.h"
#include "server/pool/ids.h"
#include "server/office/ledger.h"
#include "server/office/purge.h"
#include "server/office/review.h"
#include "server/pool/rows.h"

/* ---- what follows ---- */

typedef struct follow_walk {
    id_set *set;
    record rec;
    bool grew;
    lp_err err;
    lp_error *error;
} follow_walk;

static bool add_follower(void *ctx, const store_row *row) {
    follow_walk *w = ctx;
    lp_id followed;
    if (!schema_follows(row->kind) || ids_hold(w->set, &row->id))
        return true;
    w->rec.kind = row->kind;
    w->err = record_unpack(&w->rec, row->body, row->stamps, w->error);
    if (!w->err && rows_followed(&w->rec, &followed) && ids_hold(w->set, &followed))
        w->grew |= ids_add(w->set, &row->id);
    return !w->err && !w->set->failed;
}

/* What awaits review has no row, and says what it follows all the same. */
static bool add_awaiting(void *ctx, const review_entry *e) {
    follow_walk *w = ctx;
    lp_id followed;
    if (!ids_hold(w->set, &e->set.id) && erase_names_followed(&e->set, &followed) && ids_hold(w->set, &followed))
        w->grew |= ids_add(w->set, &e->set.id);
    return !w->set->failed;
}

/* What was purged has no row either; a change of it that is still on its way may name nobody. */
static bool add_purged(void *ctx, const lp_id *id, const lp_id *followed) {
    follow_walk *w = ctx;
    if (ids_hold(w->set, followed))
        w->grew |= ids_add(w->set, id);
    return !w->set->failed;
}

/* A conflict may be about a touch of the lead: walks until nothing more is found. */
static lp_err add_followers(pool *p, id_set *set, lp_error *error) {
    follow_walk w = {.set = set, .grew = true, .error = error};
    record_init(&w.rec, 0, &(lp_id){{0}});
    lp_err err = LP_OK;
    while (!err && w.grew) {
        w.grew = false;
        err = p->store->ops->rows(p->store, false, add_follower, &w, error);
        err = err ? err : w.err;
        if (!err)
            err = review_each(p, add_awaiting, &w, error);
        if (!err)
            err = purge_each_follower(p, add_purged, &w, error);
    }
    if (!err && set->failed)
        err = err_plain(error, LP_NOMEM);
    record_fini(&w.rec);
    return err;
}

/* ---- erasing ---- */

static lp_err erase_one(pool *p, const lp_id *id, lp_error *error) {
    lp_err err = p->store->ops->drop_history(p->store, id, error);
    if (!err)
        err = review_forget(p, id, error);
    if (!err)
        err = rows_put_mark(p, KIND_ERASED, id, error);
    p->scrub_due = true;
    return err;
}

/* While all of them stand it can be told which scopes they leave. */
static lp_err erase_set(pool *p, const id_set *set, lp_error *error) {
    lp_err err = LP_OK;
    for (uint32_t i = 0; !err && i < set->count; i++)
        err = rows_leave_digest(p, &set->list[i], error);
    for (uint32_t i = 0; !err && i < set->count; i++)
        err = erase_one(p, &set->list[i], error);
    return err;
}

/* The kind of a record's row; 0 if it has none. */
static lp_err kind_of(pool *p, const lp_id *id, uint32_t *kind_out, lp_error *error) {
    store_row row;
    lp_err err = p->store->ops->load(p->store, id, &row, error);
    *kind_out = err ? 0 : row.kind;
    return err == LP_NOT_FOUND ? LP_OK : err;
}

static bool stop_at(void *ctx, const review_entry *e) {
    const lp_id **sought = ctx;
    if (!id_equal(&e->set.id, *sought))
        return true;
    *sought = NULL;
    return false;
}

/* Without a row of its own, but something of it may be here: it was purged, or a change of it awaits review. */
static lp_err is_known(pool *p, const lp_id *id, bool *known_out, lp_error *error) {
    span value;
    const lp_id *sought = id;
    lp_err err = p->store->ops->get(p->store, STORE_PURGED, id_span(id), &value, error);
    *known_out = !err;
    if (err != LP_NOT_FOUND)
        return err;
    err = review_each(p, stop_at, &sought, error);
    *known_out = !sought;
    return err;
}

lp_err erase_lead(pool *p, const lp_id *lead, uint32_t *count_out, lp_error *error) {
    uint32_t kind;
    bool known = true;
    char text[LP_ID_TEXT_BYTES];
    *count_out = 0;
    lp_id_format(lead, text);
    lp_err err = kind_of(p, lead, &kind, error);
    bool row = kind != 0 && kind != KIND_PURGED;
    if (!err && !row)
        err = is_known(p, lead, &known, error);
    if (err || kind == KIND_ERASED)
        return err;
    if (!known)
        return err_set(error, LP_NOT_FOUND, "the pool knows nothing of a lead %s; give its whole id", text);
    if (row && kind != KIND_LEAD)
        return err_set(error, LP_INVALID, "%s is no lead; give the lead it belongs to", text);
    id_set set = {0};
    ids_add(&set, lead);
    err = add_followers(p, &set, error);
    if (!err)
        err = ledger_note_erased(p->ledger, set.list, set.count, pool_now_ms(p), error);
    if (!err)
        err = erase_set(p, &set, error);
    if (!err)
        *count_out = set.count;
    ids_fini(&set);
    return err;
}

/* ---- replaying ---- */

typedef struct replay {
    pool *pool;
    id_set set;
} replay;

static lp_err add_erased(void *ctx, span subject, int64_t at_ms, lp_error *error) {
    replay *r = ctx;
    char text[LP_ID_TEXT_BYTES] = "";
    lp_id id;
    uint32_t kind;
    (void)at_ms;
    if (subject.size < sizeof text)
        memcpy(text, subject.data, subject.size);
    if (!lp_id_parse(text, &id))
        return err_set(error, LP_CORRUPT, "the ledger of erasures names %.36s, which is no record's id", text);
    lp_err err = kind_of(r->pool, &id, &kind, error);
    if (!err && kind != KIND_ERASED)
        ids_add(&r->set, &id);
    return err;
}

lp_err erase_replay(pool *p, uint32_t *count_out, lp_error *error) {
    replay r = {.pool = p};
    *count_out = 0;
    lp_err err = ledger_each(p->ledger, LEDGER_ERASED, add_erased, &r, error);
    if (!err && r.set.count)
        err = add_followers(p, &r.set, error);
    if (!err)
        err = erase_set(p, &r.set, error);
    if (!err)
        *count_out = r.set.count;
    ids_fini(&r.set);
    return err;
}

/* ---- late changes ---- */

bool erase_names_followed(const change_set *set, lp_id *followed_out) {
    uint32_t field = schema_follows(set->kind);
    change_set walk = *set;
    reg change;
    while (field && change_next(&walk, &change)) {
        wire_reader value = wire_open(change.value);
        if (change.field == field && change.key.size == 0 && id_from_span(wire_bytes(&value), followed_out))
            return true;
    }
    return false;
}

lp_err erase_absorbs(pool *p, const change_set *set, const record *rec, bool *absorbed_out, lp_error *error) {
    lp_id followed;
    uint32_t kind;
    *absorbed_out = rec->kind == KIND_ERASED;
    if (*absorbed_out || !erase_names_followed(set, &followed))
        return LP_OK;
    lp_err err = kind_of(p, &followed, &kind, error);
    *absorbed_out = !err && kind == KIND_ERASED;
    bool made = *absorbed_out && rec->count == 0;
    return made ? erase_one(p, &set->id, error) : err;
}
