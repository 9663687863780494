/* test_reading_faults.c - a device reads the pool, in scopes that change, while its database or its memory fails (fault_sweep.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/replica/holdings.h"
#include "client/replica/statements.h"
#include "tests/support/fault_sweep.h"

/* ---- what the replica holds ---- */

/* The same, held by a fair that is soon over; one is held by `mine` too. */
static void a_fair(rig *r) {
    told_scopes_before(r, "mine", "event:x");
    told_page_before(r, (page){.cursor = {.scope = SPAN_LITERAL("event:x"), .seq = 4}}, "Acme", 4);
    told_page_before(r, (page){.cursor = {.scope = SPAN_LITERAL("mine"), .seq = 4}}, "Acme", 1);
    rig_set(r, &told_ids[1], "notes", "refused");
    told_settle_before(r, TOLD_REFUSED);
    rig_set(r, &told_ids[2], "notes", "unsent");
}

/* What was acknowledged before anybody said which scopes there are. */
static void acknowledged_in_no_scope(rig *r) {
    told_scopes_before(r, "mine", NULL);
    rig_make_lead(r, "Li Wei");
    rig_make_lead(r, "Zoe");
    told_settle_before(r, (span){0});
}

static void half_re_read(rig *r) {
    told_four_leads(r);
    page first = {.cursor = {.scope = SPAN_LITERAL("pool"), .seq = 5, .behind = 5, .again = true},
                  .start = true,
                  .again = true,
                  .more = true};
    told_page_before(r, first, "Globe", 1);
}

static void unreadable_yesterday(rig *r) {
    changes_writer w;
    told_four_leads(r);
    changes_init(&w);
    told_lead(&w, &told_ids[2], "Globe", 0);
    buf changes = {0};
    assert_int_equal(changes_finish(&w, &changes, NULL), LP_OK);
    sqlite3_stmt *s = NULL;
    assert_int_equal(sqlite3_prepare_v2(r->replica->db,
                                        "INSERT INTO quarantine(id, kind, scope, changes, reason, version, at_ms)"
                                        " VALUES(?1, 1, 'pool', ?2, 'no', '0.0.0', 1)",
                                        -1, &s, NULL),
                     SQLITE_OK);
    bind_span(s, 1, id_span(&told_ids[2]));
    bind_span(s, 2, buf_span(&changes));
    assert_int_equal(sqlite3_step(s), SQLITE_DONE);
    sqlite3_finalize(s);
    changes_fini(&w);
    buf_fini(&changes);
}

static void nothing_unsent(rig *r) {
    told_four_leads(r);
    told_settle_before(r, (span){0});
}

static void half_re_read_and_a_new_lead(rig *r) {
    half_re_read(r);
    told_settle_before(r, (span){0});
    rig_make_lead(r, "Li Wei");
}

static void a_fair_and_a_half_re_read(rig *r) {
    a_fair(r);
    page first = {.cursor = {.scope = SPAN_LITERAL("mine"), .seq = 5, .behind = 5, .again = true},
                  .start = true,
                  .again = true,
                  .more = true};
    told_page_before(r, first, "Acme", 1);
}

/* ---- what the server says ---- */

static void told_of_fewer_scopes(rig *r) {
    told_greet(r);
    told_welcome(r, "mine", NULL, (message){0});
}

static void told_of_the_pool(rig *r) {
    told_greet(r);
    told_welcome(r, "mine", "pool", (message){0});
}

static span list_ids(buf *out, const lp_id *first, uint32_t count) {
    wire_put_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        wire_put_bytes(out, id_span(&first[i]));
    return buf_span(out);
}

/* Ids that join, leave, are erased, are purged, and come whole. */
static void sent_a_page_of_everything(rig *r) {
    static const uint8_t other_digest[16] = {1};
    buf parts[5] = {{0}};
    changes_writer w;
    told_be_welcomed(r);
    changes_init(&w);
    told_lead(&w, &told_ids[0], "Globe", LEAD_JOB_TITLE);
    told_lead(&w, &told_ids[4], "Globe", 0);
    page p = {.cursor = {.seq = 9},
              .digest = span_of(other_digest, sizeof other_digest),
              .whole = list_ids(&parts[0], &told_ids[0], 1),
              .left = list_ids(&parts[1], &told_ids[1], 1),
              .erased = list_ids(&parts[2], &told_ids[2], 1),
              .purged = list_ids(&parts[3], &told_ids[3], 1),
              .joined = list_ids(&parts[4], &told_ids[5], 1)};
    told_page(r, p, &w);
    for (int i = 0; i < 5; i++)
        buf_fini(&parts[i]);
}

