/* test_heal.c - rows of a replica change behind its back, and nobody has to do anything: a handful of requests finds them, and they are read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client/replica/clock.h"
#include "client/sync/heal.h"
#include "client/replica/layers.h"
#include "proto/change.h"
#include "proto/wire.h"
#include "tests/sim/world_scopes.h"

#define LEADS 3000

static lp_id ids[LEADS];

/* Many leads in one transaction, past the ledger. */
static void make_many(world *w, uint32_t count) {
    replica *r = w->devices[0].replica;
    stamp at;
    assert_int_equal(replica_begin(r, NULL), LP_OK);
    assert_int_equal(clock_stamp(r, r->seen, &at, NULL), LP_OK);
    for (uint32_t i = 0; i < count; i++) {
        buf value = {0};
        char text[32];
        layers l;
        uint32_t changed;
        snprintf(text, sizeof text, "lead number %u", i);
        wire_put_text(&value, span_text(text));
        reg change = {.field = LEAD_FULL_NAME, .value = buf_span(&value)};
        ids[i] = id_new(&w->devices[0].env, w->now_ms + i);
        assert_int_equal(layers_open(r, KIND_LEAD, &ids[i], &l, NULL), LP_OK);
        assert_int_equal(layers_write(r, &l, &change, 1, at, &changed, NULL), LP_OK);
        layers_close(&l);
        buf_fini(&value);
    }
    r->touched = true;
    assert_int_equal(replica_commit(r, NULL), LP_OK);
}

static world *make(uint32_t leads, const store_ops *engine) {
    world_options options = {.engine = engine, .devices = 2, .seed = 7, .name = "integration_heal"};
    world *w = world_new(&options);
    make_many(w, leads);
    world_settle(w, false);
    world_settle(w, false);
    assert_int_equal(world_device_count(&w->devices[1], "SELECT count(*) FROM record WHERE kind = 1"), leads);
    return w;
}

static uint64_t requests(const world *w) {
    return w->counts->messages[1][MSG_DIGESTS];
}

static lp_sync_result result_of(const world *w, uint32_t who) {
    lp_sync_result result = {0};
    client_result(w->devices[who].session, &result);
    return result;
}

static void expect_name(world *w, uint32_t who, const lp_id *id, const char *wanted) {
    record rec;
    buf bytes = {0}, value = {0};
    assert_true(world_load(w, who, id, false, &rec, &bytes));
    wire_put_text(&value, span_text(wanted));
    assert_true(span_equal(record_value(&rec, LEAD_FULL_NAME, (span){0}), buf_span(&value)));
    record_fini(&rec);
    buf_fini(&bytes);
    buf_fini(&value);
}

/* Settles; device 1 has set `records` right, with at most so many requests. */
static void expect_healed(world *w, uint64_t records, uint64_t most) {
    uint64_t asked = requests(w), served = w->pool.healed;
    world_settle(w, false);
    lp_sync_result result = result_of(w, 1);
    lp_status status = {.healed = 0};
    assert_false(result.diverged);
    assert_int_equal(result.healed, records);
    assert_int_equal(replica_status(w->devices[1].replica, &status, NULL), LP_OK);
    assert_int_equal(status.healed, records);
    assert_in_range(requests(w) - asked, 1, most);
    assert_true(w->pool.healed >= served);
    world_check(w);
}

static void a_value_that_changed_by_itself_is_read_again(void **state) {
    (void)state;
    world *w = make(LEADS, &store_memory_ops);
    assert_true(world_damage(w, 1, DAMAGE_VALUE, &ids[1234]));
    expect_healed(w, 1, 3);
    assert_int_equal(w->pool.healed > 0, true);
    expect_name(w, 1, &ids[1234], "lead number 1234");
    world_free(w);
}

static void a_row_that_is_gone_comes_again(void **state) {
    (void)state;
    world *w = make(LEADS, &store_sqlite_ops);
    assert_true(world_damage(w, 1, DAMAGE_ROW_GONE, &ids[17]));
    expect_healed(w, 1, 3);
    expect_name(w, 1, &ids[17], "lead number 17");
    world_free(w);
}

