/* regrant.c - see regrant.h. */
#include "server/office/regrant.h"

#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "server/pool/access.h"
#include "server/office/ledger.h"

/* The last word on each person and scope. */
typedef struct words {
    ledger_grant *list;
    size_t count, capacity;
} words;

static bool same(const ledger_grant *a, const ledger_grant *b) {
    return id_equal(&a->person, &b->person) &&
           span_equal(span_of(a->scope, a->scope_size), span_of(b->scope, b->scope_size));
}

static lp_err add(words *w, const ledger_grant *g, lp_error *error) {
    for (size_t i = 0; i < w->count; i++)
        if (same(&w->list[i], g)) {
            w->list[i].granted = g->granted;
            return LP_OK;
        }
    if (w->count == w->capacity) {
        size_t capacity = w->capacity ? w->capacity * 2 : 16;
        ledger_grant *list = realloc(w->list, capacity * sizeof *list);
        if (!list)
            return err_plain(error, LP_NOMEM);
        w->list = list;
        w->capacity = capacity;
    }
    w->list[w->count++] = *g;
    return LP_OK;
}

static lp_err add_word(void *ctx, span subject, int64_t at_ms, lp_error *error) {
    ledger_grant g;
    (void)at_ms;
    if (!ledger_read_granted(subject, &g))
        return err_set(error, LP_CORRUPT, "the ledger of grants names %.*s, which is no person and scope",
                       (int)(subject.size < 80 ? subject.size : 80), (const char *)subject.data);
    return add(ctx, &g, error);
}

typedef struct role_walk {
    const lp_id *person;
    char role[ROLE_BYTES]; /* of somebody unknown: the one that is given the least */
} role_walk;

static bool note_role(void *ctx, span key, span value) {
    role_walk *walk = ctx;
    lp_id id;
    (void)key;
    wire_reader r = wire_open(value);
    wire_array(&r);
    bool sought = id_from_span(wire_bytes(&r), &id) && id_equal(&id, walk->person);
    span role = wire_text(&r);
    if (sought && !r.failed && role.size < sizeof walk->role) {
        memcpy(walk->role, role.data, role.size);
        walk->role[role.size] = '\0';
    }
    return !sought;
}

static lp_err set(pool *p, const ledger_grant *g, lp_error *error) {
    role_walk walk = {&g->person, "rep"};
    lp_err err = p->store->ops->each(p->store, STORE_STAFF, (span){0}, note_role, &walk, error);
    return err ? err : access_set(p, NULL, &g->person, walk.role, span_of(g->scope, g->scope_size), g->granted, error);
}

lp_err regrant_replay(pool *p, lp_error *error) {
    words w = {0};
    lp_err err = ledger_each(p->ledger, LEDGER_GRANTED, add_word, &w, error);
    for (size_t i = 0; !err && i < w.count; i++)
        err = set(p, &w.list[i], error);
    free(w.list);
    return err;
}
