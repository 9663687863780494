/* review.c - see review.h. */
#include "server/office/review.h"

#include <string.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "server/office/erase.h"
#include "server/office/purge.h"
#include "server/pool/rows.h"

#define NUMBER_KEY_BYTES 9
#define HASH_KEY_BYTES 17

static const char *const reason_names[] = {[REVIEW_OUTSIDE] = "outside",
                                           [REVIEW_PURGED] = "purged",
                                           [REVIEW_REVOKED] = "revoked",
                                           [REVIEW_RECOVERED] = "recovered",
                                           [REVIEW_REFUSED] = "refused"};

const char *review_reason_name(review_reason why) {
    bool known = why >= REVIEW_OUTSIDE && why <= REVIEW_REFUSED;
    return known ? reason_names[why] : "";
}

static span number_key(uint64_t number, uint8_t key_out[NUMBER_KEY_BYTES]) {
    key_out[0] = 1;
    for (int i = 0; i < 8; i++)
        key_out[1 + i] = (uint8_t)(number >> (56 - 8 * i));
    return span_of(key_out, NUMBER_KEY_BYTES);
}

/* ---- the document ---- */

static void put_stamp(buf *out, stamp s) {
    uint8_t bytes[STAMP_BYTES];
    stamp_pack(s, bytes);
    wire_put_bytes(out, span_of(bytes, sizeof bytes));
}

static stamp take_stamp(wire_reader *r) {
    span bytes = wire_bytes(r);
    r->failed |= bytes.size != STAMP_BYTES;
    return r->failed ? STAMP_NONE : stamp_unpack(bytes.data);
}

/* What makes two changes the same: all but when and why they came. */
static void put_change(buf *out, const change_set *set, span fields) {
    wire_put_u64(out, set->kind);
    wire_put_bytes(out, id_span(&set->id));
    put_stamp(out, set->stamp);
    put_stamp(out, set->base);
    wire_put_i64(out, set->skew_ms);
    wire_put_bytes(out, fields);
    wire_put_u64(out, set->field_count);
}

static bool take_entry(span document, uint64_t number, review_entry *e) {
    *e = (review_entry){.number = number};
    wire_reader r = wire_open(document);
    wire_array(&r);
    e->device = (uint32_t)wire_u64(&r);
    bool ok = id_from_span(wire_bytes(&r), &e->person);
    e->why = (review_reason)wire_u64(&r);
    e->at_ms = wire_i64(&r);
    e->set.kind = (uint32_t)wire_u64(&r);
    ok &= id_from_span(wire_bytes(&r), &e->set.id);
    e->set.stamp = take_stamp(&r);
    e->set.base = take_stamp(&r);
    e->set.skew_ms = wire_i64(&r);
    e->set.fields = wire_open(wire_bytes(&r));
    e->set.field_count = (uint32_t)wire_u64(&r);
    return ok && !r.failed;
}

static lp_err damaged(lp_error *error) {
    return err_set(error, LP_CORRUPT, "a change that awaits review is damaged; run leadpoold verify");
}

/* ---- keeping ---- */

static lp_err next_number(pool *p, uint64_t *number_out, lp_error *error) {
    span value;
    *number_out = 1;
    lp_err err = p->store->ops->get(p->store, STORE_META, SPAN_LITERAL("review.next"), &value, error);
    if (err && err != LP_NOT_FOUND)
        return err;
    wire_reader r = wire_open(err ? (span){0} : value);
    if (!err)
        *number_out = wire_u64(&r);
    if (!err && r.failed)
        return damaged(error);
    buf next = {0};
    wire_put_u64(&next, *number_out + 1);
    err = next.failed ? err_plain(error, LP_NOMEM)
                      : p->store->ops->put(p->store, STORE_META, SPAN_LITERAL("review.next"), buf_span(&next), error);
    buf_fini(&next);
    return err;
}

