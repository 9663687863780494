/* holdings.c - scopes and the records they hold on this device; see holdings.h. */
#include "client/replica/holdings.h"

#include <assert.h>
#include <string.h>

#include "client/find/search.h"
#include "client/replica/statements.h"
#include "proto/bug.h"
#include "proto/err.h"
#include "proto/schema.h"

static uint64_t bit_of(const held_scope *scope) {
    return UINT64_C(1) << scope->number;
}

/* ---- the scopes ---- */

static lp_err take_scope(held_scopes *all, sqlite3_stmt *s, lp_error *error) {
    held_scope *scope = &all->list[all->count];
    span name = column_span(s, 1);
    int64_t number = sqlite3_column_int64(s, 0);
    /* A number stands once in the table: there are no more scopes than numbers. */
    if (number < 0 || number >= HELD_SCOPES_MAX || name.size >= sizeof scope->name ||
        !digest_unpack(column_span(s, 2), &scope->sum))
        return err_set(error, LP_CORRUPT, "the replica's digest is damaged; keep the file and join again");
    scope->number = (uint32_t)number;
    memcpy(scope->name, name.data, name.size);
    scope->name[name.size] = '\0';
    scope->reading = (reading_state)sqlite3_column_int(s, 3);
    scope->changed = false;
    all->count++;
    return LP_OK;
}

lp_err holdings_load(replica *r, lp_error *error) {
    r->scopes.count = 0;
    sqlite3_stmt *s = statement(r, STATEMENT_SCOPES, error);
    if (!s)
        return LP_IO;
    lp_err err;
    while (!(err = statement_row(r, s, "read the replica", error)))
        if ((err = take_scope(&r->scopes, s, error)))
            break;
    sqlite3_reset(s);
    int64_t leaving = 0;
    if (err == LP_NOT_FOUND)
        err = statement_int(r, STATEMENT_LEAVING_ANY, &leaving, error);
    r->scopes.leaving = leaving != 0;
    return err;
}

lp_err holdings_store(replica *r, lp_error *error) {
    for (uint32_t i = 0; i < r->scopes.count; i++) {
        held_scope *scope = &r->scopes.list[i];
        uint8_t bytes[DIGEST_BYTES];
        if (!scope->changed)
            continue;
        sqlite3_stmt *s = statement(r, STATEMENT_SCOPE_PUT, error);
        if (!s)
            return LP_IO;
        digest_pack(scope->sum, bytes);
        sqlite3_bind_int64(s, 1, scope->number);
        sqlite3_bind_text(s, 2, scope->name, -1, SQLITE_STATIC);
        bind_span(s, 3, span_of(bytes, sizeof bytes));
        sqlite3_bind_int(s, 4, (int)scope->reading);
        lp_err err = statement_run(r, s, "save", error);
        if (err)
            return err;
        scope->changed = false;
    }
    return LP_OK;
}

static void touch(replica *r, held_scope *scope) {
    scope->changed = true;
    r->touched = true;
}

held_scope *holdings_find(replica *r, span name) {
    for (uint32_t i = 0; i < r->scopes.count; i++)
        if (span_equal(span_text(r->scopes.list[i].name), name))
            return &r->scopes.list[i];
    return NULL;
}

static uint32_t free_number(const replica *r) {
    uint64_t used = 0;
    uint32_t number = 0;
    for (uint32_t i = 0; i < r->scopes.count; i++)
        used |= bit_of(&r->scopes.list[i]);
    while (used >> number & 1)
        number++;
    return number;
}

held_scope *holdings_open_scope(replica *r, span name) {
    held_scope *scope = holdings_find(r, name);
    if (scope)
        return scope;
    assert(r->scopes.count < HELD_SCOPES_MAX && name.size > 0 && name.size <= SCOPE_NAME_BYTES_MAX);
    scope = &r->scopes.list[r->scopes.count];
    *scope = (held_scope){.number = free_number(r)};
    memcpy(scope->name, name.data, name.size);
    r->scopes.count++;
    touch(r, scope);
    return scope;
}

/* ---- holding ---- */

void holdings_count(replica *r, const layers *l, const reg *added, const reg *removed) {
    if (!l->held)
        return;
    digest plus = {0}, minus = {0};
    if (added)
        plus = digest_term(r->digester, l->server.kind, &l->server.id, added);
    if (removed)
        minus = digest_term(r->digester, l->server.kind, &l->server.id, removed);
    for (uint32_t i = 0; i < r->scopes.count; i++) {
        held_scope *scope = &r->scopes.list[i];
        if (!(l->held & bit_of(scope)))
            continue;
        digest_minus(&scope->sum, minus);
        digest_plus(&scope->sum, plus);
        touch(r, scope);
    }
}

