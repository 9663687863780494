/* rescue.c - see rescue.h.
 *
 * Every leaf page is looked at, and rows are known by their shape: columns, types, sizes (the stamp of an outbox row has 12 bytes,
 * its body reads as exactly `count` changes). Rows of deleted things cannot turn up: secure_delete has zeroed them.
 * What says which record a rid is may be found in three places, the record itself and two indexes. */
#include "client/doctor/rescue.h"

#include <stdlib.h>
#include <string.h>

#include "client/doctor/checks.h"
#include "client/doctor/cells.h"
#include "client/replica/layers.h"
#include "client/replica/statements.h"
#include "proto/err.h"
#include "proto/schema.h"
#include "proto/wire.h"

/* Tables that are taken over row by row, if this version has them. */
static const char *const tables[] = {"outbox", "past", "refused", "kept", "boot", "contact"};
#define TABLE_COUNT (sizeof tables / sizeof *tables)
#define OUTBOX 0
#define PAST 1

typedef struct column {
    cell_type type;
    bool key;       /* the rowid's other name: NULL in the row itself */
    uint32_t bytes; /* 0: any */
} column;

typedef struct shape {
    const char *table;
    uint32_t count; /* 0: there is no such table */
    column columns[CELL_COLUMNS_MAX];
    uint32_t at_count, at_body; /* of rows that hold changes; at_count of an outbox row only */
    sqlite3_stmt *insert;
} shape;

typedef struct rescuer {
    replica *to;
    shape shapes[TABLE_COUNT];
    sqlite3_stmt *row, *entry, *kind, *meta, *recovered;
    uint64_t damaged;
    lp_err err;
    lp_error *error;
} rescuer;

static const char scratch_sql[] =
    "CREATE TEMP TABLE by_row(rid INTEGER PRIMARY KEY, id BLOB NOT NULL, kind INTEGER NOT NULL);"
    "CREATE TEMP TABLE by_index(rid INTEGER NOT NULL, id BLOB NOT NULL, UNIQUE(rid, id));"
    "CREATE TEMP TABLE by_kind(rid INTEGER PRIMARY KEY, kind INTEGER NOT NULL);"
    "CREATE TEMP TABLE old_meta(key TEXT PRIMARY KEY, value);"
    "CREATE TEMP TABLE place(old INTEGER PRIMARY KEY, new INTEGER NOT NULL);";

static const char scratch_drop_sql[] = "DROP TABLE IF EXISTS temp.by_row; DROP TABLE IF EXISTS temp.by_index;"
                                       "DROP TABLE IF EXISTS temp.by_kind; DROP TABLE IF EXISTS temp.old_meta;"
                                       "DROP TABLE IF EXISTS temp.place;";

static lp_err failed(rescuer *x) {
    return replica_sql_error(x->to, "rescue the outbox", x->error);
}

static lp_err run_sql(rescuer *x, const char *sql) {
    return replica_run_sql(x->to, sql, "rescue the outbox", x->error);
}

static lp_err prepare(rescuer *x, const char *sql, sqlite3_stmt **statement_out) {
    return sqlite3_prepare_v2(x->to->db, sql, -1, statement_out, NULL) == SQLITE_OK ? LP_OK : failed(x);
}

/* ---- shapes ---- */

static column column_of(const char *name, const char *type, bool key) {
    bool is_stamp = strcmp(name, "stamp") == 0 || strcmp(name, "base") == 0;
    return (column){.type = strcmp(type, "INTEGER") == 0 ? CELL_INT
                            : strcmp(type, "TEXT") == 0  ? CELL_TEXT
                                                         : CELL_BLOB,
                    .key = key,
                    .bytes = is_stamp                  ? STAMP_BYTES
                             : strcmp(name, "id") == 0 ? sizeof(lp_id)
                                                       : 0};
}

