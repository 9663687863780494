/* world_scopes.c - see world_scopes.h. */
#define _GNU_SOURCE /* memmem */
#include "tests/sim/world_scopes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/change.h"
#include "proto/page.h"
#include "server/pool/access.h"
#include "server/pool/scopes.h"

const char *const world_grants[WORLD_GRANTS] = {"event:ifa", "event:expo", "pool"};
#define GRANT_POOL 2

/* ---- people ---- */

static const char *name_of(uint32_t person, char name_out[24]) {
    snprintf(name_out, 24, "person %u", person);
    return name_out;
}

uint32_t world_people(const world *w) {
    return w->options.people ? w->options.people : w->options.devices;
}

void world_meet_people(world *w, uint32_t count) {
    if (!w->options.people)
        w->options.people = count; /* a device that comes later is a copy of one of theirs */
    for (uint32_t i = 0; i < w->options.devices; i++) {
        world_person *p = &w->people[w->devices[i].person];
        buf id = {0};
        assert_int_equal(replica_meta(w->devices[i].replica, "staff.id", &id, NULL), LP_OK);
        assert_true(id_from_span(buf_span(&id), &p->id));
        p->rep = w->options.reps >> w->devices[i].person & 1;
        buf_fini(&id);
    }
}

void world_grant(world *w, uint32_t person, uint32_t which, bool give) {
    char name[24];
    world_person *p = &w->people[person];
    const control_pair pairs[] = {{"staff", name_of(person, name)}, {"scope", world_grants[which]}};
    if (!world_operate_with(w, give ? "grant" : "ungrant", pairs, 2))
        return;
    world_happened(w, give ? EVENT_GRANTED : EVENT_UNGRANTED);
    p->grants = give ? p->grants | 1u << which : p->grants & ~(1u << which);
    p->moved = true;
}

void world_read_grants(world *w) {
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    for (uint32_t i = 0; i < w->options.devices; i++) {
        world_person *p = &w->people[w->devices[i].person];
        device d = {.staff = p->id, .role = "rep"};
        access may;
        assert_int_equal(access_read(w->reader, &d, &may, NULL), LP_OK);
        bool whole = access_find(&may, SPAN_LITERAL("pool")) != NULL;
        p->grants = whole ? 1u << GRANT_POOL : 0;
        for (uint32_t j = 0; j < may.count; j++)
            for (uint32_t g = 0; g < WORLD_GRANTS; g++)
                if (strcmp(may.list[j].name, world_grants[g]) == 0 &&
                    (may.list[j].until == 0 || may.list[j].until == UINT64_MAX))
                    p->grants |= 1u << g;
        p->moved = true;
    }
    w->reader->ops->snapshot_end(w->reader);
}

bool world_holds_pool(const world *w, uint32_t who) {
    const world_person *p = &w->people[w->devices[who].person];
    return !p->rep || p->grants >> GRANT_POOL & 1;
}

uint32_t world_scope_names(const world *w, uint32_t who, const char *names_out[WORLD_SCOPES_MAX]) {
    const world_person *p = &w->people[w->devices[who].person];
    uint32_t count = 0;
    names_out[count++] = "setup";
    names_out[count++] = world_holds_pool(w, who) ? "pool" : "mine";
    for (uint32_t g = 0; !world_holds_pool(w, who) && g < GRANT_POOL; g++)
        if (p->grants >> g & 1)
            names_out[count++] = world_grants[g];
    return count;
}

bool world_may_lose(const world *w, uint32_t who, uint32_t index) {
    const world_person *p = &w->people[w->devices[who].person];
    const world_record *r = &w->records[index], *root = r->follows >= 0 ? &w->records[r->follows] : r;
    return r->purged || root->purged || (p->rep && (p->moved || r->moved || root->moved));
}

/* ---- rows ---- */

static bool keep_row(void *ctx, const store_row *row) {
    world_rows *rows = ctx;
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity ? rows->capacity * 2 : 64;
        rows->list = realloc(rows->list, rows->capacity * sizeof *rows->list);
        assert_non_null(rows->list);
    }
    world_row *r = &rows->list[rows->count++];
    *r = (world_row){.id = row->id, .kind = row->kind, .scope = row->scope};
    buf_append_span(&r->bytes, row->body);
    buf_append_span(&r->bytes, row->stamps);
    record_init(&r->rec, row->kind, &row->id);
    assert_int_equal(record_unpack(&r->rec, span_of(r->bytes.data, row->body.size),
                                   span_of(r->bytes.data + row->body.size, row->stamps.size), NULL),
                     LP_OK);
    for (uint32_t i = 0; i < r->rec.count; i++)
        digest_add(rows->world->pool.digester, &r->sum, r->kind, &r->id, &r->rec.regs[i]);
    return true;
}

