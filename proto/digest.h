/* digest.h - a number that tells whether two ends hold the same registers.
 *
 * Digest = sum mod 2^128 of SipHash-2-4-128 (Aumasson, Bernstein 2012), keyed per pool, of (record, field, key, stamp,
 * value) over all registers. A sum, so that it is kept incrementally and does not depend on order. It detects accidents, not
 * attacks. Thread: one digester at a time. */
#ifndef PROTO_DIGEST_H
#define PROTO_DIGEST_H

#include "proto/record.h"

#define DIGEST_BYTES 16

typedef struct digest {
    uint64_t low, high;
} digest;

typedef struct digester digester; /**< the keyed hash, reused */

/** Makes a digester for a pool. Errors: LP_NOMEM. */
lp_err digester_new(const lp_id *pool, digester **digester_out, lp_error *error);
void digester_free(digester *d);

/** What one register adds to a sum. It costs a hash: compute it once and add it to as many sums as hold the record. */
digest digest_term(digester *d, uint32_t kind, const lp_id *id, const reg *r);
void digest_plus(digest *sum, digest term);
void digest_minus(digest *sum, digest term);

void digest_add(digester *d, digest *sum, uint32_t kind, const lp_id *id, const reg *r);
void digest_remove(digester *d, digest *sum, uint32_t kind, const lp_id *id, const reg *r);

void digest_pack(digest sum, uint8_t bytes_out[DIGEST_BYTES]);
bool digest_unpack(span bytes, digest *sum_out); /**< an empty span is zero; false if not 0 or 16 bytes */
void digest_format(digest sum, char text_out[DIGEST_BYTES * 2 + 1]); /**< 32 hexadecimal digits */
bool digest_equal(digest a, digest b);

#endif
