/* ledger.h - what must outlive the database: who was erased, which devices were revoked, what was granted to whom.
 *
 * Why: a restored backup is a pool of some time ago. It still holds whoever was erased since, still trusts devices that were revoked
 * since, and opens scopes as it did then. So all three are written down outside of it, before the database hears of them, and done again
 * whenever a pool is opened.
 *
 * A ledger is lines of text, one per deed:
 *     SUM MS SUBJECT [SUBJECT ...]        SUM: first 8 bytes of the SHA-256 of all that follows it, in hex; MS: when, UTC ms
 * Subjects are record ids in the first; NUMBER:KEY of devices, the public key in hex, in the second; PERSON:+SCOPE or PERSON:-SCOPE, the
 * person's id and the scope's name in hex, in the third, of which the last word on a person and a scope counts.
 *
 * Invariants:
 *   (1) A deed whose line was not stored durably is not done (F112).
 *   (2) A last line that does not add up was torn by a crash before its deed was done: it counts for nothing and is written over.
 *       Any other line that does not add up is damage.
 * Core: where the lines are kept is handed in. Thread: the committer's. */
#ifndef SERVER_LEDGER_H
#define SERVER_LEDGER_H

#include <stdbool.h>

#include "leadpool/error.h"
#include "leadpool/value.h"
#include "proto/buf.h"

typedef enum ledger_kind { LEDGER_ERASED, LEDGER_REVOKED, LEDGER_GRANTED } ledger_kind;
#define LEDGER_KINDS 3
#define LEDGER_SCOPE_BYTES_MAX 64 /**< no scope that is granted has a longer name */

/** Where the lines are kept: files (ledger_files.h), or memory in a simulator. */
typedef struct ledger {
    void *ctx;
    /** Adds one line durably, or nothing. Errors: LP_IO, LP_FULL, LP_NOMEM. */
    lp_err (*append)(void *ctx, ledger_kind which, span line, lp_error *error);
    /** Appends all lines to `lines_out`. Errors: LP_IO, LP_NOT_FOUND, LP_NOMEM. */
    lp_err (*read)(void *ctx, ledger_kind which, buf *lines_out, lp_error *error);
} ledger;

/** Writes down that `ids` are erased. Errors: LP_UNSUPPORTED `l` is NULL, those of append. */
lp_err ledger_note_erased(const ledger *l, const lp_id *ids, uint32_t count, int64_t at_ms, lp_error *error);
/** `key` is the device's public key: a pool restored to before it joined may give its number to another. */
lp_err ledger_note_revoked(const ledger *l, uint32_t device, span key, int64_t at_ms, lp_error *error);
/** Reads the subject of a revocation. False on nonsense. */
bool ledger_read_revoked(span subject, uint32_t *device_out, uint8_t key_out[32]);

/** Writes down that a person was granted a scope, or that this ended. */
lp_err ledger_note_granted(const ledger *l, const lp_id *person, span scope, bool granted, int64_t at_ms,
                           lp_error *error);
typedef struct ledger_grant {
    lp_id person;
    bool granted;
    size_t scope_size;
    uint8_t scope[LEDGER_SCOPE_BYTES_MAX];
} ledger_grant;
/** Reads the subject of a grant. False on nonsense. */
bool ledger_read_granted(span subject, ledger_grant *grant_out);

/** Called for each subject, oldest first. An error ends the walk. */
typedef lp_err (*ledger_fn)(void *ctx, span subject, int64_t at_ms, lp_error *error);
/** Walks a ledger. NULL has no lines. Errors: LP_CORRUPT naming the line, those of read and of `each`. */
lp_err ledger_each(const ledger *l, ledger_kind which, ledger_fn each, void *ctx, lp_error *error);
/** Bytes of `lines` up to the end of the last line that counts. Errors: LP_CORRUPT. */
lp_err ledger_measure(span lines, size_t *size_out, lp_error *error);

#endif
