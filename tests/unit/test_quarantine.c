/* test_quarantine.c - a record from the server that cannot be taken in is put aside; what comes behind it is not held up (F68). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client/sync/intake.h"
#include "client/replica/quarantine.h"
#include "proto/change.h"
#include "proto/page.h"
#include "proto/schema.h"
#include "tests/support/rig.h"

static const uint8_t epoch[EPOCH_BYTES] = {9};
static const lp_id ids[] = {{{1}}, {{2}}, {{3}}};

#define AT ((stamp){(uint64_t)RIG_START_MS << 16, 99})

/* Three leads, of which the second has a field whose number this version cannot read, behind one that it can. */
static void put_page_of_three(buf *changes, uint32_t strange_field) {
    changes_writer w;
    buf value = {0};
    wire_put_text(&value, SPAN_LITERAL("Acme"));
    changes_init(&w);
    for (int i = 0; i < 3; i++) {
        changes_begin(&w);
        change_put(&w, LEAD_COMPANY, (span){0}, buf_span(&value));
        if (i == 1)
            change_put(&w, strange_field, (span){0}, buf_span(&value));
        changes_end(&w, KIND_LEAD, &ids[i], AT, STAMP_NONE, 0);
    }
    assert_int_equal(changes_finish(&w, changes, NULL), LP_OK);
    changes_fini(&w);
    buf_fini(&value);
}

static pull_outcome pull(rig *r, span changes, uint64_t seq) {
    pull_outcome outcome = {0};
    static const uint8_t other_digest[16] = {1};
    page p = {.cursor = {.scope = SPAN_LITERAL("pool"), .epoch = span_of(epoch, sizeof epoch), .seq = seq},
              .changes = changes,
              .digest = span_of(other_digest, sizeof other_digest)};
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(pull_page(r->replica, &p, &outcome, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    return outcome;
}

static uint64_t pool_cursor(rig *r) {
    buf cursors = {0};
    bool known;
    uint64_t seq = 0;
    cursor c;
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    buf scopes = {0};
    wire_put_array(&scopes, 1);
    wire_put_text(&scopes, SPAN_LITERAL("pool"));
    assert_int_equal(pull_scopes(r->replica, buf_span(&scopes), NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    assert_int_equal(pull_cursors(r->replica, &cursors, &known, NULL), LP_OK);
    wire_reader from = wire_open(buf_span(&cursors));
    for (uint32_t left = wire_array(&from); left && cursor_take(&from, &c); left--)
        seq = c.seq;
    buf_fini(&cursors);
    buf_fini(&scopes);
    return seq;
}

static void what_cannot_be_read_is_put_aside_and_the_cursor_moves_on(void **state) {
    rig r;
    buf changes = {0};
    lp_status status = {0};
    (void)state;
    rig_open(&r, true);
    put_page_of_three(&changes, FIELD_NUMBER_MAX + 1);
    pull_outcome outcome = pull(&r, buf_span(&changes), 7);
    assert_false(outcome.compared); /* it differs, and it is known why */
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 2);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM quarantine"), 1);
    assert_int_equal(pool_cursor(&r), 7);
    assert_true(rig_digest_holds(&r));
    assert_int_equal(replica_status(r.replica, &status, NULL), LP_OK);
    assert_int_equal(status.quarantined, 1);
    buf_fini(&changes);
    rig_close(&r);
}

static void what_is_aside_is_tried_again_by_another_version(void **state) {
    rig r;
    buf changes = {0}, readable = {0};
    (void)state;
    rig_open(&r, true);
    put_page_of_three(&changes, FIELD_NUMBER_MAX + 1);
    pull(&r, buf_span(&changes), 7);
    assert_int_equal(intake_retry(r.replica, NULL), LP_OK); /* by this version there is no point */
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM quarantine WHERE version = '" LEADPOOL_VERSION "'"), 1);
    /* Another version put it aside, and this one cannot read it either. */
    assert_int_equal(sqlite3_exec(r.replica->db, "UPDATE quarantine SET version = '0.0.0'", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(intake_retry(r.replica, NULL), LP_OK);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM quarantine WHERE version = '" LEADPOOL_VERSION "'"), 1);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 2);
    /* What it holds is what came: were the field one that is known, it would be taken in. */
    sqlite3_stmt *s = NULL;
    put_page_of_three(&readable, LEAD_JOB_TITLE);
    record_sets sets = {0};
    changes_reader reader;
    change_set set;
    buf one = {0};
    assert_int_equal(changes_open(&reader, buf_span(&readable), NULL), LP_OK);
    for (int i = 0; i < 2; i++)
        assert_true(changes_next(&reader, &set));
    record_sets_add(&sets, &set);
    record_sets_put(&sets, &one);
    assert_int_equal(
        sqlite3_prepare_v2(r.replica->db, "UPDATE quarantine SET version = '0.0.0', changes = ?1", -1, &s, NULL),
        SQLITE_OK);
    sqlite3_bind_blob(s, 1, one.data, (int)one.size, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(s), SQLITE_DONE);
    sqlite3_finalize(s);
    assert_int_equal(intake_retry(r.replica, NULL), LP_OK);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM quarantine"), 0);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 3);
    char title[64];
    assert_true(rig_get(&r, &ids[1], "job_title", NULL, title));
    assert_string_equal(title, "Acme");
    assert_true(rig_digest_holds(&r));
    changes_close(&reader);
    record_sets_fini(&sets);
    buf_fini(&one);
    buf_fini(&readable);
    buf_fini(&changes);
    rig_close(&r);
}

static void what_is_aside_of_a_scope_that_was_taken_back_is_dropped(void **state) {
    rig r;
    buf changes = {0};
    (void)state;
    rig_open(&r, true);
    put_page_of_three(&changes, FIELD_NUMBER_MAX + 1);
    pull(&r, buf_span(&changes), 7);
    assert_int_equal(
        sqlite3_exec(r.replica->db, "UPDATE quarantine SET version = '0.0.0', scope = 'event:gone'", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(intake_retry(r.replica, NULL), LP_OK);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM quarantine"), 0);
    assert_int_equal(rig_count(&r, "SELECT count(*) FROM record"), 2);
    buf_fini(&changes);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_read_is_put_aside_and_the_cursor_moves_on),
        cmocka_unit_test(what_is_aside_is_tried_again_by_another_version),
        cmocka_unit_test(what_is_aside_of_a_scope_that_was_taken_back_is_dropped),
    };
    return cmocka_run_group_tests_name("quarantine", tests, NULL, NULL);
}
