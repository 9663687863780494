/* world_people.c - what people do on their devices, and the ledger of what they were told to be saved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/replica/clock.h"
#include "client/replica/fields.h"
#include "client/replica/kept.h"
#include "client/replica/layers.h"
#include "client/find/search.h"
#include "client/replica/txn.h"
#include "proto/err.h"
#include "tests/sim/world_scopes.h"

/* Plain fields, members of a group, keys of maps: what merges differently. */
static const char *const lead_fields[] = {"full_name", "company",      "notes",        "street",
                                          "city",      "answers.size", "answers.wish", "social.wechat"};
static const char *const touch_fields[] = {"text", "by"};

#define RECORDS_DRAWN_MAX 12 /* few records: everything collides */

/* ---- the ledger ---- */

static bool same_register(const world_typed *a, const world_typed *b) {
    return a->device == b->device && a->record == b->record && a->field == b->field && strcmp(a->key, b->key) == 0;
}

void world_remember(world *w, const world_typed *typed) {
    if (w->typed_count == w->typed_capacity) {
        w->typed_capacity = w->typed_capacity ? w->typed_capacity * 2 : 64;
        w->typed = realloc(w->typed, w->typed_capacity * sizeof *w->typed);
        assert_non_null(w->typed);
    }
    world_typed *t = &w->typed[w->typed_count];
    *t = *typed;
    t->ahead = w->records[t->record].ahead;
    for (uint32_t i = 0; i < w->typed_count; i++)
        if (same_register(&w->typed[i], typed)) {
            w->typed[i].superseded = true;
            w->typed[i].watched = false;
            t->over = STAMP_NONE; /* if that is unsent, its base stays */
        }
    w->typed_count++;
    if (w->records[typed->record].kind == KIND_LEAD && (typed->field == LEAD_OWNER || typed->field == LEAD_EVENT)) {
        w->records[typed->record].moved = true;
        world_happened(w, EVENT_MOVED);
    }
}

static const reg *find_typed(const record *rec, const world_typed *t) {
    return record_find(rec, t->field, span_text(t->key));
}

/* What a transaction is going to do, noted before its commit. */
typedef struct draft {
    world_typed list[24];
    uint32_t count;
} draft;

/* True if the value differs from what is visible: only then it is a change. What is visible, if another device wrote it, is what its author is
 * looking at. */
static bool is_change(world *w, world_typed *t) {
    record rec;
    buf bytes = {0};
    bool change = true;
    if (world_load(w, t->device, &w->records[t->record].id, false, &rec, &bytes)) {
        const reg *stored = find_typed(&rec, t);
        change = !span_equal(stored ? stored->value : WIRE_NIL_SPAN, span_of(t->value, t->value_size));
        if (stored && !kept_is_own(w->devices[t->device].replica, stored->stamp.author))
            t->over = stored->stamp;
        record_fini(&rec);
    } else {
        change = t->value_size != 1 || t->value[0] != 0xc0;
    }
    buf_fini(&bytes);
    return change;
}

static void note_draft(world *w, draft *dr, uint32_t who, uint32_t record_index, const char *field, span value) {
    field_ref ref;
    assert_int_equal(fields_parse(w->records[record_index].kind, span_text(field), &ref, NULL), LP_OK);
    world_typed t = {
        .device = who, .record = record_index, .field = ref.number, .value_size = value.size, .watched = true};
    assert_true(value.size <= sizeof t.value && ref.key.size < sizeof t.key && dr->count < 24);
    if (ref.key.size)
        memcpy(t.key, ref.key.data, ref.key.size);
    memcpy(t.value, value.data, value.size);
    if (is_change(w, &t))
        dr->list[dr->count++] = t;
}

/* A transaction has one stamp: that of one of its records goes to all of them. */
static void carry_ahead(world *w, const draft *dr) {
    bool ahead = false;
    for (uint32_t i = 0; i < dr->count; i++)
        ahead |= w->records[dr->list[i].record].ahead;
    for (uint32_t i = 0; i < dr->count; i++)
        w->records[dr->list[i].record].ahead = ahead;
}

