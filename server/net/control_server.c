/* control_server.c - a few threads that take turns at the control socket; see control_socket.h.
 *
 * Why more than one: a backup may take minutes, and `status` must answer meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/err.h"
#include "proto/message.h"
#include "proto/wire.h"
#include "server/net/blocking.h"
#include "server/net/control_socket.h"

#define THREADS 3
#define PEER_TIMEOUT_MS 5000
#define PROGRESS_MS 200

struct control_server {
    control *control;
    logger *log;
    int directory_fd;
    nng_stream_listener *listener;
    nng_aio *aios[THREADS];
    nng_thread *threads[THREADS];
    uint32_t started;
};

typedef struct task {
    control_server *server;
    blocking *peer;
    uint32_t id;
    int64_t told_ms;
} task;

static int64_t boot_now(const control_server *s) {
    const lp_env *env = s->control->pool->env;
    return env->boot_ms(env->ctx);
}

/* Tells the operator how far it is; false once nobody listens any more. */
static bool tell_progress(void *ctx, uint64_t done, uint64_t total) {
    task *t = ctx;
    int64_t now_ms = boot_now(t->server);
    if (now_ms - t->told_ms < PROGRESS_MS)
        return true;
    t->told_ms = now_ms;
    buf result = {0}, bytes = {0};
    wire_put_map(&result, 2);
    wire_put_text(&result, SPAN_LITERAL("done"));
    wire_put_u64(&result, done);
    wire_put_text(&result, SPAN_LITERAL("total"));
    wire_put_u64(&result, total);
    message m = {.number = MSG_CONTROLLED, .result = buf_span(&result), .more = true};
    bool ok = !result.failed && message_encode(&m, &bytes, NULL) == LP_OK &&
              blocking_send(t->peer, t->id, buf_span(&bytes), PEER_TIMEOUT_MS, NULL) == LP_OK;
    buf_fini(&result);
    buf_fini(&bytes);
    return ok;
}

static void log_request(control_server *s, span request) {
    message m;
    char verb[32] = "?";
    if (message_decode(request, &m, NULL) == LP_OK && m.number == MSG_CONTROL)
        snprintf(verb, sizeof verb, "%.*s", (int)(m.verb.size < 31 ? m.verb.size : 31), (const char *)m.verb.data);
    log_line(s->log, LOG_LEVEL_DEBUG, "control", LOG_TEXT("verb", verb));
}

static void serve_peer(control_server *s, blocking *peer) {
    task t = {.server = s, .peer = peer};
    span received;
    if (blocking_handshake(peer, PEER_TIMEOUT_MS, NULL) != LP_OK)
        return;
    while (blocking_receive(peer, PEER_TIMEOUT_MS, &t.id, &received, NULL) == LP_OK) {
        buf request = {0}, answer = {0};
        buf_append_span(&request, received); /* progress uses the channel meanwhile */
        log_request(s, received);
        t.told_ms = boot_now(s);
        if (!request.failed)
            control_execute(s->control, buf_span(&request), tell_progress, &t, &answer);
        lp_err err = answer.failed || answer.size == 0
                         ? LP_NOMEM
                         : blocking_send(peer, t.id, buf_span(&answer), PEER_TIMEOUT_MS, NULL);
        buf_fini(&request);
        buf_fini(&answer);
        if (err != LP_OK)
            return;
    }
}

typedef struct thread_start {
    control_server *server;
    nng_aio *aio;
} thread_start;

static void run(void *argument) {
    thread_start start = *(thread_start *)argument;
    free(argument);
    blocking peer;
    for (;;) {
        nng_aio_set_timeout(start.aio, NNG_DURATION_INFINITE);
        nng_stream_listener_accept(start.server->listener, start.aio);
        nng_aio_wait(start.aio);
        int rv = nng_aio_result(start.aio);
        if (rv == NNG_ECLOSED || rv == NNG_ECANCELED)
            return;
        if (rv != 0 || blocking_open(&peer, nng_aio_get_output(start.aio, 0), start.aio, true, NULL) != LP_OK)
            continue;
        serve_peer(start.server, &peer);
        blocking_close(&peer);
    }
}

static lp_err start_thread(control_server *s, lp_error *error) {
    uint32_t index = s->started;
    thread_start *start = malloc(sizeof *start);
    if (!start || nng_aio_alloc(&s->aios[index], NULL, NULL) != 0) {
        free(start);
        return err_plain(error, LP_NOMEM);
    }
    *start = (thread_start){s, s->aios[index]};
    if (nng_thread_create(&s->threads[index], run, start) != 0) {
        free(start);
        return err_set(error, LP_NOMEM, "cannot start a thread for the control socket");
    }
    s->started++;
    return LP_OK;
}

/* The store is ours, so whoever made this socket is gone. */
static void remove_stale(const char *url) {
    const char *path = url + sizeof "ipc://" - 1;
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode))
        unlink(path);
}

static lp_err listen_at(control_server *s, const char *directory, lp_error *error) {
    char url[BLOCKING_URL_BYTES];
    lp_err err = blocking_url(directory, url, &s->directory_fd, error);
    if (err != LP_OK)
        return err;
    remove_stale(url);
    int rv = nng_stream_listener_alloc(&s->listener, url);
    if (rv == 0)
        rv = nng_stream_listener_set_int(s->listener, NNG_OPT_IPC_PERMISSIONS, 0600);
    if (rv == 0)
        rv = nng_stream_listener_listen(s->listener);
    if (rv != 0)
        return err_set(error, LP_IO, "cannot make the control socket in %s: %s", directory, nng_strerror(rv));
    return LP_OK;
}

lp_err control_server_start(control *c, const char *directory, logger *log, control_server **server_out,
                            lp_error *error) {
    control_server *s = calloc(1, sizeof *s);
    if (!s)
        return err_plain(error, LP_NOMEM);
    s->control = c;
    s->log = log;
    s->directory_fd = -1;
    lp_err err = listen_at(s, directory, error);
    while (err == LP_OK && s->started < THREADS)
        err = start_thread(s, error);
    if (err != LP_OK) {
        control_server_stop(s);
        return err;
    }
    *server_out = s;
    return LP_OK;
}

void control_server_stop(control_server *s) {
    if (!s)
        return;
    if (s->listener)
        nng_stream_listener_close(s->listener);
    for (uint32_t i = 0; i < s->started; i++)
        nng_aio_stop(s->aios[i]);
    for (uint32_t i = 0; i < s->started; i++)
        nng_thread_destroy(s->threads[i]);
    for (uint32_t i = 0; i < THREADS; i++)
        nng_aio_free(s->aios[i]);
    if (s->listener)
        nng_stream_listener_free(s->listener);
    if (s->directory_fd >= 0)
        close(s->directory_fd);
    free(s);
}
