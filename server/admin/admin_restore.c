/* admin_restore.c - `restore`; see admin.h. Works without a server: what it replaces is what a server would serve. */
#include <stdio.h>

#include "proto/err.h"
#include "proto/wire.h"
#include "server/admin/admin.h"
#include "server/office/ledger_files.h"
#include "server/os.h"
#include "server/office/restore.h"

static void print(const admin_args *args, const restored *r) {
    buf result = {0};
    wire_put_map(&result, 5);
    wire_put_text(&result, SPAN_LITERAL("pool"));
    wire_put_text(&result, span_text(r->pool_name));
    wire_put_text(&result, SPAN_LITERAL("seq"));
    wire_put_u64(&result, r->seq);
    wire_put_text(&result, SPAN_LITERAL("leads"));
    wire_put_u64(&result, r->leads);
    wire_put_text(&result, SPAN_LITERAL("replaced"));
    wire_put_text(&result, span_text(r->replaced));
    wire_put_text(&result, SPAN_LITERAL("has_key"));
    wire_put_bool(&result, r->has_key);
    if (args->json)
        admin_print_result(buf_span(&result), true);
    buf_fini(&result);
    if (args->json)
        return;
    printf("Restored the pool \"%s\" to seq %llu, %llu leads.\n", r->pool_name, (unsigned long long)r->seq,
           (unsigned long long)r->leads);
    if (r->replaced[0])
        printf("What was there is in %s.\n", r->replaced);
    if (!r->has_key)
        printf("Put server.key and server.crt into %s before serving: devices trust that key and no other.\n",
               args->data);
    printf("Next: leadpoold serve --data %s; devices then bring back what they wrote since.\n", args->data);
}

lp_err admin_restore(const admin_args *args, lp_error *error) {
    restored r;
    ledger_files ledgers;
    if (!args->from)
        return err_set(error, LP_INVALID, "restore needs --from FILE, which leadpoold backup has made");
    lp_err err = ledger_files_open(&ledgers, args->data, error);
    if (!err)
        err = restore_pool(args->data, args->from, server_os_env(), &ledgers.port, admin_progress,
                           "leadpoold: restoring", &r, error);
    admin_progress_end();
    if (!err)
        print(args, &r);
    return err;
}
