/* sheet.c - see sheet.h. */
#include "client/cli/sheet.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/cell.h"

#define SNIFF_BYTES 65536
#define SNIFF_ROWS 100

/* ---- which delimiter ---- */

typedef struct sniff {
    uint32_t width;
    uint32_t rows;
    uint32_t agreeing;
} sniff;

static void sniff_row(void *ctx, uint32_t line, const csv_cell *cells, uint32_t count) {
    (void)line, (void)cells;
    sniff *s = ctx;
    if (s->rows >= SNIFF_ROWS)
        return;
    if (s->rows++ == 0)
        s->width = count;
    s->agreeing += count == s->width;
}

/* How well the first rows agree under a delimiter, in thousandths; a delimiter that does not divide the header scores nothing. */
static uint32_t score(const char *data, size_t size, char delimiter, uint32_t *width_out) {
    sniff s = {0};
    csv_reader *reader = csv_reader_new(delimiter, sniff_row, &s);
    if (!reader)
        return 0;
    bool cut = size > SNIFF_BYTES;
    bool sound = csv_reader_feed(reader, data, cut ? SNIFF_BYTES : size) == CSV_FINE;
    if (sound && !cut)
        sound = csv_reader_end(reader) == CSV_FINE;
    csv_reader_free(reader);
    *width_out = s.width;
    if (s.width < 2)
        return 0;
    uint32_t agreement = s.agreeing * 1000 / s.rows;
    return sound ? agreement : agreement / 2;
}

char sheet_delimiter(const char *data, size_t size) {
    static const char candidates[] = {',', ';', '\t', '|'};
    char best = ',';
    uint32_t best_score = 0;
    uint32_t best_width = 1;
    for (size_t i = 0; i < sizeof candidates; i++) {
        uint32_t width = 0;
        uint32_t mine = score(data, size, candidates[i], &width);
        if (mine > best_score || (mine == best_score && mine && width > best_width)) {
            best = candidates[i];
            best_score = mine;
            best_width = width;
        }
    }
    return best;
}

/* ---- reading ---- */

typedef struct builder {
    sheet *sheet;
    size_t text_size;
    size_t text_capacity;
    size_t cell_capacity;
    size_t row_capacity;
    bool failed;
} builder;

/* Makes room for `wanted` items; NULL: out of memory, and the old block stands. */
static void *grow(void *items, size_t *capacity, size_t wanted, size_t item_size) {
    if (wanted <= *capacity)
        return items;
    size_t larger = *capacity ? *capacity * 2 : 256;
    while (larger < wanted)
        larger *= 2;
    void *memory = realloc(items, larger * item_size);
    if (memory)
        *capacity = larger;
    return memory;
}

static bool reserve(builder *b, uint32_t cell_count) {
    sheet *s = b->sheet;
    csv_cell *cells = grow(s->cells, &b->cell_capacity, s->cell_count + cell_count, sizeof *cells);
    if (!cells)
        return false;
    s->cells = cells;
    sheet_row *rows = grow(s->rows, &b->row_capacity, s->row_count + 1u, sizeof *rows);
    if (!rows)
        return false;
    s->rows = rows;
    return true;
}

/* The text block never moves, so cells may point into it: a cell and its NUL take no more bytes than the cell and its delimiter
 * or line end took in the file. */
static bool add_cell(builder *b, csv_cell cell) {
    while (!cell.quoted && cell.size && (cell.text[0] == ' ' || cell.text[0] == '\t')) {
        cell.text++;
        cell.size--;
    }
    while (!cell.quoted && cell.size && (cell.text[cell.size - 1] == ' ' || cell.text[cell.size - 1] == '\t'))
        cell.size--;
    if (cell.size + 1 > b->text_capacity - b->text_size)
        return false;
    size_t skip = cell_guard_bytes(cell.text, cell.size);
    char *text = b->sheet->text + b->text_size;
    size_t size = cell.size - skip;
    memcpy(text, cell.text + skip, size);
    text[size] = '\0';
    b->text_size += size + 1;
    /* Blankness is decided before the guard is gone: a guarded "N/A" is a text. */
    bool blank = skip == 0 && cell_is_blank(cell.text, cell.size);
    b->sheet->cells[b->sheet->cell_count++] = (csv_cell){text, blank ? 0 : size, cell.quoted};
    return true;
}

static bool row_is_blank(const csv_cell *cells, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!cell_is_blank(cells[i].text, cells[i].size))
            return false;
    return true;
}

static void add_row(void *ctx, uint32_t line, const csv_cell *cells, uint32_t count) {
    builder *b = ctx;
    sheet *s = b->sheet;
    if (b->failed || row_is_blank(cells, count))
        return;
    b->failed = !reserve(b, count);
    if (b->failed)
        return;
    s->rows[s->row_count++] = (sheet_row){line, count, s->cell_count};
    for (uint32_t i = 0; i < count && !b->failed; i++)
        b->failed = !add_cell(b, cells[i]);
}

