/* import_rows.h - the rows of a sheet become leads, in batches, each row with an outcome.
 *
 * Invariants:
 *   (1) A row is stored whole or not at all, and its outcome says which.
 *   (2) A record that exists is filled, not overwritten: a value that was ever set or cleared here stays, unless the person asked for
 *       an update. So importing a file again never undoes an edit made since.
 *   (3) Stopping anywhere is harmless: importing again goes on where it stopped. */
#ifndef CLIENT_CLI_IMPORT_ROWS_H
#define CLIENT_CLI_IMPORT_ROWS_H

#include "client/cli/cli.h"
#include "client/cli/import_map.h"

typedef enum outcome { OUTCOME_SKIPPED = 0, OUTCOME_CREATED, OUTCOME_UPDATED, OUTCOME_ERROR, OUTCOME_COUNT } outcome;

typedef struct row_result {
    outcome outcome;
    char *reason; /**< of an error, or of a skip that is worth a word; else NULL */
} row_result;

typedef struct import_job {
    cli *cli;
    const sheet *sheet;
    const import_map *map;
    const lp_id *ids;    /**< of each row */
    const char *source;  /**< of new leads whose row names none; may be NULL */
    bool update;         /**< overwrite what differs */
    bool dry_run;        /**< store nothing */
    row_result *results; /**< of each row; reasons are the caller's to free */
} import_job;

/** Imports all rows. Errors: LP_FULL, LP_IO, LP_BUSY, LP_CORRUPT, LP_NOMEM: the batches before stay stored. A row that cannot be stored
 *  is its own outcome and no error. */
lp_err import_rows(import_job *job, lp_error *error);

#endif
