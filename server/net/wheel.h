/* wheel.h - deadlines by the thousand: a ring of slots, one per tick (Varghese, Lauck 1987, scheme 4).
 *
 * Why lazy: a busy connection moves its deadline with every message, always to later. Then only the time is written; the
 * node is put where it belongs when its old slot comes round.
 *
 * Invariant: a node that is set is in exactly one slot, at or before its time. Thread: any; `due` runs with the wheel's lock held. */
#ifndef SERVER_NET_WHEEL_H
#define SERVER_NET_WHEEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define WHEEL_SLOTS 512
#define WHEEL_TICK_MS 200

typedef struct wheel_node {
    struct wheel_node *prev, *next;
    int64_t due_ms;  /**< when it is due, in the caller's clock */
    int64_t slot_ms; /**< when its slot comes round */
    bool set;
} wheel_node;

typedef struct wheel {
    pthread_mutex_t mutex;
    int64_t now_tick; /**< the last tick worked off */
    wheel_node *slots[WHEEL_SLOTS];
} wheel;

void wheel_init(wheel *w, int64_t now_ms);
void wheel_fini(wheel *w);
/** Sets or moves a node's deadline. */
void wheel_set(wheel *w, wheel_node *node, int64_t due_ms);
/** When it returns, `due` is not running for the node and will not be called for it. */
void wheel_remove(wheel *w, wheel_node *node);
/** Calls `due` for every node whose time has come, which is then no longer set. `due` must not call the wheel. */
void wheel_advance(wheel *w, int64_t now_ms, void (*due)(wheel_node *node));

#endif
