/* kept.h - own changes that the server has acknowledged, kept for the day it has lost them.
 *
 * Why: a server restored from a backup lacks what it accepted since. The devices that wrote it bring it back, losers too, with the
 * stamps they had. What is kept is sealed to the pool's key (crypto.h): this device is entitled to it no longer than to the record, so it must not
 * be able to read it either. In the open stand the record's id, for erasing, and the seq the server has it by.
 *
 *   kept(n, id, seq, sealed)
 *   meta "seal.key"     the pool's key, from JOINED; without one nothing is kept
 *   meta "kept.floor"   changes up to this seq may have been forgotten
 *
 * Invariants:
 *   (1) A change leaves the outbox by a verdict and enters here in one transaction, unless it was refused.
 *   (2) What is here above the fork of a new epoch stays until the server has it again.
 * Everything here runs inside the caller's write transaction, but for kept_next and kept_standing. */
#ifndef CLIENT_KEPT_H
#define CLIENT_KEPT_H

#include "client/replica/replica.h"

/** Keeps a list of changes (change.h) of one record. Nothing is kept if the pool has given no key. */
lp_err kept_add(replica *r, const lp_id *id, uint64_t seq, span changes, lp_error *error);
/** No backup that may be restored lacks what is up to `seq`. */
lp_err kept_forget(replica *r, uint64_t seq, lp_error *error);
/** A record was erased. */
lp_err kept_erase(replica *r, const lp_id *id, lp_error *error);

/** True if something of a record was acknowledged in a batch that the pool has above `seq`. */
lp_err kept_above(replica *r, const lp_id *id, uint64_t seq, bool *above_out, lp_error *error);

/** How many seqs above `seq` the entries have: no more batches than that, unless some were taken in one commit. */
lp_err kept_seqs_above(replica *r, uint64_t seq, int64_t *count_out, lp_error *error);

/** The number of the last entry; 0 if there is none. */
lp_err kept_last(replica *r, int64_t *last_out, lp_error *error);
/** Entries after number `after` up to `last` with a seq above `fork`, as REOFFER takes them, at most `most` and about `bytes`. *upto_out: the number of
 *  the last of them. *count_out 0: there are none. */
typedef struct kept_range {
    int64_t after, last;
    uint64_t fork;
    uint32_t most;
    size_t bytes;
} kept_range;
lp_err kept_next(replica *r, const kept_range *range, buf *entries_out, uint32_t *count_out, int64_t *upto_out,
                 lp_error *error);
/** The entries of a range are in the pool again, up to `seq`. */
lp_err kept_returned(replica *r, const kept_range *range, uint64_t seq, lp_error *error);

/** Own values that stand, of records after number `after`: a list of changes of about `bytes`. *upto_out: the last record looked at; 0: there
 *  was none. For a device that has forgotten entries. */
lp_err kept_standing(replica *r, int64_t after, size_t bytes, buf *changes_out, int64_t *upto_out, lp_error *error);

/** True if a stamp of `author` is this device's, under the number it has or one it had. */
bool kept_is_own(const replica *r, uint32_t author);

#endif