/* Saved: own writes are visible at once (I3), and from now on owed to the pool. */
static void enter_draft(world *w, const draft *dr) {
    carry_ahead(w, dr);
    for (uint32_t i = 0; i < dr->count; i++) {
        world_typed t = dr->list[i];
        record rec;
        buf bytes = {0};
        world_expect(w, world_load(w, t.device, &w->records[t.record].id, false, &rec, &bytes),
                     "a saved record is not there");
        const reg *stored = find_typed(&rec, &t);
        world_expect(w, stored && span_equal(stored->value, span_of(t.value, t.value_size)),
                     "device %u: field %u was saved and is not visible (I3)", t.device, t.field);
        t.stamp = stored->stamp;
        record_fini(&rec);
        buf_fini(&bytes);
        world_remember(w, &t);
    }
}

/* True if what is visible is what its author typed, and not the same typed by somebody else. */
static bool is_own_typed(const world *w, const world_typed *t, const reg *stored) {
    return stored && kept_is_own(w->devices[t->device].replica, stored->stamp.author) &&
           span_equal(stored->value, span_of(t->value, t->value_size));
}

/* It was erased or forgotten, or has left the device's scopes. */
static bool may_be_gone(const world *w, const world_typed *t) {
    return world_is_erased(w, t->record) || world_may_lose(w, t->device, t->record);
}

/* Of a record that left, only what was refused stays, and what was typed since. What the office had of one that is erased, or of one that was
 * purged and is back with a restored pool, is nowhere before the device hears of it, or offers it again. */
static bool has_left(world *w, const world_typed *t) {
    record there;
    buf bytes = {0};
    bool held = world_load(w, t->device, &w->records[t->record].id, true, &there, &bytes);
    bool empty = !held || there.count == 0;
    if (held)
        record_fini(&there);
    buf_fini(&bytes);
    return world_may_lose(w, t->device, t->record) &&
           (empty || world_in_review(w, t) || world_is_erased(w, t->record) ||
            (w->records[t->record].purged && w->restores));
}

void world_look(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    if (d->revoked)
        return; /* what it sends awaits a decision, and is not shown meanwhile */
    int64_t corrections = replica_meta_int(d->replica, "clock.corrections", 0);
    if (corrections != d->corrections) {
        d->corrections = corrections;
        world_look_again(w, who);
        return;
    }
    for (uint32_t i = 0; i < w->typed_count; i++) {
        world_typed *t = &w->typed[i];
        if (t->device != who || !t->watched || t->may_refuse)
            continue;
        record rec;
        buf bytes = {0};
        if (!world_load(w, who, &w->records[t->record].id, false, &rec, &bytes)) {
            world_expect(w, may_be_gone(w, t), "device %u: a saved record is gone (I3)", who);
            t->watched = false;
            buf_fini(&bytes);
            continue;
        }
        const reg *stored = find_typed(&rec, t);
        int order = stored ? stamp_compare(stored->stamp, t->stamp) : -1;
        /* It was accepted by a clock that was ahead; offered again to the restored pool it is from before that (server/pool/moved.h). Or the same was
         * typed before, and the device has not read yet that it has an earlier stamp in a repaired pool. */
        if ((w->restores || w->repairs) && order < 0 && is_own_typed(w, t, stored)) {
            t->stamp = stored->stamp;
            order = 0;
        }
        /* So it is where another's value has come over it meanwhile. */
        stamp moved = (w->restores || w->repairs) && order < 0 ? world_stored_at(w, t) : STAMP_NONE;
        if (moved.time & STAMP_MOVED) {
            t->stamp = moved;
            order = stored ? stamp_compare(stored->stamp, moved) : -1;
        }
        world_expect(w, order >= 0 || has_left(w, t),
                     "device %u: what was typed into field %u has left the screen for something older (I3)", who,
                     t->field);
        /* A device that has not read a repaired pool yet has its value under the stamp of before (world_restamped). */
        t->watched = order == 0 || (order > 0 && stored->stamp.author == t->stamp.author &&
                                    span_equal(stored->value, span_of(t->value, t->value_size)));
        record_fini(&rec);
        buf_fini(&bytes);
    }
}

