/* line.c - doubling while answers come quickly, halving when they do not; see line.h. */
#include "client/sync/line.h"

#include <stdbool.h>

static uint32_t within(uint64_t bytes) {
    return bytes < LINE_BYTES_MIN ? LINE_BYTES_MIN : bytes > LINE_BYTES_MAX ? LINE_BYTES_MAX : (uint32_t)bytes;
}

line line_of(int64_t kept_bytes) {
    return (line){kept_bytes > 0 ? within((uint64_t)kept_bytes) : LINE_BYTES_FIRST};
}

void line_answered(line *l, size_t moved_bytes, int64_t took_ms) {
    bool full = moved_bytes >= l->bytes / 2; /* a quick answer to a small question says nothing about large ones */
    if (full && took_ms <= LINE_QUICK_MS)
        l->bytes = within((uint64_t)l->bytes * 2);
    else if (took_ms > LINE_SLOW_MS)
        l->bytes = within(l->bytes / 2);
}

void line_cut(line *l) {
    l->bytes = within(l->bytes / 4);
}
