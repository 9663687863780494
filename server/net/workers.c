/* workers.c - the run queue and the threads that work it off: first come, first served. See conn.h. */
#include <stdlib.h>

#include "proto/err.h"
#include "server/net/conn.h"
#include "server/os.h"

void workers_push(net *n, conn *c) {
    pthread_mutex_lock(&n->run_mutex);
    c->run_next = NULL;
    if (n->run_last)
        n->run_last->run_next = c;
    else
        n->run_first = c;
    n->run_last = c;
    pthread_cond_signal(&n->run_filled);
    pthread_mutex_unlock(&n->run_mutex);
}

static conn *pop(net *n) {
    pthread_mutex_lock(&n->run_mutex);
    while (!n->run_first && !n->run_over)
        pthread_cond_wait(&n->run_filled, &n->run_mutex);
    conn *c = n->run_first;
    if (c) {
        n->run_first = c->run_next;
        if (!n->run_first)
            n->run_last = NULL;
    }
    pthread_mutex_unlock(&n->run_mutex);
    return c;
}

typedef struct worker_start {
    net *net;
    store_reader *reader;
} worker_start;

static void *work(void *argument) {
    worker_start start = *(worker_start *)argument;
    free(argument);
    conn *c;
    while ((c = pop(start.net)) != NULL)
        conn_run(c, start.reader);
    return NULL;
}

static lp_err start_one(net *n, uint32_t index, lp_error *error) {
    lp_err err = n->pool->store->ops->reader_open(n->pool->store, &n->readers[index], error);
    if (err != LP_OK)
        return err;
    worker_start *start = malloc(sizeof *start);
    if (start) {
        *start = (worker_start){n, n->readers[index]};
        if (pthread_create(&n->workers[index], NULL, work, start) == 0)
            return LP_OK;
    }
    free(start);
    n->pool->store->ops->reader_close(n->readers[index]);
    return err_set(error, LP_NOMEM, "cannot start a worker thread");
}

lp_err workers_start(net *n, lp_error *error) {
    uint32_t wanted = n->config->workers ? n->config->workers : server_os_cpu_count();
    if (wanted > sizeof n->workers / sizeof n->workers[0])
        wanted = sizeof n->workers / sizeof n->workers[0];
    lp_err err = LP_OK;
    while (err == LP_OK && n->worker_count < wanted) {
        err = start_one(n, n->worker_count, error);
        n->worker_count += err == LP_OK;
    }
    return err;
}

void workers_stop(net *n) {
    pthread_mutex_lock(&n->run_mutex);
    n->run_over = true;
    pthread_cond_broadcast(&n->run_filled);
    pthread_mutex_unlock(&n->run_mutex);
    for (uint32_t i = 0; i < n->worker_count; i++) {
        pthread_join(n->workers[i], NULL);
        n->pool->store->ops->reader_close(n->readers[i]);
    }
    n->worker_count = 0;
}
