/* events.c - the bounded event queue; see events.h.
 *
 * Why merging may drop ids: an event is pushed after its change is committed, so a program that meets the nil id and reads
 * everything afresh sees all that the merged events stood for. */
#include "client/events.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "client/os.h"
#include "proto/err.h"
#include "proto/id.h"

struct events {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /**< something was queued, or a call of `fn` has returned */
    events_fn fn;
    void *ctx;
    bool calling; /**< `fn` is being called, by `caller` */
    pthread_t caller;
    bool many;      /**< the queue holds a CHANGED with a nil id */
    uint32_t first; /**< index of the oldest */
    uint32_t count;
    lp_event ring[EVENTS_MAX];
};

lp_err events_new(events **events_out, lp_error *error) {
    events *e = calloc(1, sizeof *e);
    if (!e)
        return err_plain(error, LP_NOMEM);
    if (!os_cond_init(&e->changed)) {
        free(e);
        return err_plain(error, LP_NOMEM);
    }
    pthread_mutex_init(&e->mutex, NULL);
    *events_out = e;
    return LP_OK;
}

void events_free(events *e) {
    if (!e)
        return;
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->mutex);
    free(e);
}

static lp_event *at(events *e, uint32_t index) {
    return &e->ring[(e->first + index) % EVENTS_MAX];
}

/* Leaves one event of `kind`: the latest, at its place, with a nil id if several were merged. */
static void merge(events *e, lp_event_kind kind) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < e->count; i++)
        found += at(e, i)->kind == kind;
    if (found < 2)
        return;
    uint32_t seen = 0, kept = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        lp_event event = *at(e, i);
        if (event.kind == kind) {
            if (++seen < found)
                continue;
            event.id = (lp_id){0};
        }
        *at(e, kept++) = event;
    }
    e->count = kept;
    e->many = e->many || kind == LP_EVENT_CHANGED;
}

/* Afterwards there is room for one more: a queue merged by every kind holds at most one event of each. */
static void make_room(events *e) {
    static const lp_event_kind order[] = {LP_EVENT_CHANGED, LP_EVENT_PROGRESS, LP_EVENT_STATE, LP_EVENT_REFUSED,
                                          LP_EVENT_REJOINED};
    for (size_t i = 0; i < sizeof order / sizeof *order && e->count == EVENTS_MAX; i++)
        merge(e, order[i]);
    assert(e->count < EVENTS_MAX);
}

static void queue(events *e, const lp_event *event) {
    bool changed = event->kind == LP_EVENT_CHANGED;
    if (!(changed && e->many) && e->count == EVENTS_MAX)
        make_room(e);
    if (changed && e->many)
        return;
    *at(e, e->count++) = *event;
    e->many = e->many || (changed && id_is_nil(&event->id));
    pthread_cond_broadcast(&e->changed);
}

void events_push(void *ctx, const lp_event *event) {
    events *e = ctx;
    assert(event->kind >= LP_EVENT_STATE && event->kind <= LP_EVENT_REJOINED);
    pthread_mutex_lock(&e->mutex);
    events_fn fn = e->fn;
    void *fn_ctx = e->ctx;
    if (fn) {
        e->calling = true;
        e->caller = pthread_self();
    } else {
        queue(e, event);
    }
    pthread_mutex_unlock(&e->mutex);
    if (!fn)
        return;
    fn(fn_ctx, event);
    pthread_mutex_lock(&e->mutex);
    e->calling = false;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->mutex);
}

bool events_next(events *e, lp_event *event_out) {
    pthread_mutex_lock(&e->mutex);
    bool found = e->count > 0;
    if (found) {
        *event_out = *at(e, 0);
        e->first = (e->first + 1) % EVENTS_MAX;
        e->count--;
        if (event_out->kind == LP_EVENT_CHANGED && id_is_nil(&event_out->id))
            e->many = false;
    }
    pthread_mutex_unlock(&e->mutex);
    return found;
}

bool events_wait(events *e, int32_t timeout_ms) {
    int64_t until_ms = timeout_ms < 0 ? INT64_MAX : os_steady_ms() + timeout_ms;
    pthread_mutex_lock(&e->mutex);
    while (e->count == 0 && os_cond_wait(&e->changed, &e->mutex, until_ms))
        continue;
    bool found = e->count > 0;
    pthread_mutex_unlock(&e->mutex);
    return found;
}

void events_on(events *e, events_fn fn, void *ctx) {
    pthread_mutex_lock(&e->mutex);
    e->fn = fn;
    e->ctx = ctx;
    while (e->calling && !pthread_equal(e->caller, pthread_self()))
        pthread_cond_wait(&e->changed, &e->mutex);
    pthread_mutex_unlock(&e->mutex);
}
