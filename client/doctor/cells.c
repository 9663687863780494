/* cells.c - see cells.h. */
#include "client/doctor/cells.h"

#include <stdlib.h>
#include <string.h>

#define INNER_INDEX 2 /* the entries of an index stand in its inner pages too, and those are not in a leaf */
#define LEAF_INDEX 10
#define LEAF_TABLE 13
#define PAYLOAD_BYTES_MAX (16 * 1024 * 1024) /* nothing in a replica comes near it */

/* What is left to read of some bytes; reading past the end fails and stays failed. */
typedef struct reader {
    const uint8_t *at, *end;
    bool failed;
} reader;

static uint64_t varint(reader *r) {
    uint64_t value = 0;
    for (int i = 0; i < 9; i++) {
        if (r->at == r->end) {
            r->failed = true;
            return 0;
        }
        uint8_t byte = *r->at++;
        if (i == 8)
            return value << 8 | byte;
        value = value << 7 | (byte & 0x7f);
        if (!(byte & 0x80))
            break;
    }
    return value;
}

static uint64_t number(const uint8_t *at, size_t size) {
    uint64_t value = size && at[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

/* ---- a row's columns ---- */

static size_t bytes_of(uint64_t serial) {
    static const uint8_t fixed[12] = {0, 1, 2, 3, 4, 6, 8, 8};
    return serial < 12 ? fixed[serial] : (size_t)((serial - 12) / 2);
}

static cell_value value_of(uint64_t serial, const uint8_t *at, size_t size) {
    cell_value v = {.type = serial == 0 ? CELL_NULL : serial < 12 ? CELL_INT : serial & 1 ? CELL_TEXT : CELL_BLOB};
    uint64_t bits = serial < 8 ? number(at, size) : serial == 9;
    if (serial == 7) {
        v.type = CELL_REAL;
        memcpy(&v.real, &bits, sizeof bits);
    } else if (v.type == CELL_INT) {
        v.integer = (int64_t)bits;
    } else if (v.type != CELL_NULL) {
        v.bytes = span_of(at, size);
    }
    return v;
}

static bool read_columns(span payload, cell *row) {
    reader head = {payload.data, payload.data + payload.size, false};
    uint64_t head_bytes = varint(&head);
    if (head.failed || head_bytes > payload.size)
        return false;
    head.end = payload.data + head_bytes;
    const uint8_t *body = head.end, *end = payload.data + payload.size;
    for (row->count = 0; head.at < head.end; row->count++) {
        uint64_t serial = varint(&head);
        bool odd = head.failed || serial == 10 || serial == 11 || serial > PAYLOAD_BYTES_MAX * 2ull;
        if (odd || row->count == CELL_COLUMNS_MAX || bytes_of(serial) > (size_t)(end - body))
            return false;
        row->values[row->count] = value_of(serial, body, bytes_of(serial));
        body += bytes_of(serial);
    }
    return body == end;
}

/* ---- a cell, with what overflowed ---- */

/* How many of the payload's bytes are in the leaf itself. */
static size_t local_bytes(const disk_image *m, bool table, size_t payload) {
    size_t usable = image_page_bytes(m);
    size_t most = table ? usable - 35 : (usable - 12) * 64 / 255 - 23;
    size_t least = (usable - 12) * 32 / 255 - 23;
    if (payload <= most)
        return payload;
    size_t some = least + (payload - least) % (usable - 4);
    return some <= most ? some : least;
}

/* Appends the chain of overflow pages until `bytes` has `size`. Reuses the image's page. */
static bool follow(disk_image *m, uint32_t page, size_t size, buf *bytes) {
    while (bytes->size < size && !bytes->failed) {
        span overflow;
        if (!image_page(m, page, &overflow))
            return false;
        size_t left = size - bytes->size, room = overflow.size - 4;
        buf_append(bytes, overflow.data + 4, left < room ? left : room);
        page = (uint32_t)number(overflow.data, 4);
    }
    return !bytes->failed;
}

/* The cell at `at` in a copy of the page. */
static bool read_cell(disk_image *m, bool table, span page, size_t at, buf *payload, cell *row) {
    reader r = {page.data + at, page.data + page.size, false};
    uint64_t size = varint(&r);
    *row = (cell){.table = table, .rowid = table ? (int64_t)varint(&r) : 0};
    if (r.failed || size == 0 || size > PAYLOAD_BYTES_MAX)
        return false;
    size_t local = local_bytes(m, table, size);
    bool spills = local < size;
    if (local + (spills ? 4 : 0) > (size_t)(r.end - r.at))
        return false;
    buf_clear(payload);
    buf_append(payload, r.at, local);
    if (spills && !follow(m, (uint32_t)number(r.at + local, 4), size, payload))
        return false;
    return !payload->failed && read_columns(buf_span(payload), row);
}

bool cells_each(disk_image *m, uint32_t page, bool (*each)(void *ctx, const cell *row), void *ctx,
                uint32_t *skipped_out) {
    span bytes;
    size_t head = page == 1 ? 100 : 0;
    if (!image_page(m, page, &bytes) ||
        (bytes.data[head] != LEAF_TABLE && bytes.data[head] != LEAF_INDEX && bytes.data[head] != INNER_INDEX))
        return true;
    bool table = bytes.data[head] == LEAF_TABLE;
    size_t child = bytes.data[head] == INNER_INDEX ? 4 : 0; /* the number of a page, in the head and before each cell */
    buf copy = {0}, payload = {0};
    cell *row = malloc(sizeof *row);
    buf_append_span(&copy, bytes);
    span own = buf_span(&copy);
    bool go_on = row && !copy.failed;
    size_t count = own.size ? (size_t)number(own.data + head + 3, 2) & 0xffff : 0;
    for (size_t i = 0; go_on && i < count && head + child + 10 + 2 * i <= own.size; i++) {
        size_t at = ((size_t)number(own.data + head + child + 8 + 2 * i, 2) & 0xffff) + child;
        if (at < own.size && read_cell(m, table, own, at, &payload, row))
            go_on = each(ctx, row);
        else if (payload.failed)
            go_on = false;
        else if (skipped_out)
            ++*skipped_out;
    }
    free(row);
    buf_fini(&copy);
    buf_fini(&payload);
    return go_on;
}
