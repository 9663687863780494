/* conflicts.h - conflict records, derived from history.
 *
 * A conflict is a pair of changes l < w of one register that merge_conflict says did not see each other. There is one record
 * per overwritten l: its id is derived from (record, register, l's stamp); what it says of l is stamped with l's stamp, and what it
 * says of the winner with w's. So the ordinary merge keeps the greatest w, any order of arrival gives the same records, and
 * they sync like everything else. `resolved` is a person's to set. */
#ifndef SERVER_CONFLICTS_H
#define SERVER_CONFLICTS_H

#include "server/pool/pool.h"

/** Compares changes that are about to be stored in `rec` (in ascending order of register, of one set) with the record's history and writes
 *  the conflict records that follow. In the committer's transaction, before the changes are appended. `work` grows by what it cost. */
lp_err conflicts_note(pool *p, const record *rec, const reg *changes, uint32_t count, const lp_id *person,
                      uint64_t *work, lp_error *error);

/** The id of the conflict in which a change of a record lost: `lost` needs field, key and stamp. */
lp_id conflicts_id(const pool *p, const lp_id *record_id, const reg *lost);

#endif
