/* shelf.h - a replica in a scratch directory whose rows tests put in by hand, for tests of the reading side: no outbox, no
 * server, no merge. Failures are assertions. */
#ifndef TESTS_SUPPORT_SHELF_H
#define TESTS_SUPPORT_SHELF_H

#include "client/replica/replica.h"

typedef struct shelf {
    char directory[64];
    char path[96];
    replica *r;
    uint32_t records; /**< the next id counts up from here */
    int64_t now_ms;   /**< stamp of the next change; counts up by 1,000 */
} shelf;

void shelf_open(shelf *s);
void shelf_close(shelf *s);

/** A new record of the kind, its fields as pairs of name and typed text, then NULL: shelf_put(&s, "lead", "company", "Acme", NULL).
 *  All its registers share one stamp of author 1. */
lp_id shelf_put(shelf *s, const char *kind, ...);
/** Sets a field under a newer stamp. */
void shelf_set(shelf *s, const lp_id *id, const char *field, const char *text);
/** Sets any register to a value given as msgpack. */
void shelf_set_raw(shelf *s, const lp_id *id, uint32_t number, const char *key, span value);
/** Removes the row, as eviction does. */
void shelf_evict(shelf *s, const lp_id *id);
int64_t shelf_rid(shelf *s, const lp_id *id);
/** Runs SQL without results. */
void shelf_sql(shelf *s, const char *sql);

/** "A,B": the values of `field` of all rows, in order, in `text_out`; frees the rows. */
const char *shelf_values(lp_rows *rows, const char *field, char *text_out, size_t size);

#endif
