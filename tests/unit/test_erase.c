/* test_erase.c - erasing on a device, at the moments that are easy to get wrong: a batch with the person in it is under way, the text is in the
 * index, an older page is still to come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client/replica/erase.h"
#include "client/sync/pull.h"
#include "client/find/search.h"
#include "client/replica/txn.h"
#include "proto/page.h"
#include "proto/schema.h"
#include "tests/support/failing_sql.h"
#include "tests/support/rig.h"

static bool erase(rig *r, const lp_id *id) {
    bool known;
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(erase_record(r->replica, id, &known, NULL), LP_OK);
    assert_int_equal(replica_scrub_later(r->replica, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    replica_checkpoint(r->replica, false);
    return known;
}

static bool contains(span bytes, span sought) {
    for (size_t i = 0; i + sought.size <= bytes.size; i++)
        if (memcmp(bytes.data + i, sought.data, sought.size) == 0)
            return true;
    return false;
}

static bool file_contains(const char *path, const char *suffix, const char *sought) {
    char name[400];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    FILE *file = fopen(name, "rb");
    if (!file)
        return false;
    static uint8_t bytes[8 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return contains(span_of(bytes, size), span_text(sought));
}

static void a_batch_under_way_with_the_person_in_it_is_sent_anew_without_them(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id gone = rig_make_lead(&r, "Canary One");
    lp_id stays = rig_make_lead(&r, "Stays");
    rig_start(&r, true);
    rig_channel(&r, "a");
    rig_sent first = *rig_last(&r);
    assert_int_equal(first.message.batch, 1);
    assert_true(contains(first.message.changes, id_span(&gone)));
    rig_welcome(&r, 0);
    assert_true(erase(&r, &gone));
    rig_work(&r);
    rig_sent *again = rig_last(&r);
    assert_int_equal(again->message.batch, 2);
    assert_int_equal(again->message.after, 0);
    assert_int_equal(again->message.given_up, 0); /* the server may hold it, and nobody else sent it */
    assert_false(contains(again->message.changes, id_span(&gone)));
    assert_true(contains(again->message.changes, id_span(&stays)));
    /* The answer to what was given up changes nothing. */
    message late = {.number = MSG_SYNCED, .batch = 1, .now_ms = r.now_ms};
    rig_answer(&r, first.id, &late);
    assert_int_equal(rig_unsent(&r), 1);
    message answer = {.number = MSG_SYNCED, .batch = 2, .now_ms = r.now_ms};
    for (uint32_t i = 0; i < r.sent_count; i++)
        if (r.sent[i].message.batch == 2)
            rig_answer(&r, r.sent[i].id, &answer);
    assert_int_equal(rig_unsent(&r), 0);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void nothing_of_the_person_is_left_in_the_file(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "Canaryperson");
    rig_set(&r, &id, "notes", "canarynote, the first");
    rig_set(&r, &id, "notes", "canarynote, the second");
    rig_pull(&r, &id, LEAD_COMPANY, "Canarycorp", (stamp){(uint64_t)RIG_START_MS << 16, 99});
    lp_rows *rows = NULL;
    assert_int_equal(search_run(r.replica, "canarynote", 0, &rows, NULL), LP_OK);
    assert_int_equal(lp_rows_count(rows), 1);
    lp_rows_free(rows);
    assert_true(file_contains(r.path, "-wal", "anary"));
    assert_true(erase(&r, &id));
    for (int i = 0; i < 2; i++)
        assert_false(file_contains(r.path, i ? "-wal" : "", "anary"));
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 0);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM past"), 0);
    assert_true(rig_digest_holds(&r));
    rig_close(&r);
}

static void an_older_page_does_not_bring_the_person_back(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "Canary");
    assert_true(erase(&r, &id));
    rig_pull(&r, &id, LEAD_COMPANY, "Canarycorp", (stamp){(uint64_t)RIG_START_MS << 16, 99});
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 0);
    assert_false(erase(&r, &id));
    rig_close(&r);
}

static void an_erased_id_is_not_written_to_again(void **state) {
    rig r;
    lp_txn *t;
    lp_error error;
    lp_value name = {.type = LP_TEXT, .data = "Canary", .size = 6};
    (void)state;
    rig_open(&r, true);
    lp_id id = rig_make_lead(&r, "Canary"), touch;
    assert_true(erase(&r, &id));
    assert_int_equal(txn_new(r.replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_create(t, "lead", &id, NULL, NULL), LP_OK);
    assert_int_equal(txn_set(t, &id, "full_name", &name, NULL), LP_OK);
    assert_int_equal(txn_commit(t, &error), LP_DENIED);
    txn_free(t);
    lp_value lead = {.type = LP_BYTES, .data = (const char *)id.bytes, .size = sizeof id.bytes};
    assert_int_equal(txn_new(r.replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_create(t, "touch", NULL, &touch, NULL), LP_OK);
    assert_int_equal(txn_set(t, &touch, "lead", &lead, NULL), LP_OK);
    assert_int_equal(txn_commit(t, &error), LP_DENIED);
    txn_free(t);
    assert_int_equal(rig_unsent(&r), 0);
    rig_close(&r);
}

static void what_was_put_aside_goes_too(void **state) {
    rig r;
    (void)state;
    rig_open(&r, true);
    lp_id id = {{0xab, 1}};
    /* A record put aside that names the person in its changes, and one that is the person's. */
    assert_int_equal(
        sqlite3_exec(
            r.replica->db,
            "INSERT INTO quarantine(id, kind, scope, changes, reason, version, at_ms) VALUES"
            "(x'ab010000000000000000000000000000', 1, 'pool', x'00', '', '1', 0),"
            "(x'cd000000000000000000000000000000', 2, 'pool', x'00ab010000000000000000000000000000ff', '', '1', 0),"
            "(x'ee000000000000000000000000000000', 2, 'pool', x'00', '', '1', 0)",
            NULL, NULL, NULL),
        SQLITE_OK);
    assert_true(erase(&r, &id));
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM quarantine"), 1);
    rig_close(&r);
}

/* The log is cut before that is noted, and is safely cut with the note only. */
static void a_scrub_that_could_not_be_noted_is_made_again(void **state) {
    (void)state;
    bool reached = true;
    for (uint64_t k = 0; reached; k++) {
        rig r;
        rig_open(&r, true);
        assert_int_equal(replica_begin(r.replica, NULL), LP_OK);
        assert_int_equal(replica_scrub_later(r.replica, NULL), LP_OK);
        assert_int_equal(replica_commit(r.replica, NULL), LP_OK);
        failing_sql_fail(k, 1);
        replica_checkpoint(r.replica, false);
        reached = failing_sql_end() > k;
        replica_checkpoint(r.replica, false);
        assert_int_equal(replica_meta_int(r.replica, "scrub.due", 0), 0);
        rig_close(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_under_way_with_the_person_in_it_is_sent_anew_without_them),
        cmocka_unit_test(nothing_of_the_person_is_left_in_the_file),
        cmocka_unit_test(an_older_page_does_not_bring_the_person_back),
        cmocka_unit_test(an_erased_id_is_not_written_to_again),
        cmocka_unit_test(what_was_put_aside_goes_too),
        cmocka_unit_test(a_scrub_that_could_not_be_noted_is_made_again),
    };
    return cmocka_run_group_tests_name("erase", tests, NULL, NULL);
}
