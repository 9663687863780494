/* auth.c - invitations, staff, devices; see auth.h.
 *
 *   invite  key SHA-256 of the token   [ staff id, staff name, role, expires ms, device number or 0, public key or empty ]
 *   staff   key name                   [ id, role ]
 *   device  key number, 4 bytes        [ staff id, staff name, role, label, public key, install, batch, fence, revoked ms,
 *                                      [ former number, ... ], shared ]
 *   meta    "device.next"              the next device number
 *
 * Staff and devices are also records of scope setup, so that every replica can put a name to a stamp. */
#include "server/pool/auth.h"

#include <string.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/wire.h"
#include "server/pool/apply.h"
#include "server/pool/epochs.h"

/* ---- documents ---- */

static bool copy_text(char *to, size_t size, span text) {
    if (text.size >= size)
        return false;
    memcpy(to, text.data ? (const void *)text.data : "", text.size);
    to[text.size] = '\0';
    return true;
}

static void device_key(uint32_t number, uint8_t key_out[4]) {
    for (int i = 0; i < 4; i++)
        key_out[i] = (uint8_t)(number >> (24 - 8 * i));
}

static bool take_device(span document, uint32_t number, device *d) {
    *d = (device){.number = number};
    wire_reader r = wire_open(document);
    wire_array(&r);
    bool ok = id_from_span(wire_bytes(&r), &d->staff);
    ok &= copy_text(d->staff_name, sizeof d->staff_name, wire_text(&r));
    ok &= copy_text(d->role, sizeof d->role, wire_text(&r));
    ok &= copy_text(d->label, sizeof d->label, wire_text(&r));
    span key = wire_bytes(&r);
    span install = wire_bytes(&r);
    d->batch = wire_u64(&r);
    d->fence = wire_u64(&r);
    d->revoked_ms = wire_i64(&r);
    uint32_t former = wire_array(&r);
    ok &= former <= DEVICE_FORMER_MAX;
    for (; ok && d->former_count < former; d->former_count++)
        d->former[d->former_count] = (uint32_t)wire_u64(&r);
    d->shared = wire_bool(&r);
    if (!ok || r.failed || key.size != sizeof d->public_key || install.size != sizeof d->install)
        return false;
    memcpy(d->public_key, key.data, key.size);
    memcpy(d->install, install.data, install.size);
    return true;
}

static lp_err damaged_device(uint32_t number, lp_error *error) {
    return err_set(error, LP_CORRUPT, "the stored document of device %u is damaged; run leadpoold verify", number);
}

lp_err auth_device(store_reader *reader, uint32_t number, device *device_out, lp_error *error) {
    uint8_t key[4];
    span value;
    device_key(number, key);
    lp_err err = reader->ops->read_document(reader, STORE_DEVICE, span_of(key, sizeof key), &value, error);
    if (err)
        return err;
    return take_device(value, number, device_out) ? LP_OK : damaged_device(number, error);
}

lp_err auth_device_load(pool *p, uint32_t number, device *device_out, lp_error *error) {
    uint8_t key[4];
    span value;
    device_key(number, key);
    lp_err err = p->store->ops->get(p->store, STORE_DEVICE, span_of(key, sizeof key), &value, error);
    if (err)
        return err;
    return take_device(value, number, device_out) ? LP_OK : damaged_device(number, error);
}

/* Stores a document that was built in `document`, and frees it. */
static lp_err put_document(pool *p, store_space space, span key, buf *document, lp_error *error) {
    lp_err err = document->failed ? err_plain(error, LP_NOMEM)
                                  : p->store->ops->put(p->store, space, key, buf_span(document), error);
    buf_fini(document);
    return err;
}

lp_err auth_device_save(pool *p, const device *d, lp_error *error) {
    uint8_t key[4];
    buf document = {0};
    device_key(d->number, key);
    wire_put_array(&document, 11);
    wire_put_bytes(&document, id_span(&d->staff));
    wire_put_text(&document, span_text(d->staff_name));
    wire_put_text(&document, span_text(d->role));
    wire_put_text(&document, span_text(d->label));
    wire_put_bytes(&document, span_of(d->public_key, sizeof d->public_key));
    wire_put_bytes(&document, span_of(d->install, sizeof d->install));
    wire_put_u64(&document, d->batch);
    wire_put_u64(&document, d->fence);
    wire_put_i64(&document, d->revoked_ms);
    wire_put_array(&document, d->former_count);
    for (uint32_t i = 0; i < d->former_count; i++)
        wire_put_u64(&document, d->former[i]);
    wire_put_bool(&document, d->shared);
    return put_document(p, STORE_DEVICE, span_of(key, sizeof key), &document, error);
}

/* ---- what every replica may know ---- */

