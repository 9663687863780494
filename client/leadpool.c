/* leadpool.c - the public functions over the core: one mutex around it, the loop and the event queue beside it. Shell.
 *
 * The mutex is held for a call into the core and never across a wait for the network or for another process's answer. */
#include "leadpool/leadpool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/replica/author.h"
#include "client/replica/contact.h"
#include "client/doctor/doctor.h"
#include "client/events.h"
#include "client/replica/history.h"
#include "client/loop.h"
#include "client/os.h"
#include "client/find/query.h"
#include "client/replica/recovered.h"
#include "client/replica/refused.h"
#include "client/doctor/rescue.h"
#include "client/find/search.h"
#include "client/replica/txn.h"
#include "proto/err.h"
#include "proto/invite.h"

#define LOCK_WAIT_MS 10000

struct lp_replica {
    replica *core;
    pthread_mutex_t mutex;
    bool mutex_made;
    replica_lock *lock;
    loop *loop;
    events *events;
    char *path;
};

const char *lp_version(void) {
    return LEADPOOL_VERSION;
}

/* ---- open, join, close ---- */

static lp_err make(const char *path, bool create, lp_replica **replica_out, lp_error *error) {
    lp_replica *r = calloc(1, sizeof *r);
    if (!r)
        return err_plain(error, LP_NOMEM);
    r->path = malloc(strlen(path) + 1);
    r->mutex_made = r->path && pthread_mutex_init(&r->mutex, NULL) == 0;
    lp_err err = r->mutex_made ? LP_OK : err_plain(error, LP_NOMEM);
    if (!err) {
        memcpy(r->path, path, strlen(path) + 1);
        err = os_lock_open(path, LOCK_WAIT_MS, &r->lock, error);
    }
    if (!err)
        os_reserve_give_up(path); /* on a full disk even reading needs a little: the index of the log */
    if (!err)
        err = replica_open(path, create, os_env(), r->lock, &r->core, error);
    if (!err && !r->core->read_only)
        os_reserve_keep(path);
    if (!err)
        err = events_new(&r->events, error);
    if (!err)
        err = loop_new(r->core, r->path, &r->mutex, events_push, r->events, &r->loop, error);
    if (err) {
        lp_close(r);
        return err;
    }
    *replica_out = r;
    return LP_OK;
}

lp_err lp_open(const char *path, lp_replica **replica_out, lp_error *error) {
    lp_replica *r;
    lp_err err = make(path, false, &r, error);
    if (err)
        return err;
    if (r->core->clock.author == 0) {
        lp_close(r);
        return err_set(error, LP_NOT_FOUND, "the replica at %s has not joined a pool; join with an invitation first",
                       path);
    }
    *replica_out = r;
    return LP_OK;
}

lp_err lp_join(const char *path, const char *invitation, const char *label, int32_t timeout_ms,
               lp_replica **replica_out, lp_error *error) {
    invite inv;
    lp_replica *r;
    char host_name[64];
    lp_err err = invite_parse(span_text(invitation), &inv, error);
    if (err)
        return err;
    err = make(path, true, &r, error);
    if (err)
        return err;
    if (!label || !*label) {
        os_host_name(host_name, sizeof host_name);
        label = host_name;
    }
    if (r->core->clock.author)
        err = err_set(error, LP_EXISTS,
                      "the replica at %s belongs to a pool already; give another --replica to join a second one", path);
    else
        err = loop_join(r->loop, inv.host, inv.port, inv.pin, inv.token, label, timeout_ms, error);
    if (err) {
        lp_close(r);
        return err;
    }
    *replica_out = r;
    return LP_OK;
}

void lp_close(lp_replica *r) {
    if (!r)
        return;
    if (r->loop)
        loop_free(r->loop);
    replica_close(r->core);
    os_lock_close(r->lock);
    events_free(r->events);
    if (r->mutex_made)
        pthread_mutex_destroy(&r->mutex);
    free(r->path);
    free(r);
}

/* A damaged replica cannot be opened, but it can be removed; a file that is none is neither. */
lp_err lp_wipe(const char *path, lp_error *error) {
    lp_replica *r;
    lp_err err = make(path, false, &r, error);
    if (!err) {
        err = replica_retire(r->core, error);
        lp_close(r);
    }
    if (err && err != LP_CORRUPT && err != LP_NOT_FOUND)
        return err;
    return os_wipe(path, error);
}

/* ---- write ---- */

static lp_replica *guard(const lp_txn *txn) {
    lp_replica *r = txn_owner(txn);
    pthread_mutex_lock(&r->mutex);
    return r;
}

