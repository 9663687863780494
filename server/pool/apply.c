/* apply.c - one change set into the pool; see apply.h. */
#include "server/pool/apply.h"

#include <stdlib.h>
#include <string.h>

#include "proto/bug.h"
#include "proto/err.h"
#include "proto/merge.h"
#include "server/pool/auth.h"
#include "server/pool/conflicts.h"
#include "server/pool/moved.h"
#include "server/office/erase.h"
#include "server/office/purge.h"
#include "server/office/review.h"
#include "server/pool/rights.h"
#include "server/pool/rows.h"

/* What is known of a set before anything is written. `fresh` are the changes that bring something, in the set's order:
 * winners, and losers that history may not know yet. */
typedef struct plan {
    reg *fresh;
    int *
        order; /* beside `fresh`: how its stamp compares with that of what stands; it is merged unless that is negative */
    uint32_t count;
    uint32_t newer_count; /* not negative */
    bool maybe_known;     /* one is not positive: history may have it */
    uint32_t made_count;  /* registers the record does not have yet */
    size_t grows_bytes;
    size_t shrinks_bytes;
    bool maybe_conflict;
    bool groups[256]; /* group numbers the set touches */
    bool broken[256]; /* those of which a member is refused: then all of them are */
} plan;

/* A batch of nothing but nonsense must not make an answer larger than a message: late reasons are left out. */
#define REASONS_BYTES_MAX (128 * 1024)

static void give_verdict(apply_verdicts *v, uint32_t set, int32_t field, verdict_kind kind, const char *reason) {
    bool room = v->list.size < REASONS_BYTES_MAX;
    verdict given = {.set = set, .field = field, .kind = kind, .reason = room ? span_text(reason) : (span){0}};
    verdict_put(&v->list, &given);
    v->count++;
    v->refused += kind == VERDICT_REFUSED;
}

/* Rights of a device over one field. Deepened by roles later; from day one nobody writes what is the server's. */
static lp_err check_right(uint32_t kind, const reg *change, lp_error *error) {
    const field_info *info = schema_field(kind, change->field);
    if (kind == KIND_STAFF || kind == KIND_DEVICE || (info && (info->flags & FIELD_SERVER)))
        return err_set(error, LP_DENIED, "%s is written by the server only", info ? info->name : "this kind of record");
    return LP_OK;
}

/* True if the set carries every member of each group it touches (a group wins or loses together). */
static bool groups_complete(const change_set *set, const plan *pl) {
    uint32_t field_count;
    const field_info *fields = schema_fields(set->kind, &field_count);
    for (uint32_t f = 0; f < field_count; f++) {
        if (!fields[f].group || !pl->groups[fields[f].group])
            continue;
        change_set walk = *set;
        reg change;
        bool found = false;
        while (!found && change_next(&walk, &change))
            found = change.field == fields[f].number;
        if (!found)
            return false;
    }
    return true;
}

/* Compares one change with what stands; keeps it in the plan if it brings something. */
static void compare(plan *pl, const record *rec, const reg *change, uint32_t index, uint32_t field,
                    apply_verdicts *verdicts) {
    const reg *stored = record_find(rec, change->field, change->key);
    int order = stored ? stamp_compare(change->stamp, stored->stamp) : 1;
    if (order == 0 && span_equal(change->value, stored->value))
        return;
    if (order < 0)
        give_verdict(verdicts, index, (int32_t)field, VERDICT_LOST, "");
    if (order < 0 && BUG(LOSER_NOT_IN_HISTORY))
        return;
    pl->order[pl->count] = order;
    pl->fresh[pl->count++] = *change;
    pl->newer_count += order >= 0;
    pl->maybe_known |= order <= 0;
    pl->made_count += !stored;
    if (order >= 0) {
        pl->grows_bytes += change->value.size + change->key.size;
        pl->shrinks_bytes += stored ? stored->value.size + stored->key.size : 0;
    }
    /* The author saw what stands: nobody's value was overwritten unseen, and nobody greater is there. */
    bool seen = !stored || (order > 0 && stamp_compare(change->base, stored->stamp) >= 0);
    pl->maybe_conflict |= !seen && !(BUG(CONFLICT_MISSED) && order < 0);
}

