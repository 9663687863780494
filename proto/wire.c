/* wire.c - bounded msgpack; see wire.h. The only file that includes msgpack.h.
 *
 * msgpack-c packs. Its unpacker is not used: the scan has to read every header anyway before bytes of a stranger may be
 * believed, and a cursor over scanned bytes needs neither allocation nor an object tree. */
#include "proto/wire.h"

#include <math.h>
#include <msgpack.h>
#include <string.h>

#include "proto/err.h"

/* ---- headers ---- */

/* One object's header: what it is, how long the header is, and its payload: bytes that follow, elements that follow, or the
 * value itself. */
typedef struct head {
    wire_kind kind;
    size_t head_bytes;
    uint64_t number; /* bytes of text and bin; elements of array; pairs of map; bits of an integer, bool or float */
    bool negative;   /* `number` is the two's complement of a negative integer */
    bool minimal;
} head;

static uint64_t big_endian(const uint8_t *at, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static bool signed_head(const uint8_t *at, size_t size, head *h) {
    uint64_t bits = big_endian(at, size);
    uint64_t sign = UINT64_C(1) << (8 * size - 1);
    h->kind = WIRE_INT;
    h->head_bytes = 1 + size;
    h->negative = (bits & sign) != 0;
    h->number = h->negative && size < 8 ? bits | (~UINT64_C(0) << (8 * size)) : bits;
    int64_t value = (int64_t)h->number;
    /* A non-negative number has a shorter or equal unsigned form; a negative one must not fit the next smaller form. */
    h->minimal = h->negative && (size == 1   ? value < -32
                                 : size == 2 ? value < INT8_MIN
                                 : size == 4 ? value < INT16_MIN
                                             : value < INT32_MIN);
    return true;
}

static bool sized_head(wire_kind kind, const uint8_t *at, size_t size, uint64_t least, head *h) {
    h->kind = kind;
    h->head_bytes = 1 + size;
    h->number = big_endian(at, size);
    h->minimal = h->number >= least;
    return true;
}

static bool fixed_head(wire_kind kind, uint64_t number, head *h) {
    h->kind = kind;
    h->head_bytes = 1;
    h->number = number;
    h->minimal = true;
    return true;
}

/* Bytes after the first byte that belong to the header, by first byte 0xc0..0xdf; 255: not accepted. */
static const uint8_t extra[32] = {0, 255, 0, 0, 1,   2,   4,   255, 255, 255, 255, 8, 1, 2, 4, 8,
                                  1, 2,   4, 8, 255, 255, 255, 255, 255, 1,   2,   4, 2, 4, 2, 4};

/* Reads a header; false if the bytes end within it or begin nothing this protocol accepts. */
static bool head_read(const uint8_t *at, const uint8_t *end, head *h) {
    if (at >= end)
        return false;
    uint8_t first = *at;
    h->negative = false;
    if (first < 0x80)
        return fixed_head(WIRE_INT, first, h);
    if (first < 0x90)
        return fixed_head(WIRE_MAP, first & 15, h);
    if (first < 0xa0)
        return fixed_head(WIRE_ARRAY, first & 15, h);
    if (first < 0xc0)
        return fixed_head(WIRE_TEXT, first & 31, h);
    if (first >= 0xe0) {
        fixed_head(WIRE_INT, (uint64_t)(int64_t)(int8_t)first, h);
        h->negative = true;
        return true;
    }
    uint8_t more = extra[first - 0xc0];
    if (more == 255 || (size_t)(end - at) < 1u + more)
        return false;
    const uint8_t *p = at + 1;
    switch (first) {
    case 0xc0:
        return fixed_head(WIRE_NIL, 0, h);
    case 0xc2:
    case 0xc3:
        return fixed_head(WIRE_BOOL, first & 1, h);
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return sized_head(WIRE_BYTES, p, more, more == 1 ? 0 : more == 2 ? 256 : 65536, h);
    case 0xcb:
        return sized_head(WIRE_REAL, p, 8, 0, h);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return sized_head(WIRE_INT, p, more, more == 1 ? 128 : UINT64_C(1) << (more * 4), h);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return signed_head(p, more, h);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return sized_head(WIRE_TEXT, p, more, more == 1 ? 32 : more == 2 ? 256 : 65536, h);
    case 0xdc:
    case 0xdd:
        return sized_head(WIRE_ARRAY, p, more, more == 2 ? 16 : 65536, h);
    default:
        return sized_head(WIRE_MAP, p, more, more == 2 ? 16 : 65536, h);
    }
}

/* ---- scan ---- */

static bool continuation(uint8_t byte) {
    return (byte & 0xC0) == 0x80;
}

/* Length of the well-formed sequence at `p` (RFC 3629 section 4), 0 if there is none. */
static size_t sequence(const uint8_t *p, size_t left) {
    uint8_t lead = p[0];
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (left < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if (!continuation(p[i]))
            return 0;
    bool overlong = (lead == 0xE0 && p[1] < 0xA0) || (lead == 0xF0 && p[1] < 0x90);
    bool surrogate = lead == 0xED && p[1] >= 0xA0;
    bool too_large = lead == 0xF4 && p[1] >= 0x90;
    return overlong || surrogate || too_large ? 0 : size;
}

/* True if the 8 bytes at `p` are ASCII and none is 0: most of what people type is, and goes eight at a time. */
static bool plain_word(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    /* Without high bits, taking 1 from each byte borrows into the high bit where, and only where, the byte is 0. */
    return ((word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) == 0;
}

bool text_valid(span utf8) {
    size_t at = 0;
    while (at < utf8.size) {
        if (utf8.size - at >= 8 && plain_word(utf8.data + at)) {
            at += 8;
            continue;
        }
        uint8_t byte = utf8.data[at];
        size_t size = byte == 0 ? 0 : byte < 0x80 ? 1 : sequence(utf8.data + at, utf8.size - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

static bool real_allowed(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) && !(value == 0 && signbit(value));
}

lp_err wire_scan(span bytes, lp_error *error) {
    if (bytes.size > WIRE_MESSAGE_BYTES_MAX)
        return err_set(error, LP_TOO_LARGE, "a message of %zu bytes is larger than the %d allowed", bytes.size,
                       WIRE_MESSAGE_BYTES_MAX);
    const uint8_t *at = bytes.data;
    const uint8_t *end = bytes.size ? at + bytes.size : at;
    uint64_t open[WIRE_DEPTH_MAX + 1] = {1}; /* objects still due at each depth */
    int depth = 0;
    while (depth >= 0) {
        if (open[depth] == 0) {
            depth--;
            continue;
        }
        open[depth]--;
        head h;
        if (!head_read(at, end, &h))
            return err_set(error, LP_PROTOCOL, "the message is cut short or not msgpack");
        if (!h.minimal)
            return err_set(error, LP_PROTOCOL, "the message holds a number or length that is not in its shortest form");
        at += h.head_bytes;
        uint64_t left = (uint64_t)(end - at);
        if (h.kind == WIRE_TEXT || h.kind == WIRE_BYTES) {
            if (h.number > left)
                return err_set(error, LP_PROTOCOL, "the message is cut short");
            if (h.kind == WIRE_TEXT && !text_valid(span_of(at, (size_t)h.number)))
                return err_set(error, LP_PROTOCOL, "the message holds a text that is not UTF-8, or holds NUL");
            at += h.number;
        } else if (h.kind == WIRE_ARRAY || h.kind == WIRE_MAP) {
            uint64_t count = h.kind == WIRE_MAP ? h.number * 2 : h.number;
            if (count > left)
                return err_set(error, LP_PROTOCOL, "the message promises more than it holds");
            if (depth == WIRE_DEPTH_MAX)
                return err_set(error, LP_PROTOCOL, "the message is nested deeper than %d", WIRE_DEPTH_MAX);
            open[++depth] = count;
        } else if (h.kind == WIRE_REAL && !real_allowed(h.number)) {
            return err_set(error, LP_PROTOCOL, "the message holds a number that is not finite");
        }
    }
    return at == end ? LP_OK : err_set(error, LP_PROTOCOL, "bytes follow the message");
}

/* ---- cursor ---- */

wire_reader wire_open(span bytes) {
    return (wire_reader){bytes.data, bytes.size ? bytes.data + bytes.size : bytes.data, false};
}

bool wire_done(const wire_reader *r) {
    return !r->failed && r->at == r->end;
}

/* The header of the next object if it is of `kind`, moved past; else the failure. */
static bool take(wire_reader *r, wire_kind kind, head *h) {
    if (!r->failed && head_read(r->at, r->end, h) && h->kind == kind) {
        r->at += h->head_bytes;
        return true;
    }
    r->failed = true;
    return false;
}

wire_kind wire_peek(const wire_reader *r) {
    head h;
    return !r->failed && head_read(r->at, r->end, &h) ? h.kind : WIRE_NONE;
}

void wire_nil(wire_reader *r) {
    head h;
    take(r, WIRE_NIL, &h);
}

bool wire_bool(wire_reader *r) {
    head h;
    return take(r, WIRE_BOOL, &h) && h.number;
}

uint64_t wire_u64(wire_reader *r) {
    head h;
    if (!take(r, WIRE_INT, &h))
        return 0;
    if (h.negative) {
        r->failed = true;
        return 0;
    }
    return h.number;
}

int64_t wire_i64(wire_reader *r) {
    head h;
    if (!take(r, WIRE_INT, &h))
        return 0;
    if (!h.negative && h.number > INT64_MAX) {
        r->failed = true;
        return 0;
    }
    return (int64_t)h.number;
}

double wire_real(wire_reader *r) {
    head h;
    if (wire_peek(r) == WIRE_INT)
        return (double)wire_i64(r);
    if (!take(r, WIRE_REAL, &h))
        return 0;
    double value;
    memcpy(&value, &h.number, sizeof value);
    return value;
}

static span take_sized(wire_reader *r, wire_kind kind) {
    head h;
    if (!take(r, kind, &h))
        return (span){0};
    if (h.number > (uint64_t)(r->end - r->at)) {
        r->failed = true;
        return (span){0};
    }
    span found = span_of(r->at, (size_t)h.number);
    r->at += h.number;
    return found;
}

span wire_text(wire_reader *r) {
    return take_sized(r, WIRE_TEXT);
}

span wire_bytes(wire_reader *r) {
    return take_sized(r, WIRE_BYTES);
}

/* Even unscanned (a damaged file), a count larger than the bytes left cannot make a caller loop or allocate for long. */
static uint32_t take_count(wire_reader *r, wire_kind kind) {
    head h;
    if (!take(r, kind, &h))
        return 0;
    if (h.number > (uint64_t)(r->end - r->at)) {
        r->failed = true;
        return 0;
    }
    return (uint32_t)h.number;
}

uint32_t wire_array(wire_reader *r) {
    return take_count(r, WIRE_ARRAY);
}

uint32_t wire_map(wire_reader *r) {
    return take_count(r, WIRE_MAP);
}

/* Moves past what most fields are made of, an integer in one byte or a text of at most 31. */
static inline bool skip_small(wire_reader *r) {
    if (r->failed || r->at >= r->end)
        return false;
    uint8_t first = *r->at;
    size_t size = first < 0x80 ? 1 : first >= 0xa0 && first < 0xc0 ? 1 + (first & 31u) : 0;
    if (size == 0 || size > (size_t)(r->end - r->at))
        return false;
    r->at += size;
    return true;
}

span wire_raw(wire_reader *r) {
    const uint8_t *start = r->at;
    uint64_t due = 1;
    while (due > 0) {
        if (skip_small(r)) {
            due--;
            continue;
        }
        head h;
        if (r->failed || !head_read(r->at, r->end, &h)) {
            r->failed = true;
            return (span){0};
        }
        r->at += h.head_bytes;
        due--;
        uint64_t left = (uint64_t)(r->end - r->at);
        bool sized = h.kind == WIRE_TEXT || h.kind == WIRE_BYTES;
        bool nested = h.kind == WIRE_ARRAY || h.kind == WIRE_MAP;
        if ((sized || nested) && h.number > left) {
            r->failed = true;
            return (span){0};
        }
        if (sized)
            r->at += h.number;
        if (nested)
            due += h.kind == WIRE_MAP ? h.number * 2 : h.number;
    }
    return span_of(start, (size_t)(r->at - start));
}

/* ---- writing ---- */

static int write_to_buf(void *data, const char *bytes, size_t size) {
    buf_append(data, bytes, size);
    return 0;
}

static msgpack_packer packer(buf *b) {
    msgpack_packer p;
    msgpack_packer_init(&p, b, write_to_buf);
    return p;
}

void wire_put_nil(buf *b) {
    msgpack_packer p = packer(b);
    msgpack_pack_nil(&p);
}

void wire_put_bool(buf *b, bool value) {
    msgpack_packer p = packer(b);
    value ? msgpack_pack_true(&p) : msgpack_pack_false(&p);
}

void wire_put_u64(buf *b, uint64_t value) {
    /* Field numbers, kinds and indexes: one byte that is itself (the format's positive fixint). */
    if (value < 0x80) {
        buf_append_byte(b, (uint8_t)value);
        return;
    }
    msgpack_packer p = packer(b);
    msgpack_pack_uint64(&p, value);
}

void wire_put_i64(buf *b, int64_t value) {
    msgpack_packer p = packer(b);
    msgpack_pack_int64(&p, value);
}

void wire_put_real(buf *b, double value) {
    msgpack_packer p = packer(b);
    msgpack_pack_double(&p, value == 0 ? 0.0 : value);
}

void wire_put_text(buf *b, span utf8) {
    msgpack_packer p = packer(b);
    msgpack_pack_str(&p, utf8.size);
    msgpack_pack_str_body(&p, utf8.data, utf8.size);
}

void wire_put_bytes(buf *b, span bytes) {
    msgpack_packer p = packer(b);
    msgpack_pack_bin(&p, bytes.size);
    msgpack_pack_bin_body(&p, bytes.data, bytes.size);
}

void wire_put_array(buf *b, uint32_t count) {
    msgpack_packer p = packer(b);
    msgpack_pack_array(&p, count);
}

void wire_put_map(buf *b, uint32_t count) {
    msgpack_packer p = packer(b);
    msgpack_pack_map(&p, count);
}

/* ---- values ---- */

void wire_put_value(buf *b, const lp_value *value) {
    switch (value->type) {
    case LP_BOOL:
        wire_put_bool(b, value->integer != 0);
        return;
    case LP_INT:
        wire_put_i64(b, value->integer);
        return;
    case LP_REAL:
        wire_put_real(b, value->real);
        return;
    case LP_TEXT:
        wire_put_text(b, span_of(value->data, value->size));
        return;
    case LP_BYTES:
        wire_put_bytes(b, span_of(value->data, value->size));
        return;
    case LP_OTHER:
        buf_append(b, value->data, value->size);
        return;
    case LP_NULL:
    case LP_TYPE_FORCE_INT32:
        break;
    }
    wire_put_nil(b);
}

static lp_value sized_value(lp_type type, span bytes) {
    return (lp_value){.type = type, .size = (uint32_t)bytes.size, .data = (const char *)bytes.data};
}

lp_value wire_value(span raw) {
    wire_reader r = wire_open(raw);
    lp_value value = {.type = LP_NULL};
    switch (wire_peek(&r)) {
    case WIRE_NIL:
        break;
    case WIRE_BOOL:
        value = (lp_value){.type = LP_BOOL, .integer = wire_bool(&r)};
        break;
    case WIRE_INT:
        value = (lp_value){.type = LP_INT, .integer = wire_i64(&r)};
        break;
    case WIRE_REAL:
        value = (lp_value){.type = LP_REAL, .real = wire_real(&r)};
        break;
    case WIRE_TEXT:
        value = sized_value(LP_TEXT, wire_text(&r));
        break;
    case WIRE_BYTES:
        value = sized_value(LP_BYTES, wire_bytes(&r));
        break;
    case WIRE_ARRAY:
    case WIRE_MAP:
        value = sized_value(LP_OTHER, raw);
        break;
    case WIRE_NONE:
        r.failed = raw.size != 0;
        break;
    }
    return r.failed ? sized_value(LP_OTHER, raw) : value;
}
