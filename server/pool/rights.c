/* rights.c - see rights.h. */
#include "server/pool/rights.h"

#include "proto/wire.h"
#include "server/office/review.h"
#include "server/pool/scopes.h"
#include "server/pool/seen.h"

lp_err rights_load(pool *p, const device *d, rights *r, lp_error *error) {
    seen s = {0};
    lp_err err = access_load(p, d, &r->may, error);
    r->whole = !err && access_whole_pool(&r->may);
    if (!err && !r->whole)
        err = seen_get(p, d->number, &s, error);
    r->read_seq = s.seq;
    return err;
}

/* The number of a narrow scope; 0 if it is none, or not kept. */
static uint32_t number_of(const pool *p, const rights *r, const access_grant *g) {
    buf key = {0};
    uint32_t number = scopes_key(span_text(g->name), &r->may.person, &key) ? scopes_number(p, buf_span(&key)) : 0;
    buf_fini(&key);
    return number;
}

static bool holds(const pool *p, const scope_set *set, uint32_t number) {
    for (uint32_t i = 0; i < set->count; i++)
        if (p->scopes.list[set->at[i]].number == number)
            return true;
    return false;
}

/* What a record that is stored now belongs to, or belonged to when the device last read. */
static lp_err held(pool *p, const rights *r, const lp_id *id, const scope_set *set, bool *held_out, lp_error *error) {
    *held_out = false;
    for (uint32_t i = 0; i < r->may.count && !*held_out; i++) {
        const access_grant *g = &r->may.list[i];
        bool stands = g->until == 0, lately = !stands && g->until > r->read_seq;
        scope_member m;
        uint32_t number = number_of(p, r, g);
        *held_out = (lately && g->feed == SCOPE_POOL) || (number && (stands || lately) && holds(p, set, number));
        if (*held_out || !number || !(stands || lately))
            continue;
        lp_err err = scopes_member(p, number, id, &m, error);
        if (err && err != LP_NOT_FOUND)
            return err;
        *held_out = !err && m.seq_out > r->read_seq;
    }
    return LP_OK;
}

/* What a new record says it follows; false if nothing. */
static bool names_followed(const change_set *set, lp_id *id_out) {
    uint32_t field = schema_follows(set->kind);
    change_set walk = *set;
    reg change;
    while (field && change_next(&walk, &change)) {
        wire_reader value = wire_open(change.value);
        if (change.field == field)
            return id_from_span(wire_bytes(&value), id_out);
    }
    return false;
}

static lp_err judge_new(pool *p, const rights *r, const change_set *set, bool *may_out, lp_error *error) {
    lp_id id;
    record root;
    rows_kept kept = {0};
    *may_out = true;
    if (!names_followed(set, &id))
        return LP_OK;
    record_init(&root, 0, &id);
    lp_err err = rows_load(p, &root, &kept, error);
    if (!err && kept.known)
        err = held(p, r, &id, &kept.before, may_out, error);
    record_fini(&root);
    rows_drop(&kept);
    return err;
}

lp_err rights_judge(pool *p, const rights *r, const change_set *set, const record *rec, const rows_kept *kept,
                    uint32_t *why_out, lp_error *error) {
    bool may = true;
    if (!r || r->whole || rows_scope(set->kind) != SCOPE_POOL)
        return LP_OK;
    lp_err err = kept->known ? held(p, r, &rec->id, &kept->before, &may, error) : judge_new(p, r, set, &may, error);
    if (!err && !may)
        *why_out = REVIEW_OUTSIDE;
    return err;
}
