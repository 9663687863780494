/* search.h - full-text search over leads and their touches.
 *
 * The index is lazy: writes only put a record's rid into `unindexed`, and a search first catches up, so that bootstrapping 100,000
 * leads does not pay for an index nobody has asked yet.
 *
 * Invariants:
 *   (1) A record whose index entry is not what its row says is in `unindexed`.
 *   (2) After search_forget and search_scrub no byte of the record's text is in the index (with secure_delete=ON and the WAL
 *       truncated, none is in the file). */
#ifndef CLIENT_SEARCH_H
#define CLIENT_SEARCH_H

#include "client/replica/replica.h"

/** The index's tables as SQL, for the replica's schema. */
const char *search_schema_sql(void);
/** Gives a connection what reads need, before any use of it: the index's tokenizer, and the functions of filter_register.
 *  Errors: LP_UNSUPPORTED, LP_NOMEM. */
lp_err search_register(sqlite3 *db, lp_error *error);

/** lp_search; catches up first. limit 0: all. */
lp_err search_run(replica *r, const char *text, uint32_t limit, lp_rows **rows_out, lp_error *error);
/** Indexes at most `max_records` waiting records (0: all) in one transaction of its own; *done_out: none is left. Errors: those of the replica. */
lp_err search_catch_up(replica *r, uint32_t max_records, bool *done_out, lp_error *error);

/** Takes a record out of the index at once, in the caller's transaction: it is being evicted or erased. */
lp_err search_forget(replica *r, int64_t rid, lp_error *error);
/** Rewrites the index without what was forgotten, in the caller's transaction. Costs the size of the index: once per eviction,
 *  not per record. */
lp_err search_scrub(replica *r, lp_error *error);

/** The texts of the record that `row` stands on (kind, deleted, id, body, stamps), appended; nothing if it has nothing to find. */
lp_err search_texts(sqlite3_stmt *row, buf *names, buf *other, lp_error *error);

/* search_check.c */

/** Holds the whole index against the records: *sound_out. Errors: LP_NOMEM, LP_IO; damage is none. */
lp_err search_check(replica *r, bool *sound_out, lp_error *error);
/** Throws the index away, in the caller's transaction: searches make it anew. */
lp_err search_remake(replica *r, lp_error *error);

#endif
