/* scenes.h - turns of a schedule that are several steps long: what random turns do too, but hardly ever in this order.
 *
 * Each is there because a planted bug (proto/bugs.def) lived on without it. */
#ifndef TESTS_SIM_SCENES_H
#define TESTS_SIM_SCENES_H

#include "tests/sim/world.h"

/** More than a page and a batch take. */
void scene_bulk(world *w, uint32_t who);
/** Two people change one record again and again while both are connected: pages meet unsent changes, verdicts meet newer ones. */
void scene_busy(world *w, uint32_t who);
/** A batch leaves and never arrives; its author writes the same again, and after the next boot the clock is wrong. */
void scene_lost_batch(world *w, uint32_t who);
/** Good changes, and in the same batch one that another version of the program stamped an hour ahead: the server undoes the first. */
void scene_future(world *w, uint32_t who);
/** The server's disk fails one commit while more batches of the same device are on their way. */
void scene_failed_commit(world *w, uint32_t who);

#endif