/* INSERT OR IGNORE INTO main.T VALUES(?1, ...): a row that was found twice is one. */
static lp_err prepare_insert(rescuer *x, shape *s) {
    buf sql = {0};
    char text[64];
    sqlite3_snprintf(sizeof text, text, "INSERT OR IGNORE INTO main.%s VALUES(", s->table);
    buf_append_span(&sql, span_text(text));
    for (uint32_t i = 0; i < s->count; i++)
        buf_append_span(&sql, i ? SPAN_LITERAL(",?") : SPAN_LITERAL("?"));
    buf_append(&sql, ")", 2);
    lp_err err = sql.failed ? err_plain(x->error, LP_NOMEM) : prepare(x, (const char *)sql.data, &s->insert);
    buf_fini(&sql);
    return err;
}

static lp_err learn_shape(rescuer *x, const char *table, shape *s) {
    sqlite3_stmt *info = NULL;
    *s = (shape){.table = table};
    lp_err err = prepare(x, "SELECT name, type, pk FROM pragma_table_info(?1) ORDER BY cid", &info);
    if (!err)
        sqlite3_bind_text(info, 1, table, -1, SQLITE_STATIC);
    int step = SQLITE_DONE;
    while (!err && s->count < CELL_COLUMNS_MAX && (step = sqlite3_step(info)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(info, 0);
        const char *type = (const char *)sqlite3_column_text(info, 1);
        if (strcmp(name, "count") == 0)
            s->at_count = s->count;
        if (strcmp(name, "body") == 0)
            s->at_body = s->count;
        s->columns[s->count++] = column_of(name, type, sqlite3_column_int(info, 2) && strcmp(type, "INTEGER") == 0);
    }
    if (!err && step != SQLITE_DONE)
        err = failed(x);
    sqlite3_finalize(info);
    return err || s->count == 0 ? err : prepare_insert(x, s);
}

static bool has_shape(const shape *s, const cell *row) {
    if (s->count == 0 || row->count != s->count)
        return false;
    for (uint32_t i = 0; i < s->count; i++) {
        const column *c = &s->columns[i];
        const cell_value *v = &row->values[i];
        if (v->type != (c->key ? CELL_NULL : c->type) || (c->bytes && v->bytes.size != c->bytes))
            return false;
    }
    return true;
}

/* ---- what a row is ---- */

static void bind(sqlite3_stmt *s, int parameter, const cell_value *v) {
    switch (v->type) {
    case CELL_INT:
        sqlite3_bind_int64(s, parameter, v->integer);
        break;
    case CELL_REAL:
        sqlite3_bind_double(s, parameter, v->real);
        break;
    case CELL_TEXT:
        sqlite3_bind_text(s, parameter, v->bytes.size ? (const char *)v->bytes.data : "", (int)v->bytes.size,
                          SQLITE_STATIC);
        break;
    case CELL_BLOB:
        bind_span(s, parameter, v->bytes);
        break;
    case CELL_NULL:
        sqlite3_bind_null(s, parameter);
        break;
    }
}

static bool finish(rescuer *x, sqlite3_stmt *s) {
    int rc = sqlite3_step(s);
    sqlite3_reset(s);
    if (rc != SQLITE_DONE)
        x->err = failed(x);
    return !x->err;
}

static bool keep_row(rescuer *x, const shape *s, const cell *row) {
    for (uint32_t i = 0; i < s->count; i++)
        bind(s->insert, (int)i + 1, s->columns[i].key ? &(cell_value){CELL_INT, row->rowid, 0, {0}} : &row->values[i]);
    return finish(x, s->insert);
}

static bool keep_three(rescuer *x, sqlite3_stmt *s, int64_t rid, const cell_value *second, const cell_value *third) {
    sqlite3_bind_int64(s, 1, rid);
    bind(s, 2, second);
    if (third)
        bind(s, 3, third);
    return finish(x, s);
}

static bool is_id(const cell_value *v) {
    return v->type == CELL_BLOB && v->bytes.size == sizeof(lp_id);
}

static lp_err check_changes(const shape *s, size_t table, const cell *row) {
    if (table != OUTBOX && table != PAST)
        return LP_OK;
    int64_t count = table == OUTBOX ? row->values[s->at_count].integer : 1;
    return check_entry(row->values[s->at_body].bytes, count);
}

static bool take_table_row(rescuer *x, const cell *row) {
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const shape *s = &x->shapes[t];
        if (!has_shape(s, row))
            continue;
        lp_err err = check_changes(s, t, row);
        if (err == LP_NOMEM)
            return false;
        if (err) {
            x->damaged++;
            return true;
        }
        return keep_row(x, s, row);
    }
    /* A record begins with its rowid, id and kind, and is the only table that does. */
    const cell_value *v = row->values;
    if (row->count > 8 && v[0].type == CELL_NULL && is_id(&v[1]) && v[2].type == CELL_INT)
        return keep_three(x, x->row, row->rowid, &v[1], &v[2]);
    return true;
}

