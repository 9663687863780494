/* import_key.c - see import_key.h. */
#include "client/cli/import_key.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/columns.h"

/* ---- does a column identify the rows ---- */

typedef struct keyed_row {
    csv_cell cell;
    uint32_t line;
} keyed_row;

static int compare_keyed_rows(const void *a, const void *b) {
    const keyed_row *x = a;
    const keyed_row *y = b;
    int order = strcmp(x->cell.text, y->cell.text);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

bool import_key_is_unique(const sheet *s, uint32_t column, import_key_fault *fault_out) {
    *fault_out = (import_key_fault){0};
    keyed_row *rows = malloc((s->row_count + 1u) * sizeof *rows);
    if (!rows)
        return false;
    bool unique = true;
    for (uint32_t r = 0; r < s->row_count && unique; r++) {
        rows[r] = (keyed_row){sheet_cell(s, r, column), s->rows[r].line};
        unique = rows[r].cell.size > 0;
        if (!unique)
            *fault_out = (import_key_fault){.empty = true, .line = s->rows[r].line};
    }
    if (unique)
        qsort(rows, s->row_count, sizeof *rows, compare_keyed_rows);
    for (uint32_t r = 1; r < s->row_count && unique; r++) {
        unique = strcmp(rows[r - 1].cell.text, rows[r].cell.text) != 0;
        if (!unique)
            *fault_out = (import_key_fault){.line = rows[r - 1].line, .other = rows[r].line};
    }
    free(rows);
    return unique;
}

/* True for 0, 1, 2, ... or 1, 2, 3, ... from the first row to the last. */
static bool only_counts(const sheet *s, uint32_t column) {
    if (s->row_count == 0)
        return false;
    unsigned long first = strcmp(sheet_cell(s, 0, column).text, "0") == 0 ? 0 : 1;
    for (uint32_t r = 0; r < s->row_count; r++) {
        char number[24];
        snprintf(number, sizeof number, "%lu", first + r);
        if (strcmp(sheet_cell(s, r, column).text, number) != 0)
            return false;
    }
    return true;
}

uint32_t import_key_column(const sheet *s, const import_map *map) {
    import_key_fault fault;
    for (uint32_t i = 0; i < map->count; i++) {
        if (map->columns[i].kind != MAP_FIELD || strcmp(map->columns[i].path, "external_id") != 0)
            continue;
        return import_key_is_unique(s, i, &fault) && !only_counts(s, i) ? i : IMPORT_NO_COLUMN;
    }
    return IMPORT_NO_COLUMN;
}

/* ---- ids ---- */

typedef struct seen_row {
    lp_id id;
    uint32_t row;
} seen_row;

static int compare_seen_rows(const void *a, const void *b) {
    const seen_row *x = a;
    const seen_row *y = b;
    int order = memcmp(&x->id, &y->id, sizeof x->id);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

/* Derives an id from a name that `write` puts together. */
typedef struct name_writer {
    FILE *out;
    char *text;
    size_t size;
} name_writer;

static bool name_begin(name_writer *w) {
    *w = (name_writer){0};
    w->out = open_memstream(&w->text, &w->size);
    if (w->out)
        fputs("import\n", w->out);
    return w->out != NULL;
}

static lp_err name_end(name_writer *w, const lp_id *pool, lp_id *id_out) {
    bool sound = fclose(w->out) == 0 && w->size <= UINT32_MAX;
    if (sound)
        lp_id_derive(pool, w->text, (uint32_t)w->size, id_out);
    free(w->text);
    return sound ? LP_OK : LP_NOMEM;
}

static lp_err id_of_key(const char *column_name, const char *key, const lp_id *pool, lp_id *id_out) {
    char column[COLUMN_KEY_BYTES];
    column_key(column_name, column);
    name_writer w;
    if (!name_begin(&w))
        return LP_NOMEM;
    fprintf(w.out, "%s\n%s", column, key);
    return name_end(&w, pool, id_out);
}

/* The sizes keep a cell with line ends from looking like two cells. */
static lp_err id_of_content(const sheet *s, const import_map *map, uint32_t row, const lp_id *pool, lp_id *id_out) {
    name_writer w;
    if (!name_begin(&w))
        return LP_NOMEM;
    for (uint32_t i = 0; i < s->column_count; i++) {
        csv_cell cell = sheet_cell(s, row, i);
        if (cell.size && map->columns[i].kind != MAP_IGNORED)
            fprintf(w.out, "%s=%zu:%s\n", s->names[i], cell.size, cell.text);
    }
    return name_end(&w, pool, id_out);
}

/* Tells equal rows apart: the first keeps the id of its content, the others get one that also holds their number. */
static lp_err number_equal_rows(seen_row *seen, uint32_t count, const lp_id *pool, lp_id *ids_out) {
    qsort(seen, count, sizeof *seen, compare_seen_rows);
    uint32_t occurrence = 0;
    lp_err code = LP_OK;
    for (uint32_t i = 0; i < count && code == LP_OK; i++) {
        bool again = i && memcmp(&seen[i].id, &seen[i - 1].id, sizeof seen[i].id) == 0;
        occurrence = again ? occurrence + 1 : 0;
        ids_out[seen[i].row] = seen[i].id;
        if (!again)
            continue;
        name_writer w;
        char content[LP_ID_TEXT_BYTES];
        lp_id_format(&seen[i].id, content);
        if (!name_begin(&w))
            return LP_NOMEM;
        fprintf(w.out, "%s\n%u", content, (unsigned)occurrence);
        code = name_end(&w, pool, &ids_out[seen[i].row]);
    }
    return code;
}

static uint32_t record_id_column(const import_map *map) {
    for (uint32_t i = 0; i < map->count; i++)
        if (map->columns[i].kind == MAP_RECORD_ID)
            return i;
    return IMPORT_NO_COLUMN;
}

lp_err import_key_ids(const sheet *s, const import_map *map, uint32_t column, const lp_id *pool, lp_id *ids_out) {
    uint32_t id_column = record_id_column(map);
    seen_row *seen = malloc((s->row_count + 1u) * sizeof *seen);
    if (!seen)
        return LP_NOMEM;
    uint32_t seen_count = 0;
    lp_err code = LP_OK;
    for (uint32_t r = 0; r < s->row_count && code == LP_OK; r++) {
        if (column != IMPORT_NO_COLUMN) {
            code = id_of_key(s->names[column], sheet_cell(s, r, column).text, pool, &ids_out[r]);
        } else if (id_column == IMPORT_NO_COLUMN || !lp_id_parse(sheet_cell(s, r, id_column).text, &ids_out[r])) {
            seen[seen_count].row = r;
            code = id_of_content(s, map, r, pool, &seen[seen_count++].id);
        }
    }
    if (code == LP_OK)
        code = number_equal_rows(seen, seen_count, pool, ids_out);
    free(seen);
    return code;
}
