/* ledger_files.h - the ledgers as files beside the pool: DIR/erased.ledger, DIR/revoked.ledger and DIR/granted.ledger. Back them up apart from it.
 * Shell: the host's. Thread: one at a time. */
#ifndef SERVER_LEDGER_FILES_H
#define SERVER_LEDGER_FILES_H

#include "server/office/ledger.h"

typedef struct ledger_files {
    ledger port; /**< hand this to the pool */
    char paths[LEDGER_KINDS][4096];
    size_t sizes[LEDGER_KINDS]; /**< bytes of whole lines: what is behind them was torn and is written over */
} ledger_files;

/** Makes the files where they are missing. Errors: LP_IO, LP_FULL, LP_INVALID the name is too long. */
lp_err ledger_files_make(const char *directory, lp_error *error);
/** Opens and checks them; there is nothing to close. `f` must not move afterwards. Errors: LP_NOT_FOUND one is missing: says what to do;
 *  LP_CORRUPT, LP_IO. */
lp_err ledger_files_open(ledger_files *f, const char *directory, lp_error *error);

#endif
