/* columns.h - which field of a lead the header of a CSV column means. Pure. */
#ifndef CLIENT_CLI_COLUMNS_H
#define CLIENT_CLI_COLUMNS_H

#include <stdbool.h>

#include "leadpool/leadpool.h"

/** Bytes that a normalised name takes at most, NUL included. */
#define COLUMN_KEY_BYTES 512

/** A name as it is compared: compatibility forms and case folded, accents kept, everything but letters and digits dropped, "E-Mail
 *  Address" -> "emailaddress". Cut at COLUMN_KEY_BYTES. Empty if nothing remains. */
void column_key(const char *name, char *key_out);

/** The field of a lead that `header` names: the field's own name, one of its labels, or a synonym of columns.def. `key_out` is
 *  the key in a map field ("wechat"), else NULL; static storage. */
bool column_field(const char *header, lp_field_info *info_out, const char **key_out);

/** The field of a lead called exactly `name`, which ends at the NUL or a dot: "company", "answers.Question". */
bool column_field_named(const char *name, lp_field_info *info_out);

#endif