void world_look_again(world *w, uint32_t who) {
    if (w->devices[who].revoked)
        return;
    for (uint32_t i = 0; i < w->typed_count; i++) {
        world_typed *t = &w->typed[i];
        if (t->device != who || !t->watched || t->may_refuse)
            continue;
        record rec;
        buf bytes = {0};
        if (!world_load(w, who, &w->records[t->record].id, false, &rec, &bytes)) {
            world_expect(w, may_be_gone(w, t), "device %u: a saved record is gone (I3)", who);
            t->watched = false;
            buf_fini(&bytes);
            continue;
        }
        const reg *stored = find_typed(&rec, t);
        t->watched = is_own_typed(w, t, stored);
        if (t->watched && !t->repaired)
            t->stamp = stored->stamp;
        record_fini(&rec);
        buf_fini(&bytes);
    }
}

/* ---- deeds ---- */

static bool is_breaking(const world_device *d) {
    for (int op = 0; op < VFS_OPS; op++)
        if (d->disk.faults.eio[op].at)
            return true;
    return d->disk.faults.cut_at || d->disk.faults.space_bytes || vfs_is_off(d->disk.disk);
}

/* Disks are whole while a deed is prepared, and break as told from its commit on. */
static lp_txn *begin(world *w, uint32_t who) {
    lp_txn *t;
    assert_int_equal(txn_new(w->devices[who].replica, NULL, &t, NULL), LP_OK);
    return t;
}

static bool is_visible(world *w, const world_typed *t) {
    record rec;
    buf bytes = {0};
    bool visible = false;
    if (world_load(w, t->device, &w->records[t->record].id, false, &rec, &bytes)) {
        const reg *stored = find_typed(&rec, t);
        visible = stored && span_equal(stored->value, span_of(t->value, t->value_size));
        record_fini(&rec);
    }
    buf_fini(&bytes);
    return visible;
}

/* A commit that failed on a broken disk is there or it is not, but never by half (F2, F14). A program that was told of an I/O error goes on,
 * or is started again. */
static bool turned_out_saved(world *w, const draft *dr, uint32_t who) {
    uint32_t visible = 0;
    if (prop_chance(&w->random, 50))
        world_device_restart(&w->devices[who], false);
    for (uint32_t i = 0; i < dr->count; i++)
        visible += is_visible(w, &dr->list[i]);
    world_expect(w, !visible || visible == dr->count, "device %u saved %u of %u changes of one deed (I1)", who, visible,
                 dr->count);
    return visible > 0;
}

/* What was told to be saved goes into the ledger; also what is there after a commit that had no time to tell. */
static bool conclude(world *w, const draft *dr, uint32_t who, lp_err err, const lp_error *error) {
    world_device *d = &w->devices[who];
    bool off = vfs_is_off(d->disk.disk);
    bool broken = off || is_breaking(d) || d->disk.hurt;
    if (off)
        world_device_power_cut(d);
    bool saved = !err || (err != LP_BUSY && err != LP_FULL && turned_out_saved(w, dr, who));
    world_expect(w, !err || err == LP_BUSY || broken, "device %u cannot save: %s", who, error->message);
    if (saved)
        enter_draft(w, dr);
    world_note(w, "device %u %s %u changes %s", who, saved ? "saves" : "fails to save", dr->count, error->message);
    world_device_work(d);
    return saved;
}

static void end(world *w, lp_txn *t, const draft *dr, uint32_t who, bool *saved_out) {
    lp_error error = {.message = ""};
    world_device *d = &w->devices[who];
    world_arm(&d->disk);
    lp_err err = txn_commit(t, &error);
    world_disarm(w, &d->disk);
    txn_free(t);
    bool saved = conclude(w, dr, who, err, &error);
    if (saved_out)
        *saved_out = saved;
}