static void a_row_that_the_pool_does_not_have_goes_to_what_was_recovered(void **state) {
    (void)state;
    world *w = make(LEADS, &store_memory_ops);
    lp_id extra = ids[2000];
    extra.bytes[15] ^= 0x55;
    assert_true(world_damage(w, 1, DAMAGE_ROW_EXTRA, &extra));
    expect_healed(w, 1, 3);
    assert_int_equal(world_device_count(&w->devices[1], "SELECT count(*) FROM record WHERE kind = 1"), LEADS);
    assert_int_equal(world_device_count(&w->devices[1], "SELECT count(*) FROM recovered"), 1);
    world_free(w);
}

static void damage_far_apart_is_healed_at_once(void **state) {
    (void)state;
    world *w = make(LEADS, &store_memory_ops);
    for (uint32_t i = 0; i < 8; i++)
        assert_true(world_damage(w, 1, i % 2 ? DAMAGE_VALUE : DAMAGE_ROW_GONE, &ids[i * 370]));
    expect_healed(w, 8, 4);
    world_free(w);
}

static void when_most_is_damaged_the_scope_is_read_anew(void **state) {
    (void)state;
    world *w = make(1500, &store_memory_ops);
    for (uint32_t i = 0; i < 1400; i++)
        assert_true(world_damage(w, 1, DAMAGE_VALUE, &ids[i]));
    world_settle(w, false);
    assert_false(result_of(w, 1).diverged);
    for (uint32_t i = 0; i < 1500; i += 100) {
        char name[32];
        snprintf(name, sizeof name, "lead number %u", i);
        expect_name(w, 1, &ids[i], name);
    }
    world_check(w);
    world_free(w);
}

static void unsent_changes_of_a_damaged_record_are_not_touched(void **state) {
    (void)state;
    world *w = make(200, &store_memory_ops);
    buf value = {0};
    world_record lead = {.kind = KIND_LEAD, .id = ids[77]};
    assert_true(world_damage(w, 1, DAMAGE_VALUE, &ids[77]));
    wire_put_text(&value, SPAN_LITERAL("typed on the damaged one"));
    world_force(w, 1, &lead, LEAD_JOB_TITLE, buf_span(&value));
    world_settle(w, false);
    assert_int_equal(result_of(w, 1).healed, 1);
    for (uint32_t who = 0; who < 2; who++) {
        record rec;
        buf bytes = {0};
        assert_true(world_load(w, who, &ids[77], false, &rec, &bytes));
        assert_true(span_equal(record_value(&rec, LEAD_JOB_TITLE, (span){0}), buf_span(&value)));
        record_fini(&rec);
        buf_fini(&bytes);
        expect_name(w, who, &ids[77], "lead number 77");
    }
    world_check(w);
    buf_fini(&value);
    world_free(w);
}

/* A handful of leads, one of which lies in no range that holds anything here. */
static void a_replica_that_has_lost_all_but_one_row_is_filled_again(void **state) {
    (void)state;
    world *w = make(40, &store_memory_ops);
    for (uint32_t i = 0; i < 39; i++)
        assert_true(world_damage(w, 1, DAMAGE_ROW_GONE, &ids[i]));
    expect_healed(w, 39, 3);
    world_free(w);
}

/* Without saying that nobody may differ. */
static void sync_both(world *w) {
    for (uint32_t who = 0; who < 2; who++) {
        world_device_start(&w->devices[who], false);
        world_run(w, 2000);
    }
}

/* A rep's devices hold the rep's own leads: scope mine, whose members the server knows by a list. */
static void a_reps_own_leads_are_healed_as_well(void **state) {
    (void)state;
    world_options options = {.engine = &store_memory_ops, .devices = 3, .reps = 3, .seed = 7, .name = "narrow_heal"};
    world *w = world_new(&options);
    uint32_t first = world_make_lead(w, 2, "Li Wei"), second = world_make_lead(w, 2, "Zhang Min");
    uint32_t others = world_make_lead(w, 2, "not for device 1");
    world_set(w, 2, first, "owner", "person 1");
    world_set(w, 2, second, "owner", "person 1");
    world_settle(w, false);
    world_settle(w, false);
    world_settle(w, false);
    assert_true(world_damage(w, 1, DAMAGE_VALUE, &w->records[second].id));
    assert_true(world_damage(w, 1, DAMAGE_ROW_GONE, &w->records[first].id));
    world_settle(w, false);
    lp_status status = {.healed = 0};
    assert_int_equal(replica_status(w->devices[1].replica, &status, NULL), LP_OK);
    assert_int_equal(status.healed, 2);
    assert_false(result_of(w, 1).diverged);
    expect_name(w, 1, &w->records[first].id, "Li Wei");
    expect_name(w, 1, &w->records[second].id, "Zhang Min");
    assert_false(world_holds(w, 1, others));
    world_check(w);
    world_free(w);
}

