/* main.c - the program `leadpool`: the environment in, an exit status out. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/help.h"

/* As the C library decides: the first of these that is set and not empty. */
static const char *locale_name(void) {
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return value;
    }
    return NULL;
}

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && value[0];
}

/* Leaves the path empty if there is none: commands that need no replica run all the same. */
static void find_replica(cli *c, const args *a) {
    int size = 0;
    if (a->replica)
        size = snprintf(c->path, sizeof c->path, "%s", a->replica);
    else if (is_set("LEADPOOL_REPLICA"))
        size = snprintf(c->path, sizeof c->path, "%s", getenv("LEADPOOL_REPLICA"));
    else if (is_set("XDG_DATA_HOME"))
        size = snprintf(c->path, sizeof c->path, "%s/leadpool/replica.db", getenv("XDG_DATA_HOME"));
    else if (is_set("HOME"))
        size = snprintf(c->path, sizeof c->path, "%s/.local/share/leadpool/replica.db", getenv("HOME"));
    if (size < 0 || size >= (int)sizeof c->path)
        c->path[0] = '\0';
}

static lp_err run(cli *c, const args *a, lp_error *error) {
    if (a->help)
        return help_print(c, a->command);
    if (a->version)
        return cmd_version(c, a, error);
    if (!a->command) {
        help_all(c->err, c->lang);
        return cli_fail(c, error, LP_INVALID, T_NO_COMMAND, NULL);
    }
    find_replica(c, a);
    return a->command->run(c, a, error);
}

int main(int argc, char **argv) {
    cli c = {.in = stdin, .out = stdout, .err = stderr, .lang = text_language(locale_name())};
    c.err_terminal = isatty(STDERR_FILENO);
    c.interactive = c.err_terminal && isatty(STDIN_FILENO);
    c.colour = isatty(STDOUT_FILENO) && !is_set("NO_COLOR");
    args a;
    lp_error error = {0};
    lp_err code = args_read(argc, argv, c.lang, &a, &error);
    c.json = a.json;
    if (code == LP_OK)
        code = run(&c, &a, &error);
    if (code == LP_OK && fflush(stdout) != 0)
        code = cli_fail(&c, &error, LP_IO, T_CANNOT_WRITE, "stdout", "", NULL);
    error.code = code;
    if (code && !c.quiet)
        cli_report(&c, &error);
    cli_close(&c);
    args_fini(&a);
    return lp_err_exit_code(code);
}
