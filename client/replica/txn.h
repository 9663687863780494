/* txn.h - a transaction in memory until it is committed: lp_txn. */
#ifndef CLIENT_TXN_H
#define CLIENT_TXN_H

#include "client/replica/replica.h"

/** `owner` is whoever guards the replica; the core does not look at it. Errors: LP_NOMEM. */
lp_err txn_new(replica *r, void *owner, lp_txn **txn_out, lp_error *error);
void txn_free(lp_txn *t);
void *txn_owner(const lp_txn *t);

/** lp_create, lp_set, lp_set_text, lp_commit; contracts as in leadpool.h. txn_commit does not free. */
lp_err txn_create(lp_txn *t, const char *kind, const lp_id *id, lp_id *id_out, lp_error *error);
lp_err txn_set(lp_txn *t, const lp_id *id, const char *field, const lp_value *value, lp_error *error);
lp_err txn_set_text(lp_txn *t, const lp_id *id, const char *field, const char *text, lp_error *error);
lp_err txn_commit(lp_txn *t, lp_error *error);

/** lp_restore, as one transaction of its own. */
lp_err txn_restore(replica *r, const lp_id *conflict, lp_error *error);

#endif
