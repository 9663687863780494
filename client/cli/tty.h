/* tty.h - text on a terminal: display width, colours, aligned tables. */
#ifndef CLIENT_CLI_TTY_H
#define CLIENT_CLI_TTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Columns a text takes on a terminal: 2 for a Chinese character, 0 for a combining mark. */
size_t tty_width(const char *text, size_t size);

typedef enum tty_style {
    TTY_PLAIN = 0,
    TTY_BOLD = 1,
    TTY_DIM = 2,
    TTY_RED = 31,
    TTY_GREEN = 32,
    TTY_YELLOW = 33
} tty_style;

/** Writes at most `columns` columns of a text (0: all), control characters as spaces, cut with an ellipsis, then pads to
 *  `columns` if `pad`. */
void tty_cell(FILE *out, const char *text, size_t size, size_t columns, bool pad);

/** Begins and ends a style; writes nothing unless `colour`. */
void tty_begin(FILE *out, bool colour, tty_style style);
void tty_end(FILE *out, bool colour);

#define TTY_TABLE_COLUMNS_MAX 16

/** A table of texts, row by row. Zero-initialise with its column count (TTY_TABLE_COLUMNS_MAX at most); tty_table_fini frees it. */
typedef struct tty_table {
    uint32_t columns;
    char **cells;
    uint32_t count;
    uint32_t capacity;
} tty_table;

/** Appends a cell; false: out of memory. */
bool tty_table_add(tty_table *table, const char *text, size_t size);
/** Writes the table: the first row is its heading, columns as wide as their widest cell, `max_columns` at most. */
void tty_table_write(FILE *out, const tty_table *table, bool colour, size_t max_columns);
void tty_table_fini(tty_table *table);

/** Draws "text done/total" over the last such line; only call on a terminal. */
void tty_progress(FILE *out, const char *text, uint64_t done, uint64_t total);
void tty_progress_end(FILE *out);

#endif
