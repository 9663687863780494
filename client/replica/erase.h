/* erase.h - a person who was erased from the pool leaves this device too: rows, both layers, the outbox, what was refused, past values,
 * quarantine, the search index. What stays is the id, in table `erased`: nothing under it is taken in or written any more.
 *
 * The server may have applied a frozen batch of which a part is erased here, or not: that batch, and those after it, are given up and
 * frozen anew under other numbers. Stamps stay, so what was applied before is applied again without effect.
 *
 * Everything here runs inside the caller's write transaction. */
#ifndef CLIENT_ERASE_H
#define CLIENT_ERASE_H

#include "client/replica/replica.h"

/** Erases a record and what follows it; *known_out: something of it was here. replica_scrub_later after the last of several. */
lp_err erase_record(replica *r, const lp_id *id, bool *known_out, lp_error *error);
/** True if the id was erased. Outside a transaction too. */
lp_err erase_holds(replica *r, const lp_id *id, bool *erased_out, lp_error *error);
/** Refuses a local write to what was erased, or to something that follows it. Errors: LP_DENIED. */
lp_err erase_check_write(replica *r, uint32_t kind, const lp_id *id, const reg *changes, uint32_t count,
                         lp_error *error);

#endif
