/* error.h - the one error convention of leadpool.
 *
 * Every fallible function returns an lp_err and takes a caller-owned lp_error as its last argument (which may be NULL).
 * The code is for programs, the message for people: one line, lower case, names the thing and says what to do. */
#ifndef LEADPOOL_ERROR_H
#define LEADPOOL_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Error category. The values come from errors.def and never change meaning. */
typedef enum lp_err {
#define E(name, number, exit_code, sentence) LP_##name = number,
#include "leadpool/errors.def"
#undef E
    LP_ERR_FORCE_INT32 = 0x7fffffff
} lp_err;

/** Bytes in lp_error.message, terminating NUL included. */
#define LP_ERROR_MESSAGE_BYTES 256

/** What went wrong, for a person. Owned by the caller; valid only after a call that returned something else than LP_OK. */
typedef struct lp_error {
    lp_err code;
    char message[LP_ERROR_MESSAGE_BYTES]; /**< UTF-8, one line, NUL-terminated, no full stop */
} lp_error;

/** Name of a category, for logs and JSON, e.g. "NOT_FOUND". Static storage. Never NULL. Thread: any. */
const char *lp_err_name(lp_err code);

/** Fallback sentence of a category. Static storage. Never NULL. Thread: any. */
const char *lp_err_text(lp_err code);

/** Exit status a command-line program should use for a category: 0, 1 (refused or failed) or 2 (wrong use). Thread: any. */
int32_t lp_err_exit_code(lp_err code);

#ifdef __cplusplus
}
#endif

#endif
