/* net.c - the listener, the accept loop, the tick, and stopping; see net.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "server/net/conn.h"
#include "server/os.h"

#define PAUSE_MS 10         /* after an accept that failed */
#define PAUSE_SCARCE_MS 250 /* after one that failed for want of descriptors or memory */

static void accept_next(net *n) {
    nng_stream_listener_accept(n->listener, n->accept_aio);
}

static void on_accepted(void *argument) {
    net *n = argument;
    int result = nng_aio_result(n->accept_aio);
    if (result == 0)
        conn_open(n, nng_aio_get_output(n->accept_aio, 0));
    if (atomic_load(&n->stopping))
        return;
    if (result == 0) {
        accept_next(n);
        return;
    }
    bool scarce = result == NNG_ENOFILES || result == NNG_ENOMEM;
    if (scarce)
        log_line(n->log, LOG_LEVEL_WARN, "cannot accept", LOG_TEXT("reason", nng_strerror(result)));
    nng_sleep_aio(scarce ? PAUSE_SCARCE_MS : PAUSE_MS, n->pause_aio);
}

static void on_pause_over(void *argument) {
    net *n = argument;
    if (!atomic_load(&n->stopping))
        accept_next(n);
}

static void on_due(wheel_node *node) {
    conn_signal((conn *)((char *)node - offsetof(conn, timer)), EVENT_TICK);
}

static void on_tick(void *argument) {
    net *n = argument;
    if (nng_aio_result(n->tick_aio) != 0)
        return;
    const lp_env *env = n->pool->env;
    wheel_advance(&n->wheel, env->boot_ms(env->ctx), on_due);
    nng_sleep_aio(WHEEL_TICK_MS, n->tick_aio);
}

