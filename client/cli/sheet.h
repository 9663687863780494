/* sheet.h - a whole CSV file in memory: a header row and data rows, with the line each one began on. Pure.
 *
 * Why whole: an import stores nothing until the file is known to be sound, and whether a column identifies its rows is a
 * question about all of them.
 *
 * Invariants: column names are not empty and differ from each other; a row with no cell but blank ones is
 * no row; cells missing at the end of a row are empty; spaces at the ends of a cell count only if it stood in
 * quotes; a cell's text has no guard apostrophe any more (see cell.h). */
#ifndef CLIENT_CLI_SHEET_H
#define CLIENT_CLI_SHEET_H

#include <stdbool.h>

#include "client/cli/csv.h"
#include "leadpool/error.h"

/** What keeps a file from being a sheet; `line` is where. */
typedef enum sheet_fault_kind {
    SHEET_FINE = 0,
    SHEET_CSV,    /**< not CSV: see `problem` */
    SHEET_NUL,    /**< a NUL byte: not a text file */
    SHEET_EMPTY,  /**< no header row */
    SHEET_RAGGED, /**< most rows have another number of cells than the header */
    SHEET_HEADER, /**< a header cell with control characters, or longer than SHEET_NAME_BYTES_MAX */
    SHEET_MEMORY,
} sheet_fault_kind;

typedef struct sheet_fault {
    sheet_fault_kind kind;
    csv_problem problem;
    uint32_t line;
} sheet_fault;

/** Longest column name: it may become the key of an answer, which has this limit. */
#define SHEET_NAME_BYTES_MAX 255

typedef struct sheet_row {
    uint32_t line;
    uint32_t cell_count; /**< as the file has them; more than the header's is this row's error */
    size_t first;        /**< of its cells in sheet.cells */
} sheet_row;

typedef struct sheet {
    char delimiter; /**< by which it was read */
    char **names;
    uint32_t *sources; /**< of each column: which cell of a row is its */
    uint32_t column_count;
    uint32_t width; /**< cells of the header row; nameless columns without any cell are no columns */
    sheet_row *rows;
    uint32_t row_count;
    csv_cell *cells;
    size_t cell_count;
    char *text; /* all cells; freed with the sheet */
} sheet;

/** Reads `size` bytes of UTF-8. `delimiter` 0: the one of `, ; TAB |` by which the first rows agree. False: `fault_out` says why.
 *  Ownership: sheet_fini. */
bool sheet_read(const char *data, size_t size, char delimiter, sheet *sheet_out, sheet_fault *fault_out);
void sheet_fini(sheet *s);

/** A cell; an empty one where the row is too short. A cell that only stands for nothing ("Select") has size 0, its text still there. */
csv_cell sheet_cell(const sheet *s, uint32_t row, uint32_t column);

/** The delimiter of a text's first rows. */
char sheet_delimiter(const char *data, size_t size);

#endif
