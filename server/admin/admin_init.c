/* admin_init.c - `init` and `version`; see admin.h. */
#include <stdio.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/message.h"
#include "proto/wire.h"
#include "server/admin/admin.h"
#include "server/identity.h"
#include "server/office/ledger_files.h"
#include "server/os.h"
#include "server/pool/pool.h"

/* A directory whose first `init` was cut short holds a store without a pool: it is completed. */
static lp_err open_empty(const char *directory, store **store_out, lp_error *error) {
    pool present;
    lp_err err = store_sqlite_ops.open(directory, true, store_out, error);
    if (err != LP_EXISTS)
        return err;
    err = store_sqlite_ops.open(directory, false, store_out, error);
    if (err != LP_OK)
        return err;
    err = pool_open(&present, *store_out, server_os_env(), error);
    if (err == LP_CORRUPT)
        return LP_OK;
    if (err == LP_OK) {
        err = err_set(error, LP_EXISTS, "there is a pool in %s already: %s", directory, present.name);
        pool_close(&present);
    }
    (*store_out)->ops->close(*store_out);
    return err;
}

static lp_err is_unused(store *s, lp_error *error) {
    store_reader *reader;
    store_counts counts;
    lp_err err = s->ops->reader_open(s, &reader, error);
    if (err != LP_OK)
        return err;
    err = s->ops->snapshot(reader, error);
    if (err == LP_OK)
        err = s->ops->counts(reader, &counts, error);
    s->ops->snapshot_end(reader);
    s->ops->reader_close(reader);
    if (err == LP_OK && counts.last_seq > 0)
        return err_set(error, LP_CORRUPT, "the store holds records but does not say of which pool; restore a backup");
    return err;
}

static lp_err make(const char *directory, const char *name, pool *p, uint8_t pin[PIN_BYTES], lp_error *error) {
    store *s;
    tls_context *tls;
    lp_err err = server_os_make_directory(directory, error);
    if (err == LP_OK)
        err = open_empty(directory, &s, error);
    if (err != LP_OK)
        return err;
    err = is_unused(s, error);
    if (err == LP_OK)
        err = ledger_files_make(directory, error);
    if (err == LP_OK)
        err = identity_create(directory, "leadpool", error);
    if (err == LP_OK)
        err = identity_load(directory, &tls, pin, error);
    if (err == LP_OK) {
        tls_context_free(tls);
        err = pool_create(s, server_os_env(), name, error);
    }
    if (err == LP_OK)
        err = pool_open(p, s, server_os_env(), error);
    if (err == LP_OK)
        pool_close(p);
    s->ops->close(s);
    return err;
}

lp_err admin_init(const admin_args *args, lp_error *error) {
    pool p;
    uint8_t pin[PIN_BYTES];
    lp_err err = make(args->data, args->name ? args->name : "leadpool", &p, pin, error);
    if (err != LP_OK)
        return err;
    char pool_id[LP_ID_TEXT_BYTES];
    buf result = {0}, pin_text = {0};
    lp_id_format(&p.id, pool_id);
    crypto_base64url(&pin_text, span_of(pin, PIN_BYTES));
    wire_put_map(&result, 4);
    wire_put_text(&result, SPAN_LITERAL("pool"));
    wire_put_text(&result, span_text(p.name));
    wire_put_text(&result, SPAN_LITERAL("pool_id"));
    wire_put_text(&result, span_text(pool_id));
    wire_put_text(&result, SPAN_LITERAL("pin"));
    wire_put_text(&result, buf_span(&pin_text));
    wire_put_text(&result, SPAN_LITERAL("data"));
    wire_put_text(&result, span_text(args->data));
    if (args->json)
        admin_print_result(buf_span(&result), true);
    else
        printf("Made the pool \"%s\" in %s.\nNext: leadpoold serve --data %s\n", p.name, args->data, args->data);
    buf_fini(&result);
    buf_fini(&pin_text);
    return LP_OK;
}

lp_err admin_version(const admin_args *args, lp_error *error) {
    (void)error;
    if (args->json)
        printf("{\"version\":\"%s\",\"protocol\":%d}\n", LEADPOOL_VERSION, PROTOCOL_VERSION);
    else
        printf("leadpoold %s (protocol %d)\n", LEADPOOL_VERSION, PROTOCOL_VERSION);
    return LP_OK;
}
