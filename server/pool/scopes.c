/* scopes.c - memberships of narrow scopes; see scopes.h. */
#include "server/pool/scopes.h"

#include <stdlib.h>
#include <string.h>

#include "proto/bug.h"
#include "proto/err.h"
#include "proto/wire.h"
#include "server/pool/rows.h"

#define DEPTH_MAX 4 /* a conflict about a touch of a lead */
#define FEED_KEY_BYTES 12
#define MEMBER_KEY_BYTES 20
#define FOLLOWER_KEY_BYTES 32

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

static lp_err damaged(lp_error *error) {
    return err_set(error, LP_CORRUPT, "the memory of a scope is damaged; run leadpoold verify");
}

/* ---- the scopes ---- */

bool scopes_key(span name, const lp_id *person, buf *key_out) {
    static const char event[] = "event:";
    size_t prefix = sizeof event - 1;
    if (span_equal(name, SPAN_LITERAL("mine"))) {
        buf_append_span(key_out, SPAN_LITERAL("mine:"));
        buf_append_span(key_out, id_span(person));
        return true;
    }
    if (name.size <= prefix || memcmp(name.data, event, prefix) != 0)
        return false;
    buf_append_span(key_out, name);
    return true;
}

static pool_scope *find(const pool *p, span key) {
    for (uint32_t i = 0; i < p->scopes.count; i++)
        if (span_equal(span_of(p->scopes.list[i].key, p->scopes.list[i].key_size), key))
            return &p->scopes.list[i];
    return NULL;
}

uint32_t scopes_number(const pool *p, span key) {
    const pool_scope *s = find(p, key);
    return s ? s->number : 0;
}

static pool_scope *add(pool *p, span key) {
    pool_scope *list =
        key.size > sizeof list->key ? NULL : realloc(p->scopes.list, (p->scopes.count + 1) * sizeof *p->scopes.list);
    if (!list)
        return NULL;
    p->scopes.list = list;
    pool_scope *s = &list[p->scopes.count++];
    *s = (pool_scope){.key_size = key.size};
    memcpy(s->key, key.data, key.size);
    return s;
}

static bool take_scope(span document, uint32_t *number_out, digest *sum_out) {
    wire_reader r = wire_open(document);
    wire_array(&r);
    uint64_t number = wire_u64(&r);
    bool ok = digest_unpack(wire_bytes(&r), sum_out) && !r.failed && number <= UINT32_MAX;
    *number_out = (uint32_t)number;
    return ok;
}

typedef struct loading {
    pool *pool;
    bool damaged;
} loading;

static bool load_scope(void *ctx, span key, span value) {
    loading *l = ctx;
    pool_scope *s = add(l->pool, key);
    l->damaged |= !s || !take_scope(value, &s->number, &s->sum);
    return !l->damaged;
}

lp_err scopes_load(pool *p, lp_error *error) {
    loading l = {.pool = p};
    p->scopes.count = 0;
    lp_err err = p->store->ops->each(p->store, STORE_SCOPE, (span){0}, load_scope, &l, error);
    return !err && l.damaged ? damaged(error) : err;
}

lp_err scopes_save(pool *p, lp_error *error) {
    lp_err err = LP_OK;
    for (uint32_t i = 0; !err && i < p->scopes.count; i++) {
        pool_scope *s = &p->scopes.list[i];
        uint8_t bytes[DIGEST_BYTES];
        buf value = {0};
        if (!s->changed)
            continue;
        digest_pack(s->sum, bytes);
        wire_put_array(&value, 2);
        wire_put_u64(&value, s->number);
        wire_put_bytes(&value, span_of(bytes, sizeof bytes));
        err = value.failed
                  ? err_plain(error, LP_NOMEM)
                  : p->store->ops->put(p->store, STORE_SCOPE, span_of(s->key, s->key_size), buf_span(&value), error);
        s->changed = false;
        buf_fini(&value);
    }
    return err;
}

void scopes_free(pool_scopes *s) {
    free(s->list);
    *s = (pool_scopes){0};
}

lp_err scopes_copy(const pool_scopes *from, pool_scopes *to, lp_error *error) {
    *to = (pool_scopes){.count = from->count};
    if (from->count == 0)
        return LP_OK;
    to->list = malloc(from->count * sizeof *to->list);
    if (!to->list)
        return err_plain(error, LP_NOMEM);
    memcpy(to->list, from->list, from->count * sizeof *to->list);
    return LP_OK;
}

/* ---- the rule ---- */

static void put_in(scope_set *set, const pool *p, span key) {
    const pool_scope *s = find(p, key);
    if (s && set->count < SCOPE_SET_MAX)
        set->at[set->count++] = (uint32_t)(s - p->scopes.list);
}

static bool is_in(const scope_set *set, uint32_t at) {
    for (uint32_t i = 0; i < set->count; i++)
        if (set->at[i] == at)
            return true;
    return false;
}

static bool same_set(const scope_set *a, const scope_set *b) {
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = is_in(b, a->at[i]);
    return same;
}

