/* csv.c - the CSV reader over libcsv, and the writer; see csv.h.
 *
 * libcsv is fed line by line: it has no notion of lines, but a row's callback then fires during the feed of the line that ends it. */
#include "client/cli/csv.h"

#include <csv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct csv_reader {
    struct csv_parser parser;
    csv_row_fn fn;
    void *ctx;
    csv_problem problem;
    uint32_t line;     /* of the byte that comes next */
    uint32_t row_line; /* where the open row began */
    bool open;         /* a row has begun and not ended */
    bool after_cr;     /* the last byte was CR: an LF now belongs to it */
    char *text;        /* cells of the open row, a NUL after each */
    size_t text_size;
    size_t text_capacity;
    size_t starts[CSV_COLUMNS_MAX + 1]; /* where cell i begins in `text` */
    csv_cell cells[CSV_COLUMNS_MAX];
    uint32_t count;
};

/* libcsv asks for memory only through this, which bounds a cell. */
static void *grow_cell(void *old, size_t size) {
    return size > CSV_CELL_BYTES_MAX + 4096 ? NULL : realloc(old, size);
}

static int never_space(unsigned char c) {
    (void)c;
    return 0;
}

csv_reader *csv_reader_new(char delimiter, csv_row_fn fn, void *ctx) {
    csv_reader *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    if (csv_init(&r->parser, CSV_STRICT | CSV_STRICT_FINI) != 0) {
        free(r);
        return NULL;
    }
    csv_set_delim(&r->parser, (unsigned char)delimiter);
    csv_set_space_func(&r->parser, never_space); /* libcsv would trim unquoted cells */
    csv_set_realloc_func(&r->parser, grow_cell);
    csv_set_blk_size(&r->parser, 4096);
    r->fn = fn;
    r->ctx = ctx;
    r->line = r->row_line = 1;
    return r;
}

void csv_reader_free(csv_reader *r) {
    if (!r)
        return;
    csv_free(&r->parser);
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

static void take_cell(void *data, size_t size, void *ctx) {
    csv_reader *r = ctx;
    if (r->problem)
        return;
    if (size > CSV_CELL_BYTES_MAX)
        r->problem = CSV_CELL_TOO_LARGE;
    else if (r->count == CSV_COLUMNS_MAX)
        r->problem = CSV_TOO_MANY_COLUMNS;
    else if (!reserve(r, size + 1))
        r->problem = CSV_NO_MEMORY;
    if (r->problem)
        return;
    r->starts[r->count++] = r->text_size;
    if (size)
        memcpy(r->text + r->text_size, data, size);
    r->text[r->text_size + size] = '\0';
    r->text_size += size + 1;
    r->starts[r->count] = r->text_size;
}

static void take_row(int terminator, void *ctx) {
    (void)terminator;
    csv_reader *r = ctx;
    if (r->problem)
        return;
    for (uint32_t i = 0; i < r->count; i++)
        r->cells[i] = (csv_cell){r->text + r->starts[i], r->starts[i + 1] - r->starts[i] - 1};
    r->fn(r->ctx, r->row_line, r->cells, r->count);
    r->count = 0;
    r->text_size = 0;
    r->open = false;
}

static csv_problem parser_problem(csv_reader *r) {
    if (csv_error(&r->parser) == CSV_EPARSE)
        return CSV_STRAY_QUOTE;
    return csv_get_buffer_size(&r->parser) >= CSV_CELL_BYTES_MAX ? CSV_CELL_TOO_LARGE : CSV_NO_MEMORY;
}

/* One line, or the part of it that this feed holds: at most one line end, and that as the last byte. */
static csv_problem feed_line(csv_reader *r, const char *data, size_t size) {
    char last = data[size - 1];
    bool ended = last == '\n' || last == '\r';
    if (r->after_cr && data[0] == '\n')
        ended = false; /* the second half of a CR LF that was counted already */
    else if (!r->open)
        r->row_line = r->line;
    if (last != '\n' && last != '\r')
        r->open = true;
    else if (size > 1)
        r->open = true; /* unless take_row says otherwise below */
    if (csv_parse(&r->parser, data, size, take_cell, take_row, r) != size && !r->problem)
        r->problem = parser_problem(r);
    if (r->problem)
        return r->problem;
    r->after_cr = last == '\r';
    if (ended)
        r->line++;
    return CSV_FINE;
}

csv_problem csv_reader_feed(csv_reader *r, const char *data, size_t size) {
    while (size && !r->problem) {
        size_t n = 0;
        while (n < size && data[n] != '\n' && data[n] != '\r')
            n++;
        if (n < size)
            n++;
        feed_line(r, data, n);
        data += n;
        size -= n;
    }
    return r->problem;
}

csv_problem csv_reader_end(csv_reader *r) {
    if (r->problem)
        return r->problem;
    if (csv_fini(&r->parser, take_cell, take_row, r) != 0 && !r->problem)
        r->problem = csv_error(&r->parser) == CSV_EPARSE ? CSV_OPEN_QUOTE : parser_problem(r);
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
