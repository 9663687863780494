/* ranges.c - see ranges.h. */
#include "proto/ranges.h"

#include "proto/id.h"
#include "proto/wire.h"

const id_range range_of_all = {
    .last = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}};

void ranges_put(buf *b, const id_range *list, uint32_t count) {
    wire_put_array(b, count * 2);
    for (uint32_t i = 0; i < count; i++) {
        wire_put_bytes(b, id_span(&list[i].first));
        wire_put_bytes(b, id_span(&list[i].last));
    }
}

bool ranges_take(span ranges, id_range list_out[RANGES_MAX], uint32_t *count_out) {
    wire_reader r = wire_open(ranges);
    uint32_t items = ranges.size ? wire_array(&r) : 0;
    bool good = items > 0 && items % 2 == 0 && items / 2 <= RANGES_MAX;
    *count_out = good ? items / 2 : 0;
    for (uint32_t i = 0; good && i < items / 2; i++) {
        good = id_from_span(wire_bytes(&r), &list_out[i].first) && id_from_span(wire_bytes(&r), &list_out[i].last) &&
               id_compare(&list_out[i].first, &list_out[i].last) <= 0 &&
               (i == 0 || id_compare(&list_out[i - 1].last, &list_out[i].first) < 0);
    }
    return good && !r.failed;
}

int ranges_find(const id_range *list, uint32_t count, const lp_id *id) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (id_compare(&list[middle].last, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && id_compare(&list[low].first, id) <= 0 ? (int)low : -1;
}

void range_sums_put(buf *b, const range_sum *list, uint32_t count) {
    wire_put_array(b, count * 2);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[DIGEST_BYTES];
        digest_pack(list[i].sum, bytes);
        wire_put_bytes(b, span_of(bytes, sizeof bytes));
        wire_put_u64(b, list[i].count);
    }
}

bool range_sums_take(span digests, range_sum *list_out, uint32_t count) {
    wire_reader r = wire_open(digests);
    bool good = digests.size && wire_array(&r) == count * 2;
    for (uint32_t i = 0; good && i < count; i++) {
        good = digest_unpack(wire_bytes(&r), &list_out[i].sum);
        list_out[i].count = wire_u64(&r);
    }
    return good && !r.failed;
}
