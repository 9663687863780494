/* hlc.c - stamps and the hybrid logical clock; see hlc.h. */
#include "proto/hlc.h"
#include "proto/bug.h"

int stamp_compare(stamp a, stamp b) {
    if (a.time != b.time)
        return a.time < b.time ? -1 : 1;
    if (BUG(TIE_BREAK_DROPPED))
        return 0;
    return (a.author > b.author) - (a.author < b.author);
}

bool stamp_is_none(stamp s) {
    return s.time == 0 && s.author == 0;
}

int64_t stamp_ms(stamp s) {
    return (int64_t)(s.time >> 16);
}

void stamp_pack(stamp s, uint8_t bytes_out[STAMP_BYTES]) {
    for (int i = 0; i < 8; i++)
        bytes_out[i] = (uint8_t)(s.time >> (56 - 8 * i));
    for (int i = 0; i < 4; i++)
        bytes_out[8 + i] = (uint8_t)(s.author >> (24 - 8 * i));
}

stamp stamp_unpack(const uint8_t bytes[STAMP_BYTES]) {
    stamp s = {0, 0};
    for (int i = 0; i < 8; i++)
        s.time = s.time << 8 | bytes[i];
    for (int i = 8; i < STAMP_BYTES; i++)
        s.author = s.author << 8 | bytes[i];
    return s;
}

void hlc_observe(hlc *clock, stamp seen) {
    if (seen.time > clock->last)
        clock->last = seen.time;
}

/* The carry of an overflowing count goes into the ms by itself: they are one number. At the very end it stands still: a stamp seen from a
 * broken or hostile peer must not make the clock wrap and go back to 1970. */
uint64_t hlc_after(uint64_t time) {
    uint64_t odd = time | STAMP_MOVED;
    return odd < UINT64_MAX ? odd + 1 : UINT64_MAX;
}

stamp hlc_next(hlc *clock, int64_t now_ms) {
    uint64_t ms = now_ms < 0 ? 0 : now_ms > STAMP_MS_MAX ? (uint64_t)STAMP_MS_MAX : (uint64_t)now_ms;
    uint64_t now = ms << 16;
    if (now > clock->last)
        clock->last = now;
    else if (!BUG(STAMP_GIVEN_TWICE))
        clock->last = hlc_after(clock->last);
    return (stamp){clock->last, clock->author};
}
