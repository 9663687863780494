/* greetings.c - see greetings.h. Device numbers are dense, so this is an array that grows by chunks. */
#include "server/pool/greetings.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CHUNK 1024u
#define CHUNKS 4096u /* four million devices */

typedef _Atomic uint64_t slot;

struct greetings {
    _Atomic uint64_t last;
    _Atomic uint64_t ended; /* those below it are, whoever's */
    _Atomic(slot *) chunks[CHUNKS];
};

greetings *greetings_new(void) {
    return calloc(1, sizeof(greetings));
}

void greetings_free(greetings *g) {
    for (uint32_t i = 0; g && i < CHUNKS; i++)
        free(atomic_load(&g->chunks[i]));
    free(g);
}

static slot *find(const greetings *g, uint32_t device) {
    slot *chunk = device / CHUNK < CHUNKS ? atomic_load(&g->chunks[device / CHUNK]) : NULL;
    return chunk ? &chunk[device % CHUNK] : NULL;
}

/* Two may come at once; one of them brings the chunk. */
static void add_chunk(greetings *g, uint32_t device) {
    slot *none = NULL, *made = device / CHUNK < CHUNKS ? calloc(CHUNK, sizeof *made) : NULL;
    if (made && !atomic_compare_exchange_strong(&g->chunks[device / CHUNK], &none, made))
        free(made);
}

uint64_t greetings_next(greetings *g, uint32_t device) {
    if (!find(g, device))
        add_chunk(g, device);
    slot *latest = find(g, device);
    if (!latest)
        return 0;
    uint64_t number = atomic_fetch_add(&g->last, 1) + 1, stands = atomic_load(latest);
    while (stands < number && !atomic_compare_exchange_weak(latest, &stands, number))
        ;
    return number;
}

void greetings_end(greetings *g, uint32_t device) {
    greetings_next(g, device);
}

void greetings_end_all(greetings *g) {
    atomic_store(&g->ended, atomic_fetch_add(&g->last, 1) + 1);
}

bool greetings_passed(const greetings *g, uint32_t device, uint64_t greeting) {
    slot *latest = find(g, device);
    return latest && (atomic_load(latest) > greeting || atomic_load(&g->ended) > greeting);
}
