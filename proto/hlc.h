/* hlc.h - stamps and the hybrid logical clock that makes them.
 *
 * A stamp is (48-bit ms, 16-bit count, 32-bit author) and stamps are totally ordered in that order. The clock follows
 * Kulkarni et al., "Logical Physical Clocks" (OPODIS 2014), with the author as tie-break: a stamp is greater than every
 * stamp its maker has made or seen, and as close to real time as causality allows.
 *
 * Invariants:
 *   (1) hlc_next never returns the same stamp twice and never goes back, whatever the clock does; only at the last stamp
 *       of all (year 10889, or one seen from a liar) does it stand still rather than wrap.
 *   (2) An overflowing count carries into the ms.
 *   (3) The all-zero stamp means "no stamp" and is less than every real one.
 *   (4) A clock gives even times only. The odd ones are for a pool that gives another stamp to what it was sent (STAMP_MOVED). */
#ifndef PROTO_HLC_H
#define PROTO_HLC_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"

/** Hybrid time and author. `time` is ms << 16 | count. author 0 is reserved. */
typedef struct stamp {
    uint64_t time;
    uint32_t author;
} stamp;

#define STAMP_BYTES 12 /**< packed: 6 ms, 2 count, 4 author, big-endian, so bytes order as stamps do */
#define STAMP_MS_MAX ((INT64_C(1) << 48) - 1) /**< year 10889 */
#define STAMP_NONE ((stamp){0, 0})
/** The bit in the time of a stamp that its author has not given. A pool whose clock was ahead moves stamps back, and they keep their authors: without
 *  this bit an author who knows nothing of it could give one of them to something else. */
#define STAMP_MOVED UINT64_C(1)

int stamp_compare(stamp a, stamp b); /**< <0, 0, >0 */
bool stamp_is_none(stamp s);
int64_t stamp_ms(stamp s);
void stamp_pack(stamp s, uint8_t bytes_out[STAMP_BYTES]);
stamp stamp_unpack(const uint8_t bytes[STAMP_BYTES]);

/** The clock of one author. Persist `last` in the transaction that stores the changes stamped with it. */
typedef struct hlc {
    uint64_t last;   /**< greatest hybrid time made or seen */
    uint32_t author; /**< device number, not 0 */
} hlc;

/** Takes note of a stamp seen from elsewhere. */
void hlc_observe(hlc *clock, stamp seen);

/** The least hybrid time above `time` that a clock may give; the last of all, if there is none. */
uint64_t hlc_after(uint64_t time);

/** The next stamp: max(now_ms, hlc_after(last)). `now_ms` outside 0..STAMP_MS_MAX is clamped. */
stamp hlc_next(hlc *clock, int64_t now_ms);

#endif
