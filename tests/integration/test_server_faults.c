/* test_server_faults.c - what a session of the server does with each event when the k-th call of the database or the k-th allocation fails, for
 * every k: whoever asked gets an answer, if only that the server is in trouble, or the end of the connection; and once all is well the same
 * request is answered as it should be.
 *
 * What the committer does then is for integration_job_faults, conformance_store, integration_commit_thread and sim_disk_faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/err.h"
#include "proto/ranges.h"
#include "server/session/session_parts.h"
#include "server/store/sqlite.h"
#include "tests/sim/hand.h"
#include "tests/support/failing_sql.h"
#include "tests/support/short_memory.h"

typedef struct bench {
    hand hand;
    session *session;
    buf request;
    session_event event; /**< what is about to happen */
    uint64_t batch;      /**< pushed last */
    bool quiet;          /**< nobody asked: no answer is due */
} bench;

/* One event. `answer`: the message it leads to if nothing fails; 0: a job, or a wait that is parked. */
typedef struct thing {
    const char *name;
    void (*prepare)(bench *b);
    uint32_t answer;
} thing;

static void done(void *ctx, job *j) {
    (void)ctx;
    (void)j;
}

/* ---- the event ---- */

static void connect(bench *b) {
    hand_connect(&b->hand);
    hand_greet(&b->hand, b->batch);
    b->session = b->hand.world->links[b->hand.link].session;
}

static void ask(bench *b, const message *m) {
    buf_clear(&b->request);
    assert_int_equal(message_encode(m, &b->request, NULL), LP_OK);
    b->event = (session_event){.kind = SESSION_MESSAGE, .id = 0x80001000, .bytes = buf_span(&b->request)};
}

static session_actions step(bench *b) {
    session_actions actions;
    session_step(b->session, b->hand.world->reader, &b->event, &actions);
    return actions;
}

static void end_actions(session_actions *actions) {
    for (uint32_t i = 0; i < actions->count; i++) {
        buf_fini(&actions->list[i].answer);
        job_free(actions->list[i].job);
    }
}

/* The event leads to a job; what is looked at is what follows when that is done. */
static void let_it_be_done(bench *b) {
    session_actions actions = step(b);
    job *j = NULL;
    for (uint32_t i = 0; i < actions.count; i++)
        if (actions.list[i].kind == SESSION_COMMIT && !j) {
            j = actions.list[i].job;
            actions.list[i].job = NULL;
        }
    assert_non_null(j);
    j->done = done;
    j->seq = 1;
    committer_run(b->hand.world->committer, j);
    end_actions(&actions);
    b->event = (session_event){.kind = SESSION_COMMITTED, .job = j};
}

static void say_hello(bench *b, int64_t off_ms, bool anew) {
    buf to_sign = {0};
    uint8_t signature[CRYPTO_SIGNATURE_BYTES];
    const hand *h = &b->hand;
    message hello = {.number = MSG_HELLO,
                     .version = h->version,
                     .version_min = h->version_min,
                     .device = h->device,
                     .install = span_of(h->install, sizeof h->install),
                     .now_ms = h->world->now_ms + off_ms,
                     .batch = b->batch,
                     .anew = anew};
    message_hello_signed(&hello, span_of(h->binding, sizeof h->binding), &to_sign);
    assert_int_equal(crypto_sign(h->seed, buf_span(&to_sign), signature, NULL), LP_OK);
    hello.signature = span_of(signature, sizeof signature);
    ask(b, &hello);
    buf_fini(&to_sign);
}

static void hello(bench *b) {
    connect(b);
    say_hello(b, 0, false);
}

static void hello_with_a_wrong_clock(bench *b) {
    connect(b);
    say_hello(b, 3600000, false);
}

static void fenced(bench *b) {
    hello_with_a_wrong_clock(b);
    let_it_be_done(b);
}

static void fenced_to_begin_anew(bench *b) {
    connect(b);
    say_hello(b, 0, true);
    let_it_be_done(b);
}

static void pull_from(bench *b, span cursors) {
    message m = {.number = MSG_SYNC, .cursors = cursors};
    connect(b);
    ask(b, &m);
}

static void pull(bench *b) {
    pull_from(b, buf_span(&b->hand.cursors));
}

/* A cursor of this epoch that is of another history. */
static void put_strange_cursor(bench *b, buf *out) {
    static const uint8_t tag[CURSOR_TAG_BYTES] = {0xee};
    wire_put_array(out, 1);
    cursor c = {.scope = SPAN_LITERAL("pool"),
                .epoch = span_of(b->session->epoch, EPOCH_BYTES),
                .seq = 1000,
                .tag = span_of(tag, sizeof tag)};
    cursor_put(out, &c);
}

