/* compare.h - what the pool holds of a scope, by ranges of ids, for a device whose digest differs: sums first, then the few records it is about.
 *
 * An answer holds for the cursor the device names. If the scope has moved since, there is none: the device reads what is new and asks again. So
 * both ends compare the same thing, and nothing has to be kept between two requests.
 *
 * A request costs a walk over the scope, as reading it from the beginning does; only what lies in the ranges is unpacked and summed. */
#ifndef SERVER_COMPARE_H
#define SERVER_COMPARE_H

#include "proto/message.h"
#include "server/pool/access.h"

typedef struct compared {
    bool moved;  /**< nothing else is meaningful */
    buf digests; /**< ranges.h; empty if records were asked for */
    buf changes; /**< change.h: the records in the first `taken` ranges */
    uint32_t taken;
    uint32_t records; /**< so many are in `changes` */
    digest sum;       /**< the scope's, as it is kept */
} compared;

/** Answers a DIGESTS in the reader's present snapshot. compared_fini frees `compared_out`, whatever the result.
 *  Errors: LP_PROTOCOL the request does not read, LP_DENIED a scope the device may not read, those of the store. */
lp_err compare(store_reader *reader, const pool *p, const access *may, const message *request, compared *compared_out,
               lp_error *error);
void compared_fini(compared *c);

#endif
