/* import.c - import: a CSV file becomes leads. Reading, mapping and identity are modules of their own (sheet, import_map, import_key,
 * import_rows); this is the command around them. */
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/columns.h"
#include "client/cli/encoding.h"
#include "client/cli/file.h"
#include "client/cli/import_key.h"
#include "client/cli/import_report.h"

/* ---- reading the file ---- */

static lp_err fail_line(const cli *c, lp_error *error, text_id id, const char *path, uint32_t line) {
    char number[16];
    snprintf(number, sizeof number, "%u", (unsigned)line);
    return cli_fail(c, error, LP_INVALID, id, path, number, NULL);
}

static lp_err fail_sheet(const cli *c, lp_error *error, const char *path, const sheet_fault *fault) {
    static const text_id csv_texts[] = {[CSV_STRAY_QUOTE] = T_CSV_STRAY_QUOTE,
                                        [CSV_OPEN_QUOTE] = T_CSV_OPEN_QUOTE,
                                        [CSV_CELL_TOO_LARGE] = T_CSV_CELL_TOO_LARGE,
                                        [CSV_TOO_MANY_COLUMNS] = T_CSV_TOO_MANY_COLUMNS,
                                        [CSV_NO_MEMORY] = T_NO_MEMORY};
    static const text_id texts[] = {[SHEET_NUL] = T_SHEET_NUL,
                                    [SHEET_EMPTY] = T_SHEET_EMPTY,
                                    [SHEET_RAGGED] = T_SHEET_RAGGED,
                                    [SHEET_HEADER] = T_SHEET_HEADER};
    if (fault->kind == SHEET_MEMORY)
        return cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
    text_id id = fault->kind == SHEET_CSV ? csv_texts[fault->problem] : texts[fault->kind];
    return fail_line(c, error, id, path, fault->line);
}

static uint32_t line_at(const char *data, size_t offset) {
    uint32_t line = 1;
    for (size_t i = 0; i < offset; i++)
        line += data[i] == '\n';
    return line;
}

static lp_err decode(cli *c, const args *a, const char *data, size_t size, encoding_text *text_out, lp_error *error) {
    const char *path = a->rest[0];
    const char *encoding = args_value(a, "encoding");
    size_t bad = 0;
    lp_err code = encoding_to_utf8(data, size, encoding, text_out, &bad);
    if (code == LP_UNSUPPORTED)
        return cli_fail(c, error, LP_INVALID, T_UNKNOWN_ENCODING, encoding, NULL);
    if (code == LP_INVALID)
        return fail_line(c, error, T_NOT_TEXT, path, line_at(data, bad));
    return code ? cli_fail(c, error, code, T_NO_MEMORY, NULL) : LP_OK;
}

static lp_err read_delimiter(const cli *c, const args *a, char *delimiter_out, lp_error *error) {
    const char *text = args_value(a, "delimiter");
    *delimiter_out = 0;
    if (!text)
        return LP_OK;
    if (strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0)
        *delimiter_out = '\t';
    else if (strlen(text) == 1 && strchr(",;\t|:", text[0]))
        *delimiter_out = text[0];
    return *delimiter_out ? LP_OK : cli_fail(c, error, LP_INVALID, T_UNKNOWN_DELIMITER, text, NULL);
}

static lp_err read_sheet(cli *c, const args *a, sheet *sheet_out, lp_error *error) {
    char *data = NULL;
    size_t size = 0;
    char delimiter = 0;
    encoding_text text = {0};
    sheet_fault fault;
    lp_err code = read_delimiter(c, a, &delimiter, error);
    if (code == LP_OK)
        code = file_read(c, a->rest[0], &data, &size, error);
    if (code == LP_OK)
        code = decode(c, a, data, size, &text, error);
    if (code == LP_OK && !sheet_read(text.data, text.size, delimiter, sheet_out, &fault))
        code = fail_sheet(c, error, a->rest[0], &fault);
    free(text.data);
    free(data);
    return code;
}

/* ---- which rows are which records ---- */

