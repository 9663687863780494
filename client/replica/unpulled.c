/* unpulled.c - see unpulled.h. */
#include "client/replica/unpulled.h"

#include "client/replica/holdings.h"
#include "client/sync/pull.h"
#include "client/replica/statements.h"
#include "proto/page.h"
#include "proto/wire.h"

#define SEQ_KEY "unpulled.seq"

lp_err unpulled_note(replica *r, uint64_t seq, lp_error *error) {
    bool known = seq <= (uint64_t)replica_meta_int(r, SEQ_KEY, 0);
    return known ? LP_OK : replica_meta_put_int(r, SEQ_KEY, (int64_t)seq, error);
}

/* The scope was read to an end that lies at or after `seq`: a cursor between two pages is behind. */
static lp_err is_read_past(replica *r, const held_scope *scope, uint64_t seq, bool *past_out, lp_error *error) {
    buf kept = {0};
    cursor c;
    lp_err err = pull_cursor(r, span_text(scope->name), &kept, &c, error);
    *past_out = !err && scope->reading == READING_NEWS && c.behind == 0 && c.seq >= seq;
    buf_fini(&kept);
    return err;
}

static lp_err all_read_past(replica *r, uint64_t seq, bool *past_out, lp_error *error) {
    lp_err err = LP_OK;
    *past_out = r->scopes.count > 0;
    for (uint32_t i = 0; *past_out && i < r->scopes.count; i++)
        err = is_read_past(r, &r->scopes.list[i], seq, past_out, error);
    return err;
}

lp_err unpulled_let_go(replica *r, lp_error *error) {
    uint64_t seq = (uint64_t)replica_meta_int(r, SEQ_KEY, 0);
    bool past = false;
    lp_err err = seq ? all_read_past(r, seq, &past, error) : LP_OK;
    if (!past)
        return err;
    err = holdings_let_go_unheld(r, error);
    return err ? err : replica_meta_put_int(r, SEQ_KEY, 0, error);
}

/* Of all scopes the last in the server's list is read last: what another holds has come by then, and stays when this one lets go of it. */
static lp_err last_scope(replica *r, held_scope **scope_out, lp_error *error) {
    buf scopes = {0};
    lp_err err = replica_meta(r, "scopes", &scopes, error);
    wire_reader names = wire_open(buf_span(&scopes));
    span name = {0};
    for (uint32_t left = wire_array(&names); left; left--)
        name = wire_text(&names);
    *scope_out = holdings_find(r, name);
    buf_fini(&scopes);
    return err;
}

lp_err unpulled_doubt(replica *r, lp_error *error) {
    held_scope *last;
    bool some = false;
    lp_err err = last_scope(r, &last, error);
    if (!err && last)
        err = holdings_hold_unpulled(r, last, &some, error);
    /* Numbers of the old epoch mean nothing in the new one, and nothing is read in it before all that was acknowledged is offered. */
    if (!err && replica_meta_int(r, SEQ_KEY, 0))
        err = replica_meta_put_int(r, SEQ_KEY, 1, error);
    return !err && some ? pull_doubt(r, last, error) : err;
}
