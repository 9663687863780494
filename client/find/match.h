/* match.h - what is indexed of a record, and what a person's search words ask of the index: the two sides that must agree.
 *
 * Numbers people dial are the hard case: "+86 138-0013-8000" must be found by 13800138000, by 138 0013 and by 8000, and the other
 * way round. So the index holds, beside the parts as written, the digits joined from each part on, and from each of the
 * first digits that may be a country code; a query of nothing but digits and their punctuation asks for either. */
#ifndef CLIENT_MATCH_H
#define CLIENT_MATCH_H

#include "proto/record.h"

/** True if records of the kind have text to find. */
bool match_indexes(uint32_t kind);

/** Appends the texts of a record to find, folded not yet: names and companies to `names`, the rest to `other`. */
void match_texts(const record *rec, buf *names, buf *other);

/** Appends the FTS5 expression that holds for texts with all words of `text`; nothing if there is no word in it. Every word is
 *  quoted and holds letters and digits only, so no operator of FTS5's gets in. */
void match_expression(span text, buf *expression);

#endif
