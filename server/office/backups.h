/* backups.h - which backups were made, and what devices may therefore forget.
 *
 * A device keeps its acknowledged changes until no backup that may be restored is without them. The pool notes every backup it has
 * written and checked; those younger than the operator's retention, and the latest in any case, count.
 *
 * A pool that was set back to a copy has to know of that copy: it may be set back to it again. So a backup is noted as begun before
 * it is taken, and holds its own note. What was only begun counts while it is young, and for itself lets nobody forget anything.
 *
 *   meta "backups"         [ seq, made ms, ... ] in order of time
 *   meta "backups.begun"   the same of those that may have been made, here or in a history that this one took the place of */
#ifndef SERVER_BACKUPS_H
#define SERVER_BACKUPS_H

#include "server/pool/pool.h"

#define BACKUPS_NOTED_MAX 512 /**< then the oldest but one goes: what devices keep errs on the long side */

/** Notes that there may be a backup from now on, with no less than everything up to `seq`. In a transaction. */
lp_err backups_begin(pool *p, uint64_t seq, lp_error *error);
/** Notes a backup that was checked and holds everything up to `seq`. In a transaction. */
lp_err backups_note(pool *p, uint64_t seq, lp_error *error);
/** Appends all that a database notes, or nothing if it does not read. In the reader's snapshot. */
void backups_copy(store_reader *reader, buf *list_out);
/** Takes over such a list of the database that this pool's file replaces; the two share their history up to `shared`. In a transaction. */
lp_err backups_adopt(pool *p, span list, uint64_t shared, lp_error *error);
/** No backup that counts is older than this seq; 0 if there is none. In the reader's snapshot. */
lp_err backups_kept_seq(pool *p, store_reader *reader, uint64_t *seq_out, lp_error *error);

#endif
