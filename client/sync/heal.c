/* heal.c - see heal.h. */
#include "client/sync/heal.h"

#include <stdio.h>
#include <string.h>

#include "client/replica/holdings.h"
#include "client/sync/intake.h"
#include "client/replica/outbox.h"
#include "client/replica/statements.h"
#include "proto/bug.h"
#include "proto/change.h"
#include "proto/err.h"

#define AUDIT_EVERY_MS (INT64_C(24) * 3600 * 1000)
#define SERVERS_FAULT 1000 /* in place of a number of tries */
#define KNOWN_MAX 256      /* own records looked at when some are replaced: HEAL_RECORDS_MAX, and what came since */

/* ---- rows ---- */

typedef bool (*layer_fn)(void *ctx, const lp_id *id, uint64_t held, digest sum);

/* The server layers of records that any scope in `mask` holds, in order of id. What cannot be read has the sum of nothing. */
static lp_err each_layer(replica *r, uint64_t mask, const id_range *in, layer_fn each, void *ctx, lp_error *error) {
    record rec = {0};
    sqlite3_stmt *s = statement(r, STATEMENT_HELD_LAYERS, error);
    if (!s)
        return LP_IO;
    bind_span(s, 1, id_span(&in->first));
    bind_span(s, 2, id_span(&in->last));
    sqlite3_bind_int64(s, 3, (int64_t)mask);
    lp_err err;
    while (!(err = statement_row(r, s, "read the replica", error))) {
        lp_err read;
        digest sum = {0};
        lp_id id = {{0}};
        if (!id_from_span(column_span(s, 0), &id))
            continue;
        rec.kind = (uint32_t)sqlite3_column_int64(s, 1);
        read = record_unpack(&rec, column_span(s, 3), column_span(s, 4), error);
        if (read && read != LP_CORRUPT) {
            err = read;
            break;
        }
        for (uint32_t i = 0; !read && i < rec.count; i++)
            digest_add(r->digester, &sum, rec.kind, &id, &rec.regs[i]);
        if (!each(ctx, &id, (uint64_t)sqlite3_column_int64(s, 2), sum))
            break;
    }
    sqlite3_reset(s);
    record_fini(&rec);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* ---- audit ---- */

static bool add_to_scopes(void *ctx, const lp_id *id, uint64_t held, digest sum) {
    digest *sums = ctx;
    (void)id;
    for (uint32_t i = 0; i < HELD_SCOPES_MAX; i++)
        if (held >> i & 1)
            digest_plus(&sums[i], sum);
    return true;
}

/* A row that is gone comes again under another number, or not at all: what was replaced in it belongs to nothing any more, and would not leave
 * with the record. What is unsent or refused can still be rescued (rescue.h), with what it replaced. */
static lp_err drop_lost_past(replica *r, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_PAST_DROP_LOST, error);
    lp_err err = s ? statement_run(r, s, "save", error) : LP_IO;
    return err || sqlite3_changes(r->db) == 0 ? err : replica_scrub_later(r, error);
}

static lp_err audit(replica *r, lp_error *error) {
    digest sums[HELD_SCOPES_MAX] = {{0}};
    bool changed = false; /* by itself: a row that is gone may have left its text where no row is removed any more */
    lp_err err = each_layer(r, UINT64_MAX, &range_of_all, add_to_scopes, sums, error);
    for (uint32_t i = 0; !err && i < r->scopes.count; i++) {
        held_scope *scope = &r->scopes.list[i];
        bool differs = !digest_equal(scope->sum, sums[scope->number]);
        changed |= differs;
        scope->changed |= differs;
        r->touched |= scope->changed;
        scope->sum = sums[scope->number];
    }
    if (!err)
        err = drop_lost_past(r, error);
    if (!err && changed)
        err = replica_scrub_later(r, error);
    return err ? err : replica_meta_put_int(r, "audit.last_ms", r->env->wall_ms(r->env->ctx), error);
}

static lp_err forget_tries(replica *r, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_META_DROP_LIKE, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_text(s, 1, "heal.*", -1, SQLITE_STATIC);
    return statement_run(r, s, "save", error);
}

static lp_err end(replica *r, lp_err err, lp_error *error) {
    if (!err)
        return replica_commit(r, error);
    replica_rollback(r);
    return err;
}

lp_err heal_audit_due(replica *r, lp_error *error) {
    int64_t last_ms = replica_meta_int(r, "audit.last_ms", 0), now_ms = r->env->wall_ms(r->env->ctx);
    if (!r->digester || (last_ms && now_ms >= last_ms && now_ms - last_ms < AUDIT_EVERY_MS))
        return LP_OK;
    lp_err err = replica_begin(r, error);
    if (err)
        return err;
    err = audit(r, error);
    if (!err)
        err = forget_tries(r, error);
    return end(r, err, error);
}

