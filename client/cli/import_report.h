/* import_report.h - what an import says afterwards: a summary, the first errors, and files with the outcome of every row. */
#ifndef CLIENT_CLI_IMPORT_REPORT_H
#define CLIENT_CLI_IMPORT_REPORT_H

#include "client/cli/import_rows.h"

/** Names the first error rows on stderr. */
void import_report_errors(const import_job *job);
/** Prints how many rows had each outcome; of a dry run also which column goes where. */
void import_report_summary(const import_job *job, const uint32_t counts[OUTCOME_COUNT]);
/** Writes the error rows, fit to be corrected and imported, to the file `errors`, and the outcome of every row to `report`; NULL: not.
 *  Errors: LP_IO, LP_FULL. */
lp_err import_report_write(const import_job *job, const char *errors, const char *report, lp_error *error);

#endif
