/* world_check.c - what must hold once the network has healed and everybody has synced; see world.h.
 *
 *   I2  every replica's server layer is the pool restricted to its scopes, byte for byte, and both digests say so
 *   I5  what is not in its scopes is on no page of its disk (world_scopes.c)
 *   I1, I7  every change reported saved is in the server's history once, or was overwritten by its own author before it was sent and is
 *       in the author's past, or was refused and is kept with the reason; what stood nowhere any more when a backup older than those that
 *       count was restored is in the past alone
 *   I4  what stands is the greatest of history; nothing is in history twice; conflict records follow from it (world_conflicts.c)
 *   I9  no stamp is later than the server's time by more than the tolerance, and a device's stamps keep the order of typing; those that follow
 *       a stamp from the future keep it among what was typed on their record, and leave others alone (client/replica/clock.h, invariant 4), and
 *       so do all where the server's clock was wrong: what it put right it put right record by record, which is all that decides anything */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/replica/kept.h"
#include "client/find/search.h"
#include "proto/change.h"
#include "server/pool/apply.h"
#include "server/office/verify.h"
#include "tests/sim/world_scopes.h"

/* ---- I2: rows ---- */

static bool same_registers(const record *a, const record *b) {
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++) {
        const reg *x = &a->regs[i], *y = &b->regs[i];
        same = x->field == y->field && span_equal(x->key, y->key) && span_equal(x->value, y->value) &&
               stamp_compare(x->stamp, y->stamp) == 0;
    }
    return same;
}

static void check_row(world *w, const world_row *row, uint32_t who) {
    record here;
    buf bytes = {0};
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(&row->id, text);
    world_expect(w, world_load(w, who, &row->id, true, &here, &bytes), "device %u lacks record %s (I2)", who, text);
    world_expect(w, here.kind == row->kind, "device %u holds %s as another kind", who, text);
    world_expect(w, same_registers(&here, &row->rec), "device %u holds other values of kind %u, %s (I2)", who,
                 row->kind, text);
    record_fini(&here);
    buf_fini(&bytes);
}

static digest device_digest(world *w, uint32_t who, const char *name) {
    digest sum;
    sqlite3_stmt *s = NULL;
    assert_int_equal(
        sqlite3_prepare_v2(w->devices[who].replica->db, "SELECT digest FROM scope WHERE name = ?1", -1, &s, NULL),
        SQLITE_OK);
    sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
    bool found = sqlite3_step(s) == SQLITE_ROW &&
                 digest_unpack(span_of(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0)), &sum);
    sqlite3_finalize(s);
    world_expect(w, found, "device %u has no digest of %s", who, name);
    return sum;
}

static void check_digest(const world_rows *rows, uint32_t who, const char *name) {
    world *w = rows->world;
    digest sum = {0}, server = world_server_digest(w, who, name);
    for (uint32_t i = 0; i < rows->count; i++)
        if (world_in_scope(rows, &rows->list[i], who, name))
            digest_plus(&sum, rows->list[i].sum);
    world_expect(w, digest_equal(server, sum), "the server's digest of %s is not that of its rows", name);
    world_expect(w, digest_equal(device_digest(w, who, name), server),
                 "device %u: the digest of %s differs from the server's", who, name);
}

/* It holds what its scopes hold, and nothing else. */
static void check_device(const world_rows *rows, uint32_t who) {
    world *w = rows->world;
    const world_device *d = &w->devices[who];
    const char *names[WORLD_SCOPES_MAX];
    uint32_t count = world_scope_names(w, who, names);
    int64_t entitled = 0;
    for (uint32_t i = 0; i < count; i++)
        check_digest(rows, who, names[i]);
    for (uint32_t i = 0; i < rows->count; i++)
        if (world_entitled(rows, &rows->list[i], who)) {
            check_row(w, &rows->list[i], who);
            entitled++;
        }
    /* A record of which everything was refused stays, empty, for the rep to mend. */
    int64_t held = world_device_count(d, "SELECT count(*) FROM record WHERE length(stamps) > 0");
    world_expect(w, held == entitled, "device %u holds %lld records, its scopes %lld (I2)", who, (long long)held,
                 (long long)entitled);
    world_expect(w, world_device_count(d, "SELECT count(*) FROM record WHERE unsent OR server_body NOT NULL") == 0,
                 "device %u: a record is still marked unsent", who);
    world_expect(w, world_device_count(d, "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM batch)") == 0,
                 "device %u: the outbox is not empty", who);
    bool sound = true;
    if (w->searched)
        assert_int_equal(search_check(d->replica, &sound, NULL), LP_OK);
    world_expect(w, sound, "device %u: the search index is not that of the records", who);
    world_expect(w, world_device_count(d, "SELECT count(*) FROM leaving") == 0,
                 "device %u: a record is still about to leave", who);
}

