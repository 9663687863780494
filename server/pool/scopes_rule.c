/* scopes_rule.c - which scopes hold a record, by what it says; see scopes.h. */
#include "server/pool/scopes_parts.h"

#include "proto/wire.h"
#include "server/pool/rows.h"

static void put_in(scope_set *set, const pool *p, span key) {
    const pool_scope *s = scopes_find(p, key);
    if (s && set->count < SCOPE_SET_MAX)
        set->at[set->count++] = (uint32_t)(s - p->scopes.list);
}

bool scope_set_has(const scope_set *set, uint32_t at) {
    for (uint32_t i = 0; i < set->count; i++)
        if (set->at[i] == at)
            return true;
    return false;
}

bool scope_set_equal(const scope_set *a, const scope_set *b) {
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = scope_set_has(b, a->at[i]);
    return same;
}

void scopes_put_mine(scope_set *set, const pool *p, const lp_id *person) {
    buf key = {0};
    scopes_key(SPAN_LITERAL("mine"), person, &key);
    put_in(set, p, buf_span(&key));
    buf_fini(&key);
}

typedef struct first_entry {
    uint64_t seq;
    lp_id person;
} first_entry;

static bool note_first(void *ctx, const store_history *entry) {
    first_entry *f = ctx;
    if (f->seq == 0 || entry->seq < f->seq)
        *f = (first_entry){entry->seq, entry->person};
    return true;
}

lp_err scopes_find_maker(pool *p, const lp_id *id, lp_id *person_out, lp_error *error) {
    first_entry first = {0};
    lp_err err = p->store->ops->history(p->store, id, note_first, &first, error);
    *person_out = first.person;
    return err;
}

static span text_of(const record *rec, uint32_t field) {
    wire_reader r = wire_open(record_value(rec, field, (span){0}));
    span text = r.at < r.end ? wire_text(&r) : (span){0};
    return r.failed ? (span){0} : text;
}

/* The person a lead is owned by, by name. */
static lp_err put_owner(pool *p, span owner, scope_set *set, lp_error *error) {
    span value;
    lp_id person;
    lp_err err = owner.size ? p->store->ops->get(p->store, STORE_STAFF, owner, &value, error) : LP_NOT_FOUND;
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    wire_reader r = wire_open(value);
    wire_array(&r);
    if (id_from_span(wire_bytes(&r), &person))
        scopes_put_mine(set, p, &person);
    return LP_OK;
}

/* The scopes of a lead. `maker` NULL: it is looked up if it matters. */
static lp_err scopes_of_lead(pool *p, const record *rec, const lp_id *maker, scope_set *set, lp_error *error) {
    lp_err err = LP_OK;
    lp_id person;
    if (record_find(rec, LEAD_OWNER, (span){0})) {
        err = put_owner(p, text_of(rec, LEAD_OWNER), set, error);
    } else {
        err = maker ? LP_OK : scopes_find_maker(p, &rec->id, &person, error);
        if (!err)
            scopes_put_mine(set, p, maker ? maker : &person);
    }
    span event = text_of(rec, LEAD_EVENT);
    if (!err && event.size) {
        buf key = {0};
        buf_append_span(&key, SPAN_LITERAL("event:"));
        buf_append_span(&key, event);
        put_in(set, p, buf_span(&key));
        buf_fini(&key);
    }
    return err;
}

static lp_err scopes_of_at(pool *p, const record *rec, const lp_id *maker, int depth, scope_set *set, lp_error *error);

/* The scopes of what `rec` follows; of its maker if that is not there. */
static lp_err scopes_of_follower(pool *p, const record *rec, const lp_id *maker, int depth, scope_set *set,
                                 lp_error *error) {
    record root;
    rows_kept kept = {0};
    lp_id id, person;
    bool follows = rows_followed(rec, &id);
    lp_err err = LP_OK;
    record_init(&root, 0, &id);
    if (follows && depth < DEPTH_MAX)
        err = rows_load_bare(p, &root, &kept, error);
    if (!err && kept.known) {
        err = scopes_of_at(p, &root, NULL, depth + 1, set, error);
    } else if (!err) {
        err = maker ? LP_OK : scopes_find_maker(p, &rec->id, &person, error);
        if (!err)
            scopes_put_mine(set, p, maker ? maker : &person);
    }
    record_fini(&root);
    rows_drop(&kept);
    return err;
}

static lp_err scopes_of_at(pool *p, const record *rec, const lp_id *maker, int depth, scope_set *set, lp_error *error) {
    const kind_info *kind = schema_kind(rec->kind);
    if (rec->kind == KIND_ERASED || (kind && kind->scope != SCOPE_POOL))
        return LP_OK;
    return rec->kind == KIND_LEAD ? scopes_of_lead(p, rec, maker, set, error)
                                  : scopes_of_follower(p, rec, maker, depth, set, error);
}

lp_err scopes_of(pool *p, const record *rec, const lp_id *maker, scope_set *set_out, lp_error *error) {
    *set_out = (scope_set){0};
    return scopes_of_at(p, rec, maker, 0, set_out, error);
}

lp_err scopes_of_stored(pool *p, const record *rec, scope_set *set_out, lp_error *error) {
    *set_out = (scope_set){0};
    return p->scopes.count ? scopes_of(p, rec, NULL, set_out, error) : LP_OK;
}