static uint32_t find_column(const sheet *s, const char *name) {
    char wanted[COLUMN_KEY_BYTES];
    char key[COLUMN_KEY_BYTES];
    column_key(name, wanted);
    for (uint32_t i = 0; i < s->column_count; i++) {
        column_key(s->names[i], key);
        if (strcmp(s->names[i], name) == 0 || (wanted[0] && strcmp(key, wanted) == 0))
            return i;
    }
    return IMPORT_NO_COLUMN;
}

static lp_err choose_key(const cli *c, const args *a, const sheet *s, const import_map *map, uint32_t *column_out,
                         lp_error *error) {
    const char *name = args_value(a, "key");
    if (!name) {
        *column_out = import_key_column(s, map);
        return LP_OK;
    }
    char line[16];
    char other[16];
    import_key_fault fault;
    *column_out = find_column(s, name);
    if (*column_out == IMPORT_NO_COLUMN)
        return cli_fail(c, error, LP_INVALID, T_NO_SUCH_COLUMN, name, NULL);
    if (import_key_is_unique(s, *column_out, &fault))
        return LP_OK;
    snprintf(line, sizeof line, "%u", (unsigned)fault.line);
    snprintf(other, sizeof other, "%u", (unsigned)fault.other);
    return cli_fail(c, error, LP_INVALID, fault.empty ? T_KEY_EMPTY : T_KEY_TWICE, name, line, other, NULL);
}

/* A file with one column that nobody knows is prose, a web page, a log: anything but leads. */
static lp_err check_known(const cli *c, const char *path, const sheet *s, const import_map *map, lp_error *error) {
    if (map->known || s->column_count > 1)
        return LP_OK;
    return cli_fail(c, error, LP_INVALID, T_NO_KNOWN_COLUMN, path, NULL);
}

/* ---- the command ---- */

static lp_err run_job(import_job *job, const args *a, lp_error *error) {
    cli *c = job->cli;
    uint32_t counts[OUTCOME_COUNT] = {0};
    lp_err code = import_rows(job, error);
    if (code)
        return code;
    for (uint32_t row = 0; row < job->sheet->row_count; row++)
        counts[job->results[row].outcome]++;
    import_report_errors(job);
    code = import_report_write(job, args_value(a, "errors"), args_value(a, "report"), error);
    if (code)
        return code;
    import_report_summary(job, counts);
    if (counts[OUTCOME_ERROR] == 0)
        return LP_OK;
    c->quiet = true; /* each row has said its own reason */
    error->code = LP_REFUSED;
    return LP_REFUSED;
}

static lp_err import_sheet(cli *c, const args *a, const sheet *s, const import_map *map, lp_error *error) {
    uint32_t key = IMPORT_NO_COLUMN;
    lp_status status;
    lp_err code = choose_key(c, a, s, map, &key, error);
    if (code == LP_OK)
        code = lp_status_get(c->replica, &status, error);
    if (code)
        return code;
    lp_id *ids = calloc(s->row_count + 1u, sizeof *ids);
    row_result *results = calloc(s->row_count + 1u, sizeof *results);
    bool made = ids && results && import_key_ids(s, map, key, &status.pool, ids) == LP_OK;
    code = made ? LP_OK : cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
    import_job job = {.cli = c,
                      .sheet = s,
                      .map = map,
                      .ids = ids,
                      .source = args_value(a, "source"),
                      .update = args_flag(a, "update"),
                      .dry_run = args_flag(a, "dry-run"),
                      .results = results};
    if (code == LP_OK)
        code = run_job(&job, a, error);
    for (uint32_t row = 0; results && row < s->row_count; row++)
        free(results[row].reason);
    free(results);
    free(ids);
    return code;
}

lp_err cmd_import(cli *c, const args *a, lp_error *error) {
    sheet s = {0};
    import_map map = {0};
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = read_sheet(c, a, &s, error);
    if (code == LP_OK && import_map_make(&s, &map) != LP_OK)
        code = cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
    if (code == LP_OK)
        code = check_known(c, a->rest[0], &s, &map, error);
    if (code == LP_OK)
        code = import_sheet(c, a, &s, &map, error);
    import_map_fini(&map);
    sheet_fini(&s);
    return code;
}
