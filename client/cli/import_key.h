/* import_key.h - which record a row of a file is, the same on every device and every time. Pure.
 *
 * A row's id is the first of these that the file offers:
 *   - the record id itself, in a column `id` of UUIDs, as export writes it;
 *   - an id derived from a column that identifies the rows: the one asked for, else the one that maps to external_id, if its cells are all
 *     there, all different, and do not merely count the rows (a count says nothing about which lead it is: two reps' lists
 *     both begin with 1);
 *   - an id derived from all that the row says, and from how many equal rows stand before it in the file. */
#ifndef CLIENT_CLI_IMPORT_KEY_H
#define CLIENT_CLI_IMPORT_KEY_H

#include "client/cli/import_map.h"

#define IMPORT_NO_COLUMN UINT32_MAX

/** Why a column does not identify the rows. */
typedef struct import_key_fault {
    bool empty; /**< line `line` has no cell there; else: lines `line` and `other` have the same */
    uint32_t line;
    uint32_t other;
} import_key_fault;

/** True if every row has a cell in `column` and no two the same. Errors: false also when out of memory. */
bool import_key_is_unique(const sheet *s, uint32_t column, import_key_fault *fault_out);

/** The column that identifies the rows by itself; IMPORT_NO_COLUMN if there is none. */
uint32_t import_key_column(const sheet *s, const import_map *map);

/** Writes the id of every row to `ids_out` (one per row). `column` is what import_key_column said or the person asked for.
 *  Errors: LP_NOMEM. */
lp_err import_key_ids(const sheet *s, const import_map *map, uint32_t column, const lp_id *pool, lp_id *ids_out);

#endif
