/* err.h - how the layers fill an lp_error. */
#ifndef PROTO_ERR_H
#define PROTO_ERR_H

#include "leadpool/error.h"

/** Fills `error` (which may be NULL) from a printf format and returns `code`, so that a check reads
 *  `return err_set(error, LP_INVALID, "...")`. Control characters in the result are replaced, and a text that does not fit
 *  is cut at a UTF-8 boundary. Thread: any. */
lp_err err_set(lp_error *error, lp_err code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** err_set(error, code, the category's own sentence). */
lp_err err_plain(lp_error *error, lp_err code);

#endif
