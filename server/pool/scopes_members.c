/* scopes_members.c - which records are in which scope since when, and what moves along with them; see scopes.h. */
#include "server/pool/scopes_parts.h"

#include <string.h>

#include "proto/bug.h"
#include "proto/err.h"
#include "proto/wire.h"
#include "server/pool/rows.h"

#define FEED_KEY_BYTES 12
#define MEMBER_KEY_BYTES 20
#define FOLLOWER_KEY_BYTES 32

/* ---- keys ---- */

static void put_number(uint8_t *at, uint64_t value, int size) {
    for (int i = size - 1; i >= 0; i--, value >>= 8)
        at[i] = (uint8_t)value;
}

static span feed_key(uint8_t key[FEED_KEY_BYTES], uint32_t number, uint64_t seq) {
    put_number(key, number, 4);
    put_number(key + 4, seq, 8);
    return span_of(key, FEED_KEY_BYTES);
}

static span member_key(uint8_t key[MEMBER_KEY_BYTES], uint32_t number, const lp_id *id) {
    put_number(key, number, 4);
    memcpy(key + 4, id->bytes, 16);
    return span_of(key, MEMBER_KEY_BYTES);
}

/* ---- memberships ---- */

static bool take_member(span document, scope_member *m) {
    wire_reader r = wire_open(document);
    wire_array(&r);
    m->seq_in = wire_u64(&r);
    m->seq_out = wire_u64(&r);
    m->seq_last = wire_u64(&r);
    return !r.failed;
}

lp_err scopes_member(pool *p, uint32_t number, const lp_id *id, scope_member *member_out, lp_error *error) {
    uint8_t key[MEMBER_KEY_BYTES];
    span value;
    *member_out = (scope_member){0};
    lp_err err = p->store->ops->get(p->store, STORE_MEMBER, member_key(key, number, id), &value, error);
    return !err && !take_member(value, member_out) ? scopes_damaged(error) : err;
}

static lp_err put_member(pool *p, uint32_t number, const lp_id *id, const scope_member *before, scope_member now,
                         lp_error *error) {
    const store_ops *ops = p->store->ops;
    uint8_t key[MEMBER_KEY_BYTES], feed[FEED_KEY_BYTES];
    buf value = {0};
    wire_put_array(&value, 3);
    wire_put_u64(&value, now.seq_in);
    wire_put_u64(&value, now.seq_out);
    wire_put_u64(&value, now.seq_last);
    lp_err err = value.failed ? err_plain(error, LP_NOMEM) : LP_OK;
    if (!err && before->seq_last && before->seq_last != now.seq_last)
        err = ops->put(p->store, STORE_MEMBER_FEED, feed_key(feed, number, before->seq_last), (span){0}, error);
    if (!err)
        err = ops->put(p->store, STORE_MEMBER, member_key(key, number, id), buf_span(&value), error);
    if (!err)
        err = ops->put(p->store, STORE_MEMBER_FEED, feed_key(feed, number, now.seq_last), id_span(id), error);
    buf_fini(&value);
    return err;
}

static digest sum_of(pool *p, const record *rec) {
    digest sum = {0};
    for (uint32_t i = 0; i < rec->count; i++)
        digest_add(p->digester, &sum, rec->kind, &rec->id, &rec->regs[i]);
    return sum;
}

typedef enum step { STAYS, JOINS, LEAVES } step;

static lp_err take_step(pool *p, uint32_t at, const lp_id *id, step what, digest plus, digest minus, uint64_t seq,
                        lp_error *error) {
    pool_scope *s = &p->scopes.list[at];
    scope_member before, now;
    lp_err err = scopes_member(p, s->number, id, &before, error);
    if (err && err != LP_NOT_FOUND)
        return err;
    now = (scope_member){before.seq_in, 0, seq};
    if (what == JOINS || before.seq_in == 0)
        now.seq_in = seq;
    if (what == LEAVES)
        now.seq_out = seq;
    digest_minus(&s->sum, minus);
    digest_plus(&s->sum, plus);
    s->changed = true;
    return put_member(p, s->number, id, &before, now, error);
}

lp_err scopes_join(pool *p, uint32_t at, const record *rec, uint64_t seq, lp_error *error) {
    return take_step(p, at, &rec->id, JOINS, sum_of(p, rec), (digest){0}, seq, error);
}

/* Moves a record from one set of scopes to another. `whole` is the sum of its registers now, `delta` what this change added to it. */
static lp_err move(pool *p, const lp_id *id, const scope_set *before, const scope_set *after, digest whole,
                   digest delta, uint64_t seq, lp_error *error) {
    lp_err err = LP_OK;
    digest was = whole, none = {0};
    digest_minus(&was, delta);
    for (uint32_t i = 0; !err && i < before->count; i++) {
        bool stays = scope_set_has(after, before->at[i]);
        err = take_step(p, before->at[i], id, stays ? STAYS : LEAVES, stays ? delta : none, stays ? none : was, seq,
                        error);
    }
    for (uint32_t i = 0; !err && i < after->count; i++)
        if (!scope_set_has(before, after->at[i]))
            err = take_step(p, after->at[i], id, JOINS, whole, none, seq, error);
    return err;
}

/* ---- what follows ---- */

static bool keep_follower(void *ctx, span key, span value) {
    (void)value;
    if (key.size == FOLLOWER_KEY_BYTES)
        buf_append(ctx, key.data + 16, 16);
    return true;
}

