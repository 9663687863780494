/* intake.c - records that came, taken in or put aside; see intake.h. */
#include "client/sync/intake.h"

#include "client/replica/erase.h"
#include "client/replica/holdings.h"
#include "client/replica/quarantine.h"
#include "client/replica/statements.h"
#include "client/sync/whole.h"
#include "proto/change.h"
#include "proto/err.h"
#include "proto/merge.h"

/* A page on its way into the replica. */
typedef struct intake {
    replica *r;
    held_scope *scope;
    pull_outcome *outcome;
    wire_reader whole; /* the ids that come whole, in the order in which they come */
    uint32_t whole_left;
    lp_id next_whole;
    bool replaces; /* all come whole, and what the server has no more is told */
    bool open;
    bool is_whole; /* the open record: its registers are gathered in `came` */
    bool news;
    layers l;
    record came;
} intake;

static void advance_whole(intake *in) {
    if (in->whole_left)
        in->next_whole = page_next_id(&in->whole);
}

static bool comes_whole(intake *in, const lp_id *id) {
    if (in->scope->reading != READING_NEWS || in->replaces)
        return true;
    if (!in->whole_left || !id_equal(&in->next_whole, id))
        return false;
    in->whole_left--;
    advance_whole(in);
    return true;
}

static lp_err open_record(intake *in, const change_set *set, lp_error *error) {
    lp_err err = layers_open(in->r, set->kind, &set->id, &in->l, error);
    in->open = true;
    in->news = false;
    /* A record that is new here has nothing to be replaced. */
    in->is_whole = comes_whole(in, &set->id) && in->l.rid;
    record_init(&in->came, set->kind, &set->id);
    if (!err)
        holdings_hold(in->r, in->scope, &in->l);
    return err;
}

static lp_err save_record(intake *in, lp_error *error) {
    layers *l = &in->l;
    bool tell = in->scope->reading == READING_EPOCH || in->replaces;
    if (in->is_whole)
        return whole_replace(in->r, l, &in->came, tell, &in->news, error);
    return layers_save(in->r, l, error);
}

static lp_err close_record(intake *in, lp_error *error) {
    lp_err err = save_record(in, error);
    if (!err)
        err = holdings_note_came(in->r, in->scope, in->l.rid, error);
    if (!err && in->news) {
        in->outcome->records++;
        in->outcome->record = in->l.visible.id;
    }
    return err;
}

static void drop_record(intake *in) {
    if (!in->open)
        return;
    layers_close(&in->l);
    record_fini(&in->came);
    in->open = false;
}

static lp_err apply_set(intake *in, change_set *set, lp_error *error) {
    replica *r = in->r;
    reg change;
    r->seen = set->stamp.time > r->seen ? set->stamp.time : r->seen;
    while (change_next(set, &change)) {
        bool changed = false;
        lp_err err = LP_OK;
        if (!in->is_whole)
            err = layers_pull(r, &in->l, &change, &changed, error);
        else if (merge_change(&in->came, &change, NULL) == MERGE_NOMEM)
            err = err_plain(error, LP_NOMEM);
        if (err)
            return err;
        in->news |= changed;
        in->outcome->changes++;
    }
    return set->fields.failed ? err_set(error, LP_PROTOCOL, "a change from the server is malformed") : LP_OK;
}

/* Sets of one record come in a row: it is loaded and saved once. */
static lp_err apply_changes(intake *in, span raw, lp_error *error) {
    changes_reader reader;
    change_set set;
    lp_err err = changes_open(&reader, raw, error);
    while (!err && changes_next(&reader, &set)) {
        if (in->open && !id_equal(&in->l.visible.id, &set.id)) {
            err = close_record(in, error);
            drop_record(in);
        }
        bool erased = false;
        if (!err && !in->open)
            err = erase_holds(in->r, &set.id, &erased, error);
        if (!err && !in->open && !erased)
            err = open_record(in, &set, error);
        if (!err && !erased)
            err = apply_set(in, &set, error);
    }
    if (!err && reader.sets.failed)
        err = err_set(error, LP_PROTOCOL, "a page from the server is malformed");
    if (!err && in->open)
        err = close_record(in, error);
    drop_record(in);
    changes_close(&reader);
    return err;
}

/* ---- what cannot be taken in ---- */

typedef struct whole_place {
    wire_reader ids;
    uint32_t left;
    lp_id next;
} whole_place;