void world_rows_read(world *w, world_rows *rows) {
    *rows = (world_rows){.world = w};
    for (scope_class scope = SCOPE_SETUP; scope <= SCOPE_POOL; scope++)
        assert_int_equal(w->reader->ops->feed(w->reader, scope, 0, keep_row, rows, NULL), LP_OK);
}

void world_rows_fini(world_rows *rows) {
    for (uint32_t i = 0; i < rows->count; i++) {
        record_fini(&rows->list[i].rec);
        buf_fini(&rows->list[i].bytes);
    }
    free(rows->list);
}

world_row *world_rows_find(const world_rows *rows, const lp_id *id) {
    for (uint32_t i = 0; i < rows->count; i++)
        if (id_equal(&rows->list[i].id, id))
            return &rows->list[i];
    return NULL;
}

/* ---- the rule ---- */

static bool is_mark(const world_row *row) {
    return row->kind == KIND_ERASED || row->kind == KIND_PURGED;
}

typedef struct first_walk {
    uint64_t seq;
    lp_id person;
} first_walk;

static bool note_first(void *ctx, const store_history *entry) {
    first_walk *first = ctx;
    if (first->seq == 0 || entry->seq < first->seq)
        *first = (first_walk){entry->seq, entry->person};
    return true;
}

static const lp_id *maker_of(const world_rows *rows, world_row *row) {
    store_reader *reader = rows->world->reader;
    first_walk first = {0};
    if (!row->maker_read)
        assert_int_equal(reader->ops->read_history(reader, &row->id, note_first, &first, NULL), LP_OK);
    row->maker = row->maker_read ? row->maker : first.person;
    row->maker_read = true;
    return &row->maker;
}

/* What the record is about in the end: a lead, or the last that is there. */
static world_row *root_of(const world_rows *rows, world_row *row) {
    for (;;) {
        lp_id id;
        uint32_t field = schema_follows(row->kind);
        wire_reader value = wire_open(field ? record_value(&row->rec, field, (span){0}) : (span){0});
        if (value.at == value.end || !id_from_span(wire_bytes(&value), &id))
            return row;
        world_row *next = world_rows_find(rows, &id);
        if (!next)
            return row;
        row = next;
    }
}

static bool says(const record *rec, uint32_t field, const char *text) {
    wire_reader r = wire_open(record_value(rec, field, (span){0}));
    return r.at < r.end && span_equal(wire_text(&r), span_text(text)) && !r.failed;
}

/* A lead is its owner's; while it never had one, its maker's. Anything that is about nothing is its maker's. */
static bool is_mine(const world_rows *rows, world_row *root, uint32_t person) {
    char name[24];
    if (root->kind == KIND_LEAD && record_find(&root->rec, LEAD_OWNER, (span){0}))
        return says(&root->rec, LEAD_OWNER, name_of(person, name));
    return id_equal(maker_of(rows, root), &rows->world->people[person].id);
}

bool world_in_scope(const world_rows *rows, world_row *row, uint32_t who, const char *name) {
    if (is_mark(row))
        return false;
    if (strcmp(name, "setup") == 0 || row->scope == SCOPE_SETUP)
        return strcmp(name, "setup") == 0 && row->scope == SCOPE_SETUP;
    if (strcmp(name, "pool") == 0)
        return true;
    world_row *root = root_of(rows, row);
    if (is_mark(root))
        return false;
    if (strcmp(name, "mine") == 0)
        return is_mine(rows, root, rows->world->devices[who].person);
    return root->kind == KIND_LEAD && says(&root->rec, LEAD_EVENT, name + strlen("event:"));
}

bool world_entitled(const world_rows *rows, world_row *row, uint32_t who) {
    const char *names[WORLD_SCOPES_MAX];
    uint32_t count = world_scope_names(rows->world, who, names);
    for (uint32_t i = 0; i < count; i++)
        if (world_in_scope(rows, row, who, names[i]))
            return true;
    return false;
}

/* ---- what the server keeps of a scope ---- */

static bool is_class(const char *name) {
    return strcmp(name, "setup") == 0 || strcmp(name, "pool") == 0;
}

static scope_class class_of(const char *name) {
    return strcmp(name, "setup") == 0 ? SCOPE_SETUP : SCOPE_POOL;
}

static uint32_t read_narrow(world *w, uint32_t who, const char *name, digest *sum_out) {
    buf key = {0};
    uint32_t number = 0;
    assert_true(scopes_key(span_text(name), &w->people[w->devices[who].person].id, &key));
    lp_err err = scopes_read(w->reader, buf_span(&key), &number, sum_out, NULL);
    buf_fini(&key);
    world_expect(w, !err, "the server does not keep scope %s of device %u", name, who);
    return number;
}

