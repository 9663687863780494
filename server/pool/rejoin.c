/* rejoin.c - see rejoin.h. */
#include "server/pool/rejoin.h"

#include <string.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/wire.h"
#include "server/pool/access.h"
#include "server/office/ledger.h"

static lp_err refuse(lp_error *error) {
    return err_set(error, LP_REFUSED, "the device could not prove who it was; join again with a new invitation");
}

/* ---- the pass ---- */

static void put_former(const device *d, buf *out) {
    wire_put_array(out, d->former_count);
    for (uint32_t i = 0; i < d->former_count; i++)
        wire_put_u64(out, d->former[i]);
}

static void put_signed_part(const pool *p, const device *d, buf *out) {
    wire_put_text(out, SPAN_LITERAL("leadpool pass 1"));
    wire_put_bytes(out, id_span(&p->id));
    wire_put_u64(out, d->number);
    wire_put_bytes(out, id_span(&d->staff));
    wire_put_text(out, span_text(d->staff_name));
    wire_put_text(out, span_text(d->role));
    wire_put_text(out, span_text(d->label));
    wire_put_bytes(out, span_of(d->public_key, sizeof d->public_key));
    put_former(d, out);
}

static void pass_seed(const pool *p, uint8_t seed_out[CRYPTO_SEED_BYTES]) {
    crypto_sha256_two(SPAN_LITERAL("leadpool pass key 1"), span_of(p->seal_private, sizeof p->seal_private), seed_out);
}

