/* scenes.c - see scenes.h. */
#include "tests/sim/scenes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "proto/wire.h"

/* What is typed here is as unique as all else (world_act). */
static void type(world *w, uint32_t who, uint32_t lead, const char *field) {
    char text[32];
    snprintf(text, sizeof text, "v%u by %u", w->values++, who);
    if (w->records[lead].kind == KIND_LEAD && world_holds(w, who, lead))
        world_set(w, who, lead, field, text);
}

/* More than a page and a batch take. */
void scene_bulk(world *w, uint32_t who) {
    static char text[32001];
    buf value = {0};
    memset(text, 'x', sizeof text);
    wire_put_text(&value, span_of(text, sizeof text - 1));
    bool together = prop_chance(&w->random, 50);
    uint32_t most = w->record_count + 16 < 28 ? w->record_count + 16 : 28;
    while (w->record_count < most) {
        uint32_t by = together ? who : (uint32_t)prop_below(&w->random, w->options.devices);
        uint32_t before = w->record_count, made = world_make_lead(w, by, "bulk");
        if (w->record_count == before)
            break;
        world_force(w, by, &w->records[made], LEAD_NEED, buf_span(&value));
    }
    buf_fini(&value);
}

/* A lead that the device holds; false: it has none. */
static bool draw_lead(world *w, uint32_t who, uint32_t *lead_out) {
    for (int i = 0; i < 8 && w->record_count; i++) {
        *lead_out = (uint32_t)prop_below(&w->random, w->record_count);
        if (w->records[*lead_out].kind == KIND_LEAD && world_holds(w, who, *lead_out))
            return true;
    }
    return false;
}

static const char *draw_field(world *w) {
    static const char *const fields[] = {"company", "notes", "answers.size"};
    return fields[prop_below(&w->random, 3)];
}

void scene_busy(world *w, uint32_t who) {
    uint32_t lead, other = (who + 1) % w->options.devices;
    if (!draw_lead(w, who, &lead))
        return;
    world_device_start(&w->devices[who], true);
    world_device_start(&w->devices[other], true);
    for (int i = 0; i < 8; i++) {
        type(w, prop_chance(&w->random, 70) ? who : other, lead, draw_field(w));
        world_run(w, prop_between(&w->random, 0, 60));
    }
}

/* Runs until the device has frozen so many batches. */
static bool run_until_frozen(world *w, const world_device *d, int64_t batches) {
    bool frozen = false;
    for (int i = 0; i < 200 && d->running && !frozen; i++) {
        world_step(w, w->now_ms + 1000);
        frozen = world_device_count(d, "SELECT count(*) FROM batch") >= batches;
    }
    return frozen;
}

void scene_lost_batch(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    uint32_t lead;
    if (!draw_lead(w, who, &lead))
        return;
    const char *field = draw_field(w);
    d->wall_offset_ms =
        prop_between(&w->random, -1900, -300); /* too little to be told of it, and stamps move all the same */
    world_device_restart(d, true);
    type(w, who, lead, field);
    world_device_start(d, false);
    if (!run_until_frozen(w, d, 1) || d->link < 0)
        return;
    world_silence(w, (uint32_t)d->link);
    type(w, who, lead, field);
    world_device_restart(d, true);
    d->wall_offset_ms = prop_between(&w->random, -7200000, 7200000);
    world_count(w, FAULT_CLOCK_SET);
    world_device_start(d, true);
}

#define AHEAD_MS INT64_C(3600000)

void scene_future(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    uint32_t lead;
    if (d->revoked)
        return;
    world_device_stop(d);
    char text[32];
    snprintf(text, sizeof text, "v%u by %u", w->values++, who);
    if (w->record_count < WORLD_RECORDS_MAX / 2 && prop_chance(&w->random, 50))
        world_make_lead(w, who, text);
    if (!draw_lead(w, who, &lead))
        return;
    type(w, who, lead, draw_field(w));
    if (!draw_lead(w, who, &lead))
        return;
    world_count(w, FAULT_FUTURE);
    w->records[lead].ahead = true;
    buf value = {0};
    world_typed t = {.device = who, .record = lead, .field = LEAD_NEED};
    snprintf(text, sizeof text, "ahead %u", w->values++);
    wire_put_text(&value, span_text(text));
    t.value_size = value.size;
    memcpy(t.value, value.data, value.size);
    if (world_force_after(w, who, &w->records[lead], LEAD_NEED, buf_span(&value),
                          (uint64_t)(w->now_ms + AHEAD_MS) << 16))
        world_remember(w, &t);
    buf_fini(&value);
    world_device_start(d, true);
}

void scene_failed_commit(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    if (w->options.engine != &store_sqlite_ops || d->revoked)
        return;
    world_device_stop(d);
    scene_bulk(w, who);
    world_device_start(d, true);
    if (!run_until_frozen(w, d, 2))
        return;
    w->disk.faults = (vfs_faults){0};
    w->disk.faults.eio[VFS_SYNC].at = 1;
    w->disk.faults.eio[VFS_SYNC].count = 1;
    world_note(w, "the server's disk fails the next commit");
}
