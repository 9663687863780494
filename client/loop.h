/* loop.h - runs a client_session over a link: once on the caller's thread, or for good on a thread of its own. Shell.
 *
 * The lock: the background thread holds loop->mutex while it touches the replica and never while it waits for the network;
 * the public functions of leadpool.c take the same mutex. */
#ifndef CLIENT_LOOP_H
#define CLIENT_LOOP_H

#include <pthread.h>

#include "client/sync/session.h"

typedef struct loop loop;

/** Takes an event for the program; called on the syncing thread with the mutex held. */
typedef void (*loop_notify_fn)(void *ctx, const lp_event *event);

/** `mutex` guards `r`; both are borrowed. `notify` must not call back. Errors: LP_NOMEM. */
lp_err loop_new(replica *r, const char *path, pthread_mutex_t *mutex, loop_notify_fn notify, void *ctx, loop **loop_out,
                lp_error *error);
void loop_free(loop *l); /**< stops it first */

/** Joins: sends the request made by client_join_request to `invite` and takes the answer. The caller does not hold the mutex. */
lp_err loop_join(loop *l, const char *host, uint16_t port, const uint8_t pin[32], const uint8_t token[16],
                 const char *label, int32_t timeout_ms, lp_error *error);

/** lp_sync, lp_sync_start, lp_sync_stop. The caller does not hold the mutex. */
lp_err loop_sync(loop *l, int32_t timeout_ms, lp_sync_result *result_out, lp_error *error);
lp_err loop_start(loop *l, lp_error *error);
void loop_stop(loop *l);
/** Something was written: wake up and push. Thread: any. */
void loop_work(loop *l);
/** Fills state, state_name, reason, next_attempt_ms. The caller holds the mutex. */
void loop_status(loop *l, lp_status *status_out);

#endif
