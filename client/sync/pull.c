/* pull.c - what the server sends, applied; see pull.h.
 *
 *   meta "scopes"          the server's list of scope names, as it came
 *   meta "cursor.NAME"     a cursor as page.h has it */
#include "client/sync/pull.h"

#include <stdio.h>
#include <string.h>

#include "client/replica/erase.h"
#include "client/sync/heal.h"
#include "client/replica/holdings.h"
#include "client/sync/intake.h"
#include "client/replica/kept.h"
#include "client/replica/quarantine.h"
#include "client/replica/statements.h"
#include "proto/bug.h"
#include "proto/change.h"
#include "proto/err.h"

/* ---- cursors ---- */

static void cursor_key(span scope, char *key_out, size_t size) {
    snprintf(key_out, size, "cursor.%.*s", (int)scope.size, (const char *)scope.data);
}

lp_err pull_cursor(replica *r, span scope, buf *kept, cursor *cursor_out, lp_error *error) {
    char key[SCOPE_NAME_BYTES_MAX + 16];
    cursor_key(scope, key, sizeof key);
    *cursor_out = (cursor){.scope = scope};
    lp_err err = replica_meta(r, key, kept, error);
    if (err == LP_NOT_FOUND) {
        /* Own changes are not sent to who reads for the first time; whoever has removed something has to have them. */
        cursor_out->again = replica_meta_int(r, "evicted", 0) != 0;
        return LP_OK;
    }
    wire_reader from = wire_open(buf_span(kept));
    if (!err && !cursor_take(&from, cursor_out))
        return err_set(error, LP_CORRUPT, "the replica's cursor is damaged; keep the file and join again");
    return err;
}

static lp_err store_cursor(replica *r, const cursor *c, lp_error *error) {
    char key[SCOPE_NAME_BYTES_MAX + 16];
    buf bytes = {0};
    cursor_key(c->scope, key, sizeof key);
    cursor_put(&bytes, c);
    lp_err err = bytes.failed ? err_plain(error, LP_NOMEM) : replica_meta_put(r, key, buf_span(&bytes), error);
    buf_fini(&bytes);
    return err;
}

static lp_err erase_all(replica *r, span part, pull_outcome *outcome, lp_error *error) {
    uint32_t left;
    wire_reader ids = page_ids(part, &left);
    bool scrub = false;
    lp_err err = LP_OK;
    for (; !err && left > 0; left--) {
        bool known, before;
        lp_id id = page_next_id(&ids);
        err = erase_holds(r, &id, &before, error);
        if (err || before)
            continue;
        known = false;
        err = BUG(ERASED_NOT_REMOVED) ? LP_OK : erase_record(r, &id, &known, error);
        scrub = true; /* known or not: a row that was lost by itself may have left its text in the file */
        outcome->records += !err && known;
        outcome->record = id;
    }
    return err || !scrub ? err : replica_scrub_later(r, error);
}

/* No scope holds it any more. If something of it is unsent it waits for its verdict, and goes then. */
static lp_err release_all(replica *r, span part, lp_error *error) {
    uint32_t left;
    wire_reader ids = page_ids(part, &left);
    lp_err err = LP_OK;
    for (; !err && left > 0; left--) {
        lp_id id = page_next_id(&ids);
        for (uint32_t i = 0; !err && i < r->scopes.count; i++)
            err = holdings_release(r, &r->scopes.list[i], &id, error);
    }
    return err;
}

static bool same_history(const cursor *a, const cursor *b) {
    return span_equal(a->epoch, b->epoch) && a->generation == b->generation;
}

/* A read from the beginning that begins anew because the pool has forgotten something says so. */
static bool same_reading(const cursor *a, const cursor *b) {
    return same_history(a, b) && a->forgot == b->forgot;
}

/* Answers to two requests may cross. While a re-read is under way a page that is not of it was asked for before it began; one of another
 * history than the cursor's likewise. */
static bool is_stale(const page *p, const cursor *kept, const held_scope *scope) {
    bool reading = scope->reading != READING_NEWS;
    if (p->start)
        return false;
    return p->again != reading ||
           (kept->epoch.size && !(reading ? same_reading(kept, &p->cursor) : same_history(kept, &p->cursor)));
}