/* The sum over what the server is known to have of a record. */
static digest sum_of(replica *r, const record *server) {
    digest sum = {0};
    for (uint32_t i = 0; i < server->count; i++)
        digest_add(r->digester, &sum, server->kind, &server->id, &server->regs[i]);
    return sum;
}

void holdings_hold(replica *r, held_scope *scope, layers *l) {
    if (l->held & bit_of(scope))
        return;
    const record *server = l->layered ? &l->server : &l->visible;
    /* Opened by rid, the server layer stands apart though nothing is layered. */
    if (l->apart)
        server = &l->server;
    digest_plus(&scope->sum, sum_of(r, server));
    l->held_anew = true;
    l->held |= bit_of(scope);
    touch(r, scope);
}

/* What a newer version knows belongs to the pool, as far as this one can tell. */
static bool belongs_to_pool(uint32_t kind) {
    const kind_info *info = schema_kind(kind);
    return !info || info->scope == SCOPE_POOL;
}

lp_err holdings_hold_pool(replica *r, layers *l, lp_error *error) {
    held_scope *pool = holdings_find(r, SPAN_LITERAL("pool"));
    if (!pool || (l->held & bit_of(pool)) || !belongs_to_pool(l->server.kind))
        return LP_OK;
    holdings_hold(r, pool, l);
    return holdings_note_came(r, pool, l->rid, error);
}

static lp_err put_held(replica *r, int64_t rid, uint64_t held, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_HELD_PUT, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    sqlite3_bind_int64(s, 2, (int64_t)held);
    return statement_run(r, s, "save", error);
}

/* One record the server has something of. */
static lp_err hold_rid(replica *r, held_scope *scope, int64_t rid, bool *held_out, lp_error *error) {
    layers l;
    lp_err err = layers_open_rid(r, rid, &l, error);
    if (!err && l.server.count && belongs_to_pool(l.server.kind)) {
        holdings_hold(r, scope, &l);
        err = put_held(r, rid, l.held, error);
        *held_out = true;
        /* The scope it was held by may have been closed in this very transaction. */
        if (!err && r->scopes.leaving)
            err = statement_run_int(r, STATEMENT_LEAVING_DROP, rid, error);
    }
    layers_close(&l);
    return err;
}

/* Holds what a query with two parameters, the scope's number and the last rid, finds. */
static lp_err hold_found(replica *r, held_scope *scope, statement_name query, bool *held_out, lp_error *error) {
    int64_t after = 0;
    *held_out = false;
    for (;;) {
        sqlite3_stmt *s = statement(r, query, error);
        if (!s)
            return LP_IO;
        sqlite3_bind_int64(s, 1, scope->number);
        sqlite3_bind_int64(s, 2, after);
        lp_err err = statement_row(r, s, "read the replica", error);
        if (err)
            return err == LP_NOT_FOUND ? LP_OK : err;
        after = sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
        err = hold_rid(r, scope, after, held_out, error);
        if (err)
            return err;
    }
}

lp_err holdings_hold_acknowledged(replica *r, held_scope *pool, lp_error *error) {
    bool held;
    return hold_found(r, pool, STATEMENT_UNHELD, &held, error);
}

lp_err holdings_hold_unpulled(replica *r, held_scope *scope, bool *held_out, lp_error *error) {
    return hold_found(r, scope, STATEMENT_HELD_BY_NONE, held_out, error);
}

lp_err holdings_join(replica *r, held_scope *scope, const lp_id *id, lp_error *error) {
    layers l;
    lp_err err = layers_open(r, 0, id, &l, error);
    if (!err && l.rid) {
        holdings_hold(r, scope, &l);
        err = put_held(r, l.rid, l.held, error);
        if (!err)
            err = holdings_note_came(r, scope, l.rid, error);
        if (!err && r->scopes.leaving)
            err = statement_run_int(r, STATEMENT_LEAVING_DROP, l.rid, error);
    }
    layers_close(&l);
    return err;
}

void holdings_forget(replica *r, uint64_t held, const record *server) {
    digest sum = sum_of(r, server);
    for (uint32_t i = 0; i < r->scopes.count; i++)
        if (held & bit_of(&r->scopes.list[i])) {
            digest_minus(&r->scopes.list[i].sum, sum);
            touch(r, &r->scopes.list[i]);
        }
}

/* ---- releasing ---- */

