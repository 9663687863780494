/* world_net.c - links that carry whole messages in order, late, or no more; see world.h.
 *
 * A link is what a TCP connection is to the sessions: messages of one direction keep their order, and after a loss nothing follows. So
 * faults end a link; they never take one message out of the middle. Only a request may come twice, as when a proxy repeats it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world.h"

static int64_t draw_delay(world *w) {
    int64_t delay_ms = prop_between(&w->random, w->faults.delay_min_ms, w->faults.delay_max_ms);
    w->slowest_ms = delay_ms > w->slowest_ms ? delay_ms : w->slowest_ms;
    return delay_ms;
}

#define SEGMENT_BYTES 1400
#define HANDSHAKE_BYTES 3000 /* of TLS with a certificate, one way */
#define RESEND_MS 1000

/* When the last byte of a message leaves a thin line. */
static int64_t carry_ms(world *w, world_link *l, const world_parcel *p) {
    int64_t *free_ms = &l->free_ms[p->to_server];
    size_t bytes = p->open ? HANDSHAKE_BYTES : p->message.size + 64;
    if (*free_ms < w->now_ms)
        *free_ms = w->now_ms;
    *free_ms += (int64_t)(bytes * 1000 / w->faults.bytes_per_s);
    for (size_t sent = 0; sent < bytes; sent += SEGMENT_BYTES)
        *free_ms += prop_chance(&w->random, w->faults.lose_percent) ? RESEND_MS : 0;
    return *free_ms;
}

static void enqueue(world *w, world_parcel *p) {
    world_link *l = &w->links[p->link];
    if (w->faults.bytes_per_s && !p->end)
        p->at_ms += carry_ms(w, l, p) - w->now_ms;
    int64_t *clear_ms = &l->clear_ms[p->to_server];
    p->at_ms = p->at_ms > *clear_ms ? p->at_ms : *clear_ms;
    *clear_ms = p->at_ms;
    p->order = w->order++;
    world_parcel **at = &w->parcels;
    while (*at && (*at)->at_ms <= p->at_ms)
        at = &(*at)->next;
    p->next = *at;
    *at = p;
}

static world_parcel *parcel_new(world *w, uint32_t link, bool to_server) {
    world_parcel *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->link = link;
    p->to_server = to_server;
    p->at_ms = w->now_ms + draw_delay(w);
    return p;
}

void world_parcel_free(world_parcel *p) {
    buf_fini(&p->message);
    free(p);
}

/* A link's slot can be used again once both ends are gone and nothing is on its way. */
static bool is_free(const world *w, uint32_t link) {
    const world_link *l = &w->links[link];
    if (l->used && (!l->client_gone || !l->server_gone || l->session || l->caught))
        return false;
    for (const world_parcel *p = w->parcels; p; p = p->next)
        if (p->link == link)
            return false;
    return true;
}

int32_t world_connect(world *w, uint32_t who) {
    if (prop_chance(&w->random, w->faults.refuse_percent))
        return -1;
    uint32_t link = 0;
    while (link < WORLD_LINKS_MAX && !is_free(w, link))
        link++;
    world_expect(w, link < WORLD_LINKS_MAX, "more links than the world has room for");
    world_link *l = &w->links[link];
    *l = (world_link){.used = true, .device = who};
    prop_bytes(&w->random, l->binding, sizeof l->binding);
    lp_error error;
    assert_int_equal(session_new(&w->pool, span_of(l->binding, sizeof l->binding), &l->session, &error), LP_OK);
    return (int32_t)link;
}

static void send_end(world *w, uint32_t link, bool to_server) {
    world_parcel *p = parcel_new(w, link, to_server);
    p->end = true;
    enqueue(w, p);
}

void world_open_link(world *w, uint32_t link) {
    world_parcel *p = parcel_new(w, link, false);
    p->open = true;
    enqueue(w, p);
}

static void break_link(world *w, uint32_t link) {
    world_link *l = &w->links[link];
    world_note(w, "link %u breaks", link);
    l->silent = true;
    send_end(w, link, true);
    send_end(w, link, false);
}

void world_cut(world *w, uint32_t link) {
    world_parcel **at = &w->parcels;
    while (*at) {
        world_parcel *p = *at;
        if (p->link == link) {
            *at = p->next;
            world_parcel_free(p);
        } else {
            at = &p->next;
        }
    }
    w->links[link].clear_ms[0] = w->links[link].clear_ms[1] = 0;
    break_link(w, link);
}

/* A server notices a silent peer in the end; a device has a deadline of its own. */
#define SERVER_NOTICES_MS 120000

static void silence(world *w, uint32_t link) {
    world_note(w, "link %u falls silent", link);
    w->links[link].silent = true;
    world_parcel *p = parcel_new(w, link, true);
    p->end = true;
    p->at_ms = w->now_ms + SERVER_NOTICES_MS;
    enqueue(w, p);
}

void world_send(world *w, uint32_t link, bool to_server, uint32_t id, buf *bytes) {
    world_link *l = &w->links[link];
    bool lost = l->silent || (to_server ? l->client_gone : l->server_gone);
    if (!lost && prop_chance(&w->random, w->faults.cut_percent)) {
        break_link(w, link);
        lost = true;
    } else if (!lost && prop_chance(&w->random, w->faults.hang_percent)) {
        silence(w, link);
        lost = true;
    }
    if (lost) {
        buf_fini(bytes);
        return;
    }
    bool twice = to_server && prop_chance(&w->random, w->faults.repeat_percent);
    for (int i = 0; i <= twice; i++) {
        world_parcel *p = parcel_new(w, link, to_server);
        p->id = id;
        buf_append_span(&p->message, buf_span(bytes));
        enqueue(w, p);
    }
    buf_fini(bytes);
}

void world_hang_up(world *w, uint32_t link, bool by_server) {
    world_link *l = &w->links[link];
    if (by_server ? l->server_gone : l->client_gone)
        return;
    if (by_server)
        l->server_gone = true;
    else
        l->client_gone = true;
    if (!l->silent)
        send_end(w, link, !by_server);
}

world_parcel *world_take_parcel(world *w, int64_t until_ms) {
    world_parcel *p = w->parcels;
    if (!p || p->at_ms > until_ms)
        return NULL;
    w->parcels = p->next;
    p->next = NULL;
    return p;
}

void world_catch(world *w, world_parcel *p) {
    if (w->links[p->link].client_gone) {
        world_parcel_free(p);
        return;
    }
    world_parcel **at = &w->links[p->link].caught;
    while (*at)
        at = &(*at)->next;
    p->next = NULL;
    *at = p;
}