static lp_err leave(lp_replica *r, lp_err err) {
    pthread_mutex_unlock(&r->mutex);
    return err;
}

lp_err lp_begin(lp_replica *r, lp_txn **txn_out, lp_error *error) {
    return txn_new(r->core, r, txn_out, error);
}

lp_err lp_create(lp_txn *txn, const char *kind, const lp_id *id, lp_id *id_out, lp_error *error) {
    lp_replica *r = guard(txn);
    return leave(r, txn_create(txn, kind, id, id_out, error));
}

lp_err lp_set(lp_txn *txn, const lp_id *id, const char *field, const lp_value *value, lp_error *error) {
    lp_replica *r = guard(txn);
    return leave(r, txn_set(txn, id, field, value, error));
}

lp_err lp_set_text(lp_txn *txn, const lp_id *id, const char *field, const char *text, lp_error *error) {
    lp_replica *r = guard(txn);
    return leave(r, txn_set_text(txn, id, field, text, error));
}

lp_err lp_clear(lp_txn *txn, const lp_id *id, const char *field, lp_error *error) {
    const lp_value null = {.type = LP_NULL};
    return lp_set(txn, id, field, &null, error);
}

lp_err lp_delete(lp_txn *txn, const lp_id *id, lp_error *error) {
    const lp_value yes = {.type = LP_BOOL, .integer = 1};
    return lp_set(txn, id, "deleted", &yes, error);
}

lp_err lp_undelete(lp_txn *txn, const lp_id *id, lp_error *error) {
    return lp_clear(txn, id, "deleted", error);
}

/* Checkpoints when due and tells the loop that there is work. The caller holds the mutex; it is released. */
static lp_err wrote(lp_replica *r, lp_err err) {
    if (!err)
        replica_checkpoint(r->core, false);
    pthread_mutex_unlock(&r->mutex);
    if (!err)
        loop_work(r->loop);
    return err;
}

lp_err lp_commit(lp_txn *txn, lp_error *error) {
    lp_replica *r = guard(txn);
    if (!os_may_save(r->path) && !os_reserve_keep(r->path)) {
        txn_free(txn);
        return leave(r,
                     err_set(error, LP_FULL,
                             "not saved: the disk is full, and what is left is for sending; free some space, or sync"));
    }
    lp_err err = wrote(r, txn_commit(txn, error));
    txn_free(txn);
    return err;
}

void lp_rollback(lp_txn *txn) {
    txn_free(txn);
}

lp_err lp_restore(lp_replica *r, const lp_id *conflict, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return wrote(r, txn_restore(r->core, conflict, error));
}

/* ---- read ---- */

lp_err lp_get(lp_replica *r, const lp_id *id, lp_record **record_out, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return leave(r, query_get(r->core, id, record_out, error));
}

void lp_author_name(lp_replica *r, uint32_t author, char *text_out, uint32_t size) {
    pthread_mutex_lock(&r->mutex);
    author_name(r->core, author, text_out, size);
    pthread_mutex_unlock(&r->mutex);
}

lp_err lp_list(lp_replica *r, const lp_query *query, lp_rows **rows_out, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return leave(r, query_list(r->core, query, rows_out, error));
}

lp_err lp_count(lp_replica *r, const lp_query *query, uint64_t *count_out, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return leave(r, query_count(r->core, query, count_out, error));
}

lp_err lp_search(lp_replica *r, const char *text, uint32_t limit, lp_rows **rows_out, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return leave(r, search_run(r->core, text, limit, rows_out, error));
}

lp_err lp_history(lp_replica *r, const lp_id *id, lp_log **log_out, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return leave(r, history_list(r->core, id, log_out, error));
}

lp_err lp_refused(lp_replica *r, lp_rows **rows_out, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return leave(r, query_refused(r->core, rows_out, error));
}

lp_err lp_recovered(lp_replica *r, lp_rows **rows_out, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return leave(r, recovered_list(r->core, rows_out, error));
}
lp_err lp_recovered_send(lp_replica *r, const lp_id *id, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return wrote(r, recovered_send(r->core, id, error));
}
lp_err lp_recovered_drop(lp_replica *r, const lp_id *id, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return wrote(r, recovered_drop(r->core, id, error));
}
lp_err lp_refused_resend(lp_replica *r, const lp_id *id, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return wrote(r, refused_resend(r->core, id, error));
}

lp_err lp_refused_drop(lp_replica *r, const lp_id *id, lp_error *error) {
    pthread_mutex_lock(&r->mutex);
    return wrote(r, refused_drop(r->core, id, error));
}

