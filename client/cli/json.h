/* json.h - records and values as JSON, over jansson. Every function that makes something gives a new reference. */
#ifndef CLIENT_CLI_JSON_H
#define CLIENT_CLI_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "leadpool/leadpool.h"

/** A value; ids are text, other bytes hexadecimal, times integers of UTC ms. */
json_t *json_of_value(const lp_value *value);
json_t *json_of_id(const lp_id *id);
/** Text of unknown origin: bytes that are not UTF-8 give null. */
json_t *json_of_text(const char *text);
/** {"id","kind","deleted","unsent","fields":{...}}, map fields as objects of their own. */
json_t *json_of_record(const lp_record *record);
/** {"error":{"code","message"}}. */
json_t *json_error(const lp_error *error);
/** The inner object of json_error. */
json_t *json_error_body(const lp_error *error);

/** Prints one object on a line of its own, flushes, and releases it. */
void json_print(FILE *out, json_t *object);

#endif
