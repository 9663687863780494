/* fuzz_client_session.c - a server that answers anything, in any order, to the production client session and replica: the input says what it
 * answers, when the line breaks, and what the person writes meanwhile. Whatever it says, what was saved and not settled stays in the
 * outbox, and the replica's digest is that of its rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/change.h"
#include "proto/page.h"
#include "tests/support/lots.h"
#include "tests/support/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEEDS_MAX 40

static void must(bool holds) {
    if (!holds)
        abort();
}

static void put_changes(rig *r, lots *l, buf *out) {
    static const uint32_t fields[] = {LEAD_FULL_NAME, LEAD_DELETED, LEAD_TAGS, 217};
    changes_writer w;
    changes_init(&w);
    for (uint32_t i = lots_below(l, 4); i > 0; i--) {
        lp_id id = {{9}};
        id.bytes[15] = (uint8_t)lots_below(l, 4);
        stamp at = {(uint64_t)(r->now_ms + lots_below(l, 20)) << 16 | 1, 16 + lots_below(l, 3)};
        span raw = lots_bytes(l);
        changes_begin(&w);
        change_put(&w, fields[lots_below(l, 4)], lots_below(l, 2) ? SPAN_LITERAL("k") : (span){0},
                   raw.size && wire_scan(raw, NULL) == LP_OK ? raw : SPAN_LITERAL("\xa1x"));
        changes_end(&w, lots_below(l, 8) ? KIND_LEAD : lots_below(l, 7), &id, at, STAMP_NONE, 0);
    }
    must(changes_finish(&w, out, NULL) == LP_OK);
    changes_fini(&w);
}

static void put_page(rig *r, lots *l, buf *out) {
    static const uint8_t epochs[2][EPOCH_BYTES] = {{9}, {8}};
    static const span ids = SPAN_LITERAL("\x91\xc4\x10\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1");
    buf changes = {0};
    put_changes(r, l, &changes);
    page p = {.cursor = {.scope = lots_below(l, 4) ? SPAN_LITERAL("pool") : SPAN_LITERAL("mine"),
                         .epoch = span_of(epochs[lots_below(l, 8) == 0], EPOCH_BYTES),
                         .seq = lots_below(l, 50)},
              .more = lots_below(l, 2),
              .changes = buf_span(&changes),
              .digest = lots_below(l, 2) ? span_of(epochs[0], DIGEST_BYTES) : (span){0},
              .start = lots_below(l, 4) == 0,
              .whole = lots_below(l, 4) ? (span){0} : ids,
              .left = lots_below(l, 4) ? (span){0} : ids,
              .erased = lots_below(l, 8) ? (span){0} : ids};
    page_put(out, &p);
    buf_fini(&changes);
}

static void put_verdicts(lots *l, buf *out) {
    uint32_t count = lots_below(l, 4);
    wire_put_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        verdict v = {.set = lots_below(l, 4),
                     .field = (int32_t)lots_below(l, 4) - 1,
                     .kind = (verdict_kind)lots_below(l, 4),
                     .reason = SPAN_LITERAL("no")};
        verdict_put(out, &v);
    }
}

/* An answer to any of the last requests, of any kind. */
static void answer(rig *r, lots *l) {
    static const uint32_t numbers[] = {MSG_SYNCED, MSG_SYNCED,  MSG_SYNCED, MSG_CLOCK,
                                       MSG_BUSY,   MSG_REFUSED, MSG_ERROR,  MSG_JOINED};
    buf pages = {0}, verdicts = {0};
    uint32_t back = lots_below(l, 4);
    message m = {.number = numbers[lots_below(l, 8)],
                 .batch = lots_below(l, 8),
                 .now_ms = r->now_ms + (int64_t)lots_below(l, 256) * 1000 - 100000,
                 .code = lots_below(l, 30)};
    if (m.number == MSG_SYNCED) {
        uint32_t count = lots_below(l, 3);
        wire_put_array(&pages, count);
        for (uint32_t i = 0; i < count; i++)
            put_page(r, l, &pages);
        put_verdicts(l, &verdicts);
        m.pages = buf_span(&pages);
        m.verdicts = buf_span(&verdicts);
    }
    if (back < r->sent_count)
        rig_answer(r, r->sent[r->sent_count - 1 - back].id, &m);
    buf_fini(&pages);
    buf_fini(&verdicts);
}

static void answer_raw(rig *r, lots *l) {
    span raw = lots_bytes(l);
    if (r->sent_count)
        rig_answer_bytes(r, r->sent[r->sent_count - 1].id, raw);
}

static void do_one(rig *r, lots *l) {
    lp_id id = {{9}};
    id.bytes[15] = (uint8_t)lots_below(l, 4);
    switch (lots_below(l, 12)) {
    case 0:
        rig_start(r, lots_below(l, 2));
        break;
    case 1:
        rig_channel(r, "b");
        break;
    case 2:
        rig_lost(r, lots_below(l, 4) ? LP_OFFLINE : LP_UNTRUSTED);
        break;
    case 3:
        rig_make_lead(r, "Li Wei");
        rig_work(r);
        break;
    case 4:
        if (rig_count(r, "SELECT count(*) FROM record WHERE kind = 1 AND id = x'09000000000000000000000000000001'"))
            rig_set(r, &(lp_id){{9, [15] = 1}}, "full_name", "Lee");
        break;
    case 5:
        if (client_deadline_ms(r->session) != INT64_MAX)
            rig_tick(r);
        break;
    case 6:
        if (r->sent_count)
            rig_welcome_fenced(r, lots_below(l, 8), lots_below(l, 8));
        break;
    case 7:
        answer_raw(r, l);
        break;
    case 8:
        rig_reopen(r);
        break;
    default:
        answer(r, l);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lots l = {{data, size}};
    rig r;
    rig_open(&r, true);
    rig_start(&r, true);
    rig_channel(&r, "a");
    for (int i = 0; i < DEEDS_MAX && lots_left(&l) && r.sent_count < RIG_SENT_MAX - 16; i++)
        do_one(&r, &l);
    must(rig_digest_holds(&r));
    must(rig_count(&r, "SELECT count(*) FROM outbox o LEFT JOIN record r USING(rid) WHERE r.rid IS NULL") == 0);
    must(rig_count(&r, "SELECT count(*) FROM record WHERE unsent <> (rid IN (SELECT rid FROM outbox))") == 0);
    rig_close(&r);
    return 0;
}
