/* test_client_answers.c - a device and a server that answers late, wrongly, without end, or with less than it should: each time the device says
 * what is the matter, keeps what was typed, and goes on as far as it can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/change.h"
#include "proto/page.h"
#include "tests/support/rig.h"
#include "tests/support/short_memory.h"

static const uint8_t epochs[2][EPOCH_BYTES] = {{9}, {10}};

static void begin(rig *r) {
    rig_open(r, true);
    rig_make_lead(r, "Li Wei");
    rig_start(r, true);
    rig_channel(r, "b");
}

static void be_live(rig *r) {
    rig_open(r, true);
    rig_start(r, true);
    rig_channel(r, "b");
    rig_welcome(r, 0);
    rig_synced(r, 0, 5);
    assert_int_equal(client_state(r->session), LP_STATE_LIVE);
}

static void step(rig *r, client_event_kind kind) {
    client_event event = {.kind = kind};
    client_actions actions = {.count = 0};
    client_step(r->session, &event, &actions);
    assert_int_equal(actions.count, 0);
}

static void answer_pages(rig *r, uint32_t id, span pages) {
    message synced = {.number = MSG_SYNCED, .batch = 1, .pages = pages, .now_ms = r->now_ms};
    rig_answer(r, id, &synced);
}

static void put_page(buf *pages, const uint8_t epoch[EPOCH_BYTES], uint64_t seq, bool more) {
    page p = {.cursor = {.scope = SPAN_LITERAL("pool"), .epoch = span_of(epoch, EPOCH_BYTES), .seq = seq},
              .more = more};
    wire_put_array(pages, 1);
    page_put(pages, &p);
}

/* Answers a request with one empty page of the pool. */
static void answer_page(rig *r, uint32_t id, const uint8_t epoch[EPOCH_BYTES], uint64_t seq, bool more) {
    buf pages = {0};
    put_page(&pages, epoch, seq, more);
    answer_pages(r, id, buf_span(&pages));
    buf_fini(&pages);
}

static void expect_reason(rig *r, lp_state state, const char *part) {
    assert_int_equal(client_state(r->session), state);
    if (!strstr(client_reason(r->session), part))
        fail_msg("\"%s\" is not in \"%s\"", part, client_reason(r->session));
}

static void sql(rig *r, const char *text) {
    assert_int_equal(sqlite3_exec(r->replica->db, text, NULL, NULL, NULL), SQLITE_OK);
}

/* ---- nonsense ---- */

static void pages_that_cannot_be_read_block_and_lose_nothing(void **state) {
    static const struct { span pages; } cases[] = {{SPAN_LITERAL("\x91\x01")}, {SPAN_LITERAL("\x01")}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig r;
        begin(&r);
        rig_welcome(&r, 0);
        answer_pages(&r, rig_last(&r)->id, cases[i].pages);
        expect_reason(&r, LP_STATE_BLOCKED, "malformed");
        assert_int_equal(rig_unsent(&r), 1);
        rig_close(&r);
    }
}

static void a_list_of_changes_that_cannot_be_read_blocks_and_loses_nothing(void **state) {
    rig r;
    buf pages = {0};
    (void)state;
    begin(&r);
    rig_welcome(&r, 0);
    page p = {.cursor = {.scope = SPAN_LITERAL("pool"), .epoch = span_of(epochs[0], EPOCH_BYTES), .seq = 9},
              .changes = SPAN_LITERAL("\x92\x90\x91\x01")};
    wire_put_array(&pages, 1);
    page_put(&pages, &p);
    answer_pages(&r, rig_last(&r)->id, buf_span(&pages));
    expect_reason(&r, LP_STATE_BLOCKED, "malformed");
    assert_int_equal(rig_unsent(&r), 1);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM meta WHERE key = 'cursor.pool'"), 0);
    buf_fini(&pages);
    rig_close(&r);
}

