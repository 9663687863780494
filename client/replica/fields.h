/* fields.h - fields by name: between "tags.vip" and (number, key), the schema for programs, the columns of table record.
 *
 * A column c_<name> holds what filters and sorts compare, not what people see: text folded (fold.h), codes as they are, booleans and times as
 * integers, ids as blobs, NULL where the field is empty. The value itself is in `body`. */
#ifndef CLIENT_FIELDS_H
#define CLIENT_FIELDS_H

#include <sqlite3.h>

#include "proto/record.h"
#include "proto/schema.h"

/** Bytes of the longest field name with key, terminating NUL included. */
#define FIELD_NAME_BYTES_MAX (64 + KEY_BYTES_MAX)

#define FIELDS_MAX 255 /**< more than schema.def has */

typedef struct field_ref {
    uint32_t number;
    span key;               /**< borrowed from the name; empty if it has none */
    const field_info *info; /**< NULL: "#217", not known to this version */
} field_ref;

/** Reads a field's name. A map field without its key is let through with an empty key; schema_check tells.
 *  Errors: LP_INVALID names it and suggests the nearest name. */
lp_err fields_parse(uint32_t kind, span name, field_ref *ref_out, lp_error *error);

/** Writes the name of a register as fields_parse reads it, cut to `size` bytes with the NUL. Returns the full length without it. */
size_t fields_name(uint32_t kind, uint32_t number, span key, char *text_out, size_t size);

/** Column `index` of table record, "c_company", and its SQL type; NULL past the last. Static storage. */
const char *fields_column(uint32_t index, const char **sql_type_out);
/** The column a field is kept in, "deleted" for that field; NULL if it has none. */
const char *fields_column_of(const field_info *info);
/** Which column each field is kept in, worked out once for all records. */
typedef struct field_layout {
    uint8_t column_of[FIELDS_MAX]; /**< by place in schema.def; FIELDS_MAX: none */
    uint8_t type_of[FIELDS_MAX];   /**< of a column: that of the first field of its name */
    uint32_t count;                /**< columns */
} field_layout;
void fields_layout(field_layout *layout_out);

/** Binds every column's value for `rec` (NULL where its kind has no such column) to parameters `first`, `first` + 1, ...
 *  Returns a SQLite result code. */
int fields_bind_columns(sqlite3_stmt *statement, int first, const record *rec);
/** The same with a layout made before. */
int fields_bind_layout(sqlite3_stmt *statement, int first, const field_layout *layout, const record *rec);

#endif
