/* lots.h - bytes somebody else drew, taken as decisions: what a fuzzer's input is to a test of a state machine. At the end all is 0. */
#ifndef TESTS_SUPPORT_LOTS_H
#define TESTS_SUPPORT_LOTS_H

#include "proto/buf.h"

typedef struct lots {
    span left;
} lots;

static inline bool lots_left(const lots *l) {
    return l->left.size > 0;
}

/** A number below `count` (1 to 256). */
static inline uint32_t lots_below(lots *l, uint32_t count) {
    span byte;
    return span_take(&l->left, 1, &byte) ? byte.data[0] % count : 0;
}

/** Up to 65,535 bytes, borrowed: two bytes say how many. */
static inline span lots_bytes(lots *l) {
    size_t size = lots_below(l, 256) << 8 | lots_below(l, 256);
    span bytes = {0};
    span_take(&l->left, size < l->left.size ? size : l->left.size, &bytes);
    return bytes;
}

#endif
