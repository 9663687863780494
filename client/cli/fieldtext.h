/* fieldtext.h - a field's value as text in a file, and back. Pure.
 *
 * Invariant: field_read(field_print(value)) is the value, for every value a lead's field can have. Reading is generous where
 * nothing can be mistaken ("是", "Yes", "1" are all true), and says no otherwise. */
#ifndef CLIENT_CLI_FIELDTEXT_H
#define CLIENT_CLI_FIELDTEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "leadpool/leadpool.h"

/** Reads a text as the type of `field`. A text value borrows `text`. */
bool field_read(const lp_field_info *field, const char *text, size_t size, lp_value *value_out);

/** Writes a value for files: times in UTC, booleans yes and no, numbers so that they read back as the same. `time` says that an
 *  integer is UTC ms. Bytes of 16 are an id, others hexadecimal. */
void field_print(FILE *out, const lp_value *value, bool time);

/** True if both are the same value; an integer and a real that are equal are. */
bool field_equal(const lp_value *a, const lp_value *b);

#endif
