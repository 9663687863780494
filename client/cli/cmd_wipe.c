/* cmd_wipe.c - wipe: the end of a replica, after asking. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"

/* How much would be lost; "?" if the replica cannot say. Closes it again. */
static void count_unsent(cli *c, char text_out[24]) {
    lp_status status;
    lp_error ignored;
    snprintf(text_out, 24, "?");
    if (cli_open(c, &ignored) == LP_OK && lp_status_get(c->replica, &status, &ignored) == LP_OK)
        snprintf(text_out, 24, "%" PRIu64, status.unsent);
    cli_close(c);
}

static bool confirm(const cli *c, const char *unsent) {
    char answer[16] = "";
    text_write(c->err, c->lang, T_WIPE_ASK, c->path, unsent, NULL);
    fflush(c->err);
    return fgets(answer, sizeof answer, c->in) && strcmp(answer, "yes\n") == 0;
}

lp_err cmd_wipe(cli *c, const args *a, lp_error *error) {
    char unsent[24];
    if (!c->path[0])
        return cli_fail(c, error, LP_INVALID, T_NO_REPLICA_PATH, NULL);
    if (access(c->path, F_OK) != 0)
        return cli_fail(c, error, LP_NOT_FOUND, T_NO_REPLICA, c->path, NULL);
    count_unsent(c, unsent);
    if (!args_flag(a, "yes") && !(c->interactive && confirm(c, unsent)))
        return cli_fail(c, error, LP_INVALID, T_WIPE_NEEDS_YES, unsent, NULL);
    lp_err code = lp_wipe(c->path, error);
    if (code)
        return code;
    cli_say(c, T_WIPED, c->path, NULL);
    if (c->json)
        json_print(c->out, json_pack("{s:o}", "removed", json_of_text(c->path)));
    return LP_OK;
}
