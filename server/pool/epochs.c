/* epochs.c - see epochs.h. */
#include "server/pool/epochs.h"

#include <string.h>

#include "proto/err.h"
#include "proto/wire.h"
#include "server/pool/auth.h"
#include "server/office/backups.h"
#include "server/pool/seen.h"

static const span document_key = {(const uint8_t *)"epochs", 6};

/* ---- the document ---- */

static void put_document(const epochs *e, buf *out) {
    wire_put_array(out, 3);
    wire_put_bytes(out, span_of(e->epoch, EPOCH_BYTES));
    wire_put_i64(out, e->drawn_ms);
    wire_put_array(out, 2 * e->count);
    for (uint32_t i = 0; i < e->count; i++) {
        wire_put_bytes(out, span_of(e->forks[i].epoch, EPOCH_BYTES));
        wire_put_u64(out, e->forks[i].seq);
    }
}

static bool take_epoch(wire_reader *r, uint8_t epoch_out[EPOCH_BYTES]) {
    span bytes = wire_bytes(r);
    if (bytes.size != EPOCH_BYTES)
        return false;
    memcpy(epoch_out, bytes.data, EPOCH_BYTES);
    return true;
}

static bool take_document(span document, epochs *e) {
    *e = (epochs){0};
    wire_reader r = wire_open(document);
    wire_array(&r);
    bool ok = take_epoch(&r, e->epoch);
    e->drawn_ms = wire_i64(&r);
    uint32_t count = wire_array(&r) / 2;
    ok &= count <= EPOCH_FORKS_MAX;
    for (; ok && e->count < count; e->count++) {
        ok = take_epoch(&r, e->forks[e->count].epoch);
        e->forks[e->count].seq = wire_u64(&r);
    }
    return ok && !r.failed;
}

static lp_err read_document(lp_err err, span document, epochs *epochs_out, lp_error *error) {
    if (err == LP_NOT_FOUND || (!err && !take_document(document, epochs_out)))
        return err_set(error, LP_CORRUPT, "the store does not say which epoch it is of; restore a backup");
    return err;
}

lp_err epochs_read(store_reader *reader, epochs *epochs_out, lp_error *error) {
    span value = {0};
    lp_err err = reader->ops->read_document(reader, STORE_META, document_key, &value, error);
    return read_document(err, value, epochs_out, error);
}

lp_err epochs_load(pool *p, epochs *epochs_out, lp_error *error) {
    span value = {0};
    lp_err err = p->store->ops->get(p->store, STORE_META, document_key, &value, error);
    return read_document(err, value, epochs_out, error);
}

static lp_err save(store *s, const epochs *e, lp_error *error) {
    buf document = {0};
    put_document(e, &document);
    lp_err err = document.failed ? err_plain(error, LP_NOMEM)
                                 : s->ops->put(s, STORE_META, document_key, buf_span(&document), error);
    buf_fini(&document);
    return err;
}

lp_err epochs_save(pool *p, const epochs *e, lp_error *error) {
    return save(p->store, e, error);
}

lp_err epochs_create(store *s, const lp_env *env, lp_error *error) {
    epochs e = {.count = 0};
    env->random(env->ctx, e.epoch, EPOCH_BYTES);
    return save(s, &e, error);
}

/* ---- forks ---- */

static bool same(const uint8_t epoch[EPOCH_BYTES], span other) {
    return span_equal(span_of(epoch, EPOCH_BYTES), other);
}

uint64_t epochs_fork_of(const epochs *e, span epoch) {
    if (same(e->epoch, epoch))
        return UINT64_MAX;
    for (uint32_t i = 0; i < e->count; i++)
        if (same(e->forks[i].epoch, epoch))
            return e->forks[i].seq;
    return 0;
}

void epochs_put_forks(const epochs *e, buf *out) {
    if (e->count == 0)
        return;
    wire_put_array(out, e->count);
    for (uint32_t i = 0; i < e->count; i++) {
        wire_put_array(out, 2);
        wire_put_bytes(out, span_of(e->forks[i].epoch, EPOCH_BYTES));
        wire_put_u64(out, e->forks[i].seq);
    }
}

static bool knows(const epochs *e, const uint8_t epoch[EPOCH_BYTES]) {
    bool known = same(e->epoch, span_of(epoch, EPOCH_BYTES));
    for (uint32_t i = 0; i < e->count; i++)
        known |= same(e->forks[i].epoch, span_of(epoch, EPOCH_BYTES));
    return known;
}

