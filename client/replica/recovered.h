/* recovered.h - values that the server had, as far as this replica knew, and has no more: of others, and own ones that did not stand when they were
 * offered again.
 *
 * Why: a restored server lacks what was accepted after the backup. Who wrote it brings it back; until then, or if that device never comes
 * again, this replica may hold the only copy. It is not the pool's any more, so it leaves the records, but not without a trace: it
 * is listed here, and its person may hand it to the office.
 *
 *   recovered(id, kind, field, key, value, stamp, at_ms, sending)     sending: 0 listed, else the number of the send that took it
 *
 * An entry goes when its register has that stamp, or a greater one, again; when it was sent; when the record is erased. */
#ifndef CLIENT_RECOVERED_H
#define CLIENT_RECOVERED_H

#include "client/replica/replica.h"

/** Keeps a register that left the server layer. In the caller's transaction. */
lp_err recovered_keep(replica *r, uint32_t kind, const lp_id *id, const reg *value, lp_error *error);
/** Removes what came back. A transaction of its own, if there is anything to look at. */
lp_err recovered_prune(replica *r, lp_error *error);

/** lp_recovered, lp_recovered_send, lp_recovered_drop; contracts as in leadpool.h. */
lp_err recovered_list(replica *r, lp_rows **rows_out, lp_error *error);
lp_err recovered_send(replica *r, const lp_id *id, lp_error *error);
lp_err recovered_drop(replica *r, const lp_id *id, lp_error *error);

/** What one send has marked: a list of changes for REOFFER. *sending_out is its number; 0: nothing is to be sent. Outside a transaction too. */
lp_err recovered_to_send(replica *r, buf *changes_out, int64_t *sending_out, lp_error *error);
/** It was taken: it goes. In the caller's transaction. */
lp_err recovered_sent(replica *r, int64_t sending, lp_error *error);

#endif