static void put_text(world *w, lp_txn *t, draft *dr, uint32_t who, uint32_t record_index, const char *field,
                     const char *text) {
    buf raw = {0};
    lp_value value = {.type = text ? LP_TEXT : LP_NULL, .data = text, .size = text ? (uint32_t)strlen(text) : 0};
    lp_error error = {.message = ""};
    wire_put_value(&raw, &value);
    note_draft(w, dr, who, record_index, field, buf_span(&raw));
    world_expect(w, !txn_set(t, &w->records[record_index].id, field, &value, &error), "set %s: %s", field,
                 error.message);
    buf_fini(&raw);
}

static void put_bool(world *w, lp_txn *t, draft *dr, uint32_t who, uint32_t record_index, const char *field, bool yes) {
    buf raw = {0};
    lp_value value = {.type = LP_BOOL, .integer = yes};
    lp_error error = {.message = ""};
    wire_put_value(&raw, &value);
    note_draft(w, dr, who, record_index, field, buf_span(&raw));
    world_expect(w, !txn_set(t, &w->records[record_index].id, field, &value, &error), "set %s: %s", field,
                 error.message);
    buf_fini(&raw);
}

static uint32_t add_record(world *w, lp_txn *t, const char *kind) {
    assert_true(w->record_count < WORLD_RECORDS_MAX);
    world_record *rec = &w->records[w->record_count];
    *rec = (world_record){.kind = strcmp(kind, "lead") == 0 ? KIND_LEAD : KIND_TOUCH, .follows = -1};
    assert_int_equal(txn_create(t, kind, NULL, &rec->id, NULL), LP_OK);
    return w->record_count++;
}

static const char *next_text(world *w, uint32_t who, char text_out[32]) {
    snprintf(text_out, 32, "v%u by %u", w->values++, who);
    return text_out;
}

uint32_t world_make_lead(world *w, uint32_t who, const char *name) {
    draft dr = {.count = 0};
    lp_txn *t = begin(w, who);
    uint32_t made = add_record(w, t, "lead");
    put_text(w, t, &dr, who, made, "full_name", name);
    end(w, t, &dr, who, NULL);
    return made;
}

void world_set(world *w, uint32_t who, uint32_t record_index, const char *field, const char *text) {
    draft dr = {.count = 0};
    lp_txn *t = begin(w, who);
    put_text(w, t, &dr, who, record_index, field, text);
    end(w, t, &dr, who, NULL);
}

void world_search(world *w, uint32_t who) {
    bool done;
    lp_error error = {.message = ""};
    lp_err err = search_catch_up(w->devices[who].replica, 0, &done, &error);
    world_expect(w, !err || err == LP_BUSY, "device %u cannot search: %s", who, error.message);
    w->searched |= !err;
}

void world_delete(world *w, uint32_t who, uint32_t record_index) {
    draft dr = {.count = 0};
    lp_txn *t = begin(w, who);
    put_bool(w, t, &dr, who, record_index, "deleted", true);
    end(w, t, &dr, who, NULL);
}

void world_write(world *w, uint32_t who, uint32_t record_index) {
    char text[32];
    world_set(w, who, record_index, lead_fields[prop_below(&w->random, 4)], next_text(w, who, text));
}

static uint64_t greatest_on(const record *rec, uint64_t greatest) {
    for (uint32_t i = 0; i < rec->count; i++)
        greatest = rec->regs[i].stamp.time > greatest ? rec->regs[i].stamp.time : greatest;
    return greatest;
}

bool world_force(world *w, uint32_t who, const world_record *rec, uint32_t field, span value) {
    return world_force_after(w, who, rec, field, value, 0);
}

