/* turns_clock.c - the clock of the server's machine is set, and somebody sees to it; see turns.h. */
#include "tests/sim/turns.h"

#define YEAR_2036_MS INT64_C(2082758400000)
#define MINUTE_MS INT64_C(60000)

static void set_to(world *w, int64_t off_ms) {
    w->server_wall_off_ms = off_ms;
    w->server_ahead_ms = off_ms > w->server_ahead_ms ? off_ms : w->server_ahead_ms;
    world_note(w, "the server's clock is off by %lld ms now", (long long)off_ms);
}

/* By hand, by a broken time service, by an empty battery. A server that is started while it is ahead cannot know. */
void turn_set_server_clock(world *w, uint32_t who) {
    prop *p = &w->random;
    (void)who;
    world_count(w, FAULT_SERVER_CLOCK);
    w->server_clock_set = true;
    if (prop_chance(p, 30))
        set_to(w, YEAR_2036_MS - w->now_ms);
    else
        set_to(w, prop_between(p, -90 * MINUTE_MS, 90 * MINUTE_MS));
    if (prop_chance(p, 30))
        world_server_restart(w);
}

static void repair(world *w) {
    world_restamps(w);
    if (!world_operate_with(w, "repair-clock", NULL, 0))
        return;
    world_happened(w, EVENT_REPAIRED);
    w->repairs++;
    world_restamped(w);
}

/* The operator is told that the clock jumped, and does one of the two: sets it, or says that it is right as it is. */
void turn_see_to_server_clock(world *w, uint32_t who) {
    (void)who;
    if (prop_chance(&w->random, 50))
        set_to(w, 0);
    else
        repair(w);
}

void world_heal_server_clock(world *w) {
    w->server_wall_off_ms = 0;
    if (timekeeper_troubled(&w->pool.time, NULL))
        repair(w);
}
