/* told.c - see told.h. */
#include "tests/support/told.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/replica/holdings.h"
#include "client/replica/outbox.h"
#include "client/sync/pull.h"
#include "client/replica/txn.h"

lp_id told_ids[TOLD_IDS];
const uint8_t told_epochs[2][EPOCH_BYTES] = {{9}, {10}};
const stamp told_when = {(uint64_t)(RIG_START_MS - 9000) << 16, 99};

static buf answer;
static uint32_t answered;

void told_begin(rig *r) {
    for (int i = 0; i < TOLD_IDS; i++)
        told_ids[i] = prop_id(&r->random);
}

void told_end(void) {
    buf_fini(&answer);
}

/* ---- what is said ---- */

void told_step(rig *r, const client_event *event) {
    client_actions actions = {.count = 0};
    client_step(r->session, event, &actions);
    for (uint32_t i = 0; i < actions.count; i++)
        buf_fini(&actions.list[i].message);
}

void told_put(const message *m, uint32_t id) {
    buf_clear(&answer);
    assert_int_equal(message_encode(m, &answer, NULL), LP_OK);
    answered = id;
}

uint32_t told_asked(const rig *r, uint32_t number) {
    uint32_t id = 0;
    for (uint32_t i = 0; i < r->sent_count; i++)
        id = r->sent[i].number == number ? r->sent[i].id : id;
    return id;
}

void told_take(rig *r) {
    client_event said = {.kind = CLIENT_MESSAGE, .id = answered, .bytes = buf_span(&answer)};
    told_step(r, &said);
}

void told_hear(rig *r) {
    rig_answer_bytes(r, answered, buf_span(&answer));
}

void told_greet(rig *r) {
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

void told_welcome(rig *r, const char *first, const char *second, message more) {
    buf scopes = {0};
    put_scopes(&scopes, first, second);
    more.number = MSG_WELCOME;
    more.version = 1;
    more.now_ms = r->now_ms + 500;
    more.scopes = buf_span(&scopes);
    more.batch = outbox_last_settled(r->replica);
    if (!more.epoch.size)
        more.epoch = span_of(told_epochs[0], EPOCH_BYTES);
    told_put(&more, told_asked(r, MSG_HELLO));
    buf_fini(&scopes);
}

void told_be_welcomed(rig *r) {
    told_greet(r);
    rig_welcome(r, outbox_last_settled(r->replica));
}

/* ---- pages ---- */

void told_lead(changes_writer *w, const lp_id *id, const char *company, uint32_t strange_field) {
    buf value = {0};
    wire_put_text(&value, span_text(company));
    changes_begin(w);
    change_put(w, LEAD_COMPANY, (span){0}, buf_span(&value));
    if (strange_field)
        change_put(w, strange_field, (span){0}, buf_span(&value));
    changes_end(w, KIND_LEAD, id, (stamp){told_when.time + (uint64_t)company[0], told_when.author}, STAMP_NONE, 0);
    buf_fini(&value);
}

void told_page_before(rig *r, page p, const char *company, uint32_t count) {
    changes_writer w;
    buf changes = {0};
    pull_outcome outcome = {0};
    uint64_t evicted;
    changes_init(&w);
    for (uint32_t i = 0; i < count; i++)
        told_lead(&w, &told_ids[i], company, 0);
    assert_int_equal(changes_finish(&w, &changes, NULL), LP_OK);
    p.changes = buf_span(&changes);
    if (!p.cursor.epoch.size)
        p.cursor.epoch = span_of(told_epochs[0], EPOCH_BYTES);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(pull_page(r->replica, &p, &outcome, NULL), LP_OK);
    assert_int_equal(holdings_evict(r->replica, &evicted, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    changes_fini(&w);
    buf_fini(&changes);
}

void told_page(rig *r, page p, changes_writer *w) {
    buf changes = {0}, pages = {0};
    assert_int_equal(changes_finish(w, &changes, NULL), LP_OK);
    p.changes = buf_span(&changes);
    p.cursor.scope = p.cursor.scope.size ? p.cursor.scope : SPAN_LITERAL("pool");
    p.cursor.epoch = p.cursor.epoch.size ? p.cursor.epoch : span_of(told_epochs[0], EPOCH_BYTES);
    wire_put_array(&pages, 1);
    page_put(&pages, &p);
    message synced = {.number = MSG_SYNCED, .pages = buf_span(&pages), .now_ms = r->now_ms};
    told_put(&synced, told_asked(r, MSG_SYNC));
    changes_fini(w);
    buf_fini(&changes);
    buf_fini(&pages);
}

/* ---- what the replica holds ---- */

void told_scopes_before(rig *r, const char *first, const char *second) {
    buf scopes = {0};
    put_scopes(&scopes, first, second);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(pull_scopes(r->replica, buf_span(&scopes), NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    buf_fini(&scopes);
}

void told_settle_before(rig *r, span verdicts) {
    uint64_t number;
    outbox_outcome outcome;
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(outbox_freeze(r->replica, OUTBOX_BATCH_BYTES, &number, NULL), LP_OK);
    assert_int_equal(outbox_settle(r->replica, number, verdicts, 4, &outcome, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
}

void told_four_leads(rig *r) {
    told_scopes_before(r, "setup", "pool");
    told_page_before(r, (page){.cursor = {.scope = SPAN_LITERAL("pool"), .seq = 4}}, "Acme", 4);
    rig_set(r, &told_ids[1], "notes", "refused");
    told_settle_before(r, TOLD_REFUSED);
    lp_txn *t;
    assert_int_equal(txn_new(r->replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &told_ids[0], "notes", "unsent", NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &told_ids[0], "tags.cold", "yes", NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
}

void told_two_batches(rig *r) {
    told_four_leads(r);
    rig_make_lead(r, "Li Wei");
}
