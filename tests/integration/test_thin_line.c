/* test_thin_line.c - a hall's last bar of 2G: 16 kbit/s, a second of round trip, every tenth segment lost, and a connection that is cut every
 * 20 s. What is in the outbox drains all the same, what comes down comes down, and no cut makes it begin anew. Virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/replica/txn.h"
#include "tests/sim/world.h"

#define LEADS 200
#define CUT_MS 20000
#define DRAINED_MS INT64_C(300000) /* 200 leads take 20 s of the bare line */

static const world_faults thin = {
    .delay_min_ms = 450, .delay_max_ms = 550, .commit_max_ms = 50, .bytes_per_s = 2000, .lose_percent = 10};

static void make_leads(world *w, uint32_t who, int count) {
    lp_error error;
    for (int i = 0; i < count; i++) {
        lp_txn *t;
        lp_id id;
        char text[200];
        assert_int_equal(txn_new(w->devices[who].replica, NULL, &t, &error), LP_OK);
        assert_int_equal(txn_create(t, "lead", NULL, &id, &error), LP_OK);
        snprintf(text, sizeof text, "Visitor %d of a long afternoon at the booth by the doors", i);
        assert_int_equal(txn_set_text(t, &id, "full_name", text, &error), LP_OK);
        assert_int_equal(txn_set_text(t, &id, "need", "wants to be called about the large model, in spring", &error),
                         LP_OK);
        assert_int_equal(txn_set_text(t, &id, "phone", "+49 731 5550199", &error), LP_OK);
        assert_int_equal(txn_commit(t, &error), LP_OK);
        txn_free(t);
    }
}

static void cut(world *w) {
    for (uint32_t i = 0; i < w->options.devices; i++)
        if (w->devices[i].link >= 0)
            world_cut(w, (uint32_t)w->devices[i].link);
}

static int64_t held(const world *w, uint32_t who) {
    return world_device_count(&w->devices[who], "SELECT count(*) FROM record WHERE kind = 1 AND length(stamps) > 0");
}

static int64_t unsent(const world *w, uint32_t who) {
    return world_device_count(&w->devices[who], "SELECT count(*) FROM outbox");
}

static world *make_world(uint64_t seed) {
    world_options options = {.engine = &store_memory_ops, .devices = 2, .seed = seed, .name = "integration_thin_line"};
    return world_new(&options);
}

static void an_outbox_drains_through_a_line_that_is_cut_every_20_seconds(void **state) {
    (void)state;
    prop p = prop_begin("integration_thin_line");
    for (uint32_t i = 0; i < prop_rounds(10); i++) {
        prop_round(&p, i);
        world *w = make_world(p.seed);
        make_leads(w, 0, LEADS);
        w->faults = thin;
        int64_t since_ms = w->now_ms;
        world_device_start(&w->devices[0], true);
        while (unsent(w, 0) > 0) {
            world_expect(w, w->now_ms < since_ms + DRAINED_MS, "%lld changes are still unsent (I6)",
                         (long long)unsent(w, 0));
            world_run(w, CUT_MS);
            cut(w);
        }
        world_settle(w, true);
        assert_int_equal(held(w, 1), LEADS);
        world_check(w);
        world_free(w);
    }
}

static void a_pool_comes_down_a_line_that_is_cut_every_20_seconds(void **state) {
    (void)state;
    prop p = prop_begin("integration_thin_line");
    for (uint32_t i = 0; i < prop_rounds(10); i++) {
        prop_round(&p, i);
        world *w = make_world(p.seed);
        make_leads(w, 0, LEADS);
        world_device_start(&w->devices[0], false);
        world_run(w, 10000);
        assert_int_equal(unsent(w, 0), 0);
        w->faults = thin;
        int64_t since_ms = w->now_ms;
        world_device_start(&w->devices[1], true);
        while (held(w, 1) < LEADS) {
            world_expect(w, w->now_ms < since_ms + DRAINED_MS, "only %lld leads came (I6)", (long long)held(w, 1));
            world_run(w, CUT_MS);
            cut(w);
        }
        world_settle(w, true);
        world_check(w);
        world_free(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outbox_drains_through_a_line_that_is_cut_every_20_seconds),
        cmocka_unit_test(a_pool_comes_down_a_line_that_is_cut_every_20_seconds),
    };
    return cmocka_run_group_tests_name("integration_thin_line", tests, NULL, NULL);
}
