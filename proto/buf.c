/* buf.c - spans and growable bytes; see buf.h. */
#include "proto/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

span span_of(const void *data, size_t size) {
    return (span){data, size};
}

span span_text(const char *text) {
    return (span){(const uint8_t *)text, text ? strlen(text) : 0};
}

bool span_equal(span a, span b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int span_compare(span a, span b) {
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

void buf_init(buf *b) {
    *b = (buf){0};
}

void buf_fini(buf *b) {
    free(b->data);
    *b = (buf){0};
}

void buf_clear(buf *b) {
    b->size = 0;
    b->failed = false;
}

bool buf_reserve(buf *b, size_t more) {
    if (b->failed)
        return false;
    if (more <= b->capacity - b->size)
        return true;
    size_t capacity = b->capacity ? b->capacity : 64;
    while (capacity - b->size < more) {
        if (capacity > SIZE_MAX / 2) {
            b->failed = true;
            return false;
        }
        capacity *= 2;
    }
    uint8_t *data = realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void buf_append(buf *b, const void *data, size_t size) {
    if (size == 0 || !buf_reserve(b, size))
        return;
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

void buf_append_span(buf *b, span s) {
    buf_append(b, s.data, s.size);
}

void buf_append_byte(buf *b, uint8_t byte) {
    if (b->size < b->capacity ? !b->failed : buf_reserve(b, 1))
        b->data[b->size++] = byte;
}

void buf_consume(buf *b, size_t count) {
    if (count == 0)
        return;
    assert(count <= b->size);
    memmove(b->data, b->data + count, b->size - count);
    b->size -= count;
}

span buf_span(const buf *b) {
    return (span){b->data, b->size};
}

void buf_append_varint(buf *b, uint64_t value) {
    while (value >= 0x80) {
        buf_append_byte(b, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    buf_append_byte(b, (uint8_t)value);
}

bool span_take_varint(span *s, uint64_t *value_out) {
    uint64_t value = 0;
    for (size_t i = 0; i < s->size; i++) {
        uint8_t byte = s->data[i];
        if (i == 9 && byte > 1) /* more than 64 bits, or an eleventh byte */
            return false;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *value_out = value;
            s->data += i + 1;
            s->size -= i + 1;
            return true;
        }
    }
    return false;
}

bool span_take(span *s, size_t size, span *taken_out) {
    if (s->size < size)
        return false;
    *taken_out = (span){s->data, size};
    if (size) /* adding 0 to a NULL is undefined */
        s->data += size;
    s->size -= size;
    return true;
}
