/* test_client_faults.c - what a device does with each thing the server says, when the k-th call of its database or the k-th allocation of its
 * own fails, for every k: what was to happen has happened or has not, nothing is there by half, and after a restart it happens.
 *
 * integration_short_memory lets SQLite's own allocations fail; sim_disk_faults and sim_power break the disk under whole pools. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client/holdings.h"
#include "client/kept.h"
#include "client/outbox.h"
#include "client/pull.h"
#include "client/recovered.h"
#include "client/statements.h"
#include "client/txn.h"
#include "proto/change.h"
#include "proto/page.h"
#include "tests/support/failing_sql.h"
#include "tests/support/rig.h"
#include "tests/support/short_memory.h"

/* One thing that happens to a device. Of `counted`, which shows whether it has happened, nothing but the value before and the one after
 * may ever be seen. */
typedef struct thing {
    const char *name;
    void (*prepare)(rig *r); /**< what the replica holds */
    void (*talk)(rig *r);    /**< up to the moment at which it happens; once more after a restart, maybe behind it */
    void (*act)(rig *r);     /**< must not allocate itself */
    const char *counted;     /**< SQL */
} thing;

static const uint8_t epochs[2][EPOCH_BYTES] = {{9}, {10}};
static lp_id ids[6];
static buf answer; /* what the server says in `act` */
static uint32_t answered;

/* Actions are carried out by forgetting them. */
static void step(rig *r, const client_event *event) {
    client_actions actions = {.count = 0};
    client_step(r->session, event, &actions);
    for (uint32_t i = 0; i < actions.count; i++)
        buf_fini(&actions.list[i].message);
}

/* ---- what is said ---- */

static void put_answer(const message *m, uint32_t id) {
    buf_clear(&answer);
    assert_int_equal(message_encode(m, &answer, NULL), LP_OK);
    answered = id;
}

/* The latest request of a kind; 0 if there is none: then the answer goes nowhere. */
static uint32_t asked(const rig *r, uint32_t number) {
    uint32_t id = 0;
    for (uint32_t i = 0; i < r->sent_count; i++)
        id = r->sent[i].number == number ? r->sent[i].id : id;
    return id;
}

static void take_answer(rig *r) {
    client_event said = {.kind = CLIENT_MESSAGE, .id = answered, .bytes = buf_span(&answer)};
    step(r, &said);
}

static void greet(rig *r) {
    for (uint32_t i = 0; i < r->sent_count; i++)
        buf_fini(&r->sent[i].bytes);
    r->sent_count = 0;
    rig_start(r, true);
    rig_channel(r, "binding");
}

static void put_scopes(buf *out, const char *first, const char *second) {
    wire_put_array(out, second ? 2 : 1);
    wire_put_text(out, span_text(first));
    if (second)
        wire_put_text(out, span_text(second));
}

static void put_welcome(rig *r, const char *first, const char *second, message more) {
    buf scopes = {0};
    put_scopes(&scopes, first, second);
    more.number = MSG_WELCOME;
    more.version = 1;
    more.now_ms = r->now_ms + 500;
    more.scopes = buf_span(&scopes);
    more.batch = outbox_last_settled(r->replica);
    if (!more.epoch.size)
        more.epoch = span_of(epochs[0], EPOCH_BYTES);
    put_answer(&more, asked(r, MSG_HELLO));
    buf_fini(&scopes);
}

static void be_welcomed(rig *r) {
    greet(r);
    rig_welcome(r, outbox_last_settled(r->replica));
}

/* ---- pages ---- */

static const stamp when = {(uint64_t)(RIG_START_MS - 9000) << 16, 99};

static void put_lead(changes_writer *w, const lp_id *id, const char *company, uint32_t strange_field) {
    buf value = {0};
    wire_put_text(&value, span_text(company));
    changes_begin(w);
    change_put(w, LEAD_COMPANY, (span){0}, buf_span(&value));
    if (strange_field)
        change_put(w, strange_field, (span){0}, buf_span(&value));
    changes_end(w, KIND_LEAD, id, (stamp){when.time + (uint64_t)company[0], when.author}, STAMP_NONE, 0);
    buf_fini(&value);
}

