/* cmd_recovered.c - `recovered`: what the server lost in a restore and this device still had. */
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/display.h"
#include "client/cli/json.h"

static void print_value(const cli *c, const lp_record *record, const lp_field *field) {
    char id[LP_ID_TEXT_BYTES], text[DISPLAY_TEXT_BYTES], author[160];
    lp_id_format(lp_record_id(record), id);
    lp_author_name(c->replica, field->author, author, sizeof author);
    if (c->json) {
        json_print(c->out, json_pack("{s:s, s:s, s:o, s:o, s:I, s:o}", "id", id, "kind", lp_record_kind(record),
                                     "field", json_of_text(field->name), "value", json_of_value(&field->value), "at",
                                     (json_int_t)field->changed_ms, "author", json_of_text(author)));
        return;
    }
    display_value(&field->value, display_is_time(lp_record_kind(record), field->name), c->lang, text, sizeof text);
    cli_say(c, T_RECOVERED_LINE, id, field->name, text, author, NULL);
}

/* The record that `text` is the id of, or the beginning of it: it may be gone from the replica, so that only the list knows it. */
static lp_err find(cli *c, const lp_rows *rows, const char *text, lp_id *id_out, lp_error *error) {
    char whole[LP_ID_TEXT_BYTES];
    uint32_t found = 0;
    for (uint32_t i = 0; i < lp_rows_count(rows); i++) {
        lp_id_format(lp_record_id(lp_rows_at(rows, i)), whole);
        if (strncmp(whole, text, strlen(text)) != 0)
            continue;
        *id_out = *lp_record_id(lp_rows_at(rows, i));
        found++;
    }
    return found == 1 ? LP_OK : cli_fail(c, error, LP_NOT_FOUND, T_NOT_RECOVERED, text, NULL);
}

static lp_err decide(cli *c, const lp_rows *rows, const char *text, bool sends, lp_error *error) {
    lp_id id;
    char whole[LP_ID_TEXT_BYTES];
    lp_err code = find(c, rows, text, &id, error);
    if (code == LP_OK)
        code = sends ? lp_recovered_send(c->replica, &id, error) : lp_recovered_drop(c->replica, &id, error);
    if (code)
        return code;
    lp_id_format(&id, whole);
    cli_say(c, sends ? T_RECOVERED_SENT : T_SAVED, whole, NULL);
    if (c->json)
        json_print(c->out, json_pack("{s:o}", "id", json_of_id(&id)));
    return LP_OK;
}

lp_err cmd_recovered(cli *c, const args *a, lp_error *error) {
    const char *sends = args_value(a, "send"), *drops = args_value(a, "drop");
    lp_rows *rows = NULL;
    lp_field field;
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = lp_recovered(c->replica, &rows, error);
    if (code == LP_OK && (sends || drops))
        code = decide(c, rows, sends ? sends : drops, sends != NULL, error);
    for (uint32_t i = 0; code == LP_OK && !sends && !drops && i < lp_rows_count(rows); i++)
        for (uint32_t k = 0; lp_record_field(lp_rows_at(rows, i), k, &field) == LP_OK; k++)
            print_value(c, lp_rows_at(rows, i), &field);
    lp_rows_free(rows);
    return code;
}