/* A table without rowid is an index: its key comes first, (id, field, key, stamp), then kind, value, at_ms, sending. */
static bool is_recovered(const cell *row) {
    static const cell_type types[] = {CELL_BLOB, CELL_INT,  CELL_TEXT, CELL_BLOB,
                                      CELL_INT,  CELL_BLOB, CELL_INT,  CELL_INT};
    if (row->count != sizeof types / sizeof *types || !is_id(&row->values[0]))
        return false;
    for (uint32_t i = 0; i < row->count; i++)
        if (row->values[i].type != types[i])
            return false;
    return row->values[3].bytes.size == STAMP_BYTES;
}

static bool keep_recovered(rescuer *x, const cell *row) {
    if (wire_scan(row->values[5].bytes, NULL) != LP_OK) {
        x->damaged++;
        return true;
    }
    for (uint32_t i = 0; i < row->count; i++)
        bind(x->recovered, (int)i + 1, &row->values[i]);
    return finish(x, x->recovered);
}

static bool take_index_entry(rescuer *x, const cell *row) {
    const cell_value *v = row->values;
    if (row->count == 2 && is_id(&v[0]) && v[1].type == CELL_INT)
        return keep_three(x, x->entry, v[1].integer, &v[0], NULL);
    if (row->count == 3 && v[0].type == CELL_INT && v[1].type == CELL_INT && v[2].type == CELL_INT)
        return keep_three(x, x->kind, v[2].integer, &v[0], NULL);
    if (row->count == 2 && v[0].type == CELL_TEXT) {
        bind(x->meta, 1, &v[0]);
        bind(x->meta, 2, &v[1]);
        return finish(x, x->meta);
    }
    if (is_recovered(row))
        return keep_recovered(x, row);
    return true;
}

static bool take(void *ctx, const cell *row) {
    return row->table ? take_table_row(ctx, row) : take_index_entry(ctx, row);
}

/* ---- records for what was found ---- */

static const char found_sql[] =
    "SELECT want.rid, coalesce(r.id, (SELECT max(i.id) FROM temp.by_index i WHERE i.rid = want.rid"
    " AND i.id NOT IN (SELECT b.id FROM main.boot b)"
    "                                 HAVING count(*) = 1)),"
    " coalesce(r.kind, k.kind, ?1), want.rid IN (SELECT rid FROM main.outbox)"
    " FROM (SELECT rid FROM main.outbox UNION SELECT rid FROM main.refused UNION SELECT rid FROM main.past) want"
    " LEFT JOIN temp.by_row r ON r.rid = want.rid LEFT JOIN temp.by_kind k ON k.rid = want.rid ORDER BY 1";

static lp_err keep_place(rescuer *x, sqlite3_stmt *place, sqlite3_stmt *found, int64_t rid) {
    sqlite3_bind_int64(place, 1, sqlite3_column_int64(found, 0));
    sqlite3_bind_int64(place, 2, rid);
    return finish(x, place) ? LP_OK : x->err;
}

