/* cmd_add.c - add: log a lead from flags, or from a few questions on a terminal. */
#include <stdlib.h>
#include <string.h>

#include "client/cli/assign.h"
#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/timetext.h"

/* A lead must say who it is about by at least one of these. */
static const char *const identifying[] = {"full_name", "family_name", "given_name", "company",
                                          "phone",     "mobile",      "email",      "badge_code"};

static bool identifies(const assignments *list) {
    for (size_t i = 0; i < sizeof identifying / sizeof *identifying; i++)
        if (assign_has(list, identifying[i]))
            return true;
    return false;
}

/* ---- questions ---- */

static lp_err ask(cli *c, text_id question, const char *field, assignments *list) {
    text_write(c->err, c->lang, question, NULL);
    fputs(": ", c->err);
    fflush(c->err);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size = getline(&line, &capacity, c->in);
    while (size > 0 && strchr(" \t\r\n", line[size - 1]))
        line[--size] = '\0';
    lp_err code = size > 0 ? assign_add(list, field, strlen(field), line) : LP_OK;
    free(line);
    return code;
}

static lp_err ask_all(cli *c, assignments *list, lp_error *error) {
    static const struct {
        text_id question;
        const char *field;
    } questions[] = {{T_ASK_NAME, "full_name"},
                     {T_ASK_COMPANY, "company"},
                     {T_ASK_PHONE, "phone"},
                     {T_ASK_EMAIL, "email"},
                     {T_ASK_NOTES, "notes"}};
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if (ask(c, questions[i].question, questions[i].field, list))
            return cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
    return LP_OK;
}

/* ---- saving ---- */

/* Who captured it and when, unless the person said so. */
static lp_err add_capture(cli *c, assignments *list, lp_error *error) {
    lp_status status;
    lp_err code = lp_status_get(c->replica, &status, error);
    if (code == LP_OK && !assign_has(list, "captured_by") && status.staff_name[0])
        code = assign_add(list, "captured_by", strlen("captured_by"), status.staff_name);
    if (code == LP_OK && !assign_has(list, "captured_at")) {
        char now[TIME_TEXT_BYTES];
        time_format_iso(cli_now_ms(), now);
        code = assign_add(list, "captured_at", strlen("captured_at"), now);
    }
    return code;
}

static lp_err save(cli *c, const args *a, assignments *list, lp_id *id_out, lp_error *error) {
    lp_id wanted;
    const char *id_text = args_value(a, "id");
    if (id_text && !lp_id_parse(id_text, &wanted))
        return cli_fail(c, error, LP_INVALID, T_NOT_A_UUID, id_text, NULL);
    lp_txn *txn = NULL;
    lp_err code = add_capture(c, list, error);
    if (code == LP_OK)
        code = lp_begin(c->replica, &txn, error);
    if (code)
        return code;
    code = lp_create(txn, "lead", id_text ? &wanted : NULL, id_out, error);
    if (code == LP_OK)
        code = assign_apply(list, txn, id_out, error);
    /* Only now: of a misspelled field the spelling is what to correct. */
    if (code == LP_OK && !identifies(list))
        code = cli_fail(c, error, LP_INVALID, T_LEAD_WITHOUT_NAME, NULL);
    if (code) {
        lp_rollback(txn);
        return code;
    }
    return lp_commit(txn, error);
}

static void print_id(const cli *c, const lp_id *id) {
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(id, text);
    if (c->json)
        json_print(c->out, json_pack("{s:s}", "id", text));
    else
        fprintf(c->out, "%s\n", text);
}

lp_err cmd_add(cli *c, const args *a, lp_error *error) {
    assignments list = {0};
    lp_id id;
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = assign_collect(c, a, 0, &list, error);
    if (code == LP_OK && list.count == 0 && c->interactive)
        code = ask_all(c, &list, error);
    if (code == LP_OK)
        code = save(c, a, &list, &id, error);
    if (code == LP_OK)
        print_id(c, &id);
    assign_fini(&list);
    return code;
}
