/* admin_control.c - `invite`, `status`, `backup`, `verify`: at the running server if there is one, else here; see admin.h. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/err.h"
#include "proto/message.h"
#include "server/admin/admin.h"
#include "server/office/control_arguments.h"
#include "server/net/control_socket.h"
#include "server/os.h"
#include "server/office/verify.h"

#define RETRIES 20 /* a server that is just starting or stopping has the store but no socket */
#define RETRY_MS 200

/* What was answered, as this process' own result. */
static lp_err open_answer(span answer, buf *result_out, lp_error *error) {
    message m;
    lp_err err = message_decode(answer, &m, error);
    if (err != LP_OK)
        return err;
    if (m.number == MSG_CONTROLLED) {
        buf_append_span(result_out, m.result);
        return result_out->failed ? err_plain(error, LP_NOMEM) : LP_OK;
    }
    if (m.number != MSG_REFUSED && m.number != MSG_BUSY)
        return err_set(error, LP_PROTOCOL,
                       "the server gave an answer this command does not know; is it another version?");
    lp_err code = m.number == MSG_BUSY || m.code == 0 ? LP_BUSY : (lp_err)m.code;
    return err_set(error, code, "%.*s", (int)m.reason.size, (const char *)m.reason.data);
}

lp_err admin_control(const admin_args *args, span request, buf *result_out, lp_error *error) {
    buf answer = {0};
    lp_err err = LP_BUSY;
    for (int i = 0; i < RETRIES && err == LP_BUSY; i++) {
        if (i > 0)
            server_os_pause(RETRY_MS);
        err = control_call(args->data, request, admin_progress, "leadpoold: working", &answer, error);
        if (err == LP_OFFLINE)
            err = admin_control_here(args, request, admin_progress, &answer, error);
    }
    admin_progress_end();
    if (err == LP_OK)
        err = open_answer(buf_span(&answer), result_out, error);
    buf_fini(&answer);
    return err;
}

lp_err admin_ask(const admin_args *args, const char *verb, const control_pair *pairs, size_t count, buf *result_out,
                 lp_error *error) {
    buf request = {0};
    lp_err err = control_request(verb, pairs, count, &request, error);
    if (err == LP_OK)
        err = admin_control(args, buf_span(&request), result_out, error);
    buf_fini(&request);
    return err;
}

static void print_invitation(span result) {
    char invitation[1024], staff[128], role[40], until[64];
    admin_result_text(result, "invitation", invitation, sizeof invitation);
    admin_result_text(result, "staff", staff, sizeof staff);
    admin_result_text(result, "role", role, sizeof role);
    time_t seconds = (time_t)(admin_result_number(result, "expires_at") / 1000);
    struct tm parts;
    strftime(until, sizeof until, "%Y-%m-%d %H:%M UTC", gmtime_r(&seconds, &parts));
    bool terminal = isatty(STDOUT_FILENO);
    if (terminal)
        printf("For one device of %s (%s), until %s:\n\n", staff, role, until);
    puts(invitation);
    if (!terminal)
        return;
    putchar('\n');
    admin_print_qr(invitation);
}

lp_err admin_invite(const admin_args *args, lp_error *error) {
    if (!args->staff || !args->role)
        return err_set(error, LP_INVALID, "invite needs --staff NAME and --role rep or manager");
    if (strcmp(args->role, "rep") != 0 && strcmp(args->role, "manager") != 0)
        return err_set(error, LP_INVALID, "there is no role '%.40s'; --role is rep or manager", args->role);
    const control_pair pairs[] = {
        {"staff", args->staff}, {"role", args->role}, {"address", args->address}, {"scope", args->scope}};
    buf result = {0};
    lp_err err = admin_ask(args, "invite", pairs, 4, &result, error);
    if (err == LP_OK && args->json)
        admin_print_result(buf_span(&result), true);
    else if (err == LP_OK)
        print_invitation(buf_span(&result));
    buf_fini(&result);
    return err;
}

lp_err admin_ask_and_print(const admin_args *args, const char *verb, const control_pair *pairs, size_t count,
                           lp_error *error) {
    buf result = {0};
    lp_err err = admin_ask(args, verb, pairs, count, &result, error);
    if (err == LP_OK)
        admin_print_result(buf_span(&result), args->json);
    buf_fini(&result);
    return err;
}

lp_err admin_status(const admin_args *args, lp_error *error) {
    return admin_ask_and_print(args, "status", NULL, 0, error);
}

static lp_err verify_backup(const admin_args *args, lp_error *error) {
    store_counts counts;
    buf result = {0};
    lp_err err = verify_file(args->file, admin_progress, "leadpoold: verifying", &counts, error);
    admin_progress_end();
    if (err == LP_OK) {
        verify_report(&counts, &result);
        admin_print_result(buf_span(&result), args->json);
    }
    buf_fini(&result);
    return err;
}

lp_err admin_verify(const admin_args *args, lp_error *error) {
    if ((args->file != NULL) == (args->data != NULL))
        return err_set(error, LP_INVALID, "verify needs either --data DIR or --file BACKUP");
    return args->file ? verify_backup(args, error) : admin_ask_and_print(args, "verify", NULL, 0, error);
}

/* The server may have another working directory. */
static lp_err absolute(const char *path, char out[PATH_MAX], lp_error *error) {
    char here[PATH_MAX] = "";
    if (path[0] != '/' && !getcwd(here, sizeof here))
        return err_set(error, LP_IO, "the working directory is gone; give --to an absolute path");
    int size = snprintf(out, PATH_MAX, "%s%s%s", here, path[0] == '/' ? "" : "/", path);
    return size < PATH_MAX ? LP_OK : err_set(error, LP_INVALID, "the path of the backup is too long");
}

lp_err admin_backup(const admin_args *args, lp_error *error) {
    char path[PATH_MAX];
    if (!args->to)
        return err_set(error, LP_INVALID, "backup needs --to FILE");
    lp_err err = absolute(args->to, path, error);
    const control_pair pairs[] = {{"to", path}};
    return err == LP_OK ? admin_ask_and_print(args, "backup", pairs, 1, error) : err;
}
