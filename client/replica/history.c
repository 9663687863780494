/* history.c - lp_history out of four tables: record (what stands), outbox (what of it is unsent), past, refused.
 *
 * The same change can be in several of them: an unsent change that a newer value overtook is in outbox and past. A change is
 * one entry, known by (field, key, stamp), with the strongest state found: current or unsent, refused, past. Everything is
 * gathered into one list of owned bytes first, then sorted, thinned and given its final form. */
#include "client/replica/history.h"

#include <stdlib.h>
#include <string.h>

#include "client/replica/fields.h"
#include "proto/change.h"
#include "proto/err.h"

typedef struct entry {
    uint32_t field;
    stamp stamp;
    lp_change_state state;
    bool uncertain;
    char *key; /* owned, as are value and reason */
    size_t key_size;
    char *value;
    size_t value_size;
    char *reason;
    char *name; /* of the field; made last */
} entry;

struct lp_log {
    entry *list;
    uint32_t count;
    uint32_t capacity;
    uint32_t kind;
};

/* ---- gathering ---- */

/* A copy with a NUL behind it, NULL if out of memory. A text ends where its msgpack bytes end, so the NUL follows it too. */
static char *copy(span bytes) {
    char *made = malloc(bytes.size + 1);
    if (!made)
        return NULL;
    if (bytes.size)
        memcpy(made, bytes.data, bytes.size);
    made[bytes.size] = 0;
    return made;
}

static void entry_free(entry *e) {
    free(e->key);
    free(e->value);
    free(e->reason);
    free(e->name);
}

static lp_err add(lp_log *log, const reg *change, lp_change_state state, const char *reason, lp_error *error) {
    if (log->count == log->capacity) {
        uint32_t capacity = log->capacity ? log->capacity * 2 : 32;
        entry *list = realloc(log->list, capacity * sizeof *list);
        if (!list)
            return err_plain(error, LP_NOMEM);
        log->list = list;
        log->capacity = capacity;
    }
    entry *e = &log->list[log->count++];
    *e = (entry){.field = change->field, .stamp = change->stamp, .state = state, .uncertain = change->uncertain};
    e->key = copy(change->key);
    e->key_size = change->key.size;
    e->value = copy(change->value);
    e->value_size = change->value.size;
    e->reason = reason ? copy(span_text(reason)) : NULL;
    return e->key && e->value && (e->reason || !reason) ? LP_OK : err_plain(error, LP_NOMEM);
}

static span column_span(sqlite3_stmt *statement, int column) {
    const void *data = sqlite3_column_blob(statement, column);
    return span_of(data, (size_t)sqlite3_column_bytes(statement, column));
}

static lp_err damaged(lp_error *error) {
    return err_set(error, LP_CORRUPT, "the history of a record is damaged; restore the replica from a backup");
}

static lp_err add_current(lp_log *log, sqlite3_stmt *statement, lp_error *error) {
    record rec;
    record_init(&rec, log->kind, &(lp_id){0});
    lp_err code = record_unpack(&rec, column_span(statement, 0), column_span(statement, 1), error);
    for (uint32_t i = 0; i < rec.count && code == LP_OK; i++)
        code = add(log, &rec.regs[i], LP_CHANGE_CURRENT, NULL, error);
    record_fini(&rec);
    return code;
}

/* Columns: stamp, body with `field, value` pairs, uncertain. */
static lp_err add_pairs(lp_log *log, sqlite3_stmt *statement, lp_change_state state, lp_error *error) {
    span packed = column_span(statement, 0);
    wire_reader r = wire_open(column_span(statement, 1));
    if (packed.size != STAMP_BYTES)
        return damaged(error);
    stamp made = stamp_unpack(packed.data);
    lp_err code = LP_OK;
    reg change;
    while (code == LP_OK && r.at < r.end && change_unpack(&r, &change)) {
        change.stamp = made;
        change.uncertain = sqlite3_column_int(statement, 2) != 0;
        code = add(log, &change, state, NULL, error);
    }
    return code == LP_OK && !wire_done(&r) ? damaged(error) : code;
}

static lp_err add_outbox(lp_log *log, sqlite3_stmt *statement, lp_error *error) {
    return add_pairs(log, statement, LP_CHANGE_UNSENT, error);
}

static lp_err add_past(lp_log *log, sqlite3_stmt *statement, lp_error *error) {
    return add_pairs(log, statement, LP_CHANGE_PAST, error);
}

static lp_err add_refused(lp_log *log, sqlite3_stmt *statement, lp_error *error) {
    span packed = column_span(statement, 0);
    if (packed.size != STAMP_BYTES)
        return damaged(error);
    reg change = {.field = (uint32_t)sqlite3_column_int64(statement, 1), .stamp = stamp_unpack(packed.data)};
    change.key = column_span(statement, 2);
    change.value = column_span(statement, 3);
    const char *reason = (const char *)sqlite3_column_text(statement, 4);
    return add(log, &change, LP_CHANGE_REFUSED, reason ? reason : "", error);
}

