/* tty.c - see tty.h. */
#include "client/cli/tty.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Reads the character at `text`; a byte that is none counts as one column, and so does a control character, shown as a space. */
static size_t next(const char *text, size_t size, utf8proc_int32_t *c_out, int *width_out) {
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, c_out);
    if (n <= 0) {
        *c_out = '?';
        *width_out = 1;
        return 1;
    }
    if (utf8proc_category(*c_out) == UTF8PROC_CATEGORY_CC)
        *c_out = ' ';
    *width_out = *c_out == ' ' ? 1 : utf8proc_charwidth(*c_out);
    return (size_t)n;
}

size_t tty_width(const char *text, size_t size) {
    size_t width = 0;
    utf8proc_int32_t c = 0;
    int mine = 0;
    for (size_t at = 0; at < size; width += (size_t)mine)
        at += next(text + at, size - at, &c, &mine);
    return width;
}

void tty_cell(FILE *out, const char *text, size_t size, size_t columns, bool pad) {
    size_t whole = tty_width(text, size);
    size_t room = columns && whole > columns ? columns - 1 : whole;
    size_t width = 0;
    utf8proc_int32_t c = 0;
    int mine = 0;
    for (size_t at = 0; at < size;) {
        size_t n = next(text + at, size - at, &c, &mine);
        if (width + (size_t)mine > room)
            break;
        if (c == ' ' || c == '?')
            fputc((int)c, out);
        else
            fwrite(text + at, 1, n, out);
        width += (size_t)mine;
        at += n;
    }
    if (room < whole) {
        fputs("…", out);
        width++;
    }
    for (; pad && width < columns; width++)
        fputc(' ', out);
}

void tty_begin(FILE *out, bool colour, tty_style style) {
    if (colour && style != TTY_PLAIN)
        fprintf(out, "\033[%dm", (int)style);
}

void tty_end(FILE *out, bool colour) {
    if (colour)
        fputs("\033[0m", out);
}

bool tty_table_add(tty_table *table, const char *text, size_t size) {
    if (table->count == table->capacity) {
        uint32_t capacity = table->capacity ? table->capacity * 2 : 64;
        char **cells = realloc(table->cells, capacity * sizeof *cells);
        if (!cells)
            return false;
        table->cells = cells;
        table->capacity = capacity;
    }
    char *copy = malloc(size + 1);
    if (!copy)
        return false;
    if (size)
        memcpy(copy, text, size);
    copy[size] = '\0';
    table->cells[table->count++] = copy;
    return true;
}

static size_t column_width(const tty_table *table, uint32_t column, size_t max_columns) {
    size_t widest = 0;
    for (uint32_t i = column; i < table->count; i += table->columns) {
        size_t width = tty_width(table->cells[i], strlen(table->cells[i]));
        widest = width > widest ? width : widest;
    }
    return widest > max_columns ? max_columns : widest;
}

void tty_table_write(FILE *out, const tty_table *table, bool colour, size_t max_columns) {
    size_t widths[TTY_TABLE_COLUMNS_MAX];
    for (uint32_t column = 0; column < table->columns; column++)
        widths[column] = column_width(table, column, max_columns);
    for (uint32_t i = 0; i < table->count; i++) {
        uint32_t column = i % table->columns;
        bool last = column + 1 == table->columns;
        if (i < table->columns)
            tty_begin(out, colour, TTY_BOLD);
        tty_cell(out, table->cells[i], strlen(table->cells[i]), last ? max_columns : widths[column], !last);
        if (i < table->columns)
            tty_end(out, colour);
        fputs(last ? "\n" : "  ", out);
    }
}

void tty_table_fini(tty_table *table) {
    for (uint32_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (tty_table){0};
}

void tty_progress(FILE *out, const char *text, uint64_t done, uint64_t total) {
    if (total)
        fprintf(out, "\r\033[K%s %" PRIu64 "/%" PRIu64, text, done, total);
    else
        fprintf(out, "\r\033[K%s %" PRIu64, text, done);
    fflush(out);
}

void tty_progress_end(FILE *out) {
    fputs("\r\033[K", out);
    fflush(out);
}
