/* pull.c - what the server sends, applied; see pull.h.
 *
 *   meta "scopes"          the server's list of scope names, as it came
 *   meta "cursor.NAME"     a cursor as page.h has it */
#include "client/pull.h"

#include <stdio.h>
#include <string.h>

#include "client/erase.h"
#include "client/holdings.h"
#include "client/quarantine.h"
#include "client/statements.h"
#include "client/whole.h"
#include "proto/bug.h"
#include "proto/change.h"
#include "proto/err.h"
#include "proto/merge.h"

/* A page on its way into the replica. */
typedef struct puller {
    replica *r;
    held_scope *scope;
    pull_outcome *outcome;
    wire_reader whole; /* the ids that come whole, in the order in which they come */
    uint32_t whole_left;
    lp_id next_whole;
    bool open;
    bool is_whole; /* the open record: its registers are gathered in `came` */
    bool news;
    layers l;
    record came;
} puller;

static void advance_whole(puller *p) {
    if (p->whole_left)
        p->next_whole = page_next_id(&p->whole);
}

static bool comes_whole(puller *p, const lp_id *id) {
    if (p->scope->reading != READING_NEWS)
        return true;
    if (!p->whole_left || !id_equal(&p->next_whole, id))
        return false;
    p->whole_left--;
    advance_whole(p);
    return true;
}

static lp_err open_record(puller *p, const change_set *set, lp_error *error) {
    lp_err err = layers_open(p->r, set->kind, &set->id, &p->l, error);
    p->open = true;
    p->news = false;
    /* A record that is new here has nothing to be replaced. */
    p->is_whole = comes_whole(p, &set->id) && p->l.rid;
    record_init(&p->came, set->kind, &set->id);
    if (!err)
        holdings_hold(p->r, p->scope, &p->l);
    return err;
}

static lp_err save_record(puller *p, lp_error *error) {
    layers *l = &p->l;
    bool tell = p->scope->reading == READING_EPOCH;
    if (p->is_whole)
        return whole_replace(p->r, l, &p->came, tell, &p->news, error);
    return l->visible.count || l->server.count ? layers_save(p->r, l, error) : LP_OK;
}

static lp_err close_record(puller *p, lp_error *error) {
    lp_err err = save_record(p, error);
    if (!err && p->l.rid)
        err = holdings_note_came(p->r, p->scope, p->l.rid, error);
    if (!err && p->news) {
        p->outcome->records++;
        p->outcome->record = p->l.visible.id;
    }
    return err;
}

static void drop_record(puller *p) {
    if (!p->open)
        return;
    layers_close(&p->l);
    record_fini(&p->came);
    p->open = false;
}

static lp_err apply_set(puller *p, change_set *set, lp_error *error) {
    replica *r = p->r;
    reg change;
    r->seen = set->stamp.time > r->seen ? set->stamp.time : r->seen;
    while (change_next(set, &change)) {
        bool changed = false;
        lp_err err = LP_OK;
        if (!p->is_whole)
            err = layers_pull(r, &p->l, &change, &changed, error);
        else if (merge_change(&p->came, &change, NULL) == MERGE_NOMEM)
            err = err_plain(error, LP_NOMEM);
        if (err)
            return err;
        p->news |= changed;
        p->outcome->changes++;
    }
    return set->fields.failed ? err_set(error, LP_PROTOCOL, "a change from the server is malformed") : LP_OK;
}

/* Sets of one record come in a row: it is loaded and saved once. */
static lp_err apply_changes(puller *p, span raw, lp_error *error) {
    changes_reader reader;
    change_set set;
    lp_err err = changes_open(&reader, raw, error);
    while (!err && changes_next(&reader, &set)) {
        if (p->open && !id_equal(&p->l.visible.id, &set.id)) {
            err = close_record(p, error);
            drop_record(p);
        }
        bool erased = false;
        if (!err && !p->open)
            err = erase_holds(p->r, &set.id, &erased, error);
        if (!err && !p->open && !erased)
            err = open_record(p, &set, error);
        if (!err && !erased)
            err = apply_set(p, &set, error);
    }
    if (!err && reader.sets.failed)
        err = err_set(error, LP_PROTOCOL, "a page from the server is malformed");
    if (!err && p->open)
        err = close_record(p, error);
    drop_record(p);
    changes_close(&reader);
    return err;
}

/* ---- what cannot be taken in ---- */

typedef struct whole_place {
    wire_reader ids;
    uint32_t left;
    lp_id next;
} whole_place;

static whole_place place_of(const puller *p) {
    return (whole_place){p->whole, p->whole_left, p->next_whole};
}

static void put_back(puller *p, const whole_place *place, const pull_outcome *outcome) {
    p->whole = place->ids;
    p->whole_left = place->left;
    p->next_whole = place->next;
    *p->outcome = *outcome;
}

