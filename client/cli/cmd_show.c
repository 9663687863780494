/* cmd_show.c - show and log: one record, as it stands and as it came to be. */
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/display.h"
#include "client/cli/json.h"
#include "client/cli/timetext.h"
#include "client/cli/tty.h"

#define LABEL_COLUMNS 18
#define AUTHOR_BYTES 160
#define VALUE_BYTES 33000 /* the longest field, whole */

/* ---- show ---- */

static void print_field(cli *c, const char *kind, const lp_field *field, bool verbose, char *text) {
    const char *label = display_label(c->lang, field);
    const char *dot = strchr(field->name, '.');
    tty_begin(c->out, c->colour, TTY_BOLD);
    if (dot)
        fprintf(c->out, "%.*s.", (int)(dot - field->name), field->name);
    tty_cell(c->out, label, strlen(label), dot ? 0 : LABEL_COLUMNS, true);
    tty_end(c->out, c->colour);
    display_value(&field->value, display_is_time(kind, field->name), c->lang, text, VALUE_BYTES);
    fputs(dot ? ": " : "  ", c->out);
    tty_cell(c->out, text, strlen(text), 0, false);
    if (verbose) {
        char author[AUTHOR_BYTES];
        char when[TIME_TEXT_BYTES];
        lp_author_name(c->replica, field->author, author, sizeof author);
        time_format_local_seconds(field->changed_ms, when);
        tty_begin(c->out, c->colour, TTY_DIM);
        fprintf(c->out, "  [%s, %s]", author, when);
        tty_end(c->out, c->colour);
    }
    fputc('\n', c->out);
}

static lp_err print_record(cli *c, const lp_record *record, bool verbose, lp_error *error) {
    char *text = malloc(VALUE_BYTES);
    if (!text)
        return cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
    char id[LP_ID_TEXT_BYTES];
    lp_id_format(lp_record_id(record), id);
    fprintf(c->out, "%s %s%s%s\n", lp_record_kind(record), id,
            lp_record_deleted(record) ? text_get(c->lang, T_MARK_DELETED) : "",
            lp_record_unsent(record) ? text_get(c->lang, T_MARK_UNSENT) : "");
    lp_field field;
    for (uint32_t i = 0; lp_record_field(record, i, &field) == LP_OK; i++)
        if (strcmp(field.name, "deleted") != 0)
            print_field(c, lp_record_kind(record), &field, verbose, text);
    free(text);
    return LP_OK;
}

static lp_err list_touches(cli *c, const lp_id *lead, lp_rows **rows_out, lp_error *error) {
    char id[LP_ID_TEXT_BYTES];
    char filter[LP_ID_TEXT_BYTES + 8];
    lp_id_format(lead, id);
    snprintf(filter, sizeof filter, "lead=%s", id);
    lp_query query = {.kind = "touch", .filter = filter, .sort = "id"};
    return lp_list(c->replica, &query, rows_out, error);
}

static void print_touches(const cli *c, const lp_rows *rows) {
    for (uint32_t i = 0; i < lp_rows_count(rows); i++) {
        const lp_record *touch = lp_rows_at(rows, i);
        lp_value at = lp_record_value(touch, "at");
        lp_value by = lp_record_value(touch, "by");
        lp_value words = lp_record_value(touch, "text");
        char when[TIME_TEXT_BYTES] = "";
        if (at.type == LP_INT)
            time_format_local(at.integer, when);
        fprintf(c->out, "- %s %.*s: ", when, (int)by.size, by.size ? by.data : "");
        tty_cell(c->out, words.size ? words.data : "", words.size, 0, false);
        fputc('\n', c->out);
    }
}

/* Who wrote each field and when, by the field's full name. */
static json_t *authors_of(cli *c, const lp_record *record) {
    json_t *authors = json_object();
    lp_field field;
    for (uint32_t i = 0; lp_record_field(record, i, &field) == LP_OK; i++) {
        char author[AUTHOR_BYTES];
        lp_author_name(c->replica, field.author, author, sizeof author);
        json_object_set_new(authors, field.name,
                            json_pack("{s:o, s:I}", "by", json_of_text(author), "at", (json_int_t)field.changed_ms));
    }
    return authors;
}

static void print_json(cli *c, const lp_record *record, const lp_rows *touches, bool verbose) {
    json_t *object = json_of_record(record);
    if (verbose)
        json_object_set_new(object, "written", authors_of(c, record));
    if (touches) {
        json_t *notes = json_array();
        for (uint32_t i = 0; i < lp_rows_count(touches); i++)
            json_array_append_new(notes, json_of_record(lp_rows_at(touches, i)));
        json_object_set_new(object, "touches", notes);
    }
    json_print(c->out, object);
}

lp_err cmd_show(cli *c, const args *a, lp_error *error) {
    lp_id id;
    lp_record *record = NULL;
    lp_rows *touches = NULL;
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = cli_resolve(c, NULL, a->rest[0], &id, error);
    if (code == LP_OK)
        code = lp_get(c->replica, &id, &record, error);
    if (code == LP_OK && strcmp(lp_record_kind(record), "lead") == 0)
        code = list_touches(c, &id, &touches, error);
    if (code == LP_OK && c->json)
        print_json(c, record, touches, args_flag(a, "verbose"));
    else if (code == LP_OK)
        code = print_record(c, record, args_flag(a, "verbose"), error);
    if (code == LP_OK && !c->json && touches)
        print_touches(c, touches);
    lp_rows_free(touches);
    lp_record_free(record);
    return code;
}

/* ---- log ---- */

static const char *state_name(lp_change_state state) {
    switch (state) {
    case LP_CHANGE_CURRENT:
        return "current";
    case LP_CHANGE_UNSENT:
        return "unsent";
    case LP_CHANGE_REFUSED:
        return "refused";
    default:
        return "past";
    }
}

static void print_change(cli *c, const char *kind, const lp_change *change) {
    char author[AUTHOR_BYTES];
    lp_author_name(c->replica, change->author, author, sizeof author);
    if (c->json) {
        json_print(c->out, json_pack("{s:o, s:o, s:I, s:b, s:o, s:s, s:o}", "field", json_of_text(change->field),
                                     "value", json_of_value(&change->value), "at", (json_int_t)change->at_ms,
                                     "time_uncertain", change->time_uncertain, "by", json_of_text(author), "state",
                                     state_name(change->state), "reason", json_of_text(change->reason)));
        return;
    }
    char when[TIME_TEXT_BYTES];
    char text[DISPLAY_TEXT_BYTES];
    time_format_local_seconds(change->at_ms, when);
    display_value(&change->value, display_is_time(kind, change->field), c->lang, text, sizeof text);
    fprintf(c->out, "%s%s  %s  %s = ", change->time_uncertain ? "~" : "", when, author, change->field);
    tty_cell(c->out, text, strlen(text), 0, false);
    fprintf(c->out, "  (%s%s%s)\n", state_name(change->state), change->reason ? ": " : "",
            change->reason ? change->reason : "");
}

lp_err cmd_log(cli *c, const args *a, lp_error *error) {
    lp_id id;
    lp_log *log = NULL;
    lp_record *record = NULL;
    lp_change change;
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = cli_resolve(c, NULL, a->rest[0], &id, error);
    if (code == LP_OK)
        code = lp_get(c->replica, &id, &record, error);
    if (code == LP_OK)
        code = lp_history(c->replica, &id, &log, error);
    for (uint32_t i = 0; code == LP_OK && lp_log_at(log, i, &change) == LP_OK; i++)
        print_change(c, lp_record_kind(record), &change);
    lp_log_free(log);
    lp_record_free(record);
    return code;
}