bool world_force_after(world *w, uint32_t who, const world_record *rec, uint32_t field, span value, uint64_t after) {
    replica *r = w->devices[who].replica;
    lp_error error = {.message = ""};
    layers l;
    uint32_t changed;
    reg change = {.field = field, .value = value};
    if (replica_begin(r, &error))
        return false;
    lp_err err = layers_open(r, rec->kind, &rec->id, &l, &error);
    stamp at;
    if (!err)
        err = clock_stamp(r, greatest_on(&l.visible, after), &at, &error);
    if (!err)
        err = layers_write(r, &l, &change, 1, at, &changed, &error);
    if (!err && after)
        err = replica_meta_put_int(r, "clock.forced", 0, &error);
    layers_close(&l);
    r->touched = true;
    if (!err)
        err = replica_commit(r, &error);
    world_expect(w, !err, "force: %s", error.message);
    world_note(w, "device %u saves field %u unchecked", who, field);
    world_device_work(&w->devices[who]);
    return true;
}

void world_stray(world *w, uint32_t who, uint32_t record_index) {
    char text[32];
    buf value = {0};
    world_typed t = {.device = who, .record = record_index, .field = LEAD_NOTES, .stray = true};
    wire_put_text(&value, span_text(next_text(w, who, text)));
    memcpy(t.value, value.data, value.size);
    t.value_size = value.size;
    if (world_force(w, who, &w->records[record_index], LEAD_NOTES, buf_span(&value))) {
        world_remember(w, &t);
        w->records[record_index].moved = true; /* it comes, awaits review and goes */
        world_happened(w, EVENT_STRAY);
    }
    buf_fini(&value);
}

const char *world_text(world *w, uint32_t who, uint32_t record_index, const char *field, char text_out[256]) {
    record rec;
    buf bytes = {0};
    field_ref ref;
    text_out[0] = '\0';
    assert_int_equal(fields_parse(w->records[record_index].kind, span_text(field), &ref, NULL), LP_OK);
    if (world_load(w, who, &w->records[record_index].id, false, &rec, &bytes)) {
        lp_value value = wire_value(record_value(&rec, ref.number, ref.key));
        if (value.type == LP_TEXT)
            snprintf(text_out, 256, "%.*s", (int)value.size, value.data);
        record_fini(&rec);
    }
    buf_fini(&bytes);
    return text_out;
}

/* ---- random deeds ---- */

bool world_holds(const world *w, uint32_t who, uint32_t record_index) {
    replica_row row;
    return replica_load(w->devices[who].replica, &w->records[record_index].id, &row, NULL) == LP_OK;
}

/* A record the device holds; -1 if none of some draws is. */
static int32_t draw_record(world *w, uint32_t who) {
    for (int i = 0; i < 8 && w->record_count; i++) {
        uint32_t drawn = (uint32_t)prop_below(&w->random, w->record_count);
        if (world_holds(w, who, drawn))
            return (int32_t)drawn;
    }
    return -1;
}

static void change_record(world *w, lp_txn *t, draft *dr, uint32_t who, uint32_t at) {
    bool lead = w->records[at].kind == KIND_LEAD;
    uint64_t deed = prop_below(&w->random, 10);
    char text[32];
    if (deed == 0 || (deed == 1 && !lead)) {
        put_bool(w, t, dr, who, at, "deleted", prop_chance(&w->random, 60));
        return;
    }
    if (deed == 1) {
        put_bool(w, t, dr, who, at, prop_chance(&w->random, 50) ? "tags.vip" : "tags.hot", prop_chance(&w->random, 70));
        return;
    }
    const char *const *names = lead ? lead_fields : touch_fields;
    size_t all = lead ? sizeof lead_fields / sizeof *lead_fields : sizeof touch_fields / sizeof *touch_fields;
    size_t first = prop_below(&w->random, all), step = 1 + prop_below(&w->random, 3);
    for (size_t field = first; field < all && field < first + 2 * step; field += step)
        put_text(w, t, dr, who, at, names[field], deed == 2 ? NULL : next_text(w, who, text));
}

