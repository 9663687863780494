/* csv.c - the CSV reader, a state machine that eats bytes, and the writer; see csv.h. */
#include "client/cli/csv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Between two bytes the reader is in one of these states:
 *
 *     BEFORE_ROW --any but a line end--> BEFORE_CELL
 *     BEFORE_CELL --quote--> QUOTED, --delimiter--> BEFORE_CELL, --line end--> BEFORE_ROW, --other--> PLAIN
 *     PLAIN --delimiter--> BEFORE_CELL, --line end--> BEFORE_ROW, a quote is a character like any other
 *     QUOTED --quote--> AFTER_QUOTE, everything else is text
 *     AFTER_QUOTE --quote--> QUOTED (it was a doubled one), --delimiter--> BEFORE_CELL, --line end--> BEFORE_ROW */
typedef enum state { BEFORE_ROW = 0, BEFORE_CELL, PLAIN, QUOTED, AFTER_QUOTE } state;

struct csv_reader {
    csv_row_fn fn;
    void *ctx;
    char delimiter;
    state state;
    csv_problem problem;
    bool after_cr;     /* the last byte was CR: an LF now belongs to it */
    uint32_t line;     /* of the byte that comes next */
    uint32_t row_line; /* where the open row began */
    char *text;        /* cells of the open row, a NUL after each */
    size_t text_size;
    size_t text_capacity;
    size_t starts[CSV_COLUMNS_MAX + 1]; /* where cell i begins in `text`; the last is the open cell's */
    csv_cell cells[CSV_COLUMNS_MAX];
    bool quoted;    /* the open cell began with a quote */
    uint32_t count; /* of closed cells */
};

csv_reader *csv_reader_new(char delimiter, csv_row_fn fn, void *ctx) {
    csv_reader *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->delimiter = delimiter;
    r->fn = fn;
    r->ctx = ctx;
    r->line = r->row_line = 1;
    return r;
}

void csv_reader_free(csv_reader *r) {
    if (!r)
        return;
    free(r->text);
    free(r);
}

uint32_t csv_reader_line(const csv_reader *r) {
    return r->problem == CSV_OPEN_QUOTE ? r->row_line : r->line;
}

static bool reserve(csv_reader *r, size_t more) {
    if (r->text_capacity - r->text_size >= more)
        return true;
    size_t capacity = r->text_capacity ? r->text_capacity : 4096;
    while (capacity - r->text_size < more)
        capacity *= 2;
    char *text = realloc(r->text, capacity);
    if (!text)
        return false;
    r->text = text;
    r->text_capacity = capacity;
    return true;
}

/* Appends bytes to the open cell. */
static void append(csv_reader *r, const char *data, size_t size) {
    size_t cell_size = r->text_size - r->starts[r->count];
    if (size > CSV_CELL_BYTES_MAX - cell_size) {
        r->problem = CSV_CELL_TOO_LARGE;
    } else if (!reserve(r, size)) {
        r->problem = CSV_NO_MEMORY;
    } else {
        memcpy(r->text + r->text_size, data, size);
        r->text_size += size;
    }
}

static void close_cell(csv_reader *r) {
    if (r->count == CSV_COLUMNS_MAX)
        r->problem = CSV_TOO_MANY_COLUMNS;
    else if (!reserve(r, 1))
        r->problem = CSV_NO_MEMORY;
    if (r->problem)
        return;
    r->text[r->text_size++] = '\0';
    r->cells[r->count].quoted = r->quoted;
    r->quoted = false;
    r->starts[++r->count] = r->text_size;
}

static void close_row(csv_reader *r) {
    close_cell(r);
    if (r->problem)
        return;
    for (uint32_t i = 0; i < r->count; i++)
        r->cells[i] = (csv_cell){r->text + r->starts[i], r->starts[i + 1] - r->starts[i] - 1, r->cells[i].quoted};
    r->fn(r->ctx, r->row_line, r->cells, r->count);
    r->count = 0;
    r->text_size = 0;
}

/* A byte outside quotes that ends something. */
static void take_separator(csv_reader *r, char c) {
    if (c == r->delimiter) {
        close_cell(r);
        r->state = BEFORE_CELL;
        return;
    }
    if (r->state != BEFORE_ROW)
        close_row(r); /* an empty line is no row */
    r->state = BEFORE_ROW;
}

static bool is_separator(const csv_reader *r, char c) {
    return c == r->delimiter || c == '\n' || c == '\r';
}

static void take_byte(csv_reader *r, char c) {
    bool separator = is_separator(r, c);
    if (r->state == BEFORE_ROW)
        r->row_line = r->line;
    if (r->state == QUOTED) {
        if (c == '"')
            r->state = AFTER_QUOTE;
        else
            append(r, &c, 1);
    } else if (separator) {
        take_separator(r, c);
    } else if (r->state == AFTER_QUOTE) {
        r->state = QUOTED;
        if (c == '"')
            append(r, &c, 1);
        else
            r->problem = CSV_STRAY_QUOTE;
    } else if (c == '"' && r->state != PLAIN) {
        r->state = QUOTED;
        r->quoted = true;
    } else {
        r->state = PLAIN;
        append(r, &c, 1);
    }
}

/* Counts CR, LF and CR LF as one line end each. */
static void count_line(csv_reader *r, char c) {
    if (c == '\r' || (c == '\n' && !r->after_cr))
        r->line++;
    r->after_cr = c == '\r';
}

/* How many bytes at `data` are plain text of the open cell: the long way in one step. */
static size_t run_length(const csv_reader *r, const char *data, size_t size) {
    size_t n = 0;
    if (r->state == PLAIN)
        while (n < size && !is_separator(r, data[n]))
            n++;
    else if (r->state == QUOTED)
        while (n < size && data[n] != '"' && data[n] != '\n' && data[n] != '\r')
            n++;
    return n;
}

csv_problem csv_reader_feed(csv_reader *r, const char *data, size_t size) {
    while (size && !r->problem) {
        size_t n = run_length(r, data, size);
        if (n) {
            append(r, data, n);
            r->after_cr = false;
        } else if (r->after_cr && *data == '\n' && r->state == BEFORE_ROW) {
            r->after_cr = false; /* the second half of the row's line end */
            n = 1;
        } else {
            take_byte(r, *data);
            if (!r->problem)
                count_line(r, *data);
            n = 1;
        }
        data += n;
        size -= n;
    }
    return r->problem;
}

csv_problem csv_reader_end(csv_reader *r) {
    if (r->problem)
        return r->problem;
    if (r->state == QUOTED)
        r->problem = CSV_OPEN_QUOTE;
    else if (r->state != BEFORE_ROW)
        close_row(r);
    r->state = BEFORE_ROW;
    return r->problem;
}

void csv_cell_write(FILE *out, const char *text, size_t size, int alone) {
    bool quote = size == 0 ? alone != 0 : text[0] == ' ' || text[size - 1] == ' ';
    for (size_t i = 0; i < size && !quote; i++)
        quote = strchr(",;\t|\"\r\n", text[i]) != NULL;
    if (!quote) {
        fwrite(text, 1, size, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"')
            fputc('"', out);
        fputc(text[i], out);
    }
    fputc('"', out);
}
