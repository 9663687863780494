/* test_sync.c - whatever the network, the programs and the people do: once all is quiet, everybody holds the same pool and nothing anybody
 * typed is missing. Random schedules over the world of tests/sim/world.h.
 *
 * LEADPOOL_SEED=0x1234 replays one schedule, LEADPOOL_SCHEDULES=N runs N of them, from that seed on if both
 * are given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"
#include "tests/sim/world.h"

#define MEMORY_SCHEDULES 2000
#define SQLITE_SCHEDULES 200

/* What kind of trouble a schedule is made of. */
typedef enum trouble {
    TROUBLE_NETWORK = 1,
    TROUBLE_DEVICES = 2,
    TROUBLE_SERVER = 4,
    TROUBLE_CLOCKS = 8,
    TROUBLE_LOCKS = 16
} trouble;

static world_faults draw_faults(world *w, uint32_t troubles) {
    prop *p = &w->random;
    bool rough = troubles & TROUBLE_NETWORK;
    world_faults f = {
        .delay_min_ms = 1, .delay_max_ms = prop_between(p, 1, 400), .commit_max_ms = prop_between(p, 0, 200)};
    if (rough && prop_chance(p, 30))
        f.delay_max_ms = prop_between(p, 400, 3000);
    f.cut_percent = rough ? (uint32_t)prop_below(p, 15) : 0;
    f.hang_percent = rough ? (uint32_t)prop_below(p, 4) : 0;
    f.refuse_percent = rough ? (uint32_t)prop_below(p, 30) : 0;
    f.repeat_percent = rough ? (uint32_t)prop_below(p, 10) : 0;
    f.lock_percent = troubles & TROUBLE_LOCKS ? (uint32_t)prop_below(p, 10) : 0;
    return f;
}

static void restart_device(world *w, uint32_t who) {
    world_device_crash(&w->devices[who]);
    world_device_open(w, who, false);
}

/* A person sets the clock, or the device corrects it by itself. */
static void set_clock(world *w, world_device *d) {
    d->wall_offset_ms = prop_chance(&w->random, 40) ? 0 : prop_between(&w->random, -7200000, 7200000);
    world_note(w, "the clock of device %u is off by %lld ms now", d->index, (long long)d->wall_offset_ms);
}

/* A value no server takes, written past the library's own checks. */
static void force_refusal(world *w, uint32_t who) {
    char text[301];
    buf value = {0};
    memset(text, 'x', sizeof text);
    wire_put_text(&value, span_of(text, sizeof text));
    if (w->record_count && w->records[0].kind == KIND_LEAD && world_holds(w, who, 0))
        world_force(w, who, &w->records[0], LEAD_JOB_TITLE, buf_span(&value));
    buf_fini(&value);
}

/* More than a page and a batch take. */
static void make_bulk(world *w) {
    static char text[32001];
    buf value = {0};
    memset(text, 'x', sizeof text);
    wire_put_text(&value, span_of(text, sizeof text - 1));
    bool together = prop_chance(&w->random, 50);
    while (w->record_count < 28) {
        uint32_t who = together ? 0 : (uint32_t)prop_below(&w->random, w->options.devices);
        uint32_t made = world_make_lead(w, who, "bulk");
        world_force(w, who, &w->records[made], LEAD_NEED, buf_span(&value));
    }
    buf_fini(&value);
}

static void play(world *w, uint32_t troubles) {
    prop *p = &w->random;
    uint32_t who = (uint32_t)prop_below(p, w->options.devices);
    world_device *d = &w->devices[who];
    uint64_t deed = prop_below(p, 100);
    if (deed < 45)
        world_act(w, who);
    else if (deed < 60)
        world_device_start(d, prop_chance(p, 50));
    else if (deed < 64)
        world_device_stop(d);
    else if (deed < 68 && (troubles & TROUBLE_DEVICES))
        restart_device(w, who);
    else if (deed < 70 && (troubles & TROUBLE_SERVER))
        world_server_restart(w);
    else if (deed < 72 && (troubles & TROUBLE_CLOCKS))
        set_clock(w, d);
    else if (deed < 73)
        force_refusal(w, who);
    else if (deed < 76)
        w->faults = draw_faults(w, troubles);
    else
        world_run(w, prop_chance(p, 80) ? prop_between(p, 0, 500) : prop_between(p, 500, 60000));
}

static void run_schedule(uint64_t seed, const store_ops *engine) {
    prop p = prop_seeded(seed);
    uint32_t troubles = (uint32_t)prop_below(&p, 32);
    world_options options = {.engine = engine,
                             .devices = 2 + (uint32_t)prop_below(&p, 2),
                             .people = prop_chance(&p, 25) ? 2 : 0,
                             .seed = seed,
                             .name = "property_sync"};
    world *w = world_new(&options);
    if (prop_chance(&p, 5))
        make_bulk(w);
    w->faults = draw_faults(w, troubles);
    for (uint32_t i = 0; (troubles & TROUBLE_CLOCKS) && i < options.devices; i++)
        w->devices[i].wall_offset_ms = prop_chance(&p, 60) ? prop_between(&p, -7200000, 7200000) : 0;
    uint64_t deeds = 10 + prop_below(&p, 60);
    for (uint64_t i = 0; i < deeds; i++)
        play(w, troubles);
    world_settle(w, prop_chance(&p, 50));
    world_check(w);
    world_free(w);
}

static void run_schedules(uint32_t normal, const store_ops *engine) {
    prop p = prop_begin("property_sync");
    const char *more = getenv("LEADPOOL_SCHEDULES");
    const char *seed = getenv("LEADPOOL_SEED");
    uint32_t schedules = more && *more ? (uint32_t)strtoul(more, NULL, 0) : seed && *seed ? 1 : normal;
    for (uint32_t i = 0; i < schedules; i++) {
        prop_round(&p, i);
        run_schedule(p.seed, engine);
    }
}

static void any_schedule_ends_in_one_pool_on_the_memory_store(void **state) {
    (void)state;
    run_schedules(MEMORY_SCHEDULES, &store_memory_ops);
}

static void any_schedule_ends_in_one_pool_on_the_sqlite_store(void **state) {
    (void)state;
    run_schedules(SQLITE_SCHEDULES, &store_sqlite_ops);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_schedule_ends_in_one_pool_on_the_memory_store),
        cmocka_unit_test(any_schedule_ends_in_one_pool_on_the_sqlite_store),
    };
    return cmocka_run_group_tests_name("property_sync", tests, NULL, NULL);
}
