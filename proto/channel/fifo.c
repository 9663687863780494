/* fifo.c - bytes in order; see fifo.h. */
#include "proto/channel/fifo.h"

#include <assert.h>
#include <stdlib.h>

/* An idle connection may keep this much; a busy one does not allocate for small messages. */
#define KEEP_BYTES 2048

void fifo_fini(fifo *f) {
    buf_fini(&f->bytes);
    f->taken = 0;
}

span fifo_span(const fifo *f) {
    if (f->taken == f->bytes.size)
        return (span){0};
    return (span){f->bytes.data + f->taken, f->bytes.size - f->taken};
}

buf *fifo_tail(fifo *f) {
    if (f->taken >= f->bytes.size - f->taken) {
        buf_consume(&f->bytes, f->taken);
        f->taken = 0;
    }
    return &f->bytes;
}

void fifo_take(fifo *f, size_t count) {
    assert(count <= f->bytes.size - f->taken);
    f->taken += count;
}

/* A realloc that fails leaves the buffer as it was, which is only too large. */
static void shrink(buf *b) {
    uint8_t *data = realloc(b->data, b->size);
    if (!data)
        return;
    b->data = data;
    b->capacity = b->size;
}

void fifo_trim(fifo *f) {
    size_t left = f->bytes.size - f->taken;
    if (f->bytes.failed || f->bytes.capacity <= KEEP_BYTES || left > f->bytes.capacity / 4)
        return;
    buf_consume(&f->bytes, f->taken);
    f->taken = 0;
    if (left > 0)
        shrink(&f->bytes);
    else
        buf_fini(&f->bytes);
}

void fifo_release(buf *b) {
    if (b->size == 0 && b->capacity > KEEP_BYTES && !b->failed)
        buf_fini(b);
}
