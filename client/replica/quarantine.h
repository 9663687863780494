/* quarantine.h - records from the server that could not be taken in: kept as they came, so that nothing is lost and nothing stands still.
 *
 * Why: one record that this version does not understand, or that meets a damaged row, must not hold up all that comes behind it. It is put aside,
 * counted in the status, and tried again when the program has changed; the cursor moves on.
 *
 *   quarantine(qid, id, kind, scope, changes, reason, version, at_ms)   changes: change.h, the sets of one record
 *
 * Everything here runs inside the caller's write transaction. */
#ifndef CLIENT_QUARANTINE_H
#define CLIENT_QUARANTINE_H

#include "client/replica/replica.h"
#include "proto/change.h"

/** True if an error is about what a record says and not about this device. */
bool quarantine_takes(const replica *r, lp_err err);

/** A part of the transaction that may be taken back, with what the replica keeps of it in memory. Nests. */
typedef struct attempt {
    held_scopes scopes;
    hlc clock;
    uint64_t seen;
    bool touched;
} attempt;
lp_err attempt_begin(replica *r, attempt *a, lp_error *error);
lp_err attempt_keep(replica *r, lp_error *error);
lp_err attempt_undo(replica *r, const attempt *a, lp_error *error);

/** Sets of one record, in the making. Zero-initialise; record_sets_fini frees. */
typedef struct record_sets {
    uint32_t kind;
    lp_id id;
    uint32_t count, stamp_count;
    buf stamps, sets;
} record_sets;
void record_sets_add(record_sets *s, const change_set *set);
/** Appends them as change.h has them, byte for byte what the set held. */
void record_sets_put(const record_sets *s, buf *out);
void record_sets_fini(record_sets *s);

/** Puts them aside. */
lp_err quarantine_keep(replica *r, span scope, const record_sets *sets, const lp_error *why, lp_error *error);
/** True if anything is aside. Outside a transaction too. */
lp_err quarantine_any(replica *r, bool *any_out, lp_error *error);

/** What another version put aside, one by one: the first with a qid above `after`. LP_NOT_FOUND (error untouched) at the end. Scope and changes are
 *  appended to the buffers. */
lp_err quarantine_next(replica *r, int64_t after, int64_t *qid_out, buf *scope_out, buf *changes_out, lp_error *error);
/** It was taken in; or it was not, by this version either. */
lp_err quarantine_settle(replica *r, int64_t qid, bool taken, lp_error *error);

#endif
