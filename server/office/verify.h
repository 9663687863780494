/* verify.h - is a pool what it says it is? All of it, in one snapshot of a reader: of a server at work, or of a backup.
 *
 * Checked, beside what the engine checks of itself (store.h verify) and the digest of the rows:
 *   (1) history and rows: a register that has a history holds the greatest value of it, and every value of the history has a register;
 *   (2) a conflict names a change that is in the history of the record it is about;
 *   (3) the memory of batches, the devices and their numbers can be read, and every batch's device is known.
 * The first damage ends the check. Thread: the reader's. */
#ifndef SERVER_VERIFY_H
#define SERVER_VERIFY_H

#include "server/pool/pool.h"

/** (1) to (3) alone. Errors: as verify_all. */
lp_err verify_contents(store_reader *reader, store_progress_fn progress, void *ctx, lp_error *error);
/** Errors: LP_CORRUPT naming the damage, LP_CLOSED given up by `progress` (which may be NULL), LP_NOMEM. */
lp_err verify_all(const pool *p, store_reader *reader, store_progress_fn progress, void *ctx, lp_error *error);
/** The same of a database file that nobody serves. *counts_out: what is in it. Errors: also LP_NOT_FOUND, LP_VERSION. */
lp_err verify_file(const char *path, store_progress_fn progress, void *ctx, store_counts *counts_out, lp_error *error);
/** What the verb answers when all is sound: { verified, records, history, seq }. */
void verify_report(const store_counts *counts, buf *out);

#endif
