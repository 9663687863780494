/* test_purge.c - what was deleted long ago is forgotten, by the pool and by the devices, and nobody who was away brings it back (F79). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client/sync/line.h"
#include "client/sync/pull.h"
#include "client/replica/txn.h"
#include "server/office/control_arguments.h"
#include "server/office/purge.h"
#include "server/office/review.h"
#include "server/pool/seen.h"
#include "tests/sim/world.h"

#define DAYS(n) ((n)*DAY_MS)

static world *open_world(uint32_t devices) {
    world_options options = {.engine = &store_memory_ops, .devices = devices, .seed = 7, .name = "purge"};
    return world_new(&options);
}

/* Syncs one device until it is done. */
static void sync(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    uint32_t before = d->done_count;
    world_device_start(d, false);
    for (int64_t until_ms = w->now_ms + DAY_MS / 24; d->done_count == before && world_step(w, until_ms);)
        ;
    world_expect(w, d->done_count > before && d->done == LP_OK, "device %u is not in sync: %s", who,
                 client_reason(d->session));
    world_run(w, 1000); /* what the server still has to write */
    lp_sync_result result = {0};
    client_result(d->session, &result);
    world_expect(w, !result.diverged, "device %u differs from the pool", who);
}

/* What is noted of a device is noted now and then: some time later it is. */
static void sync_later(world *w, uint32_t who) {
    w->now_ms += 3600000;
    sync(w, who);
    sync(w, who);
}

static void ignore(void *ctx, job *j) {
    (void)ctx;
    (void)j;
}

static uint32_t number_of(span result, const char *name) {
    wire_reader r = wire_open(result);
    for (uint32_t left = wire_map(&r); left; left--) {
        bool found = span_equal(wire_text(&r), span_text(name));
        if (found)
            return (uint32_t)wire_u64(&r);
        wire_raw(&r);
    }
    fail_msg("no %s", name);
    return 0;
}

/* As `leadpoold purge` does it. */
static purge_outcome purge(world *w) {
    purge_outcome total = {.more = true};
    while (total.more) {
        message answer;
        job *j = job_new(JOB_CONTROL);
        assert_int_equal(control_request("purge", NULL, 0, &j->request, NULL), LP_OK);
        j->done = ignore;
        committer_run(w->committer, j);
        assert_int_equal(j->result, LP_OK);
        assert_int_equal(message_decode(buf_span(&j->answer), &answer, NULL), LP_OK);
        total.purged += number_of(answer.result, "purged");
        total.marks += number_of(answer.result, "marks");
        total.waiting = number_of(answer.result, "waiting");
        total.more = number_of(answer.result, "more");
        job_free(j);
    }
    return total;
}

