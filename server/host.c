/* host.c - see host.h. */
#include "server/host.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/err.h"
#include "server/os.h"

static void ignore(void *ctx, job *j) {
    (void)ctx;
    (void)j;
}

/* The store may be a restored one: it does not come to know anybody who was erased, or trust whom nobody trusts any more. */
static lp_err replay(host *h, lp_error *error) {
    job *j = job_new(JOB_REPLAY);
    if (!j)
        return err_plain(error, LP_NOMEM);
    j->done = ignore;
    committer_run(h->committer, j);
    lp_err err = j->result;
    if (err != LP_OK)
        *error = j->error;
    job_free(j);
    return err;
}

lp_err host_open(host *h, const char *directory, lp_error *error) {
    *h = (host){0};
    lp_err err = store_sqlite_ops.open(directory, false, &h->store, error);
    if (err == LP_NOT_FOUND)
        return err_set(error, LP_NOT_FOUND, "there is no pool in %s; make one with: leadpoold init --data %s",
                       directory, directory);
    if (err != LP_OK)
        return err;
    err = ledger_files_open(&h->ledgers, directory, error);
    if (err == LP_OK)
        err = pool_open(&h->pool, h->store, server_os_env(), error);
    h->pool.ledger = &h->ledgers.port;
    if (err == LP_OK)
        err = committer_new(&h->pool, &h->committer, error);
    if (err == LP_OK)
        err = replay(h, error);
    if (err == LP_OK)
        err = identity_load(directory, &h->tls, h->pin, error);
    if (err != LP_OK)
        host_close(h);
    return err;
}

void host_close(host *h) {
    tls_context_free(h->tls);
    committer_free(h->committer);
    pool_close(&h->pool);
    if (h->store)
        h->store->ops->close(h->store);
    *h = (host){0};
}

lp_err host_address(const config *c, uint16_t port, char address_out[300], lp_error *error) {
    char name[CONFIG_HOST_BYTES];
    uint16_t listen_port;
    if (c->address[0]) {
        snprintf(address_out, 300, "%s", c->address);
        return LP_OK;
    }
    lp_err err = config_split_address(c->listen, name, &listen_port, error);
    if (err != LP_OK)
        return err;
    if (config_is_wildcard(name))
        server_os_host_name(name, sizeof name);
    bool v6 = strchr(name, ':') != NULL;
    snprintf(address_out, 300, v6 ? "[%s]:%u" : "%s:%u", name, port ? port : listen_port);
    return LP_OK;
}

static bool address_path(const char *directory, char path_out[PATH_MAX]) {
    return snprintf(path_out, PATH_MAX, "%s/address", directory) < PATH_MAX;
}

void host_keep_address(const char *directory, const char *address) {
    char path[PATH_MAX], kept[300] = "";
    if (!address_path(directory, path) || (host_kept_address(directory, kept) && strcmp(kept, address) == 0))
        return;
    unlink(path);
    server_os_write_file(path, span_text(address), NULL);
}

bool host_kept_address(const char *directory, char address_out[300]) {
    char path[PATH_MAX], host_name[CONFIG_HOST_BYTES], text[300];
    uint16_t port;
    buf kept = {0};
    bool ok = address_path(directory, path) && server_os_read_file(path, sizeof text - 1, &kept, NULL) == LP_OK;
    if (ok) {
        snprintf(text, sizeof text, "%.*s", (int)kept.size, (const char *)kept.data);
        ok = config_split_address(text, host_name, &port, NULL) == LP_OK;
    }
    if (ok)
        memcpy(address_out, text, sizeof text);
    buf_fini(&kept);
    return ok;
}
