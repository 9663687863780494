/* doctor.h - is a replica what replica.h and outbox.h say it is? And what of it can be put right here.
 *
 * Invariants:
 *   (1) Checking writes nothing.
 *   (2) Repairing changes only what follows from something else in the file: columns, what is visible, digests, index. What nothing
 *       else tells is read again from the server: the cursors are forgotten.
 *   (3) No unsent or refused change is removed or altered.
 * Thread: one at a time; the process lock is held throughout. */
#ifndef CLIENT_DOCTOR_H
#define CLIENT_DOCTOR_H

#include "client/replica/replica.h"

typedef struct doctor {
    replica *r;
    void (*each)(void *ctx, const lp_finding *finding);
    void *ctx;
    lp_checkup *checkup;
    uint64_t repairable;                           /**< of the findings */
    bool columns, visible, index, reindex, reread; /**< what there is to repair */
    digest sums[HELD_SCOPES_MAX];                  /**< of the server layers as they are, by number of the scope */
} doctor;

/** Everything, in one snapshot, telling d->each. Errors: LP_NOMEM, LP_IO: the check could not be made; findings are none. */
lp_err doctor_check(doctor *d, lp_error *error);
/** Puts right what doctor_check found repairable, in one transaction. Errors: those of the replica: nothing was changed. */
lp_err doctor_repair(doctor *d, lp_error *error);

/** Reports a finding. `repairable`: doctor_repair will see to it. */
void doctor_found(doctor *d, const char *area, bool repairable, const char *advice, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/** Reports what is sound, and waits for somebody to do something about it. */
void doctor_waits(doctor *d, const char *area, const char *advice, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** A statement could not be run to its end because the file is damaged there; other errors are returned. */
lp_err doctor_unreadable(doctor *d, const char *area, lp_error *error);

/* doctor_records.c, doctor_outbox.c, doctor_waiting.c */
lp_err doctor_records(doctor *d, lp_error *error);
lp_err doctor_outbox(doctor *d, lp_error *error);
lp_err doctor_waiting(doctor *d, lp_error *error);

#define ADVICE_REPAIR "run leadpool doctor --repair"
#define ADVICE_RESCUE "run leadpool doctor --rescue FILE, and use the new file"

#endif