/* Registers of a set strictly ascend: none is named twice, so sizes add up and one walk finds each. */
static bool ascends(const reg *last, const reg *change) {
    if (last->field != change->field)
        return last->field < change->field;
    return span_compare(last->key, change->key) < 0;
}

static bool is_refused(const change_set *set, const reg *change, lp_error *why) {
    return check_right(set->kind, change, why) ||
           schema_check(set->kind, change->field, change->key, change->value, why);
}

/* A group wins or loses together, so it is refused together. */
static void note_groups(const change_set *set, plan *pl) {
    change_set walk = *set;
    reg change;
    lp_error why;
    while (change_next(&walk, &change)) {
        const field_info *info = schema_field(set->kind, change.field);
        if (!info || !info->group)
            continue;
        pl->groups[info->group] = true;
        pl->broken[info->group] |= is_refused(set, &change, &why);
    }
}

/* Reads the set beside the record: refuses what may not be, plans the rest. Verdicts come in the order of the fields. */
static lp_err read_set(change_set *set, uint32_t index, const record *rec, plan *pl, apply_verdicts *verdicts,
                       lp_error *error) {
    pl->fresh = malloc(set->field_count * sizeof *pl->fresh);
    pl->order = malloc(set->field_count * sizeof *pl->order);
    if (!pl->fresh || !pl->order)
        return err_plain(error, LP_NOMEM);
    note_groups(set, pl);
    change_set walk = *set;
    reg change, last = {0};
    for (uint32_t i = 0; change_next(&walk, &change); i++) {
        lp_error why;
        if (!ascends(&last, &change))
            return err_set(error, LP_PROTOCOL, "the fields of a change set are not in ascending order");
        last = change;
        const field_info *info = schema_field(set->kind, change.field);
        if (is_refused(set, &change, &why))
            give_verdict(verdicts, index, (int32_t)i, VERDICT_REFUSED, why.message);
        else if (info && pl->broken[info->group])
            give_verdict(verdicts, index, (int32_t)i, VERDICT_REFUSED, "a value it goes together with was refused");
        else
            compare(pl, rec, &change, index, i, verdicts);
    }
    if (walk.fields.failed)
        return err_set(error, LP_PROTOCOL, "a change set of the batch is malformed");
    return LP_OK;
}

/* Merges what wins into the record, and the digest with it. *stands_out: some of it stands now; of two copies' changes under one stamp the
 * lesser does not, and then there is no row to save: its number would be no register's. */
static lp_err merge(pool *p, plan *pl, record *rec, rows_kept *kept, scope_class scope, uint64_t seq,
                    apply_verdicts *verdicts, bool *stands_out, lp_error *error) {
    *stands_out = false;
    for (uint32_t i = 0; i < pl->count; i++) {
        if (pl->order[i] < 0)
            continue;
        reg before;
        pl->fresh[i].seq = seq;
        merge_outcome outcome = merge_change(rec, &pl->fresh[i], &before);
        if (outcome == MERGE_NOMEM)
            return err_plain(error, LP_NOMEM);
        verdicts->cloned += outcome == MERGE_CLONED;
        verdicts->changed++;
        /* What was applied is what stands now; looking for it would cost as much as the merge did. */
        const reg *now =
            outcome == MERGE_APPLIED ? &pl->fresh[i] : record_find(rec, pl->fresh[i].field, pl->fresh[i].key);
        *stands_out |= now->seq == seq;
        rows_count(p, rec, kept, scope, &before, now);
    }
    return LP_OK;
}

/* ---- changes that come again ---- */

typedef struct known_walk {
    plan *plan;
    bool *known; /* beside plan->fresh */
} known_walk;

static bool note_known(void *ctx, const store_history *entry) {
    known_walk *walk = ctx;
    wire_reader from = wire_open(entry->body);
    reg change;
    while (from.at < from.end && change_unpack(&from, &change))
        for (uint32_t i = 0; i < walk->plan->count; i++) {
            const reg *fresh = &walk->plan->fresh[i];
            walk->known[i] |= fresh->field == change.field && span_equal(fresh->key, change.key) &&
                              span_equal(fresh->value, change.value);
        }
    return true;
}

