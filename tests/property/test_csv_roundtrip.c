/* test_csv_roundtrip.c - any table of any texts, written and read, is the same table; whatever the delimiter guess has to work with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cell.h"
#include "client/cli/csv.h"
#include "client/cli/sheet.h"
#include "tests/support/prop.h"

#define ROWS_MAX 6
#define COLUMNS_MAX 5
#define TEXT_BYTES_MAX 24

typedef struct grid {
    uint32_t rows;
    uint32_t columns;
    char cells[ROWS_MAX][COLUMNS_MAX][TEXT_BYTES_MAX + 1];
} grid;

/* Half of them from the characters that matter to CSV, spreadsheets and the guard. */
static void make_text(prop *p, char *text) {
    static const char signs[] = ",;\t|\"\"\r\n' =+-@aN/";
    static const char *const words[] = {"null", "N/A", "Select", "NaN", "请选择", " null ", "'", "''="};
    if (prop_chance(p, 15)) {
        strcpy(text, words[prop_below(p, sizeof words / sizeof *words)]);
        return;
    }
    size_t size = (size_t)prop_below(p, TEXT_BYTES_MAX / 2);
    for (size_t i = 0; i < size; i++)
        text[i] = signs[prop_below(p, sizeof signs - 1)];
    text[size] = '\0';
    if (!prop_chance(p, 50))
        return;
    buf b = {0};
    prop_text(p, &b, TEXT_BYTES_MAX);
    size = 0;
    for (size_t i = 0; i < b.size; i++)
        if (b.data[i])
            text[size++] = (char)b.data[i];
    text[size] = '\0';
    buf_fini(&b);
}

static void make_grid(prop *p, grid *g) {
    g->rows = 1 + (uint32_t)prop_below(p, ROWS_MAX);
    g->columns = 1 + (uint32_t)prop_below(p, COLUMNS_MAX);
    for (uint32_t r = 0; r < g->rows; r++)
        for (uint32_t c = 0; c < g->columns; c++)
            make_text(p, g->cells[r][c]);
}

/* ---- cells alone ---- */

typedef struct reading {
    const grid *g;
    uint32_t rows;
    bool same;
} reading;

static void compare_row(void *ctx, uint32_t line, const csv_cell *cells, uint32_t count) {
    (void)line;
    reading *reading_now = ctx;
    const grid *g = reading_now->g;
    bool same = reading_now->rows < g->rows && count == g->columns;
    for (uint32_t c = 0; same && c < count; c++)
        same = cells[c].size == strlen(g->cells[reading_now->rows][c]) &&
               memcmp(cells[c].text, g->cells[reading_now->rows][c], cells[c].size) == 0;
    reading_now->rows++;
    reading_now->same = reading_now->same && same;
}

static void what_is_written_reads_back_whatever_the_pieces(void **state) {
    (void)state;
    prop p = prop_begin("csv cells");
    for (uint32_t round = 0; round < prop_rounds(3000); round++) {
        prop_round(&p, round);
        grid g;
        char *text = NULL;
        size_t size = 0;
        make_grid(&p, &g);
        FILE *out = open_memstream(&text, &size);
        for (uint32_t r = 0; r < g.rows; r++)
            for (uint32_t c = 0; c < g.columns; c++) {
                csv_cell_write(out, g.cells[r][c], strlen(g.cells[r][c]), g.columns == 1);
                fputs(c + 1 < g.columns ? "," : "\r\n", out);
            }
        fclose(out);
        reading result = {&g, 0, true};
        csv_reader *reader = csv_reader_new(',', compare_row, &result);
        csv_problem problem = CSV_FINE;
        for (size_t at = 0; at < size;) {
            size_t piece = 1 + (size_t)prop_below(&p, 16);
            piece = piece < size - at ? piece : size - at;
            problem = csv_reader_feed(reader, text + at, piece);
            at += piece;
        }
        problem = problem ? problem : csv_reader_end(reader);
        csv_reader_free(reader);
        free(text);
        assert_true(prop_holds(&p, problem == CSV_FINE, "what was written is CSV"));
        assert_true(prop_holds(&p, result.same && result.rows == g.rows, "the cells are the same"));
    }
}

/* ---- whole sheets, guards and all ---- */

static void write_guarded(FILE *out, const char *text) {
    char cell[TEXT_BYTES_MAX + 2];
    snprintf(cell, sizeof cell, "%s%s", text[0] && cell_needs_guard(text, strlen(text)) ? "'" : "", text);
    csv_cell_write(out, cell, strlen(cell), 0);
}

static bool sheet_is(const sheet *s, const grid *g) {
    if (s->column_count != g->columns + 1 || s->row_count != g->rows)
        return false;
    for (uint32_t r = 0; r < g->rows; r++)
        for (uint32_t c = 0; c < g->columns; c++) {
            csv_cell cell = sheet_cell(s, r, c + 1);
            if (cell.size != strlen(g->cells[r][c]) || memcmp(cell.text, g->cells[r][c], cell.size) != 0)
                return false;
        }
    return true;
}

static void a_guarded_sheet_reads_back_as_it_was(void **state) {
    (void)state;
    prop p = prop_begin("csv sheets");
    for (uint32_t round = 0; round < prop_rounds(3000); round++) {
        prop_round(&p, round);
        grid g;
        char *text = NULL;
        size_t size = 0;
        sheet s = {0};
        sheet_fault fault;
        make_grid(&p, &g);
        FILE *out = open_memstream(&text, &size);
        fputs("id", out);
        for (uint32_t c = 0; c < g.columns; c++)
            fprintf(out, ",answers.%u", (unsigned)c);
        for (uint32_t r = 0; r < g.rows; r++) {
            fprintf(out, "\n%u", (unsigned)r);
            for (uint32_t c = 0; c < g.columns; c++) {
                fputc(',', out);
                write_guarded(out, g.cells[r][c]);
            }
        }
        fclose(out);
        bool read = sheet_read(text, size, 0, &s, &fault);
        free(text);
        assert_true(prop_holds(&p, read, "what was written is a sheet"));
        assert_true(prop_holds(&p, sheet_is(&s, &g), "the sheet is the same"));
        sheet_fini(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back_whatever_the_pieces),
        cmocka_unit_test(a_guarded_sheet_reads_back_as_it_was),
    };
    return cmocka_run_group_tests_name("csv round trip", tests, NULL, NULL);
}