/* An empty record, to be filled from the outbox; *orphan_out: nothing says which one it was, so it gets an id of its own. */
static lp_err make_record(rescuer *x, sqlite3_stmt *found, sqlite3_stmt *place, bool *orphan_out) {
    lp_id id;
    uint32_t kind = (uint32_t)sqlite3_column_int64(found, 2);
    bool queued = sqlite3_column_int(found, 3) != 0;
    int64_t rid;
    record empty;
    replica_row there;
    *orphan_out = !id_from_span(column_span(found, 1), &id);
    if (*orphan_out)
        id = id_new(x->to->env, x->to->env->wall_ms(x->to->env->ctx));
    lp_err err = replica_load(x->to, &id, &there, x->error);
    bool twice = err == LP_OK; /* the same record under two rids: what damage does to an index */
    rid = twice ? there.rid : 0;
    if (err && err != LP_NOT_FOUND)
        return err;
    if (twice)
        return keep_place(x, place, found, rid);
    record_init(&empty, kind, &id);
    err =
        replica_store(x->to, 0, &(replica_image){.visible = &empty, .server = queued ? &empty : NULL, .unsent = queued},
                      &rid, x->error);
    record_fini(&empty);
    return err ? err : keep_place(x, place, found, rid);
}

static lp_err make_records(rescuer *x, lp_rescued *rescued) {
    sqlite3_stmt *found = NULL, *place = NULL;
    bool orphan;
    lp_err err = prepare(x, found_sql, &found);
    if (!err)
        err = prepare(x, "INSERT INTO temp.place VALUES(?1, ?2)", &place);
    if (!err)
        sqlite3_bind_int64(found, 1, KIND_LEAD);
    int step = SQLITE_DONE;
    while (!err && (step = sqlite3_step(found)) == SQLITE_ROW) {
        err = make_record(x, found, place, &orphan);
        rescued->records++;
        rescued->orphans += orphan;
    }
    if (!err && step != SQLITE_DONE)
        err = failed(x);
    sqlite3_finalize(found);
    sqlite3_finalize(place);
    return err ? err
               : run_sql(x, "UPDATE main.outbox SET rid = (SELECT new FROM temp.place WHERE old = rid);"
                            "UPDATE main.refused SET rid = (SELECT new FROM temp.place WHERE old = rid);"
                            "UPDATE main.past SET rid = (SELECT new FROM temp.place WHERE old = rid);");
}

/* What the person sees, from what is to be sent. */
static lp_err rebuild(replica *r, lp_error *error) {
    sqlite3_stmt *s = NULL;
    lp_err err = LP_OK;
    if (sqlite3_prepare_v2(r->db, "SELECT rid FROM record WHERE unsent", -1, &s, NULL) != SQLITE_OK)
        err = replica_sql_error(r, "rescue the outbox", error);
    int step = SQLITE_DONE;
    while (!err && (step = sqlite3_step(s)) == SQLITE_ROW)
        err = layers_rebuild(r, sqlite3_column_int64(s, 0), error);
    if (!err && step != SQLITE_DONE)
        err = replica_sql_error(r, "rescue the outbox", error);
    sqlite3_finalize(s);
    return err;
}

/* ---- identity ---- */

/* What makes this replica a device of its pool. `bytes` 0: not empty; -1: an integer above 0. */
static const struct {
    const char *key;
    int bytes;
} identity[] = {{"pool.id", 16},     {"staff.id", 16},       {"device.number", -1},
                {"device.seed", 32}, {"device.install", 16}, {"server.host", 0},
                {"server.port", -1}, {"server.pin", 32},     {"batch.last", -1}};

