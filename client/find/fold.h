/* fold.h - text made comparable: what a person would call the same text becomes the same bytes.
 *
 * Case, width (Ｊ and J), compatibility forms (ﬁ and fi) and composition always fold (Unicode UAX #15 NFKC with case
 * folding, by utf8proc). Accents fold for searching only: a filter that says José means José. */
#ifndef CLIENT_FOLD_H
#define CLIENT_FOLD_H

#include "leadpool/error.h"
#include "proto/buf.h"

typedef enum fold_accents { FOLD_KEEP_ACCENTS, FOLD_DROP_ACCENTS } fold_accents;

/** Appends the folded form of `text` to `out`. Text that is not UTF-8 (a damaged file) is appended as it is, so that it
 *  still equals itself. Want of memory shows in `out->failed`. Thread: any. */
void fold_text(span text, fold_accents accents, buf *out);

/** Takes one code point off the front of folded text; a byte that begins none is returned as U+FFFD. `text` is not empty. */
int32_t fold_take_char(span *text);

#endif
