/* args.c - see args.h. */
#include "client/cli/args.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"

#define OPTIONS_MAX 160

static const command_info commands[] = {
#define COMMAND(name, arguments, min, max, fields, english, chinese, example)                                          \
    {#name, cmd_##name, arguments, min, max, fields, {english, chinese}, example},
#define OPTION(...)
#include "client/cli/commands.def"
#undef COMMAND
#undef OPTION
};

static const option_info options[] = {
#define COMMAND(...)
#define OPTION(command, name, argument, english, chinese) {command, name, argument, {english, chinese}},
#include "client/cli/commands.def"
#undef COMMAND
#undef OPTION
};

const command_info *args_commands(uint32_t *count_out) {
    *count_out = sizeof commands / sizeof *commands;
    return commands;
}

const option_info *args_options(uint32_t *count_out) {
    *count_out = sizeof options / sizeof *options;
    return options;
}

const command_info *args_command_named(const char *name) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

void args_field_flag(const char *field, char *flag_out) {
    size_t i = 0;
    for (; field[i] && i < 47; i++)
        flag_out[i] = field[i] == '_' ? '-' : field[i];
    flag_out[i] = '\0';
}

static lp_err wrong_use(lp_error *error, language lang, text_id id, const char *what) {
    cli c = {.lang = lang};
    return cli_fail(&c, error, LP_INVALID, id, what, NULL);
}

/* ---- the table for getopt_long ---- */

typedef struct long_table {
    struct option entries[OPTIONS_MAX + 1];
    const char *fields[OPTIONS_MAX + 1]; /* NULL: an option of commands.def */
    int count;
} long_table;

static void add_entry(long_table *t, const char *name, bool takes_value, const char *field) {
    if (t->count == OPTIONS_MAX)
        return;
    t->entries[t->count].name = name;
    t->entries[t->count].has_arg = takes_value ? required_argument : no_argument;
    t->fields[t->count++] = field;
}

static bool belongs(const option_info *o, const command_info *command) {
    return o->command[0] == '\0' || (command && strcmp(o->command, command->name) == 0);
}

/* Options of the command, then field flags that do not hide one of them. */
static lp_err fill_table(long_table *t, const command_info *command, args *a) {
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (belongs(&options[i], command))
            add_entry(t, options[i].name, options[i].argument != NULL, NULL);
    if (!command || command->fields != LEAD_FIELDS)
        return LP_OK;
    a->names = calloc(OPTIONS_MAX, sizeof *a->names);
    if (!a->names)
        return LP_NOMEM;
    lp_field_info info;
    for (uint32_t i = 0; i < OPTIONS_MAX && lp_schema_field("lead", i, &info) == LP_OK; i++) {
        if (!info.writable || info.hidden || info.map)
            continue;
        args_field_flag(info.name, a->names[i]);
        add_entry(t, a->names[i], true, info.name);
    }
    return LP_OK;
}

/* ---- reading ---- */

static lp_err take_option(args *a, const long_table *t, int index, const char *value) {
    const char *name = t->fields[index] ? t->fields[index] : t->entries[index].name;
    if (!t->fields[index] && strcmp(name, "json") == 0)
        a->json = true;
    else if (!t->fields[index] && strcmp(name, "help") == 0)
        a->help = true;
    else if (!t->fields[index] && strcmp(name, "version") == 0)
        a->version = true;
    else if (!t->fields[index] && strcmp(name, "replica") == 0)
        a->replica = value;
    args_option *grown = realloc(a->options, (a->option_count + 1u) * sizeof *grown);
    if (!grown)
        return LP_NOMEM;
    a->options = grown;
    a->options[a->option_count++] = (args_option){name, value, t->fields[index] != NULL};
    return LP_OK;
}

/* Reads options from argv[0] on (argv[0] itself is skipped, as getopt does); `order` "+" stops at the first argument. */
static lp_err read_options(args *a, int argc, char **argv, const char *order, language lang, lp_error *error) {
    long_table table = {0};
    lp_err code = fill_table(&table, a->command, a);
    optind = 0; /* makes getopt begin anew */
    opterr = 0;
    while (code == LP_OK) {
        int index = -1;
        int found = getopt_long(argc, argv, order, table.entries, &index);
        if (found == -1)
            return LP_OK;
        const char *last = argv[optind > 0 ? optind - 1 : 0];
        if (found == 'h')
            a->help = true;
        else if (found == ':')
            return wrong_use(error, lang, T_OPTION_NEEDS_VALUE, last);
        else if (found == '?')
            return wrong_use(error, lang, T_UNKNOWN_OPTION, last);
        else
            code = take_option(a, &table, index, optarg);
    }
    return code;
}

static lp_err check_count(const args *a, language lang, lp_error *error) {
    const command_info *command = a->command;
    if (a->help || a->version || !command)
        return LP_OK;
    if (a->count < command->min_arguments)
        return wrong_use(error, lang, T_TOO_FEW_ARGUMENTS, command->name);
    if (command->max_arguments >= 0 && a->count > command->max_arguments)
        return wrong_use(error, lang, T_TOO_MANY_ARGUMENTS, a->rest[command->max_arguments]);
    return LP_OK;
}

/* Scripts must get JSON errors even for options that are wrong. */
static bool json_is_asked(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

lp_err args_read(int argc, char **argv, language lang, args *a, lp_error *error) {
    *a = (args){.json = json_is_asked(argc, argv)};
    lp_err code = read_options(a, argc, argv, "+:h", lang, error);
    if (code || optind >= argc)
        return code;
    int at = optind;
    a->command = args_command_named(argv[at]);
    if (!a->command)
        return wrong_use(error, lang, T_UNKNOWN_COMMAND, argv[at]);
    code = read_options(a, argc - at, argv + at, ":h", lang, error);
    if (code)
        return code;
    a->rest = argv + at + optind;
    a->count = argc - at - optind;
    return check_count(a, lang, error);
}

void args_fini(args *a) {
    free(a->options);
    free(a->names);
    *a = (args){0};
}

const char *args_value(const args *a, const char *name) {
    const char *value = NULL;
    for (uint32_t i = 0; i < a->option_count; i++)
        if (!a->options[i].field && strcmp(a->options[i].name, name) == 0)
            value = a->options[i].value;
    return value;
}

bool args_flag(const args *a, const char *name) {
    for (uint32_t i = 0; i < a->option_count; i++)
        if (!a->options[i].field && strcmp(a->options[i].name, name) == 0)
            return true;
    return false;
}

lp_err args_number(const args *a, language lang, const char *name, uint32_t fallback, uint32_t *number_out,
                   lp_error *error) {
    *number_out = fallback;
    const char *text = args_value(a, name);
    if (!text)
        return LP_OK;
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || number > 1000000000UL)
        return wrong_use(error, lang, T_NOT_A_NUMBER, text);
    *number_out = (uint32_t)number;
    return LP_OK;
}

char *args_joined(const args *a, int first) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (int i = first; i < a->count; i++)
        fprintf(out, "%s%s", i > first ? " " : "", a->rest[i]);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