static void pull_of_another_history(bench *b) {
    buf cursors = {0};
    connect(b);
    put_strange_cursor(b, &cursors);
    message m = {.number = MSG_SYNC, .cursors = buf_span(&cursors)};
    ask(b, &m);
    buf_fini(&cursors);
}

static void given_another_epoch(bench *b) {
    pull_of_another_history(b);
    let_it_be_done(b);
}

static void push(bench *b) {
    buf changes = {0};
    hand *h = &b->hand;
    connect(b);
    hand_begin(h);
    hand_put_text(h, LEAD_COMPANY, "Acme");
    changes_end(&h->writer, h->kind, &h->record, hlc_next(&h->clock, h->world->now_ms), STAMP_NONE, 0);
    assert_int_equal(changes_finish(&h->writer, &changes, NULL), LP_OK);
    message m = {
        .number = MSG_SYNC, .batch = ++b->batch, .changes = buf_span(&changes), .cursors = buf_span(&h->cursors)};
    ask(b, &m);
    buf_fini(&changes);
}

static void pushed(bench *b) {
    push(b);
    let_it_be_done(b);
}

static void offer(bench *b) {
    message m = {.number = MSG_REOFFER};
    connect(b);
    ask(b, &m);
}

static void offered(bench *b) {
    offer(b);
    let_it_be_done(b);
}

static void wait_for_news(bench *b) {
    connect(b);
    hand_pull(&b->hand);
    hand_expect(&b->hand, MSG_SYNCED);
    hand_read_pages(&b->hand);
    message m = {.number = MSG_WAIT, .cursors = buf_span(&b->hand.cursors), .timeout_ms = 5000};
    ask(b, &m);
}

static void parked(bench *b) {
    wait_for_news(b);
    session_actions actions = step(b);
    end_actions(&actions);
    assert_true(session_parked(b->session));
    b->quiet = true;
}

static void parked_and_nothing_new(bench *b) {
    parked(b);
    b->event = (session_event){.kind = SESSION_MOVED};
}

static void parked_for_long_enough(bench *b) {
    parked(b);
    b->hand.world->now_ms += 5000;
    b->event = (session_event){.kind = SESSION_TICK};
}

static void join(bench *b) {
    uint8_t key[CRYPTO_KEY_BYTES] = {1};
    connect(b);
    message m = {.number = MSG_JOIN,
                 .version = 1,
                 .token = span_of(b->hand.token, sizeof b->hand.token),
                 .public_key = span_of(key, sizeof key),
                 .install = span_of(b->hand.install, sizeof b->hand.install),
                 .label = SPAN_LITERAL("by hand")};
    ask(b, &m);
}

static void joined(bench *b) {
    join(b);
    let_it_be_done(b);
}

static void rejoin(bench *b) {
    uint8_t key[CRYPTO_KEY_BYTES] = {2}, install[16] = {7}, signature[CRYPTO_SIGNATURE_BYTES];
    buf to_sign = {0};
    connect(b);
    message m = {.number = MSG_REJOIN,
                 .version = 1,
                 .device = b->hand.device,
                 .public_key = span_of(key, sizeof key),
                 .install = span_of(install, sizeof install)};
    message_rejoin_signed(&m, span_of(b->hand.binding, sizeof b->hand.binding), &to_sign);
    assert_int_equal(crypto_sign(b->hand.seed, buf_span(&to_sign), signature, NULL), LP_OK);
    m.signature = span_of(signature, sizeof signature);
    ask(b, &m);
    buf_fini(&to_sign);
}

/* As a device that differs asks for records. */
static void compare_records(bench *b) {
    buf ranges = {0}, one = {0};
    cursor last;
    connect(b);
    hand_push_text(&b->hand, ++b->batch, LEAD_COMPANY, "Acme");
    hand_expect(&b->hand, MSG_SYNCED);
    wait_for_news(b);
    wire_reader known = wire_open(buf_span(&b->hand.cursors));
    for (uint32_t left = wire_array(&known); left; left--)
        assert_true(cursor_take(&known, &last)); /* of scope pool */
    wire_put_array(&one, 1);
    cursor_put(&one, &last);
    ranges_put(&ranges, &range_of_all, 1);
    message m = {.number = MSG_DIGESTS, .cursors = buf_span(&one), .ranges = buf_span(&ranges), .records = true};
    ask(b, &m);
    buf_fini(&ranges);
    buf_fini(&one);
}

/* The pool has more than one epoch by now. */
static void hello_after_a_fork(bench *b) {
    given_another_epoch(b);
    session_actions actions = step(b);
    end_actions(&actions);
    hello(b);
}

static void challenge(bench *b) {
    message m = {.number = MSG_CHALLENGE};
    connect(b);
    ask(b, &m);
}

