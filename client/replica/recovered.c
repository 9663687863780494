/* recovered.c - see recovered.h. */
#include "client/replica/recovered.h"

#include "client/replica/clock.h"
#include "client/replica/layers.h"
#include "client/find/query.h"
#include "client/replica/statements.h"
#include "proto/change.h"
#include "proto/err.h"

lp_err recovered_keep(replica *r, uint32_t kind, const lp_id *id, const reg *value, lp_error *error) {
    if (span_equal(value->value, WIRE_NIL_SPAN))
        return LP_OK;
    sqlite3_stmt *s = statement(r, STATEMENT_RECOVERED_ADD, error);
    if (!s)
        return LP_IO;
    bind_span(s, 1, id_span(id));
    sqlite3_bind_int64(s, 2, kind);
    sqlite3_bind_int64(s, 3, value->field);
    bind_text(s, 4, value->key);
    bind_span(s, 5, value->value);
    bind_stamp(s, 6, value->stamp);
    sqlite3_bind_int64(s, 7, clock_now_ms(r));
    return statement_run(r, s, "save", error);
}

/* ---- what came back ---- */

/* A value that was kept, copied out of its row. */
typedef struct kept_value {
    lp_id id;
    uint32_t kind, field;
    stamp at;
    buf key;
} kept_value;

static void take_value(sqlite3_stmt *s, kept_value *v) {
    buf_clear(&v->key);
    id_from_span(column_span(s, 0), &v->id);
    v->kind = (uint32_t)sqlite3_column_int64(s, 1);
    v->field = (uint32_t)sqlite3_column_int64(s, 2);
    buf_append_span(&v->key, column_span(s, 3));
    v->at = column_stamp(s, 4);
}

static lp_err is_back(replica *r, const kept_value *v, bool *back_out, lp_error *error) {
    layers l;
    lp_err err = layers_open(r, v->kind, &v->id, &l, error);
    const reg *now = err ? NULL : record_find(l.layered ? &l.server : &l.visible, v->field, buf_span(&v->key));
    *back_out = now && stamp_compare(now->stamp, v->at) >= 0;
    layers_close(&l);
    return err;
}

static lp_err drop_value(replica *r, const kept_value *v, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_RECOVERED_DROP, error);
    if (!s)
        return LP_IO;
    bind_span(s, 1, id_span(&v->id));
    sqlite3_bind_int64(s, 2, v->field);
    bind_text(s, 3, buf_span(&v->key));
    bind_stamp(s, 4, v->at);
    return statement_run(r, s, "save", error);
}

/* Walks in order of the primary key, so that what is dropped is behind. */
static lp_err prune(replica *r, lp_error *error) {
    kept_value v = {.field = 0};
    lp_err err = LP_OK;
    bool back = false;
    for (int64_t passed = 0; !err; passed += !back) {
        sqlite3_stmt *s = statement(r, STATEMENT_RECOVERED_AT, error);
        if (!s)
            return LP_IO;
        sqlite3_bind_int64(s, 1, passed);
        err = statement_row(r, s, "read what was recovered", error);
        if (err)
            break;
        take_value(s, &v);
        sqlite3_reset(s);
        err = v.key.failed ? err_plain(error, LP_NOMEM) : is_back(r, &v, &back, error);
        if (!err && back)
            err = drop_value(r, &v, error);
    }
    buf_fini(&v.key);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err recovered_prune(replica *r, lp_error *error) {
    int64_t count;
    lp_err err = statement_int(r, STATEMENT_COUNT_RECOVERED, &count, error);
    if (err || count == 0)
        return err;
    err = replica_begin(r, error);
    if (err)
        return err;
    err = prune(r, error);
    if (!err)
        return replica_commit(r, error);
    replica_rollback(r);
    return err;
}

/* ---- what a person does with it ---- */

lp_err recovered_list(replica *r, lp_rows **rows_out, lp_error *error) {
    return query_registers(
        r,
        "SELECT dense_rank() OVER (ORDER BY id), id, kind, 0, stamp, field, key, value FROM recovered"
        " WHERE sending = 0 ORDER BY 1, stamp DESC",
        rows_out, error);
}

/* Runs a statement on what is listed of one record. */
static lp_err change_record(replica *r, statement_name which, const lp_id *id, lp_error *error) {
    lp_err err = replica_begin(r, error);
    if (err)
        return err;
    sqlite3_stmt *s = statement(r, which, error);
    err = s ? LP_OK : LP_IO;
    if (!err) {
        bind_span(s, 1, id_span(id));
        err = statement_run(r, s, "save", error);
    }
    if (!err && sqlite3_changes(r->db) == 0)
        err = err_set(error, LP_NOT_FOUND, "nothing of that record was recovered; leadpool recovered lists what was");
    if (!err)
        return replica_commit(r, error);
    replica_rollback(r);
    return err;
}

lp_err recovered_send(replica *r, const lp_id *id, lp_error *error) {
    return change_record(r, STATEMENT_RECOVERED_SEND, id, error);
}

lp_err recovered_drop(replica *r, const lp_id *id, lp_error *error) {
    return change_record(r, STATEMENT_RECOVERED_GIVE_UP, id, error);
}

/* ---- sending ---- */

lp_err recovered_to_send(replica *r, buf *changes_out, int64_t *sending_out, lp_error *error) {
    changes_writer w;
    *sending_out = 0;
    sqlite3_stmt *s = statement(r, STATEMENT_RECOVERED_TO_SEND, error);
    if (!s)
        return LP_IO;
    changes_init(&w);
    lp_err err;
    while (!(err = statement_row(r, s, "read what was recovered", error))) {
        lp_id id = {{0}};
        id_from_span(column_span(s, 0), &id);
        changes_begin(&w);
        change_put(&w, (uint32_t)sqlite3_column_int64(s, 2), column_span(s, 3), column_span(s, 5));
        changes_end(&w, (uint32_t)sqlite3_column_int64(s, 1), &id, column_stamp(s, 4), STAMP_NONE, 0);
        *sending_out = sqlite3_column_int64(s, 6);
    }
    sqlite3_reset(s);
    if (err == LP_NOT_FOUND)
        err = *sending_out ? changes_finish(&w, changes_out, error) : LP_OK;
    changes_fini(&w);
    return err;
}

lp_err recovered_sent(replica *r, int64_t sending, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_RECOVERED_SENT, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, sending);
    return statement_run(r, s, "save", error);
}