/* "a b" becomes {"a", "b", NULL}. */
static bool split_origins(net *n) {
    const char *text = n->config->origins;
    size_t count = 1;
    for (const char *c = text; *c; c++)
        count += *c == ' ';
    n->origins = calloc(count + 1, sizeof *n->origins);
    n->origins_text = strdup(text);
    if (!n->origins || !n->origins_text)
        return false;
    char *rest = NULL;
    count = 0;
    for (char *word = strtok_r(n->origins_text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        n->origins[count++] = word;
    return true;
}

lp_err net_new(const net_options *options, net **net_out, lp_error *error) {
    net *n = calloc(1, sizeof *n);
    if (!n)
        return err_plain(error, LP_NOMEM);
    n->pool = options->pool;
    n->config = options->config;
    n->tls = options->tls;
    n->log = options->log;
    pthread_mutex_init(&n->run_mutex, NULL);
    pthread_cond_init(&n->run_filled, NULL);
    pthread_mutex_init(&n->list_mutex, NULL);
    server_os_cond_init(&n->list_empty);
    pthread_mutex_init(&n->parked_mutex, NULL);
    pthread_mutex_init(&n->done_mutex, NULL);
    const lp_env *env = n->pool->env;
    uint64_t salt;
    env->random(env->ctx, &salt, sizeof salt);
    peers_init(&n->peers, salt);
    wheel_init(&n->wheel, env->boot_ms(env->ctx));
    if (!split_origins(n) || nng_aio_alloc(&n->accept_aio, on_accepted, n) != 0 ||
        nng_aio_alloc(&n->pause_aio, on_pause_over, n) != 0 || nng_aio_alloc(&n->tick_aio, on_tick, n) != 0) {
        net_free(n);
        return err_plain(error, LP_NOMEM);
    }
    *net_out = n;
    return LP_OK;
}

/* nng takes tcp://HOST:PORT with * for any address. */
static lp_err listen_on(net *n, const char *host, uint16_t port, lp_error *error) {
    char url[CONFIG_HOST_BYTES + 32];
    bool v6 = strchr(host, ':') != NULL;
    snprintf(url, sizeof url, v6 ? "tcp://[%s]:%u" : "tcp://%s:%u", host[0] ? host : "0.0.0.0", port);
    int rv = nng_stream_listener_alloc(&n->listener, url);
    if (rv == 0)
        rv = nng_stream_listener_set_bool(n->listener, NNG_OPT_TCP_NODELAY, true);
    if (rv == 0)
        rv = nng_stream_listener_listen(n->listener);
    if (rv == NNG_EADDRINUSE)
        return err_set(error, LP_BUSY, "cannot listen on %s: another program does; choose another --listen",
                       n->config->listen);
    if (rv != 0)
        return err_set(error, rv == NNG_ENOMEM ? LP_NOMEM : LP_IO, "cannot listen on %s: %s", n->config->listen,
                       nng_strerror(rv));
    int real = port;
    nng_stream_listener_get_int(n->listener, NNG_OPT_TCP_BOUND_PORT, &real);
    n->port = (uint16_t)real;
    snprintf(n->address, sizeof n->address, v6 ? "[%s]:%u" : "%s:%u", host[0] ? host : "0.0.0.0", n->port);
    return LP_OK;
}

lp_err net_start(net *n, commit_thread *thread, lp_error *error) {
    char host[CONFIG_HOST_BYTES];
    uint16_t port;
    n->thread = thread;
    lp_err err = config_split_address(n->config->listen, host, &port, error);
    if (err == LP_OK)
        err = workers_start(n, error);
    if (err == LP_OK)
        err = listen_on(n, host, port, error);
    if (err != LP_OK)
        return err;
    nng_sleep_aio(WHEEL_TICK_MS, n->tick_aio);
    accept_next(n);
    return LP_OK;
}

static void signal_all(net *n, uint32_t event) {
    pthread_mutex_lock(&n->list_mutex);
    for (conn *c = n->list; c; c = c->next)
        conn_signal(c, event);
    pthread_mutex_unlock(&n->list_mutex);
}

/* True once no connection is left. */
static bool wait_empty(net *n, int32_t timeout_ms) {
    const lp_env *env = n->pool->env;
    int64_t until_ms = env->boot_ms(env->ctx) + timeout_ms, now_ms;
    pthread_mutex_lock(&n->list_mutex);
    while (atomic_load(&n->count) > 0 && (now_ms = env->boot_ms(env->ctx)) < until_ms)
        server_os_cond_wait(&n->list_empty, &n->list_mutex, (int32_t)(until_ms - now_ms));
    bool empty = atomic_load(&n->count) == 0;
    pthread_mutex_unlock(&n->list_mutex);
    return empty;
}

void net_drain(net *n, int32_t timeout_ms) {
    atomic_store(&n->stopping, true);
    if (n->listener)
        nng_stream_listener_close(n->listener);
    nng_aio_stop(n->accept_aio);
    nng_aio_stop(n->pause_aio);
    signal_all(n, EVENT_DRAIN);
    if (n->worker_count > 0 && !wait_empty(n, timeout_ms)) {
        signal_all(n, EVENT_KILL);
        while (!wait_empty(n, timeout_ms))
            continue; /* a job is still at the committer, which will bring it back */
    }
    nng_aio_stop(n->tick_aio);
    workers_stop(n);
}

void net_free(net *n) {
    if (!n)
        return;
    nng_aio_free(n->accept_aio);
    nng_aio_free(n->pause_aio);
    nng_aio_free(n->tick_aio);
    if (n->listener)
        nng_stream_listener_free(n->listener);
    wheel_fini(&n->wheel);
    peers_fini(&n->peers);
    pthread_mutex_destroy(&n->done_mutex);
    pthread_mutex_destroy(&n->parked_mutex);
    pthread_cond_destroy(&n->list_empty);
    pthread_mutex_destroy(&n->list_mutex);
    pthread_cond_destroy(&n->run_filled);
    pthread_mutex_destroy(&n->run_mutex);
    free(n->origins);
    free(n->origins_text);
    free(n);
}

const char *net_address(const net *n) {
    return n->address;
}

uint16_t net_port(const net *n) {
    return n->port;
}

uint64_t net_connections(void *ctx) {
    return atomic_load(&((net *)ctx)->count);
}