/* A conflict the device knows of and nobody has resolved here. */
static bool draw_conflict(world *w, uint32_t who, lp_id *id_out) {
    sqlite3_stmt *s = NULL;
    bool found = false;
    int rc = sqlite3_prepare_v2(
        w->devices[who].replica->db,
        "SELECT id FROM record WHERE kind = 5 AND deleted = 0 AND c_resolved IS NOT 1 ORDER BY id", -1, &s, NULL);
    uint64_t skip = prop_below(&w->random, 3);
    assert_int_equal(rc, SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
        found = id_from_span(span_of(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0)), id_out);
        if (skip-- == 0)
            break;
    }
    sqlite3_finalize(s);
    return found;
}

static int32_t index_of(const world *w, span id) {
    for (uint32_t i = 0; i < w->record_count; i++)
        if (span_equal(id_span(&w->records[i].id), id))
            return (int32_t)i;
    return -1;
}

/* Restoring types the lost value again. */
static void restore(world *w, uint32_t who, const lp_id *conflict) {
    record rec;
    buf bytes = {0};
    lp_error error = {.message = ""};
    draft dr = {.count = 0};
    assert_true(world_load(w, who, conflict, false, &rec, &bytes));
    span of = record_value(&rec, CONFLICT_RECORD, (span){0});
    span field = record_value(&rec, CONFLICT_FIELD, (span){0});
    span key = record_value(&rec, CONFLICT_KEY, (span){0});
    const reg *lost = record_find(&rec, CONFLICT_LOST_VALUE, (span){0});
    wire_reader id = wire_open(of), number = wire_open(field), name = wire_open(key);
    int32_t at = index_of(w, wire_bytes(&id));
    world_typed t = {.device = who, .record = (uint32_t)at, .field = (uint32_t)wire_u64(&number), .watched = true};
    span key_text = key.size ? wire_text(&name) : (span){0};
    if (at >= 0 && lost && world_holds(w, who, t.record)) {
        memcpy(t.key, key_text.size ? (const void *)key_text.data : "", key_text.size);
        memcpy(t.value, lost->value.data, lost->value.size);
        t.value_size = lost->value.size;
        dr.list[0] = t;
        dr.count = is_change(w, &t);
        world_arm(&w->devices[who].disk);
        lp_err err = txn_restore(w->devices[who].replica, conflict, &error);
        world_disarm(w, &w->devices[who].disk);
        conclude(w, &dr, who, err, &error);
    }
    record_fini(&rec);
    buf_fini(&bytes);
}

/* Most touches are about somebody. */
static void follow(world *w, lp_txn *t, uint32_t who, uint32_t touch) {
    int32_t lead = draw_record(w, who);
    if (lead < 0 || w->records[lead].kind != KIND_LEAD)
        return;
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(&w->records[lead].id, text);
    w->records[touch].follows = lead;
    assert_int_equal(txn_set_text(t, &w->records[touch].id, "lead", text, NULL), LP_OK);
}

void world_act(world *w, uint32_t who) {
    lp_id conflict;
    if (prop_chance(&w->random, 10) && draw_conflict(w, who, &conflict)) {
        restore(w, who, &conflict);
        return;
    }
    draft dr = {.count = 0};
    lp_txn *t = begin(w, who);
    uint32_t made_before = w->record_count;
    bool create = w->record_count < 3 || (w->record_count < RECORDS_DRAWN_MAX && prop_chance(&w->random, 15));
    if (create) {
        char text[32];
        bool lead = w->record_count < 2 || prop_chance(&w->random, 70);
        uint32_t made = add_record(w, t, lead ? "lead" : "touch");
        put_text(w, t, &dr, who, made, lead ? "full_name" : "text", next_text(w, who, text));
        if (!lead)
            follow(w, t, who, made);
    }
    int32_t touched[2] = {-1, -1};
    for (int i = 0; i < 2; i++) {
        touched[i] = prop_chance(&w->random, 60) ? draw_record(w, who) : -1;
        bool again = i == 1 && touched[1] == touched[0];
        if (touched[i] >= 0 && !again)
            change_record(w, t, &dr, who, (uint32_t)touched[i]);
    }
    bool saved;
    end(w, t, &dr, who, &saved);
    if (!saved)
        w->record_count = made_before;
}
