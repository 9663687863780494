/* report.c - what lp_status_get says of the replica itself (replica.h replica_status). */
#include <string.h>

#include "client/replica/replica.h"
#include "client/replica/statements.h"
#include "proto/err.h"
#include "proto/schema.h"

#define OVERDUE_MS 60000

lp_err replica_count_conflicts(replica *r, int64_t *count_out, lp_error *error) {
    return statement_int(r, STATEMENT_COUNT_CONFLICTS, count_out, error);
}

static lp_err count_unsent(replica *r, lp_status *status, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_COUNT_UNSENT, error);
    lp_err err = s ? statement_row(r, s, "count", error) : LP_IO;
    if (err)
        return err;
    status->unsent = (uint64_t)sqlite3_column_int64(s, 0);
    status->oldest_unsent_ms = sqlite3_column_int64(s, 1);
    status->unsent_bytes = (uint64_t)sqlite3_column_int64(s, 2);
    sqlite3_reset(s);
    return LP_OK;
}

static lp_err copy_text(replica *r, const char *key, char *text_out, size_t size, lp_error *error) {
    buf value = {0};
    lp_err err = replica_meta(r, key, &value, error);
    size_t take = value.size < size ? value.size : size - 1;
    memcpy(text_out, value.data ? (const void *)value.data : "", take);
    text_out[take] = '\0';
    buf_fini(&value);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* The pool's, or that of what is the rep's own where the pool is not held. */
static lp_err copy_digest(replica *r, lp_status *status, lp_error *error) {
    digest sum = {0, 0};
    sqlite3_stmt *s = statement(r, STATEMENT_DIGEST, error);
    lp_err err = s ? statement_row(r, s, "read the replica", error) : LP_IO;
    if (err == LP_NOT_FOUND)
        err = LP_OK;
    else if (!err && !digest_unpack(column_span(s, 0), &sum))
        err = err_set(error, LP_CORRUPT, "the replica's digest is damaged; keep the file and join again");
    if (s)
        sqlite3_reset(s);
    digest_format(sum, status->digest);
    return err;
}

/* How the last attempt to sync ended, be it another process's. */
static lp_err replica_last_attempt(replica *r, lp_status *status, lp_error *error) {
    if (replica_meta_int(r, "sync.failed_ms", 0) <= status->last_sync_ms)
        return LP_OK;
    int64_t next_ms = replica_meta_int(r, "sync.next_ms", 0);
    lp_state kept = (lp_state)replica_meta_int(r, "sync.state", LP_STATE_IDLE);
    /* Who waited and did not try when the time had come is not there any more. */
    bool waits = kept == LP_STATE_WAITING && next_ms + OVERDUE_MS > r->env->wall_ms(r->env->ctx);
    if (kept == LP_STATE_BLOCKED || waits)
        status->state = kept;
    status->next_attempt_ms = waits ? next_ms : 0;
    return copy_text(r, "sync.reason", status->reason, sizeof status->reason, error);
}

lp_err replica_status(replica *r, lp_status *status, lp_error *error) {
    const struct {
        statement_name name;
        uint64_t *to;
    } counts[] = {{STATEMENT_COUNT_REFUSED, &status->refused},
                  {STATEMENT_COUNT_QUARANTINED, &status->quarantined},
                  {STATEMENT_COUNT_RECOVERED, &status->recovered},
                  {STATEMENT_COUNT_LEADS, &status->leads},
                  {STATEMENT_COUNT_CONFLICTS, &status->conflicts}};
    const struct {
        const char *key;
        char *to;
        size_t size;
    } texts[] = {{"pool.name", status->pool_name, sizeof status->pool_name},
                 {"staff.name", status->staff_name, sizeof status->staff_name},
                 {"role", status->role, sizeof status->role}};
    lp_err err = count_unsent(r, status, error);
    for (size_t i = 0; !err && i < sizeof counts / sizeof counts[0]; i++) {
        int64_t count = 0;
        err = statement_int(r, counts[i].name, &count, error);
        *counts[i].to = (uint64_t)count;
    }
    for (size_t i = 0; !err && i < sizeof texts / sizeof texts[0]; i++)
        err = copy_text(r, texts[i].key, texts[i].to, texts[i].size, error);
    if (!err)
        err = copy_digest(r, status, error);
    status->device = r->clock.author;
    status->pool = r->pool;
    status->healed = (uint64_t)replica_meta_int(r, "healed", 0);
    status->last_sync_ms = replica_meta_int(r, "sync.last_ms", 0);
    int64_t now_ms = r->env->wall_ms(r->env->ctx);
    if (status->unsent && now_ms > status->oldest_unsent_ms)
        status->oldest_unsent_age_ms = now_ms - status->oldest_unsent_ms;
    return err ? err : replica_last_attempt(r, status, error);
}
