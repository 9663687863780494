/* cli.h - one run of the command: its streams, its language, its replica, and how it answers.
 *
 * Invariants:
 *   (1) With --json stdout holds JSON and nothing else; people's lines go to stderr, or nowhere.
 *   (2) A command returns an lp_err and fills an lp_error; main prints it and turns it into the exit status. */
#ifndef CLIENT_CLI_CLI_H
#define CLIENT_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "client/cli/args.h"
#include "client/cli/text.h"
#include "leadpool/leadpool.h"

#define CLI_PATH_BYTES 4096

typedef struct cli {
    FILE *in;
    FILE *out;
    FILE *err;
    language lang;
    bool json;
    bool colour;               /**< stdout is a terminal and NO_COLOR is not set */
    bool interactive;          /**< stdin and stderr are terminals */
    bool err_terminal;         /**< stderr is one: progress may be drawn */
    bool answered;             /**< the JSON that was printed holds the error already */
    bool quiet;                /**< the error was reported in full already: only the exit status is left */
    char path[CLI_PATH_BYTES]; /**< of the replica */
    lp_replica *replica;       /**< NULL until cli_open */
} cli;

/** Opens the replica; harmless when it is open. Errors: as lp_open. */
lp_err cli_open(cli *c, lp_error *error);
/** Makes the replica's directory, private to its owner. Errors: LP_IO. */
lp_err cli_make_directory(cli *c, lp_error *error);
void cli_close(cli *c);

/** Fills `error` from a template, with the strings that follow and a NULL, and returns `code`. */
lp_err cli_fail(const cli *c, lp_error *error, lp_err code, text_id id, ...) __attribute__((sentinel));
/** A line for people on stdout; nothing with --json. */
void cli_say(const cli *c, text_id id, ...) __attribute__((sentinel));
/** The person is told once that the replica goes on as another device. */
void cli_say_rejoined(const cli *c, uint32_t device);
/** A line for people on stderr. */
void cli_note(const cli *c, text_id id, ...) __attribute__((sentinel));
/** Reports an error: one line on stderr, and with --json an object on stdout unless one was printed that says it. */
void cli_report(const cli *c, const lp_error *error);

/** Now, UTC ms: the only clock of the command. */
int64_t cli_now_ms(void);

/* ---- resolve.c ---- */

/** Finds the id that `text` is, or is the beginning (at least 4 digits) of, among records of `kind` (NULL: any id as it is, prefixes
 *  among leads). Errors: LP_NOT_FOUND; LP_INVALID too short, not hexadecimal, or the beginning of several. */
lp_err cli_resolve(cli *c, const char *kind, const char *text, lp_id *id_out, lp_error *error);

/* ---- commands ---- */

#define COMMAND(name, ...) lp_err cmd_##name(cli *c, const args *a, lp_error *error);
#define OPTION(...)
#include "client/cli/commands.def"
#undef COMMAND
#undef OPTION

#endif
