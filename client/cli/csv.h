/* csv.h - CSV bytes in, rows of cells out; and cells out as CSV text. Pure: no files, no clock, no messages.
 *
 * The reader follows RFC 4180 and what everybody writes besides: any line end, a last row without one, and a quote inside a cell that did
 * not begin with one is a character (37.8"N). Everything else about quotes is strict. docs/decisions/0003-csv-reader.md says why it is
 * not libcsv.
 *
 * Invariants:
 *   (1) Rows and cells do not depend on how the bytes were cut into feeds.
 *   (2) A cell comes out byte for byte as it was meant: spaces are kept, line ends inside quotes are kept.
 *   (3) Memory is bounded by one row: cells of CSV_CELL_BYTES_MAX bytes, CSV_COLUMNS_MAX of them.
 *   (4) What csv_cell_write writes, the reader reads back unchanged. */
#ifndef CLIENT_CLI_CSV_H
#define CLIENT_CLI_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CSV_CELL_BYTES_MAX (1024 * 1024)
#define CSV_COLUMNS_MAX 1000

/** What keeps a text from being CSV. */
typedef enum csv_problem {
    CSV_FINE = 0,
    CSV_STRAY_QUOTE,      /**< text after a closing quote */
    CSV_OPEN_QUOTE,       /**< the text ends inside a quoted cell */
    CSV_CELL_TOO_LARGE,   /**< a cell above CSV_CELL_BYTES_MAX */
    CSV_TOO_MANY_COLUMNS, /**< a row above CSV_COLUMNS_MAX cells */
    CSV_NO_MEMORY,
} csv_problem;

/** One cell. Borrowed from the reader for the length of the callback; a NUL follows the text. */
typedef struct csv_cell {
    const char *text;
    size_t size; /**< bytes, the NUL not counted */
    bool quoted; /**< it stood in quotes: spaces at its ends were meant */
} csv_cell;

/** Takes one row; `line` (from 1) is where it begins. Empty lines are no rows. */
typedef void (*csv_row_fn)(void *ctx, uint32_t line, const csv_cell *cells, uint32_t count);

typedef struct csv_reader csv_reader;

/** A reader for cells separated by `delimiter`. NULL: out of memory. Ownership: csv_reader_free. */
csv_reader *csv_reader_new(char delimiter, csv_row_fn fn, void *ctx);
/** Takes the next bytes. After a problem the reader takes no more and repeats it. */
csv_problem csv_reader_feed(csv_reader *reader, const char *data, size_t size);
/** Ends the text: hands out a last row without a line end. */
csv_problem csv_reader_end(csv_reader *reader);
/** Line (from 1) of the problem; for CSV_OPEN_QUOTE the line where its row begins. */
uint32_t csv_reader_line(const csv_reader *reader);
void csv_reader_free(csv_reader *reader);

/** Writes one cell, quoted only where the text needs it. The caller writes commas and line ends. `alone` says that it is the row's
 *  only cell: an empty one is then written as "" lest the row reads as an empty line. */
void csv_cell_write(FILE *out, const char *text, size_t size, int alone);

#endif
