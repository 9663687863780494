/* test_scopes.c - reps hold their own leads and what was granted, whatever moves meanwhile (F81 to F83). world_check compares every device with
 * the pool restricted to its scopes, and looks for everything else on its disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client/replica/txn.h"
#include "server/office/review.h"
#include "tests/sim/world_scopes.h"

#define ANN 0 /* a rep */
#define BOB 1 /* a rep */
#define MONA 2
#define GRANT_IFA 0
#define GRANT_POOL 2

static world *make_on(const store_ops *engine) {
    world_options options = {.engine = engine, .devices = 3, .reps = 3, .seed = 5, .name = "scopes"};
    world *w = world_new(&options);
    w->faults = (world_faults){.delay_min_ms = 1, .delay_max_ms = 20, .commit_max_ms = 5};
    return w;
}

static world *make(void) {
    return make_on(&store_memory_ops);
}

static void close(world *w) {
    world_settle(w, false);
    world_check(w);
    world_free(w);
}

/* One device, until it is done. */
static void sync(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    uint32_t before = d->done_count;
    world_device_start(d, false);
    while (d->done_count == before)
        assert_true(world_step(w, w->now_ms + 60000));
    world_expect(w, d->done == LP_OK, "device %u: %s", who, client_reason(d->session));
}

/* What it has to send reaches the pool, and the answer is lost. */
static void push_unheard(world *w, uint32_t who) {
    uint64_t before = committer_seq(w->committer);
    world_device_start(&w->devices[who], false);
    while (committer_seq(w->committer) == before)
        assert_true(world_step(w, w->now_ms + 60000));
    world_cut(w, (uint32_t)w->devices[who].link);
    world_device_stop(&w->devices[who]);
}

static void expect_text(world *w, uint32_t who, uint32_t index, const char *field, const char *text) {
    char found[256];
    assert_string_equal(world_text(w, who, index, field, found), text);
}

static uint32_t make_touch(world *w, uint32_t who, uint32_t lead, const char *text) {
    lp_txn *t;
    char id[LP_ID_TEXT_BYTES];
    world_record *made = &w->records[w->record_count];
    *made = (world_record){.kind = KIND_TOUCH, .follows = (int32_t)lead};
    lp_id_format(&w->records[lead].id, id);
    assert_int_equal(txn_new(w->devices[who].replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_create(t, "touch", NULL, &made->id, NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &made->id, "lead", id, NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &made->id, "text", text, NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
    world_device_work(&w->devices[who]);
    return w->record_count++;
}

static bool count_entry(void *ctx, const review_entry *e) {
    uint32_t *counts = ctx;
    counts[e->why]++;
    return true;
}

static uint32_t in_review(world *w, review_reason why) {
    uint32_t counts[8] = {0};
    assert_int_equal(w->store->ops->begin(w->store, NULL), LP_OK);
    assert_int_equal(review_each(&w->pool, count_entry, counts, NULL), LP_OK);
    w->store->ops->rollback(w->store);
    return counts[why];
}

static void erase(world *w, uint32_t lead) {
    world_erase(w, lead);
    assert_true(w->records[lead].erased);
}

/* ---- leads that move ---- */

static void an_unsent_edit_of_a_lead_that_moved_away_arrives_and_leaves_no_trace(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "v900 by 0");
    world_settle(w, false);
    world_set(w, ANN, lead, "company", "v901 by 0");
    world_set(w, MONA, lead, "owner", "person 1");
    sync(w, MONA);
    sync(w, ANN);
    world_settle(w, false);
    assert_false(world_holds(w, ANN, lead));
    expect_text(w, BOB, lead, "company", "v901 by 0");
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 0);
    close(w);
}

static void a_lead_that_comes_back_is_whole(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    uint32_t touch = make_touch(w, ANN, lead, "called");
    world_settle(w, false);
    for (int i = 0; i < 2; i++) {
        world_set(w, MONA, lead, "owner", "person 1");
        world_settle(w, false);
        assert_false(world_holds(w, ANN, lead) || world_holds(w, ANN, touch));
        world_set(w, BOB, lead, "company", i ? "Acme" : "Bolt");
        world_set(w, BOB, lead, "owner", "person 0");
        world_settle(w, false);
        assert_false(world_holds(w, BOB, lead) || world_holds(w, BOB, touch));
        expect_text(w, ANN, touch, "text", "called");
        expect_text(w, ANN, lead, "company", i ? "Acme" : "Bolt");
    }
    close(w);
}

static void a_lead_made_for_somebody_else_leaves_its_maker(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    world_set(w, ANN, lead, "owner", "person 1");
    world_settle(w, false);
    assert_false(world_holds(w, ANN, lead));
    assert_true(world_holds(w, BOB, lead));
    close(w);
}

/* The copy pushes the lead, the phone gives it away and has to read from the beginning under a number of its own. */
static void who_reads_from_the_beginning_lets_go_of_what_it_made_and_gave_away(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    vfs_image *phone = world_device_copy(w, ANN);
    assert_true(world_device_clone(w, ANN, phone));
    vfs_image_free(phone);
    uint32_t copy = w->options.devices - 1;
    sync(w, copy);
    world_set(w, ANN, lead, "owner", "person 1");
    world_settle(w, false);
    assert_false(world_holds(w, ANN, lead));
    close(w);
}

/* ---- what may be written ---- */

/* Written anew before it was sent, a lead stands behind what follows it in the outbox. */
static void a_note_that_comes_before_its_lead_is_no_matter_for_the_office(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li We");
    uint32_t touch = make_touch(w, ANN, lead, "called");
    world_set(w, ANN, lead, "full_name", "Li Wei");
    world_settle(w, false);
    expect_text(w, ANN, touch, "text", "called");
    expect_text(w, MONA, touch, "text", "called");
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 0);
    close(w);
}