static void hash_key(span change, uint8_t key_out[HASH_KEY_BYTES]) {
    uint8_t hash[CRYPTO_HASH_BYTES];
    crypto_sha256(change, hash);
    key_out[0] = 2;
    memcpy(key_out + 1, hash, HASH_KEY_BYTES - 1);
}

static lp_err store_entry(pool *p, const apply_author *author, review_reason why, span change, span hash,
                          lp_error *error) {
    uint64_t number;
    uint8_t key[NUMBER_KEY_BYTES];
    lp_err err = next_number(p, &number, error);
    if (err)
        return err;
    buf document = {0};
    wire_put_array(&document, 11);
    wire_put_u64(&document, author->device);
    wire_put_bytes(&document, id_span(&author->person));
    wire_put_u64(&document, why);
    wire_put_i64(&document, pool_now_ms(p));
    buf_append_span(&document, change);
    span at = number_key(number, key);
    err = document.failed ? err_plain(error, LP_NOMEM)
                          : p->store->ops->put(p->store, STORE_REVIEW, at, buf_span(&document), error);
    if (!err)
        err = p->store->ops->put(p->store, STORE_REVIEW, hash, span_of(key + 1, 8), error);
    buf_fini(&document);
    return err;
}

lp_err review_put(pool *p, const apply_author *author, const change_set *set, review_reason why, lp_error *error) {
    buf fields = {0}, change = {0};
    uint8_t hash[HASH_KEY_BYTES];
    change_set walk = *set;
    reg r;
    span known;
    while (change_next(&walk, &r))
        change_pack(&fields, r.field, r.key, r.value);
    put_change(&change, set, buf_span(&fields));
    lp_err err = walk.fields.failed ? err_set(error, LP_PROTOCOL, "a change set of the batch is malformed")
                 : fields.failed || change.failed ? err_plain(error, LP_NOMEM)
                                                  : LP_OK;
    if (!err) {
        hash_key(buf_span(&change), hash);
        span key = span_of(hash, sizeof hash);
        err = p->store->ops->get(p->store, STORE_REVIEW, key, &known, error);
        if (err == LP_NOT_FOUND)
            err = store_entry(p, author, why, buf_span(&change), key, error);
    }
    buf_fini(&fields);
    buf_fini(&change);
    return err;
}

/* ---- reading ---- */

typedef struct walk {
    review_fn each;
    void *ctx;
    bool damaged;
} walk;

static bool visit(void *ctx, span key, span value) {
    walk *w = ctx;
    review_entry entry;
    uint64_t number = 0;
    for (size_t i = 1; i < key.size; i++)
        number = number << 8 | key.data[i];
    w->damaged = key.size != NUMBER_KEY_BYTES || !take_entry(value, number, &entry);
    return !w->damaged && w->each(w->ctx, &entry);
}

lp_err review_each(pool *p, review_fn each, void *ctx, lp_error *error) {
    walk w = {.each = each, .ctx = ctx};
    lp_err err = p->store->ops->each(p->store, STORE_REVIEW, SPAN_LITERAL("\x01"), visit, &w, error);
    return !err && w.damaged ? damaged(error) : err;
}

/* ---- deciding ---- */

/* The entry's document in `kept`, which `e` then borrows. */
static lp_err load(pool *p, uint64_t number, buf *kept, review_entry *e, lp_error *error) {
    uint8_t key[NUMBER_KEY_BYTES];
    span value;
    lp_err err = p->store->ops->get(p->store, STORE_REVIEW, number_key(number, key), &value, error);
    if (err == LP_NOT_FOUND)
        return err_set(error, LP_NOT_FOUND, "nothing with number %llu awaits review; see leadpoold review",
                       (unsigned long long)number);
    if (err)
        return err;
    buf_append_span(kept, value);
    if (kept->failed)
        return err_plain(error, LP_NOMEM);
    return take_entry(buf_span(kept), number, e) ? LP_OK : damaged(error);
}

