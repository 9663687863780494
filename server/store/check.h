/* check.h - the checks a stored row must pass, the same on every engine. */
#ifndef SERVER_STORE_CHECK_H
#define SERVER_STORE_CHECK_H

#include "server/store/store.h"

/** Unpacks the row and holds it against its own columns and the pool's last seq. `scratch` is an initialised record to
 *  unpack into; it borrows from the row afterwards. Errors: LP_CORRUPT naming the record, LP_NOMEM. */
lp_err check_row(const store_row *row, uint64_t last_seq, record *scratch, lp_error *error);

#endif
