/* heal.h - this replica differs from the pool in a scope, though it has read all of it: finding out where, and setting that right.
 *
 * Why: a bit turns over on a disk, a program has a bug. The digests say so at the end of a pull, and then a few small requests (ranges.h,
 * messages.def DIGESTS) narrow the difference down to the records it is about, and these come whole. Nothing has to be read from the beginning, and
 * nobody has to join again.
 *
 *     AUDIT      the kept digests are made anew from the rows: a row that changed by itself shows only then. The past of rows that
 *                are gone goes after them
 *     NARROWING  ranges of ids that cover the scope; those that differ are split, until few records are left
 *     READING    these records, whole: they replace what is here. What the server does not have goes to `recovered`
 *     again, TRIES_MAX times at most between two audits; the last but one reads the scope from its beginning
 *
 * Unsent changes lie above the server layer, and nothing here touches them. An audit of its own is due once a day.
 *
 *   meta "heal.NAME"       tries so far for scope NAME, while it differs
 *   meta "healed"          records set right, ever
 *   meta "audit.last_ms"   by the device's clock
 *
 * Invariants:
 *   (1) Only what the server answered for the very cursor of this replica is compared or taken in.
 *   (2) It ends: after HEAL_TRIES_MAX the scope stays as it is until the next audit, and the status says so.
 *   (3) What is kept between two answers is the ranges: RANGES_MAX of them. */
#ifndef CLIENT_HEAL_H
#define CLIENT_HEAL_H

#include "client/sync/pull.h"
#include "proto/message.h"
#include "proto/ranges.h"

#define HEAL_TRIES_MAX 4
#define HEAL_RECORDS_MAX 64 /**< so few are read at once */
#define HEAL_SPLIT_MAX 16   /**< more ranges than this differ: reading the scope anew is cheaper */

typedef struct heal {
    char scope[SCOPE_NAME_BYTES_MAX + 1];
    bool reading;     /**< asked for records */
    uint64_t seq;     /**< the cursor it was asked for, */
    uint64_t settled; /**< and the last batch that was acknowledged by then */
    uint32_t count;
    id_range ranges[RANGES_MAX];
} heal;

typedef enum heal_step {
    HEAL_NARROWED, /**< ask for `ranges` */
    HEAL_READ,     /**< they came, and the scope is what the server has */
    HEAL_SAME,     /**< no record differs, nor does the digest: it was the digest that was kept wrong here */
    HEAL_SERVERS,  /**< no record differs, but the digest does: the server keeps it wrong */
    HEAL_REREAD,   /**< too much differs: the cursor is gone, and the scope is read from its beginning */
    HEAL_AGAIN,    /**< it moved on meanwhile, or something still differs */
} heal_step;

/** Makes all digests anew if that is due; then tries are counted from 0 again. A transaction of its own, if it is due. */
lp_err heal_audit_due(replica *r, lp_error *error);
/** True if a try for the scope is left. Outside a transaction too. */
bool heal_may_try(replica *r, const char *scope);
/** True if the server was found to be wrong, and not this replica. Outside a transaction too. */
bool heal_blames_server(replica *r, const char *scope);
/** Begins a try: audits, counts it, and makes the first ranges; HEAL_REREAD if this try is to read all. A transaction of its own. */
lp_err heal_begin(replica *r, const char *scope, heal *h, heal_step *step_out, lp_error *error);
/** No more tries: the server does not understand what it is asked. A transaction of its own. */
lp_err heal_give_up(replica *r, const char *scope, lp_error *error);
/** Makes the request: its cursor and ranges, which `cursors` and `ranges` keep. */
lp_err heal_ask(replica *r, heal *h, message *request, buf *cursors, buf *ranges, lp_error *error);
/** What came of an answer. */
typedef struct heal_outcome {
    heal_step step;
    uint64_t healed; /**< records that are others than before; 1 for a digest */
    pull_outcome pulled;
} heal_outcome;
/** Takes a DIGESTED in. In the caller's transaction; call holdings_evict after it. Errors: LP_PROTOCOL, those of the replica. */
lp_err heal_answered(replica *r, heal *h, const message *answer, heal_outcome *outcome_out, lp_error *error);
/** The digests of the scope are the same: tries are counted from 0. In the caller's transaction. */
lp_err heal_is_well(replica *r, const char *scope, lp_error *error);

#endif
