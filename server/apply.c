/* apply.c - one change set into the pool; see apply.h. */
#include "server/apply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "proto/merge.h"
#include "server/conflicts.h"
#include "server/rows.h"

/* What is known of one change of a set before anything is written. */
typedef struct plan_item {
    reg change;
    uint32_t field_index; /* in the set as sent */
    bool newer;           /* it will win */
    bool lost;            /* a greater stamp stands */
} plan_item;

typedef struct plan {
    plan_item *items;
    uint32_t count;
    uint32_t newer_count;
    uint32_t lost_count;
    uint32_t made_count; /* registers the record does not have yet */
    size_t grows_bytes;
    size_t shrinks_bytes;
    bool maybe_conflict;
} plan;

/* A batch of nothing but nonsense must not make an answer larger than a message: late reasons are left out. */
#define REASONS_BYTES_MAX (128 * 1024)

static void give_verdict(apply_verdicts *v, uint32_t set, int32_t field, verdict_kind kind, const char *reason) {
    bool room = v->list.size < REASONS_BYTES_MAX;
    verdict given = {.set = set, .field = field, .kind = kind, .reason = room ? span_text(reason) : (span){0}};
    verdict_put(&v->list, &given);
    v->count++;
}

/* Rights of a device over one field. Deepened by roles later; from day one nobody writes what is the server's. */
static lp_err check_right(uint32_t kind, const reg *change, lp_error *error) {
    const field_info *info = schema_field(kind, change->field);
    if (kind == KIND_STAFF || kind == KIND_DEVICE || (info && (info->flags & FIELD_SERVER)))
        return err_set(error, LP_DENIED, "%s is written by the server only", info ? info->name : "this kind of record");
    return LP_OK;
}

/* True if the set carries every member of each group it touches (a group wins or loses together). */
static bool groups_complete(uint32_t kind, const plan *pl) {
    uint32_t field_count;
    const field_info *fields = schema_fields(kind, &field_count);
    for (uint32_t i = 0; i < pl->count; i++) {
        const field_info *info = schema_field(kind, pl->items[i].change.field);
        if (!info || !info->group)
            continue;
        for (uint32_t f = 0; f < field_count; f++) {
            if (fields[f].group != info->group)
                continue;
            uint32_t at = 0;
            while (at < pl->count && pl->items[at].change.field != fields[f].number)
                at++;
            if (at == pl->count)
                return false;
        }
    }
    return true;
}

/* Reads the set, refuses what may not be, and leaves the rest in the plan. */
static lp_err read_set(change_set *set, uint32_t index, plan *pl, apply_verdicts *verdicts, lp_error *error) {
    pl->items = calloc(set->field_count, sizeof *pl->items);
    if (!pl->items)
        return err_plain(error, LP_NOMEM);
    reg change;
    for (uint32_t i = 0; change_next(set, &change); i++) {
        lp_error why;
        if (check_right(set->kind, &change, &why) ||
            schema_check(set->kind, change.field, change.key, change.value, &why)) {
            give_verdict(verdicts, index, (int32_t)i, VERDICT_REFUSED, why.message);
            continue;
        }
        pl->items[pl->count++] = (plan_item){.change = change, .field_index = i};
    }
    if (set->fields.failed)
        return err_set(error, LP_PROTOCOL, "a change set of the batch is malformed");
    return LP_OK;
}

static void refuse_all(plan *pl, uint32_t index, apply_verdicts *verdicts, const char *reason) {
    if (pl->count)
        give_verdict(verdicts, index, -1, VERDICT_REFUSED, reason);
    pl->count = 0;
}

/* Compares the plan with what stands. */
static void compare(plan *pl, const record *rec) {
    for (uint32_t i = 0; i < pl->count; i++) {
        plan_item *item = &pl->items[i];
        const reg *stored = record_find(rec, item->change.field, item->change.key);
        int order = stored ? stamp_compare(item->change.stamp, stored->stamp) : 1;
        bool same = order == 0 && span_equal(item->change.value, stored->value);
        item->newer = order > 0 || (order == 0 && !same);
        item->lost = order < 0;
        pl->newer_count += item->newer;
        pl->lost_count += item->lost;
        pl->made_count += !stored;
        if (item->newer) {
            pl->grows_bytes += item->change.value.size + item->change.key.size;
            pl->shrinks_bytes += stored ? stored->value.size + stored->key.size : 0;
        }
        /* The author saw what stands: nobody's value was overwritten unseen, and nobody greater is there. */
        bool seen = !stored || (order > 0 && stamp_compare(item->change.base, stored->stamp) >= 0);
        pl->maybe_conflict |= !seen && !same;
    }
}

/* Merges what wins into the record, and the digest with it. */
static lp_err merge(pool *p, plan *pl, record *rec, scope_class scope, uint64_t seq, apply_verdicts *verdicts,
                    lp_error *error) {
    for (uint32_t i = 0; i < pl->count; i++) {
        plan_item *item = &pl->items[i];
        if (!item->newer)
            continue;
        reg before;
        item->change.seq = seq;
        merge_outcome outcome = merge_change(rec, &item->change, &before);
        if (outcome == MERGE_NOMEM)
            return err_plain(error, LP_NOMEM);
        verdicts->cloned += outcome == MERGE_CLONED;
        verdicts->changed++;
        const reg *now = record_find(rec, item->change.field, item->change.key);
        if (!stamp_is_none(before.stamp))
            digest_remove(p->digester, &p->digests[scope], rec->kind, &rec->id, &before);
        digest_add(p->digester, &p->digests[scope], rec->kind, &rec->id, now);
    }
    return LP_OK;
}

