/* parked.c - the connections that wait for the pool to move, and how they are told.
 *
 * Why no wake-up is lost: a run notes `moves` before it looks at the pool and compares after it has parked. Whatever moved in
 * between was either seen by the look, or by the comparison, or finds the connection in the list. */
#include "server/net/conn.h"

static void link_parked(conn *c) {
    net *n = c->net;
    c->parked_prev = NULL;
    c->parked_next = n->parked;
    if (n->parked)
        n->parked->parked_prev = c;
    n->parked = c;
}

static void unlink_parked(conn *c) {
    if (c->parked_prev)
        c->parked_prev->parked_next = c->parked_next;
    else
        c->net->parked = c->parked_next;
    if (c->parked_next)
        c->parked_next->parked_prev = c->parked_prev;
}

void parked_set(conn *c, bool parked) {
    if (c->parked != parked) {
        pthread_mutex_lock(&c->net->parked_mutex);
        if (parked)
            link_parked(c);
        else
            unlink_parked(c);
        pthread_mutex_unlock(&c->net->parked_mutex);
        c->parked = parked;
    }
    if (parked && atomic_load(&c->net->moves) != c->moves_seen)
        conn_signal(c, EVENT_MOVED);
}

void net_moved(void *ctx, uint64_t seq) {
    (void)seq;
    net *n = ctx;
    atomic_fetch_add(&n->moves, 1);
    pthread_mutex_lock(&n->parked_mutex);
    for (conn *c = n->parked; c; c = c->parked_next)
        conn_signal(c, EVENT_MOVED);
    pthread_mutex_unlock(&n->parked_mutex);
}