/* The device waited for news when it sent something, which was answered first. */
static void pages_behind_an_acknowledgement_that_cannot_be_read_block(void **state) {
    rig r;
    uint32_t wait = 0;
    (void)state;
    be_live(&r);
    for (uint32_t i = 0; i < r.sent_count; i++)
        wait = r.sent[i].number == MSG_WAIT ? r.sent[i].id : wait;
    rig_make_lead(&r, "Li Wei");
    rig_work(&r);
    message synced = {.number = MSG_SYNCED, .batch = 1, .seq = 6, .now_ms = r.now_ms};
    rig_answer(&r, rig_last(&r)->id, &synced);
    assert_int_equal(rig_unsent(&r), 0);
    answer_pages(&r, wait, SPAN_LITERAL("\x91\x01"));
    expect_reason(&r, LP_STATE_BLOCKED, "malformed");
    rig_close(&r);
}

/* The first page says that there is more, and the second is none: what follows is not asked for. */
static void nothing_is_asked_for_behind_a_page_that_cannot_be_read(void **state) {
    rig r;
    buf pages = {0};
    (void)state;
    be_live(&r);
    rig_lost(&r, LP_OFFLINE);
    rig_tick(&r);
    rig_channel(&r, "c");
    rig_welcome(&r, 0);
    page p = {.cursor = {.scope = SPAN_LITERAL("pool"), .epoch = span_of(epochs[0], EPOCH_BYTES), .seq = 9},
              .more = true};
    wire_put_array(&pages, 2);
    page_put(&pages, &p);
    wire_put_u64(&pages, 1);
    uint32_t sent = r.sent_count;
    answer_pages(&r, rig_last(&r)->id, buf_span(&pages));
    assert_int_equal(r.sent_count, sent);
    expect_reason(&r, LP_STATE_BLOCKED, "malformed");
    buf_fini(&pages);
    rig_close(&r);
}

static void an_answer_nobody_knows_asks_for_an_update(void **state) {
    rig r;
    (void)state;
    begin(&r);
    rig_answer_bytes(&r, r.sent[0].id, SPAN_LITERAL("\x92\xcc\xc8\x80"));
    expect_reason(&r, LP_STATE_BLOCKED, "update the app");
    assert_int_equal(rig_unsent(&r), 1);
    rig_close(&r);
}

static void a_refusal_without_a_reason_gets_one(void **state) {
    static const message refusals[] = {
        {.number = MSG_REFUSED}, {.number = MSG_REFUSED, .code = 5000}, {.number = MSG_ERROR, .code = LP_PROTOCOL}};
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        rig r;
        rig_open(&r, true);
        rig_start(&r, false);
        rig_channel(&r, "b");
        rig_answer(&r, r.sent[0].id, &refusals[i]);
        expect_reason(&r, LP_STATE_BLOCKED, "did not say why");
        assert_int_equal(r.done, i == 2 ? LP_PROTOCOL : LP_REFUSED);
        rig_close(&r);
    }
}

static void a_busy_server_cannot_put_a_device_off_for_ever(void **state) {
    rig r;
    message busy = {.number = MSG_BUSY, .retry_ms = UINT64_MAX};
    (void)state;
    begin(&r);
    rig_answer(&r, r.sent[0].id, &busy);
    expect_reason(&r, LP_STATE_WAITING, "the server is busy");
    assert_true(client_deadline_ms(r.session) <= r.now_ms + 2 * CLIENT_BACKOFF_MAX_MS);
    rig_close(&r);
}

