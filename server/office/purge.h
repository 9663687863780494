/* purge.h - deleted records are forgotten, once nobody can bring them back by not knowing.
 *
 * Why: a delete is a change that every device has to hear of, so a deleted record stays, with its values and history, until they have. A pool
 * that never forgot would grow for ever and keep what people wanted gone.
 *
 * A record is purged when it was deleted and then left alone for the retention, and every device that was here within it has read past that.
 * What follows it goes along. Row and history go; the id stays in the documents of STORE_PURGED for ever, with that of what it followed: who
 * is erased later takes it along. A mark in the feed of scope `setup`, a row of kind KIND_PURGED, tells the devices (page part `purged`), and
 * goes itself by the same rule.
 *
 * A device that was away for longer has a cursor below purge_seq, and may hold records that are not there any more: its pulls begin anew, and
 * what it sends of purged records goes to review.
 *
 * Invariants:
 *   (1) No device with a cursor at or above purge_seq holds a purged record without a mark above its cursor.
 *   (2) A change of a purged record, or of one that says it follows one, is neither applied nor dropped: it awaits a decision.
 * Thread: the committer's, inside its transaction; purge_seq: a reader's. */
#ifndef SERVER_PURGE_H
#define SERVER_PURGE_H

#include "proto/change.h"
#include "server/pool/pool.h"

typedef struct purge_outcome {
    uint32_t purged;  /**< records in this step */
    uint32_t marks;   /**< marks that everybody has read, forgotten */
    uint32_t waiting; /**< old enough, but a device has not read past them, or something young follows them */
    bool more;        /**< ask again: a step is bounded */
} purge_outcome;

/** One step. Errors: LP_CLOCK the server does not trust its clock, those of the store. */
lp_err purge_step(pool *p, int64_t retention_ms, purge_outcome *outcome, lp_error *error);

/** True if a change set is of a purged record, or follows one. `kind`: of the record's row, 0 if there is none. */
lp_err purge_meets(pool *p, const change_set *set, uint32_t kind, bool *purged_out, lp_error *error);
/** Purged records that followed another, and which. Return false to stop. */
typedef bool (*purge_follower_fn)(void *ctx, const lp_id *id, const lp_id *followed);
/** For erasing; `each` must not call the store. */
lp_err purge_each_follower(pool *p, purge_follower_fn each, void *ctx, lp_error *error);
/** The office wants the record back: its id is like any other again. */
lp_err purge_undo(pool *p, const lp_id *id, lp_error *error);

/** Pulls that began below this seq begin anew. 0: nothing was purged. Needs a snapshot. */
lp_err purge_seq(store_reader *reader, uint64_t *seq_out, lp_error *error);

#endif
