/* snapshot.h - what reads hand out: owned copies of records (lp_record), lists of them (lp_rows).
 *
 * Invariants:
 *   (1) A snapshot borrows nothing from the replica: it stays as it is whatever is written afterwards.
 *   (2) Every text in it is followed by a NUL. */
#ifndef CLIENT_SNAPSHOT_H
#define CLIENT_SNAPSHOT_H

#include <sqlite3.h>

#include "leadpool/leadpool.h"
#include "proto/record.h"

/** Copies the non-empty registers of `rec`. Ownership: lp_record_free. Errors: LP_NOMEM. */
lp_err snapshot_new(const record *rec, bool unsent, lp_record **record_out, lp_error *error);

/** The columns snapshot_of_row reads, in its order, of table or alias `record`. */
#define SNAPSHOT_COLUMNS "record.id, record.kind, record.unsent, record.body, record.stamps"
/** Copies the row `statement` stands on, its columns from `first` on being SNAPSHOT_COLUMNS. Errors: LP_NOMEM, LP_CORRUPT. */
lp_err snapshot_of_row(sqlite3_stmt *statement, int first, lp_record **record_out, lp_error *error);

/** An empty list. Ownership: lp_rows_free. Errors: LP_NOMEM. */
lp_err rows_new(lp_rows **rows_out, lp_error *error);
/** Appends `row` and owns it from then on, also on failure. Errors: LP_NOMEM. */
lp_err rows_append(lp_rows *rows, lp_record *row, lp_error *error);

#endif
