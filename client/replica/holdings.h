/* holdings.h - which scopes hold which record, and what happens to a record that no scope holds any more.
 *
 * A scope has a number on this device (table scope); bit 1 << number of record.held says that the scope holds the record. The digest
 * of a scope is the sum over the server layers of the records it holds.
 *
 *     page brings or names a record      the scope holds it
 *     new epoch, acknowledged and not pulled yet     held by the scope that is read last, until that is read anew
 *     page says it left; sweep; grant lost     the scope holds it no more. Held by none it is leaving (table leaving)
 *     leaving, nothing of it unsent      evicted: row, past, index, and the bytes in the file
 *     leaving, changes unsent            stays for them alone, and is evicted by the transaction that stores the last verdict
 *     acknowledged, and held by none when all scopes are read past that     leaving (unpulled.h)
 *     sent for review alone, and then a later change of it stands     leaves no more; a page tells who holds it
 *
 * A pull that begins at the scope's beginning is a re-read: what came is noted (table came), and at its end what was held and did not come
 * is swept. Both survive a crash, so a re-read may take many connections.
 *
 * Invariants:
 *   (1) A scope's digest is the sum over the server layers of exactly the records whose bit is set.
 *   (2) A record is in `leaving` only if no scope holds it.
 *   (3) After holdings_evict no record is in `leaving` but those with unsent changes.
 * Everything here runs inside the caller's write transaction. */
#ifndef CLIENT_HOLDINGS_H
#define CLIENT_HOLDINGS_H

#include "client/replica/layers.h"
#include "proto/page.h"

/** Reads the scopes, when a transaction begins. */
lp_err holdings_load(replica *r, lp_error *error);
/** Writes what changed of them, before it commits. */
lp_err holdings_store(replica *r, lp_error *error);

held_scope *holdings_find(replica *r, span name); /**< NULL if this device does not hold the scope */
/** A scope that was granted, or the one of that name. Who calls has seen to it that there are not too many, and that the name is one. */
held_scope *holdings_open_scope(replica *r, span name);
/** A scope that was lost: it holds nothing any more, and is forgotten. */
lp_err holdings_close_scope(replica *r, held_scope *scope, lp_error *error);

/** `scope` holds the record from now on, with all that its server layer has. The caller saves the layers. */
void holdings_hold(replica *r, held_scope *scope, layers *l);
/** The record joined a scope, and everything of it is here; unknown ids are left alone. Saves. */
lp_err holdings_join(replica *r, held_scope *scope, const lp_id *id, lp_error *error);
/** The scope `pool` holds a record as soon as the server has anything of it; no page says so. Call it before
 *  that moves into the server layer. */
lp_err holdings_hold_pool(replica *r, layers *l, lp_error *error);
/** The pool was opened: a first batch may have been acknowledged before the server said which scopes there are. */
lp_err holdings_hold_acknowledged(replica *r, held_scope *pool, lp_error *error);
/** `scope` holds, until it is read anew, what was acknowledged and no scope holds yet; `*held_out`: there was something. */
lp_err holdings_hold_unpulled(replica *r, held_scope *scope, bool *held_out, lp_error *error);
/** Adds a register of the server layer to all sums that hold the record, or takes it out. */
void holdings_count(replica *r, const layers *l, const reg *added, const reg *removed);

/** Takes a record that is about to be removed out of the sums of `held`. */
void holdings_forget(replica *r, uint64_t held, const record *server);

/** A record that no scope holds: it leaves as soon as nothing of it is unsent. */
lp_err holdings_let_go(replica *r, int64_t rid, lp_error *error);
/** The same for all records that the server has something of and no scope holds. */
lp_err holdings_let_go_unheld(replica *r, lp_error *error);
/** It does not leave after all: the server has taken something of it, and will tell who holds it. */
lp_err holdings_keep(replica *r, int64_t rid, lp_error *error);
/** `scope` holds a record no more; unknown ids are left alone. */
lp_err holdings_release(replica *r, held_scope *scope, const lp_id *id, lp_error *error);

/** The same, and what the record's server layer had is told to replica.gone. */
lp_err holdings_withdraw(replica *r, held_scope *scope, const lp_id *id, lp_error *error);
/** What the next re-read of the scope does not bring is told to replica.gone. */
lp_err holdings_doubt(replica *r, held_scope *scope, lp_error *error);

/** A re-read begins. `anew`: what came of an unfinished one does not count. */
lp_err holdings_begin_reading(replica *r, held_scope *scope, bool anew, bool new_epoch, lp_error *error);
/** A record came, or was made here and reached the server, while scopes are re-read. */
lp_err holdings_note_came(replica *r, held_scope *scope, int64_t rid, lp_error *error);
/** It ends: what the scope held and did not come is swept. */
lp_err holdings_end_reading(replica *r, held_scope *scope, lp_error *error);

/** Evicts what is leaving and has nothing unsent. At the end of every transaction in which something left or was judged. */
lp_err holdings_evict(replica *r, uint64_t *evicted_out, lp_error *error);

#endif
