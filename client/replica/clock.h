/* clock.h - what time it is at the server, as far as this device can tell, and when its changes were made.
 *
 * A device's wall clock may be wrong, and may jump. Within a boot, time is therefore told by the time since boot, which does neither; what
 * that is in the server's time is learnt from contacts: moments at which the server said what time it was. Between two contacts of a boot
 * server time is interpolated, beyond them it goes on at the same pace: a quartz strays by 50 ppm at most.
 *
 *   boot(number, id, offset_ms)     the boots this replica was written in, in order; time since boot + offset_ms is the estimate
 *   contact(boot, boot_ms, server_ms, error_ms, oseq)    oseq: the newest entry of the outbox at that moment
 *
 * Nothing is known of a boot without contact but that it lies between the contacts around it. Its changes keep their order, and are
 * marked `uncertain` when they are frozen into a batch.
 *
 * Invariants:
 *   (1) Within a boot the estimate does not follow the wall clock; only a contact moves it.
 *   (2) The first estimate of a boot is not before the last contact.
 *   (3) Contacts ascend: one that contradicts older ones removes them, for the server was wrong then, and has been set right.
 *   (4) A stamp far ahead of the estimate, because somebody's value is, leaves the device's other stamps alone.
 * Everything here runs inside the caller's write transaction unless said otherwise. */
#ifndef CLIENT_CLOCK_H
#define CLIENT_CLOCK_H

#include "client/replica/replica.h"

/** Server time by the estimate, UTC ms, 0 to STAMP_MS_MAX. Outside a transaction too. */
int64_t clock_now_ms(replica *r);

/** When this transaction happens, as every change in the outbox keeps it. The first of a transaction says so for all of it. */
lp_err clock_mark_now(replica *r, clock_mark *mark_out, lp_error *error);

/** The stamp of this transaction: later than `seen`, the greatest hybrid time on the records it changes, and than the device's stamp before. */
lp_err clock_stamp(replica *r, uint64_t seen, stamp *at_out, lp_error *error);

/** The server's time at a moment of this boot, give or take error_ms. */
typedef struct clock_sample {
    int64_t boot_ms, server_ms, error_ms;
} clock_sample;
/** Moves the sample to where the estimate is, if its error allows that: what a slow answer leaves open stays as it is. */
void clock_fit(replica *r, clock_sample *sample);
/** True if the sample tells more than what is known, and more than it costs to store. Outside a transaction too. */
bool clock_wants(replica *r, const clock_sample *sample);
/** Keeps a sample as a contact. From now on it is what the estimate goes by. */
lp_err clock_contact(replica *r, const clock_sample *sample, lp_error *error);

/** Marks the entries of the outbox in a range of oseqs that are of a boot without contact, and no others. */
lp_err clock_mark_uncertain(replica *r, int64_t first, int64_t last, lp_error *error);

/** All that is known, for placing changes in time. */
typedef struct clock_line clock_line;
/** Errors: LP_NOMEM, those of the replica. */
lp_err clock_line_new(replica *r, clock_line **line_out, lp_error *error);
void clock_line_free(clock_line *line);
/** Server time at a moment of a boot; false if the server was not reached in it. The present boot counts as reached. */
bool clock_line_at(const clock_line *line, int64_t boot, int64_t boot_ms, int64_t *server_ms_out);
/** True if the server was reached in this boot: what the present is, is not only a guess. */
bool clock_line_reached(const clock_line *line);
/** Server time of the last contact before an entry of the outbox, 0 if there is none; and of the first after it, the present if none. */
void clock_line_around(const clock_line *line, int64_t oseq, int64_t *before_ms_out, int64_t *after_ms_out);

#endif
