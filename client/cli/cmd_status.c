/* cmd_status.c - status and refused: what has not reached the pool, and why. */
#include <inttypes.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/display.h"
#include "client/cli/json.h"
#include "client/cli/timetext.h"

static json_t *status_json(const lp_status *s) {
    json_t *object =
        json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I}", "state", s->state_name, "reason", json_of_text(s->reason),
                  "unsent", (json_int_t)s->unsent, "oldest_unsent_ms", (json_int_t)s->oldest_unsent_ms, "refused",
                  (json_int_t)s->refused, "leads", (json_int_t)s->leads, "conflicts", (json_int_t)s->conflicts);
    json_object_set_new(object, "oldest_unsent_age_ms", json_integer(s->oldest_unsent_age_ms));
    json_object_set_new(object, "unsent_bytes", json_integer((json_int_t)s->unsent_bytes));
    json_object_set_new(object, "quarantined", json_integer((json_int_t)s->quarantined));
    json_object_set_new(object, "recovered", json_integer((json_int_t)s->recovered));
    json_object_set_new(object, "healed", json_integer((json_int_t)s->healed));
    json_object_set_new(object, "last_sync_ms", json_integer(s->last_sync_ms));
    json_object_set_new(object, "next_attempt_ms", json_integer(s->next_attempt_ms));
    json_object_set_new(object, "disk_free_bytes", json_integer((json_int_t)s->disk_free_bytes));
    json_object_set_new(object, "digest", json_of_text(s->digest));
    json_object_set_new(object, "device", json_integer(s->device));
    json_object_set_new(object, "pool", json_of_id(&s->pool));
    json_object_set_new(object, "pool_name", json_of_text(s->pool_name));
    json_object_set_new(object, "staff", json_of_text(s->staff_name));
    json_object_set_new(object, "role", json_of_text(s->role));
    json_object_set_new(object, "server", json_of_text(s->server));
    return object;
}

static void say_number(const cli *c, text_id id, uint64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    cli_say(c, id, text, NULL);
}

static void say_time(const cli *c, text_id id, int64_t ms) {
    char text[TIME_TEXT_BYTES];
    if (ms == 0)
        return;
    time_format_local(ms, text);
    cli_say(c, id, text, NULL);
}

/* "2026-11-25 14:00, 3 h ago, 1204 bytes". */
static void say_oldest(const cli *c, const lp_status *s) {
    char when[TIME_TEXT_BYTES], age[24], bytes[24];
    int64_t minutes = s->oldest_unsent_age_ms / 60000;
    time_format_local(s->oldest_unsent_ms, when);
    if (minutes < 120)
        snprintf(age, sizeof age, "%" PRId64 " min", minutes);
    else if (minutes < 48 * 60)
        snprintf(age, sizeof age, "%" PRId64 " h", minutes / 60);
    else
        snprintf(age, sizeof age, "%" PRId64 " d", minutes / (24 * 60));
    snprintf(bytes, sizeof bytes, "%" PRIu64, s->unsent_bytes);
    cli_say(c, T_STATUS_OLDEST, when, age, bytes, NULL);
}

static void say_status(const cli *c, const lp_status *s) {
    cli_say(c, T_STATUS_POOL, s->pool_name, s->server, NULL);
    cli_say(c, T_STATUS_STAFF, s->staff_name, s->role, NULL);
    cli_say(c, s->reason[0] ? T_STATUS_STATE_REASON : T_STATUS_STATE, s->state_name, s->reason, NULL);
    say_number(c, T_STATUS_LEADS, s->leads);
    say_number(c, T_STATUS_UNSENT, s->unsent);
    if (s->unsent)
        say_oldest(c, s);
    say_number(c, T_STATUS_REFUSED, s->refused);
    if (s->quarantined)
        say_number(c, T_STATUS_QUARANTINED, s->quarantined);
    if (s->recovered)
        say_number(c, T_STATUS_RECOVERED, s->recovered);
    if (s->healed)
        say_number(c, T_STATUS_HEALED, s->healed);
    say_number(c, T_STATUS_CONFLICTS, s->conflicts);
    say_time(c, T_STATUS_LAST_SYNC, s->last_sync_ms);
    say_time(c, T_STATUS_NEXT, s->next_attempt_ms);
    say_number(c, T_STATUS_SPACE, s->disk_free_bytes / (1024 * 1024));
    cli_say(c, T_STATUS_DIGEST, s->digest, NULL);
}

lp_err cmd_status(cli *c, const args *a, lp_error *error) {
    (void)a;
    lp_status status;
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = lp_status_get(c->replica, &status, error);
    if (code)
        return code;
    if (c->json)
        json_print(c->out, status_json(&status));
    else
        say_status(c, &status);
    return LP_OK;
}

/* ---- refused ---- */

static void print_refusal(const cli *c, const char *id, const char *kind, const lp_change *change) {
    const char *reason = change->reason ? change->reason : lp_err_text(LP_REFUSED);
    if (c->json) {
        json_print(c->out, json_pack("{s:s, s:s, s:o, s:o, s:I, s:o}", "id", id, "kind", kind, "field",
                                     json_of_text(change->field), "value", json_of_value(&change->value), "at",
                                     (json_int_t)change->at_ms, "reason", json_of_text(reason)));
        return;
    }
    char text[DISPLAY_TEXT_BYTES];
    display_value(&change->value, display_is_time(kind, change->field), c->lang, text, sizeof text);
    cli_say(c, T_REFUSED_LINE, id, change->field, text, reason, NULL);
}

static lp_err print_refused_record(cli *c, const lp_record *record, lp_error *error) {
    char id[LP_ID_TEXT_BYTES];
    lp_log *log = NULL;
    lp_change change;
    lp_id_format(lp_record_id(record), id);
    lp_err code = lp_history(c->replica, lp_record_id(record), &log, error);
    for (uint32_t i = 0; code == LP_OK && lp_log_at(log, i, &change) == LP_OK; i++)
        if (change.state == LP_CHANGE_REFUSED)
            print_refusal(c, id, lp_record_kind(record), &change);
    lp_log_free(log);
    return code;
}

/* --resend ID, --drop ID. */
static lp_err decide(cli *c, const char *text, bool resend, lp_error *error) {
    lp_id id;
    char whole[LP_ID_TEXT_BYTES];
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = cli_resolve(c, NULL, text, &id, error);
    if (code == LP_OK)
        code = resend ? lp_refused_resend(c->replica, &id, error) : lp_refused_drop(c->replica, &id, error);
    if (code)
        return code;
    lp_id_format(&id, whole);
    cli_say(c, T_SAVED, whole, NULL);
    if (c->json)
        json_print(c->out, json_pack("{s:o}", "id", json_of_id(&id)));
    return LP_OK;
}

lp_err cmd_refused(cli *c, const args *a, lp_error *error) {
    const char *resend = args_value(a, "resend"), *drop = args_value(a, "drop");
    if (resend || drop)
        return decide(c, resend ? resend : drop, resend != NULL, error);
    lp_rows *rows = NULL;
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = lp_refused(c->replica, &rows, error);
    for (uint32_t i = 0; code == LP_OK && i < lp_rows_count(rows); i++)
        code = print_refused_record(c, lp_rows_at(rows, i), error);
    lp_rows_free(rows);
    return code;
}
