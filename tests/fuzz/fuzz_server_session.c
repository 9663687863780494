/* fuzz_server_session.c - a device that does anything, in any order, against the production session, committer and memory store: the input says
 * what it sends, when it connects and greets, and how time passes. Whatever it does, the server answers each request at most once, the
 * store stays sound, and the digests are those of the rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/hand.h"
#include "tests/support/lots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEEDS_MAX 48

static void must(bool holds) {
    if (!holds)
        abort();
}

/* A request with one part or another taken from the input as it is. */
static void send_message(hand *h, lots *l) {
    static const uint32_t numbers[] = {MSG_SYNC, MSG_WAIT, MSG_HELLO, MSG_JOIN, MSG_CHALLENGE, MSG_CONTROL};
    message m = {.number = numbers[lots_below(l, 6)],
                 .version = lots_below(l, 3),
                 .device = h->device + lots_below(l, 2),
                 .batch = lots_below(l, 20),
                 .after = lots_below(l, 20),
                 .timeout_ms = lots_below(l, 256) * 300,
                 .page_bytes = lots_below(l, 256) * 64};
    span raw = lots_bytes(l);
    bool good = raw.size && wire_scan(raw, NULL) == LP_OK;
    if (good && lots_below(l, 2))
        m.changes = raw;
    else if (good)
        m.cursors = raw;
    buf request = {0};
    if (message_encode(&m, &request, NULL) == LP_OK)
        hand_send(h, &request);
    buf_fini(&request);
}

static void send_raw(hand *h, lots *l) {
    buf request = {0};
    span raw = lots_bytes(l);
    if (!raw.size)
        return;
    buf_append_span(&request, raw);
    hand_send(h, &request);
}

static void push(hand *h, lots *l) {
    static const uint32_t fields[] = {LEAD_DELETED, LEAD_FULL_NAME, LEAD_COMPANY, LEAD_CITY,
                                      LEAD_TAGS,    LEAD_SCORE,     217,          CONFLICT_RESOLVED};
    h->kind = lots_below(l, 8) ? KIND_LEAD : lots_below(l, 7);
    h->record.bytes[15] = (uint8_t)lots_below(l, 3);
    h->clock_ms = (int64_t)lots_below(l, 9) * 1000 - 4000;
    hand_begin(h);
    for (uint32_t i = lots_below(l, 4); i > 0; i--) {
        span raw = lots_bytes(l);
        if (raw.size && wire_scan(raw, NULL) == LP_OK)
            change_put(&h->writer, fields[lots_below(l, 8)], lots_below(l, 2) ? SPAN_LITERAL("k") : (span){0}, raw);
        else
            hand_put_text(h, fields[lots_below(l, 8)], "text");
    }
    hand_push(h, lots_below(l, 20));
}

static void do_one(hand *h, lots *l) {
    switch (lots_below(l, 10)) {
    case 0:
        send_raw(h, l);
        break;
    case 1:
        send_message(h, l);
        break;
    case 2:
        hand_connect(h);
        break;
    case 3:
    case 4:
        h->anew = lots_below(l, 4) == 0;
        h->off_ms = lots_below(l, 4) ? 0 : 5000;
        hand_hello(h, lots_below(l, 20));
        break;
    case 5:
        push(h, l);
        break;
    case 6:
        if (h->pushed.size)
            hand_repeat(h);
        break;
    case 7:
        hand_pull(h);
        break;
    case 8:
        hand_wait(h, lots_below(l, 256) * 100);
        break;
    default:
        world_run(h->world, lots_below(l, 256) * 40);
        break;
    }
}

typedef struct sums {
    world *world;
    digest sum;
} sums;

static bool add_row(void *ctx, const store_row *row) {
    sums *s = ctx;
    record rec;
    record_init(&rec, row->kind, &row->id);
    must(record_unpack(&rec, row->body, row->stamps, NULL) == LP_OK);
    for (uint32_t i = 0; i < rec.count; i++)
        digest_add(s->world->pool.digester, &s->sum, row->kind, &row->id, &rec.regs[i]);
    record_fini(&rec);
    return true;
}

static void check_pool(world *w) {
    store_reader *r = w->reader;
    digest stored;
    sums s = {.world = w};
    must(r->ops->snapshot(r, NULL) == LP_OK);
    must(r->ops->verify(r, NULL, NULL, NULL) == LP_OK);
    must(r->ops->feed(r, SCOPE_POOL, 0, add_row, &s, NULL) == LP_OK);
    must(pool_digest(r, &stored, NULL) == LP_OK && digest_equal(stored, s.sum));
    r->ops->snapshot_end(r);
}

/* Ids of the answers that arrived on this connection; none may come twice. */
static void check_answers(hand *h) {
    const world_link *l = &h->world->links[h->link];
    for (const world_parcel *p = l->caught; p; p = p->next)
        for (const world_parcel *q = p->next; q; q = q->next)
            must(p->end || q->end || p->id != q->id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lots l = {{data, size}};
    hand h;
    hand_open(&h, 0);
    hand_connect(&h);
    hand_join(&h);
    must(hand_receive(&h) && h.answer.number == MSG_JOINED);
    h.device = h.clock.author = (uint32_t)h.answer.device;
    for (int i = 0; i < DEEDS_MAX && lots_left(&l); i++) {
        do_one(&h, &l);
        if (i % 8 == 7)
            world_run(h.world, 100);
    }
    world_run(h.world, 100000);
    check_answers(&h);
    check_pool(h.world);
    hand_close(&h);
    return 0;
}
