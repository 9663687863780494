/* rig.c - see rig.h. */
#include "tests/support/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/replica/fields.h"
#include "client/replica/holdings.h"
#include "client/sync/pull.h"
#include "client/replica/txn.h"
#include "proto/change.h"
#include "proto/err.h"
#include "proto/page.h"

/* ---- its environment ---- */

static int64_t now(void *ctx) {
    return ((const rig *)ctx)->now_ms;
}

static void random_bytes(void *ctx, void *bytes, size_t size) {
    prop_bytes(&((rig *)ctx)->random, bytes, size);
}

static void boot_id(void *ctx, uint8_t id_out[16]) {
    memset(id_out, ((const rig *)ctx)->boot, 16);
}

/* ---- life ---- */

void rig_join(rig *r, uint32_t device) {
    static const uint8_t token[16] = {1};
    buf request = {0}, answer = {0}, seed = {0};
    lp_id pool_id = prop_id(&r->random), person = prop_id(&r->random);
    assert_int_equal(client_join_request(r->replica, token, "rig", &request, NULL), LP_OK);
    message joined = {.number = MSG_JOINED,
                      .version = 1,
                      .device = device,
                      .pool = id_span(&pool_id),
                      .pool_name = SPAN_LITERAL("Messe"),
                      .staff = id_span(&person),
                      .staff_name = SPAN_LITERAL("Li Wei"),
                      .role = SPAN_LITERAL("rep"),
                      .now_ms = r->now_ms};
    assert_int_equal(message_encode(&joined, &answer, NULL), LP_OK);
    assert_int_equal(client_join_take(r->replica, buf_span(&answer), NULL), LP_OK);
    assert_int_equal(replica_meta(r->replica, "device.seed", &seed, NULL), LP_OK);
    memcpy(r->seed, seed.data, sizeof r->seed);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    holdings_open_scope(r->replica, SPAN_LITERAL("pool"));
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    buf_fini(&request);
    buf_fini(&answer);
    buf_fini(&seed);
}

/* No power is cut here: nothing waits for the disk. */
static void open_replica(rig *r, bool create) {
    lp_error error;
    assert_int_equal(replica_open(r->path, create, &r->env, NULL, &r->replica, &error), LP_OK);
    sqlite3_exec(r->replica->db, "PRAGMA synchronous=OFF", NULL, NULL, NULL);
}

void rig_open(rig *r, bool joined) {
    memset(r, 0, sizeof *r);
    kit_directory_make(&r->directory);
    kit_path(&r->directory, "replica", r->path);
    r->env = (lp_env){r, now, now, random_bytes, boot_id};
    r->random = prop_seeded(7);
    r->now_ms = RIG_START_MS;
    r->boot = 1;
    lp_error error;
    open_replica(r, true);
    if (joined)
        rig_join(r, RIG_DEVICE);
    assert_int_equal(client_session_new(r->replica, &r->session, &error), LP_OK);
}

void rig_close(rig *r) {
    client_session_free(r->session);
    replica_close(r->replica);
    for (uint32_t i = 0; i < r->sent_count; i++)
        buf_fini(&r->sent[i].bytes);
    kit_directory_remove(&r->directory);
}

void rig_reopen(rig *r) {
    client_session_free(r->session);
    replica_close(r->replica);
    lp_error error;
    open_replica(r, false);
    assert_int_equal(client_session_new(r->replica, &r->session, &error), LP_OK);
}

/* ---- the session ---- */

static void keep_sent(rig *r, client_action *a) {
    assert_true(r->sent_count < RIG_SENT_MAX);
    rig_sent *s = &r->sent[r->sent_count++];
    s->id = a->id;
    s->bytes = a->message;
    assert_int_equal(message_decode(buf_span(&s->bytes), &s->message, NULL), LP_OK);
    s->number = s->message.number;
}

