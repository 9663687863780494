/* typed.h - text as a person types it, read as a number, a yes or no, a time, an id. Full-width input (an IME's １２) reads
 * like half-width. Nothing here depends on the host's locale; times without a zone are in the host's. Thread: any. */
#ifndef CLIENT_TYPED_H
#define CLIENT_TYPED_H

#include "proto/schema.h"

/** Appends the msgpack value that `text` is in a field of `info`'s type (NULL: a field of unknown type, which takes text).
 *  An empty text is nil. `name` is for the message. Limits are schema_check's affair.
 *  Errors: LP_INVALID, LP_NOMEM. */
lp_err typed_value(const field_info *info, const char *name, const char *text, buf *value_out, lp_error *error);

/** The parts of it; false if `text` does not read as such. */
bool typed_int(span text, int64_t *value_out);
bool typed_real(span text, double *value_out);
/** yes no y n true false 1 0 是 否, in either case. */
bool typed_bool(span text, bool *value_out);
/** ISO 8601: 2026-11-22, 2026-11-22 14:30, 2026-11-22T14:30:15.250, each but the first with Z or +08:00, else local. Gives the
 *  span of time it names, [start, end): a day, a minute, a second or a ms. */
bool typed_time(span text, int64_t *start_ms_out, int64_t *end_ms_out);

#endif
