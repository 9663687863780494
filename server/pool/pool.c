/* pool.c - the pool's own documents; see pool.h.
 *
 *   meta "pool"       [ id, name, created ms, secret, sealing key (private) ]
 *   meta "clock"      [ hybrid time of the last stamp the server made or saw, high-water mark of server time ]
 *   meta "digest.N"   digest of scope class N, 16 bytes */
#include "server/pool/pool.h"

#include <string.h>

#include "proto/err.h"
#include "proto/wire.h"
#include "server/pool/scopes.h"
#include "server/pool/epochs.h"

static span digest_key(scope_class scope) {
    return scope == SCOPE_SETUP ? SPAN_LITERAL("digest.1") : SPAN_LITERAL("digest.2");
}

static void put_pool_document(buf *out, const lp_id *id, const char *name, int64_t created_ms, const lp_env *env) {
    lp_id secret;
    uint8_t seal_private[CRYPTO_SEAL_KEY_BYTES];
    env->random(env->ctx, secret.bytes, sizeof secret.bytes);
    env->random(env->ctx, seal_private, sizeof seal_private);
    wire_put_array(out, 5);
    wire_put_bytes(out, id_span(id));
    wire_put_text(out, span_text(name));
    wire_put_i64(out, created_ms);
    wire_put_bytes(out, id_span(&secret));
    wire_put_bytes(out, span_of(seal_private, sizeof seal_private));
}

lp_err pool_create(store *s, const lp_env *env, const char *name, lp_error *error) {
    span text = span_text(name);
    if (text.size == 0 || text.size >= POOL_NAME_BYTES || !text_valid(text))
        return err_set(error, LP_INVALID, "a pool's name is 1 to %d bytes of UTF-8; choose another",
                       POOL_NAME_BYTES - 1);
    int64_t now_ms = env->wall_ms(env->ctx);
    lp_id id = id_new(env, now_ms);
    buf document = {0};
    put_pool_document(&document, &id, name, now_ms, env);
    lp_err err = document.failed ? err_plain(error, LP_NOMEM) : s->ops->begin(s, error);
    if (!err)
        err = s->ops->put(s, STORE_META, SPAN_LITERAL("pool"), buf_span(&document), error);
    if (!err)
        err = epochs_create(s, env, error);
    if (!err)
        err = s->ops->commit(s, error);
    if (err)
        s->ops->rollback(s);
    buf_fini(&document);
    return err;
}

static bool take_pool_document(pool *p, span document) {
    wire_reader r = wire_open(document);
    wire_array(&r);
    span id = wire_bytes(&r);
    span name = wire_text(&r);
    wire_i64(&r);
    span secret = wire_bytes(&r);
    span key = wire_bytes(&r);
    if (r.failed || !id_from_span(secret, &p->secret) || !id_from_span(id, &p->id) || name.size >= sizeof p->name ||
        key.size != sizeof p->seal_private)
        return false;
    memcpy(p->name, name.data, name.size);
    memcpy(p->seal_private, key.data, key.size);
    return crypto_seal_public(p->seal_private, p->seal_key, NULL) == LP_OK;
}

static lp_err read_clock(pool *p, int64_t *high_ms_out, lp_error *error) {
    span value;
    lp_err err = p->store->ops->get(p->store, STORE_META, SPAN_LITERAL("clock"), &value, error);
    *high_ms_out = 0;
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    wire_reader r = wire_open(value);
    wire_array(&r);
    p->clock.last = wire_u64(&r);
    *high_ms_out = wire_i64(&r);
    return r.failed ? err_set(error, LP_CORRUPT, "the stored clock is damaged; run leadpoold verify") : LP_OK;
}