static void put_history_body(const plan *pl, buf *body) {
    for (uint32_t i = 0; i < pl->count; i++)
        if (pl->items[i].newer || pl->items[i].lost)
            change_pack(body, pl->items[i].change.field, pl->items[i].change.key, pl->items[i].change.value);
}

typedef struct seen_before {
    stamp stamp;
    stamp base;
    span body;
    bool found;
} seen_before;

static bool is_seen(void *ctx, const store_history *entry) {
    seen_before *seen = ctx;
    seen->found = stamp_compare(entry->stamp, seen->stamp) == 0 && entry->bases.size == STAMP_BYTES &&
                  stamp_compare(stamp_unpack(entry->bases.data), seen->base) == 0 && span_equal(entry->body, seen->body);
    return !seen->found;
}

/* Stores what a compared plan brings. */
static lp_err store_plan(pool *p, plan *pl, const change_set *set, const apply_author *author, record *rec,
                         scope_class scope, apply_verdicts *verdicts, lp_error *error) {
    store *s = p->store;
    buf body = {0};
    uint8_t base[STAMP_BYTES];
    stamp_pack(set->base, base);
    put_history_body(pl, &body);
    lp_err err = body.failed ? err_plain(error, LP_NOMEM) : LP_OK;
    if (!err && pl->newer_count == 0) {
        /* Only losers: perhaps the very set that lost before. It brings nothing then, not even a number. */
        seen_before seen = {set->stamp, set->base, buf_span(&body), false};
        err = s->ops->history(s, &set->id, is_seen, &seen, error);
        if (err || seen.found)
            goto out;
    }
    uint64_t seq = 0;
    if (!err)
        err = s->ops->take_seq(s, 1, &seq, error);
    if (!err && pl->maybe_conflict && rec->kind != KIND_CONFLICT)
        for (uint32_t i = 0; !err && i < pl->count; i++)
            if (pl->items[i].newer || pl->items[i].lost)
                err = conflicts_note(p, rec->kind, &rec->id, &pl->items[i].change, &author->person, error);
    if (!err)
        err = merge(p, pl, rec, scope, seq, verdicts, error);
    if (!err && pl->newer_count)
        err = rows_save(p, rec, scope, seq, error);
    if (!err) {
        bool added;
        store_history entry = {.seq = seq,
                               .id = set->id,
                               .stamp = set->stamp,
                               .person = author->person,
                               .device_ms = stamp_ms(set->stamp) + set->skew_ms,
                               .server_ms = pool_now_ms(p),
                               .body = buf_span(&body),
                               .bases = span_of(base, sizeof base)};
        err = s->ops->append(s, &entry, &added, error);
    }
out:
    buf_fini(&body);
    return err;
}

lp_err apply_set(pool *p, change_set *set, uint32_t index, const apply_author *author, apply_verdicts *verdicts,
                 lp_error *error) {
    if (stamp_ms(set->stamp) > pool_now_ms(p) + APPLY_AHEAD_MS)
        return err_set(error, LP_CLOCK, "a change of the batch is stamped later than now");
    plan pl = {0};
    record rec;
    record_init(&rec, set->kind, &set->id);
    rows_kept kept = {0};
    scope_class scope = rows_scope(set->kind);
    lp_err err = read_set(set, index, &pl, verdicts, error);
    if (!err)
        err = rows_load(p, &rec, &kept, error);
    if (err)
        goto out;
    if (set->stamp.author != author->device)
        refuse_all(&pl, index, verdicts, "the change carries the stamp of another device");
    else if (rec.kind != set->kind)
        refuse_all(&pl, index, verdicts, "the record is of another kind");
    else if (!groups_complete(set->kind, &pl))
        refuse_all(&pl, index, verdicts, "fields that are set together, such as street and city, were sent apart");
    compare(&pl, &rec);
    if (rec.count + pl.made_count > RECORD_FIELDS_MAX && pl.made_count)
        refuse_all(&pl, index, verdicts, "the record has too many fields; remove some tags or answers");
    if (pl.grows_bytes > pl.shrinks_bytes &&
        record_bytes(&rec) + pl.grows_bytes - pl.shrinks_bytes > RECORD_BYTES_MAX)
        refuse_all(&pl, index, verdicts, "the record is full; shorten or remove something of it");
    for (uint32_t i = 0; i < pl.count; i++)
        if (pl.items[i].lost)
            give_verdict(verdicts, index, (int32_t)pl.items[i].field_index, VERDICT_LOST, "");
    hlc_observe(&p->clock, set->stamp);
    if (pl.count && pl.newer_count + pl.lost_count)
        err = store_plan(p, &pl, set, author, &rec, scope, verdicts, error);
out:
    free(pl.items);
    record_fini(&rec);
    rows_drop(&kept);
    return err;
}

lp_err apply_own(pool *p, uint32_t kind, const lp_id *id, const reg *regs, uint32_t count, lp_error *error) {
    record rec;
    record_init(&rec, kind, id);
    rows_kept kept = {0};
    scope_class scope = rows_scope(kind);
    uint64_t seq;
    lp_err err = rows_load(p, &rec, &kept, error);
    if (!err)
        err = p->store->ops->take_seq(p->store, 1, &seq, error);
    stamp at = err ? STAMP_NONE : hlc_next(&p->clock, pool_now_ms(p));
    for (uint32_t i = 0; !err && i < count; i++) {
        reg change = regs[i];
        if (stamp_is_none(change.stamp))
            change.stamp = at;
        err = rows_merge(p, &rec, scope, &change, seq, error);
    }
    if (!err)
        err = rows_save(p, &rec, scope, seq, error);
    record_fini(&rec);
    rows_drop(&kept);
    return err;
}