/* Not to be swept: it came, though it could not be read. */
static lp_err note_came(puller *p, const lp_id *id, lp_error *error) {
    replica_row row;
    lp_err err = replica_load(p->r, id, &row, error);
    int64_t rid = err ? 0 : row.rid;
    statement(p->r, STATEMENT_ROW_BY_ID, NULL);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    return holdings_note_came(p->r, p->scope, rid, error);
}

/* One record by itself: taken in, or put aside. */
static lp_err apply_record(puller *p, const record_sets *sets, lp_error *error) {
    buf raw = {0};
    attempt a;
    lp_error why = {.message = ""};
    whole_place place = place_of(p);
    pull_outcome outcome = *p->outcome;
    record_sets_put(sets, &raw);
    lp_err err = raw.failed ? err_plain(error, LP_NOMEM) : attempt_begin(p->r, &a, error);
    lp_err failed = err ? LP_OK : apply_changes(p, buf_span(&raw), &why);
    if (!err && !failed)
        err = attempt_keep(p->r, error);
    else if (!err && !quarantine_takes(p->r, failed))
        err = err_set(error, failed, "%s", why.message);
    else if (!err) {
        err = attempt_undo(p->r, &a, error);
        put_back(p, &place, &outcome);
        comes_whole(p, &sets->id);
        if (!err)
            err = quarantine_keep(p->r, span_text(p->scope->name), sets, &why, error);
        if (!err)
            err = note_came(p, &sets->id, error);
    }
    buf_fini(&raw);
    return err;
}

/* Record by record, because something in the list could not be taken in. */
static lp_err apply_each(puller *p, span raw, lp_error *error) {
    changes_reader reader;
    change_set set;
    record_sets sets = {0};
    lp_err err = changes_open(&reader, raw, error);
    while (!err && changes_next(&reader, &set)) {
        if (sets.count && !id_equal(&sets.id, &set.id)) {
            err = apply_record(p, &sets, error);
            record_sets_fini(&sets);
        }
        record_sets_add(&sets, &set);
    }
    if (!err && reader.sets.failed)
        err = err_set(error, LP_PROTOCOL, "a page from the server is malformed");
    if (!err && sets.count)
        err = apply_record(p, &sets, error);
    record_sets_fini(&sets);
    changes_close(&reader);
    return err;
}

/* All at once; and if that fails for what a record says, each by itself. */
static lp_err take_in(puller *p, span raw, lp_error *error) {
    attempt a;
    whole_place place = place_of(p);
    pull_outcome outcome = *p->outcome;
    lp_err err = attempt_begin(p->r, &a, error);
    if (err)
        return err;
    err = apply_changes(p, raw, error);
    if (!err)
        return attempt_keep(p->r, error);
    if (!quarantine_takes(p->r, err))
        return err;
    err = attempt_undo(p->r, &a, error);
    put_back(p, &place, &outcome);
    return err ? err : apply_each(p, raw, error);
}

static lp_err retry_one(replica *r, int64_t qid, span scope, span changes, lp_error *error) {
    attempt a;
    pull_outcome ignored = {0};
    puller p = {.r = r, .outcome = &ignored, .scope = holdings_find(r, scope)};
    lp_err err = attempt_begin(r, &a, error);
    lp_err failed = err || !p.scope ? LP_OK : apply_changes(&p, changes, error);
    if (!err && failed && !quarantine_takes(r, failed))
        return failed;
    if (!err)
        err = failed ? attempt_undo(r, &a, error) : attempt_keep(r, error);
    return err ? err : quarantine_settle(r, qid, !failed, error);
}

