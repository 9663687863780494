/* outbox_parts.h - what the files of the outbox share: outbox.c adds and reads, outbox_batches.c cuts batches off, outbox_settle.c carries
 * verdicts out. Nobody else includes this. */
#ifndef CLIENT_OUTBOX_PARTS_H
#define CLIENT_OUTBOX_PARTS_H

#include "client/replica/outbox.h"
#include "proto/change.h"

/* Copied out of the table, so that it may change while entries are walked. */
typedef struct outbox_entry {
    int64_t oseq, rid;
    stamp at, base;
    bool uncertain;
    uint32_t kind;
    int64_t made_ms;
    size_t offset, size; /* of the body in `bytes` */
} outbox_entry;

typedef struct outbox_entries {
    outbox_entry *list;
    uint32_t count, capacity;
    buf *bytes;
} outbox_entries;

lp_err outbox_keep_entry(outbox_entries *e, const outbox_entry *what, span body, lp_error *error);
wire_reader outbox_open_entry(const outbox_entries *e, uint32_t index);
/** The next change of an entry's body; false at its end, and where it cannot be read: outbox_check_body tells which. */
bool outbox_next_change(wire_reader *body, reg *change_out);
lp_err outbox_check_body(const wire_reader *body, lp_error *error);
/** Writes an entry with the `count` changes of `body` only, or removes it if they are none. */
lp_err outbox_shrink(replica *r, int64_t oseq, uint32_t count, span body, lp_error *error);
/** The oseqs of a frozen batch; LP_NOT_FOUND (error untouched) if there is none. */
lp_err outbox_batch_range(replica *r, uint64_t number, int64_t *first_out, int64_t *last_out, lp_error *error);

#endif
