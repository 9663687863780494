/* fault_sweep.h - what a device does when the k-th call of its database or the k-th allocation of its own fails, for every k: what was to happen
 * has happened or has not, nothing is there by half, and after a restart it happens.
 *
 * integration_short_memory lets SQLite's own allocations fail; sim_disk_faults and sim_power break the disk under whole pools. */
#ifndef TESTS_SUPPORT_FAULT_SWEEP_H
#define TESTS_SUPPORT_FAULT_SWEEP_H

#include "tests/support/told.h"

/** One thing that happens to a device. Of `counted`, which shows whether it has happened, nothing but the value before and the one after
 *  may ever be seen. */
typedef struct thing {
    const char *name;
    void (*prepare)(rig *r); /**< what the replica holds */
    void (*talk)(rig *r);    /**< up to the moment at which it happens; once more after a restart, maybe behind it */
    void (*act)(rig *r);     /**< must not allocate itself */
    const char *counted;     /**< SQL */
} thing;

/** The tests of a program, which is called `name`: all that may fail in these things, whose list ends with a nameless one. */
int fault_sweep(const char *name, const thing *things);

#endif
