/* deeds.h - everything that writes, as deeds of a pair (pair.h) to be disturbed at every step. */
#ifndef TESTS_SIM_DEEDS_H
#define TESTS_SIM_DEEDS_H

#include "tests/sim/pair.h"

typedef void (*deed_fn)(pair *p);

/** `disk`: whose is disturbed: 0 and 1 the devices', 2 the server's. What a deed's disk does to it is no failure of the deed. */
typedef struct deed {
    const char *name;
    deed_fn prepare, act;
    uint32_t disk;
} deed;

extern const deed deeds[];
extern const size_t deed_count;

vfs_disk *deed_disk(pair *p, uint32_t disk);

#endif
