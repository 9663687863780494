/* sweep.h - one deed of a pair (deeds.h) again and again from the same start, disturbed one step later each time, until it ends before the
 * disturbance: the frame of sim_power and sim_disk_faults.
 *
 * LEADPOOL_SEED draws other contents and other sectors that survive; LEADPOOL_DEED names the only deed wanted. */
#ifndef TESTS_SIM_SWEEP_H
#define TESTS_SIM_SWEEP_H

#include "tests/sim/deeds.h"

/** One kind of disturbance. `disturb` does the deed with the disk broken at p->at, looks at what it left, makes the disk well again; true if it
 *  was hit. `cold`: see pair.h. */
typedef struct disturbance {
    const char *name;
    bool (*disturb)(pair *p, const deed *what, const struct disturbance *how);
    vfs_op op;      /**< that fails, where one does */
    uint64_t count; /**< how often in a row */
    bool cold;
    uint64_t least; /**< places at which any deed can be disturbed so */
} disturbance;

/** Group fixtures of cmocka: the disks; at the end the numbers of runs and of disturbances that hit are printed. */
int sweep_install(void **state);
int sweep_uninstall(void **state);

bool sweep_wants(const char *name);
/** A pair of the wanted seed. */
pair *sweep_begin(const char *name);
/** A sweep that came to its end after fewer than `least` places was none. */
void sweep_end(pair *p, uint64_t least);
/** Counts a run, and whether the disturbance hit it, which is returned. */
bool sweep_ran(bool hit);

/** Every deed wanted, under a disturbance at every step. */
void sweep_deeds(const disturbance *how);

#endif
