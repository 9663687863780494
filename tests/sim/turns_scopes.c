/* turns_scopes.c - leads that change hands, grants that come and go, and people who write what they may not (any more). */
#include "tests/sim/turns.h"
#include "tests/sim/world_scopes.h"

int32_t turn_draw_lead(world *w, uint32_t who) {
    for (int i = 0; i < 8 && w->record_count; i++) {
        uint32_t drawn = (uint32_t)prop_below(&w->random, w->record_count);
        if (w->records[drawn].kind == KIND_LEAD && world_holds(w, who, drawn))
            return (int32_t)drawn;
    }
    return -1;
}

/* To somebody, to nobody, or into an event. */
static void move(world *w, uint32_t who, uint32_t lead) {
    char name[24];
    uint64_t deed = prop_below(&w->random, 10);
    snprintf(name, sizeof name, "person %u", (unsigned)prop_below(&w->random, world_people(w)));
    if (deed < 6)
        world_set(w, who, lead, "owner", name);
    else if (deed == 6)
        world_set(w, who, lead, "owner", prop_chance(&w->random, 50) ? NULL : "somebody else");
    else
        world_set(w, who, lead, "event", deed == 7 ? NULL : deed == 8 ? "ifa" : "expo");
}

void turn_move_lead(world *w, uint32_t who) {
    int32_t lead = turn_draw_lead(w, who);
    if (lead >= 0)
        move(w, who, (uint32_t)lead);
}

/* Somebody without a network writes to a lead that is given away meanwhile. */
void turn_move_under_edits(world *w, uint32_t who) {
    int32_t lead = turn_draw_lead(w, who);
    uint32_t other = (uint32_t)prop_below(&w->random, w->options.devices);
    if (lead < 0 || other == who || !world_holds(w, other, (uint32_t)lead))
        return;
    world_device_stop(&w->devices[other]);
    world_write(w, other, (uint32_t)lead);
    move(w, who, (uint32_t)lead);
    world_device_start(&w->devices[who], false);
    world_run(w, prop_between(&w->random, 0, 3000));
    world_device_start(&w->devices[other], prop_chance(&w->random, 50));
}

void turn_grant(world *w, uint32_t who) {
    (void)who;
    uint32_t person = (uint32_t)prop_below(&w->random, world_people(w));
    uint32_t which = (uint32_t)prop_below(&w->random, WORLD_GRANTS);
    world_grant(w, person, which, prop_chance(&w->random, 50));
}

/* A lead that the pool knows and the device does not hold. */
void turn_stray(world *w, uint32_t who) {
    uint32_t drawn = w->record_count ? (uint32_t)prop_below(&w->random, w->record_count) : 0;
    store_row row;
    if (drawn >= w->record_count || w->records[drawn].kind != KIND_LEAD || world_holds(w, who, drawn) ||
        world_is_erased(w, drawn) || w->reader->ops->snapshot(w->reader, NULL))
        return;
    bool known = w->reader->ops->read(w->reader, &w->records[drawn].id, &row, NULL) == LP_OK;
    w->reader->ops->snapshot_end(w->reader);
    if (known)
        world_stray(w, who, drawn);
}
