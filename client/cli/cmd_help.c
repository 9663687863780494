/* cmd_help.c - help, version, completions: all made from commands.def and the schema. */
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/help.h"
#include "client/cli/tty.h"

#define NAME_COLUMNS 28

static void print_option(FILE *out, language lang, const option_info *o) {
    char name[64];
    snprintf(name, sizeof name, "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
    fputs("  ", out);
    tty_cell(out, name, strlen(name), NAME_COLUMNS, true);
    fprintf(out, "%s%s\n", strlen(name) > NAME_COLUMNS ? " " : "", o->help[lang]);
}

static void print_options(FILE *out, language lang, const char *command) {
    uint32_t count = 0;
    const option_info *options = args_options(&count);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(options[i].command, command) == 0)
            print_option(out, lang, &options[i]);
}

static void print_fields(FILE *out, language lang) {
    lp_field_info info;
    char flag[48];
    for (uint32_t i = 0; lp_schema_field("lead", i, &info) == LP_OK; i++) {
        if (!info.writable || info.hidden || info.map)
            continue;
        args_field_flag(info.name, flag);
        option_info option = {"", flag, "VALUE", {info.label_en, info.label_zh}};
        print_option(out, lang, &option);
    }
}

void help_command(FILE *out, language lang, const command_info *command) {
    fprintf(out, "leadpool %s%s%s\n\n%s\n\n", command->name, command->arguments[0] ? " " : "", command->arguments,
            command->summary[lang]);
    print_options(out, lang, command->name);
    print_options(out, lang, "");
    if (command->fields == LEAD_FIELDS) {
        fprintf(out, "\n%s\n", text_get(lang, T_HELP_FIELDS));
        print_fields(out, lang);
    }
    if (strcmp(command->name, "list") == 0 || strcmp(command->name, "export") == 0)
        fprintf(out, "\n%s\n%s\n", text_get(lang, T_HELP_FILTER), lp_filter_help());
    fprintf(out, "\n%s\n  %s\n", text_get(lang, T_HELP_EXAMPLE), command->example);
}

void help_all(FILE *out, language lang) {
    uint32_t count = 0;
    const command_info *commands = args_commands(&count);
    fprintf(out, "%s\n\n", text_get(lang, T_HELP_USAGE));
    for (uint32_t i = 0; i < count; i++) {
        fputs("  ", out);
        tty_cell(out, commands[i].name, strlen(commands[i].name), 12, true);
        fprintf(out, "%s\n", commands[i].summary[lang]);
    }
    fputc('\n', out);
    print_options(out, lang, "");
    fprintf(out, "\n%s\n  %s\n", text_get(lang, T_HELP_EXAMPLE), "leadpool list 'rating=A' --sort -captured_at");
}

lp_err cmd_help(cli *c, const args *a, lp_error *error) {
    const command_info *command = a->count ? args_command_named(a->rest[0]) : NULL;
    if (a->count && !command)
        return cli_fail(c, error, LP_INVALID, T_UNKNOWN_COMMAND, a->rest[0], NULL);
    return help_print(c, command);
}

lp_err help_print(cli *c, const command_info *command) {
    if (c->json) {
        uint32_t count = 0;
        const command_info *commands = args_commands(&count);
        for (uint32_t i = 0; i < count; i++)
            if (!command || command == &commands[i])
                json_print(c->out, json_pack("{s:s, s:s, s:s, s:s}", "command", commands[i].name, "arguments",
                                             commands[i].arguments, "summary", commands[i].summary[c->lang], "example",
                                             commands[i].example));
    } else if (command) {
        help_command(c->out, c->lang, command);
    } else {
        help_all(c->out, c->lang);
    }
    return LP_OK;
}

lp_err cmd_version(cli *c, const args *a, lp_error *error) {
    (void)a, (void)error;
    if (c->json)
        json_print(c->out, json_pack("{s:s}", "version", lp_version()));
    else
        fprintf(c->out, "leadpool %s\n", lp_version());
    return LP_OK;
}
