/* admin_operations.c - `erase`, `review`, `revoke`, `devices`, `purge`, `grant`, `ungrant`: what operations.h does, asked for on the command line. See admin.h. */
#include "proto/err.h"
#include "proto/wire.h"
#include "server/admin/admin.h"

lp_err admin_erase(const admin_args *args, lp_error *error) {
    if (!args->lead)
        return err_set(error, LP_INVALID, "erase needs --lead ID");
    const control_pair pairs[] = {{"lead", args->lead}};
    return admin_ask_and_print(args, "erase", pairs, 1, error);
}

lp_err admin_review(const admin_args *args, lp_error *error) {
    const control_pair pairs[] = {{"accept", args->accept}, {"reject", args->reject}};
    return admin_ask_and_print(args, "review", pairs, 2, error);
}

lp_err admin_revoke(const admin_args *args, lp_error *error) {
    if (!args->device)
        return err_set(error, LP_INVALID, "revoke needs --device N; leadpoold devices lists them");
    const control_pair pairs[] = {{"device", args->device}};
    return admin_ask_and_print(args, "revoke", pairs, 1, error);
}

static lp_err change(const admin_args *args, const char *verb, lp_error *error) {
    if (!args->staff || !args->scope)
        return err_set(error, LP_INVALID, "%s needs --staff NAME and --scope pool or event:CODE", verb);
    const control_pair pairs[] = {{"staff", args->staff}, {"scope", args->scope}};
    return admin_ask_and_print(args, verb, pairs, 2, error);
}

lp_err admin_grant(const admin_args *args, lp_error *error) {
    return change(args, "grant", error);
}

lp_err admin_ungrant(const admin_args *args, lp_error *error) {
    return change(args, "ungrant", error);
}

lp_err admin_devices(const admin_args *args, lp_error *error) {
    return admin_ask_and_print(args, "devices", NULL, 0, error);
}

lp_err admin_repair_clock(const admin_args *args, lp_error *error) {
    return admin_ask_and_print(args, "repair-clock", NULL, 0, error);
}

/* Step by step, so that the devices of a running server have their turns in between. */
lp_err admin_purge(const admin_args *args, lp_error *error) {
    const control_pair pairs[] = {{"days", args->days}};
    int64_t purged = 0, waiting = 0, marks = 0;
    bool more = true;
    lp_err err = LP_OK;
    while (!err && more) {
        buf result = {0};
        err = admin_ask(args, "purge", pairs, 1, &result, error);
        purged += admin_result_number(buf_span(&result), "purged");
        marks += admin_result_number(buf_span(&result), "marks");
        waiting = admin_result_number(buf_span(&result), "waiting");
        more = admin_result_number(buf_span(&result), "more") != 0;
        buf_fini(&result);
    }
    if (err)
        return err;
    buf total = {0};
    wire_put_map(&total, 3);
    wire_put_text(&total, SPAN_LITERAL("purged"));
    wire_put_i64(&total, purged);
    wire_put_text(&total, SPAN_LITERAL("waiting"));
    wire_put_i64(&total, waiting);
    wire_put_text(&total, SPAN_LITERAL("marks"));
    wire_put_i64(&total, marks);
    admin_print_result(buf_span(&total), args->json);
    buf_fini(&total);
    return LP_OK;
}
