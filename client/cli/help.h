/* help.h - what --help prints. */
#ifndef CLIENT_CLI_HELP_H
#define CLIENT_CLI_HELP_H

#include "client/cli/cli.h"

/** Explains one command, with an example. */
void help_command(FILE *out, language lang, const command_info *command);
/** Lists all commands. */
void help_all(FILE *out, language lang);
/** Either, on stdout, as JSON if asked; `command` NULL: all. */
lp_err help_print(cli *c, const command_info *command);

#endif
