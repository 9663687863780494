/* world_damage.c - a replica's rows change behind its back, the digests staying as they were kept; see world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "client/replica/holdings.h"
#include "client/find/search.h"
#include "proto/change.h"
#include "proto/wire.h"
#include "tests/sim/world.h"

/* 0 if there is none, or something of it is unsent. */
static int64_t rid_of(const world_device *d, const lp_id *id) {
    replica_row row;
    return replica_load(d->replica, id, &row, NULL) || row.unsent || row.layered ? 0 : row.rid;
}

static void run(const world_device *d, const char *sql, int64_t rid, span value) {
    sqlite3_stmt *s = NULL;
    assert_int_equal(sqlite3_prepare_v2(d->replica->db, sql, -1, &s, NULL), SQLITE_OK);
    sqlite3_bind_int64(s, 1, rid);
    sqlite3_bind_blob(s, 2, value.data, (int)value.size, SQLITE_STATIC);
    sqlite3_step(s);
    sqlite3_finalize(s);
}

/* Turns the last letter of the record's first long enough text that stands alone into another. */
static bool spoil(world *w, uint32_t who, const lp_id *id) {
    record rec;
    buf bytes = {0};
    bool done = false;
    if (!rid_of(&w->devices[who], id) || !world_load(w, who, id, false, &rec, &bytes))
        return false;
    for (uint32_t i = 0; !done && i < rec.count; i++) {
        const field_info *info = schema_field(rec.kind, rec.regs[i].field);
        wire_reader value = wire_open(rec.regs[i].value);
        done = info && !info->group && wire_peek(&value) == WIRE_TEXT && rec.regs[i].value.size > 3;
        if (done)
            bytes.data[rec.regs[i].value.data + rec.regs[i].value.size - 1 - bytes.data] ^= 1;
    }
    replica_row row;
    if (done && !replica_load(w->devices[who].replica, id, &row, NULL))
        run(&w->devices[who], "UPDATE record SET body = ?2 WHERE rid = ?1", row.rid,
            span_of(bytes.data, row.body.size));
    record_fini(&rec);
    buf_fini(&bytes);
    return done;
}

/* The row is gone, and what was found by it. Not the last one: its number would be given to another. */
static bool lose(world *w, uint32_t who, const lp_id *id) {
    const world_device *d = &w->devices[who];
    int64_t rid = rid_of(d, id);
    if (!rid || rid == world_device_count(d, "SELECT max(rid) FROM record"))
        return false;
    run(d, "DELETE FROM lead_text WHERE rowid = ?1", rid, (span){0});
    run(d, "DELETE FROM unindexed WHERE rid = ?1", rid, (span){0});
    run(d, "DELETE FROM record WHERE rid = ?1", rid, (span){0});
    return true;
}

/* A record that nobody made. */
static bool invent(world *w, uint32_t who, const lp_id *id) {
    replica *r = w->devices[who].replica;
    const held_scope *scope = replica_begin(r, NULL) ? NULL : holdings_find(r, SPAN_LITERAL("pool"));
    buf text = {0};
    record rec;
    bool made = false;
    record_init(&rec, KIND_LEAD, id);
    wire_put_text(&text, SPAN_LITERAL("nobody made this"));
    reg *name = record_at(&rec, LEAD_FULL_NAME, (span){0}, &made);
    name->value = buf_span(&text);
    name->stamp = (stamp){(uint64_t)WORLD_START_MS << 16, 99};
    replica_image image = {.visible = &rec, .held = scope ? UINT64_C(1) << scope->number : 0};
    made = scope && !replica_store(r, 0, &image, NULL, NULL) && !replica_commit(r, NULL);
    replica_rollback(r);
    record_fini(&rec);
    buf_fini(&text);
    return made;
}

bool world_damage(world *w, uint32_t who, world_damage_kind kind, const lp_id *id) {
    static bool (*const kinds[])(world *, uint32_t, const lp_id *) = {spoil, lose, invent};
    world_device *d = &w->devices[who];
    if (!kinds[kind](w, who, id))
        return false;
    d->damaged = true;
    run(d, "DELETE FROM meta WHERE key = 'audit.last_ms'", 0, (span){0}); /* a day later */
    world_note(w, "a row of device %u changes by itself", who);
    return true;
}
