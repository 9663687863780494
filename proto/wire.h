/* wire.h - msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md), bounded. The only file that includes msgpack.h.
 *
 * Reading is in two steps. wire_scan walks the bytes once and proves them one complete, well-formed object within limits:
 * depth, element counts against the bytes left, valid UTF-8 without NUL in every str, finite floats, minimal integers and
 * lengths (so that equal values have equal bytes), no extension types. It allocates nothing. After that a wire_reader is a cursor that can
 * only fail by meeting another type than asked for, and its failure is sticky.
 *
 * Writing is msgpack-c's packer into a buf. */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "leadpool/error.h"
#include "leadpool/value.h"
#include "proto/buf.h"

#define WIRE_MESSAGE_BYTES_MAX (1024 * 1024) /**< I10: a message is at most 1 MiB */
#define WIRE_DEPTH_MAX 16 /**< a keyed field in a page is at depth 9; the rest is room for values of later versions */

/** Proves `bytes` to be exactly one object within the limits above. Errors: LP_PROTOCOL, LP_TOO_LARGE. */
lp_err wire_scan(span bytes, lp_error *error);

/** Cursor over scanned bytes. Borrows them. A failed read returns zero or an empty span and sets `failed`. */
typedef struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} wire_reader;

typedef enum wire_kind {
    WIRE_NIL,
    WIRE_BOOL,
    WIRE_INT,
    WIRE_REAL,
    WIRE_TEXT,
    WIRE_BYTES,
    WIRE_ARRAY,
    WIRE_MAP,
    WIRE_NONE
} wire_kind;

wire_reader wire_open(span bytes);
bool wire_done(const wire_reader *r);      /**< all bytes read and nothing failed */
wire_kind wire_peek(const wire_reader *r); /**< WIRE_NONE at the end */
void wire_nil(wire_reader *r);
bool wire_bool(wire_reader *r);
uint64_t wire_u64(wire_reader *r); /**< fails on negative integers */
int64_t wire_i64(wire_reader *r);  /**< fails above INT64_MAX */
double wire_real(wire_reader *r);  /**< a float or an integer */
span wire_text(wire_reader *r);
span wire_bytes(wire_reader *r);
uint32_t wire_array(wire_reader *r); /**< number of elements that follow */
uint32_t wire_map(wire_reader *r);   /**< number of pairs that follow */
span wire_raw(wire_reader *r);       /**< the bytes of the next object, whole */

void wire_put_nil(buf *b);
void wire_put_bool(buf *b, bool value);
void wire_put_u64(buf *b, uint64_t value);
void wire_put_i64(buf *b, int64_t value);
void wire_put_real(buf *b, double value);
void wire_put_text(buf *b, span utf8);
void wire_put_bytes(buf *b, span bytes);
void wire_put_array(buf *b, uint32_t count);
void wire_put_map(buf *b, uint32_t count);

#define WIRE_NIL_SPAN ((span){(const uint8_t *)"\xc0", 1}) /**< the bytes of nil: a cleared field */

/** A value as its msgpack bytes, appended. Text must be UTF-8 without NUL (text_valid), reals finite. */
void wire_put_value(buf *b, const lp_value *value);
/** Reads one scanned value. Never fails: what has no simpler type is LP_OTHER. Borrows `raw`. */
lp_value wire_value(span raw);

/** True if the bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF) without U+0000. */
bool text_valid(span utf8);

#endif