static void delete_lead(world *w, uint32_t who, uint32_t which) {
    lp_txn *t;
    lp_value yes = {.type = LP_BOOL, .integer = 1};
    assert_int_equal(txn_new(w->devices[who].replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set(t, &w->records[which].id, "deleted", &yes, NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
}

/* The world's own model knows nothing of forgetting: it looks for what was saved. */
static void look_away(world *w, uint32_t which) {
    for (uint32_t i = 0; i < w->typed_count; i++)
        if (w->typed[i].record == which)
            w->typed[i].watched = false;
}

static uint32_t kind_in_pool(world *w, const lp_id *id) {
    store_row row;
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    lp_err err = w->reader->ops->read(w->reader, id, &row, NULL);
    uint32_t kind = err ? 0 : row.kind;
    w->reader->ops->snapshot_end(w->reader);
    return kind;
}

static uint64_t leads_in_pool(world *w) {
    store_counts counts;
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    assert_int_equal(w->reader->ops->counts(w->reader, &counts, NULL), LP_OK);
    w->reader->ops->snapshot_end(w->reader);
    return counts.leads;
}

static bool count_entry(void *ctx, const review_entry *e) {
    assert_int_equal(e->why, REVIEW_PURGED);
    ++*(uint32_t *)ctx;
    return true;
}

static uint32_t waiting_for_review(world *w) {
    uint32_t count = 0;
    pool *p = &w->pool;
    assert_int_equal(p->store->ops->begin(p->store, NULL), LP_OK);
    assert_int_equal(review_each(p, count_entry, &count, NULL), LP_OK);
    p->store->ops->rollback(p->store);
    return count;
}

static void what_everybody_has_read_goes_after_its_time_and_not_before(void **state) {
    (void)state;
    world *w = open_world(2);
    uint32_t gone = world_make_lead(w, 0, "Gone"), stays = world_make_lead(w, 0, "Stays");
    sync(w, 0);
    sync(w, 1);
    delete_lead(w, 0, gone);
    sync(w, 0);
    sync(w, 1);
    assert_int_equal(purge(w).purged, 0);
    w->now_ms += DAYS(89);
    sync_later(w, 0);
    sync_later(w, 1);
    assert_int_equal(purge(w).purged, 0);
    w->now_ms += DAYS(2);
    sync_later(w, 0);
    sync_later(w, 1);
    assert_int_equal(purge(w).purged, 1);
    look_away(w, gone);
    assert_int_equal(kind_in_pool(w, &w->records[gone].id), KIND_PURGED);
    assert_int_equal(kind_in_pool(w, &w->records[stays].id), KIND_LEAD);
    sync_later(w, 0);
    sync_later(w, 1);
    for (uint32_t who = 0; who < 2; who++) {
        assert_false(world_holds(w, who, gone));
        assert_true(world_holds(w, who, stays));
    }
    w->now_ms += DAYS(91);
    sync_later(w, 0);
    sync_later(w, 1);
    assert_int_equal(purge(w).marks, 1);
    assert_int_equal(kind_in_pool(w, &w->records[gone].id), 0);
    sync_later(w, 0);
    world_free(w);
}

/* It has just come, and asks for its first page. */
static void note_begin(world *w, uint32_t who, uint64_t seq) {
    pool *p = &w->pool;
    assert_int_equal(p->store->ops->begin(p->store, NULL), LP_OK);
    assert_int_equal(seen_note(p, w->devices[who].replica->clock.author, seq, NULL), LP_OK);
    assert_int_equal(p->store->ops->commit(p->store, NULL), LP_OK);
}

static void a_device_that_is_here_and_has_not_read_past_it_holds_it_back(void **state) {
    (void)state;
    world *w = open_world(2);
    uint32_t gone = world_make_lead(w, 0, "Gone");
    sync(w, 0);
    sync(w, 1);
    delete_lead(w, 0, gone);
    sync(w, 0);
    w->now_ms += DAYS(91);
    sync_later(w, 0);
    note_begin(w, 1, world_device_cursor(&w->devices[1], "pool"));
    purge_outcome o = purge(w);
    assert_int_equal(o.purged, 0);
    assert_int_equal(o.waiting, 1);
    sync_later(w, 1);
    sync_later(w, 1);
    assert_int_equal(purge(w).purged, 1);
    world_free(w);
}

/* A lead made past the world's table, which holds a few only. */
static void make_lead(world_device *d, const char *name) {
    lp_txn *t;
    lp_id id;
    lp_value value = {.type = LP_TEXT, .data = name, .size = (uint32_t)strlen(name)};
    assert_int_equal(txn_new(d->replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_create(t, "lead", NULL, &id, NULL), LP_OK);
    assert_int_equal(txn_set(t, &id, "full_name", &value, NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
}

static void a_device_away_for_100_days_brings_its_leads_and_nothing_back(void **state) {
    (void)state;
    char name[24];
    world *w = open_world(2);
    uint32_t gone = world_make_lead(w, 0, "Gone"), noted = world_make_lead(w, 0, "Noted"),
             stays = world_make_lead(w, 0, "Stays");
    sync(w, 0);
    sync(w, 1);
    delete_lead(w, 0, gone);
    delete_lead(w, 0, noted);
    sync(w, 0);
    for (uint32_t i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "Lead %u", i);
        make_lead(&w->devices[1], name);
    }
    world_set(w, 1, gone, "company", "typed on a ship");
    world_set(w, 1, stays, "company", "typed on a ship, too");
    w->now_ms += DAYS(100);
    sync_later(w, 0);
    assert_int_equal(purge(w).purged, 2);
    look_away(w, gone);
    look_away(w, noted);
    sync(w, 0);
    sync(w, 1);
    sync(w, 1);
    assert_int_equal(leads_in_pool(w), 51);
    assert_int_equal(waiting_for_review(w), 1);
    assert_int_equal(kind_in_pool(w, &w->records[gone].id), KIND_PURGED);
    assert_false(world_holds(w, 1, gone));
    assert_false(world_holds(w, 1, noted));
    assert_int_equal(world_device_count(&w->devices[1], "SELECT count(*) FROM outbox"), 0);
    sync(w, 0);
    char text[256];
    assert_string_equal(world_text(w, 0, stays, "company", text), "typed on a ship, too");
    assert_int_equal(world_device_count(&w->devices[0], "SELECT count(*) FROM record WHERE kind = 1 AND deleted = 0"),
                     51);
    world_free(w);
}

/* Its first batch is in the pool, and its answer never came. What it makes of the answer months later is not there any more. */
static void push_unheard(world *w, uint32_t who) {
    uint64_t before = committer_seq(w->committer);
    world_device_start(&w->devices[who], false);
    while (committer_seq(w->committer) == before)
        assert_true(world_step(w, w->now_ms + 60000));
    world_cut(w, (uint32_t)w->devices[who].link);
    world_device_stop(&w->devices[who]);
}

static void expect_unheard_stays_gone(bool mark_too) {
    world *w = open_world(2);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    world_delete(w, 0, lead);
    push_unheard(w, 0);
    sync(w, 1);
    w->now_ms += DAYS(100);
    world_purge(w);
    assert_true(w->records[lead].purged);
    for (int i = 0; mark_too && i < 2; i++) {
        sync_later(w, 1);
        w->now_ms += DAYS(100);
        world_purge(w);
    }
    store_row row;
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    assert_int_equal(w->reader->ops->read(w->reader, &w->records[lead].id, &row, NULL),
                     mark_too ? LP_NOT_FOUND : LP_OK);
    w->reader->ops->snapshot_end(w->reader);
    world_settle(w, false);
    assert_false(world_holds(w, 0, lead));
    world_check(w);
    world_free(w);
}

static void what_was_pushed_unheard_and_purged_leaves_with_the_mark(void **state) {
    (void)state;
    expect_unheard_stays_gone(false);
}

static void what_was_pushed_unheard_and_purged_leaves_without_the_mark(void **state) {
    (void)state;
    expect_unheard_stays_gone(true);
}

/* Both are in the pool, and neither answer came. Months later the first one brings the mark along, and the second says that its change was
 * applied: it was, to what is not there any more. */
static void a_verdict_remembered_from_before_the_purge_does_not_bring_the_record_back(void **state) {
    (void)state;
    world *w = open_world(2);
    world_device *d = &w->devices[0];
    sync(w, 0);
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    uint64_t before = committer_seq(w->committer);
    world_device_start(d, false);
    while (world_device_count(d, "SELECT count(*) FROM batch") == 0)
        assert_true(world_step(w, w->now_ms + 60000));
    world_delete(w, 0, lead);
    world_device_work(d);
    while (committer_seq(w->committer) < before + 2)
        assert_true(world_step(w, w->now_ms + 60000));
    world_cut(w, (uint32_t)d->link);
    world_device_stop(d);
    assert_int_equal(world_device_count(d, "SELECT count(*) FROM batch"), 2);
    sync(w, 1);
    w->now_ms += DAYS(100);
    world_purge(w);
    assert_true(w->records[lead].purged);
    world_settle(w, false);
    assert_false(world_holds(w, 0, lead));
    world_check(w);
    world_free(w);
}

static bool is_between_pages(world *w, uint32_t who) {
    buf kept = {0};
    cursor c;
    assert_int_equal(pull_cursor(w->devices[who].replica, SPAN_LITERAL("pool"), &kept, &c, NULL), LP_OK);
    buf_fini(&kept);
    return c.behind > 0;
}

/* Begins to read on a line that takes a few leads at a time, and loses it as soon as some have come. */
static void read_a_part(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    assert_int_equal(replica_begin(d->replica, NULL), LP_OK);
    assert_int_equal(replica_meta_put_int(d->replica, "line.bytes", LINE_BYTES_MIN, NULL), LP_OK);
    assert_int_equal(replica_commit(d->replica, NULL), LP_OK);
    world_device_start(d, false);
    while (!is_between_pages(w, who))
        assert_true(world_step(w, w->now_ms + 60000));
    world_cut(w, (uint32_t)d->link);
    world_device_stop(d);
    assert_true(is_between_pages(w, who));
}

/* More than fits on a page of such a line. Its first lead comes on the first page. */
static uint32_t fill_pool(world *w) {
    char name[101];
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    for (uint32_t i = 0; i < 100; i++) {
        memset(name, 'a' + (int)(i % 26), sizeof name - 1);
        name[sizeof name - 1] = 0;
        make_lead(&w->devices[0], name);
    }
    sync(w, 0);
    return lead;
}

/* The lead, and months later the mark that says it is gone. */
static void forget_with_its_mark(world *w, uint32_t lead) {
    world_delete(w, 0, lead);
    sync(w, 0);
    for (int i = 0; i < 3; i++) {
        w->now_ms += DAYS(100);
        sync_later(w, 0);
        world_purge(w);
    }
    assert_true(w->records[lead].purged);
    assert_int_equal(kind_in_pool(w, &w->records[lead].id), 0);
}

/* What came on the first pages of its read has gone, and so has the word of it. */
static void a_device_away_too_long_between_two_pages_reads_anew(void **state) {
    (void)state;
    world *w = open_world(2);
    uint32_t lead = fill_pool(w);
    read_a_part(w, 1);
    assert_true(world_holds(w, 1, lead));
    forget_with_its_mark(w, lead);
    sync(w, 1);
    assert_false(world_holds(w, 1, lead));
    world_settle(w, false);
    world_check(w);
    world_free(w);
}

/* What had come of the read that was cut off does not count in the one that begins anew. */
static void a_device_away_too_long_between_two_pages_of_a_re_read_reads_anew(void **state) {
    (void)state;
    world *w = open_world(2);
    replica *r = w->devices[1].replica;
    uint32_t lead = fill_pool(w);
    sync(w, 1);
    assert_int_equal(replica_begin(r, NULL), LP_OK);
    assert_int_equal(pull_forget_cursors(r, NULL), LP_OK);
    assert_int_equal(replica_commit(r, NULL), LP_OK);
    read_a_part(w, 1);
    forget_with_its_mark(w, lead);
    sync(w, 1);
    assert_false(world_holds(w, 1, lead));
    world_settle(w, false);
    world_check(w);
    world_free(w);
}

/* It has read the marks, so nothing has to be read twice. */
static void a_device_that_is_here_between_two_pages_reads_on(void **state) {
    (void)state;
    world *w = open_world(2);
    uint32_t lead = fill_pool(w);
    world_delete(w, 0, lead);
    sync(w, 0);
    w->now_ms += DAYS(100);
    sync_later(w, 0);
    read_a_part(w, 1);
    uint64_t before = world_device_cursor(&w->devices[1], "pool");
    world_purge(w);
    assert_true(w->records[lead].purged);
    world_device_start(&w->devices[1], false);
    while (world_device_cursor(&w->devices[1], "pool") == before)
        assert_true(world_step(w, w->now_ms + 60000));
    assert_true(world_device_cursor(&w->devices[1], "pool") > before);
    assert_int_equal(world_device_count(&w->devices[1], "SELECT max(reading) FROM scope"), 0);
    world_settle(w, false);
    assert_false(world_holds(w, 1, lead));
    world_check(w);
    world_free(w);
}

static void note_on(world *w, uint32_t who, uint32_t lead, lp_id *touch_out) {
    lp_txn *t;
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(&w->records[lead].id, text);
    assert_int_equal(txn_new(w->devices[who].replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_create(t, "touch", NULL, touch_out, NULL), LP_OK);
    assert_int_equal(txn_set_text(t, touch_out, "lead", text, NULL), LP_OK);
    assert_int_equal(txn_set_text(t, touch_out, "text", "called", NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
}

static void change_touch(world *w, uint32_t who, const lp_id *touch, const char *field, const lp_value *value) {
    lp_txn *t;
    assert_int_equal(txn_new(w->devices[who].replica, NULL, &t, NULL), LP_OK);
    assert_int_equal(txn_set(t, touch, field, value, NULL), LP_OK);
    assert_int_equal(txn_commit(t, NULL), LP_OK);
    txn_free(t);
}

/* A note is forgotten, with its lead or alone. What comes late of it names nobody. */
static void expect_note_erased(bool lead_too) {
    world *w = open_world(2);
    lp_id touch;
    char id[LP_ID_TEXT_BYTES];
    lp_value yes = {.type = LP_BOOL, .integer = 1}, late = {.type = LP_TEXT, .data = "a secret", .size = 8};
    uint32_t lead = world_make_lead(w, 0, "Li Wei");
    note_on(w, 0, lead, &touch);
    sync(w, 0);
    sync(w, 1);
    change_touch(w, 1, &touch, "text", &late);
    change_touch(w, 0, &touch, "deleted", &yes);
    if (lead_too)
        delete_lead(w, 0, lead);
    sync(w, 0);
    w->now_ms += DAYS(100);
    sync_later(w, 0);
    assert_int_equal(purge(w).purged, lead_too ? 2 : 1);
    look_away(w, lead);
    lp_id_format(&w->records[lead].id, id);
    assert_true(world_operate(w, "erase", "lead", id));
    assert_int_equal(kind_in_pool(w, &touch), KIND_ERASED);
    sync(w, 1);
    sync(w, 1);
    assert_int_equal(waiting_for_review(w), 0);
    world_free(w);
}

static void who_was_purged_and_is_erased_takes_their_notes_along(void **state) {
    (void)state;
    expect_note_erased(true);
}

static void who_is_erased_takes_notes_along_that_were_purged_alone(void **state) {
    (void)state;
    expect_note_erased(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_everybody_has_read_goes_after_its_time_and_not_before),
        cmocka_unit_test(a_device_that_is_here_and_has_not_read_past_it_holds_it_back),
        cmocka_unit_test(a_device_away_for_100_days_brings_its_leads_and_nothing_back),
        cmocka_unit_test(what_was_pushed_unheard_and_purged_leaves_with_the_mark),
        cmocka_unit_test(what_was_pushed_unheard_and_purged_leaves_without_the_mark),
        cmocka_unit_test(a_verdict_remembered_from_before_the_purge_does_not_bring_the_record_back),
        cmocka_unit_test(a_device_away_too_long_between_two_pages_reads_anew),
        cmocka_unit_test(a_device_away_too_long_between_two_pages_of_a_re_read_reads_anew),
        cmocka_unit_test(a_device_that_is_here_between_two_pages_reads_on),
        cmocka_unit_test(who_was_purged_and_is_erased_takes_their_notes_along),
        cmocka_unit_test(who_is_erased_takes_notes_along_that_were_purged_alone),
    };
    return cmocka_run_group_tests_name("integration_purge", tests, NULL, NULL);
}
