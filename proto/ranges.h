/* ranges.h - ranges of ids, and what lies in them: how two ends find out where they differ without sending everything. Thread: any.
 *
 *     ranges   := [ bin16 first, bin16 last, ... ]        both ends included; ascending, none overlaps another
 *     digests  := [ bin16 digest, count, ... ]            by range: of the records in it, and how many they are */
#ifndef PROTO_RANGES_H
#define PROTO_RANGES_H

#include "proto/digest.h"

#define RANGES_MAX 64 /**< in one message */

typedef struct id_range {
    lp_id first, last;
} id_range;

typedef struct range_sum {
    digest sum;
    uint64_t count; /**< of records */
} range_sum;

extern const id_range range_of_all;

void ranges_put(buf *b, const id_range *list, uint32_t count);
/** False on nonsense, and if there are none or more than RANGES_MAX. */
bool ranges_take(span ranges, id_range list_out[RANGES_MAX], uint32_t *count_out);
/** Index of the range that holds `id`; -1 if none does. */
int ranges_find(const id_range *list, uint32_t count, const lp_id *id);

void range_sums_put(buf *b, const range_sum *list, uint32_t count);
/** False unless there are exactly `count`. */
bool range_sums_take(span digests, range_sum *list_out, uint32_t count);

#endif