static lp_err publish_staff(pool *p, const lp_id *id, const char *name, const char *role, lp_error *error) {
    buf name_value = {0};
    buf role_value = {0};
    wire_put_text(&name_value, span_text(name));
    wire_put_text(&role_value, span_text(role));
    reg regs[] = {{.field = STAFF_NAME, .value = buf_span(&name_value)},
                  {.field = STAFF_ROLE, .value = buf_span(&role_value)}};
    lp_err err = name_value.failed || role_value.failed ? err_plain(error, LP_NOMEM)
                                                        : apply_own(p, KIND_STAFF, id, regs, 2, error);
    buf_fini(&name_value);
    buf_fini(&role_value);
    return err;
}

static lp_id device_id(pool *p, uint32_t number) {
    buf name = {0};
    wire_put_u64(&name, number);
    lp_id id = id_derive(&p->secret, buf_span(&name));
    buf_fini(&name);
    return id;
}

static lp_err publish_device(pool *p, const device *d, lp_error *error) {
    buf number = {0};
    buf staff = {0};
    buf label = {0};
    wire_put_u64(&number, d->number);
    wire_put_bytes(&staff, id_span(&d->staff));
    wire_put_text(&label, span_text(d->label));
    reg regs[] = {{.field = DEVICE_NUMBER, .value = buf_span(&number)},
                  {.field = DEVICE_STAFF, .value = buf_span(&staff)},
                  {.field = DEVICE_LABEL, .value = buf_span(&label)}};
    lp_id id = device_id(p, d->number);
    lp_err err = number.failed || staff.failed || label.failed ? err_plain(error, LP_NOMEM)
                                                               : apply_own(p, KIND_DEVICE, &id, regs, 3, error);
    buf_fini(&number);
    buf_fini(&staff);
    buf_fini(&label);
    return err;
}

/* ---- revoking ---- */

lp_err auth_revoke(pool *p, device *d, int64_t at_ms, lp_error *error) {
    buf at = {0};
    d->revoked_ms = at_ms;
    wire_put_i64(&at, at_ms);
    reg revoked = {.field = DEVICE_REVOKED, .value = buf_span(&at)};
    lp_id id = device_id(p, d->number);
    lp_err err = at.failed ? err_plain(error, LP_NOMEM) : auth_device_save(p, d, error);
    if (!err)
        err = apply_own(p, KIND_DEVICE, &id, &revoked, 1, error);
    buf_fini(&at);
    return err;
}

lp_err auth_revoked(const device *d, lp_error *error) {
    if (d->revoked_ms == 0)
        return LP_OK;
    return err_set(error, LP_REVOKED, "%s", REVOKED_REASON);
}

typedef struct walk {
    auth_device_fn each;
    void *ctx;
    uint32_t damaged; /* number of the device whose document is */
} walk;

static bool visit(void *ctx, span key, span value) {
    walk *w = ctx;
    device d;
    uint32_t number = 0;
    for (size_t i = 0; i < key.size; i++)
        number = number << 8 | key.data[i];
    if (take_device(value, number, &d))
        return w->each(w->ctx, &d);
    w->damaged = number;
    return false;
}

lp_err auth_each_device(pool *p, auth_device_fn each, void *ctx, lp_error *error) {
    walk w = {.each = each, .ctx = ctx};
    lp_err err = p->store->ops->each(p->store, STORE_DEVICE, (span){0}, visit, &w, error);
    return !err && w.damaged ? damaged_device(w.damaged, error) : err;
}

/* ---- inviting ---- */

static bool name_allowed(const char *name) {
    span text = span_text(name);
    if (text.size == 0 || text.size >= STAFF_NAME_BYTES || !text_valid(text))
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    return true;
}

/* The person's id: known already under this name, or new. */
static lp_err find_staff(pool *p, const char *name, const char *role, lp_id *id_out, lp_error *error) {
    span value;
    lp_err err = p->store->ops->get(p->store, STORE_STAFF, span_text(name), &value, error);
    if (!err) {
        wire_reader r = wire_open(value);
        wire_array(&r);
        if (!id_from_span(wire_bytes(&r), id_out))
            return err_set(error, LP_CORRUPT, "the stored document of %s is damaged; run leadpoold verify", name);
        return publish_staff(p, id_out, name, role, error);
    }
    if (err != LP_NOT_FOUND)
        return err;
    *id_out = id_new(p->env, pool_now_ms(p));
    buf document = {0};
    wire_put_array(&document, 2);
    wire_put_bytes(&document, id_span(id_out));
    wire_put_text(&document, span_text(role));
    err = put_document(p, STORE_STAFF, span_text(name), &document, error);
    return err ? err : publish_staff(p, id_out, name, role, error);
}

