/* timekeeper.c - see timekeeper.h. */
#include "server/pool/timekeeper.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/hlc.h"
#include "proto/message.h"

#define SLEW_PPM 500
#define LOOK_MS 100 /* a look at two clocks that took longer (a stopped process) says nothing about how they differ */

static int64_t wall_ms(const timekeeper *t) {
    int64_t ms = t->env->wall_ms(t->env->ctx);
    return ms < 0 ? 0 : ms > STAMP_MS_MAX ? STAMP_MS_MAX : ms;
}

static int64_t boot_ms(const timekeeper *t) {
    return t->env->boot_ms(t->env->ctx);
}

static bool is_off(int64_t ms) {
    return ms > CLOCK_TOLERANCE_MS || ms < -CLOCK_TOLERANCE_MS;
}

static void begin(timekeeper *t, int64_t now_ms) {
    int64_t at_ms = boot_ms(t);
    atomic_store(&t->offset_ms, now_ms - at_ms);
    atomic_store(&t->slewed_ms, at_ms);
    atomic_store(&t->stepped_ms, 0);
    atomic_store(&t->high_ms, 0);
}

void timekeeper_start(timekeeper *t, const lp_env *env, int64_t high_ms) {
    t->env = env;
    int64_t now_ms = wall_ms(t);
    begin(t, now_ms > high_ms ? now_ms : high_ms);
    if (high_ms - now_ms > CLOCK_TOLERANCE_MS)
        atomic_store(&t->high_ms, high_ms);
}

void timekeeper_trust(timekeeper *t) {
    begin(t, wall_ms(t));
}

/* Half a thousandth of what has passed since the last time, and whoever comes first does it. */
static void slew(timekeeper *t, int64_t at_ms, int64_t off_ms) {
    int64_t last_ms = atomic_load(&t->slewed_ms);
    int64_t most_ms = (at_ms - last_ms) / (1000000 / SLEW_PPM);
    if (most_ms < 1 || !atomic_compare_exchange_strong(&t->slewed_ms, &last_ms, at_ms))
        return;
    int64_t by_ms = off_ms > most_ms ? most_ms : off_ms < -most_ms ? -most_ms : off_ms;
    atomic_fetch_add(&t->offset_ms, by_ms);
}

int64_t timekeeper_now_ms(timekeeper *t) {
    int64_t high_ms = atomic_load(&t->high_ms);
    int64_t before_ms = boot_ms(t), shown_ms = wall_ms(t), after_ms = boot_ms(t);
    if (high_ms && shown_ms < high_ms)
        return high_ms;
    if (high_ms)
        begin(t, shown_ms);
    int64_t now_ms = after_ms + atomic_load(&t->offset_ms);
    if (after_ms - before_ms > LOOK_MS)
        return now_ms;
    int64_t off_ms = shown_ms - now_ms;
    atomic_store(&t->stepped_ms, is_off(off_ms) ? off_ms : 0);
    if (!is_off(off_ms))
        slew(t, after_ms, off_ms);
    return now_ms;
}

bool timekeeper_troubled(timekeeper *t, char text_out[TIMEKEEPER_TEXT_BYTES]) {
    timekeeper_now_ms(t);
    int64_t high_ms = atomic_load(&t->high_ms), stepped_ms = atomic_load(&t->stepped_ms);
    if (text_out && high_ms)
        snprintf(text_out, TIMEKEEPER_TEXT_BYTES,
                 "the server's clock is %" PRId64
                 " s behind the pool's last change: set it right; if it is right, the pool was "
                 "written with a clock that was ahead: run leadpoold repair-clock",
                 (high_ms - wall_ms(t)) / 1000);
    else if (text_out && stepped_ms)
        snprintf(text_out, TIMEKEEPER_TEXT_BYTES,
                 "the server's clock was set %" PRId64
                 " s %s while it ran: set it back; if it is right now, run leadpoold "
                 "repair-clock",
                 (stepped_ms < 0 ? -stepped_ms : stepped_ms) / 1000, stepped_ms < 0 ? "back" : "ahead");
    return high_ms || stepped_ms;
}
