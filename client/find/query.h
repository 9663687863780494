/* query.h - reads of one replica: lists, counts, single records, refused changes. Callers hold the replica's lock. */
#ifndef CLIENT_QUERY_H
#define CLIENT_QUERY_H

#include "client/replica/replica.h"

/** lp_list, lp_count, lp_get, lp_refused; contracts as in leadpool.h. */
lp_err query_list(replica *r, const lp_query *query, lp_rows **rows_out, lp_error *error);
lp_err query_count(replica *r, const lp_query *query, uint64_t *count_out, lp_error *error);
lp_err query_get(replica *r, const lp_id *id, lp_record **record_out, lp_error *error);
lp_err query_refused(replica *r, lp_rows **rows_out, lp_error *error);

/** Records made of the registers that `sql` finds: rid, id, kind, unsent, stamp, field, key, value; those of one record follow each other, newest
 *  stamp first. */
lp_err query_registers(replica *r, const char *sql, lp_rows **rows_out, lp_error *error);

#endif