static void an_edit_outside_the_scopes_goes_to_review_and_leaves_no_trace(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    world_settle(w, false);
    world_stray(w, BOB, lead);
    world_settle(w, false);
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 1);
    expect_text(w, ANN, lead, "notes", "");
    assert_int_equal(world_device_count(&w->devices[BOB], "SELECT count(*) FROM record WHERE kind = 1"), 0);
    close(w);
}

static void a_note_to_a_lead_outside_the_scopes_goes_to_review(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    world_settle(w, false);
    make_touch(w, BOB, lead, "not mine");
    world_settle(w, false);
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 1);
    assert_int_equal(world_device_count(&w->devices[MONA], "SELECT count(*) FROM record WHERE kind = 2"), 0);
    close(w);
}

/* The first part of the note, which says whose it is, goes to the office; the second knows nothing of a lead, and stands. */
static void a_note_whose_first_half_awaits_review_keeps_the_half_that_stands(void **state) {
    (void)state;
    world *w = make();
    lp_txn *t;
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    world_settle(w, false);
    uint32_t touch = make_touch(w, BOB, lead, "not mine");
    world_device *bob = &w->devices[BOB];
    world_device_start(bob, false);
    while (world_device_count(bob, "SELECT count(*) FROM batch") == 0)
        assert_true(world_step(w, w->now_ms + 60000));
    assert_int_equal(txn_new(bob->replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set_text(t, &w->records[touch].id, "text", "and yet", NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
    world_device_work(bob);
    world_settle(w, false);
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 1);
    expect_text(w, BOB, touch, "text", "and yet");
    expect_text(w, MONA, touch, "text", "and yet");
    close(w);
}

/* Of a lead that left, what was refused stays for the rep to mend. Written to again it has to go again. */
static void what_is_applied_late_to_a_lead_that_left_leaves_again(void **state) {
    char text[301];
    buf value = {0};
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    memset(text, 'x', sizeof text);
    wire_put_text(&value, span_of(text, sizeof text));
    assert_true(world_force(w, ANN, &w->records[lead], LEAD_JOB_TITLE, buf_span(&value)));
    world_set(w, ANN, lead, "owner", "person 1");
    world_settle(w, false);
    world_set(w, ANN, lead, "company", "v900 by 0");
    world_settle(w, false);
    expect_text(w, BOB, lead, "company", "v900 by 0");
    expect_text(w, ANN, lead, "company", "");
    buf_fini(&value);
    close(w);
}

/* Nothing of it stands in the pool, which has no reason to think that the device has anything of the lead. */
static void what_lost_on_a_lead_that_left_unread_leaves_its_author(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, MONA, "Li Wei");
    world_set(w, MONA, lead, "owner", "person 1");
    sync(w, MONA);
    world_stray(w, BOB, lead);
    world_run(w, 5000);
    world_set(w, MONA, lead, "notes", "v900 by 2");
    world_set(w, MONA, lead, "owner", "person 0");
    sync(w, MONA);
    push_unheard(w, BOB);
    world_settle(w, false);
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 0);
    assert_false(world_holds(w, BOB, lead));
    expect_text(w, ANN, lead, "notes", "v900 by 2");
    close(w);
}

