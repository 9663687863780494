/* join.c - becoming a device of a pool (session.h): the request, and the identity that comes back. */
#include <string.h>

#include "client/replica/clock.h"
#include "client/sync/epoch.h"
#include "client/sync/pull.h"
#include "client/doctor/rescue.h"
#include "client/sync/session.h"
#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/message.h"
#include "proto/wire.h"

/* A random value kept under `key`: made and stored durably once, so that asking again asks as the same device. */
static lp_err keep_random(replica *r, const char *key, size_t size, buf *value_out, lp_error *error) {
    lp_err err = replica_meta(r, key, value_out, error);
    if (err != LP_NOT_FOUND)
        return err;
    uint8_t bytes[32];
    r->env->random(r->env->ctx, bytes, size);
    err = replica_begin(r, error);
    if (!err && (err = replica_meta_put(r, key, span_of(bytes, size), error)))
        replica_rollback(r);
    else if (!err)
        err = replica_commit(r, error);
    buf_append(value_out, bytes, size);
    return err;
}

lp_err client_join_request(replica *r, const uint8_t token[16], const char *label, buf *message_out, lp_error *error) {
    buf seed = {0};
    buf install = {0};
    uint8_t key[CRYPTO_KEY_BYTES];
    lp_err err = keep_random(r, "device.seed", CRYPTO_SEED_BYTES, &seed, error);
    if (!err)
        err = keep_random(r, "device.install", 16, &install, error);
    if (!err)
        err = crypto_public_key(seed.data, key, error);
    if (!err) {
        message join = {.number = MSG_JOIN,
                        .version = PROTOCOL_VERSION,
                        .token = span_of(token, 16),
                        .public_key = span_of(key, sizeof key),
                        .install = buf_span(&install),
                        .label = span_text(label)};
        err = message_encode(&join, message_out, error);
    }
    buf_fini(&seed);
    buf_fini(&install);
    return err;
}

static lp_err put_identity(replica *r, const message *m, lp_error *error) {
    const struct {
        const char *key;
        span value;
    } texts[] = {{"pool.id", m->pool},          {"pool.name", m->pool_name}, {"staff.id", m->staff},
                 {"staff.name", m->staff_name}, {"role", m->role},           {"seal.key", m->seal_key},
                 {"device.pass", m->pass}};
    lp_err err = replica_meta_put_int(r, "device.number", (int64_t)m->device, error);
    for (size_t i = 0; !err && i < sizeof texts / sizeof texts[0]; i++)
        err = replica_meta_put(r, texts[i].key, texts[i].value, error);
    /* How long the answer was on its way nobody measured; the first hello knows better. */
    clock_sample then = {r->env->boot_ms(r->env->ctx), m->now_ms, CLOCK_TOLERANCE_MS};
    clock_fit(r, &then);
    return err || m->now_ms == 0 ? err : clock_contact(r, &then, error);
}

static lp_err refused(const message *m, lp_error *error) {
    lp_err code = m->code == LP_EXPIRED || m->code == LP_VERSION ? (lp_err)m->code : LP_REFUSED;
    if (m->number == MSG_BUSY)
        code = LP_BUSY;
    return err_set(error, code, "%.*s", (int)m->reason.size, m->reason.size ? (const char *)m->reason.data : "");
}

lp_err client_join_take(replica *r, span answer, lp_error *error) {
    message m;
    lp_err err = message_decode(answer, &m, error);
    if (err)
        return err;
    if (m.number == MSG_REFUSED || m.number == MSG_BUSY || m.number == MSG_ERROR)
        return refused(&m, error);
    if (m.number != MSG_JOINED || m.pool.size != 16 || m.staff.size != 16 || m.device == 0 || m.device > UINT32_MAX)
        return err_set(error, LP_PROTOCOL, "the server answered the request to join with nonsense; check the address");
    err = replica_begin(r, error);
    if (!err)
        err = put_identity(r, &m, error);
    if (!err)
        err = rescue_adopt(r, (uint32_t)m.device, error);
    if (err)
        replica_rollback(r);
    else
        err = replica_commit(r, error);
    return err ? err : replica_identify(r, error);
}

/* ---- going on as another device ---- */