/* Puts a fork in front; the oldest goes if there is no room. */
static void add_fork(epochs *e, const uint8_t epoch[EPOCH_BYTES], uint64_t seq) {
    if (e->count < EPOCH_FORKS_MAX)
        e->count++;
    memmove(e->forks + 1, e->forks, (e->count - 1) * sizeof *e->forks);
    memcpy(e->forks[0].epoch, epoch, EPOCH_BYTES);
    e->forks[0].seq = seq;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* How far `other` and `e` share their history: up to where one of them left the other; not at all, as far as we know, if neither knows
 * of the other. What `other` shared with a third history only up to its own fork, we share no further. */
void epochs_adopt(epochs *e, const epochs *other, uint64_t last_seq) {
    uint64_t here = epochs_fork_of(e, span_of(other->epoch, EPOCH_BYTES));
    uint64_t there = epochs_fork_of(other, span_of(e->epoch, EPOCH_BYTES));
    uint64_t shared = least(here > there ? here : there, last_seq);
    for (uint32_t i = other->count; i-- > 0;)
        if (!knows(e, other->forks[i].epoch))
            add_fork(e, other->forks[i].epoch, least(other->forks[i].seq, shared));
    if (!knows(e, other->epoch))
        add_fork(e, other->epoch, shared);
}

lp_err epochs_redraw(pool *p, uint64_t fork, uint32_t numbers, lp_error *error) {
    epochs e;
    uint64_t last_seq = p->store->ops->last_seq(p->store);
    lp_err err = epochs_load(p, &e, error);
    if (err)
        return err;
    fork = least(fork, last_seq);
    for (uint32_t i = 0; i < e.count; i++)
        e.forks[i].seq = least(e.forks[i].seq, fork);
    add_fork(&e, e.epoch, fork);
    p->env->random(p->env->ctx, e.epoch, EPOCH_BYTES);
    err = epochs_save(p, &e, error);
    if (!err)
        err = seen_forget_all(p, error);
    return err || numbers == 0 ? err : auth_skip_numbers(p, numbers, error);
}

lp_err epochs_answer_cursor(pool *p, const uint8_t named[EPOCH_BYTES], bool *drawn_out, lp_error *error) {
    epochs e;
    *drawn_out = false;
    lp_err err = epochs_load(p, &e, error);
    if (err || memcmp(e.epoch, named, EPOCH_BYTES) != 0)
        return err;
    int64_t now_ms = pool_now_ms(p);
    if (e.drawn_ms && now_ms - e.drawn_ms < EPOCH_REDRAW_MIN_MS && now_ms >= e.drawn_ms)
        return err_set(error, LP_BUSY, "the pool was found set back twice within a short time; trying again later");
    /* Nobody knows where the two histories part: all that devices still have is to be offered again. */
    err = epochs_redraw(p, 0, EPOCH_NUMBERS_SKIPPED, error);
    /* Nor which backups were made there, any of which may be restored. */
    if (!err)
        err = backups_begin(p, 0, error);
    if (!err)
        err = epochs_load(p, &e, error);
    e.drawn_ms = now_ms;
    *drawn_out = !err;
    return err ? err : epochs_save(p, &e, error);
}

/* ---- tags ---- */

static span tag_key(uint64_t seq, uint8_t bytes_out[8]) {
    for (int i = 0; i < 8; i++)
        bytes_out[i] = (uint8_t)(seq >> (56 - 8 * i));
    return span_of(bytes_out, 8);
}

lp_err epochs_tag(pool *p, lp_error *error) {
    uint8_t key[8], tag[CURSOR_TAG_BYTES];
    p->env->random(p->env->ctx, tag, sizeof tag);
    return p->store->ops->put(p->store, STORE_TAG, tag_key(p->store->ops->last_seq(p->store), key),
                              span_of(tag, sizeof tag), error);
}

lp_err epochs_tag_at(store_reader *reader, uint64_t seq, uint8_t bytes_out[CURSOR_TAG_BYTES], span *tag_out,
                     lp_error *error) {
    uint8_t key[8];
    span found, tag;
    *tag_out = (span){0};
    if (seq == 0)
        return LP_OK;
    lp_err err = reader->ops->read_next(reader, STORE_TAG, tag_key(seq, key), &found, &tag, error);
    if (!err && tag.size == CURSOR_TAG_BYTES) {
        memcpy(bytes_out, tag.data, CURSOR_TAG_BYTES);
        *tag_out = span_of(bytes_out, CURSOR_TAG_BYTES);
    }
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err epochs_judge_cursor(store_reader *reader, const epochs *e, const cursor *c, uint64_t last_seq,
                           cursor_history *history_out, lp_error *error) {
    uint8_t bytes[CURSOR_TAG_BYTES];
    span tag;
    *history_out = CURSOR_OTHER;
    if (!same(e->epoch, c->epoch))
        return LP_OK;
    *history_out = c->seq <= last_seq ? CURSOR_FITS : CURSOR_LOST;
    if (c->seq == 0 || c->seq > last_seq || c->tag.size == 0)
        return LP_OK;
    lp_err err = epochs_tag_at(reader, c->seq, bytes, &tag, error);
    if (!err && !span_equal(c->tag, tag))
        *history_out = CURSOR_LOST;
    return err;
}
