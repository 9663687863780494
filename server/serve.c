/* serve.c - `serve`: puts the parts together, waits for signals, takes them apart; and the same parts without a network for
 * a command when no server runs. See admin.h.
 *
 * Order: host (store, pool, committer) - commit thread - net - control socket; stopped in the reverse order, but the net is
 * drained while the commit thread still runs, so that what is queued is committed and answered. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "proto/err.h"
#include "server/admin/admin.h"
#include "server/office/control.h"
#include "server/office/daily.h"
#include "server/host.h"
#include "server/net/control_socket.h"
#include "server/net/net.h"
#include "server/os.h"

#define DRAIN_MS 3000 /* of the 5 s a stop may take */
#define OPEN_TRIES 10
#define OPEN_RETRY_MS 100

typedef struct service {
    const admin_args *args;
    config config;
    logger log;
    host host;
    net *net;
    commit_thread *thread;
    control control;
    control_server *control_server;
    char address[300];
} service;

static lp_err start_control(service *s, lp_error *error) {
    lp_err err = host_address(&s->config, net_port(s->net), s->address, error);
    if (err != LP_OK)
        return err;
    host_keep_address(s->args->data, s->address);
    const lp_env *env = server_os_env();
    s->control = (control){.pool = &s->host.pool,
                           .thread = s->thread,
                           .committer = s->host.committer,
                           .address = s->address,
                           .listen = net_address(s->net),
                           .pin = s->host.pin,
                           .connections = net_connections,
                           .ctx = s->net,
                           .started_ms = env->wall_ms(env->ctx)};
    return control_server_start(&s->control, s->args->data, &s->log, &s->control_server, error);
}

/* A command may have the store for a moment. */
static lp_err open_host(service *s, lp_error *error) {
    lp_err err = LP_BUSY;
    for (int i = 0; i < OPEN_TRIES && err == LP_BUSY; i++) {
        if (i > 0)
            server_os_pause(OPEN_RETRY_MS);
        err = host_open(&s->host, s->args->data, error);
    }
    return err;
}

/* Loud, because until somebody acts nothing is taken from devices. */
static void look_at_clock(service *s) {
    char why[TIMEKEEPER_TEXT_BYTES];
    if (timekeeper_troubled(&s->host.pool.time, why))
        log_line(&s->log, LOG_LEVEL_ERROR, "clock not trusted", LOG_TEXT("reason", why));
}

static lp_err start(service *s, lp_error *error) {
    lp_err err = open_host(s, error);
    if (err != LP_OK)
        return err;
    s->host.pool.retention_ms = s->config.retention_days * DAY_MS;
    s->host.pool.revoked_grace_ms = s->config.revoked_grace_days * DAY_MS;
    s->host.pool.backup_retention_ms = s->config.backup_retention_days * DAY_MS;
    net_options options = {
        .pool = &s->host.pool, .config = &s->config, .tls = s->config.plaintext ? NULL : s->host.tls, .log = &s->log};
    err = net_new(&options, &s->net, error);
    if (err == LP_OK)
        err = commit_thread_start(s->host.committer, s->config.queue_limit, net_moved, s->net, &s->thread, error);
    if (err == LP_OK)
        err = net_start(s->net, s->thread, error);
    return err == LP_OK ? start_control(s, error) : err;
}

static void stop(service *s) {
    control_server_stop(s->control_server);
    if (s->net)
        net_drain(s->net, DRAIN_MS);
    commit_thread_stop(s->thread);
    net_free(s->net);
    host_close(&s->host);
}

/* A running server changes its log level only: everything else would need a restart to be true everywhere. */
static void reload(service *s) {
    config fresh;
    lp_error error;
    if (admin_config(s->args, true, &fresh, &error) != LP_OK) {
        log_line(&s->log, LOG_LEVEL_ERROR, "reload failed", LOG_TEXT("reason", error.message));
        return;
    }
    log_set_level(&s->log, (log_level)fresh.log_level);
    log_line(&s->log, LOG_LEVEL_INFO, "reloaded", LOG_NUMBER("log_level", fresh.log_level));
}

static void wait_for_stop(service *s) {
    const lp_env *env = server_os_env();
    int64_t daily_ms = env->boot_ms(env->ctx);
    for (;;) {
        int number = server_os_signal_wait(60000);
        look_at_clock(s);
        if (number == 0 && env->boot_ms(env->ctx) >= daily_ms) {
            daily_run(&s->control, &s->log);
            daily_ms = env->boot_ms(env->ctx) + DAILY_MS;
        }
        if (number == SIGHUP)
            reload(s);
        else if (number != 0)
            return;
    }
}

lp_err admin_serve(const admin_args *args, lp_error *error) {
    service s = {.args = args};
    lp_err err = admin_config(args, true, &s.config, error);
    if (err != LP_OK)
        return err;
    server_os_signals_block();
    log_init(&s.log, server_os_env(), stderr, (log_level)s.config.log_level, (log_format)s.config.log_format);
    uint64_t files = server_os_raise_files();
    err = start(&s, error);
    if (err == LP_OK) {
        log_line(&s.log, LOG_LEVEL_INFO, "listening", LOG_TEXT("address", net_address(s.net)),
                 LOG_TEXT("pool", s.host.pool.name), LOG_TEXT("tls", s.config.plaintext ? "off" : "1.3"),
                 LOG_NUMBER("files_max", files), LOG_TEXT("version", LEADPOOL_VERSION));
        look_at_clock(&s);
        server_os_notify("READY=1");
        wait_for_stop(&s);
        server_os_notify("STOPPING=1");
        log_line(&s.log, LOG_LEVEL_INFO, "stopping", LOG_NUMBER("connections", net_connections(s.net)));
    }
    stop(&s);
    if (err == LP_OK)
        log_line(&s.log, LOG_LEVEL_INFO, "stopped", LOG_NUMBER("status", 0));
    log_fini(&s.log);
    return err;
}

lp_err admin_control_here(const admin_args *args, span request, store_progress_fn progress, buf *answer_out,
                          lp_error *error) {
    config c;
    host h;
    char address[300];
    lp_err err = admin_config(args, false, &c, error);
    if (err == LP_OK)
        err = host_address(&c, 0, address, error);
    if (err == LP_OK && !c.address[0])
        host_kept_address(args->data, address);
    if (err == LP_OK)
        err = host_open(&h, args->data, error);
    if (err != LP_OK)
        return err;
    control here = {.pool = &h.pool, .committer = h.committer, .address = address, .listen = "", .pin = h.pin};
    control_execute(&here, request, progress, "leadpoold: working", answer_out);
    host_close(&h);
    return answer_out->failed || answer_out->size == 0 ? err_plain(error, LP_NOMEM) : LP_OK;
}
