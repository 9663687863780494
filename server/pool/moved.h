/* moved.h - the place of changes whose stamps cannot stay: they were accepted while the server's clock was ahead.
 *
 * Why: devices set their stamps by the server's time. What was written while that was ahead would win until that time has really come. So
 * `leadpoold repair-clock` moves such stamps back (repair.h), and so does a restored pool to which they are offered again. Devices know
 * such a change by the stamp it was given, and offer it by that for as long as they keep it; history keeps that stamp behind the base.
 *
 *   bases of an entry    the base; of what was moved or offered again, the stamps it was given, oldest first; 12 bytes each
 *
 * Invariants, for the changes of one record:
 *   (1) A change that is offered again is the one that was moved, however often either happens.
 *   (2) Changes offered from one time in the future keep the order of the stamps their authors gave, in whatever order they are offered.
 *   (3) They are from when the pool was opened, as far as (2) allows: a server that runs does not follow its clock when that is set, so what is
 *       not here was accepted before.
 *   (4) What an author sends is later than what was moved of that author's, and so it is if that is offered after it.
 *   (5) A moved stamp is odd (STAMP_MOVED), and no other change of its author has it.
 * Not kept: the order of two periods in which the clock was ahead, if one was set to a time the other had shown.
 * Thread: the writer's, in a transaction. */
#ifndef SERVER_MOVED_H
#define SERVER_MOVED_H

#include "proto/change.h"
#include "proto/record.h"
#include "server/pool/pool.h"

/** What moved changes are apart, if there is room: so many may be put between two. */
#define MOVED_STEP 4096

struct apply_author;

/** What the author of an entry was looking at. */
stamp moved_base(const store_history *entry);
/** Packs what an entry keeps: its base, the stamps `entry` names (NULL: none), and `from` if its stamp changes from that; STAMP_NONE: it does not. */
void moved_put(buf *out, stamp base, const store_history *entry, stamp from);

/** Gives a set that is offered again the stamp it is known by here; if it is not known and `ahead`, that of its place. *work_io grows by what looking costs. */
lp_err moved_place(pool *p, change_set *set, const struct apply_author *author, bool ahead, uint64_t *work_io,
                   lp_error *error);

/** Gives a set that is pushed a later stamp, if something of its author's in the record was moved to after it. */
lp_err moved_follow(pool *p, change_set *set, const struct apply_author *author, const record *rec, uint64_t *work_io,
                    lp_error *error);

#endif
