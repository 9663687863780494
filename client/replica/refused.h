/* refused.h - changes that the server refused: kept with their reason until their author has dealt with them.
 *
 * Three ways out, and a value that was typed is in the record's past after each: writing the field anew, sending the same again, giving it up.
 * Everything here runs inside the caller's write transaction. */
#ifndef CLIENT_REFUSED_H
#define CLIENT_REFUSED_H

#include "client/replica/replica.h"

/** The author writes these registers of a record anew: what was refused of them is past. */
lp_err refused_replaced(replica *r, int64_t rid, const reg *changes, uint32_t count, lp_error *error);

/** Writes a record's refused values again, as changes of now; or gives them up. Transactions of their own.
 *  Errors: LP_NOT_FOUND nothing of it was refused, those of layers_write. */
lp_err refused_resend(replica *r, const lp_id *id, lp_error *error);
lp_err refused_drop(replica *r, const lp_id *id, lp_error *error);

#endif
