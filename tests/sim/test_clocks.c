/* test_clocks.c - the clock table: devices whose clocks show 1970, 2001, an hour too little, an hour too much, 2038, 2106, or jump, beside one
 * whose clock is right. I9: where the server was reached in a boot, a wrong clock changes no outcome by more than 2 s; changes of other
 * boots keep their order between the contacts, and are marked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/change.h"
#include "tests/sim/world.h"

#define HOUR_MS INT64_C(3600000)
#define GAP_MS 3000 /* more than what a clock may change */
#define HONEST 0
#define LIAR 1

typedef struct lie {
    const char *name;
    int64_t shows_ms; /* the time it shows when it is booted; 0: `off_ms` */
    int64_t off_ms;
    bool jumps;
} lie;

static const lie lies[] = {{"1970", 1, 0, false},
                           {"2001", INT64_C(978307200000), 0, false},
                           {"an hour too little", 0, -HOUR_MS, false},
                           {"an hour too much", 0, HOUR_MS, false},
                           {"2038", INT64_C(0x80000000) * 1000, 0, false},
                           {"2106", INT64_C(0x100000000) * 1000, 0, false},
                           {"jumping", 0, -HOUR_MS, true},
                           {"right", 0, 0, false}};

#define LIES (sizeof lies / sizeof lies[0])

static world *begin(const lie *l, uint64_t seed) {
    world_options options = {
        .engine = &store_memory_ops, .devices = 2, .seed = seed, .name = l->name, .ram = (uint32_t)seed};
    world *w = world_new(&options);
    world_run(w, 10 * 60000);
    world_settle(w, false);
    return w;
}

/* The liar's device is started anew, with its clock as it lies. */
static void boot(world *w, const lie *l) {
    world_device *d = &w->devices[LIAR];
    d->wall_offset_ms = l->shows_ms ? l->shows_ms - w->now_ms : l->off_ms;
    world_device_restart(d, true);
}

static void jump(world *w, const lie *l) {
    if (l->jumps)
        w->devices[LIAR].wall_offset_ms = prop_between(&w->random, -20, 20) * HOUR_MS;
}

typedef struct seen {
    uint32_t entries, uncertain;
    int64_t first_ms, last_ms;
} seen;

static bool see(void *ctx, const store_history *entry) {
    seen *s = ctx;
    int64_t ms = stamp_ms(entry->stamp);
    s->first_ms = s->entries == 0 || ms < s->first_ms ? ms : s->first_ms;
    s->last_ms = ms > s->last_ms ? ms : s->last_ms;
    s->entries++;
    s->uncertain += entry->uncertain;
    return true;
}

static seen history_of(world *w, uint32_t lead) {
    seen s = {0};
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    assert_int_equal(w->reader->ops->read_history(w->reader, &w->records[lead].id, see, &s, NULL), LP_OK);
    w->reader->ops->snapshot_end(w->reader);
    return s;
}

static void expect_text(world *w, uint32_t lead, const char *field, const char *wanted) {
    char text[256];
    for (uint32_t who = 0; who < 2; who++)
        world_expect(w, strcmp(world_text(w, who, lead, field, text), wanted) == 0,
                     "device %u shows %s where %s was written last", who, text, wanted);
}

/* Both write the same fields without network, one shortly after the other, in either order, again and again. */
static void write_by_turns(world *w, const lie *l, uint32_t lead, const char *winners[4]) {
    static const char *const fields[] = {"company", "notes", "street", "answers.size"};
    static char texts[4][2][40];
    for (int i = 0; i < 4; i++) {
        bool liar_last = i % 2 == 0;
        for (int turn = 0; turn < 2; turn++) {
            uint32_t who = (turn == 1) == liar_last ? LIAR : HONEST;
            snprintf(texts[i][turn], sizeof texts[i][turn], "%s of %s", fields[i],
                     who == LIAR ? "the liar" : "the honest");
            world_set(w, who, lead, fields[i], texts[i][turn]);
            winners[i] = texts[i][turn];
            world_run(w, GAP_MS);
            jump(w, l);
        }
        world_run(w, 10 * 60000);
    }
}

static void expect_winners(world *w, uint32_t lead, const char *winners[4]) {
    static const char *const fields[] = {"company", "notes", "street", "answers.size"};
    for (int i = 0; i < 4; i++)
        expect_text(w, lead, fields[i], winners[i]);
}

