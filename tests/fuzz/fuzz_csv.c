/* fuzz_csv.c - arbitrary bytes as a file to import: decoded, divided, mapped, every cell read, every row given an id.
 *
 * Checked: no byte of a cell is outside the sheet, names are not empty and differ, every id is made, and what csv_cell_write writes of a
 * cell reads back as it. */
#include <stdlib.h>
#include <string.h>

#include "client/cli/encoding.h"
#include "client/cli/import_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

static void compare_cell(void *ctx, uint32_t line, const csv_cell *cells, uint32_t count) {
    (void)line;
    const csv_cell *wanted = ctx;
    require(count == 1 && cells[0].size == wanted->size && memcmp(cells[0].text, wanted->text, wanted->size) == 0);
}

static void check_written(csv_cell cell) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    csv_cell_write(out, cell.text, cell.size, 1);
    fclose(out);
    csv_reader *reader = csv_reader_new(',', compare_cell, &cell);
    require(csv_reader_feed(reader, text, size) == CSV_FINE && csv_reader_end(reader) == CSV_FINE);
    csv_reader_free(reader);
    free(text);
}

static void check_names(const sheet *s) {
    for (uint32_t i = 0; i < s->column_count; i++) {
        require(s->names[i][0] != '\0');
        for (uint32_t j = 0; j < i; j++)
            require(strcmp(s->names[i], s->names[j]) != 0);
    }
}

static void check_rows(const sheet *s, const import_map *map) {
    lp_id pool = {{0}};
    lp_id *ids = calloc(s->row_count + 1u, sizeof *ids);
    import_values values = {0};
    uint32_t limit_bytes = 0;
    require(import_key_ids(s, map, import_key_column(s, map), &pool, ids) == LP_OK);
    for (uint32_t row = 0; row < s->row_count; row++) {
        import_values_clear(&values);
        for (uint32_t i = 0; i < s->column_count; i++) {
            csv_cell cell = sheet_cell(s, row, i);
            lp_err code = import_map_cell(map, i, cell, &values, &limit_bytes);
            require(code == LP_OK || (code == LP_TOO_LARGE && limit_bytes));
            check_written(cell);
        }
    }
    import_values_fini(&values);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    encoding_text text;
    size_t bad = 0;
    if (encoding_to_utf8((const char *)data, size, NULL, &text, &bad) != LP_OK) {
        require(bad <= size);
        return 0;
    }
    sheet s;
    sheet_fault fault;
    import_map map;
    if (sheet_read(text.data, text.size, 0, &s, &fault)) {
        check_names(&s);
        require(import_map_make(&s, &map) == LP_OK);
        check_rows(&s, &map);
        import_map_fini(&map);
        sheet_fini(&s);
    } else {
        require(fault.kind != SHEET_FINE);
    }
    free(text.data);
    return 0;
}