/* ---- tries ---- */

typedef char tries_key[SCOPE_NAME_BYTES_MAX + 8];

static const char *key_of(const char *scope, tries_key key_out) {
    snprintf(key_out, sizeof(tries_key), "heal.%s", scope);
    return key_out;
}

static int64_t tries_of(replica *r, const char *scope) {
    tries_key key;
    return replica_meta_int(r, key_of(scope, key), 0);
}

static lp_err put_tries(replica *r, const char *scope, int64_t tries, lp_error *error) {
    tries_key key;
    return replica_meta_put_int(r, key_of(scope, key), tries, error);
}

bool heal_may_try(replica *r, const char *scope) {
    return tries_of(r, scope) < HEAL_TRIES_MAX;
}

bool heal_blames_server(replica *r, const char *scope) {
    return tries_of(r, scope) == SERVERS_FAULT;
}

lp_err heal_give_up(replica *r, const char *scope, lp_error *error) {
    lp_err err = replica_begin(r, error);
    return err ? err : end(r, put_tries(r, scope, HEAL_TRIES_MAX, error), error);
}

lp_err heal_is_well(replica *r, const char *scope, lp_error *error) {
    tries_key key;
    return tries_of(r, scope) ? replica_meta_drop(r, key_of(scope, key), error) : LP_OK;
}

/* ---- ranges ---- */

static uint64_t bit_of(const held_scope *scope) {
    return UINT64_C(1) << scope->number;
}

static lp_id one_below(lp_id id) {
    for (int i = 15; i >= 0 && id.bytes[i]-- == 0; i--)
        ;
    return id;
}

typedef struct splitter {
    heal *h;
    uint64_t seen, per_range;
} splitter;

static bool count_id(void *ctx, const lp_id *id, uint64_t held, digest sum) {
    splitter *x = ctx;
    (void)id;
    (void)held;
    (void)sum;
    x->seen++;
    return true;
}

/* The last range ends before this record, and another begins with it. */
static bool cut_at(void *ctx, const lp_id *id, uint64_t held, digest sum) {
    splitter *x = ctx;
    heal *h = x->h;
    (void)held;
    (void)sum;
    if (x->seen++ % x->per_range || x->seen == 1)
        return true;
    h->ranges[h->count] = (id_range){*id, h->ranges[h->count - 1].last};
    h->ranges[h->count - 1].last = one_below(*id);
    h->count++;
    return true;
}

/* Appends `range` to h->ranges in at most `parts` parts, which hold about as many of this replica's records each. */
static lp_err split(replica *r, const held_scope *scope, const id_range *range, uint32_t parts, heal *h,
                    lp_error *error) {
    splitter x = {.h = h};
    h->ranges[h->count++] = *range;
    lp_err err = each_layer(r, bit_of(scope), range, count_id, &x, error);
    x.per_range = (x.seen + parts - 1) / parts;
    x.seen = 0;
    return err || x.per_range == 0 ? err : each_layer(r, bit_of(scope), range, cut_at, &x, error);
}

lp_err heal_begin(replica *r, const char *scope, heal *h, heal_step *step_out, lp_error *error) {
    *h = (heal){.count = 0};
    snprintf(h->scope, sizeof h->scope, "%s", scope);
    lp_err err = replica_begin(r, error);
    if (err)
        return err;
    held_scope *held = holdings_find(r, span_text(scope));
    int64_t tries = tries_of(r, scope) + 1;
    *step_out = tries == HEAL_TRIES_MAX - 1 ? HEAL_REREAD : held ? HEAL_NARROWED : HEAL_AGAIN;
    err = audit(r, error);
    if (!err)
        err = put_tries(r, scope, tries, error);
    if (!err && held && *step_out == HEAL_REREAD)
        err = pull_doubt(r, held, error);
    else if (!err && held)
        err = split(r, held, &range_of_all, RANGES_MAX, h, error);
    return end(r, err, error);
}

/* ---- asking ---- */

static lp_err read_seq(replica *r, const heal *h, buf *cursor_out, uint64_t *seq_out, lp_error *error) {
    cursor c;
    lp_err err = pull_cursor(r, span_text(h->scope), cursor_out, &c, error);
    /* Empty: it is read from the beginning meanwhile; another process has seen to that. */
    *seq_out = !err && cursor_out->size ? c.seq : UINT64_MAX;
    return err;
}

