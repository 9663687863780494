/* import_rows.c - see import_rows.h. */
#include "client/cli/import_rows.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/fieldtext.h"
#include "client/cli/tty.h"

#define BATCH_ROWS 500

/* ---- outcomes ---- */

static void set_result(import_job *job, uint32_t row, outcome what, const char *reason) {
    row_result *result = &job->results[row];
    free(result->reason);
    result->outcome = what;
    result->reason = reason ? malloc(strlen(reason) + 1) : NULL;
    if (result->reason)
        memcpy(result->reason, reason, strlen(reason) + 1);
}

/* Errors that are about one row's data: the others can still be stored. */
static bool is_about_data(lp_err code) {
    return code == LP_INVALID || code == LP_TOO_LARGE || code == LP_NOT_FOUND || code == LP_REFUSED ||
           code == LP_DENIED;
}

static lp_err fail_cell(const import_job *job, uint32_t column, lp_err code, uint32_t limit_bytes, lp_error *error) {
    char limit[16];
    snprintf(limit, sizeof limit, "%u", (unsigned)limit_bytes);
    if (code == LP_TOO_LARGE)
        return cli_fail(job->cli, error, code, T_CELL_TOO_LARGE, job->sheet->names[column], limit, NULL);
    return cli_fail(job->cli, error, code, T_NO_MEMORY, NULL);
}

/* ---- one row ---- */

/* A row with more cells than the header has columns: its cells cannot be told apart. */
static bool is_too_wide(const sheet *s, uint32_t row) {
    const sheet_row *r = &s->rows[row];
    for (uint32_t i = s->width; i < r->cell_count; i++)
        if (s->cells[r->first + i].size)
            return true;
    return false;
}

static lp_err read_row(const import_job *job, uint32_t row, import_values *values, lp_error *error) {
    char cells[16];
    char columns[16];
    snprintf(cells, sizeof cells, "%u", (unsigned)job->sheet->rows[row].cell_count);
    snprintf(columns, sizeof columns, "%u", (unsigned)job->sheet->width);
    if (is_too_wide(job->sheet, row))
        return cli_fail(job->cli, error, LP_INVALID, T_ROW_TOO_WIDE, cells, columns, NULL);
    for (uint32_t i = 0; i < job->map->count; i++) {
        uint32_t limit_bytes = 0;
        lp_err code = import_map_cell(job->map, i, sheet_cell(job->sheet, row, i), values, &limit_bytes);
        if (code)
            return fail_cell(job, i, code, limit_bytes, error);
    }
    return LP_OK;
}

/* True if `path` of a record was written before, even if it is empty now: somebody cleared it, and that was an edit. */
static bool was_ever_set(const import_job *job, const lp_id *id, const char *path) {
    lp_log *log = NULL;
    lp_change change;
    bool found = false;
    if (lp_history(job->cli->replica, id, &log, NULL) != LP_OK)
        return false;
    for (uint32_t i = 0; !found && lp_log_at(log, i, &change) == LP_OK; i++)
        found = strcmp(change.field, path) == 0;
    lp_log_free(log);
    return found;
}

static bool is_wanted(const import_job *job, const lp_record *record, const lp_id *id, const import_value *v) {
    lp_value here = lp_record_value(record, v->path);
    if (field_equal(&here, &v->value))
        return false;
    if (job->update)
        return true;
    return here.type == LP_NULL && !was_ever_set(job, id, v->path);
}

static lp_err fill_record(const import_job *job, lp_txn *txn, const lp_record *record, const lp_id *id,
                          const import_values *values, uint32_t *written_out, lp_error *error) {
    lp_err code = LP_OK;
    *written_out = 0;
    for (uint32_t i = 0; i < values->count && code == LP_OK; i++) {
        if (!is_wanted(job, record, id, &values->items[i]))
            continue;
        ++*written_out;
        if (txn)
            code = lp_set(txn, id, values->items[i].path, &values->items[i].value, error);
    }
    return code;
}

static lp_err create_record(const import_job *job, lp_txn *txn, const lp_id *id, const import_values *values,
                            lp_error *error) {
    if (!txn)
        return LP_OK;
    lp_err code = lp_create(txn, "lead", id, NULL, error);
    for (uint32_t i = 0; i < values->count && code == LP_OK; i++)
        code = lp_set(txn, id, values->items[i].path, &values->items[i].value, error);
    if (code == LP_OK && job->source && !import_values_find(values, "source"))
        code = lp_set_text(txn, id, "source", job->source, error);
    return code;
}

/* Puts a row into the transaction (NULL: only find out what would happen) and notes its outcome. */
static lp_err store_row(import_job *job, uint32_t row, lp_txn *txn, import_values *values, lp_error *error) {
    const lp_id *id = &job->ids[row];
    lp_record *record = NULL;
    import_values_clear(values);
    lp_err code = read_row(job, row, values, error);
    if (code)
        return code;
    code = lp_get(job->cli->replica, id, &record, error);
    if (code == LP_NOT_FOUND) {
        set_result(job, row, OUTCOME_CREATED, NULL);
        return create_record(job, txn, id, values, error);
    }
    if (code)
        return code;
    uint32_t written = 0;
    if (lp_record_deleted(record)) {
        set_result(job, row, OUTCOME_SKIPPED, text_get(job->cli->lang, T_ROW_DELETED));
    } else {
        code = fill_record(job, txn, record, id, values, &written, error);
        set_result(job, row, written ? OUTCOME_UPDATED : OUTCOME_SKIPPED, NULL);
    }
    lp_record_free(record);
    return code;
}

/* ---- batches ---- */

static lp_err store_together(import_job *job, uint32_t from, uint32_t end, lp_error *error) {
    lp_txn *txn = NULL;
    import_values values = {0};
    lp_err code = job->dry_run ? LP_OK : lp_begin(job->cli->replica, &txn, error);
    for (uint32_t row = from; row < end && code == LP_OK; row++)
        code = store_row(job, row, txn, &values, error);
    import_values_fini(&values);
    if (code == LP_OK && txn)
        return lp_commit(txn, error);
    lp_rollback(txn);
    return code;
}

/* All rows in one transaction; if one of them spoils it, every row in one of its own, so that only that row is left out. */
static lp_err store_batch(import_job *job, uint32_t from, uint32_t end, lp_error *error) {
    lp_error mine = {0};
    lp_err code = store_together(job, from, end, &mine);
    if (code && !is_about_data(code)) {
        *error = mine;
        return code;
    }
    if (code && end - from == 1) {
        set_result(job, from, OUTCOME_ERROR, mine.message);
        return LP_OK;
    }
    for (uint32_t row = from; code && row < end; row++) {
        lp_err each = store_batch(job, row, row + 1, error);
        if (each)
            return each;
    }
    return LP_OK;
}

lp_err import_rows(import_job *job, lp_error *error) {
    cli *c = job->cli;
    lp_err code = LP_OK;
    for (uint32_t from = 0; from < job->sheet->row_count && code == LP_OK; from += BATCH_ROWS) {
        uint32_t left = job->sheet->row_count - from;
        if (c->err_terminal)
            tty_progress(c->err, text_get(c->lang, T_IMPORTING), from, job->sheet->row_count);
        code = store_batch(job, from, from + (left < BATCH_ROWS ? left : BATCH_ROWS), error);
    }
    if (c->err_terminal)
        tty_progress_end(c->err);
    return code;
}
