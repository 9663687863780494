/* prop.h - random cases that can be had again: a small seeded generator for property tests, fuzzers' seeds and simulations.
 *
 *     prop p = prop_begin("merge");          LEADPOOL_SEED, else a seed made from the name
 *     for (uint32_t i = 0; i < prop_rounds(2000); i++) {
 *         prop_round(&p, i);                 each round has a seed of its own, printed if the round fails
 *         ...
 *     }
 *
 * LEADPOOL_SEED=0x1234 replays the one round with that seed first. LEADPOOL_ROUNDS=N sets the number of rounds.
 * Why splitmix64 (Steele, Lea, Flood 2014): eight lines, any seed is good, and rounds may start anywhere. */
#ifndef TESTS_SUPPORT_PROP_H
#define TESTS_SUPPORT_PROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/hlc.h"
#include "proto/id.h"

typedef struct prop {
    uint64_t state;
    uint64_t first; /**< seed of round 0 */
    uint64_t seed;  /**< seed of this round: what LEADPOOL_SEED replays */
    const char *name;
} prop;

/** Starts with LEADPOOL_SEED (decimal or 0x...), else with a seed made from the name. */
prop prop_begin(const char *name);
/** A generator with a given seed, for whoever needs no rounds. */
prop prop_seeded(uint64_t seed);
/** Reseeds for round `round`; round 0 of a run with LEADPOOL_SEED=s is the round that printed s. */
void prop_round(prop *p, uint32_t round);
/** LEADPOOL_ROUNDS, else `normal`. */
uint32_t prop_rounds(uint32_t normal);
/** `condition`; if false, prints name, seed and `what` first. For assert_true(prop_holds(&p, a == b, "a equals b")). */
bool prop_holds(const prop *p, bool condition, const char *what);

uint64_t prop_u64(prop *p);
uint64_t prop_below(prop *p, uint64_t bound);               /**< 0 <= n < bound; bound 0: 0 */
int64_t prop_between(prop *p, int64_t least, int64_t most); /**< both included */
bool prop_chance(prop *p, uint32_t percent);
/** A number whose size in bits is uniform: small ones and the edges of every width come often. */
uint64_t prop_number(prop *p);
void prop_bytes(prop *p, void *bytes, size_t size);
/** Fisher-Yates. */
void prop_shuffle(prop *p, void *items, size_t count, size_t item_bytes);
lp_id prop_id(prop *p);
/** Valid UTF-8 of up to `size_max` bytes, sequences of 1 to 4 bytes, appended. */
void prop_text(prop *p, buf *b, size_t size_max);
/** One msgpack value in canonical form, nested at most `depth`, appended. */
void prop_value(prop *p, buf *b, int depth);

#endif
