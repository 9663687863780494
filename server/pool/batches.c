/* batches.c - the memory behind exactly-once; see batches.h. */
#include "server/pool/batches.h"

#include <string.h>

#include "proto/bug.h"
#include "proto/err.h"
#include "proto/wire.h"

#define KEY_BYTES 12

static void put_key(uint32_t device, uint64_t number, uint8_t key_out[KEY_BYTES]) {
    for (int i = 0; i < 4; i++)
        key_out[i] = (uint8_t)(device >> (24 - 8 * i));
    for (int i = 0; i < 8; i++)
        key_out[4 + i] = (uint8_t)(number >> (56 - 8 * i));
}

lp_err batches_find(pool *p, uint32_t device, uint64_t number, uint64_t high, const uint8_t hash[CRYPTO_HASH_BYTES],
                    batch_state *state_out, buf *verdicts_out, lp_error *error) {
    *state_out = BATCH_NEW;
    if (number > high)
        return LP_OK;
    *state_out = BATCH_CLONED;
    uint8_t key[KEY_BYTES];
    span value;
    put_key(device, number, key);
    lp_err err = p->store->ops->get(p->store, STORE_BATCH, span_of(key, sizeof key), &value, error);
    if (err == LP_NOT_FOUND)
        return LP_OK;
    if (err)
        return err;
    wire_reader r = wire_open(value);
    wire_array(&r);
    span kept = wire_bytes(&r);
    span verdicts = wire_raw(&r);
    if (r.failed || kept.size != CRYPTO_HASH_BYTES)
        return err_set(error, LP_CORRUPT, "the memory of a batch is damaged; run leadpoold verify");
    if (!span_equal(kept, span_of(hash, CRYPTO_HASH_BYTES)) && !BUG(BATCH_HASH_NOT_COMPARED))
        return LP_OK;
    *state_out = BATCH_KNOWN;
    buf_append_span(verdicts_out, BUG(VERDICTS_FORGOTTEN) ? SPAN_LITERAL("\x90") : verdicts);
    return verdicts_out->failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

typedef struct oldest {
    uint8_t key[KEY_BYTES];
    uint32_t count;
} oldest;

static bool note_oldest(void *ctx, span key, span value) {
    oldest *o = ctx;
    (void)value;
    if (o->count++ == 0 && key.size == KEY_BYTES)
        memcpy(o->key, key.data, KEY_BYTES);
    return true;
}

/* Every batch adds one document and takes the oldest away, so there are never more than BATCHES_KEPT to walk. */
static lp_err forget_oldest(pool *p, uint32_t device, lp_error *error) {
    oldest o = {.count = 0};
    uint8_t prefix[KEY_BYTES];
    put_key(device, 0, prefix);
    lp_err err = p->store->ops->each(p->store, STORE_BATCH, span_of(prefix, 4), note_oldest, &o, error);
    if (err || o.count < BATCHES_KEPT)
        return err;
    return p->store->ops->put(p->store, STORE_BATCH, span_of(o.key, KEY_BYTES), (span){0}, error);
}

lp_err batches_keep(pool *p, uint32_t device, uint64_t number, const uint8_t hash[CRYPTO_HASH_BYTES], span verdicts,
                    lp_error *error) {
    lp_err err = forget_oldest(p, device, error);
    if (err)
        return err;
    uint8_t key[KEY_BYTES];
    put_key(device, number, key);
    buf value = {0};
    wire_put_array(&value, 2);
    wire_put_bytes(&value, span_of(hash, CRYPTO_HASH_BYTES));
    buf_append_span(&value, verdicts);
    err = value.failed ? err_plain(error, LP_NOMEM)
                       : p->store->ops->put(p->store, STORE_BATCH, span_of(key, sizeof key), buf_span(&value), error);
    buf_fini(&value);
    return err;
}