/* Of the records with changes on the page, which all come whole. */
static lp_err any_changed_above(replica *r, const page *p, bool *above_out, lp_error *error) {
    changes_reader reader;
    change_set set;
    lp_err err = changes_open(&reader, p->changes, error);
    while (!err && !*above_out && changes_next(&reader, &set))
        err = kept_above(r, &set.id, p->cursor.seq, above_out, error);
    changes_close(&reader);
    return err;
}

static lp_err any_whole_above(replica *r, const page *p, bool *above_out, lp_error *error) {
    uint32_t left;
    wire_reader ids = page_ids(p->whole, &left);
    lp_err err = LP_OK;
    for (; !err && !*above_out && left > 0; left--) {
        lp_id id = page_next_id(&ids);
        err = kept_above(r, &id, p->cursor.seq, above_out, error);
    }
    return err;
}

lp_err pull_is_overtaken(replica *r, const page *p, bool *overtaken_out, lp_error *error) {
    const held_scope *scope = holdings_find(r, p->cursor.scope);
    buf bytes = {0};
    cursor kept;
    *overtaken_out = false;
    lp_err err = pull_cursor(r, p->cursor.scope, &bytes, &kept, error);
    /* In a new epoch what was acknowledged may not be there any more. */
    bool new_epoch = !err && kept.epoch.size && !span_equal(kept.epoch, p->cursor.epoch);
    buf_fini(&bytes);
    if (err || new_epoch || (scope && scope->reading == READING_EPOCH))
        return err;
    return p->again ? any_changed_above(r, p, overtaken_out, error) : any_whole_above(r, p, overtaken_out, error);
}

/* ---- pages ---- */

typedef lp_err (*id_fn)(replica *r, held_scope *scope, const lp_id *id, lp_error *error);

static lp_err each_id(replica *r, held_scope *scope, span part, id_fn fn, lp_error *error) {
    uint32_t left;
    wire_reader ids = page_ids(part, &left);
    lp_err err = LP_OK;
    for (; !err && left; left--) {
        lp_id id = page_next_id(&ids);
        err = fn(r, scope, &id, error);
    }
    return err;
}

static lp_err apply_page(replica *r, held_scope *scope, const page *what, const cursor *kept, pull_outcome *outcome,
                         lp_error *error) {
    lp_err err = LP_OK;
    if (what->start) {
        bool new_epoch = kept->epoch.size && !span_equal(kept->epoch, what->cursor.epoch);
        err = holdings_begin_reading(r, scope, !same_reading(kept, &what->cursor), new_epoch, error);
    }
    if (!err)
        err = each_id(r, scope, what->left, holdings_release, error);
    if (!err)
        err = each_id(r, scope, what->joined, holdings_join, error);
    if (!err)
        err = intake_take(r, scope, what->whole, what->changes, outcome, error);
    if (!err && what->again && !what->more)
        err = holdings_end_reading(r, scope, error);
    /* In one history the cursor never goes back, but to the beginning. */
    bool moves = what->start || !same_history(kept, &what->cursor) || what->cursor.seq >= kept->seq;
    if (err || !moves)
        return err;
    digest server;
    bool incomplete = false;
    err = quarantine_any(r, &incomplete, error);
    if (err)
        return err;
    /* With something aside the digests differ, and it is known why. */
    if (!incomplete && what->digest.size) {
        digest_unpack(what->digest, &server); /* the page says 16 bytes, or it would not have been taken */
        bool same = digest_equal(server, scope->sum);
        outcome->compared |= UINT64_C(1) << scope->number;
        outcome->differs |= (uint64_t)!same << scope->number;
        err = same ? heal_is_well(r, scope->name, error) : LP_OK;
    }
    cursor next = what->cursor;
    next.forgot = what->more ? next.forgot : 0;
    return err ? err : store_cursor(r, &next, error);
}

