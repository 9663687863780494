/* conflicts.h - conflict records, derived from history.
 *
 * A conflict is a pair of changes l < w of one register that merge_conflict says did not see each other. There is one record
 * per overwritten l: its id is derived from (record, register, l's stamp); what it says of l is stamped with l's stamp, and what it
 * says of the winner with w's. So the ordinary merge keeps the greatest w, any order of arrival gives the same records, and
 * they sync like everything else. `resolved` is a person's to set. */
#ifndef SERVER_CONFLICTS_H
#define SERVER_CONFLICTS_H

#include "server/pool.h"

/** Compares a change that is about to be stored with the record's history and writes the conflict records that follow. In the
 *  committer's transaction, before the change is appended. */
lp_err conflicts_note(pool *p, uint32_t kind, const lp_id *id, const reg *change, const lp_id *person, lp_error *error);

#endif
