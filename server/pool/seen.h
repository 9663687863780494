/* seen.h - when each device was here last, and how far it has read: what decides when tombstones may be forgotten (purge.h).
 *
 *   seen   key device number, 4 bytes, big-endian   [ ms, seq ]
 *
 * Documents of their own, and written rarely: a device that only reads should not cost a commit each time.
 * Thread: the committer's, inside its transaction; seen_read_seq: any. */
#ifndef SERVER_SEEN_H
#define SERVER_SEEN_H

#include "server/pool/pool.h"

#define SEEN_EVERY_MS (INT64_C(10) * 60 * 1000) /**< a device that stays is noted so often */

typedef struct seen {
    int64_t at_ms; /**< UTC; 0: never */
    uint64_t seq;  /**< it has read everything up to here */
} seen;

/** How far the device has read that sends these cursors: the least of them; 0 if one belongs to another epoch. */
uint64_t seen_read_seq(span epoch, span cursors);
/** Notes a device, unless that was done lately. */
lp_err seen_note(pool *p, uint32_t device, uint64_t seq, lp_error *error);
/** Zero if it was never noted. */
lp_err seen_get(pool *p, uint32_t device, seen *seen_out, lp_error *error);

/** What devices have read of another history says nothing: a new epoch begins. In a transaction. */
lp_err seen_forget_all(pool *p, lp_error *error);

#endif
