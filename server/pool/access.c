/* access.c - roles, grants and scopes; see access.h. */
#include "server/pool/access.h"

#include <string.h>

#include "proto/err.h"
#include "proto/wire.h"
#include "server/office/ledger.h"
#include "server/pool/scopes.h"

static void add(access *a, span name, scope_class feed, uint64_t generation, uint64_t until) {
    if (a->count == sizeof a->list / sizeof a->list[0] || name.size > SCOPE_NAME_BYTES_MAX)
        return;
    access_grant *g = &a->list[a->count++];
    *g = (access_grant){.feed = feed, .generation = generation, .until = until};
    memcpy(g->name, name.data, name.size);
    a->standing += until == 0;
}

/* ---- the document ---- */

typedef struct grants {
    uint32_t count;
    access_grant list[ACCESS_GRANTS_MAX];
} grants;

static bool take_grants(span document, grants *out) {
    wire_reader r = wire_open(document);
    uint32_t count = document.size ? wire_array(&r) : 0;
    out->count = 0;
    for (uint32_t i = 0; i < count && i < ACCESS_GRANTS_MAX && !r.failed; i++) {
        access_grant *g = &out->list[out->count++];
        wire_array(&r);
        span name = wire_text(&r);
        *g = (access_grant){.generation = wire_u64(&r), .until = wire_u64(&r)};
        r.failed |= name.size == 0 || name.size > SCOPE_NAME_BYTES_MAX;
        if (!r.failed)
            memcpy(g->name, name.data, name.size);
    }
    return !r.failed;
}

static lp_err put_grants(pool *p, const lp_id *person, const grants *g, lp_error *error) {
    buf value = {0};
    wire_put_array(&value, g->count);
    for (uint32_t i = 0; i < g->count; i++) {
        wire_put_array(&value, 3);
        wire_put_text(&value, span_text(g->list[i].name));
        wire_put_u64(&value, g->list[i].generation);
        wire_put_u64(&value, g->list[i].until);
    }
    lp_err err = value.failed ? err_plain(error, LP_NOMEM)
                              : p->store->ops->put(p->store, STORE_GRANT, id_span(person), buf_span(&value), error);
    buf_fini(&value);
    return err;
}

static bool is_pool(const access_grant *g) {
    return strcmp(g->name, "pool") == 0;
}

/* ---- who may what ---- */

static void compose(const char *role, const lp_id *person, const grants *g, access *a) {
    bool whole = strcmp(role, "manager") == 0;
    uint64_t generation = 0;
    *a = (access){.person = *person};
    add(a, SPAN_LITERAL("setup"), SCOPE_SETUP, 0, 0);
    for (uint32_t i = 0; i < g->count; i++)
        if (is_pool(&g->list[i]) && g->list[i].until == 0) {
            whole = true;
            generation = g->list[i].generation;
        }
    if (whole)
        add(a, SPAN_LITERAL("pool"), SCOPE_POOL, generation, 0);
    else
        add(a, SPAN_LITERAL("mine"), (scope_class)0, 0, 0);
    for (uint32_t i = 0; !whole && i < g->count; i++)
        if (g->list[i].until == 0)
            add(a, span_text(g->list[i].name), (scope_class)0, g->list[i].generation, 0);
    for (uint32_t i = 0; i < g->count; i++)
        if (g->list[i].until || (whole && !is_pool(&g->list[i])))
            add(a, span_text(g->list[i].name), is_pool(&g->list[i]) ? SCOPE_POOL : (scope_class)0,
                g->list[i].generation, g->list[i].until ? g->list[i].until : UINT64_MAX);
}

static lp_err finish(lp_err err, span value, const device *d, access *access_out, lp_error *error) {
    grants g;
    if (err && err != LP_NOT_FOUND)
        return err;
    if (!take_grants(err ? (span){0} : value, &g))
        return err_set(error, LP_CORRUPT, "the grants of %s are damaged; run leadpoold verify", d->staff_name);
    compose(d->role, &d->staff, &g, access_out);
    return LP_OK;
}

lp_err access_read(store_reader *reader, const device *d, access *access_out, lp_error *error) {
    span value = {0};
    lp_err err = reader->ops->read_document(reader, STORE_GRANT, id_span(&d->staff), &value, error);
    return finish(err, value, d, access_out, error);
}

lp_err access_load(pool *p, const device *d, access *access_out, lp_error *error) {
    span value = {0};
    lp_err err = p->store->ops->get(p->store, STORE_GRANT, id_span(&d->staff), &value, error);
    return finish(err, value, d, access_out, error);
}

const access_grant *access_find(const access *a, span name) {
    for (uint32_t i = 0; i < a->standing; i++)
        if (span_equal(span_text(a->list[i].name), name))
            return &a->list[i];
    return NULL;
}

bool access_is_scope(span name) {
    static const char event[] = "event:";
    size_t prefix = sizeof event - 1;
    bool of_event = name.size > prefix && memcmp(name.data, event, prefix) == 0;
    return of_event || span_equal(name, SPAN_LITERAL("pool")) || span_equal(name, SPAN_LITERAL("mine"));
}

bool access_whole_pool(const access *a) {
    return access_find(a, SPAN_LITERAL("pool")) != NULL;
}

void access_scopes(const access *a, buf *out) {
    wire_put_array(out, a->standing);
    for (uint32_t i = 0; i < a->standing; i++)
        wire_put_text(out, span_text(a->list[i].name));
}

/* ---- granting ---- */