static void scopes_that_make_no_sense_change_nothing(void **state) {
    static char too_long[SCOPE_NAME_BYTES_MAX + 2];
    buf lists[4] = {{0}};
    (void)state;
    memset(too_long, 'x', sizeof too_long - 1);
    wire_put_array(&lists[0], 1);
    wire_put_text(&lists[0], span_text(too_long));
    wire_put_array(&lists[1], HELD_SCOPES_MAX + 1);
    for (int i = 0; i <= HELD_SCOPES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "event:%d", i);
        wire_put_text(&lists[1], span_text(name));
    }
    wire_put_u64(&lists[2], 1);
    wire_put_array(&lists[3], 1);
    wire_put_text(&lists[3], SPAN_LITERAL(""));
    for (int i = 0; i < 4; i++) {
        rig r;
        message welcome = {.number = MSG_WELCOME,
                           .version = 1,
                           .epoch = span_of(epochs[0], EPOCH_BYTES),
                           .scopes = buf_span(&lists[i])};
        begin(&r);
        rig_answer(&r, r.sent[0].id, &welcome);
        expect_reason(&r, LP_STATE_BLOCKED, "the server's list of scopes is");
        assert_int_equal(rig_count(&r, "SELECT count(*) FROM scope"), 1);
        assert_int_equal(rig_unsent(&r), 1);
        rig_close(&r);
        buf_fini(&lists[i]);
    }
}

/* ---- without end ---- */

/* Each push is answered with a page behind which there is more, and what is asked for then is never answered. */
static void a_server_that_always_has_more_is_not_asked_without_bound(void **state) {
    rig r;
    (void)state;
    be_live(&r);
    int pulls = 0;
    for (uint64_t batch = 1; client_state(r.session) != LP_STATE_WAITING; batch++) {
        assert_true(pulls++ < 2 * (CLIENT_WINDOW + 4));
        rig_make_lead(&r, "Li Wei");
        rig_work(&r);
        if (client_state(r.session) == LP_STATE_WAITING)
            break;
        buf pages = {0};
        put_page(&pages, epochs[0], 5 + batch, true);
        message synced = {.number = MSG_SYNCED, .batch = batch, .pages = buf_span(&pages), .now_ms = r.now_ms};
        for (uint32_t i = 0; i < r.sent_count; i++)
            if (r.sent[i].number == MSG_SYNC && r.sent[i].message.batch == batch)
                rig_answer(&r, r.sent[i].id, &synced);
        buf_fini(&pages);
    }
    expect_reason(&r, LP_STATE_WAITING, "too many requests at once");
    assert_true(pulls > 2);
    rig_close(&r);
}

static void a_clock_that_never_comes_right_is_tried_again_later(void **state) {
    rig r;
    message clock = {.number = MSG_CLOCK, .now_ms = RIG_START_MS - 3600000};
    (void)state;
    begin(&r);
    for (int i = 0; client_state(r.session) == LP_STATE_SYNCING; i++) {
        assert_true(i < 10);
        uint32_t hello = r.sent_count;
        while (r.sent[hello - 1].number != MSG_HELLO)
            hello--;
        r.now_ms += 100 * i; /* each round trip is longer: the first sample stays the best */
        rig_answer(&r, r.sent[hello - 1].id, &clock);
    }
    expect_reason(&r, LP_STATE_WAITING, "do not come together");
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM contact"), 1);
    assert_int_equal(rig_unsent(&r), 1);
    rig_close(&r);
}

static void a_server_that_takes_every_number_for_a_copy_is_not_asked_again(void **state) {
    rig r;
    message copy = {.number = MSG_REFUSED, .code = LP_CLONED, .reason = SPAN_LITERAL("a copy")};
    (void)state;
    begin(&r);
    rig_answer(&r, r.sent[0].id, &copy);
    assert_int_equal(rig_last(&r)->number, MSG_REJOIN);
    rig_answer(&r, rig_last(&r)->id, &copy);
    expect_reason(&r, LP_STATE_BLOCKED, "a copy");
    assert_int_equal(rig_unsent(&r), 1);
    rig_close(&r);
}

/* ---- less than it should ---- */

static void welcome_to_another_epoch(rig *r, span scopes) {
    message welcome = {.number = MSG_WELCOME, .version = 1, .epoch = span_of(epochs[1], EPOCH_BYTES), .scopes = scopes};
    rig_lost(r, LP_OFFLINE);
    rig_tick(r);
    rig_channel(r, "c");
    rig_answer(r, rig_last(r)->id, &welcome);
}