static whole_place place_of(const intake *in) {
    return (whole_place){in->whole, in->whole_left, in->next_whole};
}

static void put_back(intake *in, const whole_place *place, const pull_outcome *outcome) {
    in->whole = place->ids;
    in->whole_left = place->left;
    in->next_whole = place->next;
    *in->outcome = *outcome;
}

/* Not to be swept: it came, though it could not be read. */
static lp_err note_came(intake *in, const lp_id *id, lp_error *error) {
    replica_row row;
    lp_err err = replica_load(in->r, id, &row, error);
    int64_t rid = err ? 0 : row.rid;
    statement(in->r, STATEMENT_ROW_BY_ID, NULL);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    return holdings_note_came(in->r, in->scope, rid, error);
}

/* One record by itself: taken in, or put aside. */
static lp_err apply_record(intake *in, const record_sets *sets, lp_error *error) {
    buf raw = {0};
    attempt a;
    lp_error why = {.message = ""};
    whole_place place = place_of(in);
    pull_outcome outcome = *in->outcome;
    record_sets_put(sets, &raw);
    lp_err err = raw.failed ? err_plain(error, LP_NOMEM) : attempt_begin(in->r, &a, error);
    lp_err failed = err ? LP_OK : apply_changes(in, buf_span(&raw), &why);
    if (!err && !failed)
        err = attempt_keep(in->r, error);
    else if (!err && !quarantine_takes(in->r, failed))
        err = err_set(error, failed, "%s", why.message);
    else if (!err) {
        err = attempt_undo(in->r, &a, error);
        put_back(in, &place, &outcome);
        comes_whole(in, &sets->id);
        if (!err)
            err = quarantine_keep(in->r, span_text(in->scope->name), sets, &why, error);
        if (!err)
            err = note_came(in, &sets->id, error);
    }
    buf_fini(&raw);
    return err;
}

/* Record by record, because something in the list could not be taken in. */
static lp_err apply_each(intake *in, span raw, lp_error *error) {
    changes_reader reader;
    change_set set;
    record_sets sets = {0};
    lp_err err = changes_open(&reader, raw, error);
    while (!err && changes_next(&reader, &set)) {
        if (sets.count && !id_equal(&sets.id, &set.id)) {
            err = apply_record(in, &sets, error);
            record_sets_fini(&sets);
        }
        record_sets_add(&sets, &set);
    }
    if (!err && reader.sets.failed)
        err = err_set(error, LP_PROTOCOL, "a page from the server is malformed");
    if (!err)
        err = apply_record(in, &sets, error); /* there is one, for something could not be taken in */
    record_sets_fini(&sets);
    changes_close(&reader);
    return err;
}

/* All at once; and if that fails for what a record says, each by itself. */
static lp_err take_in(intake *in, span raw, lp_error *error) {
    attempt a;
    whole_place place = place_of(in);
    pull_outcome outcome = *in->outcome;
    lp_err err = attempt_begin(in->r, &a, error);
    if (err)
        return err;
    err = apply_changes(in, raw, error);
    if (!err)
        return attempt_keep(in->r, error);
    if (!quarantine_takes(in->r, err))
        return err;
    err = attempt_undo(in->r, &a, error);
    put_back(in, &place, &outcome);
    return err ? err : apply_each(in, raw, error);
}

lp_err intake_take(replica *r, held_scope *scope, span whole, span changes, pull_outcome *outcome, lp_error *error) {
    intake in = {.r = r, .scope = scope, .outcome = outcome};
    in.whole = page_ids(whole, &in.whole_left);
    advance_whole(&in);
    return take_in(&in, changes, error);
}

lp_err intake_replace(replica *r, held_scope *scope, span changes, pull_outcome *outcome, lp_error *error) {
    intake in = {.r = r, .scope = scope, .outcome = outcome, .replaces = true};
    return take_in(&in, changes, error);
}

static lp_err retry_one(replica *r, int64_t qid, span scope, span changes, lp_error *error) {
    attempt a;
    pull_outcome ignored = {0};
    intake in = {.r = r, .outcome = &ignored, .scope = holdings_find(r, scope)};
    lp_err err = attempt_begin(r, &a, error);
    lp_err failed = err || !in.scope ? LP_OK : apply_changes(&in, changes, error);
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

lp_err intake_retry(replica *r, lp_error *error) {
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
