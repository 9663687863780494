/* pull.c - what the server sends, applied; see pull.h.
 *
 *   meta "scopes"          the server's list of scope names, as it came
 *   meta "cursor.NAME"     a cursor as page.h has it */
#include "client/pull.h"

#include <stdio.h>
#include <string.h>

#include "client/erase.h"
#include "client/layers.h"
#include "client/statements.h"
#include "proto/bug.h"
#include "proto/change.h"
#include "proto/err.h"
#include "proto/schema.h"

static lp_err close_record(replica *r, layers *l, bool news, pull_outcome *outcome, lp_error *error) {
    if (l->visible.count == 0 && l->server.count == 0)
        return LP_OK;
    lp_err err = layers_save(r, l, error);
    if (!err && news) {
        outcome->records++;
        outcome->record = l->visible.id;
    }
    return err;
}

static lp_err apply_set(replica *r, layers *l, change_set *set, bool *news, pull_outcome *outcome, lp_error *error) {
    reg change;
    r->seen = set->stamp.time > r->seen ? set->stamp.time : r->seen;
    while (change_next(set, &change)) {
        bool changed;
        lp_err err = layers_pull(r, l, &change, &changed, error);
        if (err)
            return err;
        *news |= changed;
        outcome->changes++;
    }
    return set->fields.failed ? err_set(error, LP_PROTOCOL, "a change from the server is malformed") : LP_OK;
}

/* Sets of one record come in a row: it is loaded and saved once. */
static lp_err apply_changes(replica *r, span raw, pull_outcome *outcome, lp_error *error) {
    changes_reader reader;
    change_set set;
    layers l = {0};
    bool open = false, news = false;
    lp_err err = changes_open(&reader, raw, error);
    while (!err && changes_next(&reader, &set)) {
        if (open && !id_equal(&l.visible.id, &set.id)) {
            err = close_record(r, &l, news, outcome, error);
            layers_close(&l);
            open = false;
        }
        bool erased = false;
        if (!err && !open)
            err = erase_holds(r, &set.id, &erased, error);
        if (!err && !open && !erased) {
            err = layers_open(r, set.kind, &set.id, &l, error);
            open = true;
            news = false;
        }
        if (!err && !erased)
            err = apply_set(r, &l, &set, &news, outcome, error);
    }
    if (!err && reader.sets.failed)
        err = err_set(error, LP_PROTOCOL, "a page from the server is malformed");
    if (!err && open)
        err = close_record(r, &l, news, outcome, error);
    if (open)
        layers_close(&l);
    changes_close(&reader);
    return err;
}

static void cursor_key(span scope, char *key_out, size_t size) {
    snprintf(key_out, size, "cursor.%.*s", (int)scope.size, (const char *)scope.data);
}

/* The cursor kept for a scope; one at the beginning if there is none. It borrows `kept`. */
static lp_err load_cursor(replica *r, span scope, buf *kept, cursor *cursor_out, lp_error *error) {
    char key[SCOPE_NAME_BYTES_MAX + 16];
    cursor_key(scope, key, sizeof key);
    *cursor_out = (cursor){.scope = scope};
    lp_err err = replica_meta(r, key, kept, error);
    if (err == LP_NOT_FOUND)
        return LP_OK;
    wire_reader from = wire_open(buf_span(kept));
    if (!err && !cursor_take(&from, cursor_out))
        return err_set(error, LP_CORRUPT, "the replica's cursor is damaged; keep the file and join again");
    return err;
}

/* Answers to two requests may cross: a cursor of the same epoch never goes back. *moved_out: it is the cursor now. */
static lp_err store_cursor(replica *r, const cursor *c, bool *moved_out, lp_error *error) {
    char key[SCOPE_NAME_BYTES_MAX + 16];
    buf kept = {0};
    buf bytes = {0};
    cursor old;
    cursor_key(c->scope, key, sizeof key);
    lp_err err = load_cursor(r, c->scope, &kept, &old, error);
    *moved_out = !err && !(span_equal(old.epoch, c->epoch) && old.seq > c->seq);
    if (*moved_out) {
        cursor_put(&bytes, c);
        err = bytes.failed ? err_plain(error, LP_NOMEM) : replica_meta_put(r, key, buf_span(&bytes), error);
    }
    buf_fini(&kept);
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
        scrub |= !err && known;
        outcome->records += !err && known;
        outcome->record = id;
    }
    return err || !scrub ? err : replica_scrub_later(r, error);
}

static scope_class scope_of(span name) {
    return span_equal(name, SPAN_LITERAL("setup")) ? SCOPE_SETUP : SCOPE_POOL;
}

lp_err pull_page(replica *r, const page *p, pull_outcome *outcome, lp_error *error) {
    bool moved = false;
    r->touched = true;
    lp_err err = erase_all(r, p->erased, outcome, error);
    if (!err)
        err = apply_changes(r, p->changes, outcome, error);
    if (!err)
        err = store_cursor(r, &p->cursor, &moved, error);
    digest server;
    if (!err && moved && p->digest.size && digest_unpack(p->digest, &server)) {
        outcome->compared = true;
        outcome->diverged |= !digest_equal(server, r->digests[scope_of(p->cursor.scope)]);
    }
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
        err = load_cursor(r, wire_text(&names), &kept, &c, error);
        if (!err)
            cursor_put(out, &c);
        buf_fini(&kept);
    }
    buf_fini(&scopes);
    return !err && out->failed ? err_plain(error, LP_NOMEM) : err;
}

lp_err pull_scopes(replica *r, span scopes, lp_error *error) {
    wire_reader names = wire_open(scopes);
    uint32_t count = wire_array(&names);
    for (uint32_t i = 0; i < count; i++)
        if (wire_text(&names).size > SCOPE_NAME_BYTES_MAX)
            names.failed = true;
    if (names.failed || count > CURSORS_MAX)
        return err_set(error, LP_PROTOCOL, "the server's list of scopes is malformed");
    return replica_meta_put(r, "scopes", scopes, error);
}

lp_err pull_forget_cursors(replica *r, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_FORGET_CURSORS, error);
    return s ? statement_run(r, s, "save", error) : LP_IO;
}