/* A device that keeps what was acknowledged, of `count` leads. */
static void acknowledge(rig *r, uint32_t count) {
    uint8_t secret[CRYPTO_SEAL_KEY_BYTES] = {1}, key[CRYPTO_SEAL_KEY_BYTES];
    be_live(r);
    assert_int_equal(crypto_seal_public(secret, key, NULL), LP_OK);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(replica_meta_put(r->replica, "seal.key", span_of(key, sizeof key), NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    for (uint32_t i = 1; i <= count; i++) {
        rig_make_lead(r, "Li Wei");
        rig_work(r);
        message synced = {.number = MSG_SYNCED, .batch = i, .seq = 5 + i, .now_ms = r->now_ms};
        rig_answer(r, rig_last(r)->id, &synced);
    }
    assert_int_equal(rig_count(r, "SELECT count(*) FROM kept"), count);
}

static uint32_t offered(rig *r) {
    assert_int_equal(rig_last(r)->number, MSG_REOFFER);
    wire_reader entries = wire_open(rig_last(r)->message.entries);
    return wire_array(&entries);
}

static void an_offer_of_which_less_is_taken_is_made_again_in_parts(void **state) {
    static const struct {
        uint64_t taken;
        uint32_t next;
    } answers[] = {{2, 2}, {0, 1}, {1, 4}, {4, 0}};
    static const char scopes[] = "\x91\xa4pool";
    rig r;
    (void)state;
    acknowledge(&r, 5);
    welcome_to_another_epoch(&r, SPAN_LITERAL(scopes));
    assert_int_equal(offered(&r), 5);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        message taken = {.number = MSG_REOFFERED, .taken = answers[i].taken, .seq = 90 + i};
        rig_answer(&r, rig_last(&r)->id, &taken);
        if (answers[i].next)
            assert_int_equal(offered(&r), answers[i].next);
    }
    assert_int_equal(rig_last(&r)->number, MSG_SYNC);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM kept WHERE seq = 92 + 1"),
                     1); /* after all that went to review */
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM kept WHERE seq = 93 + 1"), 4);
    rig_close(&r);
}

static const rig_sent *last_hello(const rig *r) {
    uint32_t at = r->sent_count;
    while (at > 0 && r->sent[at - 1].number != MSG_HELLO)
        at--;
    assert_true(at > 0);
    return &r->sent[at - 1];
}

static uint32_t pushes(const rig *r) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->sent_count; i++)
        count += r->sent[i].number == MSG_SYNC && r->sent[i].message.batch > 0;
    return count;
}

static void what_is_typed_waits_until_all_is_offered(void **state) {
    rig r;
    (void)state;
    acknowledge(&r, 1);
    welcome_to_another_epoch(&r, SPAN_LITERAL("\x91\xa4pool"));
    assert_true(span_equal(last_hello(&r)->message.epoch, span_of(epochs[0], EPOCH_BYTES)));
    assert_int_equal(offered(&r), 1);
    uint32_t before = pushes(&r);
    rig_make_lead(&r, "typed meanwhile");
    rig_work(&r);
    assert_int_equal(pushes(&r), before);
    message taken = {.number = MSG_REOFFERED, .taken = 1, .seq = 90};
    rig_answer(&r, rig_last(&r)->id, &taken);
    assert_int_equal(pushes(&r), before + 1);
    rig_lost(&r, LP_OFFLINE);
    rig_tick(&r);
    rig_channel(&r, "d");
    assert_true(span_equal(last_hello(&r)->message.epoch, span_of(epochs[1], EPOCH_BYTES)));
    rig_close(&r);
}

/* It holds one of three batches. If those that it lacks are not all above the fork, the fork is not that of the history they were in. */
static void put_page_of(buf *pages, const char *scope, bool more) {
    page p = {.cursor = {.scope = span_text(scope), .epoch = span_of(epochs[0], EPOCH_BYTES), .seq = more ? 8 : 9},
              .more = more};
    page_put(pages, &p);
}

