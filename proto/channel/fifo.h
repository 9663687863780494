/* fifo.h - bytes in order: appended at the end, taken from the front, without moving the rest each time.
 *
 * Why: a network read holds many messages and a message many reads. Taking is an offset; the bytes left are moved only
 * once at least as many were taken, so every byte is moved at most once on average.
 *
 * Ownership: the caller owns a fifo; zero-initialise, fifo_fini frees. Thread: one at a time. */
#ifndef PROTO_CHANNEL_FIFO_H
#define PROTO_CHANNEL_FIFO_H

#include "proto/buf.h"

typedef struct fifo {
    buf bytes;
    size_t taken; /**< bytes at the front of `bytes` that are gone already */
} fifo;

void fifo_fini(fifo *f);
/** What is left, valid until the next append. */
span fifo_span(const fifo *f);
/** The buffer to append to. Spans of the fifo end here. */
buf *fifo_tail(fifo *f);
/** Drops the first `count` bytes; spans stay valid. */
void fifo_take(fifo *f, size_t count);
/** Gives memory back that little is left in. Spans of the fifo end here. */
void fifo_trim(fifo *f);

/** Frees the memory of an emptied buffer unless it is small. */
void fifo_release(buf *b);

#endif