/* Takes out of the plan what lost before and history has. It may have come in a set with other changes than these: a batch was frozen
 * anew, a copy of the device had not yet written some of them anew, or it is offered again (reoffer.h). */
static lp_err forget_known(pool *p, const change_set *set, plan *pl, lp_error *error) {
    if (!pl->maybe_known || BUG(LOSER_TWICE))
        return LP_OK;
    known_walk walk = {pl, calloc(pl->count, sizeof *walk.known)};
    if (!walk.known)
        return err_plain(error, LP_NOMEM);
    lp_err err = p->store->ops->history_at(p->store, &set->id, set->stamp, note_known, &walk, error);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < pl->count; i++) {
        if (walk.known[i] && pl->order[i] <= 0) {
            pl->newer_count -= pl->order[i] == 0;
            continue;
        }
        pl->fresh[kept] = pl->fresh[i];
        pl->order[kept++] = pl->order[i];
    }
    pl->count = kept;
    free(walk.known);
    return err;
}

/* Stores what a compared plan brings; `given` is the stamp its author gave it. */
static lp_err store_plan(pool *p, plan *pl, const change_set *set, stamp given, const apply_author *author, record *rec,
                         rows_kept *kept, apply_verdicts *verdicts, lp_error *error) {
    store *s = p->store;
    scope_class scope = rows_scope(set->kind);
    buf body = {0}, bases = {0};
    uint64_t seq;
    bool added, stands = false;
    bool tells = author->reoffer || stamp_compare(given, set->stamp) != 0;
    moved_put(&bases, set->base, NULL, tells ? given : STAMP_NONE);
    for (uint32_t i = 0; i < pl->count; i++)
        change_pack(&body, pl->fresh[i].field, pl->fresh[i].key, pl->fresh[i].value);
    store_history entry = {.id = set->id,
                           .stamp = set->stamp,
                           .person = author->person,
                           .device_ms = stamp_ms(given) + set->skew_ms,
                           .server_ms = pool_now_ms(p),
                           .uncertain = set->uncertain,
                           .body = buf_span(&body),
                           .bases = buf_span(&bases)};
    lp_err err = body.failed || bases.failed ? err_plain(error, LP_NOMEM) : s->ops->take_seq(s, 1, &seq, error);
    if (!err && pl->maybe_conflict && rec->kind != KIND_CONFLICT)
        err = conflicts_note(p, rec, pl->fresh, pl->count, &author->person, &verdicts->work, error);
    if (!err)
        err = merge(p, pl, rec, kept, scope, seq, verdicts, &stands, error);
    if (!err && stands)
        err = rows_save(p, rec, kept, scope, &author->person, seq, error);
    if (!err) {
        entry.seq = seq;
        err = s->ops->append(s, &entry, &added, error);
    }
    buf_fini(&body);
    buf_fini(&bases);
    return err;
}

/* Why all of a set is refused; NULL if it is not. */
static const char *refusal(const change_set *set, const plan *pl, const apply_author *author, const record *rec) {
    if (set->stamp.author != author->device && !(author->former && auth_wrote(author->former, set->stamp.author)))
        return "the change carries the stamp of another device";
    if (rec->kind != set->kind)
        return "the record is of another kind";
    if (!groups_complete(set, pl))
        return "fields that are set together, such as street and city, were sent apart";
    if (pl->made_count && rec->count + pl->made_count > RECORD_FIELDS_MAX)
        return "the record has too many fields; remove some tags or answers";
    if (pl->grows_bytes > pl->shrinks_bytes &&
        record_bytes(rec) + pl->grows_bytes - pl->shrinks_bytes > RECORD_BYTES_MAX)
        return "the record is full; shorten or remove something of it";
    return NULL;
}

/* The latest moment a stamp of this record may name. What stands is no excuse to refuse who builds on it. */
static int64_t latest_ms(pool *p, const record *rec) {
    int64_t latest = pool_now_ms(p);
    for (uint32_t i = 0; i < rec->count; i++)
        if (stamp_ms(rec->regs[i].stamp) > latest)
            latest = stamp_ms(rec->regs[i].stamp);
    return latest + APPLY_AHEAD_MS;
}

