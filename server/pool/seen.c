/* seen.c - see seen.h. */
#include "server/pool/seen.h"

#include "proto/err.h"
#include "proto/wire.h"

#define KEY_BYTES 4

static span device_key(uint32_t number, uint8_t key_out[KEY_BYTES]) {
    for (int i = 0; i < KEY_BYTES; i++)
        key_out[i] = (uint8_t)(number >> (24 - 8 * i));
    return span_of(key_out, KEY_BYTES);
}

uint64_t seen_read_seq(span epoch, span cursors) {
    wire_reader r = wire_open(cursors);
    uint32_t count = cursors.size ? wire_array(&r) : 0;
    uint64_t least = count && count <= CURSORS_MAX ? UINT64_MAX : 0;
    cursor c;
    for (uint32_t i = 0; i < count; i++) {
        bool ours = cursor_take(&r, &c) && span_equal(c.epoch, epoch);
        uint64_t seq = ours ? c.seq : 0;
        least = seq < least ? seq : least;
        if (least == 0)
            break;
    }
    return least;
}

lp_err seen_get(pool *p, uint32_t device, seen *seen_out, lp_error *error) {
    uint8_t key[KEY_BYTES];
    span value;
    *seen_out = (seen){0};
    lp_err err = p->store->ops->get(p->store, STORE_SEEN, device_key(device, key), &value, error);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    wire_reader r = wire_open(value);
    wire_array(&r);
    seen_out->at_ms = wire_i64(&r);
    seen_out->seq = wire_u64(&r);
    return r.failed ? err_set(error, LP_CORRUPT, "what device %u has read is damaged; run leadpoold verify", device)
                    : LP_OK;
}

lp_err seen_note(pool *p, uint32_t device, uint64_t seq, lp_error *error) {
    uint8_t key[KEY_BYTES];
    seen before;
    int64_t now_ms = pool_now_ms(p);
    lp_err err = seen_get(p, device, &before, error);
    if (err || (now_ms - before.at_ms < SEEN_EVERY_MS / 2 && now_ms >= before.at_ms))
        return err;
    buf value = {0};
    wire_put_array(&value, 2);
    wire_put_i64(&value, now_ms);
    wire_put_u64(&value, seq);
    err = value.failed ? err_plain(error, LP_NOMEM)
                       : p->store->ops->put(p->store, STORE_SEEN, device_key(device, key), buf_span(&value), error);
    buf_fini(&value);
    return err;
}

static bool collect_key(void *ctx, span key, span value) {
    (void)value;
    buf *keys = ctx;
    if (key.size == KEY_BYTES)
        buf_append_span(keys, key);
    return !keys->failed;
}

lp_err seen_forget_all(pool *p, lp_error *error) {
    buf keys = {0};
    lp_err err = p->store->ops->each(p->store, STORE_SEEN, (span){0}, collect_key, &keys, error);
    if (!err && keys.failed)
        err = err_plain(error, LP_NOMEM);
    for (size_t at = 0; !err && at < keys.size; at += KEY_BYTES)
        err = p->store->ops->put(p->store, STORE_SEEN, span_of(keys.data + at, KEY_BYTES), (span){0}, error);
    buf_fini(&keys);
    return err;
}
