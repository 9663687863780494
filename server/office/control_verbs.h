/* control_verbs.h - the verbs of control.c that fill a file of their own. Thread: any but the committer's. */
#ifndef SERVER_CONTROL_VERBS_H
#define SERVER_CONTROL_VERBS_H

#include "server/office/control.h"

/** Has the committer carry out a job on `bytes`, a CONTROL message, and waits. Free *job_out in any case. Errors: the job's. */
lp_err control_job(control *c, job_kind kind, span bytes, job **job_out, lp_error *error);
/** Has the committer make an invitation and appends { invitation, expires_at, staff, role }. `request` is the CONTROL message.
 *  Errors: LP_INVALID, those of the committer. */
lp_err control_invite(control *c, span request, span arguments, buf *out, lp_error *error);

/** Compares the digest that was kept commit by commit with that of all rows of the reader's snapshot. Errors: LP_CORRUPT, LP_NOMEM. */
lp_err control_verify_digest(const pool *p, store_reader *reader, lp_error *error);

#endif
