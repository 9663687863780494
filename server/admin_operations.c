/* admin_operations.c - `erase`, `review`, `revoke`, `devices`: what operations.h does, asked for on the command line. See admin.h. */
#include "proto/err.h"
#include "server/admin.h"

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

lp_err admin_devices(const admin_args *args, lp_error *error) {
    return admin_ask_and_print(args, "devices", NULL, 0, error);
}

lp_err admin_repair_clock(const admin_args *args, lp_error *error) {
    return admin_ask_and_print(args, "repair-clock", NULL, 0, error);
}