static void where_the_server_was_reached_no_clock_changes_who_wins(void **state) {
    (void)state;
    for (size_t i = 0; i < LIES; i++) {
        for (int reached_first = 0; reached_first < 2; reached_first++) {
            const char *winners[4];
            world *w = begin(&lies[i], 100 + i * 2 + (uint64_t)reached_first);
            uint32_t lead = world_make_lead(w, HONEST, "Li Wei");
            world_settle(w, false);
            world_run(w, HOUR_MS);
            boot(w, &lies[i]);
            if (reached_first) { /* before what is written, or only after it */
                world_settle(w, false);
                jump(w, &lies[i]);
            }
            int64_t from_ms = w->now_ms;
            write_by_turns(w, &lies[i], lead, winners);
            int64_t to_ms = w->now_ms;
            world_settle(w, false);
            expect_winners(w, lead, winners);
            seen s = history_of(w, lead);
            world_expect(w, s.uncertain == 0, "a time is called uncertain that is not");
            world_expect(w, s.last_ms <= to_ms + 2000 && s.last_ms >= from_ms - 2000,
                         "a stamp is off by more than 2 s");
            world_check(w);
            world_free(w);
        }
    }
}

static void other_boots_keep_their_order_and_are_marked(void **state) {
    (void)state;
    for (size_t i = 0; i < LIES; i++) {
        for (size_t k = 0; k < LIES; k++) {
            world *w = begin(&lies[i], 200 + i * LIES + k);
            int64_t before_ms = w->now_ms;
            world_run(w, HOUR_MS);
            boot(w, &lies[i]);
            uint32_t one = world_make_lead(w, LIAR, "Li Wei");
            world_set(w, LIAR, one, "company", "first");
            world_run(w, HOUR_MS);
            boot(w, &lies[k]);
            world_set(w, LIAR, one, "company", "second");
            uint32_t two = world_make_lead(w, LIAR, "Wang Fang");
            world_run(w, HOUR_MS);
            boot(w, &lies[LIES - 1]);
            world_settle(w, false);
            int64_t after_ms = w->now_ms;
            expect_text(w, one, "company", "second");
            seen first = history_of(w, one), second = history_of(w, two);
            world_expect(w, first.uncertain == first.entries && second.uncertain == second.entries,
                         "changes of a boot without contact are not marked");
            world_expect(w, first.first_ms >= before_ms - 2000 && second.last_ms <= after_ms + 2000,
                         "stamps are not between the contacts");
            world_expect(w, first.first_ms <= second.first_ms, "the order of boots is lost");
            /* And what anybody writes now wins. */
            world_set(w, HONEST, one, "company", "third");
            world_settle(w, false);
            expect_text(w, one, "company", "third");
            world_check(w);
            world_free(w);
        }
    }
}

/* The server's clock is set to 2036 and back while devices with clocks of all kinds come and go. */
static void the_servers_own_clock_set_to_2036_and_back_poisons_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < LIES; i++) {
        world *w = begin(&lies[i], 300 + i);
        uint32_t lead = world_make_lead(w, HONEST, "Li Wei");
        world_settle(w, false);
        boot(w, &lies[i]);
        w->server_wall_off_ms = INT64_C(3652) * 24 * HOUR_MS;
        world_set(w, LIAR, lead, "company", "while it was 2036");
        world_device_start(&w->devices[LIAR], true);
        world_device_start(&w->devices[HONEST], true);
        world_set(w, HONEST, lead, "notes", "meanwhile");
        world_run(w, 10 * 60000);
        w->server_wall_off_ms = 0;
        world_settle(w, false);
        expect_text(w, lead, "company", "while it was 2036");
        expect_text(w, lead, "notes", "meanwhile");
        world_expect(w, history_of(w, lead).last_ms <= w->now_ms + 2000, "a stamp of 2036 is in the pool");
        world_run(w, 60000);
        world_set(w, HONEST, lead, "company", "after");
        world_settle(w, false);
        expect_text(w, lead, "company", "after");
        world_check(w);
        world_free(w);
    }
}

/* What the ledger of the simulator takes for what: the value that stands is the one typed last, not the same one of before, which the pool has. */
static void what_is_typed_again_is_not_taken_for_what_a_repaired_pool_has(void **state) {
    (void)state;
    world *w = begin(&lies[LIES - 1], 400);
    uint32_t lead = world_make_lead(w, HONEST, "Li Wei");
    w->server_wall_off_ms = HOUR_MS;
    world_server_restart(w);
    world_device_start(&w->devices[HONEST], true);
    world_set(w, HONEST, lead, "company", "Acme");
    world_run(w, 10000);
    world_set(w, HONEST, lead, "company", "Globe");
    world_run(w, 10000);
    world_device_stop(&w->devices[HONEST]);
    world_set(w, HONEST, lead, "company", "Acme");
    w->server_wall_off_ms = 0;
    world_heal_server_clock(w);
    assert_true(w->typed[w->typed_count - 2].repaired); /* Globe */
    assert_false(w->typed[w->typed_count - 1].repaired);
    world_settle(w, false);
    world_check(w);
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_the_server_was_reached_no_clock_changes_who_wins),
        cmocka_unit_test(other_boots_keep_their_order_and_are_marked),
        cmocka_unit_test(the_servers_own_clock_set_to_2036_and_back_poisons_nothing),
        cmocka_unit_test(what_is_typed_again_is_not_taken_for_what_a_repaired_pool_has),
    };
    return cmocka_run_group_tests_name("sim_clocks", tests, NULL, NULL);
}