/* The row comes again under another number; what had been replaced in it was known by the old one. */
static void what_was_past_of_a_row_that_is_gone_does_not_stay_for_ever(void **state) {
    (void)state;
    world_options options = {.engine = &store_memory_ops, .devices = 3, .reps = 3, .seed = 7, .name = "past_heal"};
    world *w = world_new(&options);
    uint32_t lead = world_make_lead(w, 2, "Li Wei");
    world_set(w, 2, lead, "company", "v900 by 2");
    world_set(w, 2, lead, "owner", "person 1");
    world_settle(w, false);
    world_make_lead(w, 1, "has the last number");
    world_set(w, 2, lead, "company", "v901 by 2");
    world_settle(w, false);
    assert_int_equal(world_device_count(&w->devices[1], "SELECT count(*) FROM past"), 1);
    assert_true(world_damage(w, 1, DAMAGE_ROW_GONE, &w->records[lead].id));
    world_settle(w, false);
    assert_true(world_holds(w, 1, lead));
    world_set(w, 2, lead, "owner", "person 0");
    world_settle(w, false);
    assert_false(world_holds(w, 1, lead));
    assert_int_equal(world_device_count(&w->devices[1], "SELECT count(*) FROM past"), 0);
    world_check(w);
    world_free(w);
}

static void a_digest_that_the_server_keeps_wrong_costs_nobody_anything(void **state) {
    (void)state;
    world *w = make(300, &store_memory_ops);
    w->devices[1].damaged = true; /* it may say that it differs */
    w->devices[0].damaged = true;
    w->pool.digests[SCOPE_POOL].low++;
    uint32_t lead = world_make_lead(w, 0, "moves the pool");
    sync_both(w);
    uint64_t asked = requests(w);
    assert_true(asked > 0);
    for (int i = 0; i < 5; i++)
        sync_both(w);
    assert_int_equal(requests(w), asked); /* nobody asks again */
    assert_true(result_of(w, 1).diverged);
    assert_int_equal(result_of(w, 1).healed, 0);
    assert_non_null(strstr(client_reason(w->devices[1].session), "leadpoold verify"));
    assert_true(world_holds(w, 1, lead));
    assert_int_equal(world_device_count(&w->devices[1], "SELECT count(*) FROM record WHERE kind = 1"), 301);
    w->pool.digests[SCOPE_POOL].low--; /* repaired */
    world_make_lead(w, 0, "moves it again");
    sync_both(w);
    assert_false(result_of(w, 1).diverged);
    assert_string_equal(client_reason(w->devices[1].session), "");
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_changed_by_itself_is_read_again),
        cmocka_unit_test(a_row_that_is_gone_comes_again),
        cmocka_unit_test(a_row_that_the_pool_does_not_have_goes_to_what_was_recovered),
        cmocka_unit_test(damage_far_apart_is_healed_at_once),
        cmocka_unit_test(when_most_is_damaged_the_scope_is_read_anew),
        cmocka_unit_test(unsent_changes_of_a_damaged_record_are_not_touched),
        cmocka_unit_test(a_replica_that_has_lost_all_but_one_row_is_filled_again),
        cmocka_unit_test(a_reps_own_leads_are_healed_as_well),
        cmocka_unit_test(what_was_past_of_a_row_that_is_gone_does_not_stay_for_ever),
        cmocka_unit_test(a_digest_that_the_server_keeps_wrong_costs_nobody_anything),
    };
    return cmocka_run_group_tests_name("integration_heal", tests, NULL, NULL);
}
