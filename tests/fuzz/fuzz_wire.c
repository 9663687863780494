/* fuzz_wire.c - any bytes through the scan; what passes has one form, what does not cannot lead a cursor out of its bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/record.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

/* Writes again what a cursor reads. */
static void rewrite(wire_reader *r, buf *out) {
    uint32_t count = 0;
    wire_reader probe = *r;
    switch (wire_peek(r)) {
    case WIRE_ARRAY:
        count = wire_array(r);
        wire_put_array(out, count);
        break;
    case WIRE_MAP:
        count = wire_map(r);
        wire_put_map(out, count);
        count *= 2;
        break;
    case WIRE_INT:
        wire_i64(&probe);
        if (probe.failed)
            wire_put_u64(out, wire_u64(r));
        else
            wire_put_i64(out, wire_i64(r));
        break;
    default: {
        lp_value value = wire_value(wire_raw(r));
        wire_put_value(out, &value);
        break;
    }
    }
    for (uint32_t i = 0; i < count; i++)
        rewrite(r, out);
}

static void read_unscanned(span bytes) {
    wire_reader r = wire_open(bytes);
    while (r.at < r.end && !r.failed) {
        span raw = wire_raw(&r);
        lp_value value = wire_value(raw);
        must(r.failed || (raw.size > 0 && value.size <= raw.size));
    }
}

/* A packed record that reads at all reads the same after it was written again. */
static void unpack(span bytes) {
    lp_id id = {{0}};
    record rec, back;
    buf body = {0}, stamps = {0};
    size_t half = bytes.size ? bytes.data[0] % bytes.size : 0;
    span first = span_of(bytes.data, half), second = bytes.size ? span_of(bytes.data + half, bytes.size - half) : bytes;
    record_init(&rec, 1, &id);
    record_init(&back, 1, &id);
    if (record_unpack(&rec, second, first, NULL) == LP_OK) {
        must(record_pack(&rec, &body, &stamps, NULL) == LP_OK);
        must(record_unpack(&back, buf_span(&body), buf_span(&stamps), NULL) == LP_OK);
        must(back.count == rec.count);
        for (uint32_t i = 0; i < rec.count; i++)
            must(record_find(&rec, back.regs[i].field, back.regs[i].key) == &rec.regs[i] &&
                 span_equal(back.regs[i].value, rec.regs[i].value) &&
                 stamp_compare(back.regs[i].stamp, rec.regs[i].stamp) == 0 && back.regs[i].seq == rec.regs[i].seq);
    }
    record_fini(&rec);
    record_fini(&back);
    buf_fini(&body);
    buf_fini(&stamps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span bytes = {data, size};
    if (wire_scan(bytes, NULL) == LP_OK) {
        buf again = {0};
        wire_reader r = wire_open(bytes);
        rewrite(&r, &again);
        must(wire_done(&r) && span_equal(bytes, buf_span(&again)));
        buf_fini(&again);
    }
    read_unscanned(bytes);
    unpack(bytes);
    return 0;
}