static span list_ids(buf *out, const lp_id *first, uint32_t count) {
    wire_put_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        wire_put_bytes(out, id_span(&first[i]));
    return buf_span(out);
}

/* Applies a page in a transaction of its own. `name`: what the leads in `count` of ids[] are called; NULL: none comes. */
static void take_page(rig *r, page p, const char *company, uint32_t count) {
    changes_writer w;
    buf changes = {0};
    pull_outcome outcome = {0};
    uint64_t evicted;
    changes_init(&w);
    for (uint32_t i = 0; i < count; i++)
        put_lead(&w, &ids[i], company, 0);
    assert_int_equal(changes_finish(&w, &changes, NULL), LP_OK);
    p.changes = buf_span(&changes);
    if (!p.cursor.epoch.size)
        p.cursor.epoch = span_of(epochs[0], EPOCH_BYTES);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(pull_page(r->replica, &p, &outcome, NULL), LP_OK);
    assert_int_equal(holdings_evict(r->replica, &evicted, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    changes_fini(&w);
    buf_fini(&changes);
}

/* The answer to the latest sync: a page, with what `w` holds. */
static void put_page(rig *r, page p, changes_writer *w) {
    buf changes = {0}, pages = {0};
    assert_int_equal(changes_finish(w, &changes, NULL), LP_OK);
    p.changes = buf_span(&changes);
    p.cursor.scope = p.cursor.scope.size ? p.cursor.scope : SPAN_LITERAL("pool");
    p.cursor.epoch = p.cursor.epoch.size ? p.cursor.epoch : span_of(epochs[0], EPOCH_BYTES);
    wire_put_array(&pages, 1);
    page_put(&pages, &p);
    message synced = {.number = MSG_SYNCED, .pages = buf_span(&pages), .now_ms = r->now_ms};
    put_answer(&synced, asked(r, MSG_SYNC));
    changes_fini(w);
    buf_fini(&changes);
    buf_fini(&pages);
}

/* ---- what the replica holds ---- */

static void set_scopes(rig *r, const char *first, const char *second) {
    buf scopes = {0};
    put_scopes(&scopes, first, second);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(pull_scopes(r->replica, buf_span(&scopes), NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    buf_fini(&scopes);
}

static void settle(rig *r, span verdicts) {
    uint64_t number;
    outbox_outcome outcome;
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(outbox_freeze(r->replica, OUTBOX_BATCH_BYTES, &number, NULL), LP_OK);
    assert_int_equal(outbox_settle(r->replica, number, verdicts, 4, &outcome, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
}

#define REFUSED SPAN_LITERAL("\x91\x94\x00\xff\x02\xa2no")

/* Four leads of the pool; of the first something of ours is unsent, of the second something was refused. */
static void four_leads(rig *r) {
    set_scopes(r, "setup", "pool");
    take_page(r, (page){.cursor = {.scope = SPAN_LITERAL("pool"), .seq = 4}}, "Acme", 4);
    rig_set(r, &ids[1], "notes", "refused");
    settle(r, REFUSED);
    lp_txn *t;
    assert_int_equal(txn_new(r->replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &ids[0], "notes", "unsent", NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &ids[0], "tags.cold", "yes", NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
}

/* The same, held by a fair that is soon over; one is held by `mine` too. */
static void a_fair(rig *r) {
    set_scopes(r, "mine", "event:x");
    take_page(r, (page){.cursor = {.scope = SPAN_LITERAL("event:x"), .seq = 4}}, "Acme", 4);
    take_page(r, (page){.cursor = {.scope = SPAN_LITERAL("mine"), .seq = 4}}, "Acme", 1);
    rig_set(r, &ids[1], "notes", "refused");
    settle(r, REFUSED);
    rig_set(r, &ids[2], "notes", "unsent");
}

static void keep_to_offer(rig *r) {
    uint8_t secret[CRYPTO_SEAL_KEY_BYTES] = {1}, key[CRYPTO_SEAL_KEY_BYTES];
    assert_int_equal(crypto_seal_public(secret, key, NULL), LP_OK);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(replica_meta_put(r->replica, "seal.key", span_of(key, sizeof key), NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
}

static void acknowledged(rig *r) {
    keep_to_offer(r);
    four_leads(r);
    settle(r, (span){0});
    rig_make_lead(r, "Li Wei");
    settle(r, (span){0});
    be_welcomed(r);
    rig_reopen(r);
}

/* What was acknowledged before anybody said which scopes there are. */
static void acknowledged_in_no_scope(rig *r) {
    set_scopes(r, "mine", NULL);
    rig_make_lead(r, "Li Wei");
    rig_make_lead(r, "Zoe");
    settle(r, (span){0});
}

static void half_re_read(rig *r) {
    four_leads(r);
    page first = {.cursor = {.scope = SPAN_LITERAL("pool"), .seq = 5, .behind = 5, .again = true},
                  .start = true,
                  .again = true,
                  .more = true};
    take_page(r, first, "Globe", 1);
}

static void unreadable_yesterday(rig *r) {
    changes_writer w;
    four_leads(r);
    changes_init(&w);
    put_lead(&w, &ids[2], "Globe", 0);
    buf changes = {0};
    assert_int_equal(changes_finish(&w, &changes, NULL), LP_OK);
    sqlite3_stmt *s = NULL;
    assert_int_equal(sqlite3_prepare_v2(r->replica->db,
                                        "INSERT INTO quarantine(id, kind, scope, changes, reason, version, at_ms)"
                                        " VALUES(?1, 1, 'pool', ?2, 'no', '0.0.0', 1)",
                                        -1, &s, NULL),
                     SQLITE_OK);
    bind_span(s, 1, id_span(&ids[2]));
    bind_span(s, 2, buf_span(&changes));
    assert_int_equal(sqlite3_step(s), SQLITE_DONE);
    sqlite3_finalize(s);
    changes_fini(&w);
    buf_fini(&changes);
}

static void clock_was_ahead(rig *r) {
    four_leads(r);
    r->now_ms += 3600000;
    rig_set(r, &ids[3], "notes", "an hour ahead");
    r->now_ms -= 3600000;
    assert_int_equal(
        sqlite3_exec(r->replica->db, "INSERT OR REPLACE INTO meta VALUES('clock.forced', 1)", NULL, NULL, NULL),
        SQLITE_OK);
}

static void two_batches(rig *r) {
    four_leads(r);
    rig_make_lead(r, "Li Wei");
}

static void lost_by_the_server(rig *r) {
    acknowledged(r);
    lp_error error;
    reg lost = {.field = LEAD_CITY, .value = SPAN_LITERAL("\xa3Ulm"), .stamp = when};
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(r->replica->gone(r->replica, KIND_LEAD, &ids[3], &lost, &error), LP_OK);
    assert_int_equal(r->replica->gone(r->replica, KIND_LEAD, &ids[2], &lost, &error), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    assert_int_equal(recovered_send(r->replica, &ids[3], &error), LP_OK);
    assert_int_equal(recovered_send(r->replica, &ids[2], &error), LP_OK);
}

/* ---- what is talked about before ---- */

static void rebooted(rig *r) {
    r->boot++;
    rig_reopen(r);
}

static void told_of_fewer_scopes(rig *r) {
    greet(r);
    put_welcome(r, "mine", NULL, (message){0});
}

static void told_of_the_pool(rig *r) {
    greet(r);
    put_welcome(r, "mine", "pool", (message){0});
}

static void told_of_a_new_epoch(rig *r) {
    greet(r);
    put_welcome(r, "setup", "pool", (message){.epoch = span_of(epochs[1], EPOCH_BYTES)});
}

/* The server gave up what this device had frozen. */
static void told_of_a_fence(rig *r) {
    greet(r);
    put_welcome(r, "setup", "pool", (message){.fence = 100});
}

static void told_another_time(rig *r) {
    greet(r);
    message clock = {.number = MSG_CLOCK, .now_ms = r->now_ms - 3600000};
    put_answer(&clock, asked(r, MSG_HELLO));
}

static void offering(rig *r) {
    told_of_a_new_epoch(r);
    rig_answer_bytes(r, answered, buf_span(&answer));
    message taken = {.number = MSG_REOFFERED, .taken = 100, .seq = 8};
    put_answer(&taken, asked(r, MSG_REOFFER));
}

static void offering_what_others_wrote(rig *r) {
    be_welcomed(r);
    message taken = {.number = MSG_REOFFERED, .taken = 1, .seq = 8};
    put_answer(&taken, asked(r, MSG_REOFFER));
}

/* Ids that join, leave, are erased, are purged, and come whole. */
static void sent_a_page_of_everything(rig *r) {
    static const uint8_t other_digest[16] = {1};
    buf parts[5] = {{0}};
    changes_writer w;
    be_welcomed(r);
    changes_init(&w);
    put_lead(&w, &ids[0], "Globe", LEAD_JOB_TITLE);
    put_lead(&w, &ids[4], "Globe", 0);
    page p = {.cursor = {.seq = 9},
              .digest = span_of(other_digest, sizeof other_digest),
              .whole = list_ids(&parts[0], &ids[0], 1),
              .left = list_ids(&parts[1], &ids[1], 1),
              .erased = list_ids(&parts[2], &ids[2], 1),
              .purged = list_ids(&parts[3], &ids[3], 1),
              .joined = list_ids(&parts[4], &ids[5], 1)};
    put_page(r, p, &w);
    for (int i = 0; i < 5; i++)
        buf_fini(&parts[i]);
}

static void sent_the_last_page(rig *r) {
    changes_writer w;
    be_welcomed(r);
    changes_init(&w);
    put_lead(&w, &ids[1], "Globe", 0);
    put_page(r, (page){.cursor = {.seq = 9}, .again = true}, &w);
}

/* A pool that was set back: the first page has less, and is the last. */
static void sent_another_history(rig *r) {
    changes_writer w;
    be_welcomed(r);
    assert_int_equal(sqlite3_exec(r->replica->db, "DELETE FROM meta WHERE key = 'epoch'", NULL, NULL, NULL), SQLITE_OK);
    changes_init(&w);
    put_lead(&w, &ids[1], "Abel", 0);
    put_page(r, (page){.cursor = {.epoch = span_of(epochs[1], EPOCH_BYTES), .seq = 3}, .start = true, .again = true},
             &w);
}

static void sent_what_cannot_be_read(rig *r) {
    changes_writer w;
    be_welcomed(r);
    changes_init(&w);
    put_lead(&w, &ids[0], "Globe", 0);
    put_lead(&w, &ids[1], "Globe", FIELD_NUMBER_MAX + 1);
    put_lead(&w, &ids[4], "Globe", 0);
    put_page(r, (page){.cursor = {.seq = 9}}, &w);
}

static void judged(rig *r) {
    buf verdicts = {0};
    be_welcomed(r);
    verdict received = {.set = 0, .field = 0, .kind = VERDICT_RECEIVED},
            refused = {.set = 0, .field = 1, .kind = VERDICT_REFUSED};
    wire_put_array(&verdicts, 2);
    verdict_put(&verdicts, &received);
    verdict_put(&verdicts, &refused);
    message synced = {.number = MSG_SYNCED, .batch = 1, .seq = 9, .verdicts = buf_span(&verdicts), .now_ms = r->now_ms};
    put_answer(&synced, asked(r, MSG_SYNC));
    buf_fini(&verdicts);
}

static void called_a_copy(rig *r) {
    greet(r);
    message refused = {.number = MSG_REFUSED, .code = LP_CLONED, .reason = SPAN_LITERAL("a copy")};
    put_answer(&refused, asked(r, MSG_HELLO));
}

static void given_another_number(rig *r) {
    if (r->replica->clock.author != RIG_DEVICE)
        return;
    called_a_copy(r);
    rig_answer_bytes(r, answered, buf_span(&answer));
    message joined = {.number = MSG_JOINED,
                      .version = 1,
                      .device = RIG_DEVICE + 1,
                      .pool = id_span(&r->replica->pool),
                      .pool_name = SPAN_LITERAL("Messe"),
                      .staff = id_span(&r->replica->person),
                      .staff_name = SPAN_LITERAL("Li Wei"),
                      .role = SPAN_LITERAL("rep"),
                      .now_ms = r->now_ms};
    put_answer(&joined, asked(r, MSG_REJOIN));
}

static void sent_everything(rig *r) {
    be_welcomed(r);
    rig_synced(r, 1, 0);
    buf pages = {0};
    wire_put_array(&pages, 2);
    for (int i = 0; i < 2; i++) {
        page p = {.cursor = {.scope = i ? SPAN_LITERAL("pool") : SPAN_LITERAL("setup"),
                             .epoch = span_of(epochs[0], EPOCH_BYTES),
                             .seq = 30}};
        page_put(&pages, &p);
    }
    message synced = {.number = MSG_SYNCED, .pages = buf_span(&pages), .now_ms = r->now_ms};
    put_answer(&synced, asked(r, MSG_SYNC));
    buf_fini(&pages);
}

/* ---- what happens ---- */

static void start(rig *r) {
    client_event event = {.kind = CLIENT_START, .keep = true};
    step(r, &event);
}

static void open_channel(rig *r) {
    client_event event = {.kind = CLIENT_OPEN, .bytes = SPAN_LITERAL("binding")};
    step(r, &event);
}

static void lose_the_line(rig *r) {
    client_event event = {.kind = CLIENT_LOST, .error = {.code = LP_OFFLINE}};
    step(r, &event);
}

static void save(rig *r) {
    lp_txn *t = NULL;
    lp_err err = txn_new(r->replica, NULL, &t, NULL);
    if (!err)
        err = txn_set_text(t, &ids[0], "notes", "typed again", NULL);
    if (!err)
        err = txn_set_text(t, &ids[0], "tags.vip", "yes", NULL);
    if (!err)
        err = txn_set_text(t, &ids[1], "city", "Ulm", NULL);
    if (!err)
        txn_commit(t, NULL);
    txn_free(t);
}

static void nothing(rig *r) {
    (void)r;
}

static const thing things[] = {
    {"save", four_leads, nothing, save, "SELECT count(*) FROM outbox"},
    {"the first save after a reboot", four_leads, rebooted, save, "SELECT count(*) FROM outbox"},
    {"greet and push", two_batches, start, open_channel, "SELECT count(*) FROM batch"},
    {"greet with stamps that are ahead", clock_was_ahead, start, open_channel,
     "SELECT value = 0 FROM meta WHERE key = 'clock.forced'"},
    {"fewer scopes", a_fair, told_of_fewer_scopes, take_answer, "SELECT count(*) FROM scope WHERE name = 'event:x'"},
    {"the pool", acknowledged_in_no_scope, told_of_the_pool, take_answer, "SELECT count(*) FROM record WHERE held"},
    {"a new epoch", acknowledged, told_of_a_new_epoch, take_answer,
     "SELECT coalesce((SELECT value FROM meta WHERE key = 'offer.last'), 0)"},
    {"a fence", two_batches, told_of_a_fence, take_answer, "SELECT min(number) > 2 FROM batch"},
    {"another time", two_batches, told_another_time, take_answer,
     "SELECT count(*) FROM meta WHERE key = 'clock.corrections'"},
    {"an offer taken", acknowledged, offering, take_answer, "SELECT count(*) FROM kept WHERE seq = 8"},
    {"others' values taken", lost_by_the_server, offering_what_others_wrote, take_answer,
     "SELECT count(*) FROM recovered"},
    {"a page of everything", four_leads, sent_a_page_of_everything, take_answer, "SELECT count(*) FROM erased"},
    {"the last page", half_re_read, sent_the_last_page, take_answer, "SELECT count(*) FROM record"},
    {"another history", four_leads, sent_another_history, take_answer, "SELECT count(*) FROM recovered"},
    {"what cannot be read", four_leads, sent_what_cannot_be_read, take_answer, "SELECT count(*) FROM quarantine"},
    {"what could not be read", unreadable_yesterday, nothing, start, "SELECT count(*) FROM quarantine"},
    {"verdicts", two_batches, judged, take_answer, "SELECT count(*) FROM outbox"},
    {"called a copy", two_batches, called_a_copy, take_answer,
     "SELECT count(*) FROM meta WHERE key = 'rejoin.install'"},
    {"another number", two_batches, given_another_number, take_answer,
     "SELECT value FROM meta WHERE key = 'device.number'"},
    {"in sync", four_leads, sent_everything, take_answer, "SELECT count(*) FROM meta WHERE key = 'sync.last_ms'"},
    {"a line that is cut", two_batches, be_welcomed, lose_the_line,
     "SELECT count(*) FROM meta WHERE key = 'line.bytes'"},
};

/* ---- after it ---- */

static void check(rig *r, const thing *what, uint64_t at) {
    static const char *const never[] = {
        "SELECT count(*) FROM outbox LEFT JOIN record USING(rid) WHERE record.rid IS NULL",
        "SELECT count(*) FROM record WHERE unsent <> (rid IN (SELECT rid FROM outbox))",
        "SELECT count(*) FROM leaving JOIN record USING(rid) WHERE held OR NOT unsent",
        "SELECT count(*) FROM record JOIN erased USING(id)",
    };
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (rig_count(r, never[i]) != 0)
            fail_msg("%s, fault %llu: %s", what->name, (unsigned long long)at, never[i]);
    if (rig_count(r, "SELECT count(*) FROM scope WHERE name = 'pool'") && !rig_digest_holds(r))
        fail_msg("%s, fault %llu: the digest", what->name, (unsigned long long)at);
}

typedef struct injector {
    const char *name;
    void (*begin)(uint64_t at, uint64_t count);
    uint64_t (*end)(void);
} injector;

static const injector database = {"database calls", failing_sql_fail, failing_sql_end},
                      memory = {"allocations", short_memory_fail, short_memory_end};

/* Every statement is prepared anew: that can fail too. */
static void forget_statements(rig *r) {
    statements_close(r->replica);
    assert_int_equal(statements_open(r->replica, NULL), LP_OK);
}

/* One fault; true if it was within reach of the thing. */
static bool try(const injector *how, const thing *what, uint64_t at, uint64_t count, int64_t *before, int64_t *after) {
    rig r;
    rig_open(&r, true);
    for (int i = 0; i < 6; i++)
        ids[i] = prop_id(&r.random);
    what->prepare(&r);
    what->talk(&r);
    *before = at ? *before : rig_count(&r, what->counted);
    forget_statements(&r);
    how->begin(at, count);
    what->act(&r);
    uint64_t made = how->end();
    int64_t now = rig_count(&r, what->counted);
    if (!count)
        *after = now;
    if (now != *before && now != *after)
        fail_msg("%s, fault %llu: %lld", what->name, (unsigned long long)at, (long long)now);
    check(&r, what, at);
    if (now != *after) {
        rig_reopen(&r);
        what->talk(&r);
        what->act(&r);
        assert_int_equal(rig_count(&r, what->counted), *after);
        check(&r, what, at);
    }
    rig_close(&r);
    return at < made;
}

static void sweep(const injector *how, uint64_t count) {
    for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
        int64_t before = 0, after = 0;
        uint64_t at = 0;
        try(how, &things[i], 0, 0, &before, &after);
        assert_int_not_equal(before, after);
        while (try(how, &things[i], at, count, &before, &after))
            at++;
        fprintf(stderr, "[     INFO ] %s: %llu %s failed\n", things[i].name, (unsigned long long)at, how->name);
    }
}

static void a_database_call_that_fails_leaves_nothing_by_half(void **state) {
    (void)state;
    sweep(&database, 1);
}

static void a_database_that_stays_broken_leaves_nothing_by_half(void **state) {
    (void)state;
    sweep(&database, UINT64_MAX);
}

static void an_allocation_that_fails_leaves_nothing_by_half(void **state) {
    (void)state;
    if (!short_memory_works())
        skip();
    sweep(&memory, 1);
}

static int forget(void **state) {
    (void)state;
    buf_fini(&answer);
    return 0;
}

int main(void) {
    short_memory_spare_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_database_call_that_fails_leaves_nothing_by_half),
        cmocka_unit_test(a_database_that_stays_broken_leaves_nothing_by_half),
        cmocka_unit_test(an_allocation_that_fails_leaves_nothing_by_half),
    };
    return cmocka_run_group_tests_name("integration_client_faults", tests, NULL, forget);
}
