/* cells.h - the rows in a page of a database file, read without SQLite (image.h says why).
 *
 * A page is taken for what its first byte says it is: the rows of a table (13) or the entries of an index or of a table
 * without rowid (10, and 2 for those between its leaves). Cells that make no sense are skipped, each for itself.
 * Format: "Database File Format" of sqlite.org, sections 1.6 and 2.1. Thread: one at a time. */
#ifndef CLIENT_CELLS_H
#define CLIENT_CELLS_H

#include "client/replica/image.h"

#define CELL_COLUMNS_MAX 200

typedef enum cell_type { CELL_NULL, CELL_INT, CELL_REAL, CELL_TEXT, CELL_BLOB } cell_type;

typedef struct cell_value {
    cell_type type;
    int64_t integer;
    double real;
    span bytes; /**< of a text or blob */
} cell_value;

typedef struct cell {
    bool table; /**< a row of a table, `rowid` is set; else an entry of an index */
    int64_t rowid;
    uint32_t count;
    cell_value values[CELL_COLUMNS_MAX];
} cell;

/** Calls `each` for every row in a page; the row is valid during the call. Returns false if `each` did, which ends the
 *  walk, or if memory ran out.
 *  `skipped_out` (may be NULL) counts up for cells that could not be read. */
bool cells_each(disk_image *m, uint32_t page, bool (*each)(void *ctx, const cell *row), void *ctx,
                uint32_t *skipped_out);

#endif
