/* scopes_parts.h - what the files of the scopes share: scopes.c keeps the list of them, scopes_rule.c says which of them hold a record, and
 * scopes_members.c keeps that beside the rows. Nobody else includes this. */
#ifndef SERVER_SCOPES_PARTS_H
#define SERVER_SCOPES_PARTS_H

#include "server/pool/scopes.h"

#define DEPTH_MAX 4 /* a conflict about a touch of a lead */

lp_err scopes_damaged(lp_error *error);
/** NULL if it is not live. */
pool_scope *scopes_find(const pool *p, span key);

bool scope_set_has(const scope_set *set, uint32_t at);
bool scope_set_equal(const scope_set *a, const scope_set *b);

/** Which scopes hold a record. `maker` NULL: it is looked up if it matters. */
lp_err scopes_of(pool *p, const record *rec, const lp_id *maker, scope_set *set_out, lp_error *error);
/** Who made a record: the person of its first entry in history. */
lp_err scopes_find_maker(pool *p, const lp_id *id, lp_id *person_out, lp_error *error);
/** Adds what holds all that is a person's, if it is live. */
void scopes_put_mine(scope_set *set, const pool *p, const lp_id *person);

/** Notes whom a record follows, if anybody. */
lp_err scopes_note_follower(pool *p, const record *rec, lp_error *error);
/** Puts a record into the scope at this place of the list. */
lp_err scopes_join(pool *p, uint32_t at, const record *rec, uint64_t seq, lp_error *error);

#endif