/* It was granted while a pull of the others went on, page after page. */
static void a_scope_that_was_granted_meanwhile_is_read_before_all_is_in_sync(void **state) {
    rig r;
    message welcome = {.number = MSG_WELCOME,
                       .version = 1,
                       .epoch = span_of(epochs[0], EPOCH_BYTES),
                       .scopes = SPAN_LITERAL("\x93\xa5setup\xa4pool\xaa"
                                              "event:expo")};
    (void)state;
    be_live(&r);
    rig_lost(&r, LP_OFFLINE);
    rig_tick(&r);
    rig_channel(&r, "c");
    uint32_t pull = rig_last(&r)->id;
    assert_int_equal(rig_last(&r)->number, MSG_SYNC);
    rig_answer(&r, last_hello(&r)->id, &welcome);
    for (int more = 1; more >= 0; more--) {
        buf pages = {0};
        wire_put_array(&pages, 2);
        put_page_of(&pages, "setup", false);
        put_page_of(&pages, "pool", more);
        answer_pages(&r, pull, buf_span(&pages));
        pull = rig_last(&r)->id;
        buf_fini(&pages);
    }
    wire_reader cursors = wire_open(rig_last(&r)->message.cursors);
    assert_int_equal(rig_last(&r)->number, MSG_SYNC);
    assert_int_equal(wire_array(&cursors), 3);
    rig_close(&r);
}

static void a_fork_below_which_something_is_missing_counts_for_nothing(void **state) {
    (void)state;
    for (uint64_t fork = 6; fork <= 7; fork++) {
        rig r;
        buf forks = {0};
        acknowledge(&r, 3);
        wire_put_array(&forks, 1);
        wire_put_array(&forks, 2);
        wire_put_bytes(&forks, span_of(epochs[0], EPOCH_BYTES));
        wire_put_u64(&forks, fork);
        message welcome = {.number = MSG_WELCOME,
                           .version = 1,
                           .batch = 1,
                           .epoch = span_of(epochs[1], EPOCH_BYTES),
                           .forks = buf_span(&forks),
                           .scopes = SPAN_LITERAL("\x91\xa4pool")};
        rig_lost(&r, LP_OFFLINE);
        rig_tick(&r);
        rig_channel(&r, "c");
        rig_answer(&r, rig_last(&r)->id, &welcome);
        assert_int_equal(offered(&r), fork == 6 ? 2 : 3);
        buf_fini(&forks);
        rig_close(&r);
    }
}

static void a_pool_that_was_set_back_is_read_anew_though_its_epoch_is_the_same(void **state) {
    static const char cursors[] = "SELECT count(*) FROM meta WHERE key LIKE 'cursor.%'";
    rig r;
    message welcome = {.number = MSG_WELCOME,
                       .version = 1,
                       .batch = 1,
                       .epoch = span_of(epochs[0], EPOCH_BYTES),
                       .scopes = SPAN_LITERAL("\x91\xa4pool")};
    (void)state;
    acknowledge(&r, 2);
    assert_true(rig_count(&r, cursors) > 0);
    rig_lost(&r, LP_OFFLINE);
    rig_tick(&r);
    rig_channel(&r, "c");
    rig_answer(&r, rig_last(&r)->id, &welcome);
    assert_int_equal(offered(&r), 2);
    assert_int_equal(rig_count(&r, cursors), 0);
    rig_close(&r);
}

static void a_new_epoch_in_which_nothing_is_granted_leaves_nothing(void **state) {
    rig r;
    (void)state;
    acknowledge(&r, 1);
    welcome_to_another_epoch(&r, SPAN_LITERAL("\x90"));
    assert_int_equal(offered(&r), 1);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM scope"), 0);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 0);
    rig_close(&r);
}

/* ---- out of order ---- */

