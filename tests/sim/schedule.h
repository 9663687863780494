/* schedule.h - one story of a world as data: how many devices, and a list of turns, each with a seed of its own. Drawn from the schedule's
 * seed before anything happens; so a turn can be left out without changing what the others draw, and a failing schedule shrinks. */
#ifndef TESTS_SIM_SCHEDULE_H
#define TESTS_SIM_SCHEDULE_H

#include "tests/sim/world.h"

#define TURNS_MAX 100

/** What kind of trouble a schedule is made of. */
typedef enum trouble {
    TROUBLE_NETWORK = 1,
    TROUBLE_DEVICES = 2,
    TROUBLE_SERVER = 4,
    TROUBLE_CLOCKS = 8,
    TROUBLE_LOCKS = 16,
    TROUBLE_DISKS = 32,
    TROUBLE_VERSIONS = 64,
    TROUBLE_OFFICE = 128,
    TROUBLE_COPIES = 256,
    TROUBLE_SCOPES = 512,
    TROUBLE_PURGE = 1024,
    TROUBLE_ALL = 2047
} trouble;

/** A kind of turn: what people do, and each fault. */
typedef struct turn_info {
    const char *name;
    uint32_t weight;
    uint32_t trouble; /**< it is only drawn in a schedule that is made of this; 0: always */
    void (*play)(world *w, uint32_t who);
} turn_info;

extern const turn_info turns[];
extern const uint32_t turn_count;

typedef struct turn {
    uint32_t what; /**< index in turns */
    uint32_t who;
    uint64_t seed;
    bool skip;
} turn;

typedef struct schedule {
    const store_ops *engine;
    uint64_t seed;
    uint32_t devices, people;
    uint32_t reps; /**< bit n: person n is one */
    uint32_t troubles;
    bool keep; /**< at the end devices stay connected until all is quiet */
    turn list[TURNS_MAX];
    uint32_t count;
} schedule;

void schedule_draw(schedule *s, uint64_t seed, const store_ops *engine);
/** What it says, one line per turn. */
void schedule_print(const schedule *s, FILE *out);

/** How it went. */
typedef struct outcome {
    bool done;   /**< false: the program ended in the middle */
    bool failed; /**< `what` says which invariant */
    char what[400];
    uint64_t hash;
} outcome;

/** A world in which everybody has joined and nothing has happened. */
world *schedule_prepare(const schedule *s);
/** Plays it in a prepared world, heals, settles and checks. The world is used up, and after a failure its memory too. */
void schedule_play(const schedule *s, world *w, outcome *outcome_out);

#endif