lp_err heal_ask(replica *r, heal *h, message *request, buf *cursors, buf *ranges, lp_error *error) {
    buf at = {0};
    lp_err err = read_seq(r, h, &at, &h->seq, error);
    if (!err && at.size == 0)
        err = err_set(error, LP_BUSY, "the scope is being read from its beginning; sync again");
    h->settled = outbox_last_settled(r);
    wire_put_array(cursors, 1);
    buf_append_span(cursors, buf_span(&at));
    ranges_put(ranges, h->ranges, h->count);
    *request = (message){
        .number = MSG_DIGESTS, .cursors = buf_span(cursors), .ranges = buf_span(ranges), .records = h->reading};
    buf_fini(&at);
    return !err && (cursors->failed || ranges->failed) ? err_plain(error, LP_NOMEM) : err;
}

/* ---- answers ---- */

/* What the server says, and what is here, are of the same moment: the cursor is where it was, and nothing of this replica's own has
 * gone into the server layer, or may have reached the server, since. */
static lp_err still_stands(replica *r, const heal *h, bool *stands_out, lp_error *error) {
    buf at = {0};
    uint64_t seq = 0;
    lp_err err = read_seq(r, h, &at, &seq, error);
    *stands_out = !err && seq == h->seq && outbox_is_empty(r) && outbox_last_settled(r) == h->settled;
    buf_fini(&at);
    return err;
}

typedef struct summer {
    const heal *h;
    range_sum *sums;
} summer;

static bool add_to_range(void *ctx, const lp_id *id, uint64_t held, digest sum) {
    summer *x = ctx;
    int at = ranges_find(x->h->ranges, x->h->count, id);
    (void)held;
    if (at < 0)
        return true;
    digest_plus(&x->sums[at].sum, sum);
    x->sums[at].count++;
    return true;
}

static id_range hull(const heal *h) {
    return (id_range){h->ranges[0].first, h->ranges[h->count - 1].last};
}

static bool same_sum(const range_sum *a, const range_sum *b) {
    return a->count == b->count && digest_equal(a->sum, b->sum);
}

/* Keeps the ranges that differ; *records_out: about how many records they hold. */
static void keep_differing(heal *h, const range_sum *ours, const range_sum *theirs, uint64_t *records_out) {
    uint32_t kept = 0;
    *records_out = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        if (same_sum(&ours[i], &theirs[i]))
            continue;
        *records_out += ours[i].count > theirs[i].count ? ours[i].count : theirs[i].count;
        h->ranges[kept++] = h->ranges[i];
    }
    h->count = kept;
}

static lp_err split_all(replica *r, const held_scope *scope, heal *h, heal_step *step_out, lp_error *error) {
    heal before = *h;
    lp_err err = LP_OK;
    h->count = 0;
    for (uint32_t i = 0; !err && i < before.count; i++)
        err = split(r, scope, &before.ranges[i], RANGES_MAX / before.count, h, error);
    *step_out = h->count > before.count ? HEAL_NARROWED : HEAL_REREAD;
    return err;
}

static lp_err narrow(replica *r, const held_scope *scope, heal *h, const message *answer, digest sum,
                     heal_step *step_out, lp_error *error) {
    range_sum ours[RANGES_MAX] = {{.count = 0}}, theirs[RANGES_MAX];
    summer x = {.h = h, .sums = ours};
    id_range all = hull(h);
    uint64_t records;
    if (!range_sums_take(answer->digests, theirs, h->count))
        return err_set(error, LP_PROTOCOL, "the server's digests are malformed");
    lp_err err = each_layer(r, bit_of(scope), &all, add_to_range, &x, error);
    if (err)
        return err;
    keep_differing(h, ours, theirs, &records);
    if (BUG(HEALING_SKIPS_A_RANGE) && h->count)
        h->count--;
    h->reading = records <= HEAL_RECORDS_MAX;
    *step_out = HEAL_NARROWED;
    if (h->count == 0)
        *step_out = digest_equal(sum, scope->sum) ? HEAL_SAME : HEAL_SERVERS;
    else if (!h->reading && h->count > HEAL_SPLIT_MAX)
        *step_out = HEAL_REREAD;
    else if (!h->reading)
        return split_all(r, scope, h, step_out, error);
    return LP_OK;
}

/* ---- records ---- */

typedef struct known {
    const heal *h;
    uint32_t ranges; /* of h->ranges, those that are looked at */
    uint32_t count;
    bool full;
    struct {
        lp_id id;
        digest sum;
    } list[KNOWN_MAX];
} known;

static bool add_known(void *ctx, const lp_id *id, uint64_t held, digest sum) {
    known *k = ctx;
    (void)held;
    if (ranges_find(k->h->ranges, k->ranges, id) < 0)
        return true;
    k->full = k->count == KNOWN_MAX;
    if (k->full)
        return false;
    k->list[k->count].id = *id;
    k->list[k->count++].sum = sum;
    return true;
}

