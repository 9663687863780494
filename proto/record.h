/* record.h - a record in memory: its registers, each with a stamp, and their packed form.
 *
 * A register is the unit of last-writer-wins: (field number, key). Values travel and rest as msgpack bytes and are
 * compared as bytes, so a value this version cannot read is kept and merged like any other.
 *
 * Packed, a record is two blobs (measured: 6 to 15 times faster than a row per field):
 *   body    the registers in order: field number, or [field number, key] for a map field, then the value; msgpack, back to back
 *   stamps  runs of registers, in the same order, that share stamp, base, seq and certainty:
 *           varint count, 12 bytes stamp, varint seq, 1 byte (bit 0: base follows, bit 1: time uncertain), [12 bytes base]
 *
 * Invariants:
 *   (1) Registers are sorted by (field, key), each at most once.
 *   (2) Pack and unpack are inverse, byte for byte.
 * Ownership: registers borrow key and value bytes; whoever fills a record keeps those bytes alive. Thread: one at a time. */
#ifndef PROTO_RECORD_H
#define PROTO_RECORD_H

#include "leadpool/error.h"
#include "proto/hlc.h"
#include "proto/id.h"

typedef struct reg {
    uint32_t field;
    span key;   /**< empty unless the field is a map */
    span value; /**< msgpack bytes of one value; nil when cleared */
    stamp stamp;
    stamp base;     /**< stamp of the value the author was looking at; none if there was none */
    uint64_t seq;   /**< the pool's order at which this value arrived; 0 on a device */
    bool uncertain; /**< its stamp keeps the author's order, but nobody knows when it was (client/replica/clock.h) */
} reg;

typedef struct record {
    uint32_t kind;
    lp_id id;
    reg *regs;
    uint32_t count;
    uint32_t capacity;
} record;

void record_init(record *rec, uint32_t kind, const lp_id *id);
void record_fini(record *rec);
void record_clear(record *rec); /**< no registers; keeps the memory */

/** The register, or NULL. Valid until the next insert. */
reg *record_find(const record *rec, uint32_t field, span key);
/** The register, made (zeroed, with field and key) if absent: *made_out says so. NULL if out of memory. */
reg *record_at(record *rec, uint32_t field, span key, bool *made_out);
/** The value of a register, or an empty span if there is none or it is nil. */
span record_value(const record *rec, uint32_t field, span key);
bool record_deleted(const record *rec);
/** Bytes that count against RECORD_BYTES_MAX: the packed body. */
size_t record_bytes(const record *rec);

/** Appends the packed form to the two buffers. Errors: LP_NOMEM. */
lp_err record_pack(const record *rec, buf *body, buf *stamps, lp_error *error);
/** Fills `rec` (initialised; its registers are replaced) from the packed form, borrowing it. Errors: LP_CORRUPT, LP_NOMEM. */
lp_err record_unpack(record *rec, span body, span stamps, lp_error *error);

#endif