static lp_err gather(replica *r, lp_log *log, int64_t rid, const char *sql,
                     lp_err (*add_row)(lp_log *, sqlite3_stmt *, lp_error *), lp_error *error) {
    sqlite3_stmt *statement = NULL;
    lp_err code = LP_OK;
    int step = SQLITE_ERROR;
    if (sqlite3_prepare_v2(r->db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_int64(statement, 1, rid) == SQLITE_OK)
        while (code == LP_OK && (step = sqlite3_step(statement)) == SQLITE_ROW)
            code = add_row(log, statement, error);
    if (code == LP_OK && step != SQLITE_DONE)
        code = replica_sql_error(r, "read the history of a record", error);
    sqlite3_finalize(statement);
    return code;
}

/* ---- order, states, names ---- */

static int compare_entries(const void *left, const void *right) {
    const entry *a = left, *b = right;
    int order = stamp_compare(a->stamp, b->stamp);
    if (order != 0)
        return order;
    if (a->field != b->field)
        return a->field < b->field ? -1 : 1;
    order = span_compare(span_of(a->key, a->key_size), span_of(b->key, b->key_size));
    return order != 0 ? order : (int)a->state - (int)b->state;
}

static bool same_change(const entry *a, const entry *b) {
    return stamp_compare(a->stamp, b->stamp) == 0 && a->field == b->field &&
           span_equal(span_of(a->key, a->key_size), span_of(b->key, b->key_size));
}

/* Of what each table says about one change: standing and in the outbox is unsent; in the outbox alone is overtaken. */
static lp_change_state joint_state(const bool said[4]) {
    if (said[LP_CHANGE_CURRENT])
        return said[LP_CHANGE_UNSENT] ? LP_CHANGE_UNSENT : LP_CHANGE_CURRENT;
    return said[LP_CHANGE_REFUSED] ? LP_CHANGE_REFUSED : LP_CHANGE_PAST;
}

/* Makes runs of the same change one entry: the last of the run, which is the one with a reason if any has one. */
static void join(lp_log *log) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < log->count;) {
        bool said[4] = {false};
        uint32_t end = i;
        while (end < log->count && same_change(&log->list[i], &log->list[end]))
            said[log->list[end++].state] = true;
        entry last = log->list[end - 1];
        for (uint32_t j = i; j + 1 < end; j++) {
            last.uncertain |= log->list[j].uncertain;
            entry_free(&log->list[j]);
        }
        last.state = joint_state(said);
        log->list[kept++] = last;
        i = end;
    }
    log->count = kept;
}

static lp_err name_fields(lp_log *log, lp_error *error) {
    for (uint32_t i = 0; i < log->count; i++) {
        entry *e = &log->list[i];
        span key = span_of(e->key, e->key_size);
        size_t size = fields_name(log->kind, e->field, key, NULL, 0) + 1;
        e->name = malloc(size);
        if (!e->name)
            return err_plain(error, LP_NOMEM);
        fields_name(log->kind, e->field, key, e->name, size);
    }
    return LP_OK;
}

/* ---- the whole ---- */

static lp_err find(replica *r, const lp_id *id, int64_t *rid_out, uint32_t *kind_out, lp_error *error) {
    sqlite3_stmt *statement = NULL;
    lp_err code = LP_OK;
    int step = SQLITE_ERROR;
    if (sqlite3_prepare_v2(r->db, "SELECT rid, kind FROM record WHERE id = ?1", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_blob(statement, 1, id->bytes, sizeof id->bytes, SQLITE_STATIC) == SQLITE_OK)
        step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        *rid_out = sqlite3_column_int64(statement, 0);
        *kind_out = (uint32_t)sqlite3_column_int64(statement, 1);
    } else if (step == SQLITE_DONE) {
        char text[LP_ID_TEXT_BYTES];
        lp_id_format(id, text);
        code = err_set(error, LP_NOT_FOUND, "no record %s on this device; sync, or check the id", text);
    } else {
        code = replica_sql_error(r, "read a record", error);
    }
    sqlite3_finalize(statement);
    return code;
}

static lp_err fill(replica *r, lp_log *log, int64_t rid, lp_error *error) {
    static const struct {
        const char *sql;
        lp_err (*add_row)(lp_log *, sqlite3_stmt *, lp_error *);
    } sources[] = {
        {"SELECT body, stamps FROM record WHERE rid = ?1", add_current},
        {"SELECT stamp, body, uncertain FROM outbox WHERE rid = ?1", add_outbox},
        {"SELECT stamp, body, uncertain FROM past WHERE rid = ?1", add_past},
        {"SELECT stamp, field, key, value, reason FROM refused WHERE rid = ?1", add_refused},
    };
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        lp_err code = gather(r, log, rid, sources[i].sql, sources[i].add_row, error);
        if (code != LP_OK)
            return code;
    }
    if (log->count)
        qsort(log->list, log->count, sizeof *log->list, compare_entries);
    join(log);
    return name_fields(log, error);
}

lp_err history_list(replica *r, const lp_id *id, lp_log **log_out, lp_error *error) {
    int64_t rid = 0;
    uint32_t kind = 0;
    *log_out = NULL;
    lp_err code = find(r, id, &rid, &kind, error);
    if (code != LP_OK)
        return code;
    lp_log *log = calloc(1, sizeof *log);
    if (!log)
        return err_plain(error, LP_NOMEM);
    log->kind = kind;
    code = fill(r, log, rid, error);
    if (code != LP_OK) {
        lp_log_free(log);
        return code;
    }
    *log_out = log;
    return LP_OK;
}

uint32_t lp_log_count(const lp_log *log) {
    return log->count;
}

lp_err lp_log_at(const lp_log *log, uint32_t index, lp_change *change_out) {
    if (index >= log->count)
        return LP_INVALID;
    const entry *e = &log->list[index];
    *change_out = (lp_change){
        .field = e->name,
        .value = wire_value(span_of(e->value, e->value_size)),
        .at_ms = stamp_ms(e->stamp),
        .author = e->stamp.author,
        .state = e->state,
        .reason = e->state == LP_CHANGE_REFUSED ? e->reason : NULL,
        .time_uncertain = e->uncertain,
    };
    return LP_OK;
}

void lp_log_free(lp_log *log) {
    if (!log)
        return;
    for (uint32_t i = 0; i < log->count; i++)
        entry_free(&log->list[i]);
    free(log->list);
    free(log);
}
