/* whole.c - replacing the server layer of a record; see whole.h. */
#include "client/sync/whole.h"

#include "client/replica/holdings.h"
#include "client/replica/kept.h"
#include "proto/err.h"

static bool same_register(const reg *a, const reg *b) {
    return b && stamp_compare(a->stamp, b->stamp) == 0 && span_equal(a->value, b->value);
}

static bool same_registers(const record *a, const record *b) {
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = same_register(&a->regs[i], record_find(b, a->regs[i].field, a->regs[i].key));
    return same;
}

/* The same value under a lesser stamp is there: the pool's clock was repaired. What was typed here is offered again, and in the past. */
static bool is_gone(const replica *r, const reg *old, const reg *now) {
    return !now || (stamp_compare(now->stamp, old->stamp) < 0 && !span_equal(now->value, old->value) &&
                    !kept_is_own(r, old->stamp.author));
}

/* Moves the digests from the old registers to the new ones, and tells of those that are gone. */
static lp_err swap(replica *r, const layers *l, const record *came, bool tell, lp_error *error) {
    for (uint32_t i = 0; i < l->server.count; i++) {
        const reg *old = &l->server.regs[i];
        const reg *now = record_find(came, old->field, old->key);
        if (same_register(old, now))
            continue;
        holdings_count(r, l, now, old);
        lp_err err = tell && is_gone(r, old, now) ? r->gone(r, l->server.kind, &l->server.id, old, error) : LP_OK;
        if (err)
            return err;
    }
    for (uint32_t i = 0; i < came->count; i++)
        if (!record_find(&l->server, came->regs[i].field, came->regs[i].key))
            holdings_count(r, l, &came->regs[i], NULL);
    return LP_OK;
}

/* A value of somebody else that the server took back. An own one is kept: of a pool whose clock was repaired, what stands may have a lesser
 * stamp than what it replaced had here. */
static bool is_taken_back(const replica *r, const reg *was, const reg *now) {
    return !now || (stamp_compare(now->stamp, was->stamp) < 0 && !kept_is_own(r, was->stamp.author));
}

/* What a newer value replaced in what a person sees goes to the past; a value the server took back does not. */
static lp_err keep_replaced(replica *r, const layers *l, const record *seen, bool *news_out, lp_error *error) {
    *news_out = l->visible.count != seen->count;
    for (uint32_t i = 0; i < seen->count; i++) {
        const reg *was = &seen->regs[i];
        const reg *now = record_find(&l->visible, was->field, was->key);
        bool stands = now && span_equal(now->value, was->value);
        *news_out |= !stands;
        if (stands || is_taken_back(r, was, now) || span_equal(was->value, WIRE_NIL_SPAN))
            continue;
        lp_err err = layers_keep_past(r, l->rid, was, error);
        if (err)
            return err;
    }
    return LP_OK;
}

lp_err whole_replace(replica *r, layers *l, const record *came, bool tell, bool *news_out, lp_error *error) {
    record seen;
    record_init(&seen, l->visible.kind, &l->visible.id);
    *news_out = false;
    lp_err err = l->layered ? LP_OK : layers_copy(&l->server, &l->visible, error);
    if (!err && same_registers(&l->server, came)) {
        err = l->held_anew ? layers_save(r, l, error) : LP_OK;
        goto out;
    }
    if (!err)
        err = layers_copy(&seen, &l->visible, error);
    if (!err)
        err = swap(r, l, came, tell, error);
    if (!err)
        err = layers_copy(&l->server, came, error);
    if (!err)
        err = layers_show(r, l, error);
    if (!err)
        err = keep_replaced(r, l, &seen, news_out, error);
    if (!err)
        err = layers_save(r, l, error);
out:
    record_fini(&seen);
    return err;
}
