/* rows.h - records of the store in and out of memory, inside the committer's transaction. */
#ifndef SERVER_ROWS_H
#define SERVER_ROWS_H

#include "server/pool/pool.h"

/** The bytes a loaded record borrows from. Zero-initialise; rows_drop frees. */
typedef struct rows_kept {
    buf bytes;
    bool known;       /**< the record is stored */
    scope_set before; /**< the narrow scopes that hold it as it is stored */
    digest delta;     /**< what was merged since added to the digests */
    uint64_t seq;     /**< it was saved with; 0: it was not */
} rows_kept;

/** The feed a kind belongs to; kinds this version does not know belong to the pool. */
scope_class rows_scope(uint32_t kind);

/** What a record follows; false if nothing. */
bool rows_followed(const record *rec, lp_id *id_out);

/** Loads the registers of `rec` (its id is set), and its kind, if it is stored; else leaves it empty. The bytes are copied to `kept`,
 *  because the store's are gone at its next call. */
lp_err rows_load(pool *p, record *rec, rows_kept *kept, lp_error *error);
/** The same without looking which scopes hold it: not for saving. */
lp_err rows_load_bare(pool *p, record *rec, rows_kept *kept, lp_error *error);
/** Takes note of what a merge did: `before` with stamp none if nothing was there, `now` what stands. */
void rows_count(pool *p, const record *rec, rows_kept *kept, scope_class scope, const reg *before, const reg *now);
/** Merges one change, keeping the digest, if it is newer. */
lp_err rows_merge(pool *p, record *rec, rows_kept *kept, scope_class scope, const reg *change, uint64_t seq,
                  lp_error *error);
/** Packs and saves, and moves the record between scopes. `person`: who makes it, if it is new; NULL: the server. */
lp_err rows_save(pool *p, const record *rec, rows_kept *kept, scope_class scope, const lp_id *person, uint64_t seq,
                 lp_error *error);
/** Takes what stands of a record out of the digest: it is about to go. A mark is in none. */
lp_err rows_leave_digest(pool *p, const lp_id *id, lp_error *error);
/** Puts a mark, KIND_ERASED or KIND_PURGED, where a record was: in the feed of scope `setup`, in no digest. */
lp_err rows_put_mark(pool *p, uint32_t kind, const lp_id *id, lp_error *error);
void rows_drop(rows_kept *kept);

#endif