/* Tells who wants to know what the server does not have any more. */
static lp_err tell_gone(replica *r, const layers *l, lp_error *error) {
    lp_err err = LP_OK;
    for (uint32_t i = 0; !err && i < l->server.count; i++)
        err = r->gone(r, l->server.kind, &l->server.id, &l->server.regs[i], error);
    return err;
}

lp_err holdings_let_go(replica *r, int64_t rid, lp_error *error) {
    r->scopes.leaving = true;
    return statement_run_int(r, STATEMENT_LEAVING_ADD, rid, error);
}

lp_err holdings_keep(replica *r, int64_t rid, lp_error *error) {
    return r->scopes.leaving ? statement_run_int(r, STATEMENT_LEAVING_DROP, rid, error) : LP_OK;
}

static lp_err let_go_unheld(replica *r, int64_t rid, lp_error *error) {
    layers l;
    lp_err err = layers_open_rid(r, rid, &l, error);
    bool has = !err && l.server.count;
    layers_close(&l);
    return has ? holdings_let_go(r, rid, error) : err;
}

lp_err holdings_let_go_unheld(replica *r, lp_error *error) {
    int64_t rid = 0;
    for (;;) {
        sqlite3_stmt *s = statement(r, STATEMENT_HELD_BY_NONE, error);
        if (!s)
            return LP_IO;
        sqlite3_bind_int64(s, 2, rid);
        lp_err err = statement_row(r, s, "read the replica", error);
        if (err)
            return err == LP_NOT_FOUND ? LP_OK : err;
        rid = sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
        err = let_go_unheld(r, rid, error);
        if (err)
            return err;
    }
}

static lp_err release_rid(replica *r, held_scope *scope, int64_t rid, bool tell, lp_error *error) {
    layers l;
    lp_err err = layers_open_rid(r, rid, &l, error);
    if (!err && (l.held & bit_of(scope))) {
        digest_minus(&scope->sum, sum_of(r, &l.server));
        touch(r, scope);
        l.held &= ~bit_of(scope);
        err = put_held(r, rid, l.held, error);
    }
    if (!err && l.held == 0 && tell)
        err = tell_gone(r, &l, error);
    if (!err && l.held == 0)
        err = holdings_let_go(r, rid, error);
    layers_close(&l);
    return err;
}

static lp_err release_id(replica *r, held_scope *scope, const lp_id *id, bool tell, lp_error *error) {
    replica_row row;
    lp_err err = replica_load(r, id, &row, error);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    int64_t rid = row.rid;
    statement(r, STATEMENT_ROW_BY_ID, NULL);
    return release_rid(r, scope, rid, tell, error);
}

lp_err holdings_release(replica *r, held_scope *scope, const lp_id *id, lp_error *error) {
    return BUG(LEFT_STAYS) ? LP_OK : release_id(r, scope, id, false, error);
}

lp_err holdings_withdraw(replica *r, held_scope *scope, const lp_id *id, lp_error *error) {
    return release_id(r, scope, id, true, error);
}

/* Releases what a query with one parameter, the scope's number, finds. A record is released while the walk stands on it: only columns
 * beside those that lead the walk change. */
static lp_err release_found(replica *r, held_scope *scope, statement_name query, bool tell, lp_error *error) {
    int64_t after = 0;
    for (;;) {
        sqlite3_stmt *s = statement(r, query, error);
        if (!s)
            return LP_IO;
        sqlite3_bind_int64(s, 1, scope->number);
        sqlite3_bind_int64(s, 2, after);
        lp_err err = statement_row(r, s, "read the replica", error);
        if (err)
            return err == LP_NOT_FOUND ? LP_OK : err;
        after = sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
        err = release_rid(r, scope, after, tell, error);
        if (err)
            return err;
    }
}

lp_err holdings_close_scope(replica *r, held_scope *scope, lp_error *error) {
    lp_err err = release_found(r, scope, STATEMENT_HELD_BY, false, error);
    if (!err)
        err = statement_run_int(r, STATEMENT_CAME_DROP, scope->number, error);
    if (!err)
        err = statement_run_int(r, STATEMENT_SCOPE_DROP, scope->number, error);
    if (err)
        return err;
    *scope = r->scopes.list[--r->scopes.count];
    return LP_OK;
}

/* ---- re-reading ---- */

