/* checks.h - does what is stored read as what it should be? Pure; for bytes that may be damaged in any way. Thread: any. */
#ifndef CLIENT_CHECKS_H
#define CLIENT_CHECKS_H

#include "proto/record.h"

/** An outbox entry's body holds exactly `count` changes. Errors: LP_CORRUPT it does not, LP_NOMEM nobody can tell. */
lp_err check_entry(span body, int64_t count);
/** The packed form reads, its registers are in order, and its values are msgpack; no register has a place in the pool's
 *  order, as is right on a device. `rec` borrows the bytes. Errors: the same. */
lp_err check_record(record *rec, span body, span stamps);

#endif