static const thing things[] = {
    {"hello", hello, MSG_WELCOME},
    {"hello with a wrong clock", hello_with_a_wrong_clock, 0},
    {"fenced", fenced, MSG_CLOCK},
    {"fenced to begin anew", fenced_to_begin_anew, MSG_WELCOME},
    {"challenge", challenge, MSG_CHALLENGED},
    {"pull", pull, MSG_SYNCED},
    {"pull of another history", pull_of_another_history, 0},
    {"given another epoch", given_another_epoch, MSG_SYNCED},
    {"push", push, 0},
    {"pushed", pushed, MSG_SYNCED},
    {"offer", offer, 0},
    {"offered", offered, MSG_REOFFERED},
    {"wait", wait_for_news, 0},
    {"parked and nothing new", parked_and_nothing_new, 0},
    {"parked for long enough", parked_for_long_enough, MSG_SYNCED},
    {"join", join, 0},
    {"joined", joined, MSG_REFUSED},
    {"rejoin", rejoin, 0},
    {"compare records", compare_records, MSG_DIGESTED},
    {"hello after a fork", hello_after_a_fork, MSG_WELCOME},
};

/* ---- what came of it ---- */

/* The number of the one answer; 0 if there is none. */
static uint32_t answer_in(const session_actions *actions) {
    message m = {0};
    for (uint32_t i = 0; i < actions->count; i++)
        if (actions->list[i].kind == SESSION_ANSWER)
            assert_int_equal(message_decode(buf_span(&actions->list[i].answer), &m, NULL), LP_OK);
    return m.number;
}

static bool does(const session_actions *actions, session_action_kind kind) {
    for (uint32_t i = 0; i < actions->count; i++)
        if (actions->list[i].kind == kind)
            return true;
    return false;
}

typedef struct injector {
    const char *name;
    void (*begin)(uint64_t at, uint64_t count);
    uint64_t (*end)(void);
} injector;

static const injector database = {"database calls", failing_sql_fail, failing_sql_end},
                      memory = {"allocations", short_memory_fail, short_memory_end};

static void expect_answered(const bench *b, const thing *what, uint64_t at, const session_actions *actions) {
    uint32_t answer = answer_in(actions);
    bool as_it_should = answer ? answer == what->answer : what->answer == 0;
    bool due = !b->quiet && !session_parked(b->session);
    if (due && !answer && !does(actions, SESSION_COMMIT) && !does(actions, SESSION_CLOSE))
        fail_msg("%s, fault %llu: nobody is told", what->name, (unsigned long long)at);
    if (answer && !as_it_should && answer != MSG_BUSY)
        fail_msg("%s, fault %llu: answered with %s", what->name, (unsigned long long)at, message_name(answer));
}

/* One fault; true if it was within reach. */
static bool try(bench *b, const injector *how, const thing *what, uint64_t at, uint64_t count) {
    b->quiet = false;
    what->prepare(b);
    how->begin(at, count);
    session_actions actions = step(b);
    uint64_t made = how->end();
    expect_answered(b, what, at, &actions);
    if (count == 0)
        assert_int_equal(answer_in(&actions), what->answer);
    bool closed = does(&actions, SESSION_CLOSE);
    end_actions(&actions);
    /* The same once more is answered as it should be. */
    if (count && b->event.kind == SESSION_MESSAGE && !closed && b->session->jobs == 0) {
        actions = step(b);
        assert_int_equal(answer_in(&actions), what->answer);
        end_actions(&actions);
    }
    return at < made;
}

static void sweep(const injector *how) {
    for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
        bench b = {0};
        uint64_t at = 0;
        hand_open_on(&b.hand, 1, &store_sqlite_ops);
        try(&b, how, &things[i], 0, 0);
        while (try(&b, how, &things[i], at, 1))
            at++;
        fprintf(stderr, "[     INFO ] %s: %llu %s failed\n", things[i].name, (unsigned long long)at, how->name);
        hand_close(&b.hand);
        buf_fini(&b.request);
    }
}

static void a_database_call_that_fails_is_told_to_who_asked(void **state) {
    (void)state;
    sweep(&database);
}

static void an_allocation_that_fails_is_told_to_who_asked(void **state) {
    (void)state;
    if (!short_memory_works())
        skip();
    sweep(&memory);
}

static void a_session_that_finds_no_memory_is_not_made(void **state) {
    session *s;
    hand h;
    lp_error error;
    (void)state;
    if (!short_memory_works())
        skip();
    hand_open(&h, 1);
    short_memory_fail(0, 1);
    lp_err err = session_new(&h.world->pool, (span){0}, &s, &error);
    short_memory_end();
    assert_int_equal(err, LP_NOMEM);
    hand_close(&h);
}

int main(void) {
    short_memory_spare_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_database_call_that_fails_is_told_to_who_asked),
        cmocka_unit_test(an_allocation_that_fails_is_told_to_who_asked),
        cmocka_unit_test(a_session_that_finds_no_memory_is_not_made),
    };
    return cmocka_run_group_tests_name("integration_server_faults", tests, NULL, NULL);
}
