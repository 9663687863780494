/* cmd_doctor.c - doctor: is the replica sound, repair what can be, and rescue what only this device has from one that is not. */
#include <inttypes.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/tty.h"

typedef struct report {
    cli *c;
    json_t *findings;
} report;

static void tell(void *ctx, const lp_finding *f) {
    report *r = ctx;
    if (r->c->json)
        json_array_append_new(r->findings,
                              json_pack("{s:s, s:o, s:s, s:b, s:b}", "area", f->area, "text", json_of_text(f->text),
                                        "advice", f->advice, "repairable", (int)f->repairable, "waits", (int)f->waits));
    else
        cli_say(r->c, T_DOCTOR_FINDING, f->area, f->text, f->advice, NULL);
}

static void number(uint64_t value, char out[24]) {
    snprintf(out, 24, "%" PRIu64, value);
}

static void say_checkup(const cli *c, const lp_checkup *k) {
    char records[24], unsent[24], refused[24], findings[24], repaired[24];
    number(k->records, records);
    number(k->unsent, unsent);
    number(k->refused, refused);
    number(k->findings, findings);
    number(k->repaired, repaired);
    cli_say(c, k->findings ? T_DOCTOR_FOUND : T_DOCTOR_SOUND, records, unsent, refused, findings, repaired, NULL);
    if (k->read_only)
        cli_say(c, T_DOCTOR_READ_ONLY, NULL);
}

static lp_err check(cli *c, bool repair, lp_error *error) {
    lp_checkup k;
    report r = {c, json_array()};
    lp_err code = lp_doctor(c->path, repair, tell, &r, &k, error);
    if (code != LP_OK && code != LP_CORRUPT) {
        json_decref(r.findings);
        return code;
    }
    if (!c->json) {
        json_decref(r.findings);
        say_checkup(c, &k);
        return code;
    }
    json_t *answer = json_pack("{s:b, s:I, s:I, s:I, s:I, s:b, s:I, s:o}", "sound", k.findings == k.repaired, "records",
                               (json_int_t)k.records, "unsent", (json_int_t)k.unsent, "refused", (json_int_t)k.refused,
                               "quarantined", (json_int_t)k.quarantined, "read_only", (int)k.read_only, "repaired",
                               (json_int_t)k.repaired, "findings", r.findings);
    if (code)
        json_object_set_new(answer, "error", json_error_body(error));
    c->answered = true;
    json_print(c->out, answer);
    return code;
}

static lp_err rescue(cli *c, const char *to, lp_error *error) {
    lp_rescued k;
    char changes[24], refused[24], records[24], damaged[24], past[24], recovered[24];
    lp_err code = lp_rescue(c->path, to, &k, error);
    if (code)
        return code;
    if (c->json) {
        json_print(c->out,
                   json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "rescued", json_of_text(to),
                             "changes", (json_int_t)k.changes, "refused", (json_int_t)k.refused, "past",
                             (json_int_t)k.past, "recovered", (json_int_t)k.recovered, "records", (json_int_t)k.records,
                             "orphans", (json_int_t)k.orphans, "damaged", (json_int_t)k.damaged, "unreadable_pages",
                             (json_int_t)k.unreadable_pages, "joined", (int)k.joined));
        return LP_OK;
    }
    number(k.changes, changes);
    number(k.refused, refused);
    number(k.records, records);
    number(k.past, past);
    number(k.recovered, recovered);
    number(k.damaged + k.unreadable_pages, damaged);
    cli_say(c, T_RESCUED, changes, refused, records, to, NULL);
    if (k.past + k.recovered)
        cli_say(c, T_RESCUED_BESIDE, past, recovered, NULL);
    if (k.damaged + k.unreadable_pages)
        cli_say(c, T_RESCUE_DAMAGED, damaged, NULL);
    cli_say(c, k.joined ? T_RESCUE_JOINED : T_RESCUE_NOT_JOINED, c->path, to, NULL);
    return LP_OK;
}

lp_err cmd_doctor(cli *c, const args *a, lp_error *error) {
    if (!c->path[0])
        return cli_fail(c, error, LP_INVALID, T_NO_REPLICA_PATH, NULL);
    const char *to = args_value(a, "rescue");
    return to ? rescue(c, to, error) : check(c, args_flag(a, "repair"), error);
}
