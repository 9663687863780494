/* import_report.c - see import_report.h. */
#include "client/cli/import_report.h"

#include <string.h>

#include "client/cli/cell.h"
#include "client/cli/file.h"
#include "client/cli/json.h"

#define ERRORS_SHOWN 20

static const char *const outcome_names[OUTCOME_COUNT] = {"skipped", "created", "updated", "error"};

static void write_cells(FILE *out, const sheet *s, uint32_t row) {
    for (uint32_t i = 0; i < s->column_count; i++) {
        const char *text = sheet_cell(s, row, i).text;
        fputc(',', out);
        if (cell_needs_guard(text, strlen(text)) && sheet_cell(s, row, i).size)
            fputc('\'', out);
        csv_cell_write(out, text, strlen(text), 0);
    }
}

/* One line per row: line number, outcome, id and reason; for error rows also the cells, to be corrected and imported again. */
static lp_err write_report(const import_job *job, const char *path, bool errors_only, lp_error *error) {
    const sheet *s = job->sheet;
    file_writer writer;
    lp_err code = file_begin(job->cli, path, &writer, error);
    if (code)
        return code;
    fputs(errors_only ? IMPORT_LINE_COLUMN "," IMPORT_REASON_COLUMN : "line,outcome,id,reason", writer.out);
    for (uint32_t i = 0; i < s->column_count && errors_only; i++) {
        fputc(',', writer.out);
        csv_cell_write(writer.out, s->names[i], strlen(s->names[i]), 0);
    }
    fputc('\n', writer.out);
    for (uint32_t row = 0; row < s->row_count; row++) {
        const row_result *result = &job->results[row];
        const char *reason = result->reason ? result->reason : "";
        char id[LP_ID_TEXT_BYTES];
        if (errors_only && result->outcome != OUTCOME_ERROR)
            continue;
        lp_id_format(&job->ids[row], id);
        fprintf(writer.out, "%u,", (unsigned)s->rows[row].line);
        if (!errors_only)
            fprintf(writer.out, "%s,%s,", outcome_names[result->outcome], id);
        csv_cell_write(writer.out, reason, strlen(reason), 0);
        if (errors_only)
            write_cells(writer.out, s, row);
        fputc('\n', writer.out);
    }
    return file_commit(job->cli, &writer, error);
}

lp_err import_report_write(const import_job *job, const char *errors, const char *report, lp_error *error) {
    lp_err code = errors ? write_report(job, errors, true, error) : LP_OK;
    if (code == LP_OK && report)
        code = write_report(job, report, false, error);
    return code;
}

void import_report_errors(const import_job *job) {
    uint32_t shown = 0;
    for (uint32_t row = 0; row < job->sheet->row_count && shown < ERRORS_SHOWN; row++) {
        if (job->results[row].outcome != OUTCOME_ERROR)
            continue;
        char line[16];
        snprintf(line, sizeof line, "%u", (unsigned)job->sheet->rows[row].line);
        cli_note(job->cli, T_ROW_ERROR, line, job->results[row].reason ? job->results[row].reason : "", NULL);
        shown++;
    }
}

void import_report_summary(const import_job *job, const uint32_t counts[OUTCOME_COUNT]) {
    cli *c = job->cli;
    uint32_t rows = job->sheet->row_count;
    if (c->json) {
        json_print(c->out, json_pack("{s:i, s:i, s:i, s:i, s:i, s:b}", "rows", (int)rows, "created",
                                     (int)counts[OUTCOME_CREATED], "updated", (int)counts[OUTCOME_UPDATED], "skipped",
                                     (int)counts[OUTCOME_SKIPPED], "errors", (int)counts[OUTCOME_ERROR], "dry_run",
                                     (int)job->dry_run));
        return;
    }
    char numbers[5][16];
    const uint32_t values[] = {rows, counts[OUTCOME_CREATED], counts[OUTCOME_UPDATED], counts[OUTCOME_SKIPPED],
                               counts[OUTCOME_ERROR]};
    for (size_t i = 0; i < 5; i++)
        snprintf(numbers[i], sizeof numbers[i], "%u", (unsigned)values[i]);
    cli_say(c, job->dry_run ? T_IMPORT_WOULD : T_IMPORT_DONE, numbers[0], numbers[1], numbers[2], numbers[3],
            numbers[4], NULL);
    for (uint32_t i = 0; job->dry_run && i < job->map->count; i++)
        cli_say(c, T_IMPORT_COLUMN, job->sheet->names[i], job->map->columns[i].path, NULL);
}
