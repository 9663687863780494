/* merge.c - who wins; the rule is in merge.h. */
#include "proto/merge.h"

merge_outcome merge_change(record *rec, const reg *change, reg *before_out) {
    bool made;
    reg *stored = record_at(rec, change->field, change->key, &made);
    if (!stored)
        return MERGE_NOMEM;
    if (before_out)
        *before_out = *stored;
    int order = stamp_compare(change->stamp, stored->stamp);
    bool equal = order == 0 && !made;
    if (equal && span_equal(change->value, stored->value))
        return MERGE_SAME;
    if (order < 0)
        return MERGE_LOST;
    /* A tie with another value is decided by the bytes, so that every replica decides alike. */
    if (!equal || span_compare(change->value, stored->value) > 0) {
        stored->value = change->value;
        stored->stamp = change->stamp;
        stored->base = change->base;
        stored->seq = change->seq;
        if (made)
            stored->key = change->key;
    }
    return equal ? MERGE_CLONED : MERGE_APPLIED;
}

bool merge_conflict(const reg *a, const lp_id *person_a, const reg *b, const lp_id *person_b) {
    const reg *lesser = stamp_compare(a->stamp, b->stamp) < 0 ? a : b;
    const reg *greater = lesser == a ? b : a;
    return stamp_compare(greater->base, lesser->stamp) < 0 && !id_equal(person_a, person_b) &&
           !span_equal(a->value, b->value);
}
