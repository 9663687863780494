/* schedule.c - drawing and playing; see schedule.h. */
#include "tests/sim/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "client/replica/statements.h"
#include "proto/crypto.h"

static uint32_t draw_what(prop *p, uint32_t troubles) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < turn_count; i++)
        sum += (turns[i].trouble & ~troubles) ? 0 : turns[i].weight;
    uint64_t drawn = prop_below(p, sum);
    for (uint32_t i = 0; i < turn_count; i++) {
        uint32_t weight = (turns[i].trouble & ~troubles) ? 0 : turns[i].weight;
        if (drawn < weight)
            return i;
        drawn -= weight;
    }
    return 0;
}

void schedule_draw(schedule *s, uint64_t seed, const store_ops *engine) {
    prop p = prop_seeded(seed);
    memset(s, 0, sizeof *s);
    s->engine = engine;
    s->seed = seed;
    s->devices = 2 + (uint32_t)prop_below(&p, 2);
    s->people = prop_chance(&p, 25) ? 2 : 0;
    s->troubles = (uint32_t)prop_below(&p, TROUBLE_ALL + 1);
    uint32_t people = s->people ? s->people : s->devices;
    s->reps = s->troubles & TROUBLE_SCOPES ? 1 + (uint32_t)prop_below(&p, (1u << people) - 1) : 0;
    s->keep = prop_chance(&p, 50);
    s->count = 10 + (uint32_t)prop_below(&p, 60);
    for (uint32_t i = 0; i < s->count; i++)
        s->list[i] = (turn){
            .what = draw_what(&p, s->troubles), .who = (uint32_t)prop_below(&p, s->devices), .seed = prop_u64(&p)};
}

void schedule_print(const schedule *s, FILE *out) {
    fprintf(out, "seed %llu on the %s store, %u devices of %u people, reps %#x:\n", (unsigned long long)s->seed,
            s->engine->name, s->devices, s->people ? s->people : s->devices, s->reps);
    for (uint32_t i = 0; i < s->count; i++)
        if (!s->list[i].skip)
            fprintf(out, "  turn %2u  device %u  %s\n", i, s->list[i].who, turns[s->list[i].what].name);
}

/* What every copy of the world has then and does not have to look up again: a device's SQL, OpenSSL's ciphers. */
static void warm_up(replica *r) {
    const uint8_t key[CRYPTO_SEAL_KEY_BYTES] = {9};
    crypto_sealer *sealer = NULL;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        statement(r, (statement_name)i, NULL);
    assert_int_equal(crypto_sealer_new(key, key, &sealer, NULL), LP_OK);
    crypto_sealer_free(sealer);
}

world *schedule_prepare(const schedule *s) {
    world_options options = {.engine = s->engine,
                             .devices = s->devices,
                             .people = s->people,
                             .reps = s->reps,
                             .seed = 1,
                             .name = "schedule",
                             .ram = s->reps * 100 + s->devices * 10 + s->people};
    world *w = world_new(&options);
    for (uint32_t i = 0; i < s->devices; i++)
        warm_up(w->devices[i].replica);
    return w;
}

static void check_determined(world *w) {
    for (uint32_t i = 0; i < w->options.devices; i++) {
        uint64_t disk = vfs_hash(w->devices[i].disk.disk);
        world_hash(w, &disk, sizeof disk);
    }
    uint64_t disk = vfs_hash(w->disk.disk);
    world_hash(w, &disk, sizeof disk);
}

static void play(const schedule *s, world *w) {
    world_reseed(w, s->seed);
    w->faults = (world_faults){.delay_min_ms = 1, .delay_max_ms = 50, .commit_max_ms = 5};
    for (uint32_t i = 0; i < s->count; i++) {
        const turn *t = &s->list[i];
        if (t->skip)
            continue;
        w->random = prop_seeded(t->seed);
        world_note(w, "-- turn %u: device %u, %s", i, t->who, turns[t->what].name);
        turns[t->what].play(w, t->who);
    }
    w->random = prop_seeded(s->seed + 1);
    world_settle(w, s->keep);
    world_check(w);
    check_determined(w);
}

void schedule_play(const schedule *s, world *w, outcome *outcome_out) {
    jmp_buf escape;
    memset(outcome_out, 0, sizeof *outcome_out);
    w->escape = &escape;
    if (setjmp(escape) == 0) {
        play(s, w);
    } else {
        outcome_out->failed = true;
        memcpy(outcome_out->what, w->failure, sizeof outcome_out->what);
    }
    w->escape = NULL;
    outcome_out->hash = w->hash;
    outcome_out->done = true;
}