static lp_err apply_loaded(pool *p, change_set *set, uint32_t index, const apply_author *author, record *rec,
                           rows_kept *kept, plan *pl, apply_verdicts *verdicts, lp_error *error) {
    stamp given = set->stamp;
    bool ahead = !BUG(FUTURE_ACCEPTED) && stamp_ms(given) > latest_ms(p, rec);
    if (ahead && !author->reoffer)
        return err_set(error, LP_CLOCK, "a change of the batch is stamped later than now");
    lp_err err = author->reoffer ? moved_place(p, set, author, ahead, &verdicts->work, error)
                                 : moved_follow(p, set, author, rec, &verdicts->work, error);
    if (err)
        return err;
    size_t mark = verdicts->list.size;
    uint32_t count = verdicts->count;
    err = read_set(set, index, rec, pl, verdicts, error);
    const char *reason = err ? NULL : refusal(set, pl, author, rec);
    if (reason) {
        verdicts->list.size = mark; /* one verdict for all of it instead of those of its fields */
        verdicts->count = count;
        give_verdict(verdicts, index, -1, VERDICT_REFUSED, reason);
        return LP_OK;
    }
    if (!err)
        err = forget_known(p, set, pl, error);
    if (err || pl->count == 0 || (BUG(OFFERED_LOSERS_DROPPED) && author->reoffer && pl->newer_count == 0))
        return err;
    if (stamp_ms(set->stamp) <=
        pool_now_ms(p) + APPLY_AHEAD_MS) /* else it builds on what is ahead, and stays there alone */
        hlc_observe(&p->clock, set->stamp);
    return store_plan(p, pl, set, given, author, rec, kept, verdicts, error);
}

lp_err apply_set(pool *p, change_set *set, uint32_t index, const apply_author *author, apply_verdicts *verdicts,
                 lp_error *error) {
    if (set->field_count > RECORD_FIELDS_MAX || verdicts->work > APPLY_WORK_MAX) {
        give_verdict(verdicts, index, -1, VERDICT_REFUSED, "too much at once; change it again and sync");
        return LP_OK;
    }
    plan pl = {0};
    record rec;
    record_init(&rec, set->kind, &set->id);
    rows_kept kept = {0};
    lp_err err = rows_load(p, &rec, &kept, error);
    verdicts->work += kept.bytes.size;
    bool absorbed = false;
    uint32_t why = author->review;
    uint32_t kind = kept.bytes.size ? rec.kind : 0;
    if (!err)
        err = erase_absorbs(p, set, &rec, &absorbed, error);
    absorbed &= !BUG(ERASED_TAKES_CHANGES);
    if (!err && !absorbed && !why) {
        bool purged;
        err = purge_meets(p, set, kind, &purged, error);
        why = !err && purged ? REVIEW_PURGED : 0;
    }
    if (!err && !absorbed && !why)
        err = rights_judge(p, author->rights, set, &rec, &kept, &why, error);
    if (!err && !absorbed && why) {
        err = BUG(REVIEW_DROPPED) ? LP_OK : review_put(p, author, set, (review_reason)why, error);
        give_verdict(verdicts, index, -1, VERDICT_RECEIVED, "");
    } else if (!err && !absorbed)
        err = apply_loaded(p, set, index, author, &rec, &kept, &pl, verdicts, error);
    free(pl.fresh);
    free(pl.order);
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
    if (!err && rec.kind != kind)
        err = err_set(error, LP_CORRUPT, "a record of the server's own has another kind; run leadpoold verify");
    if (!err)
        err = p->store->ops->take_seq(p->store, 1, &seq, error);
    stamp at = err ? STAMP_NONE : hlc_next(&p->clock, pool_now_ms(p));
    for (uint32_t i = 0; !err && i < count; i++) {
        reg change = regs[i];
        if (stamp_is_none(change.stamp))
            change.stamp = at;
        err = rows_merge(p, &rec, &kept, scope, &change, seq, error);
    }
    if (!err)
        err = rows_save(p, &rec, &kept, scope, NULL, seq, error);
    record_fini(&rec);
    rows_drop(&kept);
    return err;
}
