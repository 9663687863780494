/* export.c - export: leads as CSV that import reads back unchanged.
 *
 * Invariant: the bytes are a function of the records alone (rows by id, columns in the schema's order, keys of map fields in byte order), so
 * exporting, importing elsewhere and exporting there gives the same file. */
#include <stdlib.h>
#include <string.h>

#include "client/cli/cell.h"
#include "client/cli/cli.h"
#include "client/cli/columns.h"
#include "client/cli/csv.h"
#include "client/cli/fieldtext.h"
#include "client/cli/file.h"
#include "client/cli/json.h"

/* ---- columns ---- */

typedef struct export_column {
    uint32_t number; /* of the field; 0: the record's id */
    bool time;
    char *name;
} export_column;

typedef struct export_columns {
    export_column *items;
    uint32_t count;
} export_columns;

static int compare_columns(const export_column *a, uint32_t number, const char *name) {
    if (a->number != number)
        return a->number < number ? -1 : 1;
    return strcmp(a->name, name);
}

static bool insert(export_columns *columns, uint32_t at, uint32_t number, bool time, const char *name) {
    export_column *items = realloc(columns->items, (columns->count + 1u) * sizeof *items);
    if (!items)
        return false;
    columns->items = items;
    char *copy = malloc(strlen(name) + 1);
    if (!copy)
        return false;
    memcpy(copy, name, strlen(name) + 1);
    memmove(&items[at + 1], &items[at], (columns->count - at) * sizeof *items);
    items[at] = (export_column){number, time, copy};
    columns->count++;
    return true;
}

/* Finds a column's place by halving; adds it if it is not there. */
static bool add_column(export_columns *columns, uint32_t number, bool time, const char *name) {
    uint32_t low = 0;
    uint32_t high = columns->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_columns(&columns->items[middle], number, name);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return insert(columns, low, number, time, name);
}

static void columns_fini(export_columns *columns) {
    for (uint32_t i = 0; i < columns->count; i++)
        free(columns->items[i].name);
    free(columns->items);
}

/* Every field that has a value somewhere. */
static bool collect_columns(const lp_rows *rows, export_columns *columns) {
    bool ok = add_column(columns, 0, false, "id");
    for (uint32_t r = 0; r < lp_rows_count(rows) && ok; r++) {
        lp_field field;
        lp_field_info info;
        const lp_record *record = lp_rows_at(rows, r);
        for (uint32_t i = 0; ok && lp_record_field(record, i, &field) == LP_OK; i++)
            if (column_field_named(field.name, &info) && !info.hidden && info.writable)
                ok = add_column(columns, info.number, info.time, field.name);
    }
    return ok;
}

/* Columns in the order they were asked for. */
static lp_err parse_columns(const cli *c, const char *text, export_columns *columns, lp_error *error) {
    while (*text) {
        char name[300];
        size_t size = strcspn(text, ",");
        snprintf(name, sizeof name, "%.*s", (int)size, text);
        lp_field_info info = {0};
        bool is_id = strcmp(name, "id") == 0;
        bool known = is_id || (column_field_named(name, &info) && info.map == (strchr(name, '.') != NULL));
        if (!known)
            return cli_fail(c, error, LP_INVALID, T_NO_SUCH_FIELD, name, NULL);
        if (!insert(columns, columns->count, info.number, info.time, name))
            return cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
        text += size + (text[size] == ',');
    }
    return LP_OK;
}

static lp_err choose_columns(const cli *c, const args *a, const lp_rows *rows, export_columns *columns,
                             lp_error *error) {
    const char *wanted = args_value(a, "columns");
    if (wanted)
        return parse_columns(c, wanted, columns, error);
    if (!collect_columns(rows, columns))
        return cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
    if (columns->count > CSV_COLUMNS_MAX)
        return cli_fail(c, error, LP_TOO_LARGE, T_TOO_MANY_FIELDS, NULL);
    return LP_OK;
}

/* ---- cells ---- */

