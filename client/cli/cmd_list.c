/* cmd_list.c - list and search: many records, a table for people, a JSON object per line for programs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/display.h"
#include "client/cli/json.h"
#include "client/cli/tty.h"

#define CELL_COLUMNS_MAX 40
#define SEARCH_LIMIT 50

/* What a table shows of each kind; leads begin with their composed name. */
static const char *const lead_columns[] = {"company", "phone", "email", "source", "rating", "status", NULL};
static const char *const touch_columns[] = {"lead", "type", "text", "at", "by", NULL};
static const char *const staff_columns[] = {"name", "role", NULL};
static const char *const device_columns[] = {"number", "label", "staff", NULL};
static const char *const conflict_columns[] = {"record", "key", "lost_value", "won_value", "resolved", NULL};

static const char *const *columns_of(const char *kind) {
    static const struct {
        const char *kind;
        const char *const *columns;
    } table[] = {
        {"touch", touch_columns}, {"staff", staff_columns}, {"device", device_columns}, {"conflict", conflict_columns}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].kind, kind) == 0)
            return table[i].columns;
    return lead_columns;
}

static const char *heading(language lang, const char *kind, const char *name) {
    lp_field_info info;
    for (uint32_t i = 0; lp_schema_field(kind, i, &info) == LP_OK; i++)
        if (strcmp(info.name, name) == 0)
            return lang == LANGUAGE_ZH ? info.label_zh : info.label_en;
    return name;
}

static bool add_text(tty_table *table, const char *text) {
    return tty_table_add(table, text, strlen(text));
}

static bool add_heading(tty_table *table, language lang, const char *kind, const char *const *columns) {
    bool ok = add_text(table, "id");
    table->columns = 1;
    if (columns == lead_columns) {
        ok = ok && add_text(table, heading(lang, "lead", "full_name"));
        table->columns++;
    }
    for (; *columns; columns++, table->columns++)
        ok = ok && add_text(table, heading(lang, kind, *columns));
    return ok;
}

static bool add_record(tty_table *table, language lang, const char *kind, const char *const *columns,
                       const lp_record *record) {
    char text[DISPLAY_TEXT_BYTES];
    lp_id_format(lp_record_id(record), text);
    bool ok = add_text(table, text);
    if (columns == lead_columns) {
        display_name(record, text, sizeof text);
        ok = ok && add_text(table, text);
    }
    for (; *columns && ok; columns++) {
        lp_value value = lp_record_value(record, *columns);
        if (value.type == LP_NULL && strcmp(*columns, "phone") == 0)
            value = lp_record_value(record, "mobile");
        text[0] = '\0';
        if (value.type != LP_NULL)
            display_value(&value, display_is_time(kind, *columns), lang, text, sizeof text);
        ok = add_text(table, text);
    }
    return ok;
}

static lp_err print_table(const cli *c, const char *kind, const lp_rows *rows, lp_error *error) {
    const char *const *columns = columns_of(kind);
    tty_table table = {0};
    bool ok = add_heading(&table, c->lang, kind, columns);
    for (uint32_t i = 0; i < lp_rows_count(rows) && ok; i++)
        ok = add_record(&table, c->lang, kind, columns, lp_rows_at(rows, i));
    if (ok && lp_rows_count(rows))
        tty_table_write(c->out, &table, c->colour, CELL_COLUMNS_MAX);
    tty_table_fini(&table);
    return ok ? LP_OK : cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
}

static lp_err print_rows(const cli *c, const char *kind, const lp_rows *rows, lp_error *error) {
    if (!c->json)
        return print_table(c, kind, rows, error);
    for (uint32_t i = 0; i < lp_rows_count(rows); i++)
        json_print(c->out, json_of_record(lp_rows_at(rows, i)));
    return LP_OK;
}

static lp_err print_count(cli *c, const lp_query *query, lp_error *error) {
    uint64_t count = 0;
    lp_err code = lp_count(c->replica, query, &count, error);
    if (code)
        return code;
    if (c->json)
        json_print(c->out, json_pack("{s:I}", "count", (json_int_t)count));
    else
        fprintf(c->out, "%" PRIu64 "\n", count);
    return LP_OK;
}

static lp_err read_query(const cli *c, const args *a, lp_query *query, lp_error *error) {
    query->kind = args_value(a, "kind") ? args_value(a, "kind") : "lead";
    query->sort = args_value(a, "sort");
    query->deleted = args_flag(a, "deleted");
    lp_err code = args_number(a, c->lang, "limit", 0, &query->limit, error);
    return code ? code : args_number(a, c->lang, "offset", 0, &query->offset, error);
}

lp_err cmd_list(cli *c, const args *a, lp_error *error) {
    lp_query query = {0};
    lp_rows *rows = NULL;
    lp_err code = read_query(c, a, &query, error);
    if (code == LP_OK)
        code = cli_open(c, error);
    if (code)
        return code;
    char *filter = args_joined(a, 0);
    if (!filter)
        return cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
    query.filter = filter[0] ? filter : NULL;
    code = args_flag(a, "count") ? print_count(c, &query, error) : lp_list(c->replica, &query, &rows, error);
    if (code == LP_OK && rows)
        code = print_rows(c, query.kind, rows, error);
    lp_rows_free(rows);
    free(filter);
    return code;
}

lp_err cmd_search(cli *c, const args *a, lp_error *error) {
    uint32_t limit = 0;
    lp_rows *rows = NULL;
    lp_err code = args_number(a, c->lang, "limit", SEARCH_LIMIT, &limit, error);
    if (code == LP_OK)
        code = cli_open(c, error);
    if (code)
        return code;
    char *text = args_joined(a, 0);
    if (!text)
        return cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
    code = lp_search(c->replica, text, limit, &rows, error);
    if (code == LP_OK)
        code = print_rows(c, "lead", rows, error);
    lp_rows_free(rows);
    free(text);
    return code;
}
