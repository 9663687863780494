/* test_holdings.c - records that join and leave scopes, re-reads and evictions, as pages bring them about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/sync/heal.h"
#include "client/replica/holdings.h"
#include "client/replica/outbox.h"
#include "client/sync/pull.h"
#include "client/find/search.h"
#include "proto/change.h"
#include "proto/crypto.h"
#include "tests/support/rig.h"

static const uint8_t epochs[2][EPOCH_BYTES] = {{9}, {10}};

/* A page in the making. */
typedef struct sheet {
    rig *r;
    page page;
    changes_writer writer;
    buf lists[3]; /* whole, left, joined */
    uint32_t counts[3];
    pull_outcome outcome;
} sheet;

enum list { WHOLE, LEFT, JOINED };

static stamp at(int64_t offset_ms, uint32_t author) {
    return (stamp){(uint64_t)(RIG_START_MS + offset_ms) << 16, author};
}

static sheet begin(rig *r, const char *scope, uint64_t seq) {
    sheet s = {.r = r, .page = {.cursor = {.scope = span_text(scope), .seq = seq}}};
    s.page.cursor.epoch = span_of(epochs[0], EPOCH_BYTES);
    changes_init(&s.writer);
    return s;
}

static void put(sheet *s, const lp_id *id, uint32_t field, const char *text, stamp when) {
    buf value = {0};
    wire_put_text(&value, span_text(text));
    changes_begin(&s->writer);
    change_put(&s->writer, field, (span){0}, buf_span(&value));
    changes_end(&s->writer, KIND_LEAD, id, when, STAMP_NONE, 0);
    buf_fini(&value);
}

static void name(sheet *s, enum list list, const lp_id *id) {
    wire_put_bytes(&s->lists[list], id_span(id));
    s->counts[list]++;
}

static span close_list(sheet *s, enum list list, buf *out) {
    wire_put_array(out, s->counts[list]);
    buf_append_span(out, buf_span(&s->lists[list]));
    return s->counts[list] ? buf_span(out) : (span){0};
}

/* Applies it, in a transaction of its own. */
static pull_outcome apply(sheet *s) {
    buf changes = {0}, ids[3] = {{0}};
    uint64_t evicted;
    assert_int_equal(changes_finish(&s->writer, &changes, NULL), LP_OK);
    s->page.changes = buf_span(&changes);
    s->page.whole = close_list(s, WHOLE, &ids[0]);
    s->page.left = close_list(s, LEFT, &ids[1]);
    s->page.joined = close_list(s, JOINED, &ids[2]);
    assert_int_equal(replica_begin(s->r->replica, NULL), LP_OK);
    assert_int_equal(pull_page(s->r->replica, &s->page, &s->outcome, NULL), LP_OK);
    assert_int_equal(holdings_evict(s->r->replica, &evicted, NULL), LP_OK);
    assert_int_equal(replica_commit(s->r->replica, NULL), LP_OK);
    replica_checkpoint(s->r->replica, true);
    changes_fini(&s->writer);
    buf_fini(&changes);
    for (int i = 0; i < 3; i++) {
        buf_fini(&ids[i]);
        buf_fini(&s->lists[i]);
    }
    return s->outcome;
}