/* ---- I1, I7: the ledger ---- */

typedef struct entry_walk {
    world *world;
    const world_typed *typed;
    uint32_t found; /* the typed value in history, by its author */
    stamp at;       /* of the last one found */
} entry_walk;

static bool on_entry(void *ctx, const store_history *entry) {
    entry_walk *walk = ctx;
    const world_typed *t = walk->typed;
    wire_reader r = wire_open(entry->body);
    reg change;
    /* A device set back twice knows nothing of the number it had between; what people type is unique anyway. */
    const world_device *d = &walk->world->devices[t->device];
    if (!d->rolled_back && !kept_is_own(d->replica, entry->stamp.author))
        return true;
    while (r.at < r.end && change_unpack(&r, &change))
        if (change.field == t->field && span_equal(change.key, span_text(t->key)) &&
            span_equal(change.value, span_of(t->value, t->value_size))) {
            walk->found++;
            walk->at = entry->stamp;
        }
    return true;
}

void world_forgive(world *w, uint32_t who, uint32_t from) {
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    for (uint32_t i = from; i < w->typed_count; i++) {
        world_typed *t = &w->typed[i];
        entry_walk walk = {.world = w, .typed = t};
        if (t->device != who)
            continue;
        assert_int_equal(w->reader->ops->read_history(w->reader, &w->records[t->record].id, on_entry, &walk, NULL),
                         LP_OK);
        t->may_be_lost |= walk.found == 0;
    }
    w->reader->ops->snapshot_end(w->reader);
}

/* Looks for all that was typed in the pool's history. */
static void find_typed(world *w, void (*note)(world_typed *t, const entry_walk *walk)) {
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    for (uint32_t i = 0; i < w->typed_count; i++) {
        world_typed *t = &w->typed[i];
        entry_walk walk = {.world = w, .typed = t};
        assert_int_equal(w->reader->ops->read_history(w->reader, &w->records[t->record].id, on_entry, &walk, NULL),
                         LP_OK);
        if (walk.found)
            note(t, &walk);
    }
    w->reader->ops->snapshot_end(w->reader);
}

stamp world_stored_at(world *w, const world_typed *typed) {
    entry_walk walk = {.world = w, .typed = typed};
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    assert_int_equal(w->reader->ops->read_history(w->reader, &w->records[typed->record].id, on_entry, &walk, NULL),
                     LP_OK);
    w->reader->ops->snapshot_end(w->reader);
    return walk.at;
}

static void note_stored(world_typed *t, const entry_walk *walk) {
    (void)walk;
    t->stored = true;
}

void world_note_stored(world *w) {
    find_typed(w, note_stored);
}

/* How often the very same thing was typed: clearing a field and ticking a box give no unique values. */
static uint32_t count_same(const world *w, const world_typed *t) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->typed_count; i++) {
        const world_typed *o = &w->typed[i];
        count += o->device == t->device && o->record == t->record && o->field == t->field &&
                 strcmp(o->key, t->key) == 0 &&
                 span_equal(span_of(o->value, o->value_size), span_of(t->value, t->value_size));
    }
    return count;
}

/* Where the very same was typed before, that may be what the pool has. */
static void note_held(world_typed *t, const entry_walk *walk) {
    if (count_same(walk->world, t) == 1 || stamp_compare(walk->at, t->stamp) == 0)
        t->held = walk->at;
}

