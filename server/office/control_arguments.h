/* control_arguments.h - the { name: text } of a CONTROL message, written and read. Thread: any. */
#ifndef SERVER_CONTROL_ARGUMENTS_H
#define SERVER_CONTROL_ARGUMENTS_H

#include "leadpool/error.h"
#include "proto/buf.h"

typedef struct control_pair {
    const char *name;
    const char *value; /**< NULL: left out */
} control_pair;

/** Appends a CONTROL message. Errors: LP_NOMEM, LP_INVALID a value is not UTF-8. */
lp_err control_request(const char *verb, const control_pair *pairs, size_t count, buf *out, lp_error *error);

/** Copies one argument; empty if it is not there. False if it does not fit. */
bool control_argument(span arguments, const char *name, char *text_out, size_t size);

#endif
