/* cmd_conflicts.c - conflicts and restore: what two people wrote without seeing each other's value, and how to bring the lost one back. */
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/display.h"
#include "client/cli/json.h"
#include "client/cli/timetext.h"

#define NAME_BYTES 300

/* One side of a conflict. */
typedef struct side {
    lp_value value;
    char by[NAME_BYTES];
    int64_t at_ms;
} side;

/* The name of the person with id `value`; the id itself if this replica does not know them. */
static void staff_name(cli *c, const lp_value *value, char *name_out) {
    lp_id id;
    lp_record *record = NULL;
    snprintf(name_out, NAME_BYTES, "?");
    if (value->type != LP_BYTES || value->size != sizeof id)
        return;
    memcpy(&id, value->data, sizeof id);
    lp_id_format(&id, name_out);
    if (lp_get(c->replica, &id, &record, NULL) != LP_OK)
        return;
    lp_value name = lp_record_value(record, "name");
    if (name.type == LP_TEXT)
        snprintf(name_out, NAME_BYTES, "%.*s", (int)name.size, name.data);
    lp_record_free(record);
}

/* A stamp begins with its ms, 48 bits, big-endian (proto/hlc.h). */
static int64_t stamp_ms(const lp_value *stamp) {
    int64_t ms = 0;
    if (stamp->type != LP_BYTES || stamp->size < 6)
        return 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | (unsigned char)stamp->data[i];
    return ms;
}

static void read_side(cli *c, const lp_record *conflict, const char *value, const char *by, const char *stamp,
                      side *side_out) {
    lp_value who = lp_record_value(conflict, by);
    lp_value when = lp_record_value(conflict, stamp);
    side_out->value = lp_record_value(conflict, value);
    side_out->at_ms = stamp_ms(&when);
    staff_name(c, &who, side_out->by);
}

/* What the conflict is about. */
typedef struct subject {
    char id[LP_ID_TEXT_BYTES]; /* of the conflict */
    char record[LP_ID_TEXT_BYTES];
    char name[DISPLAY_TEXT_BYTES]; /* of the record */
    char kind[32];
    char field[128];
    char label[128];
    char key[NAME_BYTES];
    bool time;
} subject;

static void name_field(language lang, int64_t number, subject *s) {
    lp_field_info info;
    snprintf(s->field, sizeof s->field, "#%lld", (long long)number);
    snprintf(s->label, sizeof s->label, "#%lld", (long long)number);
    for (uint32_t i = 0; lp_schema_field(s->kind, i, &info) == LP_OK; i++) {
        if (info.number != number)
            continue;
        snprintf(s->field, sizeof s->field, "%s", info.name);
        snprintf(s->label, sizeof s->label, "%s", lang == LANGUAGE_ZH ? info.label_zh : info.label_en);
        s->time = info.time;
    }
}

static void read_subject(cli *c, const lp_record *conflict, subject *s) {
    *s = (subject){0};
    lp_value record = lp_record_value(conflict, "record");
    lp_value kind = lp_record_value(conflict, "kind");
    lp_value key = lp_record_value(conflict, "key");
    lp_record *about = NULL;
    lp_id id;
    lp_id_format(lp_record_id(conflict), s->id);
    snprintf(s->kind, sizeof s->kind, "#%lld", (long long)kind.integer);
    if (record.type == LP_BYTES && record.size == sizeof id) {
        memcpy(&id, record.data, sizeof id);
        lp_id_format(&id, s->record);
        if (lp_get(c->replica, &id, &about, NULL) == LP_OK) {
            snprintf(s->kind, sizeof s->kind, "%s", lp_record_kind(about));
            display_name(about, s->name, sizeof s->name);
        }
    }
    if (key.type == LP_TEXT)
        snprintf(s->key, sizeof s->key, "%.*s", (int)key.size, key.data);
    name_field(c->lang, lp_record_value(conflict, "field").integer, s);
    lp_record_free(about);
}

static json_t *side_json(const side *s) {
    return json_pack("{s:o, s:o, s:I}", "value", json_of_value(&s->value), "by", json_of_text(s->by), "at",
                     (json_int_t)s->at_ms);
}

static void say_side(const cli *c, text_id id, const subject *about, const side *s) {
    char value[DISPLAY_TEXT_BYTES];
    char when[TIME_TEXT_BYTES];
    display_value(&s->value, about->time, c->lang, value, sizeof value);
    time_format_local_seconds(s->at_ms, when);
    cli_say(c, id, value, s->by, when, NULL);
}

static void print_conflict(cli *c, const lp_record *conflict) {
    subject about;
    side lost;
    side won;
    read_subject(c, conflict, &about);
    read_side(c, conflict, "lost_value", "lost_by", "lost_stamp", &lost);
    read_side(c, conflict, "won_value", "won_by", "won_stamp", &won);
    bool resolved = lp_record_value(conflict, "resolved").integer != 0;
    if (c->json) {
        json_print(c->out, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:b}", "id", about.id, "record", about.record,
                                     "kind", about.kind, "field", about.field, "key",
                                     about.key[0] ? json_of_text(about.key) : json_null(), "lost", side_json(&lost),
                                     "won", side_json(&won), "resolved", (int)resolved));
        return;
    }
    const char *dot = about.key[0] ? "." : "";
    cli_say(c, resolved ? T_CONFLICT_RESOLVED : T_CONFLICT, about.id, about.name[0] ? about.name : about.record,
            about.label, dot, about.key, NULL);
    say_side(c, T_CONFLICT_WON, &about, &won);
    say_side(c, T_CONFLICT_LOST, &about, &lost);
}

lp_err cmd_conflicts(cli *c, const args *a, lp_error *error) {
    lp_rows *rows = NULL;
    lp_query query = {.kind = "conflict"};
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = lp_list(c->replica, &query, &rows, error);
    for (uint32_t i = 0; code == LP_OK && i < lp_rows_count(rows); i++) {
        const lp_record *conflict = lp_rows_at(rows, i);
        if (args_flag(a, "all") || lp_record_value(conflict, "resolved").integer == 0)
            print_conflict(c, conflict);
    }
    lp_rows_free(rows);
    return code;
}

lp_err cmd_restore(cli *c, const args *a, lp_error *error) {
    lp_id id;
    char text[LP_ID_TEXT_BYTES];
    lp_err code = cli_open(c, error);
    if (code == LP_OK)
        code = cli_resolve(c, "conflict", a->rest[0], &id, error);
    if (code == LP_OK)
        code = lp_restore(c->replica, &id, error);
    if (code)
        return code;
    lp_id_format(&id, text);
    cli_say(c, T_RESTORED, text, NULL);
    if (c->json)
        json_print(c->out, json_pack("{s:s}", "id", text));
    return LP_OK;
}
