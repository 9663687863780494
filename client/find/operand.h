/* operand.h - what a filter's term compares: a field of the schema, an unknown field, or one of the three virtual ones
 * (id, updated, unsent), as an SQL expression with the type that says how a person's text is read against it. */
#ifndef CLIENT_OPERAND_H
#define CLIENT_OPERAND_H

#include "client/find/filter.h"
#include "proto/schema.h"

typedef enum comparison {
    CMP_EQUAL,
    CMP_NOT_EQUAL,
    CMP_LESS,
    CMP_AT_MOST,
    CMP_GREATER,
    CMP_AT_LEAST,
    CMP_CONTAINS
} comparison;

typedef struct operand {
    char name[48]; /**< for messages */
    field_type type;
    bool whole_map; /**< a map field without a key: it can only be empty or not */
    buf sql;        /**< the expression; may occur several times in the clause */
} operand;

/** Finds the operand called `name`; a key in it is bound in `c`. operand_fini it also after an error. Errors: LP_INVALID, LP_NOMEM. */
lp_err operand_parse(clause *c, uint32_t kind, span name, operand *operand_out, lp_error *error);
void operand_fini(operand *o);

/** Appends the comparison of the operand with what a person wrote; an empty `value` means the empty field. Errors: LP_INVALID, LP_NOMEM. */
lp_err operand_append_term(clause *c, const operand *o, comparison how, span value, lp_error *error);

#endif