/* ---- grants ---- */

/* By the time its author hears that it was taken, the event that entitled to it is gone, and no scope that is left has ever held it. */
static void a_note_acknowledged_after_its_event_was_taken_leaves_with_the_event(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, MONA, "Li Wei");
    world_set(w, MONA, lead, "event", "ifa");
    world_grant(w, ANN, GRANT_IFA, true);
    world_settle(w, false);
    uint32_t touch = make_touch(w, ANN, lead, "v900 by 0");
    push_unheard(w, ANN);
    world_grant(w, ANN, GRANT_IFA, false);
    world_settle(w, false);
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 0);
    assert_false(world_holds(w, ANN, touch));
    expect_text(w, MONA, touch, "text", "v900 by 0");
    close(w);
}

static void who_is_granted_the_pool_keeps_what_was_made(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    uint32_t other = world_make_lead(w, BOB, "Wang Fang");
    world_settle(w, false);
    world_grant(w, ANN, GRANT_POOL, true);
    world_settle(w, false);
    expect_text(w, ANN, lead, "full_name", "Li Wei");
    expect_text(w, ANN, other, "full_name", "Wang Fang");
    world_check(w);
    world_grant(w, ANN, GRANT_POOL, false);
    world_settle(w, false);
    expect_text(w, ANN, lead, "full_name", "Li Wei");
    assert_false(world_holds(w, ANN, other));
    close(w);
}

static void a_grant_taken_and_given_again_while_away_is_read_anew(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    world_set(w, ANN, lead, "event", "ifa");
    world_grant(w, BOB, GRANT_IFA, true);
    world_settle(w, false);
    assert_true(world_holds(w, BOB, lead));
    world_grant(w, BOB, GRANT_IFA, false);
    world_set(w, ANN, lead, "company", "Acme");
    sync(w, ANN);
    world_grant(w, BOB, GRANT_IFA, true);
    world_settle(w, false);
    expect_text(w, BOB, lead, "company", "Acme");
    close(w);
}

/* ---- restored pools ---- */

static bool is_granted(world *w, uint32_t who, uint32_t which) {
    world_read_grants(w);
    return w->people[w->devices[who].person].grants >> which & 1;
}

static void grants_and_their_ends_outlive_a_restore(void **state) {
    static void (*const ways[])(world *, const char *) = {world_server_restore, world_server_set_back};
    (void)state;
    for (int i = 0; i < 2; i++) {
        world *w = make_on(&store_sqlite_ops);
        uint32_t lead = world_make_lead(w, ANN, "Li Wei");
        world_set(w, ANN, lead, "event", "ifa");
        world_grant(w, BOB, GRANT_IFA, true);
        world_server_backup(w, "monday.db");
        world_grant(w, BOB, GRANT_IFA, false);
        world_grant(w, ANN, GRANT_POOL, true);
        world_settle(w, false);
        ways[i](w, "monday.db");
        assert_true(is_granted(w, ANN, GRANT_POOL));
        assert_false(is_granted(w, BOB, GRANT_IFA));
        uint64_t seq = committer_seq(w->committer);
        world_server_restart(w); /* what stands already is not done again */
        assert_int_equal(committer_seq(w->committer), seq);
        world_settle(w, false);
        assert_true(world_holds_pool(w, ANN));
        assert_false(world_holds(w, BOB, lead));
        close(w);
    }
}

