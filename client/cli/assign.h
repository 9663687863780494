/* assign.h - what a command line (or a person asked) wants written: FIELD=VALUE, --tag, --answer, --clear, field flags. */
#ifndef CLIENT_CLI_ASSIGN_H
#define CLIENT_CLI_ASSIGN_H

#include "client/cli/cli.h"

typedef struct assignment {
    char *field;
    char *value; /**< "" clears */
} assignment;

/** Zero-initialise; assign_fini frees it. */
typedef struct assignments {
    assignment *items;
    uint32_t count;
} assignments;

/** Collects everything the command line says; arguments from number `first` on are FIELD=VALUE.
 *  Errors: LP_INVALID an argument without =; LP_NOMEM. */
lp_err assign_collect(const cli *c, const args *a, int first, assignments *list, lp_error *error);
/** Appends one. Errors: LP_NOMEM. */
lp_err assign_add(assignments *list, const char *field, size_t field_size, const char *value);
/** True if `field` gets a value that is not empty. */
bool assign_has(const assignments *list, const char *field);
/** Writes them to a record. Errors: as lp_set_text. */
lp_err assign_apply(const assignments *list, lp_txn *txn, const lp_id *id, lp_error *error);
void assign_fini(assignments *list);

#endif