typedef struct invitation {
    lp_id staff;
    char staff_name[STAFF_NAME_BYTES];
    char role[ROLE_BYTES];
    int64_t expires_ms;
    uint64_t device; /* 0: not used yet */
    uint8_t public_key[32];
} invitation;

static lp_err save_invitation(pool *p, span key, const invitation *inv, lp_error *error) {
    buf document = {0};
    wire_put_array(&document, 6);
    wire_put_bytes(&document, id_span(&inv->staff));
    wire_put_text(&document, span_text(inv->staff_name));
    wire_put_text(&document, span_text(inv->role));
    wire_put_i64(&document, inv->expires_ms);
    wire_put_u64(&document, inv->device);
    wire_put_bytes(&document, span_of(inv->public_key, inv->device ? sizeof inv->public_key : 0));
    return put_document(p, STORE_INVITE, key, &document, error);
}

static bool take_invitation(span document, invitation *inv) {
    *inv = (invitation){0};
    wire_reader r = wire_open(document);
    wire_array(&r);
    bool ok = id_from_span(wire_bytes(&r), &inv->staff);
    ok &= copy_text(inv->staff_name, sizeof inv->staff_name, wire_text(&r));
    ok &= copy_text(inv->role, sizeof inv->role, wire_text(&r));
    inv->expires_ms = wire_i64(&r);
    inv->device = wire_u64(&r);
    span key = wire_bytes(&r);
    if (key.size == sizeof inv->public_key)
        memcpy(inv->public_key, key.data, key.size);
    return ok && !r.failed;
}

lp_err auth_invite(pool *p, const char *staff_name, const char *role, uint8_t token_out[INVITE_TOKEN_BYTES],
                   int64_t *expires_ms_out, lp_error *error) {
    if (!name_allowed(staff_name))
        return err_set(error, LP_INVALID, "a person's name is 1 to %d bytes of UTF-8 on one line; give another --staff",
                       STAFF_NAME_BYTES - 1);
    if (strcmp(role, "rep") != 0 && strcmp(role, "manager") != 0)
        return err_set(error, LP_INVALID, "there is no role %.40s; --role is rep or manager", role);
    invitation inv = {.expires_ms = pool_now_ms(p) + INVITE_LIFETIME_MS};
    copy_text(inv.staff_name, sizeof inv.staff_name, span_text(staff_name));
    copy_text(inv.role, sizeof inv.role, span_text(role));
    lp_err err = find_staff(p, staff_name, role, &inv.staff, error);
    if (err)
        return err;
    p->env->random(p->env->ctx, token_out, INVITE_TOKEN_BYTES);
    uint8_t hash[CRYPTO_HASH_BYTES];
    crypto_sha256(span_of(token_out, INVITE_TOKEN_BYTES), hash);
    *expires_ms_out = inv.expires_ms;
    return save_invitation(p, span_of(hash, sizeof hash), &inv, error);
}

/* ---- joining ---- */

/* The next number, and `count` of them are taken. */
static lp_err take_numbers(pool *p, uint32_t count, uint32_t *number_out, lp_error *error) {
    span value;
    uint64_t number = DEVICE_NUMBER_MIN;
    lp_err err = p->store->ops->get(p->store, STORE_META, SPAN_LITERAL("device.next"), &value, error);
    if (err && err != LP_NOT_FOUND)
        return err;
    if (!err) {
        wire_reader r = wire_open(value);
        number = wire_u64(&r);
        if (r.failed || number < DEVICE_NUMBER_MIN || number >= UINT32_MAX - count)
            return err_set(error, LP_CORRUPT, "the next device number is damaged; run leadpoold verify");
    }
    *number_out = (uint32_t)number;
    buf document = {0};
    wire_put_u64(&document, number + count);
    return put_document(p, STORE_META, SPAN_LITERAL("device.next"), &document, error);
}

lp_err auth_skip_numbers(pool *p, uint32_t count, lp_error *error) {
    uint32_t first;
    return take_numbers(p, count, &first, error);
}

static lp_err check_join(const message *join, lp_error *error) {
    if (join->token.size != INVITE_TOKEN_BYTES || join->public_key.size != 32 || join->install.size != 16)
        return err_set(error, LP_PROTOCOL, "the request to join is malformed; update the app");
    return LP_OK;
}

