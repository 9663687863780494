/* quarantine.c - see quarantine.h. */
#include "client/replica/quarantine.h"

#include "client/replica/clock.h"
#include "client/replica/statements.h"
#include "proto/err.h"

bool quarantine_takes(const replica *r, lp_err err) {
    bool about_the_record = err == LP_PROTOCOL || err == LP_CORRUPT || err == LP_INVALID || err == LP_TOO_LARGE;
    return about_the_record && !r->failed;
}

/* ---- attempts ---- */

static lp_err run(replica *r, const char *sql, lp_error *error) {
    return sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK ? LP_OK : replica_sql_error(r, "save", error);
}

lp_err attempt_begin(replica *r, attempt *a, lp_error *error) {
    *a = (attempt){r->scopes, r->clock, r->seen, r->touched};
    return run(r, "SAVEPOINT attempt", error);
}

lp_err attempt_keep(replica *r, lp_error *error) {
    return run(r, "RELEASE attempt", error);
}

lp_err attempt_undo(replica *r, const attempt *a, lp_error *error) {
    r->scopes = a->scopes;
    r->clock = a->clock;
    r->seen = a->seen;
    r->touched = a->touched;
    return run(r, "ROLLBACK TO attempt; RELEASE attempt", error);
}

/* ---- sets ---- */

static uint32_t add_stamp(record_sets *s, stamp made, int64_t skew_ms) {
    uint8_t bytes[STAMP_BYTES];
    if (stamp_is_none(made))
        return 0;
    stamp_pack(made, bytes);
    wire_put_bytes(&s->stamps, span_of(bytes, sizeof bytes));
    wire_put_i64(&s->stamps, skew_ms);
    return ++s->stamp_count;
}

void record_sets_add(record_sets *s, const change_set *set) {
    s->kind = set->kind;
    s->id = set->id;
    uint32_t at = add_stamp(s, set->stamp, set->skew_ms);
    uint32_t base = add_stamp(s, set->base, 0);
    wire_put_array(&s->sets, 5);
    wire_put_u64(&s->sets, set->kind);
    wire_put_bytes(&s->sets, id_span(&set->id));
    wire_put_u64(&s->sets, at);
    wire_put_u64(&s->sets, base);
    wire_put_array(&s->sets, set->field_count * 2);
    buf_append(&s->sets, set->fields.at, (size_t)(set->fields.end - set->fields.at));
    s->count++;
}

void record_sets_put(const record_sets *s, buf *out) {
    wire_put_array(out, 2);
    wire_put_array(out, s->stamp_count * 2);
    buf_append_span(out, buf_span(&s->stamps));
    wire_put_array(out, s->count);
    buf_append_span(out, buf_span(&s->sets));
    out->failed |= s->stamps.failed || s->sets.failed;
}

void record_sets_fini(record_sets *s) {
    buf_fini(&s->stamps);
    buf_fini(&s->sets);
    *s = (record_sets){0};
}

/* ---- the table ---- */

lp_err quarantine_keep(replica *r, span scope, const record_sets *sets, const lp_error *why, lp_error *error) {
    buf changes = {0};
    record_sets_put(sets, &changes);
    sqlite3_stmt *s = statement(r, STATEMENT_QUARANTINE_ADD, error);
    lp_err err = s ? LP_OK : LP_IO;
    if (!err && changes.failed)
        err = err_plain(error, LP_NOMEM);
    if (!err) {
        bind_span(s, 1, id_span(&sets->id));
        sqlite3_bind_int64(s, 2, sets->kind);
        sqlite3_bind_text(s, 3, (const char *)scope.data, (int)scope.size, SQLITE_STATIC);
        bind_span(s, 4, buf_span(&changes));
        sqlite3_bind_text(s, 5, why->message, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 6, LEADPOOL_VERSION, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 7, clock_now_ms(r));
        err = statement_run(r, s, "save", error);
    }
    buf_fini(&changes);
    return err;
}

lp_err quarantine_any(replica *r, bool *any_out, lp_error *error) {
    int64_t count = 0;
    lp_err err = statement_int(r, STATEMENT_COUNT_QUARANTINED, &count, error);
    *any_out = count > 0;
    return err;
}

lp_err quarantine_next(replica *r, int64_t after, int64_t *qid_out, buf *scope_out, buf *changes_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_QUARANTINE_NEXT, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, after);
    sqlite3_bind_text(s, 2, LEADPOOL_VERSION, -1, SQLITE_STATIC);
    lp_err err = statement_row(r, s, "read the replica", error);
    if (err)
        return err;
    *qid_out = sqlite3_column_int64(s, 0);
    buf_append_span(scope_out, column_span(s, 1));
    buf_append_span(changes_out, column_span(s, 2));
    sqlite3_reset(s);
    return scope_out->failed || changes_out->failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

lp_err quarantine_settle(replica *r, int64_t qid, bool taken, lp_error *error) {
    sqlite3_stmt *s = statement(r, taken ? STATEMENT_QUARANTINE_DROP : STATEMENT_QUARANTINE_AGAIN, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, qid);
    if (!taken)
        sqlite3_bind_text(s, 2, LEADPOOL_VERSION, -1, SQLITE_STATIC);
    return statement_run(r, s, "save", error);
}