digest world_server_digest(world *w, uint32_t who, const char *name) {
    digest sum;
    if (is_class(name))
        assert_int_equal(pool_scope_digest(w->reader, class_of(name), &sum, NULL), LP_OK);
    else
        read_narrow(w, who, name, &sum);
    return sum;
}

static bool on_unread_row(void *ctx, const store_row *row) {
    (void)row;
    *(bool *)ctx = true;
    return false;
}

static bool on_unread_member(void *ctx, const lp_id *id, uint64_t seq) {
    (void)id;
    (void)seq;
    *(bool *)ctx = true;
    return false;
}

static bool has_unread(world *w, uint32_t who, const char *name) {
    bool unread = false;
    digest sum;
    uint64_t after = world_device_cursor(&w->devices[who], name);
    if (is_class(name))
        assert_int_equal(w->reader->ops->feed(w->reader, class_of(name), after, on_unread_row, &unread, NULL), LP_OK);
    else
        assert_int_equal(
            scopes_read_feed(w->reader, read_narrow(w, who, name, &sum), after, on_unread_member, &unread, NULL),
            LP_OK);
    return unread;
}

/* True if the device knows of these scopes and no others. */
static bool knows_scopes(const world *w, uint32_t who, const char *const *names, uint32_t count) {
    buf kept = {0};
    bool same = replica_meta(w->devices[who].replica, "scopes", &kept, NULL) == LP_OK;
    wire_reader r = wire_open(buf_span(&kept));
    same = same && wire_array(&r) == count;
    for (uint32_t left = count; same && left; left--) {
        span name = wire_text(&r);
        bool found = false;
        for (uint32_t i = 0; i < count; i++)
            found |= span_equal(name, span_text(names[i]));
        same = found;
    }
    buf_fini(&kept);
    return same;
}

bool world_has_read_all(world *w, uint32_t who) {
    const char *names[WORLD_SCOPES_MAX];
    uint32_t count = world_scope_names(w, who, names);
    bool all = knows_scopes(w, who, names, count);
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    for (uint32_t i = 0; all && i < count; i++)
        all = !has_unread(w, who, names[i]);
    w->reader->ops->snapshot_end(w->reader);
    return all;
}

/* ---- I5: what is sent ---- */

static bool is_standing(const world *w, uint32_t who, span name) {
    const char *names[WORLD_SCOPES_MAX];
    uint32_t count = world_scope_names(w, who, names);
    for (uint32_t i = 0; i < count; i++)
        if (span_equal(span_text(names[i]), name))
            return true;
    return false;
}

static void inspect_page(const world_rows *rows, uint32_t who, const page *p) {
    world *w = rows->world;
    char name[SCOPE_NAME_BYTES_MAX + 1];
    changes_reader reader;
    change_set set;
    snprintf(name, sizeof name, "%.*s", (int)p->cursor.scope.size, (const char *)p->cursor.scope.data);
    assert_int_equal(changes_open(&reader, p->changes, NULL), LP_OK);
    while (changes_next(&reader, &set)) {
        world_row *row = world_rows_find(rows, &set.id);
        bool may = is_standing(w, who, p->cursor.scope) && row && world_in_scope(rows, row, who, name);
        world_expect(w, may, "device %u is sent a record of kind %u that is not in its scope %s (I5)", who, set.kind,
                     name);
    }
    changes_close(&reader);
}

void world_inspect(world *w, uint32_t who, span bytes) {
    message m;
    page p;
    if (world_holds_pool(w, who) || message_decode(bytes, &m, NULL) || m.number != MSG_SYNCED || !m.pages.size)
        return;
    if (w->reader->ops->snapshot(w->reader, NULL))
        return; /* the power is going */
    world_rows rows;
    world_rows_read(w, &rows);
    wire_reader pages = wire_open(m.pages);
    for (uint32_t left = wire_array(&pages); left && page_take(&pages, &p); left--)
        inspect_page(&rows, who, &p);
    world_rows_fini(&rows);
    w->reader->ops->snapshot_end(w->reader);
}

/* ---- what leaves and comes back ---- */

static int32_t index_of(const world *w, const lp_id *id) {
    for (uint32_t i = 0; i < w->record_count; i++)
        if (id_equal(&w->records[i].id, id))
            return (int32_t)i;
    return -1;
}