static void what_is_offered_again_is_judged_like_any_push(void **state) {
    (void)state;
    world *w = make_on(&store_sqlite_ops);
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    world_settle(w, false);
    world_server_backup(w, "monday.db");
    uint32_t own = world_make_lead(w, BOB, "Wang Fang");
    world_stray(w, BOB, lead);
    world_settle(w, false);
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 1);
    world_server_restore(w, "monday.db");
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 0);
    world_settle(w, false);
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 1);
    expect_text(w, ANN, lead, "notes", "");
    expect_text(w, MONA, own, "full_name", "Wang Fang");
    close(w);
}

/* Accepted while the lead was Bob's, and the pool is older now. Whoever comes back first: the lead left after Bob had read it. */
static void an_edit_offered_again_to_a_lead_that_has_moved_on_is_applied(void **state) {
    (void)state;
    for (int moved_first = 0; moved_first < 2; moved_first++) {
        world *w = make_on(&store_sqlite_ops);
        uint32_t lead = world_make_lead(w, BOB, "Li Wei");
        world_settle(w, false);
        world_server_backup(w, "monday.db");
        world_set(w, BOB, lead, "company", "v901 by 1");
        world_settle(w, false);
        world_set(w, MONA, lead, "owner", "person 0");
        world_settle(w, false);
        world_server_restore(w, "monday.db");
        sync(w, moved_first ? MONA : BOB);
        sync(w, moved_first ? BOB : MONA);
        world_settle(w, false);
        expect_text(w, ANN, lead, "company", "v901 by 1");
        assert_int_equal(in_review(w, REVIEW_OUTSIDE), 0);
        assert_false(world_holds(w, BOB, lead));
        close(w);
    }
}

/* The backup has the move already, and what is offered again was accepted after it: outside, as it was then. */
static void an_edit_accepted_late_and_offered_again_is_not_lost(void **state) {
    (void)state;
    world *w = make_on(&store_sqlite_ops);
    uint32_t lead = world_make_lead(w, BOB, "Li Wei");
    world_settle(w, false);
    world_set(w, BOB, lead, "company", "v901 by 1");
    world_set(w, MONA, lead, "owner", "person 0");
    sync(w, MONA);
    world_server_backup(w, "monday.db");
    world_settle(w, false);
    expect_text(w, ANN, lead, "company", "v901 by 1");
    assert_false(world_holds(w, BOB, lead));
    world_server_restore(w, "monday.db");
    world_settle(w, false);
    expect_text(w, ANN, lead, "company", "v901 by 1");
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 0);
    close(w);
}

static bool take_number(void *ctx, const review_entry *e) {
    *(uint64_t *)ctx = e->number;
    return false;
}

static void accept_all(world *w) {
    char text[24];
    for (uint64_t number = 1; number;) {
        number = 0;
        assert_int_equal(w->store->ops->begin(w->store, NULL), LP_OK);
        assert_int_equal(review_each(&w->pool, take_number, &number, NULL), LP_OK);
        w->store->ops->rollback(w->store);
        snprintf(text, sizeof text, "%llu", (unsigned long long)number);
        assert_true(!number || world_operate(w, "review", "accept", text));
    }
}

/* The backup knows nothing of the lead, and who was given it comes back before who made it: for all the pool can tell he made it, and what
 * Ann offers is outside her scopes. It waits for the office, and is whole when that accepts it. */
static void a_lead_offered_again_by_who_was_given_it_is_whole_once_the_office_accepts_the_rest(void **state) {
    (void)state;
    world *w = make_on(&store_sqlite_ops);
    world_settle(w, false);
    world_server_backup(w, "monday.db");
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    world_settle(w, false);
    world_set(w, ANN, lead, "owner", "person 1");
    world_settle(w, false);
    world_set(w, BOB, lead, "company", "v901 by 1");
    world_settle(w, false);
    world_server_restore(w, "monday.db");
    sync(w, BOB);
    world_settle(w, false);
    assert_int_equal(in_review(w, REVIEW_OUTSIDE), 2);
    world_check(w); /* now, because what is accepted is the office's */
    accept_all(w);
    world_settle(w, false);
    expect_text(w, BOB, lead, "full_name", "Li Wei");
    expect_text(w, BOB, lead, "company", "v901 by 1");
    world_free(w);
}