static void set_scopes(rig *r, const char *first, const char *second) {
    buf scopes = {0};
    uint64_t evicted;
    wire_put_array(&scopes, second ? 2 : 1);
    wire_put_text(&scopes, span_text(first));
    if (second)
        wire_put_text(&scopes, span_text(second));
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(pull_scopes(r->replica, buf_span(&scopes), NULL), LP_OK);
    assert_int_equal(holdings_evict(r->replica, &evicted, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    replica_checkpoint(r->replica, true);
    buf_fini(&scopes);
}

static void pull_one(rig *r, const char *scope, uint64_t seq, const lp_id *id, const char *company) {
    sheet s = begin(r, scope, seq);
    name(&s, WHOLE, id);
    put(&s, id, LEAD_COMPANY, company, at(-9000, 99));
    apply(&s);
}

static void pull_nothing(rig *r, const char *scope, uint64_t seq) {
    sheet s = begin(r, scope, seq);
    apply(&s);
}

static void leave(rig *r, const char *scope, uint64_t seq, const lp_id *id) {
    sheet s = begin(r, scope, seq);
    name(&s, LEFT, id);
    apply(&s);
}

static void settle_at(rig *r, uint64_t seq, span verdicts) {
    uint64_t number, evicted;
    outbox_outcome outcome;
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(outbox_freeze(r->replica, OUTBOX_BATCH_BYTES, &number, NULL), LP_OK);
    assert_int_equal(outbox_settle(r->replica, number, verdicts, seq, &outcome, NULL), LP_OK);
    assert_int_equal(holdings_evict(r->replica, &evicted, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    replica_checkpoint(r->replica, true);
}

/* Acknowledged changes are kept (kept.h): the pool has given a key. */
static void let_keep(rig *r) {
    static const uint8_t key[CRYPTO_SEAL_KEY_BYTES] = {9};
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(replica_meta_put(r->replica, "seal.key", span_of(key, sizeof key), NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
}

static void settle_all(rig *r, span verdicts) {
    settle_at(r, 0, verdicts);
}

static int64_t records(rig *r) {
    return rig_count(r, "SELECT count(*) FROM record");
}

/* True if the bytes of `text` stand in a file of the replica. */
static bool in_file(const rig *r, const char *suffix, const char *text) {
    char path[400];
    snprintf(path, sizeof path, "%s%s", r->path, suffix);
    FILE *f = fopen(path, "rb");
    buf all = {0};
    char block[4096];
    for (size_t got; f && (got = fread(block, 1, sizeof block, f)) > 0;)
        buf_append(&all, block, got);
    if (f)
        fclose(f);
    bool found = false;
    size_t size = strlen(text);
    for (size_t i = 0; !found && i + size <= all.size; i++)
        found = memcmp(all.data + i, text, size) == 0;
    buf_fini(&all);
    return found;
}

static bool on_disk(const rig *r, const char *text) {
    return in_file(r, "", text) || in_file(r, "-wal", text);
}

static void a_record_stays_while_one_scope_holds_it(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    set_scopes(&r, "mine", "event:x");
    lp_id id = prop_id(&r.random);
    pull_one(&r, "mine", 1, &id, "Acme");
    pull_one(&r, "event:x", 1, &id, "Acme");
    leave(&r, "mine", 2, &id);
    assert_int_equal(records(&r), 1);
    leave(&r, "event:x", 2, &id);
    assert_int_equal(records(&r), 0);
    rig_close(&r);
}

static void what_leaves_with_unsent_changes_goes_with_their_last_verdict(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    set_scopes(&r, "mine", NULL);
    lp_id id = prop_id(&r.random);
    pull_one(&r, "mine", 1, &id, "Acme");
    rig_set(&r, &id, "notes", "typed offline");
    leave(&r, "mine", 2, &id);
    assert_int_equal(records(&r), 1);
    assert_int_equal(rig_unsent(&r), 1);
    settle_all(&r, SPAN_LITERAL("\x90"));
    assert_int_equal(records(&r), 0);
    assert_false(on_disk(&r, "typed offline"));
    rig_close(&r);
}

static void what_was_refused_of_an_evicted_record_stays_for_its_author(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    set_scopes(&r, "mine", NULL);
    lp_id id = prop_id(&r.random);
    pull_one(&r, "mine", 1, &id, "Theirs alone");
    rig_set(&r, &id, "notes", "mine and refused");
    leave(&r, "mine", 2, &id);
    settle_all(&r, SPAN_LITERAL("\x91\x94\x00\xff\x02\xa2no"));
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM refused JOIN record USING(rid)"), 1);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record WHERE length(body) > 0 OR held"), 0);
    assert_false(on_disk(&r, "Theirs alone"));
    rig_close(&r);
}

static void a_regained_record_is_not_leaving_any_more(void **state) {
    rig r;
    char text[64];
    (void)state;
    rig_open(&r, true);
    set_scopes(&r, "mine", NULL);
    lp_id id = prop_id(&r.random);
    pull_one(&r, "mine", 1, &id, "Acme");
    rig_set(&r, &id, "notes", "typed");
    leave(&r, "mine", 2, &id);
    pull_one(&r, "mine", 3, &id, "Acme again");
    settle_all(&r, SPAN_LITERAL("\x90"));
    assert_int_equal(records(&r), 1);
    rig_get(&r, &id, "notes", NULL, text);
    assert_string_equal(text, "typed");
    leave(&r, "mine", 4, &id);
    assert_int_equal(records(&r), 0);
    rig_close(&r);
}

static void a_whole_record_replaces_what_the_server_was_known_to_hold(void **state) {
    rig r;
    char text[64];
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_COMPANY, "old", at(-5000, 99));
    rig_pull(&r, &id, LEAD_CITY, "gone", at(-5000, 99));
    rig_set(&r, &id, "notes", "mine");
    sheet s = begin(&r, "pool", 5);
    name(&s, WHOLE, &id);
    put(&s, &id, LEAD_COMPANY, "new", at(-4000, 99));
    apply(&s);
    rig_get(&r, &id, "company", NULL, text);
    assert_string_equal(text, "new");
    rig_get(&r, &id, "notes", NULL, text);
    assert_string_equal(text, "mine");
    assert_false(rig_get(&r, &id, "city", NULL, NULL));
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM past"), 1);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static bool is_overtaken(sheet *s) {
    buf changes = {0}, ids = {0};
    bool overtaken;
    assert_int_equal(changes_finish(&s->writer, &changes, NULL), LP_OK);
    s->page.changes = buf_span(&changes);
    s->page.whole = close_list(s, WHOLE, &ids);
    assert_int_equal(pull_is_overtaken(s->r->replica, &s->page, &overtaken, NULL), LP_OK);
    changes_fini(&s->writer);
    buf_fini(&changes);
    buf_fini(&ids);
    buf_fini(&s->lists[WHOLE]);
    return overtaken;
}

/* The server had the second change after it had put the page together, and its acknowledgement came before the page. */
static void a_page_with_a_whole_record_is_overtaken_by_what_was_acknowledged_of_it(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    let_keep(&r);
    lp_id mine = rig_make_lead(&r, "Li Wei"), other = prop_id(&r.random);
    settle_at(&r, 1, SPAN_LITERAL("\x90"));
    pull_nothing(&r, "pool", 1);
    rig_set(&r, &mine, "notes", "typed later");
    settle_at(&r, 3, SPAN_LITERAL("\x90"));
    static const struct {
        uint64_t seq;
        bool is_mine, whole, again, new_epoch, overtaken;
    } cases[] = {
        {2, true, true, false, false, true},   {2, true, false, true, false, true},
        {2, true, false, false, false, false}, {2, false, true, false, false, false},
        {3, true, true, false, false, false},  {2, true, true, false, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const lp_id *id = cases[i].is_mine ? &mine : &other;
        sheet s = begin(&r, "pool", cases[i].seq);
        s.page.again = cases[i].again;
        s.page.cursor.epoch = span_of(epochs[cases[i].new_epoch], EPOCH_BYTES);
        if (cases[i].whole)
            name(&s, WHOLE, id);
        put(&s, id, LEAD_COMPANY, "Acme", at(-9000, 99));
        assert_int_equal(is_overtaken(&s), cases[i].overtaken);
    }
    /* While another epoch is read, what was acknowledged in the one before may be lost: the page says what stands. */
    sheet s = begin(&r, "pool", 2);
    s.page.start = s.page.again = s.page.more = true;
    s.page.cursor.epoch = span_of(epochs[1], EPOCH_BYTES);
    apply(&s);
    s = begin(&r, "pool", 2);
    s.page.again = true;
    s.page.cursor.epoch = span_of(epochs[1], EPOCH_BYTES);
    put(&s, &mine, LEAD_COMPANY, "Acme", at(-9000, 99));
    assert_false(is_overtaken(&s));
    rig_close(&r);
}

static void a_record_made_here_is_held_when_the_scope_says_it_joined(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    set_scopes(&r, "mine", NULL);
    lp_id id = rig_make_lead(&r, "Li Wei");
    settle_all(&r, SPAN_LITERAL("\x90"));
    assert_int_equal(rig_count(&r, "SELECT held FROM record"), 0);
    sheet s = begin(&r, "mine", 5);
    name(&s, JOINED, &id);
    apply(&s);
    assert_int_equal(rig_count(&r, "SELECT held FROM record"), 1);
    leave(&r, "mine", 6, &id);
    assert_int_equal(records(&r), 0);
    rig_close(&r);
}

/* Three records are held; a re-read brings the first on one page and the third on another, with a restart between. */
static void what_does_not_come_in_a_re_read_is_swept_even_across_a_restart(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id ids[3];
    for (int i = 0; i < 3; i++) {
        ids[i] = prop_id(&r.random);
        rig_pull(&r, &ids[i], LEAD_COMPANY, "Acme", at(-5000 + i, 99));
    }
    sheet s = begin(&r, "pool", 7);
    s.page.start = s.page.again = s.page.more = s.page.cursor.again = true;
    s.page.cursor.behind = 7;
    put(&s, &ids[0], LEAD_COMPANY, "Acme", at(-5000, 99));
    apply(&s);
    assert_int_equal(records(&r), 3);
    rig_reopen(&r);
    s = begin(&r, "pool", 9);
    s.page.again = true;
    put(&s, &ids[2], LEAD_COMPANY, "Acme", at(-4998, 99));
    apply(&s);
    assert_int_equal(records(&r), 2);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM came"), 0);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void an_answer_asked_for_before_a_re_read_does_not_end_it(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id a = prop_id(&r.random), b = prop_id(&r.random);
    rig_pull(&r, &a, LEAD_COMPANY, "Acme", at(-5000, 99));
    sheet s = begin(&r, "pool", 2);
    s.page.start = s.page.again = s.page.more = s.page.cursor.again = true;
    s.page.cursor.behind = 2;
    put(&s, &b, LEAD_COMPANY, "B", at(-5000, 99));
    apply(&s);
    s = begin(&r, "pool", 90); /* it crosses the re-read */
    apply(&s);
    assert_int_equal(records(&r), 2);
    s = begin(&r, "pool", 3);
    s.page.again = true;
    put(&s, &a, LEAD_COMPANY, "Acme", at(-5000, 99));
    apply(&s);
    assert_int_equal(records(&r), 2);
    rig_close(&r);
}

/* The answer to the first request of a re-read was lost, or crosses that to another: the page that begins it comes twice. */
static void a_first_page_that_comes_twice_begins_nothing_anew(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id ids[3];
    for (int i = 0; i < 3; i++) {
        ids[i] = prop_id(&r.random);
        rig_pull(&r, &ids[i], LEAD_COMPANY, "Acme", at(-5000 + i, 99));
    }
    for (int i = 0; i < 2; i++) {
        sheet s = begin(&r, "pool", 7);
        s.page.start = s.page.again = s.page.cursor.again = true;
        s.page.more = i == 0;
        put(&s, &ids[i], LEAD_COMPANY, "Acme", at(-5000 + i, 99));
        apply(&s);
    }
    assert_int_equal(records(&r), 2); /* the first is known to have come */
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void a_late_page_of_a_grant_that_was_taken_back_is_not_applied(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id a = prop_id(&r.random), b = prop_id(&r.random);
    pull_one(&r, "pool", 1, &a, "Acme");
    sheet s = begin(&r, "pool", 2);
    s.page.start = s.page.again = true;
    s.page.cursor.generation = 1;
    put(&s, &a, LEAD_COMPANY, "Acme", at(-9000, 99));
    apply(&s);
    pull_one(&r, "pool", 90, &b, "Globe"); /* of generation 0 */
    assert_int_equal(records(&r), 1);
    rig_close(&r);
}

/* The pool has forgotten something between two pages of a re-read, which begins anew. */
static void a_late_page_of_a_re_read_that_began_anew_is_not_applied(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id a = prop_id(&r.random), b = prop_id(&r.random);
    pull_one(&r, "pool", 1, &a, "Acme");
    sheet s = begin(&r, "pool", 7);
    s.page.start = s.page.again = s.page.more = s.page.cursor.again = true;
    s.page.cursor.behind = s.page.cursor.forgot = 7;
    put(&s, &a, LEAD_COMPANY, "Acme", at(-9000, 99));
    apply(&s);
    s = begin(&r, "pool", 6);
    s.page.again = s.page.cursor.again = true;
    put(&s, &b, LEAD_COMPANY, "Globe", at(-9000, 99));
    apply(&s);
    assert_int_equal(records(&r), 1);
    rig_close(&r);
}

/* No rep writes records of such kinds yet. */
static void what_the_office_sets_up_is_held_by_setup_and_not_by_the_pool(void **state) {
    static const struct {
        uint32_t kind;
        bool held;
    } cases[] = {{KIND_LEAD, true}, {KIND_STAFF, false}, {KIND_NUMBER_MAX, true /* a newer version's */}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig r;
        char sql[64];
        rig_open(&r, true);
        rig_make_lead(&r, "Li Wei");
        snprintf(sql, sizeof sql, "UPDATE record SET kind = %u", cases[i].kind);
        assert_int_equal(sqlite3_exec(r.replica->db, sql, NULL, NULL, NULL), SQLITE_OK);
        settle_all(&r, (span){0});
        assert_int_equal(rig_count(&r, "SELECT held <> 0 FROM record"), cases[i].held);
        rig_close(&r);
    }
}

static void scopes_that_are_damaged_are_told(void **state) {
    static const char *const damages[] = {
        "digest = x'00'", "number = -1", "number = 64",
        "name = 'event:01234567-89ab-7def-8123-456789abcdef-01234567-89ab-7def-8123-456789abcdef'"};
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        rig r;
        char sql[160];
        replica *other = NULL;
        lp_error error;
        rig_open(&r, true);
        snprintf(sql, sizeof sql, "UPDATE scope SET %s", damages[i]);
        assert_int_equal(sqlite3_exec(r.replica->db, sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(replica_open(r.path, false, &r.env, NULL, &other, &error), LP_OK);
        assert_int_equal(replica_begin(other, &error), LP_CORRUPT);
        assert_non_null(strstr(error.message, "digest is damaged"));
        replica_close(other);
        rig_close(&r);
    }
}

static uint32_t told;

static lp_err note_gone(replica *r, uint32_t kind, const lp_id *id, const reg *gone, lp_error *error) {
    (void)r;
    (void)id;
    (void)error;
    told += kind == KIND_LEAD && gone->field == LEAD_COMPANY;
    return LP_OK;
}

static void what_a_restored_server_does_not_have_any_more_is_told_before_it_goes(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id ids[2];
    for (int i = 0; i < 2; i++) {
        ids[i] = prop_id(&r.random);
        pull_one(&r, "pool", (uint64_t)i + 1, &ids[i], "Acme");
    }
    r.replica->gone = note_gone;
    told = 0;
    sheet s = begin(&r, "pool", 3);
    s.page.start = s.page.again = true;
    s.page.cursor.epoch = span_of(epochs[1], EPOCH_BYTES);
    put(&s, &ids[0], LEAD_COMPANY, "older", at(-99000, 99));
    apply(&s);
    assert_int_equal(told, 2); /* one was replaced by an older value, one did not come */
    assert_int_equal(records(&r), 1);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

/* repair-clock: all that was ahead has lesser stamps, in their order; of one record somebody has written since. */
static void a_repaired_pool_is_not_told_as_one_that_lost_something_and_leaves_what_was_typed_in_the_past(void **state) {
    rig r;
    char text[64];
    (void)state;
    rig_open(&r, true);
    lp_id same = prop_id(&r.random), written = prop_id(&r.random);
    sheet s = begin(&r, "pool", 1);
    put(&s, &same, LEAD_COMPANY, "Acme", at(90000, 99));
    put(&s, &written, LEAD_COMPANY, "Typed Here", at(90000, r.replica->clock.author));
    apply(&s);
    r.replica->gone = note_gone;
    told = 0;
    s = begin(&r, "pool", 2);
    s.page.start = s.page.again = true;
    s.page.cursor.epoch = span_of(epochs[1], EPOCH_BYTES);
    put(&s, &same, LEAD_COMPANY, "Acme", at(-500, 99));
    put(&s, &written, LEAD_COMPANY, "Theirs", at(-400, 99));
    apply(&s);
    assert_int_equal(told, 0);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM past WHERE instr(body, CAST('Typed Here' AS BLOB))"), 1);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM past"), 1);
    assert_true(rig_get(&r, &written, "company", NULL, text));
    assert_string_equal(text, "Theirs");
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void a_lost_scope_takes_its_records_along(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    set_scopes(&r, "mine", "event:x");
    lp_id a = prop_id(&r.random), b = prop_id(&r.random);
    pull_one(&r, "mine", 1, &a, "Mine GmbH");
    pull_one(&r, "event:x", 1, &b, "Event GmbH");
    set_scopes(&r, "mine", NULL);
    assert_int_equal(records(&r), 1);
    assert_false(on_disk(&r, "Event GmbH"));
    assert_true(on_disk(&r, "Mine GmbH"));
    pull_one(&r, "event:x", 2, &b, "late"); /* an answer that was on its way */
    assert_int_equal(records(&r), 1);
    rig_close(&r);
}

/* F84: rows, columns, past, index, WAL. */
static void no_byte_of_an_evicted_record_is_left_in_the_files(void **state) {
    static const char *const canaries[] = {"Canary Holding", "canary-two", "canarypast"};
    rig r;
    lp_rows *rows;
    (void)state;
    rig_open(&r, true);
    lp_id id = prop_id(&r.random);
    rig_pull(&r, &id, LEAD_NOTES, "canarypast", at(-9000, 99));
    rig_pull(&r, &id, LEAD_NOTES, "canary-two", at(-8000, 99));
    rig_pull(&r, &id, LEAD_COMPANY, "Canary Holding", at(-8000, 99));
    for (int i = 0; i < 50; i++) {
        lp_id other = prop_id(&r.random);
        rig_pull(&r, &other, LEAD_COMPANY, "Somebody Else", at(-7000, 99));
    }
    assert_int_equal(search_run(r.replica, "canary", 0, &rows, NULL), LP_OK);
    assert_int_equal(lp_rows_count(rows), 1);
    lp_rows_free(rows);
    for (int i = 0; i < 3; i++)
        assert_true(on_disk(&r, canaries[i]));
    leave(&r, "pool", 99, &id);
    assert_int_equal(records(&r), 50);
    for (int i = 0; i < 3; i++)
        assert_false(on_disk(&r, canaries[i]));
    assert_false(on_disk(&r, "canary"));
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

#define LEADS 240
#define ROUNDS 4

/* Rows that grow split their pages, and what moves to a neighbour leaves a copy in the page it was in. Every third one is a canary. */
static void pull_growing(rig *r, lp_id *ids, int count) {
    char text[200];
    for (int i = 0; i < count; i++)
        ids[i] = prop_id(&r->random);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < count; i++) {
            snprintf(text, sizeof text, "%s %d %0*d", i % 3 ? "stays" : "canary", i, 40 * round, i);
            rig_pull(r, &ids[i], LEAD_COMPANY, text, at(-9000 + round, 99));
        }
}

static void no_byte_of_an_evicted_record_is_left_in_the_middle_of_a_page_that_was_split(void **state) {
    rig r;
    lp_id ids[LEADS];
    lp_rows *rows;
    (void)state;
    rig_open(&r, true);
    pull_growing(&r, ids, LEADS);
    assert_int_equal(search_run(r.replica, "canary", 0, &rows, NULL), LP_OK);
    assert_int_equal(lp_rows_count(rows), LEADS / 3);
    lp_rows_free(rows);
    sheet s = begin(&r, "pool", 99);
    for (int i = 0; i < LEADS; i += 3)
        name(&s, LEFT, &ids[i]);
    apply(&s);
    assert_int_equal(records(&r), LEADS - LEADS / 3);
    assert_false(on_disk(&r, "canary"));
    /* Nor does what this connection keeps in memory bring it back, when pages are changed again. */
    for (int i = 1; i < LEADS; i += 3)
        rig_pull(&r, &ids[i], LEAD_CITY, "Chicago", at(-8000, 99));
    assert_false(on_disk(&r, "canary"));
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

/* A row that is gone by itself is no row to be removed: the pages have to be looked at all the same. */
static void no_byte_of_a_row_that_is_gone_by_itself_is_left_in_the_file(void **state) {
    rig r;
    lp_id ids[LEADS];
    (void)state;
    rig_open(&r, true);
    pull_growing(&r, ids, LEADS);
    replica_checkpoint(r.replica, false);
    assert_int_equal(sqlite3_exec(r.replica->db,
                                  "DELETE FROM lead_text; DELETE FROM unindexed; DELETE FROM past;"
                                  "DELETE FROM record WHERE c_company LIKE 'canary%'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(records(&r), LEADS - LEADS / 3);
    assert_int_equal(heal_audit_due(r.replica, NULL), LP_OK);
    replica_checkpoint(r.replica, true);
    assert_false(on_disk(&r, "canary"));
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_stays_while_one_scope_holds_it),
        cmocka_unit_test(what_leaves_with_unsent_changes_goes_with_their_last_verdict),
        cmocka_unit_test(what_was_refused_of_an_evicted_record_stays_for_its_author),
        cmocka_unit_test(a_regained_record_is_not_leaving_any_more),
        cmocka_unit_test(a_whole_record_replaces_what_the_server_was_known_to_hold),
        cmocka_unit_test(a_page_with_a_whole_record_is_overtaken_by_what_was_acknowledged_of_it),
        cmocka_unit_test(a_record_made_here_is_held_when_the_scope_says_it_joined),
        cmocka_unit_test(what_does_not_come_in_a_re_read_is_swept_even_across_a_restart),
        cmocka_unit_test(an_answer_asked_for_before_a_re_read_does_not_end_it),
        cmocka_unit_test(a_first_page_that_comes_twice_begins_nothing_anew),
        cmocka_unit_test(a_late_page_of_a_grant_that_was_taken_back_is_not_applied),
        cmocka_unit_test(a_late_page_of_a_re_read_that_began_anew_is_not_applied),
        cmocka_unit_test(what_the_office_sets_up_is_held_by_setup_and_not_by_the_pool),
        cmocka_unit_test(scopes_that_are_damaged_are_told),
        cmocka_unit_test(what_a_restored_server_does_not_have_any_more_is_told_before_it_goes),
        cmocka_unit_test(a_repaired_pool_is_not_told_as_one_that_lost_something_and_leaves_what_was_typed_in_the_past),
        cmocka_unit_test(a_lost_scope_takes_its_records_along),
        cmocka_unit_test(no_byte_of_an_evicted_record_is_left_in_the_files),
        cmocka_unit_test(no_byte_of_an_evicted_record_is_left_in_the_middle_of_a_page_that_was_split),
        cmocka_unit_test(no_byte_of_a_row_that_is_gone_by_itself_is_left_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
