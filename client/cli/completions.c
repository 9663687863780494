/* completions.c - completion scripts for bash, zsh and fish, made from commands.def and the schema so that they cannot go stale. */
#include <string.h>

#include "client/cli/cli.h"

static void bash_options(FILE *out, const char *command) {
    uint32_t count = 0;
    const option_info *options = args_options(&count);
    for (uint32_t i = 0; i < count; i++)
        if (options[i].command[0] == '\0' || strcmp(options[i].command, command) == 0)
            fprintf(out, " --%s", options[i].name);
}

static void bash_fields(FILE *out) {
    lp_field_info info;
    char flag[48];
    for (uint32_t i = 0; lp_schema_field("lead", i, &info) == LP_OK; i++) {
        if (!info.writable || info.hidden || info.map)
            continue;
        args_field_flag(info.name, flag);
        fprintf(out, " --%s", flag);
    }
}

static void print_bash(FILE *out) {
    uint32_t count = 0;
    const command_info *commands = args_commands(&count);
    fputs("# bash completion for leadpool\n"
          "_leadpool() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} command= i\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n"
          "        --replica) ((i++)) ;;\n"
          "        -*) ;;\n"
          "        *) command=${COMP_WORDS[i]}; break ;;\n"
          "        esac\n"
          "    done\n"
          "    case $command in\n"
          "    '') COMPREPLY=($(compgen -W '",
          out);
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%s%s", i ? " " : "", commands[i].name);
    bash_options(out, "");
    fputs("' -- \"$word\")) ;;\n", out);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, "    %s) COMPREPLY=($(compgen -W '", commands[i].name);
        bash_options(out, commands[i].name);
        if (commands[i].fields == LEAD_FIELDS)
            bash_fields(out);
        fputs("' -- \"$word\")) ;;\n", out);
    }
    fputs("    esac\n"
          "    [[ $word == -* || -z $command ]] || COMPREPLY+=($(compgen -f -- \"$word\"))\n"
          "}\n"
          "complete -o filenames -F _leadpool leadpool\n",
          out);
}

/* Between single quotes; for zsh also without what _arguments reads as its own signs. */
static void quoted(FILE *out, const char *text, const char *drop) {
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (!strchr(drop, *text))
            fputc(*text, out);
    }
}

static void zsh_option(FILE *out, const char *name, const char *help, const char *argument) {
    fprintf(out, " \\\n        '--%s[", name);
    quoted(out, help, "[]:");
    fputc(']', out);
    if (argument)
        fprintf(out, ":%s:%s", argument, strcmp(argument, "FILE") == 0 ? "_files" : "");
    fputc('\'', out);
}

static void zsh_command(FILE *out, language lang, const command_info *command) {
    uint32_t count = 0;
    const option_info *options = args_options(&count);
    fprintf(out, "    %s) _arguments -s", command->name);
    for (uint32_t i = 0; i < count; i++)
        if (options[i].command[0] == '\0' || strcmp(options[i].command, command->name) == 0)
            zsh_option(out, options[i].name, options[i].help[lang], options[i].argument);
    lp_field_info info;
    char flag[48];
    for (uint32_t i = 0; command->fields == LEAD_FIELDS && lp_schema_field("lead", i, &info) == LP_OK; i++) {
        if (!info.writable || info.hidden || info.map)
            continue;
        args_field_flag(info.name, flag);
        zsh_option(out, flag, lang == LANGUAGE_ZH ? info.label_zh : info.label_en, "VALUE");
    }
    fputs(" \\\n        '*:argument:_files' ;;\n", out);
}

static void print_zsh(FILE *out, language lang) {
    uint32_t count = 0;
    const command_info *commands = args_commands(&count);
    fputs("#compdef leadpool\n"
          "_leadpool() {\n"
          "    local -a commands=(",
          out);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, "\n        '%s:", commands[i].name);
        quoted(out, commands[i].summary[lang], ":");
        fputc('\'', out);
    }
    fputs(")\n"
          "    local line state\n"
          "    _arguments -C '--replica[FILE]:FILE:_files' '--json' '--help' '1:command:->command' "
          "'*::argument:->argument'\n"
          "    case $state in\n"
          "    command) _describe command commands; return ;;\n"
          "    esac\n"
          "    case $line[1] in\n",
          out);
    for (uint32_t i = 0; i < count; i++)
        zsh_command(out, lang, &commands[i]);
    fputs("    esac\n"
          "}\n"
          "_leadpool \"$@\"\n",
          out);
}

static void fish_option(FILE *out, const char *command, const char *name, const char *help, const char *argument) {
    fputs("complete -c leadpool", out);
    if (command[0])
        fprintf(out, " -n '__fish_seen_subcommand_from %s'", command);
    fprintf(out, " -l %s%s -d '", name, argument ? strcmp(argument, "FILE") == 0 ? " -rF" : " -x" : "");
    quoted(out, help, "\\");
    fputs("'\n", out);
}

static void print_fish(FILE *out, language lang) {
    uint32_t count = 0;
    const command_info *commands = args_commands(&count);
    lp_field_info info;
    char flag[48];
    fputs("# fish completion for leadpool\n", out);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, "complete -c leadpool -n __fish_use_subcommand -f -a %s -d '", commands[i].name);
        quoted(out, commands[i].summary[lang], "\\");
        fputs("'\n", out);
        for (uint32_t f = 0; commands[i].fields == LEAD_FIELDS && lp_schema_field("lead", f, &info) == LP_OK; f++) {
            if (!info.writable || info.hidden || info.map)
                continue;
            args_field_flag(info.name, flag);
            fish_option(out, commands[i].name, flag, lang == LANGUAGE_ZH ? info.label_zh : info.label_en, "VALUE");
        }
    }
    const option_info *options = args_options(&count);
    for (uint32_t i = 0; i < count; i++)
        fish_option(out, options[i].command, options[i].name, options[i].help[lang], options[i].argument);
}

lp_err cmd_completions(cli *c, const args *a, lp_error *error) {
    const char *shell = a->rest[0];
    if (strcmp(shell, "bash") == 0)
        print_bash(c->out);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(c->out, c->lang);
    else if (strcmp(shell, "fish") == 0)
        print_fish(c->out, c->lang);
    else
        return cli_fail(c, error, LP_INVALID, T_UNKNOWN_SHELL, shell, NULL);
    return LP_OK;
}