lp_err auth_join(pool *p, const message *join, device *device_out, lp_error *error) {
    lp_err err = check_join(join, error);
    if (err)
        return err;
    uint8_t hash[CRYPTO_HASH_BYTES];
    crypto_sha256(join->token, hash);
    span key = span_of(hash, sizeof hash);
    span value;
    invitation inv;
    err = p->store->ops->get(p->store, STORE_INVITE, key, &value, error);
    if (err == LP_NOT_FOUND)
        return err_set(error, LP_REFUSED, "this pool does not know the invitation; ask for a new one");
    if (!err && !take_invitation(value, &inv))
        err = err_set(error, LP_CORRUPT, "a stored invitation is damaged; run leadpoold verify");
    if (err)
        return err;
    /* The answer may have been lost on the way: the same device asking again gets the same answer. */
    if (inv.device && span_equal(join->public_key, span_of(inv.public_key, sizeof inv.public_key)))
        return auth_device_load(p, (uint32_t)inv.device, device_out, error);
    if (inv.device)
        return err_set(error, LP_REFUSED, "the invitation was used already; ask for a new one");
    if (pool_now_ms(p) > inv.expires_ms)
        return err_set(error, LP_EXPIRED, "the invitation has expired; ask for a new one");
    device *d = device_out;
    *d = (device){.staff = inv.staff};
    memcpy(d->staff_name, inv.staff_name, sizeof d->staff_name);
    memcpy(d->role, inv.role, sizeof d->role);
    memcpy(d->public_key, join->public_key.data, sizeof d->public_key);
    memcpy(d->install, join->install.data, sizeof d->install);
    if (join->label.size == 0 || !copy_text(d->label, sizeof d->label, join->label))
        copy_text(d->label, sizeof d->label, SPAN_LITERAL("device"));
    err = auth_add_device(p, d, error);
    if (err)
        return err;
    inv.device = d->number;
    memcpy(inv.public_key, d->public_key, sizeof inv.public_key);
    return save_invitation(p, key, &inv, error);
}

lp_err auth_add_device(pool *p, device *d, lp_error *error) {
    lp_err err = take_numbers(p, 1, &d->number, error);
    if (!err)
        err = auth_device_save(p, d, error);
    return err ? err : publish_device(p, d, error);
}

/* ---- becoming another device (rejoin.h) ---- */

bool auth_wrote(const device *d, uint32_t author) {
    bool own = author == d->number;
    for (uint32_t i = 0; i < d->former_count; i++)
        own |= author == d->former[i];
    return own;
}

/* Where one device was forgotten, others with numbers near by were too. */
static lp_err skip_past(pool *p, uint32_t number, lp_error *error) {
    uint32_t next;
    lp_err err = take_numbers(p, 1, &next, error);
    return err || next > number ? err : auth_skip_numbers(p, number - next + EPOCH_NUMBERS_SKIPPED, error);
}

/* The person may have been invited after the backup, too. */
lp_err auth_restore_device(pool *p, const device *d, lp_error *error) {
    span value;
    lp_err err = p->store->ops->get(p->store, STORE_STAFF, span_text(d->staff_name), &value, error);
    if (err == LP_NOT_FOUND) {
        buf document = {0};
        wire_put_array(&document, 2);
        wire_put_bytes(&document, id_span(&d->staff));
        wire_put_text(&document, span_text(d->role));
        err = put_document(p, STORE_STAFF, span_text(d->staff_name), &document, error);
        if (!err)
            err = publish_staff(p, &d->staff, d->staff_name, d->role, error);
    }
    if (!err)
        err = skip_past(p, d->number, error);
    if (!err)
        err = auth_device_save(p, d, error);
    return err ? err : publish_device(p, d, error);
}

lp_err auth_used(pool *p, span key, span public_key, device *device_out, lp_error *error) {
    span value;
    invitation inv;
    lp_err err = p->store->ops->get(p->store, STORE_INVITE, key, &value, error);
    if (err)
        return err;
    if (!take_invitation(value, &inv) || !inv.device)
        return err_set(error, LP_CORRUPT,
                       "the memory of a device that became another is damaged; run leadpoold verify");
    return span_equal(public_key, span_of(inv.public_key, sizeof inv.public_key))
               ? auth_device_load(p, (uint32_t)inv.device, device_out, error)
               : LP_NOT_FOUND;
}

lp_err auth_note_used(pool *p, span key, const device *d, lp_error *error) {
    invitation inv = {.staff = d->staff, .device = d->number};
    memcpy(inv.staff_name, d->staff_name, sizeof inv.staff_name);
    memcpy(inv.role, d->role, sizeof inv.role);
    memcpy(inv.public_key, d->public_key, sizeof inv.public_key);
    return save_invitation(p, key, &inv, error);
}

lp_err auth_hello(const device *d, const message *hello, span binding, lp_error *error) {
    buf bytes = {0};
    message_hello_signed(hello, binding, &bytes);
    lp_err err = bytes.failed ? err_plain(error, LP_NOMEM)
                              : crypto_verify(span_of(d->public_key, sizeof d->public_key), buf_span(&bytes),
                                              hello->signature, error);
    buf_fini(&bytes);
    return err == LP_REFUSED
               ? err_set(error, LP_REFUSED, "the device could not prove who it is; join again with a new invitation")
               : err;
}
