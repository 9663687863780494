/* display.h - records as people read them. */
#ifndef CLIENT_CLI_DISPLAY_H
#define CLIENT_CLI_DISPLAY_H

#include "client/cli/cli.h"

#define DISPLAY_TEXT_BYTES 512

/** The name of a lead: its full name, else family and given name in the order of their script, else its company. Cut to fit. */
void display_name(const lp_record *record, char *text_out, size_t size);
/** One value on one line; times in the local zone. */
void display_value(const lp_value *value, bool time, language lang, char *text_out, size_t size);
/** True if the field `name` of `kind` is a time. */
bool display_is_time(const char *kind, const char *name);
/** The label of a field in the run's language: "Company", the key for map fields. */
const char *display_label(language lang, const lp_field *field);

#endif
