/* erase.c - see erase.h. */
#include "client/replica/erase.h"

#include <stdlib.h>

#include "client/replica/holdings.h"
#include "client/replica/outbox.h"
#include "client/find/search.h"
#include "client/replica/statements.h"
#include "proto/err.h"
#include "proto/schema.h"
#include "proto/wire.h"

#define DEPTH_MAX 4 /* a conflict about a touch of a lead */

static lp_err run_blob(replica *r, statement_name name, span value, lp_error *error) {
    sqlite3_stmt *s = statement(r, name, error);
    if (!s)
        return LP_IO;
    bind_span(s, 1, value);
    return statement_run(r, s, "erase a record", error);
}

static lp_err run_rid(replica *r, statement_name name, int64_t rid, lp_error *error) {
    sqlite3_stmt *s = statement(r, name, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    return statement_run(r, s, "erase a record", error);
}

lp_err erase_holds(replica *r, const lp_id *id, bool *erased_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_ERASED_HOLDS, error);
    *erased_out = false;
    if (!s)
        return LP_IO;
    bind_span(s, 1, id_span(id));
    lp_err err = statement_row(r, s, "read the replica", error);
    sqlite3_reset(s);
    *erased_out = !err;
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* ---- one record ---- */

static lp_err take_out_of_digest(replica *r, const replica_row *row, lp_error *error) {
    record rec;
    record_init(&rec, row->kind, &row->id);
    lp_err err = record_unpack(&rec, row->layered ? row->server_body : row->body,
                               row->layered ? row->server_stamps : row->stamps, error);
    if (!err)
        holdings_forget(r, row->held, &rec);
    record_fini(&rec);
    return err;
}

static lp_err drop_rid(replica *r, int64_t rid, lp_error *error) {
    static const statement_name drops[] = {STATEMENT_ERASE_OUTBOX,  STATEMENT_ERASE_REFUSED, STATEMENT_ERASE_PAST,
                                           STATEMENT_ERASE_WAITING, STATEMENT_LEAVING_DROP,  STATEMENT_CAME_DROP_RID,
                                           STATEMENT_ERASE_ROW};
    lp_err err = search_forget(r, rid, error);
    if (!err)
        err = outbox_thaw(r, rid, error);
    for (size_t i = 0; !err && i < sizeof drops / sizeof drops[0]; i++)
        err = run_rid(r, drops[i], rid, error);
    return err;
}

/* ---- what follows ---- */

/* The ids of records of a kind that follow `id`, back to back. */
static lp_err read_followers(replica *r, statement_name name, const lp_id *id, buf *ids_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, name, error);
    if (!s)
        return LP_IO;
    bind_span(s, 1, id_span(id));
    lp_err err;
    while (!(err = statement_row(r, s, "erase a record", error)))
        buf_append_span(ids_out, column_span(s, 0));
    sqlite3_reset(s);
    if (err == LP_NOT_FOUND)
        err = ids_out->failed ? err_plain(error, LP_NOMEM) : LP_OK;
    return err;
}

static lp_err erase_at(replica *r, const lp_id *id, int depth, bool *known, lp_error *error);

static lp_err erase_followers(replica *r, const lp_id *id, int depth, bool *known, lp_error *error) {
    buf ids = {0};
    lp_err err = read_followers(r, STATEMENT_TOUCHES_OF, id, &ids, error);
    if (!err)
        err = read_followers(r, STATEMENT_CONFLICTS_OF, id, &ids, error);
    for (size_t at = 0; !err && at + sizeof(lp_id) <= ids.size; at += sizeof(lp_id)) {
        lp_id follower;
        id_from_span(span_of(ids.data + at, sizeof follower), &follower);
        err = erase_at(r, &follower, depth + 1, known, error);
    }
    buf_fini(&ids);
    return err;
}

static lp_err erase_at(replica *r, const lp_id *id, int depth, bool *known, lp_error *error) {
    static const statement_name drops[] = {STATEMENT_ERASE_QUARANTINE, STATEMENT_KEPT_ERASE, STATEMENT_RECOVERED_ERASE};
    replica_row row;
    lp_err err = run_blob(r, STATEMENT_ERASED_ADD, id_span(id), error);
    for (size_t i = 0; !err && i < sizeof drops / sizeof drops[0]; i++) {
        err = run_blob(r, drops[i], id_span(id), error);
        *known |= !err && sqlite3_changes(r->db) > 0;
    }
    if (!err && depth < DEPTH_MAX)
        err = erase_followers(r, id, depth, known, error);
    if (!err)
        err = replica_load(r, id, &row, error);
    *known |= !err;
    if (!err) {
        int64_t rid = row.rid;
        err = take_out_of_digest(r, &row, error);
        statement(r, STATEMENT_ROW_BY_ID, NULL); /* done with its bytes */
        if (!err)
            err = drop_rid(r, rid, error);
    }
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err erase_record(replica *r, const lp_id *id, bool *known_out, lp_error *error) {
    *known_out = false;
    return erase_at(r, id, 0, known_out, error);
}

/* ---- local writes ---- */

lp_err erase_check_write(replica *r, uint32_t kind, const lp_id *id, const reg *changes, uint32_t count,
                         lp_error *error) {
    bool erased;
    lp_err err = erase_holds(r, id, &erased, error);
    uint32_t follows = schema_follows(kind);
    for (uint32_t i = 0; !err && !erased && follows && i < count; i++) {
        wire_reader value = wire_open(changes[i].value);
        lp_id followed;
        if (changes[i].field == follows && id_from_span(wire_bytes(&value), &followed))
            err = erase_holds(r, &followed, &erased, error);
    }
    if (!err && erased)
        err = err_set(
            error, LP_DENIED,
            "the person was erased from the pool, and nothing can be kept under this id any more; make a new lead if "
            "there is a new reason to");
    return err;
}
