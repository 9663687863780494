/* scopes.h - which records belong to which narrow scope, kept as memberships beside the rows.
 *
 * `setup` and `pool` hold whole kinds, and the feeds of the store serve them. A narrow scope holds leads by what they say, and with a lead
 * what follows it (touches, conflicts):
 *     mine of a person   leads whose `owner` is that person's name; while it was never set, leads that person made
 *     event:CODE         leads whose `event` is CODE
 * Only scopes that somebody was granted are kept: a pool whose devices all hold `pool` pays nothing. A scope that is opened later is filled
 * from the rows.
 *
 *   scope         key "mine:" person id, or "event:" code   [ number, digest ]
 *   member        key scope number 4, record id 16          [ seq in, seq out, seq last ]; seq out 0: it is in
 *   member feed   key scope number 4, seq last 8            record id
 *   follower      key followed id 16, follower id 16        1; kept while there are scopes
 *
 * Invariants:
 *   (1) A record is in a scope if and only if the rule above says so of the stored rows.
 *   (2) Whatever changes of a record or its membership moves seq last to a seq of that transaction, which no other member has.
 *   (3) A scope's digest is the sum over the records in it.
 * Thread: the committer's, inside its transaction; scopes_read_*: any. */
#ifndef SERVER_SCOPES_H
#define SERVER_SCOPES_H

#include "server/pool/pool.h"

#define SCOPE_FIRST_NUMBER 16u /**< below are the classes of schema.h */

typedef struct scope_member {
    uint64_t seq_in, seq_out, seq_last;
} scope_member;

/* ---- the scopes ---- */

lp_err scopes_load(pool *p, lp_error *error); /**< when the writer's part is read anew */
lp_err scopes_save(pool *p, lp_error *error); /**< before a commit */
void scopes_free(pool_scopes *s);
/** A copy of the list as it stands, to go back to when a savepoint is undone. */
lp_err scopes_copy(const pool_scopes *from, pool_scopes *to, lp_error *error);

/** Appends the key of a scope of this name for a person; false if it is no narrow scope. */
bool scopes_key(span name, const lp_id *person, buf *key_out);
/** Makes a scope live and fills it, if it is not. */
lp_err scopes_open(pool *p, span key, lp_error *error);
/** Its number; 0 if it is not live. */
uint32_t scopes_number(const pool *p, span key);

/* ---- records ---- */

/** Which scopes hold a record, as it is stored; part of loading it. */
lp_err scopes_of_stored(pool *p, const record *rec, scope_set *set_out, lp_error *error);
/** A record was saved with `seq`. `before`: the scopes that held it; `known`: it was stored before; `delta`: what its registers added to digests;
 *  `person`: who made it, if it was not known. Moves what follows it as well. */
lp_err scopes_moved(pool *p, const record *rec, const scope_set *before, bool known, digest delta, const lp_id *person,
                    uint64_t seq, lp_error *error);
/** A record is about to be removed: it leaves its scopes. */
lp_err scopes_forget(pool *p, const record *rec, const scope_set *held, lp_error *error);
/** LP_NOT_FOUND if it never was a member. */
lp_err scopes_member(pool *p, uint32_t number, const lp_id *id, scope_member *member_out, lp_error *error);

/* ---- reading ---- */

/** LP_NOT_FOUND if the scope is not live. */
lp_err scopes_read(store_reader *reader, span key, uint32_t *number_out, digest *digest_out, lp_error *error);
lp_err scopes_read_member(store_reader *reader, uint32_t number, const lp_id *id, scope_member *member_out,
                          lp_error *error);
/** Ids of members whose seq last is above `after`, in that order. False stops. */
typedef bool (*scope_member_fn)(void *ctx, const lp_id *id, uint64_t seq_last);
lp_err scopes_read_feed(store_reader *reader, uint32_t number, uint64_t after, scope_member_fn each, void *ctx,
                        lp_error *error);

#endif
