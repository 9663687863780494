/* world_net.c - links that carry whole messages in order, late, or no more; see world.h.
 *
 * A link is what a TCP connection is to the sessions: messages of one direction keep their order, and after a loss nothing follows. So
 * faults end a link; they never take one message out of the middle. Only a request may come twice, as when a proxy repeats it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/wire.h"
#include "tests/sim/world_scopes.h"

static int64_t draw_delay(world *w) {
    int64_t delay_ms = prop_between(&w->random, w->faults.delay_min_ms, w->faults.delay_max_ms);
    if (delay_ms > 400)
        world_count(w, FAULT_DELAY);
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

/* Answers may come in any order; only the beginning and the end of a link keep theirs. */
static bool overtakes(world *w, const world_parcel *p) {
    bool answer = !p->to_server && !p->open && !p->end;
    bool yes = answer && w->faults.overtake_percent && prop_chance(&w->random, w->faults.overtake_percent);
    if (yes)
        world_count(w, FAULT_OVERTAKE);
    return yes;
}

static void enqueue(world *w, world_parcel *p) {
    world_link *l = &w->links[p->link];
    if (w->faults.bytes_per_s && !p->end)
        p->at_ms += carry_ms(w, l, p) - w->now_ms;
    if (w->faults.bytes_per_s)
        world_count(w, FAULT_THIN);
    int64_t *clear_ms = &l->clear_ms[p->to_server];
    int64_t after_ms = overtakes(w, p) ? l->open_ms : *clear_ms;
    p->at_ms = p->at_ms > after_ms ? p->at_ms : after_ms;
    *clear_ms = p->at_ms > *clear_ms ? p->at_ms : *clear_ms;
    if (p->open)
        l->open_ms = p->at_ms;
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
    if (prop_chance(&w->random, w->faults.refuse_percent)) {
        world_count(w, FAULT_NO_ROUTE);
        return -1;
    }
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
    world_count(w, FAULT_CUT);
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

static void notice_later(world *w, uint32_t link) {
    world_parcel *p = parcel_new(w, link, true);
    p->end = true;
    p->at_ms = w->now_ms + SERVER_NOTICES_MS;
    enqueue(w, p);
}

void world_silence(world *w, uint32_t link) {
    world_note(w, "link %u falls silent", link);
    w->links[link].silent = true;
    notice_later(w, link);
}

/* Only one direction still works: whoever hears nothing gives up in the end. */
static void deafen(world *w, uint32_t link, bool to_server) {
    world_note(w, "link %u falls silent %s the server", link, to_server ? "towards" : "from");
    world_count(w, FAULT_ONE_WAY);
    w->links[link].deaf[to_server] = true;
    if (to_server)
        notice_later(w, link);
}

void world_put_off(world *w, world_parcel *p, int64_t until_ms) {
    p->at_ms = until_ms;
    enqueue(w, p);
}

/* [number, {key: value, ...}] with one more key: what a newer peer may send. */
static void grow(world *w, buf *bytes) {
    wire_reader r = wire_open(buf_span(bytes));
    buf grown = {0};
    wire_array(&r);
    uint64_t number = wire_u64(&r);
    uint32_t count = wire_map(&r);
    wire_put_array(&grown, 2);
    wire_put_u64(&grown, number);
    wire_put_map(&grown, count + 1);
    buf_append_span(&grown, span_of(r.at, (size_t)(r.end - r.at)));
    wire_put_u64(&grown, 1000);
    wire_put_array(&grown, 2);
    wire_put_text(&grown, SPAN_LITERAL("of a later version"));
    wire_put_nil(&grown);
    buf_fini(bytes);
    *bytes = grown;
    world_count(w, FAULT_NEWER_PART);
}

void world_send(world *w, uint32_t link, bool to_server, uint32_t id, buf *bytes) {
    world_link *l = &w->links[link];
    bool lost = l->silent || l->deaf[to_server] || (to_server ? l->client_gone : l->server_gone);
    uint64_t what[4] = {link, to_server, id, (uint64_t)w->now_ms};
    if (!l->by_hand)
        world_age(w, l->device, to_server, bytes);
    world_expect(w, bytes->size <= WIRE_MESSAGE_BYTES_MAX, "a message of %zu bytes (I10)", bytes->size);
    world_hash(w, what, sizeof what);
    world_hash(w, bytes->data, bytes->size);
    counts_message(w->counts, buf_span(bytes), to_server);
    if (!to_server && !l->by_hand)
        world_inspect(w, l->device, buf_span(bytes));
    if (!lost && prop_chance(&w->random, w->faults.cut_percent)) {
        break_link(w, link);
        lost = true;
    } else if (!lost && prop_chance(&w->random, w->faults.hang_percent)) {
        world_count(w, FAULT_HANG);
        world_silence(w, link);
        lost = true;
    } else if (!lost && prop_chance(&w->random, w->faults.deaf_percent)) {
        deafen(w, link, to_server);
        lost = true;
    }
    if (lost) {
        buf_fini(bytes);
        return;
    }
    if (prop_chance(&w->random, w->faults.grow_percent))
        grow(w, bytes);
    bool twice = to_server && prop_chance(&w->random, w->faults.repeat_percent);
    if (twice)
        world_count(w, FAULT_REPEAT);
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
    if (!l->silent && !l->deaf[!by_server])
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

void world_forget_link(world *w, uint32_t link) {
    world_link *l = &w->links[link];
    while (l->caught) {
        world_parcel *p = l->caught;
        l->caught = p->next;
        world_parcel_free(p);
    }
    world_hang_up(w, link, false);
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
