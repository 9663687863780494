/* args.h - the command line, read by the table in commands.def. */
#ifndef CLIENT_CLI_ARGS_H
#define CLIENT_CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/cli/text.h"
#include "leadpool/error.h"

struct cli;
struct args;

/** What --field flags a command takes. */
typedef enum args_fields { NO_FIELDS = 0, LEAD_FIELDS = 1 } args_fields;

typedef struct option_info {
    const char *command; /**< "" for all commands */
    const char *name;
    const char *argument; /**< what it takes, for help; NULL: nothing */
    const char *help[2];  /**< by language */
} option_info;

typedef struct command_info {
    const char *name;
    lp_err (*run)(struct cli *c, const struct args *a, lp_error *error);
    const char *arguments;
    int min_arguments;
    int max_arguments; /**< -1: any number */
    args_fields fields;
    const char *summary[2]; /**< by language */
    const char *example;
} command_info;

typedef struct args_option {
    const char *name;  /**< "limit"; of a field flag the field, "full_name" */
    const char *value; /**< NULL if it takes none */
    bool field;
} args_option;

typedef struct args {
    const command_info *command; /**< NULL: none was given */
    char **rest;                 /**< arguments that are no options */
    int count;
    args_option *options;
    uint32_t option_count;
    char (*names)[48]; /**< names of the field flags */
    const char *replica;
    bool json;
    bool help;
    bool version;
} args;

const command_info *args_commands(uint32_t *count_out);
const option_info *args_options(uint32_t *count_out);
const command_info *args_command_named(const char *name);

/** Reads `argv`. Ownership: args_fini, in every case. Errors: LP_INVALID wrong use; LP_NOMEM. What was understood before the error
 *  (json, command) is in `args_out` all the same. */
lp_err args_read(int argc, char **argv, language lang, args *args_out, lp_error *error);
void args_fini(args *a);

/** The last value of an option; NULL if it was not given. */
const char *args_value(const args *a, const char *name);
bool args_flag(const args *a, const char *name);
/** Reads a number; `fallback` if the option was not given. Errors: LP_INVALID. */
lp_err args_number(const args *a, language lang, const char *name, uint32_t fallback, uint32_t *number_out,
                   lp_error *error);

/** The arguments from number `first` on with spaces between them. NULL: out of memory. Ownership: free. */
char *args_joined(const args *a, int first);

/** The flag of a field: "full_name" -> "full-name". `flag_out` holds 48 bytes. */
void args_field_flag(const char *field, char *flag_out);

#endif