static int find_known(const known *k, const lp_id *id) {
    for (uint32_t i = 0; i < k->count; i++)
        if (id_equal(&k->list[i].id, id))
            return (int)i;
    return -1;
}

static uint64_t count_changed(const known *before, const known *after) {
    uint64_t changed = 0;
    for (uint32_t i = 0; i < after->count; i++) {
        int at = find_known(before, &after->list[i].id);
        changed += at < 0 || !digest_equal(before->list[at].sum, after->list[i].sum);
    }
    for (uint32_t i = 0; i < before->count; i++)
        changed += find_known(after, &before->list[i].id) < 0;
    return changed;
}

static lp_err read_ids(span changes, known *came, lp_error *error) {
    changes_reader reader;
    change_set set;
    lp_err err = changes_open(&reader, changes, error);
    while (!err && changes_next(&reader, &set))
        if (find_known(came, &set.id) < 0)
            add_known(came, &set.id, 0, (digest){0, 0});
    if (!err && reader.sets.failed)
        err = err_set(error, LP_PROTOCOL, "the server's records are malformed");
    changes_close(&reader);
    return err;
}

/* What came replaces what is here, and what is here and did not come goes. */
static lp_err replace(replica *r, held_scope *scope, const known *before, const message *answer, pull_outcome *pulled,
                      lp_error *error) {
    known came = {.h = before->h, .ranges = before->ranges};
    lp_err err = read_ids(answer->changes, &came, error);
    if (!err && came.full)
        return err_set(error, LP_PROTOCOL, "the server sent more records than it said it has");
    for (uint32_t i = 0; !err && i < before->count; i++)
        if (find_known(&came, &before->list[i].id) < 0)
            err = holdings_withdraw(r, scope, &before->list[i].id, error);
    return err ? err : intake_replace(r, scope, answer->changes, pulled, error);
}

static lp_err read_records(replica *r, held_scope *scope, heal *h, const message *answer, digest sum, heal_outcome *out,
                           lp_error *error) {
    uint32_t taken = answer->taken < h->count ? (uint32_t)answer->taken : h->count;
    known before = {.h = h, .ranges = taken}, after = before;
    id_range all = hull(h);
    out->step = HEAL_REREAD;
    if (taken == 0)
        return LP_OK;
    lp_err err = each_layer(r, bit_of(scope), &all, add_known, &before, error);
    if (err || before.full)
        return err;
    err = replace(r, scope, &before, answer, &out->pulled, error);
    if (!err)
        err = each_layer(r, bit_of(scope), &all, add_known, &after, error);
    out->healed = err ? 0 : count_changed(&before, &after);
    h->count -= taken;
    memmove(h->ranges, h->ranges + taken, h->count * sizeof *h->ranges);
    out->step = h->count ? HEAL_NARROWED : digest_equal(sum, scope->sum) ? HEAL_READ : HEAL_AGAIN;
    return err;
}

static lp_err finish(replica *r, held_scope *scope, heal_outcome *out, lp_error *error) {
    lp_err err = LP_OK;
    if (out->step == HEAL_SAME)
        out->healed = 1;
    if (out->step == HEAL_SERVERS)
        err = put_tries(r, scope->name, SERVERS_FAULT, error);
    else if (out->step == HEAL_REREAD)
        err = pull_doubt(r, scope, error);
    else if (out->step == HEAL_SAME || out->step == HEAL_READ)
        err = heal_is_well(r, scope->name, error);
    if (!err && out->healed)
        err = replica_meta_put_int(r, "healed", replica_meta_int(r, "healed", 0) + (int64_t)out->healed, error);
    return err;
}

lp_err heal_answered(replica *r, heal *h, const message *answer, heal_outcome *outcome_out, lp_error *error) {
    bool stands = false;
    digest sum;
    held_scope *scope = holdings_find(r, span_text(h->scope));
    *outcome_out = (heal_outcome){.step = HEAL_AGAIN};
    lp_err err = still_stands(r, h, &stands, error);
    if (err || answer->moved || !stands || !scope || scope->reading != READING_NEWS)
        return err;
    if (answer->digest.size != DIGEST_BYTES || !digest_unpack(answer->digest, &sum))
        return err_set(error, LP_PROTOCOL, "the server's answer about digests is malformed");
    if (h->reading)
        err = read_records(r, scope, h, answer, sum, outcome_out, error);
    else
        err = narrow(r, scope, h, answer, sum, &outcome_out->step, error);
    return err ? err : finish(r, scope, outcome_out, error);
}
