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

/* Another device with the lead, a rep's if there is one; -1 if none has it. */
static int32_t other_holder(const world *w, uint32_t who, uint32_t lead) {
    int32_t found = -1;
    for (uint32_t i = 0; i < w->options.devices; i++)
        if (i != who && world_holds(w, i, lead) && (found < 0 || !world_holds_pool(w, i)))
            found = (int32_t)i;
    return found;
}

/* Somebody writes to a lead that is given away meanwhile: without a network, or while the news is on its way. */
void turn_move_under_edits(world *w, uint32_t who) {
    int32_t lead = turn_draw_lead(w, who), other = lead < 0 ? -1 : other_holder(w, who, (uint32_t)lead);
    if (other < 0)
        return;
    world_device *d = &w->devices[other];
    bool live = prop_chance(&w->random, 50);
    if (live) {
        world_device_start(d, true);
        world_run(w, 2000);
    } else {
        world_device_stop(d);
        world_write(w, d->index, (uint32_t)lead);
    }
    if (!world_holds(w, who, (uint32_t)lead))
        return;
    move(w, who, (uint32_t)lead);
    world_device_start(&w->devices[who], false);
    world_run(w, live ? prop_between(&w->random, 20, 200) : prop_between(&w->random, 0, 3000));
    if (live && world_holds(w, d->index, (uint32_t)lead))
        world_write(w, d->index, (uint32_t)lead);
    if (!live)
        world_device_start(d, prop_chance(&w->random, 50));
}

/* Whoever has the lead gives it on, and everybody hears of it. */
void turn_pass_round(world *w, uint32_t who) {
    int32_t lead = turn_draw_lead(w, who);
    for (int round = 0; lead >= 0 && round < 4; round++) {
        int32_t holder = other_holder(w, WORLD_DEVICES_MAX, (uint32_t)lead);
        if (holder < 0)
            return;
        move(w, (uint32_t)holder, (uint32_t)lead);
        for (uint32_t i = 0; i < w->options.devices; i++)
            world_device_start(&w->devices[i], false);
        world_run(w, 2000);
    }
}

static void run_devices_of(world *w, uint32_t person, int64_t ms) {
    for (uint32_t i = 0; i < w->options.devices; i++)
        if (w->devices[i].person == person)
            world_device_start(&w->devices[i], false);
    world_run(w, ms);
}

/* A lead of an event, and somebody to whom the event is granted; perhaps that is taken back, and given again before they have noticed. */
void turn_event(world *w, uint32_t who) {
    int32_t lead = turn_draw_lead(w, who);
    uint32_t person = (uint32_t)prop_below(&w->random, world_people(w));
    if (lead < 0)
        return;
    world_set(w, who, (uint32_t)lead, "event", "ifa");
    run_devices_of(w, w->devices[who].person, 1000);
    world_grant(w, person, 0, true);
    run_devices_of(w, person, 2000);
    if (prop_chance(&w->random, 60))
        world_grant(w, person, 0, false);
    if (world_holds(w, who, (uint32_t)lead) && prop_chance(&w->random, 50))
        world_write(w, who, (uint32_t)lead);
    if (prop_chance(&w->random, 50))
        world_grant(w, person, 0, true);
    run_devices_of(w, person, prop_between(&w->random, 0, 2000));
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
