/* batches.h - exactly once: what was answered to which batch of a device.
 *
 *   batch   key device 4, number 8, big-endian   [ SHA-256 of the batch's changes, verdicts ] */
#ifndef SERVER_BATCHES_H
#define SERVER_BATCHES_H

#include "proto/crypto.h"
#include "server/pool/pool.h"

#define BATCHES_KEPT 16 /**< per device: more than can be in flight */

typedef enum batch_state {
    BATCH_NEW,    /**< above everything this device has sent */
    BATCH_KNOWN,  /**< applied before: `verdicts` are the answer */
    BATCH_CLONED, /**< the number was used for something else */
} batch_state;

/** What is known of a batch; `high` is the device's highest number. Known verdicts are appended to `verdicts_out`. In a transaction. */
lp_err batches_find(pool *p, uint32_t device, uint64_t number, uint64_t high, const uint8_t hash[CRYPTO_HASH_BYTES],
                    batch_state *state_out, buf *verdicts_out, lp_error *error);
/** Remembers an applied batch and forgets those that can no longer be asked for. In a transaction. */
lp_err batches_keep(pool *p, uint32_t device, uint64_t number, const uint8_t hash[CRYPTO_HASH_BYTES], span verdicts,
                    lp_error *error);

#endif
