/* test_short_memory.c - the client's core when memory runs out: each allocation of each thing it does fails in turn, once or from then on for
 * good. What it says it saved is there, what it did not is not there by half, nothing leaks, and once there is memory again the
 * rest is done (F19). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/replica/outbox.h"
#include "client/replica/txn.h"
#include "proto/change.h"
#include "proto/err.h"
#include "proto/page.h"
#include "tests/support/rig.h"
#include "tests/support/short_memory.h"

#define EACH_UP_TO 400 /* allocations tried one by one; those after it by steps */

/* One thing the client does, from a start of its own. `act` must not allocate itself. */
typedef struct thing {
    const char *name;
    void (*prepare)(rig *r);
    void (*act)(rig *r);
} thing;

static lp_id lead; /* the one every start has */
static int saves;  /* that were said to be */
static buf answer; /* what the server says in `act` */
static uint32_t answered;

static void need_own_allocator(void) {
    if (!short_memory_works())
        skip();
}

/* Actions are carried out by forgetting them: what matters is what is in the file afterwards. */
static void step(rig *r, const client_event *event) {
    client_actions actions = {.count = 0};
    client_step(r->session, event, &actions);
    for (uint32_t i = 0; i < actions.count; i++)
        buf_fini(&actions.list[i].message);
}

/* ---- starts ---- */

static void one_lead(rig *r) {
    lead = rig_make_lead(r, "Li Wei");
}

static void connected(rig *r) {
    one_lead(r);
    rig_set(r, &lead, "company", "Acme");
    lp_id other = rig_make_lead(r, "Zoe");
    rig_set(r, &other, "city", "Ulm");
    rig_start(r, true);
    rig_channel(r, "b");
}

static void put_answer(const message *m, uint32_t id) {
    buf_clear(&answer);
    assert_int_equal(message_encode(m, &answer, NULL), LP_OK);
    answered = id;
}

static void about_to_be_judged(rig *r) {
    connected(r);
    buf verdicts = {0};
    verdict lost = {.set = 0, .field = 0, .kind = VERDICT_LOST},
            refused = {.set = 1, .field = -1, .kind = VERDICT_REFUSED, .reason = SPAN_LITERAL("no")};
    wire_put_array(&verdicts, 2);
    verdict_put(&verdicts, &lost);
    verdict_put(&verdicts, &refused);
    message synced = {.number = MSG_SYNCED, .batch = 1, .verdicts = buf_span(&verdicts), .now_ms = r->now_ms};
    put_answer(&synced, rig_last(r)->id);
    buf_fini(&verdicts);
}

static void about_to_be_corrected(rig *r) {
    connected(r);
    message clock = {.number = MSG_CLOCK, .now_ms = r->now_ms - 3600000};
    put_answer(&clock, r->sent[0].id);
}