static bool write_value(FILE *out, const lp_record *record, const export_column *column, int alone) {
    if (column->number == 0) {
        char id[LP_ID_TEXT_BYTES];
        lp_id_format(lp_record_id(record), id);
        return fputs(id, out) >= 0;
    }
    char *text = NULL;
    size_t size = 0;
    FILE *cell = open_memstream(&text, &size);
    if (!cell)
        return false;
    lp_value value = lp_record_value(record, column->name);
    if (value.type == LP_TEXT && cell_needs_guard(value.data, value.size))
        fputc('\'', cell);
    field_print(cell, &value, column->time);
    bool ok = fclose(cell) == 0;
    if (ok)
        csv_cell_write(out, text, size, alone);
    free(text);
    return ok;
}

static bool write_csv(FILE *out, const lp_rows *rows, const export_columns *columns, bool excel) {
    const char *line_end = excel ? "\r\n" : "\n";
    bool ok = true;
    if (excel)
        fputs("\xef\xbb\xbf", out);
    for (uint32_t i = 0; i < columns->count; i++) {
        fputs(i ? "," : "", out);
        csv_cell_write(out, columns->items[i].name, strlen(columns->items[i].name), 0);
    }
    fputs(line_end, out);
    for (uint32_t r = 0; r < lp_rows_count(rows) && ok; r++) {
        for (uint32_t i = 0; i < columns->count && ok; i++) {
            fputs(i ? "," : "", out);
            ok = write_value(out, lp_rows_at(rows, r), &columns->items[i], columns->count == 1);
        }
        fputs(line_end, out);
    }
    return ok && !ferror(out);
}

/* ---- the command ---- */

static void print_summary(const cli *c, const char *path, uint32_t rows) {
    char number[16];
    snprintf(number, sizeof number, "%u", (unsigned)rows);
    cli_say(c, T_EXPORTED, number, path, NULL);
    if (c->json)
        json_print(c->out, json_pack("{s:i, s:o}", "rows", (int)rows, "file", json_of_text(path)));
}

static lp_err export_file(const cli *c, const args *a, const char *path, const lp_rows *rows, lp_error *error) {
    file_writer writer;
    export_columns columns = {0};
    lp_err code = choose_columns(c, a, rows, &columns, error);
    if (code == LP_OK)
        code = file_begin(c, path, &writer, error);
    if (code == LP_OK) {
        write_csv(writer.out, rows, &columns, args_flag(a, "excel"));
        code = file_commit(c, &writer, error);
    }
    if (code == LP_OK)
        print_summary(c, path, lp_rows_count(rows));
    columns_fini(&columns);
    return code;
}

static lp_err export_stdout(const cli *c, const args *a, const lp_rows *rows, lp_error *error) {
    if (c->json) {
        for (uint32_t i = 0; i < lp_rows_count(rows); i++)
            json_print(c->out, json_of_record(lp_rows_at(rows, i)));
        return LP_OK;
    }
    export_columns columns = {0};
    lp_err code = choose_columns(c, a, rows, &columns, error);
    if (code == LP_OK && !write_csv(c->out, rows, &columns, args_flag(a, "excel")))
        code = cli_fail(c, error, LP_IO, T_CANNOT_WRITE, "stdout", "", NULL);
    columns_fini(&columns);
    return code;
}

lp_err cmd_export(cli *c, const args *a, lp_error *error) {
    const char *path = args_value(a, "out");
    const char *sort = args_value(a, "sort");
    lp_rows *rows = NULL;
    lp_err code = cli_open(c, error);
    if (code)
        return code;
    char *filter = args_joined(a, 0);
    if (!filter)
        return cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
    lp_query query = {.filter = filter[0] ? filter : NULL, .sort = sort ? sort : "id"};
    code = lp_list(c->replica, &query, &rows, error);
    if (code == LP_OK)
        code = path ? export_file(c, a, path, rows, error) : export_stdout(c, a, rows, error);
    lp_rows_free(rows);
    free(filter);
    return code;
}