static void sent_the_last_page(rig *r) {
    changes_writer w;
    told_be_welcomed(r);
    changes_init(&w);
    told_lead(&w, &told_ids[1], "Globe", 0);
    told_page(r, (page){.cursor = {.seq = 9}, .again = true}, &w);
}

static void sent_what_cannot_be_read(rig *r) {
    changes_writer w;
    told_be_welcomed(r);
    changes_init(&w);
    told_lead(&w, &told_ids[0], "Globe", 0);
    told_lead(&w, &told_ids[1], "Globe", FIELD_NUMBER_MAX + 1);
    told_lead(&w, &told_ids[1], "Hall", 0);
    told_lead(&w, &told_ids[4], "Globe", 0);
    told_page(r, (page){.cursor = {.seq = 9}}, &w);
}

static void sent_everything(rig *r) {
    told_be_welcomed(r);
    rig_synced(r, 1, 0);
    buf pages = {0};
    wire_put_array(&pages, 2);
    for (int i = 0; i < 2; i++) {
        page p = {.cursor = {.scope = i ? SPAN_LITERAL("pool") : SPAN_LITERAL("setup"),
                             .epoch = span_of(told_epochs[0], EPOCH_BYTES),
                             .seq = 30}};
        page_put(&pages, &p);
    }
    message synced = {.number = MSG_SYNCED, .pages = buf_span(&pages), .now_ms = r->now_ms};
    told_put(&synced, told_asked(r, MSG_SYNC));
    buf_fini(&pages);
}

static void acknowledged_what_is_new(rig *r) {
    told_be_welcomed(r);
    message synced = {.number = MSG_SYNCED, .batch = 2, .seq = 9, .now_ms = r->now_ms};
    told_put(&synced, told_asked(r, MSG_SYNC));
}

static void be_welcomed_to_mine(rig *r, const char *second) {
    told_greet(r);
    told_welcome(r, "mine", second, (message){0});
    told_hear(r);
}

static void sent_an_id_that_joins(rig *r) {
    buf joined = {0};
    changes_writer w;
    be_welcomed_to_mine(r, "event:x");
    changes_init(&w);
    told_page(r,
              (page){.cursor = {.scope = SPAN_LITERAL("mine"), .seq = 6, .behind = 6, .again = true},
                     .again = true,
                     .more = true,
                     .joined = list_ids(&joined, &told_ids[3], 1)},
              &w);
    buf_fini(&joined);
}

static void sent_a_page_without_what_was_acknowledged(rig *r) {
    changes_writer w;
    be_welcomed_to_mine(r, NULL);
    changes_init(&w);
    told_page(r, (page){.cursor = {.scope = SPAN_LITERAL("mine"), .seq = 9}}, &w);
}

static void sent_the_first_of_many(rig *r) {
    changes_writer w;
    told_be_welcomed(r);
    changes_init(&w);
    told_lead(&w, &told_ids[4], "Globe", 0);
    told_page(r, (page){.cursor = {.seq = 9}, .more = true}, &w);
}

/* Digests were found to differ some time ago. */
static void sent_the_same_digest(rig *r) {
    uint8_t sum[DIGEST_BYTES];
    changes_writer w;
    told_be_welcomed(r);
    assert_int_equal(
        sqlite3_exec(r->replica->db, "INSERT OR REPLACE INTO meta VALUES('heal.pool', 1)", NULL, NULL, NULL),
        SQLITE_OK);
    changes_init(&w);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    digest_pack(holdings_find(r->replica, SPAN_LITERAL("pool"))->sum, sum);
    replica_rollback(r->replica);
    told_page(r, (page){.cursor = {.seq = 9}, .digest = span_of(sum, sizeof sum)}, &w);
}

/* While the device waits for news, a batch is on its way. */
static void sent_an_erasure_meanwhile(rig *r) {
    buf erased = {0}, pages = {0};
    told_be_welcomed(r);
    rig_synced(r, 0, 30);
    rig_set(r, &told_ids[0], "notes", "typed meanwhile");
    rig_work(r);
    page p = {.cursor = {.scope = SPAN_LITERAL("pool"), .epoch = span_of(told_epochs[0], EPOCH_BYTES), .seq = 31},
              .erased = list_ids(&erased, &told_ids[0], 1)};
    wire_put_array(&pages, 1);
    page_put(&pages, &p);
    message synced = {.number = MSG_SYNCED, .pages = buf_span(&pages), .now_ms = r->now_ms};
    told_put(&synced, told_asked(r, MSG_WAIT));
    buf_fini(&erased);
    buf_fini(&pages);
}