static void about_to_read(rig *r) {
    connected(r);
    rig_welcome(r, 0);
    rig_synced(r, 1, 0);
    changes_writer w;
    buf changes = {0}, pages = {0};
    changes_init(&w);
    for (uint8_t i = 0; i < 6; i++) {
        lp_id id = i == 0 ? lead : (lp_id){{i}};
        changes_begin(&w);
        change_put(&w, LEAD_COMPANY, (span){0}, SPAN_LITERAL("\xa5Globe"));
        change_put(&w, LEAD_TAGS, SPAN_LITERAL("vip"), SPAN_LITERAL("\xc3"));
        changes_end(&w, KIND_LEAD, &id, (stamp){(uint64_t)(r->now_ms + i) << 16, 20}, STAMP_NONE, 0);
    }
    assert_int_equal(changes_finish(&w, &changes, NULL), LP_OK);
    page p = {.cursor = {.scope = SPAN_LITERAL("pool"),
                         .epoch = SPAN_LITERAL("\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
                         .seq = 9},
              .changes = buf_span(&changes)};
    wire_put_array(&pages, 1);
    page_put(&pages, &p);
    message synced = {.number = MSG_SYNCED, .pages = buf_span(&pages), .now_ms = r->now_ms};
    put_answer(&synced, rig_last(r)->id);
    changes_fini(&w);
    buf_fini(&changes);
    buf_fini(&pages);
}

/* ---- things ---- */

static void save(rig *r) {
    lp_txn *t = NULL;
    lp_id id;
    lp_value name = {.type = LP_TEXT, .data = "Ann", .size = 3};
    lp_err err = txn_new(r->replica, NULL, &t, NULL);
    if (!err)
        err = txn_create(t, "lead", NULL, &id, NULL);
    if (!err)
        err = txn_set(t, &id, "full_name", &name, NULL);
    if (!err)
        err = txn_set_text(t, &id, "city", "Ulm", NULL);
    if (!err)
        err = txn_set_text(t, &lead, "tags.vip", "yes", NULL);
    if (!err)
        err = txn_commit(t, NULL);
    txn_free(t);
    saves += err == LP_OK;
}

static void greet(rig *r) {
    client_event start = {.kind = CLIENT_START, .keep = true};
    client_event open = {.kind = CLIENT_OPEN, .bytes = SPAN_LITERAL("binding")};
    step(r, &start);
    step(r, &open);
}

static void take_answer(rig *r) {
    client_event said = {.kind = CLIENT_MESSAGE, .id = answered, .bytes = buf_span(&answer)};
    step(r, &said);
}

static const thing things[] = {
    {"save", one_lead, save},
    {"greet and push", one_lead, greet},
    {"verdicts", about_to_be_judged, take_answer},
    {"clock correction", about_to_be_corrected, take_answer},
    {"pull", about_to_read, take_answer},
};

/* ---- after it ---- */

static int64_t texts(rig *r, const char *text) {
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM record WHERE instr(body, CAST('%s' AS BLOB))", text);
    return rig_count(r, sql);
}

static void check(rig *r, const thing *what) {
    assert_true(rig_digest_holds(r));
    assert_int_equal(rig_count(r, "SELECT count(*) FROM outbox LEFT JOIN record USING(rid) WHERE record.rid IS NULL"),
                     0);
    assert_int_equal(rig_count(r, "SELECT count(*) FROM record WHERE unsent <> (rid IN (SELECT rid FROM outbox))"), 0);
    assert_int_equal(texts(r, "Li Wei"), 1);
    if (what->act == save) {
        /* Her lead each time, and the first time a tag on the other. */
        assert_int_equal(texts(r, "Ann"), saves);
        assert_int_equal(rig_unsent(r), 1 + saves + (saves > 0));
    } else if (what->act == greet) {
        assert_int_equal(rig_unsent(r), 1);
    }
}

/* After a restart with memory enough the same is done whole. */
static void check_recovery(rig *r, const thing *what) {
    int before = saves;
    rig_reopen(r);
    what->act == take_answer ? greet(r) : what->act(r);
    assert_true(what->act != save || saves == before + 1);
    check(r, what);
}

static void try(const thing *what, uint64_t at, uint64_t count, uint64_t *made_out) {
    rig r;
    rig_open(&r, true);
    what->prepare(&r);
    saves = 0;
    short_memory_fail(at, count);
    what->act(&r);
    *made_out = short_memory_end();
    check(&r, what);
    check_recovery(&r, what);
    rig_close(&r);
}

static void sweep(uint64_t count) {
    need_own_allocator();
    for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
        uint64_t made = 0, all = 0, tried = 0;
        try(&things[i], UINT64_MAX, 0, &all);
        for (uint64_t at = 0; at < all; at += at < EACH_UP_TO ? 1 : 1 + all / 100, tried++)
            try(&things[i], at, count, &made);
        fprintf(stderr, "[     INFO ] %s: %llu allocations, %llu tried\n", things[i].name, (unsigned long long)all,
                (unsigned long long)tried);
        assert_true(all > 10);
    }
}

static void an_allocation_that_fails_once_loses_nothing(void **state) {
    (void)state;
    sweep(1);
}

static void memory_that_stays_short_loses_nothing(void **state) {
    (void)state;
    sweep(UINT64_MAX);
}

static int forget(void **state) {
    (void)state;
    buf_fini(&answer);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocation_that_fails_once_loses_nothing),
        cmocka_unit_test(memory_that_stays_short_loses_nothing),
    };
    return cmocka_run_group_tests_name("integration_short_memory", tests, NULL, forget);
}
