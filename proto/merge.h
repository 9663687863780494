/* merge.h - who wins.
 *
 * The rule in five sentences. Every change carries a stamp, and a change wins over the stored value of its register if and
 * only if its stamp is greater. Equal stamps carry equal values and bases unless a device was cloned; then the greater bytes win
 * (then the greater base) and the outcome says so. Deleting is a change of the field `deleted` and does not touch the others. The loser is not
 * forgotten: history keeps every change, winner or loser. Two changes of one register by different people with different values, of which the
 * greater did not see the lesser (its base is less than the lesser's stamp), are a conflict, whichever arrived first.
 *
 * Hence merging commutes, associates and may be repeated (I4); tests/property/test_merge.c holds it to that. */
#ifndef PROTO_MERGE_H
#define PROTO_MERGE_H

#include "proto/record.h"

typedef enum merge_outcome {
    MERGE_APPLIED, /**< the change is now the value */
    MERGE_LOST,    /**< a greater stamp was there */
    MERGE_SAME,    /**< this very change was there already */
    MERGE_CLONED, /**< the same stamp with another value or base was there: a cloned device; the greater is now there */
    MERGE_NOMEM,  /**< nothing changed */
} merge_outcome;

/** Merges one change into `rec`. `change->key` and `change->value` are borrowed by the record if it wins.
 *  `change->seq` is stored with it. If `before_out` is not NULL and a register was there, it receives the old one, else a
 *  register with stamp none. Thread: the record's. */
merge_outcome merge_change(record *rec, const reg *change, reg *before_out);

/** True if the two changes of one register conflict. `person` is whoever the author's device belongs to. Order of the two
 *  arguments does not matter. */
bool merge_conflict(const reg *a, const lp_id *person_a, const reg *b, const lp_id *person_b);

#endif
