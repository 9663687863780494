/* events.h - the bounded queue between the thread that syncs and the program that wants to know: lp_next_event, lp_poll,
 * lp_on_event. Shell.
 *
 * Invariants:
 *   (1) At most EVENTS_MAX events are held. When one more comes, all CHANGED events give way to a single one with a nil id, and
 *       while that one is queued it stands for every CHANGED that follows. If that makes no room, STATE and PROGRESS shrink to the
 *       latest of their kind and REFUSED to one with a nil id. So no kind of news is ever lost, only its detail.
 *   (2) The program's function is called outside the queue's lock, and never again once events_on has replaced it.
 * Thread: any, unless said otherwise. */
#ifndef CLIENT_EVENTS_H
#define CLIENT_EVENTS_H

#include <stdbool.h>

#include "leadpool/leadpool.h"

#define EVENTS_MAX 1024

typedef struct events events;
typedef void (*events_fn)(void *ctx, const lp_event *event);

/** Ownership: events_free. Errors: LP_NOMEM. */
lp_err events_new(events **events_out, lp_error *error);
/** Nobody may be in another function of `e`. NULL is harmless. */
void events_free(events *e);

/** Hands one event to the program's function if there is one, else to the queue. A loop_notify_fn; `ctx` is the events.
 *  Thread: the one that syncs. */
void events_push(void *ctx, const lp_event *event);
/** The oldest queued event; false if there is none. */
bool events_next(events *e, lp_event *event_out);
/** Waits up to `timeout_ms` (<0: for ever) for a queued event; true if there is one. */
bool events_wait(events *e, int32_t timeout_ms);
/** From now on `fn` gets the events; NULL: the queue. Waits for a call of the former function to return, unless made from it. What is
 *  queued stays queued. */
void events_on(events *e, events_fn fn, void *ctx);

#endif
