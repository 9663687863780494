/* turns_purge.c - months pass, some devices lie in a drawer meanwhile, and the pool forgets what was deleted long ago. */
#include "server/pool/auth.h"
#include "tests/sim/turns.h"

#define NOTICED_MS 130000 /* by then a server has noticed that everybody is gone */

/* Everybody is offline all the while. */
void turn_months(world *w, uint32_t who) {
    (void)who;
    for (uint32_t i = 0; i < w->options.devices; i++)
        world_device_stop(&w->devices[i]);
    world_run(w, NOTICED_MS);
    w->now_ms += prop_between(&w->random, 85, 200) * DAY_MS;
    world_happened(w, EVENT_MONTHS);
    world_note(w, "it is months later");
}

void turn_purge(world *w, uint32_t who) {
    (void)who;
    world_purge(w);
}

static void start_some(world *w, uint32_t percent) {
    for (uint32_t i = 0; i < w->options.devices; i++)
        if (prop_chance(&w->random, percent))
            world_device_start(&w->devices[i], false);
    world_run(w, prop_between(&w->random, 500, 5000));
}

/* A lead is deleted, some hear of it, some write to it in their drawer, and months later it is forgotten. */
void turn_forget_lead(world *w, uint32_t who) {
    start_some(w, 40);
    int32_t lead = turn_draw_lead(w, who);
    if (lead < 0)
        return;
    world_delete(w, who, (uint32_t)lead);
    world_device_start(&w->devices[who], false);
    start_some(w, 50);
    for (uint32_t i = 0; i < w->options.devices; i++) {
        world_device_stop(&w->devices[i]);
        if (i != who && prop_chance(&w->random, 30) && world_holds(w, i, (uint32_t)lead))
            world_write(w, i, (uint32_t)lead);
    }
    turn_months(w, who);
    start_some(w, 30);
    world_purge(w);
}