static void step(rig *r, const client_event *event) {
    client_actions actions = {.count = 0};
    client_step(r->session, event, &actions);
    for (uint32_t i = 0; i < actions.count; i++) {
        client_action *a = &actions.list[i];
        switch (a->kind) {
        case CLIENT_CONNECT:
            r->connects++;
            break;
        case CLIENT_SEND:
            keep_sent(r, a);
            break;
        case CLIENT_CLOSE:
            r->closes++;
            break;
        case CLIENT_NOTIFY:
            r->refused_events += a->event.kind == LP_EVENT_REFUSED;
            break;
        case CLIENT_DONE:
            r->done = a->error.code;
            r->done_count++;
            break;
        }
    }
}

void rig_start(rig *r, bool keep) {
    client_event event = {.kind = CLIENT_START, .keep = keep};
    step(r, &event);
}

void rig_channel(rig *r, const char *binding) {
    client_event event = {.kind = CLIENT_OPEN, .bytes = span_text(binding)};
    step(r, &event);
}

void rig_lost(rig *r, lp_err err) {
    client_event event = {.kind = CLIENT_LOST};
    err_set(&event.error, err, "the line is gone");
    step(r, &event);
}

void rig_work(rig *r) {
    client_event event = {.kind = CLIENT_WORK};
    step(r, &event);
}

void rig_tick(rig *r) {
    int64_t at_ms = client_deadline_ms(r->session);
    assert_true(at_ms != INT64_MAX);
    r->now_ms = at_ms > r->now_ms ? at_ms : r->now_ms;
    client_event event = {.kind = CLIENT_TICK};
    step(r, &event);
}

void rig_answer_bytes(rig *r, uint32_t id, span bytes) {
    client_event event = {.kind = CLIENT_MESSAGE, .id = id, .bytes = bytes};
    step(r, &event);
}

void rig_answer(rig *r, uint32_t id, const message *m) {
    buf bytes = {0};
    assert_int_equal(message_encode(m, &bytes, NULL), LP_OK);
    rig_answer_bytes(r, id, buf_span(&bytes));
    buf_fini(&bytes);
}

static const uint8_t epoch[EPOCH_BYTES] = {9};

void rig_welcome(rig *r, uint64_t batch) {
    rig_welcome_fenced(r, batch, 0);
}

void rig_welcome_fenced(rig *r, uint64_t batch, uint64_t fence) {
    buf scopes = {0};
    uint32_t hello = r->sent_count;
    while (hello > 0 && r->sent[hello - 1].number != MSG_HELLO)
        hello--;
    assert_true(hello > 0);
    wire_put_array(&scopes, 2);
    wire_put_text(&scopes, SPAN_LITERAL("setup"));
    wire_put_text(&scopes, SPAN_LITERAL("pool"));
    message welcome = {.number = MSG_WELCOME,
                       .version = 1,
                       .now_ms = r->now_ms + r->server_off_ms,
                       .epoch = span_of(epoch, sizeof epoch),
                       .batch = batch,
                       .fence = fence,
                       .scopes = buf_span(&scopes)};
    rig_answer(r, r->sent[hello - 1].id, &welcome);
    buf_fini(&scopes);
}

void rig_synced(rig *r, uint64_t batch, uint64_t seq) {
    buf pages = {0};
    message synced = {.number = MSG_SYNCED, .batch = batch, .now_ms = r->now_ms};
    const char *const scopes[] = {"setup", "pool"};
    wire_put_array(&pages, 2);
    for (int i = 0; i < 2; i++) {
        page p = {.cursor = {.scope = span_text(scopes[i]), .epoch = span_of(epoch, sizeof epoch), .seq = seq}};
        page_put(&pages, &p);
    }
    if (seq)
        synced.pages = buf_span(&pages);
    rig_answer(r, rig_last(r)->id, &synced);
    buf_fini(&pages);
}

rig_sent *rig_last(rig *r) {
    assert_true(r->sent_count > 0);
    return &r->sent[r->sent_count - 1];
}

/* ---- the replica ---- */

