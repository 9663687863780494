/* review.h - changes that await a person's decision: kept whole, neither applied nor refused.
 *
 * Why: some changes are made in good faith by somebody who may not make them any more, or to something that is not there any more. To
 * apply them would be wrong, to drop them would lose what was typed. The verdict is `received`; the office decides.
 *
 *   review   key 1, number 8, big-endian   [ device, person, why, at ms, kind, record id, stamp, base, skew ms, packed fields, field count ]
 *            key 2, 16 bytes of a hash     number, so that the same change sent again is kept once
 *   meta     "review.next"                 the next number
 *
 * Accepting writes the values under a stamp of the server's own, as of now: what the office decides is what stands, on its author's device
 * too. History names the author as the person behind it. Rejecting removes the entry. Either is done once.
 * Thread: the committer's; everything runs inside its transaction. */
#ifndef SERVER_REVIEW_H
#define SERVER_REVIEW_H

#include "server/pool/apply.h"

typedef enum review_reason {
    REVIEW_OUTSIDE = 1,   /**< a record outside the author's scopes */
    REVIEW_PURGED = 2,    /**< a record that was deleted and purged */
    REVIEW_REVOKED = 3,   /**< the device is revoked */
    REVIEW_RECOVERED = 4, /**< a value that a restored server lost and another's device still had */
    REVIEW_REFUSED =
        5, /**< offered again to a restored server, which may not take it now; its author is not asked any more */
} review_reason;

/** "outside", "purged", "revoked", "recovered", "refused"; "" for anything else. Static storage. */
const char *review_reason_name(review_reason why);

/** Keeps a change set for a decision. The same set of the same author again is kept once. Give VERDICT_RECEIVED for it.
 *  Errors: LP_PROTOCOL the set does not read, those of the store. */
lp_err review_put(pool *p, const apply_author *author, const change_set *set, review_reason why, lp_error *error);

/** One entry. Borrows the document it was read from. */
typedef struct review_entry {
    uint64_t number;
    uint32_t device;
    lp_id person;
    review_reason why;
    int64_t at_ms; /**< when it was received, UTC ms */
    change_set set;
} review_entry;

/** Called for each entry, oldest first; false ends the walk. */
typedef bool (*review_fn)(void *ctx, const review_entry *entry);
lp_err review_each(pool *p, review_fn each, void *ctx, lp_error *error);

/** Applies entry `number`, or drops it. Errors: LP_NOT_FOUND, LP_REFUSED the change breaks a rule: it stays and can be rejected. */
lp_err review_accept(pool *p, uint64_t number, lp_error *error);
lp_err review_reject(pool *p, uint64_t number, lp_error *error);
/** Drops every entry of a record: it was erased. */
lp_err review_forget(pool *p, const lp_id *id, lp_error *error);

#endif
