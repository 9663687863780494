/* config.h - the options of the server: from config.def, a file (`key = value`, # comments) and flags. A flag beats the file.
 *
 * Thread: any, one at a time per config. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "leadpool/error.h"
#include "proto/buf.h"

typedef struct config {
#define TEXT(name, default_value, bytes, help) char name[bytes];
#define NUMBER(name, default_value, min, max, help) uint32_t name;
#define SWITCH(name, default_value, help) bool name;
#define CHOICE(name, default_value, words, help) uint32_t name;
#include "server/config.def"
#undef TEXT
#undef NUMBER
#undef SWITCH
#undef CHOICE
} config;

void config_defaults(config *c);

/** Sets one option by its name; '-' may stand for '_'. Errors: LP_NOT_FOUND no such option, LP_INVALID value. */
lp_err config_set(config *c, const char *name, const char *value, lp_error *error);
/** True if the option is a switch, which as a flag may go without a value. */
bool config_is_switch(const char *name);

/** Reads the file over what `c` holds. Errors: LP_NOT_FOUND, LP_IO, LP_INVALID naming file and line. */
lp_err config_read(config *c, const char *path, lp_error *error);

/** Checks options against each other. Errors: LP_INVALID. */
lp_err config_check(const config *c, lp_error *error);

#define CONFIG_HOST_BYTES 256
/** Splits "HOST:PORT" or "[IPV6]:PORT". Errors: LP_INVALID. */
lp_err config_split_address(const char *address, char host_out[CONFIG_HOST_BYTES], uint16_t *port_out, lp_error *error);
/** True for names and addresses of this machine only: localhost, 127.0.0.0/8, ::1. */
bool config_is_loopback(const char *host);
/** True for 0.0.0.0, :: and the empty host. */
bool config_is_wildcard(const char *host);

/** Prints the options as flags, for `serve --help`. */
void config_print_flags(FILE *stream);

#endif