lp_id rig_make_lead(rig *r, const char *name) {
    lp_txn *t;
    lp_id id;
    lp_value value = {.type = LP_TEXT, .data = name, .size = (uint32_t)strlen(name)};
    assert_int_equal(txn_new(r->replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_create(t, "lead", NULL, &id, NULL), LP_OK);
    assert_int_equal(txn_set(t, &id, "full_name", &value, NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
    return id;
}

void rig_set(rig *r, const lp_id *id, const char *field, const char *text) {
    lp_txn *t;
    lp_value value = {.type = text ? LP_TEXT : LP_NULL, .data = text, .size = text ? (uint32_t)strlen(text) : 0};
    assert_int_equal(txn_new(r->replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set(t, id, field, &value, NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
}

bool rig_get(rig *r, const lp_id *id, const char *field, stamp *at_out, char *text_out) {
    replica_row row;
    record rec;
    field_ref ref;
    assert_int_equal(replica_load(r->replica, id, &row, NULL), LP_OK);
    assert_int_equal(fields_parse(row.kind, span_text(field), &ref, NULL), LP_OK);
    record_init(&rec, row.kind, id);
    assert_int_equal(record_unpack(&rec, row.body, row.stamps, NULL), LP_OK);
    const reg *found = record_find(&rec, ref.number, ref.key);
    bool there = found != NULL;
    if (found && at_out)
        *at_out = found->stamp;
    if (found && text_out) {
        lp_value value = wire_value(found->value);
        snprintf(text_out, 64, "%.*s", value.type == LP_TEXT ? (int)value.size : 0, value.data ? value.data : "");
    }
    record_fini(&rec);
    return there;
}

void rig_pull(rig *r, const lp_id *id, uint32_t field, const char *text, stamp at) {
    changes_writer w;
    buf value = {0}, changes = {0};
    pull_outcome outcome = {0};
    changes_init(&w);
    wire_put_text(&value, span_text(text));
    changes_begin(&w);
    change_put(&w, field, (span){0}, buf_span(&value));
    changes_end(&w, KIND_LEAD, id, at, STAMP_NONE, 0);
    assert_int_equal(changes_finish(&w, &changes, NULL), LP_OK);
    page p = {.cursor = {.scope = SPAN_LITERAL("pool"), .epoch = span_of(epoch, sizeof epoch), .seq = 1},
              .more = true,
              .changes = buf_span(&changes)};
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(pull_page(r->replica, &p, &outcome, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    changes_fini(&w);
    buf_fini(&value);
    buf_fini(&changes);
}

int64_t rig_count(rig *r, const char *sql) {
    sqlite3_stmt *s = NULL;
    int64_t value = -1;
    assert_int_equal(sqlite3_prepare_v2(r->replica->db, sql, -1, &s, NULL), SQLITE_OK);
    if (sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

int64_t rig_unsent(rig *r) {
    return rig_count(r, "SELECT count(*) FROM outbox");
}

bool rig_digest_holds(rig *r) {
    sqlite3_stmt *s = NULL;
    digest sum = {0, 0}, kept = {0, 0};
    buf value = {0};
    assert_int_equal(
        sqlite3_prepare_v2(r->replica->db,
                           "SELECT id, kind, coalesce(server_body, body), coalesce(server_stamps, stamps) FROM record",
                           -1, &s, NULL),
        SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
        lp_id id;
        record rec;
        memcpy(id.bytes, sqlite3_column_blob(s, 0), sizeof id.bytes);
        record_init(&rec, (uint32_t)sqlite3_column_int(s, 1), &id);
        span body = span_of(sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2));
        span stamps = span_of(sqlite3_column_blob(s, 3), (size_t)sqlite3_column_bytes(s, 3));
        assert_int_equal(record_unpack(&rec, body, stamps, NULL), LP_OK);
        for (uint32_t i = 0; i < rec.count; i++)
            digest_add(r->replica->digester, &sum, rec.kind, &id, &rec.regs[i]);
        record_fini(&rec);
    }
    sqlite3_finalize(s);
    if (!sqlite3_prepare_v2(r->replica->db, "SELECT digest FROM scope WHERE name = 'pool'", -1, &s, NULL) &&
        sqlite3_step(s) == SQLITE_ROW)
        buf_append(&value, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
    sqlite3_finalize(s);
    bool holds = digest_unpack(buf_span(&value), &kept) && digest_equal(kept, sum);
    buf_fini(&value);
    return holds;
}
