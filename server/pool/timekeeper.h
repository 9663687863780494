/* timekeeper.h - the server's time: what every stamp in the pool is measured by, so it must not jump because a clock does.
 *
 * Server time is the wall clock at start, carried on by the time since boot, and drawn towards the wall clock by at most 500 ppm. The
 * latest server time that a commit saw is stored with it (the high-water mark, pool.c).
 *
 *     FINE ---- the wall clock is stepped by more than 2 s while it runs ----> STEPPED     time goes on as if nothing had happened
 *       ^------ it is back within 2 s of server time ----------------------------'
 *     BEHIND    it was started with a wall clock more than 2 s below the high-water mark: time stands there
 *       '------ until the wall clock has reached it ----> FINE
 *
 * Outside FINE nobody can know which of the two is wrong, and one stamp of a wrong year would win against everybody. So pushes and
 * joins are put off until somebody sets the clock right, or says with `leadpoold repair-clock` that the wall clock is.
 *
 * Invariants:
 *   (1) Server time never goes back by more than slewing takes it, but for timekeeper_trust.
 *   (2) It is never below the high-water mark it was started with, but for the same.
 * Thread: any. */
#ifndef SERVER_TIMEKEEPER_H
#define SERVER_TIMEKEEPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/env.h"

#define TIMEKEEPER_TEXT_BYTES 320

typedef struct timekeeper {
    const lp_env *env;
    _Atomic int64_t offset_ms;  /**< server time is time since boot and this */
    _Atomic int64_t slewed_ms;  /**< time since boot when it was last drawn */
    _Atomic int64_t stepped_ms; /**< by how much the wall clock is off; 0 unless STEPPED */
    _Atomic int64_t high_ms;    /**< what the wall clock has to reach; 0 unless BEHIND */
} timekeeper;

/** `high_ms` is the high-water mark, 0 if there is none. The environment is borrowed. */
void timekeeper_start(timekeeper *t, const lp_env *env, int64_t high_ms);
/** Server time, UTC ms. Looks at the wall clock. */
int64_t timekeeper_now_ms(timekeeper *t);
/** True if the server's clock is not to be trusted; then `text_out` (may be NULL) says why, and what to do. */
bool timekeeper_troubled(timekeeper *t, char text_out[TIMEKEEPER_TEXT_BYTES]);
/** The wall clock is right, somebody says. */
void timekeeper_trust(timekeeper *t);

#endif
