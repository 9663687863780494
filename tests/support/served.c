/* served.c - see served.h. */
#include "tests/support/served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/message.h"
#include "proto/wire.h"
#include "server/office/control_arguments.h"
#include "server/os.h"

static void must(lp_err err, const lp_error *error) {
    if (err != LP_OK)
        fail_msg("%s", error->message);
}

void served_init(served *s, bool plaintext) {
    lp_error error;
    memset(s, 0, sizeof *s);
    config_defaults(&s->config);
    must(config_set(&s->config, "listen", "127.0.0.1:0", &error), &error);
    s->config.plaintext = plaintext;
    s->config.log_level = LOG_LEVEL_ERROR;
}

void served_start(served *s) {
    lp_error error;
    buf key = {0}, certificate = {0};
    log_init(&s->log, server_os_env(), stderr, (log_level)s->config.log_level, LOG_FORMAT_TEXT);
    must(store_memory_ops.open(NULL, true, &s->store, &error), &error);
    must(pool_create(s->store, server_os_env(), "Acme", &error), &error);
    must(pool_open(&s->pool, s->store, server_os_env(), &error), &error);
    must(committer_new(&s->pool, &s->committer, &error), &error);
    must(tls_identity_make("leadpool", &key, &certificate, &error), &error);
    must(tls_context_server(buf_span(&key), buf_span(&certificate), &s->tls, &error), &error);
    tls_context_pin(s->tls, s->pin);
    buf_fini(&key);
    buf_fini(&certificate);
    net_options options = {
        .pool = &s->pool, .config = &s->config, .tls = s->config.plaintext ? NULL : s->tls, .log = &s->log};
    must(net_new(&options, &s->net, &error), &error);
    must(commit_thread_start(s->committer, s->config.queue_limit, net_moved, s->net, &s->thread, &error), &error);
    must(net_start(s->net, s->thread, &error), &error);
}

void served_stop(served *s) {
    net_drain(s->net, 3000);
    commit_thread_stop(s->thread);
    net_free(s->net);
    committer_free(s->committer);
    pool_close(&s->pool);
    s->store->ops->close(s->store);
    tls_context_free(s->tls);
    log_fini(&s->log);
}

void served_invite(served *s, const char *staff, const char *role, uint8_t token_out[INVITE_TOKEN_BYTES]) {
    lp_error error;
    message answer;
    job *j = job_new(JOB_INVITE);
    assert_non_null(j);
    const control_pair pairs[] = {{"staff", staff}, {"role", role}, {"scope", "pool"}};
    must(control_request("invite", pairs, 3, &j->request, &error), &error);
    commit_thread_run(s->thread, j);
    must(j->result, &j->error);
    must(message_decode(buf_span(&j->answer), &answer, &error), &error);
    wire_reader r = wire_open(answer.result);
    wire_map(&r);
    wire_text(&r);
    span token = wire_bytes(&r);
    assert_int_equal(token.size, INVITE_TOKEN_BYTES);
    memcpy(token_out, token.data, token.size);
    job_free(j);
}