/* The page was put together before the server had what it acknowledged meanwhile. */
static void a_page_that_an_acknowledgement_overtook_is_asked_for_again(void **state) {
    rig r;
    lp_id lead;
    uint32_t wait = 0;
    buf whole = {0}, pages = {0};
    (void)state;
    acknowledge(&r, 1);
    for (uint32_t i = 0; i < r.sent_count; i++)
        wait = r.sent[i].number == MSG_WAIT ? r.sent[i].id : wait;
    sqlite3_stmt *s = NULL;
    assert_int_equal(sqlite3_prepare_v2(r.replica->db, "SELECT id FROM record", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    memcpy(lead.bytes, sqlite3_column_blob(s, 0), sizeof lead.bytes);
    sqlite3_finalize(s);
    wire_put_array(&whole, 1);
    wire_put_bytes(&whole, id_span(&lead));
    wire_put_array(&pages, 2);
    for (int i = 0; i < 2; i++) {
        page p = {.cursor = {.scope = i ? SPAN_LITERAL("setup") : SPAN_LITERAL("pool"),
                             .epoch = span_of(epochs[0], EPOCH_BYTES),
                             .seq = 5},
                  .whole = i ? (span){0} : buf_span(&whole)};
        page_put(&pages, &p);
    }
    answer_pages(&r, wait, buf_span(&pages));
    assert_int_equal(rig_last(&r)->number, MSG_SYNC);
    assert_int_equal(rig_last(&r)->message.batch, 0);
    assert_true(rig_last(&r)->message.cursors.size > 0);
    buf_fini(&whole);
    buf_fini(&pages);
    rig_close(&r);
}

static void a_batch_that_is_answered_after_the_one_behind_it_is_sent_again_as_what_it_was(void **state) {
    rig r;
    uint32_t ids[2];
    (void)state;
    be_live(&r);
    for (int i = 0; i < 2; i++) {
        rig_make_lead(&r, "Li Wei");
        rig_work(&r);
        ids[i] = rig_last(&r)->id;
        assert_int_equal(rig_last(&r)->message.after, i);
    }
    message synced = {.number = MSG_SYNCED, .batch = 2, .now_ms = r.now_ms};
    rig_answer(&r, ids[1], &synced);
    rig_lost(&r, LP_OFFLINE);
    rig_tick(&r);
    rig_channel(&r, "c");
    assert_int_equal(rig_last(&r)->message.batch, 1);
    assert_int_equal(rig_last(&r)->message.after, 0);
    assert_int_equal(rig_last(&r)->message.given_up, 0);
    rig_close(&r);
}

static void what_comes_when_nothing_was_asked_is_ignored(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    static const client_event_kind kinds[] = {CLIENT_OPEN, CLIENT_MESSAGE, CLIENT_LOST, CLIENT_WORK, CLIENT_TICK};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        step(&r, kinds[i]);
    client_alive(r.session);
    assert_int_equal(client_deadline_ms(r.session), INT64_MAX);
    rig_start(&r, true);
    step(&r, CLIENT_MESSAGE);
    step(&r, CLIENT_WORK);
    step(&r, CLIENT_TICK); /* too early */
    int64_t deadline_ms = client_deadline_ms(r.session);
    client_alive(r.session);
    assert_int_equal(client_deadline_ms(r.session), deadline_ms);
    rig_channel(&r, "");
    assert_int_equal(client_state(r.session), LP_STATE_SYNCING);
    step(&r, CLIENT_OPEN);
    step(&r, CLIENT_TICK);
    r.now_ms += 1000;
    client_alive(r.session);
    assert_int_equal(client_deadline_ms(r.session), r.now_ms + CLIENT_ANSWER_MS);
    client_alive(r.session);
    assert_int_equal(client_deadline_ms(r.session), r.now_ms + CLIENT_ANSWER_MS);
    rig_close(&r);
}

static void a_server_that_does_not_open_is_tried_again(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    rig_start(&r, true);
    rig_tick(&r);
    expect_reason(&r, LP_STATE_WAITING, "did not answer in time");
    rig_tick(&r);
    assert_int_equal(client_state(r.session), LP_STATE_CONNECTING);
    rig_lost(&r, LP_VERSION);
    expect_reason(&r, LP_STATE_BLOCKED, "the line is gone");
    rig_close(&r);
}

/* Pages of another pool's epoch that come before the welcome, and again while a hello is unanswered, are not applied; one hello is enough. */
static void pages_of_another_epoch_lead_to_one_new_hello(void **state) {
    rig r;
    (void)state;
    be_live(&r);
    rig_make_lead(&r, "Li Wei");
    rig_work(&r);
    uint32_t push = rig_last(&r)->id, wait = 0;
    for (uint32_t i = 0; i < r.sent_count; i++)
        wait = r.sent[i].number == MSG_WAIT ? r.sent[i].id : wait;
    answer_page(&r, wait, epochs[1], 9, false);
    uint32_t hellos = 0;
    for (uint32_t i = 0; i < r.sent_count; i++)
        hellos += r.sent[i].number == MSG_HELLO;
    assert_int_equal(hellos, 2);
    answer_page(&r, push, epochs[1], 9, false);
    for (uint32_t i = hellos = 0; i < r.sent_count; i++)
        hellos += r.sent[i].number == MSG_HELLO;
    assert_int_equal(hellos, 2);
    assert_int_equal(rig_unsent(&r), 0);
    assert_int_equal(rig_count(&r, "SELECT instr(value, x'0a00000000') FROM meta WHERE key = 'cursor.pool'"), 0);
    rig_close(&r);
}

/* A correction in answer to a push greets again on a connection that is welcomed already. */
static void a_hello_on_its_way_is_enough_when_the_pool_turns_out_to_be_another(void **state) {
    rig r;
    (void)state;
    be_live(&r);
    rig_make_lead(&r, "Li Wei");
    rig_work(&r);
    message clock = {.number = MSG_CLOCK, .now_ms = r.now_ms};
    rig_answer(&r, rig_last(&r)->id, &clock);
    uint32_t push = 0;
    for (uint32_t i = 0; i < r.sent_count; i++)
        push = r.sent[i].number == MSG_SYNC && r.sent[i].message.batch ? r.sent[i].id : push;
    answer_page(&r, push, epochs[1], 9, false);
    uint32_t hellos = 0;
    for (uint32_t i = 0; i < r.sent_count; i++)
        hellos += r.sent[i].number == MSG_HELLO;
    assert_int_equal(hellos, 2);
    rig_close(&r);
}

/* ---- this end ---- */

static void a_key_that_is_lost_is_told(void **state) {
    static const char *const damages[] = {"DELETE FROM meta WHERE key = 'device.seed'",
                                          "UPDATE meta SET value = x'00' WHERE key = 'device.seed'"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        rig r;
        rig_open(&r, true);
        rig_make_lead(&r, "Li Wei");
        sql(&r, damages[i]);
        rig_start(&r, false);
        rig_channel(&r, "b");
        assert_int_equal(r.done, LP_CORRUPT);
        expect_reason(&r, LP_STATE_IDLE, "lost its key");
        rig_close(&r);
    }
}

static void a_damaged_cursor_is_told(void **state) {
    rig r;
    (void)state;
    be_live(&r);
    sql(&r, "UPDATE meta SET value = x'01' WHERE key = 'cursor.pool'");
    rig_synced(&r, 0, 5);
    expect_reason(&r, LP_STATE_WAITING, "the replica's cursor is damaged");
    rig_close(&r);
}

/* Another process that syncs the same replica has the batch's answer between two looks of this one. */
static int settle_elsewhere(unsigned type, void *ctx, void *statement, void *text) {
    (void)type;
    (void)statement;
    sqlite3 **other = ctx;
    if (*other && strstr(text, "SELECT first, last FROM batch WHERE number")) {
        sqlite3 *db = *other;
        *other = NULL;
        assert_int_equal(
            sqlite3_exec(db, "DELETE FROM outbox; DELETE FROM batch; UPDATE record SET unsent = 0", NULL, NULL, NULL),
            SQLITE_OK);
        sqlite3_close(db);
    }
    return 0;
}

static void a_batch_that_another_process_has_settled_is_not_sent(void **state) {
    rig r;
    sqlite3 *other = NULL;
    (void)state;
    be_live(&r);
    rig_make_lead(&r, "Li Wei");
    assert_int_equal(sqlite3_open(r.path, &other), SQLITE_OK);
    sqlite3_trace_v2(r.replica->db, SQLITE_TRACE_STMT, settle_elsewhere, &other);
    uint32_t sent = r.sent_count;
    rig_work(&r);
    sqlite3_trace_v2(r.replica->db, 0, NULL, NULL);
    assert_null(other);
    for (uint32_t i = sent; i < r.sent_count; i++)
        assert_int_equal(r.sent[i].message.batch, 0);
    assert_int_not_equal(client_state(r.session), LP_STATE_WAITING);
    rig_close(&r);
}

static void a_session_that_finds_no_memory_is_not_made(void **state) {
    rig r;
    client_session *s = NULL;
    lp_error error;
    (void)state;
    if (!short_memory_works())
        skip();
    rig_open(&r, true);
    short_memory_fail(0, 1);
    lp_err err = client_session_new(r.replica, &s, &error);
    short_memory_end();
    assert_int_equal(err, LP_NOMEM);
    assert_null(s);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_that_cannot_be_read_block_and_lose_nothing),
        cmocka_unit_test(a_list_of_changes_that_cannot_be_read_blocks_and_loses_nothing),
        cmocka_unit_test(pages_behind_an_acknowledgement_that_cannot_be_read_block),
        cmocka_unit_test(nothing_is_asked_for_behind_a_page_that_cannot_be_read),
        cmocka_unit_test(an_answer_nobody_knows_asks_for_an_update),
        cmocka_unit_test(a_refusal_without_a_reason_gets_one),
        cmocka_unit_test(a_busy_server_cannot_put_a_device_off_for_ever),
        cmocka_unit_test(scopes_that_make_no_sense_change_nothing),
        cmocka_unit_test(a_server_that_always_has_more_is_not_asked_without_bound),
        cmocka_unit_test(a_clock_that_never_comes_right_is_tried_again_later),
        cmocka_unit_test(a_server_that_takes_every_number_for_a_copy_is_not_asked_again),
        cmocka_unit_test(an_offer_of_which_less_is_taken_is_made_again_in_parts),
        cmocka_unit_test(what_is_typed_waits_until_all_is_offered),
        cmocka_unit_test(a_scope_that_was_granted_meanwhile_is_read_before_all_is_in_sync),
        cmocka_unit_test(a_fork_below_which_something_is_missing_counts_for_nothing),
        cmocka_unit_test(a_pool_that_was_set_back_is_read_anew_though_its_epoch_is_the_same),
        cmocka_unit_test(a_new_epoch_in_which_nothing_is_granted_leaves_nothing),
        cmocka_unit_test(a_batch_that_is_answered_after_the_one_behind_it_is_sent_again_as_what_it_was),
        cmocka_unit_test(a_page_that_an_acknowledgement_overtook_is_asked_for_again),
        cmocka_unit_test(what_comes_when_nothing_was_asked_is_ignored),
        cmocka_unit_test(a_server_that_does_not_open_is_tried_again),
        cmocka_unit_test(pages_of_another_epoch_lead_to_one_new_hello),
        cmocka_unit_test(a_hello_on_its_way_is_enough_when_the_pool_turns_out_to_be_another),
        cmocka_unit_test(a_session_that_finds_no_memory_is_not_made),
        cmocka_unit_test(a_key_that_is_lost_is_told),
        cmocka_unit_test(a_damaged_cursor_is_told),
        cmocka_unit_test(a_batch_that_another_process_has_settled_is_not_sent),
    };
    return cmocka_run_group_tests_name("integration_client_answers", tests, NULL, NULL);
}
