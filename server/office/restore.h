/* restore.h - a backup in the place of a pool: see epochs.h for what that means to devices.
 *
 * In order: lock the directory; copy the backup beside the pool; read all of the copy; draw a new epoch in it and do again what the
 * ledgers say was done since; move what was there to
 * DIR/replaced-TIME; put the copy in place. Cut short at any point, the directory holds the old pool, the new one, or none, and
 * restoring again finishes.
 *
 * Invariants:
 *   (1) What was there is moved, never changed or deleted.
 *   (2) The pool in place is of a new epoch whose fork is the backup's last seq.
 *   (3) Nobody who was erased, and no device that was revoked, is back in the pool in place. */
#ifndef SERVER_RESTORE_H
#define SERVER_RESTORE_H

#include "proto/env.h"
#include "server/office/ledger.h"
#include "server/pool/pool.h"

typedef struct restored {
    char pool_name[POOL_NAME_BYTES];
    uint64_t seq;        /**< everything up to here is in the backup */
    uint64_t leads;      /**< live ones */
    char replaced[4096]; /**< where what was there is now; empty: nothing was */
    bool has_key;        /**< server.key is there; without it devices do not know this server */
} restored;

/** Errors: LP_NOT_FOUND no such file; LP_CORRUPT it is no sound backup; LP_VERSION; LP_BUSY a server runs; LP_INVALID the pool in the
 *  directory is another; LP_IO, LP_FULL. */
lp_err restore_pool(const char *directory, const char *file, const lp_env *env, const ledger *ledgers,
                    store_progress_fn progress, void *ctx, restored *restored_out, lp_error *error);

#endif
