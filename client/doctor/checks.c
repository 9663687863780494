/* checks.c - see checks.h. */
#include "client/doctor/checks.h"

#include "proto/change.h"
#include "proto/wire.h"

/* Readers trust bytes that were scanned; a body is the inside of an array. */
static lp_err scan(span body, uint32_t elements) {
    buf whole = {0};
    wire_put_array(&whole, elements);
    buf_append_span(&whole, body);
    lp_err err = whole.failed ? LP_NOMEM : wire_scan(buf_span(&whole), NULL) == LP_OK ? LP_OK : LP_CORRUPT;
    buf_fini(&whole);
    return err;
}

lp_err check_entry(span body, int64_t count) {
    if (count <= 0 || count > INT32_MAX)
        return LP_CORRUPT;
    lp_err err = scan(body, (uint32_t)count * 2);
    if (err)
        return err;
    wire_reader from = wire_open(body);
    reg change;
    while (from.at < from.end && change_unpack(&from, &change))
        count--;
    return wire_done(&from) && count == 0 ? LP_OK : LP_CORRUPT;
}

/* Pack and unpack are inverse, byte for byte: other bytes that read the same were not written by record_pack. */
static lp_err pack_again(const record *rec, span body, span stamps) {
    buf packed[2] = {{0}};
    lp_err err = record_pack(rec, &packed[0], &packed[1], NULL);
    if (!err && (!span_equal(buf_span(&packed[0]), body) || !span_equal(buf_span(&packed[1]), stamps)))
        err = LP_CORRUPT;
    buf_fini(&packed[0]);
    buf_fini(&packed[1]);
    return err;
}

lp_err check_record(record *rec, span body, span stamps) {
    lp_err err = record_unpack(rec, body, stamps, NULL);
    if (!err)
        err = scan(body, rec->count * 2);
    if (err)
        return err;
    for (uint32_t i = 0; i < rec->count; i++)
        if (rec->regs[i].seq != 0)
            return LP_CORRUPT;
    for (uint32_t i = 1; i < rec->count; i++) {
        const reg *a = &rec->regs[i - 1], *b = &rec->regs[i];
        if (a->field > b->field || (a->field == b->field && span_compare(a->key, b->key) >= 0))
            return LP_CORRUPT;
    }
    return pack_again(rec, body, stamps);
}