static lp_err drop(pool *p, const review_entry *e, lp_error *error) {
    uint8_t key[NUMBER_KEY_BYTES], hash[HASH_KEY_BYTES];
    buf change = {0};
    span fields = span_of(e->set.fields.at, (size_t)(e->set.fields.end - e->set.fields.at));
    put_change(&change, &e->set, fields);
    hash_key(buf_span(&change), hash);
    lp_err err = change.failed ? err_plain(error, LP_NOMEM) : LP_OK;
    buf_fini(&change);
    if (!err)
        err = p->store->ops->put(p->store, STORE_REVIEW, number_key(e->number, key), (span){0}, error);
    return err ? err : p->store->ops->put(p->store, STORE_REVIEW, span_of(hash, sizeof hash), (span){0}, error);
}

/* The office looks at all that stands: its values overwrite nothing unseen. */
static lp_err greatest_stamp(pool *p, const change_set *set, stamp *greatest_out, lp_error *error) {
    record rec;
    rows_kept kept = {0};
    record_init(&rec, set->kind, &set->id);
    lp_err err = rows_load(p, &rec, &kept, error);
    *greatest_out = STAMP_NONE;
    for (uint32_t i = 0; !err && i < rec.count; i++)
        if (stamp_compare(rec.regs[i].stamp, *greatest_out) > 0)
            *greatest_out = rec.regs[i].stamp;
    record_fini(&rec);
    rows_drop(&kept);
    return err;
}

static lp_err why_refused(const apply_verdicts *v, lp_error *error) {
    wire_reader r = wire_open(buf_span(&v->list));
    verdict given;
    while (r.at < r.end && verdict_take(&r, &given))
        if (given.kind == VERDICT_REFUSED)
            return err_set(error, LP_REFUSED, "the change cannot be applied: %.*s; reject it", (int)given.reason.size,
                           (const char *)given.reason.data);
    return LP_OK;
}

/* What was purged is a record again, and so is what it follows: that stays away, but may be followed. */
static lp_err call_back(pool *p, const review_entry *e, lp_error *error) {
    lp_id followed;
    lp_err err = purge_undo(p, &e->set.id, error);
    return err || !erase_names_followed(&e->set, &followed) ? err : purge_undo(p, &followed, error);
}

lp_err review_accept(pool *p, uint64_t number, lp_error *error) {
    buf kept = {0};
    review_entry e;
    apply_verdicts verdicts = {0};
    lp_err err = load(p, number, &kept, &e, error);
    change_set set = err ? (change_set){0} : e.set;
    if (!err)
        err = call_back(p, &e, error);
    if (!err)
        err = greatest_stamp(p, &set, &set.base, error);
    if (!err) {
        hlc_observe(&p->clock, set.base);
        set.stamp = hlc_next(&p->clock, pool_now_ms(p));
        set.skew_ms = 0;
        apply_author author = {.device = SERVER_AUTHOR, .person = e.person};
        err = apply_set(p, &set, 0, &author, &verdicts, error);
    }
    if (!err)
        err = why_refused(&verdicts, error);
    if (!err)
        err = drop(p, &e, error);
    buf_fini(&verdicts.list);
    buf_fini(&kept);
    return err;
}

lp_err review_reject(pool *p, uint64_t number, lp_error *error) {
    buf kept = {0};
    review_entry e;
    lp_err err = load(p, number, &kept, &e, error);
    if (!err)
        err = drop(p, &e, error);
    buf_fini(&kept);
    return err;
}

/* ---- forgetting ---- */

typedef struct wanted {
    const lp_id *record;
    uint64_t number;
} wanted;

static bool is_of(void *ctx, const review_entry *e) {
    wanted *w = ctx;
    if (!id_equal(&e->set.id, w->record))
        return true;
    w->number = e->number;
    return false;
}

lp_err review_forget(pool *p, const lp_id *id, lp_error *error) {
    for (;;) {
        wanted w = {.record = id};
        lp_err err = review_each(p, is_of, &w, error);
        if (err || w.number == 0)
            return err;
        err = review_reject(p, w.number, error);
        if (err)
            return err;
    }
}
