/* change.h - sets of changes as they travel: up in a push, down in a page. One form for both.
 *
 * A set is what one local transaction did to one record: the fields share a stamp and a base.
 *
 *     changes := [ stamps, sets, uncertain ]            `uncertain` is left out if it is empty
 *     stamps  := [ bin12 stamp, int skew_ms, ... ]      skew_ms: the device's raw wall clock minus the stamp's ms; 0 in pages
 *     sets    := [ set, ... ]
 *     set     := [ kind, bin16 id, stamp index, base index, [ field, value, field, value, ... ] ]
 *     field   := number | [ number, key ]
 *     uncertain := [ stamp index, ... ]                 stamps that keep their author's order, while nobody knows when it was
 *
 * Stamp indexes count from 1; 0 is "none", legal for a base only; the list itself never holds the all-zero stamp. A skew beyond
 * what a stamp can hold is read as the nearest that it can. Unknown kinds and fields are read like known ones; an
 * array longer than given here is accepted and its tail ignored, but for `field`: what else would tell two registers apart
 * must not be ignored. A record with fields of several stamps is several sets.
 *
 * Ownership: everything read borrows the scanned bytes. Thread: one at a time. */
#ifndef PROTO_CHANGE_H
#define PROTO_CHANGE_H

#include "proto/record.h"
#include "proto/wire.h"

typedef struct change_set {
    uint32_t kind;
    lp_id id;
    stamp stamp;
    stamp base;
    int64_t skew_ms;
    bool uncertain;       /**< the stamp's time is a guess */
    uint32_t field_count; /**< changes in the set; read them with change_next */
    wire_reader fields;
} change_set;

/** Reads sets one after another. Zero-initialise with changes_open. */
typedef struct changes_reader {
    span *stamps; /**< 12 bytes each */
    int64_t *skews;
    bool *uncertain;
    uint32_t stamp_count;
    uint32_t set_count; /**< sets in all */
    uint32_t next;      /**< index of the set changes_next will return */
    wire_reader sets;
} changes_reader;

/** Opens scanned bytes. Errors: LP_PROTOCOL, LP_NOMEM. Close it even after an error. */
lp_err changes_open(changes_reader *r, span raw, lp_error *error);
void changes_close(changes_reader *r);
/** The next set; false at the end or on nonsense, which `r->sets.failed` tells apart. */
bool changes_next(changes_reader *r, change_set *set_out);
/** The next change of a set as a register (seq 0); false at the end or on nonsense, which set->fields.failed tells apart. */
bool change_next(change_set *set, reg *change_out);

/** Writes sets. */
typedef struct changes_writer {
    buf stamps;
    buf sets;
    buf fields;        /**< of the open set */
    bool is_uncertain; /**< the open set */
    buf uncertain;     /**< indexes of such stamps */
    uint32_t uncertain_count;
    bool recent_uncertain[8];
    uint8_t recent[8][STAMP_BYTES];
    uint32_t recent_index[8];
    int64_t recent_skew_ms[8];
    uint32_t recent_count;
    uint32_t stamp_count;
    uint32_t set_count;
    uint32_t field_count;
} changes_writer;

void changes_init(changes_writer *w);
void changes_fini(changes_writer *w);
void changes_reset(changes_writer *w); /**< empty again; keeps the memory */
/** Opens a set, then change_put for each of its fields, then changes_end. A set without fields is not written. */
void changes_begin(changes_writer *w);
void change_put(changes_writer *w, uint32_t field, span key, span value);
/** Appends `count` field/value pairs that are already in the form `field, value, ...`. */
void change_put_packed(changes_writer *w, span packed, uint32_t count);
/** Says of the open set that nobody knows when it was. */
void changes_mark_uncertain(changes_writer *w);
void changes_end(changes_writer *w, uint32_t kind, const lp_id *id, stamp made, stamp base, int64_t skew_ms);
/** Bytes the message will take so far. */
size_t changes_bytes(const changes_writer *w);
/** Appends the whole to `out`. Errors: LP_NOMEM. */
lp_err changes_finish(changes_writer *w, buf *out, lp_error *error);

/** `field, value` in the form sets and packed bodies use. */
void change_pack(buf *b, uint32_t field, span key, span value);
/** Reads what change_pack wrote: field, key, value of `change_out`; the rest is zero. False at the end or on nonsense. */
bool change_unpack(wire_reader *r, reg *change_out);

#endif
