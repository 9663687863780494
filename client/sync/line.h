/* line.h - how much goes through to the server at a time, learnt from its answers: what batches and pages are cut to.
 *
 * Why: a connection that breaks takes along whatever was not answered, and that is sent again whole. Over a thin line that is cut every few
 * seconds, a transfer that takes longer than that would begin anew for ever; over a good one, small transfers waste round trips.
 *
 * Invariants:
 *   (1) LINE_BYTES_MIN <= bytes <= LINE_BYTES_MAX.
 *   (2) Connections on which nothing is answered lead to LINE_BYTES_MIN in a few steps: from then on it is enough if that much gets
 *       through between two cuts.
 * Pure. Thread: the session's. */
#ifndef CLIENT_LINE_H
#define CLIENT_LINE_H

#include <stddef.h>
#include <stdint.h>

#define LINE_BYTES_MIN 4096u          /**< 2 s at 16 kbit/s */
#define LINE_BYTES_FIRST (32 * 1024u) /**< before anything is known */
#define LINE_BYTES_MAX (640 * 1024u)
#define LINE_QUICK_MS 2500 /**< an answer within this lets transfers grow: a satellite's round trip and some */
#define LINE_SLOW_MS 8000  /**< one after this makes them shrink */

typedef struct line {
    uint32_t bytes; /**< of one transfer, either way */
} line;

/** `kept_bytes`: what line.bytes was when last known; 0: never. */
line line_of(int64_t kept_bytes);
/** A transfer of `moved_bytes` was answered `took_ms` after it was asked for. */
void line_answered(line *l, size_t moved_bytes, int64_t took_ms);
/** A connection broke with a transfer under way, and nothing on it had been answered. */
void line_cut(line *l);

#endif
