/* outbox.h - changes made here that the server has not acknowledged yet.
 *
 * Why: a write must succeed with the network down, and must reach the server exactly as if it had been sent at once. The
 * queue lives in the replica's own file, so "written" and "queued" commit together.
 *
 * An entry is what one transaction did to one record on one base. Freezing cuts the next entries off as a numbered batch;
 * a frozen batch never changes, so that sending it again sends the same bytes (wire: change.h).
 *
 * Invariants:
 *   (1) A change is in the outbox if and only if it is local and unacknowledged.
 *   (2) The order of the outbox is the order of commit; every frozen entry stands before every unfrozen one.
 *   (3) A new change of a register takes the place of the unfrozen ones, with the base of the first: there is at most one, but for
 *       those whose batches were given up.
 *   (4) Settling a batch twice is harmless.
 * Everything here runs inside the caller's write transaction unless said otherwise. */
#ifndef CLIENT_OUTBOX_H
#define CLIENT_OUTBOX_H

#include "client/replica/replica.h"

#define OUTBOX_BATCH_BYTES (256 * 1024) /**< of the largest batch, but for one of a single entry */

/** What its author made changes of one record under. */
typedef struct outbox_made {
    stamp at;
    uint64_t seen; /**< greatest hybrid time of others' stamps on the record, as its author saw it */
} outbox_made;
/** Appends changes of one record, one entry per base, in the transaction that took their stamp. Puts them into another order. */
lp_err outbox_add(replica *r, int64_t rid, const outbox_made *made, reg *changes, uint32_t count, lp_error *error);
/** Takes the registers in `changes` out of the record's unfrozen entries; their bases become those of the new changes. */
lp_err outbox_coalesce(replica *r, int64_t rid, reg *changes, uint32_t count, lp_error *error);

/** Calls `each` for every change the outbox holds of a record, oldest first. Keys and values borrow from `bytes_out`, which has to be
 *  empty and must then outlive them. */
lp_err outbox_each(replica *r, int64_t rid, buf *bytes_out,
                   lp_err (*each)(void *ctx, const reg *change, lp_error *error), void *ctx, lp_error *error);

/** Freezes the next entries as a batch, which ends before the entry that would take it past `bytes_max` (at most OUTBOX_BATCH_BYTES);
 *  *number_out is 0 if there are none. */
lp_err outbox_freeze(replica *r, size_t bytes_max, uint64_t *number_out, lp_error *error);
/** Size of the first frozen batch, and how many entries it could be split into; 0 and 0 if there is none. Outside a transaction too. */
lp_err outbox_first_size(replica *r, size_t *bytes_out, uint32_t *entries_out, lp_error *error);
/** The first frozen batch with a number above `after`; 0 if there is none. Outside a transaction too. */
lp_err outbox_next_batch(replica *r, uint64_t after, uint64_t *number_out, lp_error *error);
/** The batch before `number` that the server has to hold, acknowledged or not: one that was set back does not, and must not hide that by taking
 *  this one. 0 if there is none. Outside a transaction too. */
lp_err outbox_batch_before(replica *r, uint64_t number, uint64_t *before_out, lp_error *error);
/** How many numbers right before `number` this replica gave up: they are neither frozen, nor settled, nor gone with an erased record.
 *  `before` as outbox_batch_before has it. Outside a transaction too. */
uint64_t outbox_given_up(replica *r, uint64_t number, uint64_t before);
/** The batches with changes of a record, and those behind them, are frozen no more: it is being erased. The server may hold them. */
lp_err outbox_thaw(replica *r, int64_t rid, lp_error *error);
/** Appends a frozen batch's changes (change.h) to `out`. *count_out: changes in it. Outside a transaction too. LP_NOT_FOUND (error
 *  untouched) if it was settled. */
lp_err outbox_encode(replica *r, uint64_t number, buf *out, uint64_t *count_out, lp_error *error);

/** What became of a batch. */
typedef struct outbox_outcome {
    uint64_t pushed, lost, refused, received;
    lp_id refused_id; /**< a record with a refused change; nil if none */
} outbox_outcome;
/** Carries out the server's verdicts (page.h) on a batch and removes it; what was not refused is kept (kept.h): the pool has it up to `seq`. An unknown batch is left alone: it was settled before. */
lp_err outbox_settle(replica *r, uint64_t number, span verdicts, uint64_t seq, outbox_outcome *outcome_out,
                     lp_error *error);

/** Why stamps are given anew; the number of times is kept in meta "clock.corrections". */
typedef enum outbox_reason {
    RESTAMP_ESTIMATE, /**< more is known about when the changes were made (clock.h) */
    RESTAMP_AHEAD, /**< the server says that stamps are ahead of its time: whatever made them so is not there any more */
} outbox_reason;
/** Unfreezes every batch above `high` and gives all that is unfrozen new stamps by what is known of its time now, bases that name them
 *  included, keeping their order. None passes the present but for the sake of what its author had seen. */
lp_err outbox_restamp(replica *r, uint64_t high, outbox_reason why, lp_error *error);

/** Highest batch number the server has acknowledged under this device's number. Outside a transaction too. */
uint64_t outbox_last_settled(replica *r);
/** Highest batch number ever frozen. Outside a transaction too. */
lp_err outbox_last_batch(replica *r, uint64_t *number_out, lp_error *error);
/** True if the outbox is known to be empty. While it is not, be it another process's, the server may hold what this end does not know to be there
 *  yet: a batch on its way, or one that was given up. Outside a transaction too. */
bool outbox_is_empty(replica *r);
/** True if something waits to be frozen. Outside a transaction too. */
lp_err outbox_unfrozen(replica *r, bool *waiting_out, lp_error *error);

#endif
