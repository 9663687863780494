/* backups.h - which backups were made, and what devices may therefore forget.
 *
 * A device keeps its acknowledged changes until no backup that may be restored is without them. The pool notes every backup it has
 * written and checked; those younger than the operator's retention, and the latest in any case, count.
 *
 *   meta "backups"   [ seq, made ms, ... ] in order of time */
#ifndef SERVER_BACKUPS_H
#define SERVER_BACKUPS_H

#include "server/pool.h"

#define BACKUPS_NOTED_MAX 512 /**< then the oldest but one goes: what devices keep errs on the long side */

/** Notes a backup that holds everything up to `seq`. In a transaction. */
lp_err backups_note(pool *p, uint64_t seq, lp_error *error);
/** No backup that counts is older than this seq; 0 if there is none. In the reader's snapshot. */
lp_err backups_kept_seq(pool *p, store_reader *reader, uint64_t *seq_out, lp_error *error);

#endif
