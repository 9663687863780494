/* history.h - the story of one record as this device knows it: what stands, what was replaced, what was refused. */
#ifndef CLIENT_HISTORY_H
#define CLIENT_HISTORY_H

#include "client/replica/replica.h"

/** lp_history. */
lp_err history_list(replica *r, const lp_id *id, lp_log **log_out, lp_error *error);

#endif
