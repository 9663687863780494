/* filter.h - the filter and sort languages, turned into SQL with bound parameters.
 *
 * Nothing a person typed ever becomes part of the SQL text: field names are looked up and replaced by the schema's own,
 * everything else is bound. Comparisons are two-valued (an empty field never makes a term "unknown"), so `not` means not.
 *
 * Needs filter_register on the connection (search_register calls it). Thread: one at a time. */
#ifndef CLIENT_FILTER_H
#define CLIENT_FILTER_H

#include <sqlite3.h>

#include "leadpool/leadpool.h"
#include "proto/buf.h"

#define CLAUSE_VALUES_MAX 256 /**< bound values of one query */
#define FILTER_DEPTH_MAX 32   /**< nested parentheses and nots */
#define FILTER_TERMS_MAX 200  /**< SQLite bounds the depth of an expression at 1,000 */

/** A value to bind; `data` of texts and blobs is at `offset` in clause.bytes. */
typedef struct clause_value {
    lp_type type;
    int64_t integer;
    double real;
    size_t offset;
    size_t size;
} clause_value;

/** SQL under construction with its parameters, numbered ?1, ?2, ... Zero-initialise; clause_fini frees. */
typedef struct clause {
    buf sql;
    buf bytes;
    clause_value values[CLAUSE_VALUES_MAX];
    uint32_t count;
} clause;

void clause_fini(clause *c);
void clause_append(clause *c, const char *sql); /**< constant SQL */
/** Appends "?N" bound to the value. Text is copied. Errors: LP_INVALID too many values. */
lp_err clause_append_value(clause *c, const lp_value *value, lp_error *error);
/** Prepares the whole and binds it. Errors: as sqlite3_prepare and sqlite3_bind, a SQLite result code. */
int clause_prepare(clause *c, sqlite3 *db, sqlite3_stmt **statement_out);

/** Appends the condition that `text` states for records of `kind`; an empty one is appended as 1. Errors: LP_INVALID, LP_NOMEM. */
lp_err filter_append(clause *c, uint32_t kind, const char *text, lp_error *error);
/** Appends the terms of an ORDER BY for `text`, ties by id; empty fields come last. NULL or empty: newest first. Errors: as filter_append. */
lp_err filter_append_order(clause *c, uint32_t kind, const char *text, lp_error *error);

/** Gives a connection the SQL functions that filters use: lp_field(body, number, key), the folded value of a register (key
 *  NULL: of the first of a map field that is not empty), and lp_updated(stamps), the greatest ms in it.
 *  Errors: LP_NOMEM. */
lp_err filter_register(sqlite3 *db, lp_error *error);

#endif