static lp_err has_identity(rescuer *x, bool *whole_out) {
    sqlite3_stmt *s = NULL;
    lp_err err = prepare(x, "SELECT value FROM temp.old_meta WHERE key = ?1", &s);
    *whole_out = !err;
    for (size_t i = 0; !err && i < sizeof identity / sizeof *identity; i++) {
        sqlite3_bind_text(s, 1, identity[i].key, -1, SQLITE_STATIC);
        bool there = sqlite3_step(s) == SQLITE_ROW;
        int bytes = identity[i].bytes;
        bool never = !there && strcmp(identity[i].key, "batch.last") == 0;
        bool good = there && (bytes < 0 ? sqlite3_column_int64(s, 0) > 0
                              : bytes   ? sqlite3_column_bytes(s, 0) == bytes
                                        : sqlite3_column_bytes(s, 0) > 0);
        *whole_out &= good || never;
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    return err;
}

static const char meta_sql[] = "INSERT OR REPLACE INTO main.meta SELECT key, value FROM temp.old_meta"
                               " WHERE key NOT GLOB 'cursor.*' AND key NOT GLOB 'digest.*' AND key NOT GLOB 'sync.*'"
                               " AND key NOT IN ('scopes', 'server.ticket', 'scrub.due', 'wal.scrub');";

static const char no_identity_sql[] =
    "DELETE FROM main.meta WHERE key GLOB 'device.*' OR key GLOB 'pool.*' OR key GLOB 'staff.*' OR key GLOB 'server.*'"
    " OR key GLOB 'batch.*' OR key GLOB 'epoch*' OR key = 'role';";

/* No own stamp may be given twice, even if the clock's own note of the last one is lost. */
static lp_err set_clock(rescuer *x) {
    sqlite3_stmt *s = NULL;
    int64_t last = replica_meta_int(x->to, "clock.last", 0);
    lp_err err = last ? LP_OK : prepare(x, "SELECT stamp FROM main.outbox", &s);
    while (s && sqlite3_step(s) == SQLITE_ROW) {
        int64_t time = (int64_t)column_stamp(s, 0).time;
        last = time > last ? time : last;
    }
    sqlite3_finalize(s);
    return err ? err : replica_meta_put_int(x->to, "clock.last", last, x->error);
}

static lp_err take_meta(rescuer *x, lp_rescued *rescued) {
    lp_err err = has_identity(x, &rescued->joined);
    if (!err)
        err = run_sql(x, meta_sql);
    if (!err && !rescued->joined)
        err = run_sql(x, no_identity_sql);
    /* What became of the numbers before is not known for sure any more: none of them counts as given up. */
    if (!err && rescued->joined)
        err = replica_meta_put_int(x->to, "batch.thawed", replica_meta_int(x->to, "batch.last", 0), x->error);
    return err ? err : set_clock(x);
}

/* ---- the whole ---- */

static lp_err open_rescuer(rescuer *x) {
    lp_err err = run_sql(x, scratch_sql);
    for (size_t t = 0; !err && t < TABLE_COUNT; t++)
        err = learn_shape(x, tables[t], &x->shapes[t]);
    if (!err)
        err = prepare(x, "INSERT OR IGNORE INTO temp.by_row VALUES(?1, ?2, ?3)", &x->row);
    if (!err)
        err = prepare(x, "INSERT OR IGNORE INTO temp.by_index VALUES(?1, ?2)", &x->entry);
    if (!err)
        err = prepare(x, "INSERT OR IGNORE INTO temp.by_kind VALUES(?1, ?2)", &x->kind);
    if (!err)
        err = prepare(x, "INSERT OR IGNORE INTO temp.old_meta VALUES(?1, ?2)", &x->meta);
    return err ? err
               : prepare(x,
                         "INSERT OR IGNORE INTO main.recovered(id, field, key, stamp, kind, value, at_ms, sending)"
                         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                         &x->recovered);
}

static void close_rescuer(rescuer *x) {
    for (size_t t = 0; t < TABLE_COUNT; t++)
        sqlite3_finalize(x->shapes[t].insert);
    sqlite3_finalize(x->row);
    sqlite3_finalize(x->entry);
    sqlite3_finalize(x->kind);
    sqlite3_finalize(x->meta);
    sqlite3_finalize(x->recovered);
    sqlite3_exec(x->to->db, scratch_drop_sql, NULL, NULL, NULL);
}

static lp_err count_rescued(rescuer *x, disk_image *from, lp_rescued *rescued) {
    sqlite3_stmt *s = NULL;
    lp_err err =
        prepare(x,
                "SELECT (SELECT coalesce(sum(count), 0) FROM main.outbox), (SELECT count(*) FROM main.refused),"
                " (SELECT count(*) FROM main.past), (SELECT count(*) FROM main.recovered)",
                &s);
    if (!err && sqlite3_step(s) != SQLITE_ROW)
        err = failed(x);
    if (!err) {
        rescued->changes = (uint64_t)sqlite3_column_int64(s, 0);
        rescued->refused = (uint64_t)sqlite3_column_int64(s, 1);
        rescued->past = (uint64_t)sqlite3_column_int64(s, 2);
        rescued->recovered = (uint64_t)sqlite3_column_int64(s, 3);
    }
    sqlite3_finalize(s);
    rescued->damaged = x->damaged;
    rescued->unreadable_pages = image_unreadable(from);
    return err;
}

static lp_err take_over(rescuer *x, disk_image *from, lp_rescued *rescued) {
    uint32_t skipped = 0;
    lp_err err = open_rescuer(x);
    for (uint32_t page = 1; !err && page <= image_pages(from); page++)
        if (!cells_each(from, page, take, x, &skipped))
            err = x->err ? x->err : err_plain(x->error, LP_NOMEM);
    x->damaged += skipped;
    if (!err)
        err = make_records(x, rescued);
    if (!err)
        err = take_meta(x, rescued);
    if (!err)
        err = rebuild(x->to, x->error);
    return err ? err : count_rescued(x, from, rescued);
}

lp_err rescue_run(disk_image *from, replica *to, lp_rescued *rescued_out, lp_error *error) {
    rescuer *x = calloc(1, sizeof *x);
    *rescued_out = (lp_rescued){0};
    if (!x)
        return err_plain(error, LP_NOMEM);
    x->to = to;
    x->error = error;
    lp_err err = replica_begin(to, error);
    if (!err) {
        err = take_over(x, from, rescued_out);
        to->touched = false; /* the clock is the one that was taken over, not the handle's */
        close_rescuer(x);
        if (err)
            replica_rollback(to);
        else
            err = replica_commit(to, error);
    }
    free(x);
    return err ? err : replica_identify(to, error);
}

/* ---- joining with it ---- */

lp_err rescue_adopt(replica *r, uint32_t device, lp_error *error) {
    static const char sql[] =
        "UPDATE outbox SET base = CAST(substr(base, 1, 8) || ?1 AS BLOB) WHERE base IN (SELECT stamp FROM outbox);"
        "UPDATE outbox SET stamp = CAST(substr(stamp, 1, 8) || ?1 AS BLOB);";
    uint8_t author[4] = {(uint8_t)(device >> 24), (uint8_t)(device >> 16), (uint8_t)(device >> 8), (uint8_t)device};
    const char *rest = sql;
    lp_err err = LP_OK;
    for (int i = 0; !err && i < 2; i++) {
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(r->db, rest, -1, &s, &rest);
        if (rc == SQLITE_OK)
            rc = sqlite3_bind_blob(s, 1, author, sizeof author, SQLITE_STATIC);
        if (rc == SQLITE_OK)
            rc = sqlite3_step(s);
        err = rc == SQLITE_DONE ? LP_OK : replica_sql_error(r, "join", error);
        sqlite3_finalize(s);
    }
    return err ? err : rebuild(r, error);
}
