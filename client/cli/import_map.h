/* import_map.h - which field every column of a sheet goes to, and what a cell becomes there. Pure.
 *
 * Invariants:
 *   (1) Nothing that was typed is lost: a column nobody knows, a second column for the same field, and a cell that does not read as its
 *       field's type all become answers under the column's own name.
 *   (2) Two columns never write to the same field. */
#ifndef CLIENT_CLI_IMPORT_MAP_H
#define CLIENT_CLI_IMPORT_MAP_H

#include "client/cli/sheet.h"
#include "leadpool/leadpool.h"

typedef enum map_kind {
    MAP_ANSWER = 0, /**< unknown: kept under its own name */
    MAP_FIELD,      /**< one field, or one key of a map field */
    MAP_TAGS,       /**< several tags in a cell */
    MAP_RECORD_ID,  /**< the record's own id, as export writes it */
    MAP_IGNORED,    /**< what import itself added to a file of error rows */
} map_kind;

typedef struct map_column {
    map_kind kind;
    lp_field_info field;
    char *path;   /**< where a cell goes: "company", "answers.Favourite colour" */
    char *answer; /**< where it goes if it does not read as the field's type */
} map_column;

typedef struct import_map {
    map_column *columns; /**< one per column of the sheet */
    uint32_t count;
    uint32_t known; /**< columns that mean a field or an id */
    uint32_t answer_max_bytes;
} import_map;

/** Columns that import adds to a file of error rows, so that it can be corrected and imported as it is. */
#define IMPORT_LINE_COLUMN "import.line"
#define IMPORT_REASON_COLUMN "import.reason"

/** One thing a cell says. */
typedef struct import_value {
    char *path;     /**< owned by the list */
    lp_value value; /**< borrowed from the sheet */
} import_value;

/** What a row says. Zero-initialise; import_values_clear empties it, import_values_fini frees it. */
typedef struct import_values {
    import_value *items;
    uint32_t count;
    uint32_t capacity;
} import_values;

/** Ownership: import_map_fini. Errors: LP_NOMEM. */
lp_err import_map_make(const sheet *s, import_map *map_out);
void import_map_fini(import_map *map);

/** Appends what a cell of column `column` says; an empty cell says nothing.
 *  Errors: LP_TOO_LARGE, with the limit in `limit_bytes_out`; LP_NOMEM. */
lp_err import_map_cell(const import_map *map, uint32_t column, csv_cell cell, import_values *values,
                       uint32_t *limit_bytes_out);

void import_values_clear(import_values *values);
void import_values_fini(import_values *values);
/** The value for a path; NULL if the row says none. Borrowed. */
const lp_value *import_values_find(const import_values *values, const char *path);
/** Appends a value. Errors: LP_NOMEM. */
lp_err import_values_add(import_values *values, const char *path, lp_value value);

#endif
