/* pool.h - the pool as an object: who it is, its store, and what every part of the server shares. */
#ifndef SERVER_POOL_H
#define SERVER_POOL_H

#include "proto/crypto.h"
#include "proto/digest.h"
#include "proto/env.h"
#include "proto/hlc.h"
#include "proto/page.h"
#include "server/pool/greetings.h"
#include "server/store/store.h"
#include "server/pool/timekeeper.h"

#define POOL_NAME_BYTES 121
#define SERVER_AUTHOR 1u /**< the server node's own author number; devices start at 16 */
#define DEVICE_NUMBER_MIN 16u
#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define RETENTION_DAYS 90                                    /**< unless configured otherwise */
#define REVOKED_GRACE_DAYS 7                                 /**< unless configured otherwise */
#define BACKUP_RETENTION_MS (INT64_C(30) * 24 * 3600 * 1000) /**< unless the operator says otherwise */

#define SCOPE_KEY_BYTES_MAX 136
#define SCOPE_SET_MAX 2 /**< narrow scopes that hold one record: somebody's, and an event's */

/** A narrow scope that is kept; scopes.h keeps them. */
typedef struct pool_scope {
    uint32_t number;
    bool changed; /**< to be stored by the commit */
    size_t key_size;
    uint8_t key[SCOPE_KEY_BYTES_MAX];
    digest sum; /**< as of the open transaction */
} pool_scope;

typedef struct pool_scopes {
    pool_scope *list;
    uint32_t count;
} pool_scopes;

/** Some of them, by index. */
typedef struct scope_set {
    uint32_t count;
    uint32_t at[SCOPE_SET_MAX];
} scope_set;

typedef struct pool {
    const lp_env *env;
    store *store;
    const struct ledger
        *ledger; /**< erasures and revocations outside the store (ledger.h); NULL: none, and neither can be done */
    lp_id id;
    char name[POOL_NAME_BYTES];
    lp_id secret;                                /**< never leaves the server: ids derived from it cannot be foreseen */
    uint8_t seal_private[CRYPTO_SEAL_KEY_BYTES]; /**< opens what devices keep of their acknowledged changes */
    uint8_t seal_key[CRYPTO_SEAL_KEY_BYTES];     /**< its public half, which devices get */
    int64_t backup_retention_ms;                 /**< how long a backup counts as one that may be restored */
    int64_t retention_ms; /**< what was deleted is kept for so long; the owner may change it after opening */
    int64_t
        revoked_grace_ms; /**< for so long the pushes of a revoked device are taken into review; the owner may change it after opening */
    timekeeper time;         /**< server time */
    int64_t opened_boot_ms;  /**< when it was opened, by the time since boot */
    uint64_t opened_seq;     /**< the last seq then */
    greetings *greetings;    /**< the latest connection of every device */
    _Atomic uint64_t healed; /**< records sent again to devices that held something else, since the start */

    /* The writer's part: touched on the committer's thread only. */
    bool scrub_due; /**< something was erased or purged: it has to leave the store's files too */
    digester *digester;
    hlc clock; /**< stamps of what the server itself writes */
    bool
        trusting; /**< the open transaction was repaired by the wall clock, which is server time once it is committed (repair.h) */
    digest digests[SCOPE_POOL + 1]; /**< by scope_class, as of the open transaction */
    pool_scopes scopes;
} pool;

/** Makes the pool's first documents in an empty, open store: id, name, keys, epoch. Errors: those of the store, LP_INVALID name. */
lp_err pool_create(store *s, const lp_env *env, const char *name, lp_error *error);
/** Reads who the pool is. The store is borrowed and outlives the pool. Errors: LP_CORRUPT if the documents are missing. */
lp_err pool_open(pool *p, store *s, const lp_env *env, lp_error *error);
void pool_close(pool *p);
/** Reads the writer's part anew, in a transaction: after a commit of which nobody knows whether it happened. */
lp_err pool_reload(pool *p, lp_error *error);
/** Stores the digests of the open transaction. */
lp_err pool_save_digests(pool *p, lp_error *error);
/** Server time, UTC ms. Thread: any. */
int64_t pool_now_ms(pool *p);
/** When the pool was opened, by the server time of now. */
int64_t pool_opened_ms(pool *p);
/** Server time for a device's ears: 0 while the server does not trust its own clock. Thread: any. */
int64_t pool_told_ms(pool *p);
/** What a reader sees of the digest: committed with the rows it covers. */
lp_err pool_digest(store_reader *reader, digest *digest_out, lp_error *error);
lp_err pool_scope_digest(store_reader *reader, scope_class scope, digest *digest_out, lp_error *error);

#endif