lp_err scopes_note_follower(pool *p, const record *rec, lp_error *error) {
    uint8_t key[FOLLOWER_KEY_BYTES];
    lp_id id;
    if (!rows_followed(rec, &id))
        return LP_OK;
    memcpy(key, id.bytes, 16);
    memcpy(key + 16, rec->id.bytes, 16);
    return p->store->ops->put(p->store, STORE_FOLLOWER, span_of(key, sizeof key), SPAN_LITERAL("\x01"), error);
}

static lp_err move_followers(pool *p, const lp_id *id, const scope_set *before, const scope_set *after, int depth,
                             lp_error *error);

/* `before` NULL: what it follows was not there, and it went with its maker. */
static lp_err move_follower(pool *p, const lp_id *id, const lp_id *root, const scope_set *before,
                            const scope_set *after, int depth, lp_error *error) {
    record rec;
    rows_kept kept = {0};
    scope_set orphan = {0};
    lp_id points_at, maker;
    uint64_t seq;
    record_init(&rec, 0, id);
    lp_err err = rows_load_bare(p, &rec, &kept, error);
    bool follows = !err && kept.known && rows_followed(&rec, &points_at) && id_equal(&points_at, root);
    if (follows && !before) {
        err = scopes_find_maker(p, id, &maker, error);
        scopes_put_mine(&orphan, p, &maker);
        before = &orphan;
    }
    if (!err && follows && !scope_set_equal(before, after)) {
        err = p->store->ops->take_seq(p->store, 1, &seq, error);
        if (!err)
            err = move(p, id, before, after, sum_of(p, &rec), (digest){0}, seq, error);
        if (!err)
            err = move_followers(p, id, before, after, depth + 1, error);
    }
    record_fini(&rec);
    rows_drop(&kept);
    return err;
}

static lp_err move_followers(pool *p, const lp_id *id, const scope_set *before, const scope_set *after, int depth,
                             lp_error *error) {
    buf ids = {0};
    lp_err err = depth < DEPTH_MAX
                     ? p->store->ops->each(p->store, STORE_FOLLOWER, id_span(id), keep_follower, &ids, error)
                     : LP_OK;
    if (!err && ids.failed)
        err = err_plain(error, LP_NOMEM);
    for (size_t at = 0; !err && at + 16 <= ids.size; at += 16) {
        lp_id follower;
        memcpy(follower.bytes, ids.data + at, 16);
        err = move_follower(p, &follower, id, before, after, depth, error);
    }
    buf_fini(&ids);
    return err;
}

lp_err scopes_moved(pool *p, const record *rec, const scope_set *before, bool known, digest delta, const lp_id *person,
                    uint64_t seq, lp_error *error) {
    scope_set after = {0};
    if (p->scopes.count == 0)
        return LP_OK;
    lp_err err = scopes_of(p, rec, known ? NULL : person, &after, error);
    if (!err)
        err = scopes_note_follower(p, rec, error);
    bool stays = scope_set_equal(before, &after);
    if (!err)
        err = move(p, &rec->id, before, &after, stays ? delta : sum_of(p, rec), delta, seq, error);
    if (!err && (!known || !stays) && !BUG(FOLLOWERS_STAY))
        err = move_followers(p, &rec->id, known ? before : NULL, &after, 0, error);
    return err;
}

lp_err scopes_forget(pool *p, const record *rec, const scope_set *held, lp_error *error) {
    uint64_t seq;
    scope_set none = {0};
    if (held->count == 0)
        return LP_OK;
    lp_err err = p->store->ops->take_seq(p->store, 1, &seq, error);
    return err ? err : move(p, &rec->id, held, &none, sum_of(p, rec), (digest){0}, seq, error);
}

/* ---- reading ---- */

lp_err scopes_read_member(store_reader *reader, uint32_t number, const lp_id *id, scope_member *member_out,
                          lp_error *error) {
    uint8_t key[MEMBER_KEY_BYTES];
    span value;
    *member_out = (scope_member){0};
    lp_err err = reader->ops->read_document(reader, STORE_MEMBER, member_key(key, number, id), &value, error);
    return !err && !take_member(value, member_out) ? scopes_damaged(error) : err;
}

typedef struct feed_walk {
    scope_member_fn each;
    void *ctx;
    bool damaged;
} feed_walk;

static bool visit(void *ctx, span key, span value) {
    feed_walk *w = ctx;
    lp_id id;
    uint64_t seq = 0;
    w->damaged = key.size != FEED_KEY_BYTES || !id_from_span(value, &id);
    for (int i = 4; !w->damaged && i < FEED_KEY_BYTES; i++)
        seq = seq << 8 | key.data[i];
    return !w->damaged && w->each(w->ctx, &id, seq);
}

lp_err scopes_read_feed(store_reader *reader, uint32_t number, uint64_t after, scope_member_fn each, void *ctx,
                        lp_error *error) {
    uint8_t key[FEED_KEY_BYTES];
    feed_walk w = {.each = each, .ctx = ctx};
    span from = feed_key(key, number, after);
    lp_err err = reader->ops->read_documents(reader, STORE_MEMBER_FEED, span_of(key, 4), from, visit, &w, error);
    return !err && w.damaged ? scopes_damaged(error) : err;
}
