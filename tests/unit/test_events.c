/* test_events.c - the event queue: order, its bound, waiting, and handing events to a function instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "client/events.h"
#include "proto/id.h"

#define GENEROUS_MS 20000

static int setup(void **state) {
    events *e = NULL;
    assert_int_equal(events_new(&e, NULL), LP_OK);
    *state = e;
    return 0;
}

static int teardown(void **state) {
    events_free(*state);
    return 0;
}

static lp_event event_of(lp_event_kind kind, uint32_t number) {
    lp_event event = {.kind = kind, .done = number};
    memcpy(event.id.bytes, &number, sizeof number);
    return event;
}

static void push(events *e, lp_event_kind kind, uint32_t number) {
    lp_event event = event_of(kind, number);
    events_push(e, &event);
}

static void fill(events *e, lp_event_kind kind, uint32_t count) {
    for (uint32_t i = 1; i <= count; i++)
        push(e, kind, i);
}

static uint32_t drain(events *e) {
    lp_event event;
    uint32_t count = 0;
    while (events_next(e, &event))
        count++;
    return count;
}

static void events_come_out_in_the_order_they_went_in(void **state) {
    events *e = *state;
    lp_event event;
    for (uint32_t round = 0; round < 5; round++) {
        fill(e, LP_EVENT_CHANGED, 700);
        for (uint32_t i = 1; i <= 700; i++) {
            assert_true(events_next(e, &event));
            assert_int_equal(event.done, i);
            assert_false(id_is_nil(&event.id));
        }
        assert_false(events_next(e, &event));
    }
}

static void one_changed_too_many_merges_all_into_one_without_an_id(void **state) {
    events *e = *state;
    lp_event event;
    fill(e, LP_EVENT_CHANGED, EVENTS_MAX + 1);
    assert_true(events_next(e, &event));
    assert_int_equal(event.kind, LP_EVENT_CHANGED);
    assert_true(id_is_nil(&event.id));
    assert_false(events_next(e, &event));
}

static void the_merged_event_stands_for_later_ones_until_it_is_taken(void **state) {
    events *e = *state;
    lp_event event;
    fill(e, LP_EVENT_CHANGED, 3 * EVENTS_MAX);
    assert_true(events_next(e, &event));
    assert_false(events_next(e, &event));
    push(e, LP_EVENT_CHANGED, 7);
    assert_true(events_next(e, &event));
    assert_false(id_is_nil(&event.id));
}

static void merging_changed_keeps_every_other_event(void **state) {
    events *e = *state;
    push(e, LP_EVENT_STATE, 1);
    push(e, LP_EVENT_REFUSED, 2);
    fill(e, LP_EVENT_CHANGED, EVENTS_MAX);
    push(e, LP_EVENT_STATE, 3);
    static const lp_event_kind wanted[] = {LP_EVENT_STATE, LP_EVENT_REFUSED, LP_EVENT_CHANGED, LP_EVENT_STATE};
    for (size_t i = 0; i < 4; i++) {
        lp_event event;
        assert_true(events_next(e, &event));
        assert_int_equal(event.kind, wanted[i]);
    }
    assert_int_equal(drain(e), 0);
}

static void a_full_queue_takes_a_state_after_a_single_changed(void **state) {
    events *e = *state;
    lp_event event = {0};
    push(e, LP_EVENT_CHANGED, 9);
    fill(e, LP_EVENT_PROGRESS, EVENTS_MAX - 1);
    push(e, LP_EVENT_STATE, 5);
    assert_true(events_next(e, &event));
    assert_int_equal(event.kind, LP_EVENT_CHANGED);
    assert_false(id_is_nil(&event.id));
    assert_true(events_next(e, &event));
    assert_int_equal(event.kind, LP_EVENT_PROGRESS);
    assert_int_equal(event.done, EVENTS_MAX - 1);
    assert_true(events_next(e, &event));
    assert_int_equal(event.kind, LP_EVENT_STATE);
    assert_int_equal(drain(e), 0);
}

static void the_queue_stays_bounded_whatever_is_pushed(void **state) {
    events *e = *state;
    for (uint32_t i = 0; i < 20 * EVENTS_MAX; i++) {
        push(e, (lp_event_kind)(LP_EVENT_STATE + i % 4), i);
        push(e, LP_EVENT_REFUSED, i);
    }
    uint32_t left = drain(e);
    assert_true(left > 0 && left <= EVENTS_MAX);
}

static void waiting_ends_when_the_time_is_up(void **state) {
    assert_false(events_wait(*state, 0));
    assert_false(events_wait(*state, 20));
}

static void *push_one(void *e) {
    push(e, LP_EVENT_CHANGED, 1);
    return NULL;
}

static void waiting_ends_when_another_thread_pushes(void **state) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, push_one, *state), 0);
    assert_true(events_wait(*state, GENEROUS_MS));
    pthread_join(thread, NULL);
}

typedef struct seen {
    events *queue;
    uint32_t count;
    uint64_t last;
} seen;

static void note(void *ctx, const lp_event *event) {
    seen *s = ctx;
    s->count++;
    s->last = event->done;
}

static void a_function_gets_the_events_instead_of_the_queue(void **state) {
    seen s = {0};
    push(*state, LP_EVENT_CHANGED, 1);
    events_on(*state, note, &s);
    push(*state, LP_EVENT_CHANGED, 2);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.last, 2);
    events_on(*state, NULL, NULL);
    push(*state, LP_EVENT_CHANGED, 3);
    assert_int_equal(s.count, 1);
    assert_int_equal(drain(*state), 2);
}

static void use_queue(void *ctx, const lp_event *event) {
    seen *s = ctx;
    note(ctx, event);
    assert_false(events_wait(s->queue, 0)); /* would deadlock if the queue's lock were held */
    events_on(s->queue, NULL, NULL);
}

static void the_function_is_called_outside_the_lock_and_may_replace_itself(void **state) {
    seen s = {.queue = *state};
    events_on(*state, use_queue, &s);
    push(*state, LP_EVENT_CHANGED, 1);
    push(*state, LP_EVENT_CHANGED, 2);
    assert_int_equal(s.count, 1);
    assert_int_equal(drain(*state), 1);
}

static void *push_many(void *e) {
    fill(e, LP_EVENT_CHANGED, 20000);
    return NULL;
}

static void a_replaced_function_is_never_called_again(void **state) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, push_many, *state), 0);
    for (int i = 0; i < 200; i++) {
        seen s = {0};
        events_on(*state, note, &s);
        events_on(*state, NULL, NULL);
        s = (seen){.count = 1000000}; /* TSan and valgrind see any late write */
        assert_int_equal(s.count, 1000000);
    }
    pthread_join(thread, NULL);
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(events_come_out_in_the_order_they_went_in),
        T(one_changed_too_many_merges_all_into_one_without_an_id),
        T(the_merged_event_stands_for_later_ones_until_it_is_taken),
        T(merging_changed_keeps_every_other_event),
        T(a_full_queue_takes_a_state_after_a_single_changed),
        T(the_queue_stays_bounded_whatever_is_pushed),
        T(waiting_ends_when_the_time_is_up),
        T(waiting_ends_when_another_thread_pushes),
        T(a_function_gets_the_events_instead_of_the_queue),
        T(the_function_is_called_outside_the_lock_and_may_replace_itself),
        T(a_replaced_function_is_never_called_again),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
