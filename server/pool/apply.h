/* apply.h - changes into the pool: validate, merge, number, remember, note conflicts. The heart of the writer.
 *
 * One call applies one change set inside the committer's transaction. In order: load the row; refuse what breaks the schema, change
 * by change; find out what is new; take one seq for what the set brings; merge; append to history; derive conflict records;
 * save. The order of arrival never matters to the result: merge.h decides by stamps, and conflict records are a function of
 * the set of changes.
 *
 * Decided: all changes of one set share one seq. The set is what one person did to one record at one moment; a seq of their own
 * for each field would name an order that nobody made. */
#ifndef SERVER_APPLY_H
#define SERVER_APPLY_H

#include "proto/change.h"
#include "proto/message.h"
#include "proto/page.h"
#include "server/pool/pool.h"

/** How far ahead of the server's time a stamp may be: what a hello tolerates, and as much again for the way here. */
#define APPLY_AHEAD_MS (2 * CLOCK_TOLERANCE_MS)

/** What one batch may cost in `work`; the sets beyond are refused. An honest batch stays far below: ten thousand small edits of
 *  ten thousand leads, each in conflict with somebody's, come to a tenth of it. */
#define APPLY_WORK_MAX (UINT64_C(256) << 20)

/** Who speaks. */
typedef struct apply_author {
    uint32_t device; /**< every stamp of the set must carry it, or a number it had before */
    lp_id person;
    uint32_t review; /**< a review_reason: nothing of it is applied, all of it awaits a decision; 0: judge as usual */
    const struct device *former; /**< who knows its former numbers; NULL: it had none */
    bool
        reoffer; /**< the changes may be in the pool already, in other sets than these; nothing is refused for its stamp */
    const struct rights *rights; /**< what the author may write to (rights.h); NULL: everything */
} apply_author;

/** Verdicts of a batch, gathered: only what was not simply applied. */
typedef struct apply_verdicts {
    buf list;
    uint32_t count;
    uint64_t changed; /**< registers that took a new value */
    uint64_t
        work; /**< bytes of rows and history gone through, and the price of conflicts: bounds what one batch may cost */
    uint64_t refused; /**< verdicts that refuse something */
    uint64_t cloned;  /**< equal stamps with different values met: an alarm */
} apply_verdicts;

/** Applies set number `index` of a device's batch. A refused change is a verdict, not an error. Errors: those of the store, LP_NOMEM,
 *  LP_PROTOCOL for a set that does not read, LP_CLOCK for one from the future, which would win against everybody: the caller undoes the batch. */
lp_err apply_set(pool *p, change_set *set, uint32_t index, const apply_author *author, apply_verdicts *verdicts,
                 lp_error *error);

/** Writes fields of a record in the server's own name, under one new stamp. `regs` need field, key and value. */
lp_err apply_own(pool *p, uint32_t kind, const lp_id *id, const reg *regs, uint32_t count, lp_error *error);

#endif
