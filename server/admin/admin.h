/* admin.h - leadpoold's commands. Shell: arguments in, text or one JSON object out, exit status 0, 1 (refused) or 2 (wrong use). */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include <stddef.h>

#include "server/config.h"
#include "server/office/control_arguments.h"
#include "server/store/store.h"

/** Runs the program; the exit status. */
int admin_main(int argc, char **argv);

/** What the command line said. Texts are borrowed from argv. */
typedef struct admin_args {
    const char *data, *name, *staff, *role, *scope, *address, *to, *from, *config_path, *lead, *accept, *reject,
        *device, *days, *file;
    bool json, help;
    char *const *argv; /**< everything after the command, for `serve` to find config flags in */
    int argc;
} admin_args;

/** Reads flags: those named in `allowed` (space-separated, without dashes), --json and --help, and with `config_flags` every
 *  option of config.def, which is only checked for being one. Errors: LP_INVALID. */
lp_err admin_args_read(int argc, char *const *argv, const char *allowed, bool config_flags, admin_args *args_out,
                       lp_error *error);
/** Defaults, then the config file (DIR/leadpoold.conf if none was named), then, if `flags`, the flags of config.def.
 *  Errors: LP_INVALID, LP_NOT_FOUND, LP_IO. */
lp_err admin_config(const admin_args *args, bool flags, config *config_out, lp_error *error);

/* The commands. */
lp_err admin_init(const admin_args *args, lp_error *error);
lp_err admin_serve(const admin_args *args, lp_error *error);
lp_err admin_invite(const admin_args *args, lp_error *error);
lp_err admin_status(const admin_args *args, lp_error *error);
lp_err admin_backup(const admin_args *args, lp_error *error);
lp_err admin_restore(const admin_args *args, lp_error *error);
lp_err admin_verify(const admin_args *args, lp_error *error);
lp_err admin_erase(const admin_args *args, lp_error *error);
lp_err admin_revoke(const admin_args *args, lp_error *error);
lp_err admin_grant(const admin_args *args, lp_error *error);
lp_err admin_ungrant(const admin_args *args, lp_error *error);
lp_err admin_devices(const admin_args *args, lp_error *error);
lp_err admin_purge(const admin_args *args, lp_error *error);
lp_err admin_review(const admin_args *args, lp_error *error);
lp_err admin_repair_clock(const admin_args *args, lp_error *error);
lp_err admin_version(const admin_args *args, lp_error *error);

/** Sends a verb with its arguments; the result comes out. */
lp_err admin_ask(const admin_args *args, const char *verb, const control_pair *pairs, size_t count, buf *result_out,
                 lp_error *error);
/** The same, and prints what comes back. */
lp_err admin_ask_and_print(const admin_args *args, const char *verb, const control_pair *pairs, size_t count,
                           lp_error *error);
/** Carries out a CONTROL message: at the running server, or here if none runs. `result_out` gets the answer's result.
 *  Errors: whatever was answered, those of the store. */
lp_err admin_control(const admin_args *args, span request, buf *result_out, lp_error *error);
/** The same without asking for a server. Errors: LP_BUSY another process has the store. */
lp_err admin_control_here(const admin_args *args, span request, store_progress_fn progress, buf *answer_out,
                          lp_error *error);

/* admin_output.c */
void admin_print_error(lp_err err, const lp_error *error, bool json);
/** Prints a result { name: value }: as JSON on one line, or one "name: value" a line; of a list of such, one on each line. */
void admin_print_result(span result, bool json);
/** A text value of a result, NUL-terminated in `text_out`; empty if there is none. */
void admin_result_text(span result, const char *name, char *text_out, size_t size);
int64_t admin_result_number(span result, const char *name);
/** Shows progress on a terminal's stderr; `ctx` is the verb. */
bool admin_progress(void *ctx, uint64_t done, uint64_t total);
void admin_progress_end(void);

/** Prints `text` as a QR code in UTF-8 half blocks. Nothing if it does not fit into one. */
void admin_print_qr(const char *text);

#endif