lp_err rejoin_pass(pool *p, const device *d, buf *out, lp_error *error) {
    uint8_t seed[CRYPTO_SEED_BYTES], signature[CRYPTO_SIGNATURE_BYTES];
    buf bytes = {0};
    put_signed_part(p, d, &bytes);
    pass_seed(p, seed);
    lp_err err = bytes.failed ? err_plain(error, LP_NOMEM) : crypto_sign(seed, buf_span(&bytes), signature, error);
    buf_fini(&bytes);
    if (err)
        return err;
    wire_put_array(out, 8);
    wire_put_u64(out, d->number);
    wire_put_bytes(out, id_span(&d->staff));
    wire_put_text(out, span_text(d->staff_name));
    wire_put_text(out, span_text(d->role));
    wire_put_text(out, span_text(d->label));
    wire_put_bytes(out, span_of(d->public_key, sizeof d->public_key));
    put_former(d, out);
    wire_put_bytes(out, span_of(signature, sizeof signature));
    return out->failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

static bool copy_text(char *to, size_t size, span text) {
    if (text.size >= size)
        return false;
    memcpy(to, text.data ? (const void *)text.data : "", text.size);
    to[text.size] = '\0';
    return true;
}

/* The device a pass speaks of, if this pool has given it. */
static bool take_pass(const pool *p, span pass, device *d) {
    *d = (device){.number = 0};
    if (pass.size == 0 || wire_scan(pass, NULL))
        return false;
    wire_reader r = wire_open(pass);
    wire_array(&r);
    d->number = (uint32_t)wire_u64(&r);
    bool ok = id_from_span(wire_bytes(&r), &d->staff);
    ok &= copy_text(d->staff_name, sizeof d->staff_name, wire_text(&r));
    ok &= copy_text(d->role, sizeof d->role, wire_text(&r));
    ok &= copy_text(d->label, sizeof d->label, wire_text(&r));
    span key = wire_bytes(&r);
    uint32_t former = wire_array(&r);
    ok &= former <= DEVICE_FORMER_MAX;
    for (; ok && d->former_count < former; d->former_count++)
        d->former[d->former_count] = (uint32_t)wire_u64(&r);
    span signature = wire_bytes(&r);
    if (!ok || r.failed || key.size != sizeof d->public_key)
        return false;
    memcpy(d->public_key, key.data, key.size);
    uint8_t seed[CRYPTO_SEED_BYTES], public_key[CRYPTO_KEY_BYTES];
    buf bytes = {0};
    pass_seed(p, seed);
    put_signed_part(p, d, &bytes);
    ok = !bytes.failed && !crypto_public_key(seed, public_key, NULL) &&
         !crypto_verify(span_of(public_key, sizeof public_key), buf_span(&bytes), signature, NULL);
    buf_fini(&bytes);
    return ok;
}

/* ---- proof ---- */

/* LP_REFUSED (error untouched) if it is not. */
static lp_err signed_by(const device *d, const message *m, span binding, lp_error *error) {
    buf bytes = {0};
    message_rejoin_signed(m, binding, &bytes);
    lp_err err = bytes.failed ? err_plain(error, LP_NOMEM)
                              : crypto_verify(span_of(d->public_key, sizeof d->public_key), buf_span(&bytes),
                                              m->signature, error);
    buf_fini(&bytes);
    return err;
}

lp_err rejoin_prove(pool *p, store_reader *reader, const message *m, span binding, lp_error *error) {
    device d;
    if (m->public_key.size != CRYPTO_KEY_BYTES || m->install.size != sizeof d.install || m->device == 0 ||
        m->device > UINT32_MAX)
        return err_set(error, LP_PROTOCOL, "the request to become another device is malformed; update the app");
    lp_err err = auth_device(reader, (uint32_t)m->device, &d, error);
    if (err && err != LP_NOT_FOUND)
        return err;
    if (!err && d.revoked_ms)
        return auth_revoked(&d, error);
    if (!err)
        err = signed_by(&d, m, binding, error);
    else
        err = LP_REFUSED;
    if (err == LP_REFUSED && take_pass(p, m->pass, &d) && d.number == m->device)
        err = signed_by(&d, m, binding, error);
    return err == LP_REFUSED ? refuse(error) : err;
}

/* ---- the new device ---- */

typedef struct revoked_walk {
    const device *device;
    bool found;
} revoked_walk;

static lp_err note_revoked(void *ctx, span subject, int64_t at_ms, lp_error *error) {
    revoked_walk *walk = ctx;
    uint32_t number;
    uint8_t key[CRYPTO_KEY_BYTES];
    (void)at_ms;
    (void)error;
    walk->found |= ledger_read_revoked(subject, &number, key) && number == walk->device->number &&
                   memcmp(key, walk->device->public_key, sizeof key) == 0;
    return LP_OK;
}

/* Revoked once, under this key: also if the pool that knew of it is gone. */
static lp_err check_ledger(pool *p, const device *d, lp_error *error) {
    revoked_walk walk = {.device = d};
    device revoked = {.revoked_ms = 1};
    lp_err err = ledger_each(p->ledger, LEDGER_REVOKED, note_revoked, &walk, error);
    return err || !walk.found ? err : auth_revoked(&revoked, error);
}

/* Who the device was: as the pool knows it; else as the pass says, and then the pool knows it again. The number may have been given to
 * somebody else after a restore that nobody announced: then the pass is right about the person, and the document stays. */
static lp_err find_former(pool *p, const message *m, device *d, lp_error *error) {
    device shown;
    bool has_pass = take_pass(p, m->pass, &shown) && shown.number == m->device;
    lp_err err = auth_device_load(p, (uint32_t)m->device, d, error);
    if (err && err != LP_NOT_FOUND)
        return err;
    bool known = err == LP_OK;
    bool another = known && has_pass && memcmp(d->public_key, shown.public_key, sizeof d->public_key) != 0;
    if (!known && !has_pass)
        return refuse(error);
    if (known && !another)
        d->shared = true;
    else
        *d = shown;
    err = check_ledger(p, d, error);
    if (err)
        return err;
    if (!known) {
        err = auth_restore_device(p, d, error);
        return err ? err : access_prepare(p, &d->staff, d->role, error); /* nobody kept the person's scopes */
    }
    return another ? LP_OK : auth_device_save(p, d, error);
}

static void become_new(device *d, const message *m) {
    uint32_t keep = d->former_count < DEVICE_FORMER_MAX ? d->former_count : DEVICE_FORMER_MAX - 1;
    memmove(d->former + 1, d->former, keep * sizeof *d->former);
    d->former[0] = d->number;
    d->former_count = keep + 1;
    memcpy(d->public_key, m->public_key.data, sizeof d->public_key);
    memcpy(d->install, m->install.data, sizeof d->install);
    d->batch = d->fence = 0;
    d->shared = false;
}

lp_err rejoin(pool *p, const message *m, device *device_out, lp_error *error) {
    uint8_t hash[CRYPTO_HASH_BYTES];
    crypto_sha256_two(SPAN_LITERAL("leadpool rejoin 1"), m->public_key, hash);
    span key = span_of(hash, sizeof hash);
    lp_err err = auth_used(p, key, m->public_key, device_out, error);
    if (err != LP_NOT_FOUND)
        return err;
    err = find_former(p, m, device_out, error);
    if (err)
        return err;
    become_new(device_out, m);
    err = auth_add_device(p, device_out, error);
    return err ? err : auth_note_used(p, key, device_out, error);
}