static void note_page(world *w, world_device *d, const page *p) {
    uint32_t left;
    wire_reader ids = page_ids(p->left, &left);
    for (; left; left--) {
        lp_id id = page_next_id(&ids);
        int32_t at = index_of(w, &id);
        world_happened(w, EVENT_LEFT);
        d->told_left |= at < 0 ? 0 : 1u << at;
    }
    ids = page_ids(p->whole, &left);
    for (; left; left--) {
        lp_id id = page_next_id(&ids);
        int32_t at = index_of(w, &id);
        if (at < 0 || !(d->told_left >> at & 1))
            continue;
        d->told_left &= ~(1u << at);
        world_happened(w, EVENT_REGAINED);
    }
}

void world_note_pages(world *w, uint32_t who, const message *m) {
    world_device *d = &w->devices[who];
    page p;
    if (m->number != MSG_SYNCED || !m->pages.size || world_holds_pool(w, who))
        return;
    wire_reader pages = wire_open(m->pages);
    for (uint32_t left = wire_array(&pages); left && page_take(&pages, &p); left--)
        note_page(w, d, &p);
    if (d->replica->scopes.leaving)
        world_happened(w, EVENT_LEAVING);
}

/* ---- I5: what stays on the disk ---- */

#define TEXTS_MAX 4096

/* Which of the texts that people type ("v12 by 0") are in a piece of a file, by their numbers. */
static void find_texts(void *ctx, const uint8_t *bytes, size_t size) {
    static const char by[] = " by ";
    uint8_t *found = ctx;
    const uint8_t *at = bytes, *end = bytes + size;
    while ((at = memmem(at, (size_t)(end - at), by, sizeof by - 1))) {
        uint32_t number = 0, scale = 1;
        const uint8_t *digit = at;
        while (digit > bytes && digit[-1] >= '0' && digit[-1] <= '9' && scale <= TEXTS_MAX) {
            number += scale * (uint32_t)(*--digit - '0');
            scale *= 10;
        }
        if (digit > bytes && digit < at && digit[-1] == 'v' && number < TEXTS_MAX)
            found[number] = 1;
        at += sizeof by - 1;
    }
}

/* The number of such a text; -1 if the value is none. */
static int64_t text_number(const world_typed *t) {
    char text[sizeof t->value] = "";
    unsigned number;
    if (t->value_size < 7 || t->value[1] != 'v')
        return -1;
    memcpy(text, t->value + 1, t->value_size - 1);
    return sscanf(text, "v%u by", &number) == 1 && number < TEXTS_MAX ? (int64_t)number : -1;
}

static bool any_of(const world_device *d, const char *sql, span sought) {
    sqlite3_stmt *s = NULL;
    assert_int_equal(sqlite3_prepare_v2(d->replica->db, sql, -1, &s, NULL), SQLITE_OK);
    sqlite3_bind_blob(s, 1, sought.data, (int)sought.size, SQLITE_STATIC);
    bool any = sqlite3_step(s) == SQLITE_ROW;
    sqlite3_finalize(s);
    return any;
}

static bool anything_refused(const world_device *d, const lp_id *id) {
    return any_of(d, "SELECT 1 FROM refused JOIN record USING(rid) WHERE id = ?1", id_span(id));
}

/* Of a pool that was repaired and written to since a device cannot know that it lost nothing (recovered.h). */
static bool is_recovered(const world_device *d, const world_typed *t) {
    return any_of(d, "SELECT 1 FROM recovered WHERE instr(value, ?1)", span_of(t->value, t->value_size));
}

static void check_disk(world *w, const world_rows *rows, uint32_t who) {
    uint8_t found[TEXTS_MAX] = {0};
    const world_device *d = &w->devices[who];
    vfs_scan(d->disk.disk, "replica", find_texts, found);
    vfs_scan(d->disk.disk, "replica-wal", find_texts, found);
    for (uint32_t i = 0; i < w->typed_count; i++) {
        const world_typed *t = &w->typed[i];
        int64_t number = text_number(t);
        const lp_id *id = &w->records[t->record].id;
        if (number < 0 || !found[number])
            continue;
        world_row *row = world_rows_find(rows, id);
        bool gone = w->records[t->record].purged || (row && !is_mark(row) && !world_entitled(rows, row, who));
        world_expect(w, !gone || anything_refused(d, id) || (w->repairs && is_recovered(d, t)),
                     "change %u of device %u, field %u, is outside the scopes of device %u and on its disk (I5)", i,
                     t->device, t->field, who);
    }
}

/* After a restore what others had written stays on devices for the office to have it back. */
void world_check_disks(world *w, const world_rows *rows) {
    bool purged = false;
    for (uint32_t i = 0; i < w->record_count; i++)
        purged |= w->records[i].purged;
    for (uint32_t i = 0; i < w->options.devices; i++)
        if (!w->devices[i].revoked && !w->restores && (purged || w->people[w->devices[i].person].rep))
            check_disk(w, rows, i);
}