static void put_mine(scope_set *set, const pool *p, const lp_id *person) {
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

/* Who made a record: the person of its first entry in history. */
static lp_err find_maker(pool *p, const lp_id *id, lp_id *person_out, lp_error *error) {
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
        put_mine(set, p, &person);
    return LP_OK;
}

/* The scopes of a lead. `maker` NULL: it is looked up if it matters. */
static lp_err scopes_of_lead(pool *p, const record *rec, const lp_id *maker, scope_set *set, lp_error *error) {
    lp_err err = LP_OK;
    lp_id person;
    if (record_find(rec, LEAD_OWNER, (span){0})) {
        err = put_owner(p, text_of(rec, LEAD_OWNER), set, error);
    } else {
        err = maker ? LP_OK : find_maker(p, &rec->id, &person, error);
        if (!err)
            put_mine(set, p, maker ? maker : &person);
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
        err = maker ? LP_OK : find_maker(p, &rec->id, &person, error);
        if (!err)
            put_mine(set, p, maker ? maker : &person);
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

lp_err scopes_of_stored(pool *p, const record *rec, scope_set *set_out, lp_error *error) {
    *set_out = (scope_set){0};
    return p->scopes.count ? scopes_of_at(p, rec, NULL, 0, set_out, error) : LP_OK;
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
    return !err && !take_member(value, member_out) ? damaged(error) : err;
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

/* Moves a record from one set of scopes to another. `whole` is the sum of its registers now, `delta` what this change added to it. */
static lp_err move(pool *p, const lp_id *id, const scope_set *before, const scope_set *after, digest whole,
                   digest delta, uint64_t seq, lp_error *error) {
    lp_err err = LP_OK;
    digest was = whole, none = {0};
    digest_minus(&was, delta);
    for (uint32_t i = 0; !err && i < before->count; i++) {
        bool stays = is_in(after, before->at[i]);
        err = take_step(p, before->at[i], id, stays ? STAYS : LEAVES, stays ? delta : none, stays ? none : was, seq,
                        error);
    }
    for (uint32_t i = 0; !err && i < after->count; i++)
        if (!is_in(before, after->at[i]))
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

static lp_err note_follower(pool *p, const record *rec, lp_error *error) {
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
        err = find_maker(p, id, &maker, error);
        put_mine(&orphan, p, &maker);
        before = &orphan;
    }
    if (!err && follows && !same_set(before, after)) {
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
    lp_err err = scopes_of_at(p, rec, known ? NULL : person, 0, &after, error);
    if (!err)
        err = note_follower(p, rec, error);
    bool stays = same_set(before, &after);
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

/* ---- opening ---- */

typedef struct id_list {
    buf ids;
    buf seqs;
} id_list;

static bool keep_id(void *ctx, const store_row *row) {
    id_list *l = ctx;
    if (row->scope == SCOPE_POOL) {
        buf_append_span(&l->ids, id_span(&row->id));
        buf_append(&l->seqs, &row->seq, sizeof row->seq);
    }
    return !l->ids.failed && !l->seqs.failed;
}

/* What was there before the scope was counts as having joined with its latest change. */
static lp_err fill_one(pool *p, uint32_t at, const lp_id *id, uint64_t seq, lp_error *error) {
    record rec;
    rows_kept kept = {0};
    scope_set set;
    record_init(&rec, 0, id);
    lp_err err = rows_load_bare(p, &rec, &kept, error);
    if (!err)
        err = scopes_of_stored(p, &rec, &set, error);
    if (!err)
        err = note_follower(p, &rec, error);
    if (!err && is_in(&set, at))
        err = take_step(p, at, id, JOINS, sum_of(p, &rec), (digest){0}, seq, error);
    record_fini(&rec);
    rows_drop(&kept);
    return err;
}

static lp_err fill(pool *p, uint32_t at, lp_error *error) {
    id_list l = {0};
    lp_err err = p->store->ops->rows(p->store, false, keep_id, &l, error);
    if (!err && (l.ids.failed || l.seqs.failed))
        err = err_plain(error, LP_NOMEM);
    for (size_t i = 0; !err && i < l.ids.size / 16; i++) {
        lp_id id;
        uint64_t seq;
        memcpy(id.bytes, l.ids.data + i * 16, 16);
        memcpy(&seq, l.seqs.data + i * sizeof seq, sizeof seq);
        err = fill_one(p, at, &id, seq, error);
    }
    buf_fini(&l.ids);
    buf_fini(&l.seqs);
    return err;
}

static lp_err next_number(pool *p, uint32_t *number_out, lp_error *error) {
    *number_out = SCOPE_FIRST_NUMBER;
    for (uint32_t i = 0; i < p->scopes.count; i++)
        if (p->scopes.list[i].number >= *number_out)
            *number_out = p->scopes.list[i].number + 1;
    return *number_out == UINT32_MAX ? err_set(error, LP_FULL, "there are too many scopes") : LP_OK;
}

lp_err scopes_open(pool *p, span key, lp_error *error) {
    uint32_t number;
    if (find(p, key))
        return LP_OK;
    lp_err err = next_number(p, &number, error);
    pool_scope *s = err ? NULL : add(p, key);
    if (!s)
        return err ? err : err_set(error, LP_INVALID, "the scope cannot be kept: its name is too long");
    s->number = number;
    s->changed = true;
    return fill(p, p->scopes.count - 1, error);
}

/* ---- reading ---- */

lp_err scopes_read(store_reader *reader, span key, uint32_t *number_out, digest *digest_out, lp_error *error) {
    span value;
    lp_err err = reader->ops->read_document(reader, STORE_SCOPE, key, &value, error);
    return !err && !take_scope(value, number_out, digest_out) ? damaged(error) : err;
}

lp_err scopes_read_member(store_reader *reader, uint32_t number, const lp_id *id, scope_member *member_out,
                          lp_error *error) {
    uint8_t key[MEMBER_KEY_BYTES];
    span value;
    *member_out = (scope_member){0};
    lp_err err = reader->ops->read_document(reader, STORE_MEMBER, member_key(key, number, id), &value, error);
    return !err && !take_member(value, member_out) ? damaged(error) : err;
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
    return !err && w.damaged ? damaged(error) : err;
}
