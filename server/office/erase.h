/* erase.h - a person leaves the pool for good.
 *
 * Why: people have a right to it. It is no delete: a delete merges like any other change, is undone by a newer one, and leaves the values
 * where they are. Erasing outranks every stamp and is absorbing.
 *
 * What stands of an erased record is a row of kind KIND_ERASED in the feed of scope `setup`, which every device reads: that it was, and
 * no more. It counts in no digest. Pages name its id in `erased`.
 *
 * Invariants:
 *   (1) Values, keys and history of an erased record, and of what follows it, are in no row, document, or, once the store is scrubbed, file.
 *   (2) A change of an erased record, or of one that follows it, is acknowledged and dropped.
 *   (3) The ledger knows of it before the store does.
 * Thread: the committer's; everything runs inside its transaction. */
#ifndef SERVER_ERASE_H
#define SERVER_ERASE_H

#include "proto/change.h"
#include "server/pool/pool.h"

/** Erases a lead and what follows it; *count_out: records in all, 0 if it was erased before. Writes the ledger first.
 *  Errors: LP_NOT_FOUND nothing is known of the id, LP_INVALID it is no lead, those of ledger and store. */
lp_err erase_lead(pool *p, const lp_id *lead, uint32_t *count_out, lp_error *error);
/** Erases what the ledger names and the store still holds: after a restore. */
lp_err erase_replay(pool *p, uint32_t *count_out, lp_error *error);

/** True if a change set has to be dropped: its record (`rec`, as loaded) was erased, or the set says it follows one that was. A record that is
 *  new with the set is erased along; one that stands stays as it is, or anybody could have it erased. */
lp_err erase_absorbs(pool *p, const change_set *set, const record *rec, bool *absorbed_out, lp_error *error);

/** The record that a set says its own follows; false if it does not say. */
bool erase_names_followed(const change_set *set, lp_id *followed_out);

#endif
