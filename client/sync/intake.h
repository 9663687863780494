/* intake.h - the records of a page, into the replica: merged, or replaced where they come whole. What cannot be taken in is put into quarantine
 * by itself, so that one record never holds up the others. */
#ifndef CLIENT_INTAKE_H
#define CLIENT_INTAKE_H

#include "client/sync/pull.h"

/** Takes in `changes` (change.h), of records that `scope` holds from now on; those in `whole` (ids, in the same order), and all while the
 *  scope is read again, replace what the server layer had. In the caller's write transaction. Counts in `outcome`. Errors: LP_PROTOCOL, those of the
 *  replica. */
lp_err intake_take(replica *r, held_scope *scope, span whole, span changes, pull_outcome *outcome, lp_error *error);

/** The same, but all of them replace what the server layer had, and what it had and did not come is told to replica.gone. */
lp_err intake_replace(replica *r, held_scope *scope, span changes, pull_outcome *outcome, lp_error *error);

/** Tries again what another version of the program put aside. A transaction of its own, if there is anything. */
lp_err intake_retry(replica *r, lp_error *error);

#endif