/* A first read has nothing to sweep, and notes nothing. */
static lp_err holds_anything(replica *r, const held_scope *scope, bool *holds_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_HELD_BY, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, scope->number);
    sqlite3_bind_int64(s, 2, 0);
    lp_err err = statement_row(r, s, "read the replica", error);
    sqlite3_reset(s);
    *holds_out = err == LP_OK;
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err holdings_begin_reading(replica *r, held_scope *scope, bool anew, bool new_epoch, lp_error *error) {
    bool holds = true;
    if (scope->reading == READING_NEWS || anew) {
        lp_err err = statement_run_int(r, STATEMENT_CAME_DROP, scope->number, error);
        if (!err)
            err = holds_anything(r, scope, &holds, error);
        if (err)
            return err;
        new_epoch |= scope->reading == READING_EPOCH; /* cut off before it ended, it has not told all that is gone */
        scope->reading = new_epoch && holds ? READING_EPOCH : holds ? READING_AGAIN : READING_FIRST;
        touch(r, scope);
    }
    return LP_OK;
}

lp_err holdings_doubt(replica *r, held_scope *scope, lp_error *error) {
    scope->reading = READING_EPOCH;
    touch(r, scope);
    return statement_run_int(r, STATEMENT_CAME_DROP, scope->number, error);
}

lp_err holdings_note_came(replica *r, held_scope *scope, int64_t rid, lp_error *error) {
    if (scope->reading != READING_AGAIN && scope->reading != READING_EPOCH)
        return LP_OK;
    sqlite3_stmt *s = statement(r, STATEMENT_CAME_ADD, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, scope->number);
    sqlite3_bind_int64(s, 2, rid);
    return statement_run(r, s, "save", error);
}

lp_err holdings_end_reading(replica *r, held_scope *scope, lp_error *error) {
    bool sweeps = scope->reading == READING_AGAIN || scope->reading == READING_EPOCH;
    bool tell = scope->reading == READING_EPOCH;
    lp_err err = sweeps && !BUG(NOTHING_SWEPT) ? release_found(r, scope, STATEMENT_HELD_NOT_CAME, tell, error) : LP_OK;
    if (!err && sweeps)
        err = statement_run_int(r, STATEMENT_CAME_DROP, scope->number, error);
    scope->reading = READING_NEWS;
    touch(r, scope);
    return err;
}

/* ---- evicting ---- */

/* What was refused is its author's own, and stays until it was mended or exported; the record under it is then an empty shell. */
static lp_err evict(replica *r, int64_t rid, lp_error *error) {
    static const statement_name drops[] = {STATEMENT_PAST_DROP, STATEMENT_UNINDEXED_DROP, STATEMENT_CAME_DROP_RID,
                                           STATEMENT_LEAVING_DROP};
    replica_row row;
    lp_err err = replica_load_rid(r, rid, &row, error);
    lp_id id = err ? (lp_id){{0}} : row.id;
    uint32_t kind = err ? 0 : row.kind;
    statement(r, STATEMENT_ROW_BY_RID, NULL);
    for (size_t i = BUG(EVICTED_PAST_STAYS); !err && i < sizeof drops / sizeof drops[0]; i++)
        err = statement_run_int(r, drops[i], rid, error);
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_REFUSED_HAS, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    lp_err found = statement_row(r, s, "read the replica", error);
    sqlite3_reset(s);
    if (found && found != LP_NOT_FOUND)
        return found;
    if (found == LP_NOT_FOUND) {
        err = statement_run_int(r, STATEMENT_ROW_DROP, rid, error);
    } else {
        record shell;
        record_init(&shell, kind, &id);
        replica_image image = {.visible = &shell};
        err = replica_store(r, rid, &image, NULL, error);
        if (!err)
            err = statement_run_int(r, STATEMENT_UNINDEXED_DROP, rid, error);
    }
    return err || BUG(EVICTED_STAYS_INDEXED) ? err : search_forget(r, rid, error);
}

lp_err holdings_evict(replica *r, uint64_t *evicted_out, lp_error *error) {
    *evicted_out = 0;
    while (r->scopes.leaving) {
        sqlite3_stmt *s = statement(r, STATEMENT_LEAVING_READY, error);
        if (!s)
            return LP_IO;
        sqlite3_bind_int64(s, 1, BUG(EVICTED_WITH_UNSENT) ? INT64_MAX : 0);
        lp_err err = statement_row(r, s, "read the replica", error);
        if (err == LP_NOT_FOUND)
            break;
        if (err)
            return err;
        int64_t rid = sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
        err = evict(r, rid, error);
        if (err)
            return err;
        ++*evicted_out;
    }
    if (*evicted_out == 0)
        return LP_OK;
    lp_err err = replica_meta_put_int(r, "evicted", 1, error);
    return err ? err : replica_scrub_later(r, error);
}
