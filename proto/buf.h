/* buf.h - bytes: a borrowed span, and a growable buffer whose failure is sticky.
 *
 * Why sticky: a message is built by dozens of appends. Each may fail for want of memory; checking once at the end keeps
 * the function body readable as the layout of the message. */
#ifndef PROTO_BUF_H
#define PROTO_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Borrowed bytes. `data` may be NULL when size is 0. */
typedef struct span {
    const uint8_t *data;
    size_t size;
} span;

/** A string literal or array as a span, without the final NUL of a literal. */
#define SPAN_LITERAL(text) ((span){(const uint8_t *)(text), sizeof(text) - 1})

span span_of(const void *data, size_t size);
span span_text(const char *text); /**< NUL-terminated text, NUL left out; NULL gives an empty span */
bool span_equal(span a, span b);
int span_compare(span a, span b); /**< lexicographic by bytes, shorter first: <0, 0, >0 */

/** Growable bytes. Zero-initialise or buf_init; buf_fini frees. After an allocation failed every append is a no-op. */
typedef struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
} buf;

void buf_init(buf *b);
void buf_fini(buf *b);
void buf_clear(buf *b);                                 /**< size 0 and not failed; keeps the memory */
bool buf_reserve(buf *b, size_t more);                  /**< room for `more` bytes; false if out of memory */
void buf_append(buf *b, const void *data, size_t size); /**< `data` must not lie in b */
void buf_append_span(buf *b, span s);
void buf_append_byte(buf *b, uint8_t byte);
void buf_consume(buf *b, size_t count); /**< drops the first `count` bytes, at most b->size */
span buf_span(const buf *b);            /**< valid until the next change of b */

/** Unsigned LEB128 (DWARF 5 section 7.6), at most 10 bytes. Used in packed records, never on the wire. */
void buf_append_varint(buf *b, uint64_t value);

/** Reads one varint off the front of `s`; false if it is cut short or longer than 64 bits. */
bool span_take_varint(span *s, uint64_t *value_out);
/** Takes `size` bytes off the front of `s`; false if fewer are left. */
bool span_take(span *s, size_t size, span *taken_out);

#endif
