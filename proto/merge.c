/* merge.c - who wins; the rule is in merge.h. */
#include "proto/merge.h"
#include "proto/bug.h"

/* Order of two changes with the same stamp. A real stamp is given once, so anything but 0 means a cloned device. */
static int tie(const reg *a, const reg *b) {
    int order = span_compare(a->value, b->value);
    return order ? order : stamp_compare(a->base, b->base);
}

merge_outcome merge_change(record *rec, const reg *change, reg *before_out) {
    bool made;
    reg *stored = record_at(rec, change->field, change->key, &made);
    if (!stored)
        return MERGE_NOMEM;
    if (before_out)
        *before_out = *stored;
    int order = stamp_compare(change->stamp, stored->stamp);
    if (order < 0 && !BUG(LAST_ARRIVAL_WINS))
        return MERGE_LOST;
    bool equal = order == 0 && !made;
    int tied = equal ? tie(change, stored) : 1;
    if (tied == 0)
        return MERGE_SAME;
    if (tied > 0) {
        stored->value = change->value;
        stored->stamp = change->stamp;
        stored->base = change->base;
        stored->seq = change->seq;
        stored->uncertain = change->uncertain;
    }
    return equal ? MERGE_CLONED : MERGE_APPLIED;
}

bool merge_conflict(const reg *a, const lp_id *person_a, const reg *b, const lp_id *person_b) {
    int order = stamp_compare(a->stamp, b->stamp);
    const reg *lesser = order < 0 || (order == 0 && tie(a, b) < 0) ? a : b;
    const reg *greater = lesser == a ? b : a;
    return stamp_compare(greater->base, lesser->stamp) < 0 && !id_equal(person_a, person_b) &&
           !span_equal(a->value, b->value);
}