/* The same of a lead that was acknowledged and never pulled, so that no scope holds it: with what the office got it leaves its maker. */
static void what_was_acknowledged_and_not_yet_pulled_leaves_with_what_the_restored_pool_gave_to_another(void **state) {
    (void)state;
    for (int pulled_before = 0; pulled_before < 2; pulled_before++) {
        world *w = make_on(&store_sqlite_ops);
        if (pulled_before)
            world_settle(w, false);
        world_server_backup(w, "monday.db");
        uint32_t lead = world_make_lead(w, ANN, "Li Wei");
        world_device_start(&w->devices[ANN], false);
        while (world_device_count(&w->devices[ANN], "SELECT count(*) FROM outbox"))
            assert_true(world_step(w, w->now_ms + 60000));
        world_server_restore(w, "monday.db");
        world_stray(w, BOB, lead);
        sync(w, BOB);
        world_settle(w, false);
        assert_int_equal(in_review(w, REVIEW_OUTSIDE), 1);
        assert_false(world_holds(w, ANN, lead));
        assert_true(world_device_count(&w->devices[ANN], "SELECT count(*) FROM recovered") > 0);
        close(w);
    }
}

static void resolve_conflict(world *w, uint32_t who) {
    lp_txn *t;
    lp_id id;
    lp_value yes = {.type = LP_BOOL, .integer = 1};
    sqlite3_stmt *s = NULL;
    world_device *d = &w->devices[who];
    assert_int_equal(sqlite3_prepare_v2(d->replica->db, "SELECT id FROM record WHERE kind = 5", -1, &s, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    memcpy(id.bytes, sqlite3_column_blob(s, 0), sizeof id.bytes);
    sqlite3_finalize(s);
    assert_int_equal(txn_new(d->replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set(t, &id, "resolved", &yes, NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
    world_device_work(d);
}

/* The pool was restored, and one side of the conflict awaits review: so there is no conflict, and nobody is shown one. */
static void a_mark_on_a_conflict_that_is_not_there_any_more_stands_and_is_not_shown(void **state) {
    (void)state;
    world *w = make_on(&store_sqlite_ops);
    world_settle(w, false);
    world_server_backup(w, "monday.db");
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    world_settle(w, false);
    world_set(w, ANN, lead, "company", "v901 by 0");
    world_set(w, MONA, lead, "company", "v902 by 2");
    world_settle(w, false);
    resolve_conflict(w, MONA);
    world_settle(w, false);
    world_server_restore(w, "monday.db");
    w->restores =
        1; /* as of a schedule: the model lets what was lost stay on Ann's disk, and the mark alone in the pool */
    world_stray(w, BOB, lead);
    sync(w, BOB);
    world_settle(w, false);
    assert_true(in_review(w, REVIEW_OUTSIDE) > 0);
    assert_int_equal(world_device_count(&w->devices[MONA], "SELECT count(*) FROM record WHERE kind = 5"), 1);
    int64_t shown;
    assert_int_equal(replica_count_conflicts(w->devices[MONA].replica, &shown, NULL), LP_OK);
    assert_int_equal(shown, 0);
    close(w);
}

static void write_text(world *w, uint32_t who, uint32_t lead, const char *field, uint32_t fields, char *text) {
    lp_txn *t;
    char name[40];
    assert_int_equal(txn_new(w->devices[who].replica, NULL, &t, NULL), LP_OK);
    for (uint32_t i = 0; i < fields; i++) {
        snprintf(name, sizeof name, fields > 1 ? "%s.q%u" : "%s", field, i);
        assert_int_equal(txn_set_text(t, &w->records[lead].id, name, text, NULL), LP_OK);
    }
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
    world_device_work(&w->devices[who]);
}

/* Nobody is asked for a verdict on what is offered again. What does not stand afterwards is among what the server has lost. */
static void what_is_refused_when_it_is_offered_again_is_listed_as_recovered(void **state) {
    static char long_text[8193], text[30001];
    (void)state;
    memset(long_text, 'a', sizeof long_text - 1);
    memset(text, 'b', sizeof text - 1);
    world *w = make_on(&store_sqlite_ops);
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    world_settle(w, false);
    world_server_backup(w, "monday.db");
    write_text(w, ANN, lead, "notes", 1, text);
    world_settle(w, false);
    world_server_restore(w, "monday.db");
    sync(w, MONA);
    write_text(w, MONA, lead, "answers", 63, long_text); /* the record is all but full */
    sync(w, MONA);
    world_settle(w, false);
    expect_text(w, ANN, lead, "notes", "");
    assert_int_equal(world_device_count(&w->devices[ANN], "SELECT count(*) FROM recovered WHERE length(value) > 30000"),
                     1);
    close(w);
}

/* ---- the office ---- */

static void an_erased_lead_and_its_notes_leave_a_reps_scope(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    uint32_t touch = make_touch(w, ANN, lead, "called");
    world_settle(w, false);
    erase(w, lead);
    world_settle(w, false);
    assert_false(world_holds(w, ANN, lead) || world_holds(w, ANN, touch));
    close(w);
}

static void a_purged_lead_and_its_notes_leave_a_reps_scope(void **state) {
    (void)state;
    world *w = make();
    uint32_t lead = world_make_lead(w, ANN, "Li Wei");
    uint32_t touch = make_touch(w, ANN, lead, "called");
    world_settle(w, false);
    world_delete(w, ANN, lead);
    world_settle(w, false);
    w->now_ms += 100 * DAY_MS;
    world_purge(w);
    assert_true(w->records[lead].purged && w->records[touch].purged);
    world_settle(w, false);
    assert_false(world_holds(w, ANN, lead) || world_holds(w, ANN, touch) || world_holds(w, MONA, touch));
    close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unsent_edit_of_a_lead_that_moved_away_arrives_and_leaves_no_trace),
        cmocka_unit_test(a_lead_that_comes_back_is_whole),
        cmocka_unit_test(a_lead_made_for_somebody_else_leaves_its_maker),
        cmocka_unit_test(who_reads_from_the_beginning_lets_go_of_what_it_made_and_gave_away),
        cmocka_unit_test(a_note_that_comes_before_its_lead_is_no_matter_for_the_office),
        cmocka_unit_test(an_edit_outside_the_scopes_goes_to_review_and_leaves_no_trace),
        cmocka_unit_test(a_note_to_a_lead_outside_the_scopes_goes_to_review),
        cmocka_unit_test(a_note_whose_first_half_awaits_review_keeps_the_half_that_stands),
        cmocka_unit_test(what_is_applied_late_to_a_lead_that_left_leaves_again),
        cmocka_unit_test(what_lost_on_a_lead_that_left_unread_leaves_its_author),
        cmocka_unit_test(a_note_acknowledged_after_its_event_was_taken_leaves_with_the_event),
        cmocka_unit_test(who_is_granted_the_pool_keeps_what_was_made),
        cmocka_unit_test(a_grant_taken_and_given_again_while_away_is_read_anew),
        cmocka_unit_test(grants_and_their_ends_outlive_a_restore),
        cmocka_unit_test(what_is_offered_again_is_judged_like_any_push),
        cmocka_unit_test(an_edit_accepted_late_and_offered_again_is_not_lost),
        cmocka_unit_test(a_lead_offered_again_by_who_was_given_it_is_whole_once_the_office_accepts_the_rest),
        cmocka_unit_test(a_mark_on_a_conflict_that_is_not_there_any_more_stands_and_is_not_shown),
        cmocka_unit_test(what_is_refused_when_it_is_offered_again_is_listed_as_recovered),
        cmocka_unit_test(what_was_acknowledged_and_not_yet_pulled_leaves_with_what_the_restored_pool_gave_to_another),
        cmocka_unit_test(an_edit_offered_again_to_a_lead_that_has_moved_on_is_applied),
        cmocka_unit_test(an_erased_lead_and_its_notes_leave_a_reps_scope),
        cmocka_unit_test(a_purged_lead_and_its_notes_leave_a_reps_scope),
    };
    return cmocka_run_group_tests_name("scopes", tests, NULL, NULL);
}
