/* test_commit_thread.c - the queue in front of the committer: order, its limit, and that nothing accepted is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "server/os.h"
#include "tests/support/served.h"

#define JOBS 300

typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
    bool reached;
    uint32_t count;        /* jobs done */
    const job *done[JOBS]; /* in the order they were */
    _Atomic uint32_t moves;
} gate;

/* The first job keeps the commit thread until the gate is opened. */
static void pass(void *ctx, job *j) {
    gate *g = ctx;
    pthread_mutex_lock(&g->mutex);
    g->reached = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->mutex);
    g->done[g->count++] = j;
    pthread_mutex_unlock(&g->mutex);
}

static void moved(void *ctx, uint64_t seq) {
    (void)seq;
    ((gate *)ctx)->moves++;
}

typedef struct bench {
    store *store;
    pool pool;
    committer *committer;
    commit_thread *thread;
    gate gate;
    job *jobs[JOBS];
} bench;

static void open_bench(bench *b, uint32_t limit) {
    *b = (bench){.gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}};
    assert_int_equal(store_memory_ops.open(NULL, true, &b->store, NULL), LP_OK);
    assert_int_equal(pool_create(b->store, server_os_env(), "Acme", NULL), LP_OK);
    assert_int_equal(pool_open(&b->pool, b->store, server_os_env(), NULL), LP_OK);
    assert_int_equal(committer_new(&b->pool, &b->committer, NULL), LP_OK);
    assert_int_equal(commit_thread_start(b->committer, limit, moved, &b->gate, &b->thread, NULL), LP_OK);
    for (int i = 0; i < JOBS; i++) {
        b->jobs[i] = job_new(JOB_BARRIER);
        assert_non_null(b->jobs[i]);
        b->jobs[i]->done = pass;
        b->jobs[i]->ctx = &b->gate;
    }
}

static void close_bench(bench *b) {
    for (int i = 0; i < JOBS; i++)
        job_free(b->jobs[i]);
    committer_free(b->committer);
    pool_close(&b->pool);
    b->store->ops->close(b->store);
}

static void wait_reached(gate *g) {
    pthread_mutex_lock(&g->mutex);
    while (!g->reached)
        pthread_cond_wait(&g->changed, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static void open_gate(gate *g) {
    pthread_mutex_lock(&g->mutex);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}

static void a_full_queue_says_busy_and_the_others_are_done(void **state) {
    (void)state;
    bench b;
    open_bench(&b, 2);
    assert_int_equal(commit_thread_submit(b.thread, b.jobs[0]), LP_OK);
    wait_reached(&b.gate); /* the first is off the queue */
    assert_int_equal(commit_thread_submit(b.thread, b.jobs[1]), LP_OK);
    assert_int_equal(commit_thread_submit(b.thread, b.jobs[2]), LP_OK);
    assert_int_equal(commit_thread_submit(b.thread, b.jobs[3]), LP_BUSY);
    open_gate(&b.gate);
    commit_thread_stop(b.thread);
    assert_int_equal(b.gate.count, 3);
    close_bench(&b);
}

static void stopping_does_all_that_was_accepted_in_order(void **state) {
    (void)state;
    bench b;
    open_bench(&b, JOBS);
    assert_int_equal(commit_thread_submit(b.thread, b.jobs[0]), LP_OK);
    wait_reached(&b.gate);
    for (int i = 1; i < JOBS; i++) /* more than one group */
        assert_int_equal(commit_thread_submit(b.thread, b.jobs[i]), LP_OK);
    open_gate(&b.gate);
    commit_thread_stop(b.thread);
    assert_int_equal(b.gate.count, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_ptr_equal(b.gate.done[i], b.jobs[i]);
        assert_int_equal(b.jobs[i]->result, LP_OK);
    }
    assert_int_equal(b.gate.moves, 0); /* barriers move nothing */
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_says_busy_and_the_others_are_done),
        cmocka_unit_test(stopping_does_all_that_was_accepted_in_order),
    };
    return cmocka_run_group_tests_name("commit thread", tests, NULL, NULL);
}
