/* wheel.c - a hashed timing wheel; see wheel.h. */
#include "server/net/wheel.h"

#include <string.h>

void wheel_init(wheel *w, int64_t now_ms) {
    memset(w, 0, sizeof *w);
    w->now_tick = now_ms / WHEEL_TICK_MS;
    pthread_mutex_init(&w->mutex, NULL);
}

void wheel_fini(wheel *w) {
    pthread_mutex_destroy(&w->mutex);
}

static wheel_node **slot_of(wheel *w, int64_t tick) {
    return &w->slots[(uint64_t)tick % WHEEL_SLOTS];
}

static void link_node(wheel *w, wheel_node *node) {
    int64_t tick = (node->due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
    if (tick <= w->now_tick)
        tick = w->now_tick + 1;
    if (tick > w->now_tick + WHEEL_SLOTS - 1)
        tick = w->now_tick + WHEEL_SLOTS - 1; /* beyond the ring: looked at again then */
    wheel_node **slot = slot_of(w, tick);
    node->slot_ms = tick * WHEEL_TICK_MS;
    node->prev = NULL;
    node->next = *slot;
    if (*slot)
        (*slot)->prev = node;
    *slot = node;
    node->set = true;
}

static void unlink_node(wheel *w, wheel_node *node) {
    if (node->prev)
        node->prev->next = node->next;
    else
        *slot_of(w, node->slot_ms / WHEEL_TICK_MS) = node->next;
    if (node->next)
        node->next->prev = node->prev;
    node->set = false;
}

void wheel_set(wheel *w, wheel_node *node, int64_t due_ms) {
    pthread_mutex_lock(&w->mutex);
    node->due_ms = due_ms;
    if (node->set && node->slot_ms > due_ms + WHEEL_TICK_MS - 1)
        unlink_node(w, node);
    if (!node->set)
        link_node(w, node);
    pthread_mutex_unlock(&w->mutex);
}

void wheel_remove(wheel *w, wheel_node *node) {
    pthread_mutex_lock(&w->mutex);
    if (node->set)
        unlink_node(w, node);
    pthread_mutex_unlock(&w->mutex);
}

void wheel_advance(wheel *w, int64_t now_ms, void (*due)(wheel_node *node)) {
    pthread_mutex_lock(&w->mutex);
    int64_t until = now_ms / WHEEL_TICK_MS;
    if (until - w->now_tick > WHEEL_SLOTS)
        w->now_tick = until - WHEEL_SLOTS; /* after a long sleep every slot has come round once */
    while (w->now_tick < until) {
        w->now_tick++;
        wheel_node *node = *slot_of(w, w->now_tick);
        *slot_of(w, w->now_tick) = NULL;
        while (node) {
            wheel_node *next = node->next;
            node->set = false;
            if (node->due_ms <= now_ms)
                due(node);
            else
                link_node(w, node);
            node = next;
        }
    }
    pthread_mutex_unlock(&w->mutex);
}