static lp_err load(pool *p, int64_t *high_ms_out, lp_error *error) {
    store *s = p->store;
    span value;
    lp_err err = s->ops->get(s, STORE_META, SPAN_LITERAL("pool"), &value, error);
    if (err == LP_NOT_FOUND || (!err && !take_pool_document(p, value)))
        return err_set(error, LP_CORRUPT, "the store does not say which pool it holds; restore a backup");
    for (int scope = SCOPE_SETUP; !err && scope <= SCOPE_POOL; scope++) {
        err = s->ops->get(s, STORE_META, digest_key((scope_class)scope), &value, error);
        if (err == LP_NOT_FOUND)
            err = LP_OK;
        else if (!err && !digest_unpack(value, &p->digests[scope]))
            err = err_set(error, LP_CORRUPT, "a stored digest is damaged; run leadpoold verify");
    }
    if (!err)
        err = scopes_load(p, error);
    return err ? err : read_clock(p, high_ms_out, error);
}

lp_err pool_reload(pool *p, lp_error *error) {
    int64_t high_ms;
    return load(p, &high_ms, error);
}

lp_err pool_open(pool *p, store *s, const lp_env *env, lp_error *error) {
    *p = (pool){.env = env,
                .store = s,
                .scrub_due = true, /* whoever stopped before may have owed it */
                .backup_retention_ms = BACKUP_RETENTION_MS,
                .retention_ms = RETENTION_DAYS * DAY_MS,
                .revoked_grace_ms = REVOKED_GRACE_DAYS * DAY_MS,
                .clock = {.author = SERVER_AUTHOR}};
    lp_err err = s->ops->begin(s, error);
    if (err)
        return err;
    int64_t high_ms;
    err = load(p, &high_ms, error);
    p->opened_seq = s->ops->last_seq(s);
    p->opened_boot_ms = env->boot_ms(env->ctx);
    s->ops->rollback(s);
    if (err)
        return err;
    timekeeper_start(&p->time, env, high_ms);
    p->greetings = greetings_new();
    return p->greetings ? digester_new(&p->id, &p->digester, error) : err_plain(error, LP_NOMEM);
}

void pool_close(pool *p) {
    digester_free(p->digester);
    greetings_free(p->greetings);
    scopes_free(&p->scopes);
    p->digester = NULL;
    p->greetings = NULL;
}

int64_t pool_now_ms(pool *p) {
    return timekeeper_now_ms(&p->time);
}

int64_t pool_opened_ms(pool *p) {
    return pool_now_ms(p) - (p->env->boot_ms(p->env->ctx) - p->opened_boot_ms);
}

int64_t pool_told_ms(pool *p) {
    return timekeeper_troubled(&p->time, NULL) ? 0 : pool_now_ms(p);
}

lp_err pool_save_digests(pool *p, lp_error *error) {
    for (int scope = SCOPE_SETUP; scope <= SCOPE_POOL; scope++) {
        uint8_t bytes[DIGEST_BYTES];
        digest_pack(p->digests[scope], bytes);
        lp_err err = p->store->ops->put(p->store, STORE_META, digest_key((scope_class)scope),
                                        span_of(bytes, sizeof bytes), error);
        if (err)
            return err;
    }
    lp_err saved = scopes_save(p, error);
    if (saved)
        return saved;
    buf clock = {0};
    wire_put_array(&clock, 2);
    wire_put_u64(&clock, p->clock.last);
    wire_put_i64(&clock, p->trusting ? p->env->wall_ms(p->env->ctx) : pool_now_ms(p));
    lp_err err = clock.failed
                     ? err_plain(error, LP_NOMEM)
                     : p->store->ops->put(p->store, STORE_META, SPAN_LITERAL("clock"), buf_span(&clock), error);
    buf_fini(&clock);
    return err;
}

lp_err pool_scope_digest(store_reader *reader, scope_class scope, digest *digest_out, lp_error *error) {
    span value;
    *digest_out = (digest){0, 0};
    lp_err err = reader->ops->read_document(reader, STORE_META, digest_key(scope), &value, error);
    if (err == LP_NOT_FOUND)
        return LP_OK;
    if (err)
        return err;
    return digest_unpack(value, digest_out)
               ? LP_OK
               : err_set(error, LP_CORRUPT, "a stored digest is damaged; run leadpoold verify");
}

lp_err pool_digest(store_reader *reader, digest *digest_out, lp_error *error) {
    return pool_scope_digest(reader, SCOPE_POOL, digest_out, error);
}