static bool read_rows(const char *data, size_t size, sheet *s, sheet_fault *fault) {
    builder b = {.sheet = s, .text_capacity = size + 2};
    s->text = malloc(b.text_capacity);
    csv_reader *reader = s->text ? csv_reader_new(s->delimiter, add_row, &b) : NULL;
    csv_problem problem = reader ? csv_reader_feed(reader, data, size) : CSV_NO_MEMORY;
    if (!problem)
        problem = csv_reader_end(reader);
    if (problem)
        *fault = (sheet_fault){SHEET_CSV, problem, reader ? csv_reader_line(reader) : 0};
    if (b.failed || problem == CSV_NO_MEMORY)
        *fault = (sheet_fault){.kind = SHEET_MEMORY};
    csv_reader_free(reader);
    return fault->kind == SHEET_FINE;
}

/* ---- the header ---- */

static bool column_is_empty(const sheet *s, uint32_t source) {
    for (uint32_t r = 0; r < s->row_count; r++)
        if (source < s->rows[r].cell_count && s->cells[s->rows[r].first + source].size)
            return false;
    return true;
}

static bool name_is_taken(const sheet *s, const char *name) {
    for (uint32_t i = 0; i < s->column_count; i++)
        if (strcmp(s->names[i], name) == 0)
            return true;
    return false;
}

static bool name_is_sound(const char *name, size_t size) {
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < ' ' && !strchr("\t\r\n", name[i]))
            return false;
    return size + sizeof " (1000)" <= SHEET_NAME_BYTES_MAX;
}

static bool add_column(sheet *s, uint32_t source, const char *wanted) {
    char name[SHEET_NAME_BYTES_MAX + 16];
    snprintf(name, sizeof name, "%s", wanted);
    for (int n = 2; name_is_taken(s, name); n++)
        snprintf(name, sizeof name, "%s (%d)", wanted, n);
    char *copy = malloc(strlen(name) + 1);
    if (!copy)
        return false;
    memcpy(copy, name, strlen(name) + 1);
    s->names[s->column_count] = copy;
    s->sources[s->column_count++] = source;
    return true;
}

/* Takes the first row as the header. */
static sheet_fault_kind name_columns(sheet *s) {
    sheet_row header = s->rows[0];
    s->row_count--;
    memmove(s->rows, s->rows + 1, s->row_count * sizeof *s->rows);
    s->width = header.cell_count;
    s->names = calloc(s->width, sizeof *s->names);
    s->sources = calloc(s->width, sizeof *s->sources);
    if (!s->names || !s->sources)
        return SHEET_MEMORY;
    for (uint32_t i = 0; i < s->width; i++) {
        csv_cell cell = s->cells[header.first + i];
        char number[32];
        snprintf(number, sizeof number, "column %u", (unsigned)(i + 1));
        if (!name_is_sound(cell.text, cell.size))
            return SHEET_HEADER;
        if (cell.size == 0 && column_is_empty(s, i))
            continue;
        if (!add_column(s, i, cell.size ? cell.text : number))
            return SHEET_MEMORY;
    }
    return SHEET_FINE;
}

static void check_widths(const sheet *s, sheet_fault *fault) {
    uint32_t other = 0;
    uint32_t first_line = 0;
    for (uint32_t r = 0; r < s->row_count; r++) {
        if (s->rows[r].cell_count == s->width)
            continue;
        if (other++ == 0)
            first_line = s->rows[r].line;
    }
    if (other > s->row_count / 2)
        *fault = (sheet_fault){.kind = SHEET_RAGGED, .line = first_line};
}

static uint32_t line_of(const char *data, const char *at) {
    uint32_t line = 1;
    for (; data < at; data++)
        line += *data == '\n';
    return line;
}

bool sheet_read(const char *data, size_t size, char delimiter, sheet *sheet_out, sheet_fault *fault_out) {
    sheet s = {0};
    sheet_fault fault = {0};
    const char *nul = size ? memchr(data, '\0', size) : NULL;
    if (nul) {
        *fault_out = (sheet_fault){.kind = SHEET_NUL, .line = line_of(data, nul)};
        return false;
    }
    s.delimiter = delimiter ? delimiter : sheet_delimiter(data, size);
    if (read_rows(data, size, &s, &fault)) {
        uint32_t line = s.row_count ? s.rows[0].line : 1;
        fault.kind = s.row_count ? name_columns(&s) : SHEET_EMPTY;
        fault.line = line;
    }
    if (fault.kind == SHEET_FINE)
        check_widths(&s, &fault);
    *fault_out = fault;
    if (fault.kind == SHEET_FINE)
        *sheet_out = s;
    else
        sheet_fini(&s);
    return fault.kind == SHEET_FINE;
}

void sheet_fini(sheet *s) {
    for (uint32_t i = 0; i < s->column_count; i++)
        free(s->names[i]);
    free(s->names);
    free(s->sources);
    free(s->rows);
    free(s->cells);
    free(s->text);
    *s = (sheet){0};
}

csv_cell sheet_cell(const sheet *s, uint32_t row, uint32_t column) {
    const sheet_row *r = &s->rows[row];
    uint32_t source = s->sources[column];
    return source < r->cell_count ? s->cells[r->first + source] : (csv_cell){"", 0, false};
}
