/* commit_thread.c - one thread that runs the committer on whatever waits; see commit_thread.h.
 *
 * Invariants:
 *   (1) Jobs run in the order they were submitted.
 *   (2) Every job accepted gets its `done`, also when stopping: stop empties the queue before the thread ends.
 *   (3) A group is at most GROUP_JOBS_MAX jobs, and ends with the one that takes it past GROUP_BYTES_MAX: one commit stays short and
 *       `done` soon. A device that pushes a bulk settles one batch while the next is applied, instead of waiting for several. */
#include "server/pool/commit_thread.h"

#include <pthread.h>
#include <stdlib.h>

#include "proto/err.h"
#include "server/os.h"

#define GROUP_JOBS_MAX 256
#define GROUP_BYTES_MAX (256 * 1024) /* of requests: about 10 ms of work, a multiple of what one commit costs */
#define REST_AFTER_MS 100

struct commit_thread {
    committer *committer;
    void (*moved)(void *ctx, uint64_t seq);
    void *ctx;
    uint32_t limit; /* most jobs that may wait */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards everything below */
    pthread_cond_t filled;
    job *first, *last;
    uint32_t count;
    bool stopping;
};

/* Cuts the next group off the queue. Called with the mutex held. */
static job *take_group(commit_thread *t) {
    job *group = t->first, *end = group;
    uint32_t size = 1;
    size_t bytes = group->request.size;
    while (end->next && size < GROUP_JOBS_MAX && bytes < GROUP_BYTES_MAX) {
        end = end->next;
        bytes += end->request.size;
        size++;
    }
    t->first = end->next;
    if (!t->first)
        t->last = NULL;
    end->next = NULL;
    t->count -= size;
    return group;
}

/* Waits for jobs. When none came for a while, lets the store rest once: what it does then nobody waits for. Called with the mutex held. */
static void wait_for_jobs(commit_thread *t) {
    bool rested = false;
    while (!t->first && !t->stopping) {
        if (rested) {
            pthread_cond_wait(&t->filled, &t->mutex);
        } else if (!server_os_cond_wait(&t->filled, &t->mutex, REST_AFTER_MS) && !t->first) {
            pthread_mutex_unlock(&t->mutex);
            committer_rest(t->committer);
            pthread_mutex_lock(&t->mutex);
            rested = true;
        }
    }
}

static void *run(void *argument) {
    commit_thread *t = argument;
    uint64_t seq = committer_seq(t->committer);
    pthread_mutex_lock(&t->mutex);
    for (;;) {
        wait_for_jobs(t);
        if (!t->first)
            break;
        job *group = take_group(t);
        pthread_mutex_unlock(&t->mutex);
        committer_run(t->committer, group);
        uint64_t now = committer_seq(t->committer);
        if (now != seq && t->moved)
            t->moved(t->ctx, now);
        seq = now;
        pthread_mutex_lock(&t->mutex);
    }
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

lp_err commit_thread_start(committer *c, uint32_t queue_limit, void (*moved)(void *ctx, uint64_t seq), void *ctx,
                           commit_thread **thread_out, lp_error *error) {
    commit_thread *t = calloc(1, sizeof *t);
    if (!t)
        return err_plain(error, LP_NOMEM);
    t->committer = c;
    t->limit = queue_limit;
    t->moved = moved;
    t->ctx = ctx;
    pthread_mutex_init(&t->mutex, NULL);
    server_os_cond_init(&t->filled);
    if (pthread_create(&t->thread, NULL, run, t) != 0) {
        pthread_cond_destroy(&t->filled);
        pthread_mutex_destroy(&t->mutex);
        free(t);
        return err_set(error, LP_NOMEM, "cannot start the commit thread");
    }
    *thread_out = t;
    return LP_OK;
}

lp_err commit_thread_submit(commit_thread *t, job *j) {
    lp_err err = LP_OK;
    j->next = NULL;
    pthread_mutex_lock(&t->mutex);
    if (t->stopping)
        err = LP_CLOSED;
    else if (t->count >= t->limit)
        err = LP_BUSY;
    else {
        if (t->last)
            t->last->next = j;
        else
            t->first = j;
        t->last = j;
        t->count++;
        pthread_cond_signal(&t->filled);
    }
    pthread_mutex_unlock(&t->mutex);
    return err;
}

typedef struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t over;
    bool done;
} waiter;

static void wake(void *ctx, job *j) {
    (void)j;
    waiter *w = ctx;
    pthread_mutex_lock(&w->mutex);
    w->done = true;
    pthread_cond_signal(&w->over);
    pthread_mutex_unlock(&w->mutex);
}

void commit_thread_run(commit_thread *t, job *j) {
    waiter w = {.mutex = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};
    j->done = wake;
    j->ctx = &w;
    lp_err err = commit_thread_submit(t, j);
    if (err != LP_OK) {
        j->result = err_plain(&j->error, err);
        return;
    }
    pthread_mutex_lock(&w.mutex);
    while (!w.done)
        pthread_cond_wait(&w.over, &w.mutex);
    pthread_mutex_unlock(&w.mutex);
}

void commit_thread_stop(commit_thread *t) {
    if (!t)
        return;
    pthread_mutex_lock(&t->mutex);
    t->stopping = true;
    pthread_cond_signal(&t->filled);
    pthread_mutex_unlock(&t->mutex);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->filled);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}
