/* layers.h - the two layers of a record on a device, and the three things that move them.
 *
 * Server layer: what the pool is known to hold. Visible: the server layer merged with every change made here that the server
 * has not acknowledged. While nothing is unacked they are one and the same.
 *
 *     local write   visible changes; the outbox takes the change
 *     pull          server layer changes; visible follows
 *     settle        the server has judged changes: those applied move into the server layer, the others leave
 *
 * Invariants: (2) and (4) of replica.h. Everything here runs inside the caller's write transaction. */
#ifndef CLIENT_LAYERS_H
#define CLIENT_LAYERS_H

#include "client/replica/replica.h"

/** A record with both layers in memory. Zero-initialise; layers_close frees. */
typedef struct layers {
    int64_t rid; /**< 0: not stored yet */
    bool unsent;
    uint64_t held;  /**< the scopes that hold it (holdings.h) */
    bool held_anew; /**< `held` grew and is not saved yet; if the record was leaving, it is not any more */
    bool apart;     /**< opened by rid: `server` is meaningful whether layered or not */
    bool layered;   /**< `server` differs in kind from visible: something is unacked */
    record visible;
    record server;     /**< meaningful only if layered, or opened by rid */
    span body, stamps; /**< the visible layer as it was loaded */
    buf bytes;         /**< what both borrow from */
    buf unacked;       /**< and what settling added to visible */
} layers;

/** Loads the record `id` into `l`; a record that is not stored comes out empty, of `kind`. */
lp_err layers_open(replica *r, uint32_t kind, const lp_id *id, layers *l, lp_error *error);
/** The same of a record in the outbox; `server` is meaningful whether layered or not. */
/** The same for a record whose changes leave the outbox or move in it: of visible, which layers_settle makes anew, only kind and id. */
lp_err layers_open_rid(replica *r, int64_t rid, layers *l, lp_error *error);
lp_err layers_save(replica *r, layers *l, lp_error *error);
void layers_close(layers *l);

/** Applies what a person did to one record, under `at`: `changes` need field, key and value. Values equal to the present ones make no change.
 *  `*changed_out` counts the changes made. Errors: LP_TOO_LARGE, those of the replica. */
lp_err layers_write(replica *r, layers *l, const reg *changes, uint32_t count, stamp at, uint32_t *changed_out,
                    lp_error *error);

/** Keeps a value that something newer replaces: nothing anybody typed or saw is lost from this device's history. */
lp_err layers_keep_past(replica *r, int64_t rid, const reg *before, lp_error *error);
/** Merges one change that came from the server. `*news_out` says if the visible value changed. */
lp_err layers_pull(replica *r, layers *l, const reg *change, bool *news_out, lp_error *error);

/** Moves an own change into the server layer. Call layers_settle after the last of a record. */
lp_err layers_apply(replica *r, layers *l, const reg *change, lp_error *error);
/** Rebuilds visible from the server layer and what the outbox still holds of the record. `as_seen`: whatever left the outbox went into the
 *  server layer. With nothing more in the outbox, that layer then is what visible was (invariant (2) of replica.h), and nothing
 *  needs rebuilding. */
lp_err layers_settle(replica *r, layers *l, bool as_seen, lp_error *error);
/** Makes visible anew: the server layer and what the outbox holds of the record. Nothing is saved. */
lp_err layers_show(replica *r, layers *l, lp_error *error);
/** Rebuilds visible of a record whose changes in the outbox have new stamps. An own value that is no longer the greatest goes to the
 *  past. */
lp_err layers_rebuild(replica *r, int64_t rid, lp_error *error);

lp_err layers_copy(record *to, const record *from, lp_error *error); /**< the registers; they go on borrowing */

#endif
