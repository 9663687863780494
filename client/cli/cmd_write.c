/* cmd_write.c - set, note, delete, undelete: small changes of one record. */
#include <stdlib.h>
#include <string.h>

#include "client/cli/assign.h"
#include "client/cli/cli.h"
#include "client/cli/json.h"

static void print_saved(const cli *c, const lp_id *id) {
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(id, text);
    cli_say(c, T_SAVED, text, NULL);
    if (c->json)
        json_print(c->out, json_pack("{s:o}", "id", json_of_id(id)));
}

static lp_err set_all(cli *c, const lp_id *id, const assignments *list, lp_error *error) {
    lp_txn *txn = NULL;
    lp_err code = lp_begin(c->replica, &txn, error);
    if (code)
        return code;
    code = assign_apply(list, txn, id, error);
    if (code) {
        lp_rollback(txn);
        return code;
    }
    return lp_commit(txn, error);
}

lp_err cmd_set(cli *c, const args *a, lp_error *error) {
    lp_id id;
    assignments list = {0};
    lp_err code = assign_collect(c, a, 1, &list, error);
    if (code == LP_OK && list.count == 0)
        code = cli_fail(c, error, LP_INVALID, T_NOTHING_TO_SET, NULL);
    if (code == LP_OK)
        code = cli_open(c, error);
    if (code == LP_OK)
        code = cli_resolve(c, NULL, a->rest[0], &id, error);
    if (code == LP_OK)
        code = set_all(c, &id, &list, error);
    if (code == LP_OK)
        print_saved(c, &id);
    assign_fini(&list);
    return code;
}

typedef lp_err (*mark_fn)(lp_txn *txn, const lp_id *id, lp_error *error);

static lp_err mark(cli *c, const args *a, mark_fn fn, lp_error *error) {
    lp_id id;
    lp_txn *txn = NULL;
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = cli_resolve(c, NULL, a->rest[0], &id, error);
    if (code == LP_OK)
        code = lp_begin(c->replica, &txn, error);
    if (code)
        return code;
    code = fn(txn, &id, error);
    if (code) {
        lp_rollback(txn);
        return code;
    }
    code = lp_commit(txn, error);
    if (code == LP_OK)
        print_saved(c, &id);
    return code;
}

lp_err cmd_delete(cli *c, const args *a, lp_error *error) {
    return mark(c, a, lp_delete, error);
}

lp_err cmd_undelete(cli *c, const args *a, lp_error *error) {
    return mark(c, a, lp_undelete, error);
}

/* ---- note ---- */

static lp_value text_value(const char *text) {
    return (lp_value){.type = LP_TEXT, .data = text, .size = (uint32_t)strlen(text)};
}

/* A touch is a record of its own, so that notes written at once on two devices both stay. */
static lp_err fill_touch(lp_txn *txn, const lp_id *lead, const char *by, const char *text, lp_id *id_out,
                         lp_error *error) {
    char lead_text[LP_ID_TEXT_BYTES];
    lp_id_format(lead, lead_text);
    lp_value type = text_value("note");
    lp_value words = text_value(text);
    lp_value author = text_value(by);
    lp_value at = {.type = LP_INT, .integer = cli_now_ms()};
    lp_err code = lp_create(txn, "touch", NULL, id_out, error);
    if (code == LP_OK)
        code = lp_set_text(txn, id_out, "lead", lead_text, error);
    if (code == LP_OK)
        code = lp_set(txn, id_out, "type", &type, error);
    if (code == LP_OK)
        code = lp_set(txn, id_out, "text", &words, error);
    if (code == LP_OK)
        code = lp_set(txn, id_out, "at", &at, error);
    if (code == LP_OK && by[0])
        code = lp_set(txn, id_out, "by", &author, error);
    return code;
}

static lp_err add_note(cli *c, const lp_id *lead, const char *text, lp_id *id_out, lp_error *error) {
    lp_status status;
    lp_record *record = NULL;
    lp_txn *txn = NULL;
    lp_err code = lp_get(c->replica, lead, &record, error); /* a note must not hang in the air */
    lp_record_free(record);
    if (code == LP_OK)
        code = lp_status_get(c->replica, &status, error);
    if (code == LP_OK)
        code = lp_begin(c->replica, &txn, error);
    if (code)
        return code;
    code = fill_touch(txn, lead, status.staff_name, text, id_out, error);
    if (code) {
        lp_rollback(txn);
        return code;
    }
    return lp_commit(txn, error);
}

lp_err cmd_note(cli *c, const args *a, lp_error *error) {
    lp_id lead;
    lp_id id;
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = cli_resolve(c, NULL, a->rest[0], &lead, error);
    if (code)
        return code;
    char *text = args_joined(a, 1);
    if (!text)
        return cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
    code = text[0] ? add_note(c, &lead, text, &id, error) : cli_fail(c, error, LP_INVALID, T_EMPTY_NOTE, NULL);
    if (code == LP_OK)
        print_saved(c, &id);
    free(text);
    return code;
}