static void note_repaired(world_typed *t, const entry_walk *walk) {
    if (stamp_is_none(t->held) || stamp_compare(walk->at, t->held) == 0)
        return;
    t->repaired = true;
    t->stamp = walk->at;
}

void world_restamps(world *w) {
    for (uint32_t i = 0; i < w->typed_count; i++)
        w->typed[i].held = STAMP_NONE;
    find_typed(w, note_held);
}

void world_restamped(world *w) {
    find_typed(w, note_repaired);
}

static bool in_table(const world_device *d, const char *sql, const world_typed *t, const lp_id *id) {
    sqlite3_stmt *s = NULL;
    buf packed = {0};
    change_pack(&packed, t->field, span_text(t->key), span_of(t->value, t->value_size));
    assert_int_equal(sqlite3_prepare_v2(d->replica->db, sql, -1, &s, NULL), SQLITE_OK);
    sqlite3_bind_blob(s, 1, id->bytes, 16, SQLITE_STATIC);
    sqlite3_bind_blob(s, 2, packed.data, (int)packed.size, SQLITE_STATIC);
    sqlite3_bind_blob(s, 3, t->value, (int)t->value_size, SQLITE_STATIC);
    bool found = sqlite3_step(s) == SQLITE_ROW;
    sqlite3_finalize(s);
    buf_fini(&packed);
    return found;
}

static bool in_past(const world_device *d, const world_typed *t, const lp_id *id) {
    return in_table(d, "SELECT 1 FROM past JOIN record USING(rid) WHERE id = ?1 AND past.body = ?2", t, id);
}

static bool in_refused(const world_device *d, const world_typed *t, const lp_id *id) {
    return in_table(d, "SELECT 1 FROM refused JOIN record USING(rid) WHERE id = ?1 AND value = ?3 AND reason <> ''", t,
                    id);
}

/* A revoked device's changes await the office's decision, or wait where they are; others' await it if they are outside their scopes. */
static bool is_set_aside(world *w, const world_device *d, const world_typed *t, const lp_id *id) {
    return world_in_review(w, t) ||
           (d->revoked &&
            in_table(d, "SELECT 1 FROM outbox JOIN record USING(rid) WHERE id = ?1 AND instr(outbox.body, ?2)", t, id));
}

static bool is_nil(const world_typed *t) {
    return t->value_size == 1 && t->value[0] == 0xc0;
}

/* The last stamps of a device: of all it typed but what follows a stamp from the future, and of all it typed on a record. */
typedef struct typed_order {
    stamp last, on[WORLD_RECORDS_MAX];
} typed_order;

static void check_order(world *w, uint32_t index, stamp at, typed_order *order) {
    const world_typed *t = &w->typed[index];
    stamp *on = &order->on[t->record];
    bool late = w->server_clock_set || stamp_compare(at, order->last) >= 0;
    world_expect(w, late && stamp_compare(at, *on) >= 0,
                 "change %u of device %u is stamped before what was typed earlier (I9)", index, t->device);
    *on = at;
    if (!t->ahead)
        order->last = at;
}

/* It cannot bring back what a restored pool lacks: the days of grace are over, or a copy of it was revoked with it, and has sent something else under
 * the number of what the pool lacks. Who is revoked reads nothing, and does not hear of it. */
static bool is_gone_for_good(const world *w, const world_device *d) {
    bool over = w->now_ms - d->revoked_ms >= w->pool.revoked_grace_ms;
    return d->revoked && w->restores && (over || w->copied);
}