static lp_err open_narrow(pool *p, span name, const lp_id *person, lp_error *error) {
    buf key = {0};
    lp_err err = LP_OK;
    if (scopes_key(name, person, &key))
        err = key.failed ? err_plain(error, LP_NOMEM) : scopes_open(p, buf_span(&key), error);
    buf_fini(&key);
    return err;
}

lp_err access_prepare(pool *p, const lp_id *person, const char *role, lp_error *error) {
    span value = {0};
    grants g;
    access a;
    lp_err err = p->store->ops->get(p->store, STORE_GRANT, id_span(person), &value, error);
    if (err && err != LP_NOT_FOUND)
        return err;
    if (!take_grants(err ? (span){0} : value, &g))
        return err_set(error, LP_CORRUPT, "the grants of a person are damaged; run leadpoold verify");
    compose(role, person, &g, &a);
    err = LP_OK;
    for (uint32_t i = 0; !err && i < a.standing; i++)
        err = open_narrow(p, span_text(a.list[i].name), person, error);
    return err;
}

static bool grantable(span scope) {
    static const char event[] = "event:";
    size_t prefix = sizeof event - 1;
    if (span_equal(scope, SPAN_LITERAL("pool")))
        return true;
    if (scope.size <= prefix || scope.size > SCOPE_NAME_BYTES_MAX || memcmp(scope.data, event, prefix) != 0 ||
        !text_valid(scope))
        return false;
    for (size_t i = 0; i < scope.size; i++)
        if (scope.data[i] < 0x20 || scope.data[i] == ',')
            return false;
    return true;
}

static access_grant *find_grant(grants *g, span scope) {
    for (uint32_t i = 0; i < g->count; i++)
        if (span_equal(span_text(g->list[i].name), scope))
            return &g->list[i];
    return NULL;
}

static lp_err change(pool *p, const ledger *notes, const lp_id *person, grants *g, span scope, bool grant,
                     bool *changed_out, lp_error *error) {
    access_grant *now = find_grant(g, scope);
    uint64_t seq;
    *changed_out = grant ? !now || now->until : now && now->until == 0;
    if (!*changed_out)
        return LP_OK;
    if (!now && g->count == ACCESS_GRANTS_MAX)
        return err_set(error, LP_INVALID, "a person cannot be granted more than %d scopes", ACCESS_GRANTS_MAX);
    lp_err err = LP_OK;
    if (notes)
        err = ledger_note_granted(notes, person, scope, grant, pool_now_ms(p), error);
    if (!err)
        err = p->store->ops->take_seq(p->store, 1, &seq, error);
    if (err)
        return err;
    if (now) {
        now->generation += grant;
        now->until = grant ? 0 : seq;
    } else {
        now = &g->list[g->count++];
        *now = (access_grant){0};
        memcpy(now->name, scope.data, scope.size);
    }
    return LP_OK;
}

lp_err access_set(pool *p, const ledger *notes, const lp_id *person, const char *role, span scope, bool grant,
                  lp_error *error) {
    span value = {0};
    grants g;
    bool changed = false;
    if (!grantable(scope))
        return err_set(error, LP_INVALID, "'%.*s' cannot be granted; --scope is pool or event:CODE", (int)scope.size,
                       (const char *)scope.data);
    lp_err err = p->store->ops->get(p->store, STORE_GRANT, id_span(person), &value, error);
    if (err && err != LP_NOT_FOUND)
        return err;
    if (!take_grants(err ? (span){0} : value, &g))
        return err_set(error, LP_CORRUPT, "the grants of a person are damaged; run leadpoold verify");
    err = change(p, notes, person, &g, scope, grant, &changed, error);
    if (!err && changed)
        err = put_grants(p, person, &g, error);
    return err ? err : access_prepare(p, person, role, error);
}

lp_err access_change(pool *p, const char *staff, span scope, bool grant, lp_error *error) {
    span value = {0};
    lp_id person;
    char role[ROLE_BYTES] = "";
    lp_err err = p->store->ops->get(p->store, STORE_STAFF, span_text(staff), &value, error);
    if (err == LP_NOT_FOUND)
        return err_set(error, err, "nobody of the name %s was invited", staff);
    if (err)
        return err;
    wire_reader r = wire_open(value);
    wire_array(&r);
    bool ok = id_from_span(wire_bytes(&r), &person);
    span text = wire_text(&r);
    if (!ok || r.failed || text.size >= sizeof role)
        return err_set(error, LP_CORRUPT, "the stored document of %s is damaged; run leadpoold verify", staff);
    memcpy(role, text.data ? (const void *)text.data : "", text.size);
    return access_set(p, p->ledger, &person, role, scope, grant, error);
}

lp_err access_invite(pool *p, const char *staff, const char *role, const char *scopes, lp_error *error) {
    span value;
    lp_id person;
    for (const char *at = scopes; *at;) {
        size_t size = strcspn(at, ",");
        lp_err err = access_change(p, staff, span_of(at, size), true, error);
        if (err)
            return err;
        at += size + (at[size] == ',');
    }
    lp_err err = p->store->ops->get(p->store, STORE_STAFF, span_text(staff), &value, error);
    wire_reader r = wire_open(err ? (span){0} : value);
    wire_array(&r);
    if (err || !id_from_span(wire_bytes(&r), &person))
        return err ? err
                   : err_set(error, LP_CORRUPT, "the stored document of %s is damaged; run leadpoold verify", staff);
    return access_prepare(p, &person, role, error);
}