static lp_err retry_all(replica *r, lp_error *error) {
    buf scope = {0}, changes = {0};
    int64_t qid = 0;
    lp_err err = LP_OK;
    while (!err) {
        buf_clear(&scope);
        buf_clear(&changes);
        err = quarantine_next(r, qid, &qid, &scope, &changes, error);
        if (!err)
            err = retry_one(r, qid, buf_span(&scope), buf_span(&changes), error);
    }
    buf_fini(&scope);
    buf_fini(&changes);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err pull_retry(replica *r, lp_error *error) {
    bool any;
    lp_err err = quarantine_any(r, &any, error);
    if (err || !any)
        return err;
    err = replica_begin(r, error);
    if (err)
        return err;
    err = retry_all(r, error);
    if (!err)
        return replica_commit(r, error);
    replica_rollback(r);
    return err;
}

/* ---- cursors ---- */

static void cursor_key(span scope, char *key_out, size_t size) {
    snprintf(key_out, size, "cursor.%.*s", (int)scope.size, (const char *)scope.data);
}

/* The cursor kept for a scope; one at the beginning if there is none. It borrows `kept`. */
static lp_err load_cursor(replica *r, span scope, buf *kept, cursor *cursor_out, lp_error *error) {
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
        scrub |= !err && known;
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

/* Answers to two requests may cross. While a re-read is under way a page that is not of one was asked for before it began; one of another
 * history than the cursor's likewise. */
static bool is_stale(const page *p, const cursor *kept, const held_scope *scope) {
    if (p->start)
        return false;
    return p->again != (scope->reading != READING_NEWS) || (kept->epoch.size && !same_history(kept, &p->cursor));
}

/* ---- pages ---- */

typedef lp_err (*id_fn)(replica *r, held_scope *scope, const lp_id *id, lp_error *error);

static lp_err each_id(puller *p, span part, id_fn fn, lp_error *error) {
    uint32_t left;
    wire_reader ids = page_ids(part, &left);
    lp_err err = LP_OK;
    for (; !err && left; left--) {
        lp_id id = page_next_id(&ids);
        err = fn(p->r, p->scope, &id, error);
    }
    return err;
}

static lp_err apply_page(puller *p, const page *what, const cursor *kept, lp_error *error) {
    lp_err err = LP_OK;
    if (what->start) {
        bool new_epoch = kept->epoch.size && !span_equal(kept->epoch, what->cursor.epoch);
        err = holdings_begin_reading(p->r, p->scope, !same_history(kept, &what->cursor), new_epoch, error);
    }
    p->whole = page_ids(what->whole, &p->whole_left);
    advance_whole(p);
    if (!err)
        err = each_id(p, what->left, holdings_release, error);
    if (!err)
        err = each_id(p, what->joined, holdings_join, error);
    if (!err)
        err = take_in(p, what->changes, error);
    if (!err && what->again && !what->more)
        err = holdings_end_reading(p->r, p->scope, error);
    /* In one history the cursor never goes back, but to the beginning. */
    bool moves = what->start || !same_history(kept, &what->cursor) || what->cursor.seq >= kept->seq;
    if (err || !moves)
        return err;
    digest server;
    bool incomplete = false;
    err = quarantine_any(p->r, &incomplete, error);
    if (err)
        return err;
    /* With something aside the digests differ, and it is known why. */
    if (!incomplete && what->digest.size && digest_unpack(what->digest, &server)) {
        p->outcome->compared = true;
        p->outcome->diverged |= !digest_equal(server, p->scope->sum);
    }
    return store_cursor(p->r, &what->cursor, error);
}

/* The scope of a page; NULL if the device does not hold it any more. Before the server has named any, pages name them. */
static lp_err find_scope(replica *r, span name, held_scope **scope_out, lp_error *error) {
    *scope_out = holdings_find(r, name);
    buf named = {0};
    lp_err err = *scope_out ? LP_OK : replica_meta(r, "scopes", &named, error);
    buf_fini(&named);
    return err == LP_NOT_FOUND ? holdings_open_scope(r, name, scope_out, error) : err;
}

lp_err pull_page(replica *r, const page *what, pull_outcome *outcome, lp_error *error) {
    puller p = {.r = r, .outcome = outcome};
    buf bytes = {0};
    cursor kept;
    r->touched = true;
    lp_err err = erase_all(r, what->erased, outcome, error);
    if (!err)
        err = release_all(r, what->purged, error);
    if (!err)
        err = find_scope(r, what->cursor.scope, &p.scope, error);
    if (!err && p.scope)
        err = load_cursor(r, what->cursor.scope, &bytes, &kept, error);
    if (!err && p.scope && !is_stale(what, &kept, p.scope))
        err = apply_page(&p, what, &kept, error);
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
        err = load_cursor(r, wire_text(&names), &kept, &c, error);
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
        if (names_scope(scopes, name))
            continue;
        cursor_key(name, key, sizeof key);
        err = replica_meta_drop(r, key, error);
        if (!err)
            err = holdings_close_scope(r, scope, error);
    }
    bool removed = replica_meta_int(r, "evicted", 0) != 0; /* then the pool is read whole anyway */
    wire_reader names = wire_open(scopes);
    for (uint32_t left = wire_array(&names); !err && left; left--) {
        held_scope *opened;
        span name = wire_text(&names);
        bool first = !removed && span_equal(name, SPAN_LITERAL("pool")) && !holdings_find(r, name);
        err = holdings_open_scope(r, name, &opened, error);
        if (!err && first)
            err = holdings_hold_acknowledged(r, opened, error);
    }
    return err;
}

lp_err pull_scopes(replica *r, span scopes, lp_error *error) {
    wire_reader names = wire_open(scopes);
    uint32_t count = wire_array(&names);
    for (uint32_t i = 0; i < count; i++)
        if (wire_text(&names).size > SCOPE_NAME_BYTES_MAX)
            names.failed = true;
    if (names.failed || count > HELD_SCOPES_MAX)
        return err_set(error, LP_PROTOCOL, "the server's list of scopes is malformed");
    r->touched = true;
    lp_err err = move_scopes(r, scopes, error);
    return err ? err : replica_meta_put(r, "scopes", scopes, error);
}

lp_err pull_forget_cursors(replica *r, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_FORGET_CURSORS, error);
    lp_err err = s ? statement_run(r, s, "save", error) : LP_IO;
    return err ? err
               : replica_meta_put_int(r, "evicted", 1, error); /* what is not there any more has to go: a re-read */
}
