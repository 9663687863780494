/* sweep.c - see sweep.h. */
#include "tests/sim/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t runs, hits;

int sweep_install(void **state) {
    (void)state;
    vfs_install();
    return 0;
}

int sweep_uninstall(void **state) {
    (void)state;
    vfs_remove();
    fprintf(stderr, "[     INFO ] %llu runs, %llu faults\n", (unsigned long long)runs, (unsigned long long)hits);
    return 0;
}

static uint64_t wanted_seed(void) {
    const char *seed = getenv("LEADPOOL_SEED");
    return seed ? strtoull(seed, NULL, 0) : 1;
}

bool sweep_wants(const char *name) {
    const char *only = getenv("LEADPOOL_DEED");
    return !only || strcmp(only, name) == 0;
}

pair *sweep_begin(const char *name) {
    pair *p = pair_new(wanted_seed());
    p->deed = name;
    return p;
}

void sweep_end(pair *p, uint64_t least) {
    pair_expect(p, p->at > least, "it ended after %llu places", (unsigned long long)p->at - 1);
    pair_free(p);
}

bool sweep_ran(bool hit) {
    runs++;
    hits += hit;
    return hit;
}

static void sweep(const deed *what, const disturbance *how) {
    pair *p = sweep_begin(what->name);
    what->prepare(p);
    pair_keep(p);
    p->cold = how->cold;
    do {
        p->at++;
        pair_again(p);
    } while (sweep_ran(how->disturb(p, what, how)));
    fprintf(stderr, "[     INFO ] %s: %s at %llu places\n", what->name, how->name, (unsigned long long)p->at - 1);
    sweep_end(p, how->least);
}

void sweep_deeds(const disturbance *how) {
    for (size_t i = 0; i < deed_count; i++)
        if (sweep_wants(deeds[i].name))
            sweep(&deeds[i], how);
}