lp_err client_rejoin_request(replica *r, span binding, buf *message_out, lp_error *error) {
    buf old_seed = {0}, seed = {0}, install = {0}, pass = {0}, to_sign = {0};
    uint8_t key[CRYPTO_KEY_BYTES], signature[CRYPTO_SIGNATURE_BYTES];
    lp_err err = replica_meta(r, "device.seed", &old_seed, error);
    if (err == LP_NOT_FOUND || (!err && old_seed.size != CRYPTO_SEED_BYTES))
        err = err_set(error, LP_CORRUPT, "the replica has lost its key; keep the file and join again");
    if (!err)
        err = replica_meta(r, "device.pass", &pass, error);
    err = err == LP_NOT_FOUND ? LP_OK : err;
    if (!err)
        err = keep_random(r, "rejoin.seed", CRYPTO_SEED_BYTES, &seed, error);
    if (!err)
        err = keep_random(r, "rejoin.install", 16, &install, error);
    if (!err)
        err = crypto_public_key(seed.data, key, error);
    message rejoin = {.number = MSG_REJOIN,
                      .version = PROTOCOL_VERSION,
                      .device = r->clock.author,
                      .public_key = span_of(key, sizeof key),
                      .install = buf_span(&install),
                      .pass = buf_span(&pass)};
    if (!err) {
        message_rejoin_signed(&rejoin, binding, &to_sign);
        err = to_sign.failed ? err_plain(error, LP_NOMEM)
                             : crypto_sign(old_seed.data, buf_span(&to_sign), signature, error);
    }
    rejoin.signature = span_of(signature, sizeof signature);
    if (!err)
        err = message_encode(&rejoin, message_out, error);
    buf *const all[] = {&old_seed, &seed, &install, &pass, &to_sign};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_fini(all[i]);
    return err;
}

/* The number it has goes to the front of those it had. */
static lp_err put_former(replica *r, lp_error *error) {
    buf numbers = {0};
    uint32_t author = r->clock.author;
    for (int i = 0; i < 4; i++)
        buf_append_byte(&numbers, (uint8_t)(author >> (24 - 8 * i)));
    lp_err err = replica_meta(r, "device.former", &numbers, error);
    if (err == LP_NOT_FOUND)
        err = LP_OK;
    if (!err && numbers.failed)
        err = err_plain(error, LP_NOMEM);
    size_t most = 4 * (size_t)REPLICA_FORMER_MAX;
    if (!err)
        err = replica_meta_put(r, "device.former", span_of(numbers.data, numbers.size < most ? numbers.size : most),
                               error);
    buf_fini(&numbers);
    return err;
}

/* The key and the install it asked with become its own, and a later time draws others. */
static lp_err move_meta(replica *r, const char *from, const char *to, lp_error *error) {
    buf value = {0};
    lp_err err = replica_meta(r, from, &value, error);
    if (!err)
        err = replica_meta_put(r, to, buf_span(&value), error);
    if (!err)
        err = replica_meta_drop(r, from, error);
    buf_fini(&value);
    return err == LP_NOT_FOUND ? err_set(error, LP_CORRUPT, "the replica has lost its new key; sync again") : err;
}

static lp_err take_over(replica *r, bool forgotten, const message *m, lp_error *error) {
    lp_err err = put_former(r, error);
    if (!err)
        err = put_identity(r, m, error);
    if (!err)
        err = move_meta(r, "rejoin.seed", "device.seed", error);
    if (!err)
        err = move_meta(r, "rejoin.install", "device.install", error);
    if (!err)
        err = replica_meta_put_int(r, "batch.settled", 0, error);
    if (!err && forgotten)
        err = epoch_forget(r, error);
    /* What the other copy wrote was never sent here: all is read from the beginning. */
    return err ? err : pull_forget_cursors(r, error);
}

lp_err client_rejoin_take(replica *r, bool forgotten, span answer, lp_error *error) {
    message m;
    lp_err err = message_decode(answer, &m, error);
    if (err)
        return err;
    if (m.number != MSG_JOINED || m.pool.size != 16 || m.staff.size != 16 || m.device == 0 || m.device > UINT32_MAX)
        return err_set(error, LP_PROTOCOL, "the server's answer to a request to rejoin makes no sense");
    err = replica_begin(r, error);
    if (!err && (err = take_over(r, forgotten, &m, error)))
        replica_rollback(r);
    else if (!err)
        err = replica_commit(r, error);
    return err ? err : replica_identify(r, error);
}
