/* rights.h - may this device write to this record? Judged by what its author saw when it was written.
 *
 *   a record in one of the person's scopes        yes
 *   a new lead                                    yes: whoever makes it has it
 *   what follows a record (touch, conflict)       as that record; while that is not there, as a new lead: it may be the author's own,
 *                                                 and come behind, because something of it was written anew
 *   a record that left after the device had read  yes: it was changed in good faith
 *   anything else                                 goes to review, whether it exists or not
 * What a device had read is what it last said (seen.h): too little at worst, never too much. */
#ifndef SERVER_RIGHTS_H
#define SERVER_RIGHTS_H

#include "proto/change.h"
#include "server/pool/access.h"
#include "server/pool/rows.h"

typedef struct rights {
    bool whole; /**< the pool is open to the author: nothing is judged */
    access may;
    uint64_t read_seq; /**< what the device had read */
} rights;

lp_err rights_load(pool *p, const device *d, rights *rights_out, lp_error *error);
/** *why_out becomes REVIEW_OUTSIDE if the set may not be applied. `rec` is the record as it is stored. `r` NULL: everything may. */
lp_err rights_judge(pool *p, const rights *r, const change_set *set, const record *rec, const rows_kept *kept,
                    uint32_t *why_out, lp_error *error);

#endif