static void check_typed(world *w, uint32_t index, typed_order *orders) {
    const world_typed *t = &w->typed[index];
    const lp_id *id = &w->records[t->record].id;
    const world_device *d = &w->devices[t->device];
    entry_walk walk = {.world = w, .typed = t};
    assert_int_equal(w->reader->ops->read_history(w->reader, id, on_entry, &walk, NULL), LP_OK);
    if (t->may_refuse || world_is_erased(w, t->record))
        return;
    const field_info *info = schema_field(w->records[t->record].kind, t->field);
    uint32_t times = count_same(w, t);
    /* The value of a member of a group comes again when another is set; fields of a later version are also written past the ledger. */
    bool grouped = !info || info->group;
    world_expect(w, grouped || walk.found <= times || w->copied,
                 "change %u of device %u, field %u, is in history %u times (typed %u)", index, t->device, t->field,
                 walk.found, times);
    bool past = in_past(d, t, id);
    bool replaced = t->superseded || world_is_forgotten(w, t->stamp);
    /* What its author replaced before it was sent goes with the record, when that leaves. */
    bool may_leave = world_may_lose(w, t->device, t->record) || t->stray;
    bool forgotten = t->stored && w->records[t->record].purged;
    world_expect(w,
                 walk.found || forgotten || in_refused(d, t, id) ||
                     (replaced && (past || is_nil(t) || d->revoked || may_leave)) || is_set_aside(w, d, t, id) ||
                     t->may_be_lost || is_gone_for_good(w, d),
                 "change %u of device %u, field %u, was saved and is lost (I1)", index, t->device, t->field);
    world_expect(w, !walk.found || stamp_ms(walk.at) <= pool_now_ms(&w->pool) + APPLY_AHEAD_MS,
                 "change %u of device %u is stamped later than now (I9)", index, t->device);
    /* What was written while the server's clock was ahead is from some moment before it was repaired: perhaps from a later one than what
     * its author typed afterwards and sent when it was right again. */
    if (walk.found && times == 1 && !grouped && !d->rolled_back && !w->copied && !t->repaired)
        check_order(w, index, walk.at, &orders[t->device]);
    if (d->revoked || d->rolled_back || may_leave)
        return; /* its file is gone, or knows no more of it than it did then; or the record left, and came back without its past */
    const reg *stored;
    record rec;
    buf bytes = {0};
    assert_true(world_load(w, t->device, id, false, &rec, &bytes));
    stored = record_find(&rec, t->field, span_text(t->key));
    bool stands = stored && span_equal(stored->value, span_of(t->value, t->value_size));
    world_expect(w, stands || past || is_nil(t) || in_refused(d, t, id),
                 "change %u of device %u, field %u: the device that typed it knows no more of it (I7)", index,
                 t->device, t->field);
    record_fini(&rec);
    buf_fini(&bytes);
}

/* What was refused is kept: beside the record, or in its past once something newer was typed. What the office has got instead goes with
 * the record when that leaves, and does not come back with it. */
static void check_refused(world *w, uint32_t who) {
    const world_device *d = &w->devices[who];
    if (!d->poisoned || d->revoked || d->rolled_back || !world_holds(w, who, 0))
        return;
    world_expect(w,
                 world_device_count(d, "SELECT (SELECT count(*) FROM refused WHERE reason <> '') +"
                                       " (SELECT count(*) FROM past WHERE length(body) > 300)") > 0 ||
                     world_poison_in_review(w, who),
                 "device %u: what the server refused is nowhere (I1)", who);
}

void world_check(world *w) {
    static typed_order orders[WORLD_DEVICES_MAX];
    memset(orders, 0, sizeof orders);
    w->reader->ops->snapshot_end(w->reader);
    committer_rest(w->committer);
    for (uint32_t i = 0; i < w->options.devices; i++)
        replica_checkpoint(w->devices[i].replica, false);
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    world_rows rows;
    world_rows_read(w, &rows);
    for (uint32_t i = 0; i < w->options.devices; i++)
        if (!w->devices[i].revoked)
            check_device(&rows, i);
    world_check_disks(w, &rows);
    world_rows_fini(&rows);
    for (uint32_t i = 0; i < w->typed_count; i++)
        check_typed(w, i, orders);
    for (uint32_t i = 0; i < w->options.devices; i++)
        check_refused(w, i);
    world_check_conflicts(w);
    world_check_bases(w);
    world_check_erased(w);
    world_check_purged(w);
    world_count_reviews(w);
    lp_error error = {.message = ""};
    world_expect(w, !verify_all(&w->pool, w->reader, NULL, NULL, &error), "the store: %s", error.message);
    w->reader->ops->snapshot_end(w->reader);
}
