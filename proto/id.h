/* id.h - record identities (public type lp_id in leadpool/value.h). */
#ifndef PROTO_ID_H
#define PROTO_ID_H

#include "leadpool/value.h"
#include "proto/buf.h"
#include "proto/env.h"

/** A UUIDv7 (RFC 9562 section 5.7): 48 bits of `now_ms`, then 74 random bits. Negative or too large times are clamped. */
lp_id id_new(const lp_env *env, int64_t now_ms);

/** A UUIDv8 (RFC 9562 section 5.8) that is a function of its input: the same namespace and name give the same id on every
 *  device. SHA-256 of namespace || name, cut to 122 bits. Used where re-doing a thing must not double it (imports). */
lp_id id_derive(const lp_id *namespace_id, span name);

bool id_equal(const lp_id *a, const lp_id *b);
bool id_is_nil(const lp_id *id);
int id_compare(const lp_id *a, const lp_id *b); /**< byte order: <0, 0, >0 */
span id_span(const lp_id *id);                  /**< borrowed from `id` */
bool id_from_span(span bytes, lp_id *id_out);   /**< false unless exactly 16 bytes */

#endif
