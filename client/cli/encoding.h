/* encoding.h - text of any of the encodings that lead files come in, as UTF-8. Pure.
 *
 * The order is fixed, because each later guess accepts what an earlier one is surer of: a byte order mark (UTF-8, UTF-16), then
 * strict UTF-8, then GB18030 (what a Chinese Excel saves; it holds GBK and GB2312). Nothing is replaced or dropped: a file
 * that is none of these is refused. */
#ifndef CLIENT_CLI_ENCODING_H
#define CLIENT_CLI_ENCODING_H

#include <stddef.h>

#include "leadpool/error.h"

/** A text in UTF-8. Ownership: free(data). */
typedef struct encoding_text {
    char *data;
    size_t size;
    const char *name; /**< the encoding it came in; static, or the caller's own `name` */
} encoding_text;

/** Converts `size` bytes. `name` NULL: find out; else any name iconv knows. A byte order mark is dropped.
 *  Errors: LP_UNSUPPORTED unknown name; LP_INVALID not text in that encoding, with `bad_out` the offset of the first bad byte;
 *  LP_NOMEM. No message is written: the caller knows the file's name. */
lp_err encoding_to_utf8(const char *data, size_t size, const char *name, encoding_text *text_out, size_t *bad_out);

#endif