/* ---- sync ---- */

lp_err lp_sync(lp_replica *r, int32_t timeout_ms, lp_sync_result *result_out, lp_error *error) {
    return loop_sync(r->loop, timeout_ms, result_out, error);
}

lp_err lp_sync_start(lp_replica *r, lp_error *error) {
    return loop_start(r->loop, error);
}

void lp_sync_stop(lp_replica *r) {
    loop_stop(r->loop);
}

bool lp_next_event(lp_replica *r, lp_event *event_out) {
    return events_next(r->events, event_out);
}

bool lp_poll(lp_replica *r, int32_t timeout_ms) {
    return events_wait(r->events, timeout_ms);
}

void lp_on_event(lp_replica *r, void (*fn)(void *ctx, const lp_event *event), void *ctx) {
    events_on(r->events, fn, ctx);
}

lp_err lp_status_get(lp_replica *r, lp_status *status_out, lp_error *error) {
    contact where;
    memset(status_out, 0, sizeof *status_out);
    pthread_mutex_lock(&r->mutex);
    lp_err err = replica_status(r->core, status_out, error);
    loop_status(r->loop, status_out);
    if (!err && contact_load(r->core, &where, NULL) == LP_OK)
        snprintf(status_out->server, sizeof status_out->server, strchr(where.host, ':') ? "[%s]:%u" : "%s:%u",
                 where.host, where.port);
    pthread_mutex_unlock(&r->mutex);
    status_out->disk_free_bytes = os_disk_free(r->path);
    return err;
}

/* ---- doctor ---- */

static lp_err check_and_repair(replica *core, bool repair, doctor *d, lp_error *error) {
    d->r = core;
    lp_err err = doctor_check(d, error);
    if (err || d->checkup->findings == 0)
        return err;
    if (repair)
        return doctor_repair(d, error);
    return err_set(error, LP_CORRUPT, "%s",
                   d->repairable == d->checkup->findings ? "the replica needs repair; " ADVICE_REPAIR
                                                         : "the replica is damaged; " ADVICE_RESCUE);
}

lp_err lp_doctor(const char *path, bool repair, void (*each)(void *ctx, const lp_finding *finding), void *ctx,
                 lp_checkup *checkup_out, lp_error *error) {
    lp_checkup checkup = {0};
    doctor d = {.each = each, .ctx = ctx, .checkup = &checkup};
    replica_lock *lock = NULL;
    replica *core = NULL;
    lp_error why = {0};
    lp_err err = image_exists(path) ? os_lock_open(path, LOCK_WAIT_MS, &lock, &why)
                                    : err_set(&why, LP_NOT_FOUND, "there is no file %s; check the path", path);
    if (!err)
        err = replica_open(path, false, os_env(), lock, &core, &why);
    if (err == LP_CORRUPT)
        doctor_found(&d, "file", false, ADVICE_RESCUE, "the file cannot be opened: %s", why.message);
    if (!err)
        err = check_and_repair(core, repair, &d, &why);
    replica_close(core);
    os_lock_close(lock);
    if (checkup_out)
        *checkup_out = checkup;
    return err ? err_set(error, err, "%s", why.message) : LP_OK;
}

static lp_err rescue_into(const char *path, replica *to, lp_rescued *rescued_out, lp_error *error) {
    disk_image *from = NULL;
    replica_lock *lock = NULL;
    lp_err err = os_lock_open(path, LOCK_WAIT_MS, &lock, error);
    if (!err)
        err = lock->acquire(lock->ctx, error);
    if (!err) {
        err = image_open(path, &from, error);
        if (!err)
            err = rescue_run(from, to, rescued_out, error);
        lock->release(lock->ctx);
    }
    image_close(from);
    os_lock_close(lock);
    return err;
}

lp_err lp_rescue(const char *path, const char *to, lp_rescued *rescued_out, lp_error *error) {
    replica_lock *lock = NULL;
    replica *core = NULL;
    if (!image_exists(path))
        return err_set(error, LP_NOT_FOUND, "there is no file %s; check the path", path);
    if (image_exists(to))
        return err_set(error, LP_EXISTS, "%s is there already; give another name", to);
    lp_err err = os_lock_open(to, LOCK_WAIT_MS, &lock, error);
    if (!err)
        err = replica_open(to, true, os_env(), lock, &core, error);
    if (!err)
        err = rescue_into(path, core, rescued_out, error);
    replica_close(core);
    os_lock_close(lock);
    return err;
}