/* What the device waited for comes after the answer to what it has sent meanwhile: of what stands alone and of what comes again, and of a
 * scope that it does not hold. */
static void sent_pages_behind_an_acknowledgement(rig *r) {
    static const char *const scopes[] = {"pool", "setup", "event:x"};
    buf whole = {0}, pages = {0}, changes = {0};
    changes_writer w;
    told_be_welcomed(r);
    rig_synced(r, 0, 30);
    rig_set(r, &told_ids[0], "notes", "typed meanwhile");
    rig_work(r);
    message settled = {.number = MSG_SYNCED, .seq = 31, .now_ms = r->now_ms};
    rig_answer(r, told_asked(r, MSG_SYNC), &settled);
    changes_init(&w);
    told_lead(&w, &told_ids[4], "Globe", 0);
    assert_int_equal(changes_finish(&w, &changes, NULL), LP_OK);
    wire_put_array(&pages, 3);
    list_ids(&whole, &told_ids[4], 1);
    for (int i = 0; i < 3; i++) {
        page p = {.cursor = {.scope = span_text(scopes[i]), .epoch = span_of(told_epochs[0], EPOCH_BYTES), .seq = 30},
                  .again = i == 1,
                  .whole = i == 0 ? buf_span(&whole) : (span){0},
                  .changes = buf_span(&changes)};
        page_put(&pages, &p);
    }
    message synced = {.number = MSG_SYNCED, .pages = buf_span(&pages), .now_ms = r->now_ms};
    told_put(&synced, told_asked(r, MSG_WAIT));
    changes_fini(&w);
    buf_fini(&changes);
    buf_fini(&whole);
    buf_fini(&pages);
}

static void start(rig *r) {
    client_event event = {.kind = CLIENT_START, .keep = true};
    told_step(r, &event);
}

static void nothing(rig *r) {
    (void)r;
}

static const thing things[] = {
    {"fewer scopes", a_fair, told_of_fewer_scopes, told_take, "SELECT count(*) FROM scope WHERE name = 'event:x'"},
    {"the pool", acknowledged_in_no_scope, told_of_the_pool, told_take, "SELECT count(*) FROM record WHERE held"},
    {"a page of everything", told_four_leads, sent_a_page_of_everything, told_take, "SELECT count(*) FROM erased"},
    {"the last page", half_re_read, sent_the_last_page, told_take, "SELECT count(*) FROM record"},
    {"what cannot be read", told_four_leads, sent_what_cannot_be_read, told_take, "SELECT count(*) FROM quarantine"},
    {"what could not be read", unreadable_yesterday, nothing, start, "SELECT count(*) FROM quarantine"},
    {"in sync", told_four_leads, sent_everything, told_take, "SELECT count(*) FROM meta WHERE key = 'sync.last_ms'"},
    {"verdicts between pages", half_re_read_and_a_new_lead, acknowledged_what_is_new, told_take,
     "SELECT count(*) FROM outbox"},
    {"what joins between pages", a_fair_and_a_half_re_read, sent_an_id_that_joins, told_take,
     "SELECT count(*) FROM came WHERE rid = (SELECT max(rid) FROM record)"},
    {"what no scope holds", acknowledged_in_no_scope, sent_a_page_without_what_was_acknowledged, told_take,
     "SELECT count(*) FROM record"},
    {"the first of many pages", told_four_leads, sent_the_first_of_many, told_take, "SELECT count(*) FROM record"},
    {"the same digest", nothing_unsent, sent_the_same_digest, told_take,
     "SELECT count(*) FROM meta WHERE key = 'heal.pool'"},
    {"pages behind an acknowledgement", told_four_leads, sent_pages_behind_an_acknowledgement, told_take,
     "SELECT count(*) FROM record"},
    {"an erasure meanwhile", told_four_leads, sent_an_erasure_meanwhile, told_take, "SELECT count(*) FROM erased"},
    {0},
};

int main(void) {
    return fault_sweep("integration_reading_faults", things);
}