lp_err pull_page(replica *r, const page *what, pull_outcome *outcome, lp_error *error) {
    held_scope *scope = holdings_find(r, what->cursor.scope); /* NULL: the device does not hold it any more */
    buf bytes = {0};
    cursor kept;
    r->touched = true;
    lp_err err = erase_all(r, what->erased, outcome, error);
    if (!err)
        err = release_all(r, what->purged, error);
    if (!err && scope)
        err = pull_cursor(r, what->cursor.scope, &bytes, &kept, error);
    if (!err && scope && !is_stale(what, &kept, scope))
        err = apply_page(r, scope, what, &kept, outcome, error);
    buf_fini(&bytes);
    return err;
}

lp_err pull_cursors(replica *r, buf *out, bool *known_out, lp_error *error) {
    buf scopes = {0};
    lp_err err = replica_meta(r, "scopes", &scopes, error);
    *known_out = !err;
    if (err == LP_NOT_FOUND)
        err = LP_OK;
    wire_reader names = wire_open(buf_span(&scopes));
    uint32_t count = *known_out ? wire_array(&names) : 0;
    wire_put_array(out, count);
    for (uint32_t i = 0; !err && i < count; i++) {
        buf kept = {0};
        cursor c;
        err = pull_cursor(r, wire_text(&names), &kept, &c, error);
        if (!err)
            cursor_put(out, &c);
        buf_fini(&kept);
    }
    buf_fini(&scopes);
    return !err && out->failed ? err_plain(error, LP_NOMEM) : err;
}

static bool names_scope(span scopes, span name) {
    wire_reader names = wire_open(scopes);
    for (uint32_t left = wire_array(&names); left; left--)
        if (span_equal(wire_text(&names), name))
            return true;
    return false;
}

/* What was granted holds nothing yet; what was lost holds nothing any more. */
static lp_err move_scopes(replica *r, span scopes, lp_error *error) {
    lp_err err = LP_OK;
    char key[SCOPE_NAME_BYTES_MAX + 16];
    for (uint32_t i = r->scopes.count; !err && i > 0; i--) {
        held_scope *scope = &r->scopes.list[i - 1];
        span name = span_text(scope->name);
        if (names_scope(scopes, name) || BUG(LOST_SCOPE_STAYS))
            continue;
        cursor_key(name, key, sizeof key);
        err = replica_meta_drop(r, key, error);
        if (!err)
            err = holdings_close_scope(r, scope, error);
    }
    bool removed = replica_meta_int(r, "evicted", 0) != 0; /* then the pool is read whole anyway */
    wire_reader names = wire_open(scopes);
    for (uint32_t left = wire_array(&names); !err && left; left--) {
        span name = wire_text(&names);
        bool first = !removed && span_equal(name, SPAN_LITERAL("pool")) && !holdings_find(r, name);
        held_scope *scope = holdings_open_scope(r, name);
        if (first)
            err = holdings_hold_acknowledged(r, scope, error);
    }
    return err;
}

lp_err pull_scopes(replica *r, span scopes, lp_error *error) {
    wire_reader names = wire_open(scopes);
    uint32_t count = wire_array(&names);
    for (uint32_t i = 0; i < count; i++) {
        size_t size = wire_text(&names).size;
        names.failed |= size == 0 || size > SCOPE_NAME_BYTES_MAX;
    }
    if (names.failed || count > HELD_SCOPES_MAX)
        return err_set(error, LP_PROTOCOL, "the server's list of scopes is malformed");
    r->touched = true;
    lp_err err = move_scopes(r, scopes, error);
    return err ? err : replica_meta_put(r, "scopes", scopes, error);
}

lp_err pull_doubt(replica *r, held_scope *scope, lp_error *error) {
    char key[SCOPE_NAME_BYTES_MAX + 16];
    cursor_key(span_text(scope->name), key, sizeof key);
    lp_err err = replica_meta_drop(r, key, error);
    if (!err)
        err = holdings_doubt(r, scope, error);
    return err ? err : replica_meta_put_int(r, "evicted", 1, error); /* own changes are to come too */
}

lp_err pull_forget_cursors(replica *r, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_FORGET_CURSORS, error);
    lp_err err = s ? statement_run(r, s, "save", error) : LP_IO;
    return err ? err
               : replica_meta_put_int(r, "evicted", 1, error); /* what is not there any more has to go: a re-read */
}
