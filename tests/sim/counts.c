/* counts.c - see counts.h. */
#include "tests/sim/counts.h"

#include <stdio.h>

#include "proto/merge.h"
#include "proto/page.h"
#include "proto/wire.h"

static world_counts *current;

merge_outcome __real_merge_change(record *rec, const reg *change, reg *before_out);
merge_outcome __wrap_merge_change(record *rec, const reg *change, reg *before_out);

merge_outcome __wrap_merge_change(record *rec, const reg *change, reg *before_out) {
    merge_outcome outcome = __real_merge_change(rec, change, before_out);
    if (current && outcome < COUNTED_MERGES)
        current->merges[outcome]++;
    return outcome;
}

void counts_use(world_counts *counts) {
    current = counts;
}

void counts_message(world_counts *counts, span bytes, bool to_server) {
    wire_reader r = wire_open(bytes);
    wire_array(&r);
    uint64_t number = wire_u64(&r);
    if (!r.failed && number < COUNTED_MESSAGES)
        counts->messages[to_server][number]++;
}

void counts_verdicts(world_counts *counts, const message *m) {
    if (m->number != MSG_SYNCED || !m->batch)
        return;
    wire_reader r = wire_open(m->verdicts);
    uint32_t count = m->verdicts.size ? wire_array(&r) : 0;
    counts->verdicts[VERDICT_APPLIED] += count == 0;
    for (uint32_t i = 0; i < count; i++) {
        verdict v;
        if (!verdict_take(&r, &v))
            return;
        counts->verdicts[v.kind]++;
    }
}

void counts_add(world_counts *sum, const world_counts *more) {
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)more;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

uint64_t counts_faults(const world_counts *counts) {
    uint64_t sum = 0;
    for (int i = 0; i < FAULT_COUNT; i++)
        sum += counts->faults[i];
    return sum;
}

/* What only browsers and the operator's own socket say, and what no sound peer gets to hear. Nothing is offered again to a pool in memory: it is
 * never restored. */
static bool is_elsewhere(uint32_t number, bool sqlite) {
    bool offer = number == MSG_REOFFER || number == MSG_REOFFERED;
    return (offer && !sqlite) || number == MSG_CONTROL || number == MSG_CONTROLLED || number == MSG_JOIN ||
           number == MSG_JOINED;
}

static const struct {
    uint32_t number;
    const char *name;
} messages[] = {
#define MESSAGE(NAME, number, name) {number, name},
#define PART(MESSAGE, key, member, type)
#include "proto/messages.def"
#undef PART
#undef MESSAGE
};

void counts_each(const world_counts *counts, bool sqlite, void (*each)(void *ctx, const char *name, uint64_t count),
                 void *ctx) {
    static const char *const faults[] = {
#define F(name, text) text,
        WORLD_FAULTS(F)
#undef F
    };
    static const char *const events[] = {
#define E(name, text) text,
        WORLD_EVENTS(E)
#undef E
    };
    static const char *const merges[] = {"merge applied", "merge lost", "merge same", "merge cloned"};
    static const char *const verdicts[] = {"verdict applied", "verdict lost", "verdict refused", "verdict received"};
    char text[64];
    for (int i = 0; i < FAULT_COUNT; i++)
        if (sqlite || !(i == FAULT_SERVER_POWER || i == FAULT_RESTORED || i == FAULT_SET_BACK))
            each(ctx, faults[i], counts->faults[i]);
    for (int i = 0; i < EVENT_COUNT; i++)
        each(ctx, events[i], counts->events[i]);
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        if (is_elsewhere(messages[i].number, sqlite))
            continue;
        snprintf(text, sizeof text, "message %s", messages[i].name);
        each(ctx, text, counts->messages[0][messages[i].number] + counts->messages[1][messages[i].number]);
    }
    for (int i = 0; i < COUNTED_MERGES; i++)
        each(ctx, merges[i], counts->merges[i]);
    for (int i = 0; i < COUNTED_VERDICTS; i++)
        each(ctx, verdicts[i], counts->verdicts[i]);
    each(ctx, "conflicts", counts->conflicts);
    each(ctx, "healed", counts->healed);
}
