/* shelf.c - rows put straight into a replica's table; see shelf.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/shelf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/replica/fields.h"
#include "client/os.h"
#include "client/find/typed.h"
#include "proto/wire.h"

void shelf_open(shelf *s) {
    *s = (shelf){.now_ms = 1700000000000};
    snprintf(s->directory, sizeof s->directory, "/tmp/leadpool-shelf-XXXXXX");
    assert_non_null(mkdtemp(s->directory));
    snprintf(s->path, sizeof s->path, "%s/replica", s->directory);
    lp_error error = {0};
    if (replica_open(s->path, true, os_env(), NULL, &s->r, &error) != LP_OK)
        fail_msg("%s", error.message);
}

void shelf_close(shelf *s) {
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
    char path[112];
    replica_close(s->r);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(path, sizeof path, "%s%s", s->path, suffixes[i]);
        unlink(path);
    }
    rmdir(s->directory);
}

void shelf_sql(shelf *s, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(s->r->db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static sqlite3_stmt *prepare(shelf *s, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(s->r->db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(s->r->db));
    return statement;
}

static void finish(shelf *s, sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE)
        fail_msg("%s", sqlite3_errmsg(s->r->db));
    sqlite3_finalize(statement);
}

/* Stores the row of `rec`, replacing what is there, and queues it for the index. */
static void store(shelf *s, const record *rec) {
    char sql[2048] = "INSERT INTO record(id, kind, deleted, unsent, body, stamps";
    char marks[512] = ") VALUES(?1, ?2, ?3, 0, ?4, ?5";
    char updates[2048] = ") ON CONFLICT(id) DO UPDATE SET deleted = ?3, body = ?4, stamps = ?5";
    const char *name, *type;
    for (uint32_t i = 0; (name = fields_column(i, &type)); i++) {
        snprintf(sql + strlen(sql), sizeof sql - strlen(sql), ", %s", name);
        snprintf(marks + strlen(marks), sizeof marks - strlen(marks), ", ?%u", 6 + i);
        snprintf(updates + strlen(updates), sizeof updates - strlen(updates), ", %s = ?%u", name, 6 + i);
    }
    snprintf(sql + strlen(sql), sizeof sql - strlen(sql), "%s%s", marks, updates);
    buf body = {0}, stamps = {0};
    assert_int_equal(record_pack(rec, &body, &stamps, NULL), LP_OK);
    sqlite3_stmt *statement = prepare(s, sql);
    sqlite3_bind_blob(statement, 1, rec->id.bytes, 16, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, rec->kind);
    sqlite3_bind_int(statement, 3, record_deleted(rec));
    sqlite3_bind_blob(statement, 4, body.size ? (const char *)body.data : "", (int)body.size, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 5, stamps.size ? (const char *)stamps.data : "", (int)stamps.size, SQLITE_STATIC);
    assert_int_equal(fields_bind_columns(statement, 6, rec), SQLITE_OK);
    finish(s, statement);
    buf_fini(&body);
    buf_fini(&stamps);
    statement = prepare(s, "INSERT OR IGNORE INTO unindexed(rid) VALUES(?1)");
    sqlite3_bind_int64(statement, 1, shelf_rid(s, &rec->id));
    finish(s, statement);
}

static void put_register(record *rec, uint32_t number, span key, span value, stamp at) {
    bool made;
    reg *r = record_at(rec, number, key, &made);
    assert_non_null(r);
    r->value = value;
    r->stamp = at;
}

static stamp next_stamp(shelf *s) {
    s->now_ms += 1000;
    return (stamp){(uint64_t)s->now_ms << 16, 1};
}

/* Reads `text` into `value_out`, which the register borrows. */
static void put_text(record *rec, const char *field, const char *text, stamp at, buf *value_out) {
    field_ref ref;
    lp_error error = {0};
    if (fields_parse(rec->kind, span_text(field), &ref, &error) != LP_OK ||
        typed_value(ref.info, field, text, value_out, &error) != LP_OK)
        fail_msg("%s", error.message);
    put_register(rec, ref.number, ref.key, buf_span(value_out), at);
}

lp_id shelf_put(shelf *s, const char *kind, ...) {
    enum { PUT_FIELDS_MAX = 16 };
    buf values[PUT_FIELDS_MAX] = {{0}};
    uint32_t count = 0;
    lp_id id = {{1, 2, 3, 4, 5, 6, 0x70, 0, 0x80}};
    s->records++;
    id.bytes[14] = (uint8_t)(s->records >> 8);
    id.bytes[15] = (uint8_t)s->records;
    const kind_info *info = schema_kind_named(kind);
    assert_non_null(info);
    record rec;
    record_init(&rec, info->number, &id);
    stamp at = next_stamp(s);
    va_list arguments;
    va_start(arguments, kind);
    for (const char *field; (field = va_arg(arguments, const char *)); count++) {
        assert_true(count < PUT_FIELDS_MAX);
        put_text(&rec, field, va_arg(arguments, const char *), at, &values[count]);
    }
    va_end(arguments);
    store(s, &rec);
    record_fini(&rec);
    for (uint32_t i = 0; i < count; i++)
        buf_fini(&values[i]);
    return id;
}

/* Copies a blob column of the row a statement stands on. */
static void copy_blob(sqlite3_stmt *statement, int column, buf *copy_out) {
    buf_append(copy_out, sqlite3_column_blob(statement, column), (size_t)sqlite3_column_bytes(statement, column));
}

/* The record as stored; it borrows the two buffers. */
static void load(shelf *s, const lp_id *id, record *rec, buf *body, buf *stamps) {
    sqlite3_stmt *statement = prepare(s, "SELECT kind, body, stamps FROM record WHERE id = ?1");
    sqlite3_bind_blob(statement, 1, id->bytes, 16, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    record_init(rec, (uint32_t)sqlite3_column_int(statement, 0), id);
    copy_blob(statement, 1, body);
    copy_blob(statement, 2, stamps);
    sqlite3_finalize(statement);
    assert_int_equal(record_unpack(rec, buf_span(body), buf_span(stamps), NULL), LP_OK);
}

void shelf_set(shelf *s, const lp_id *id, const char *field, const char *text) {
    buf body = {0}, stamps = {0}, value = {0};
    record rec;
    load(s, id, &rec, &body, &stamps);
    put_text(&rec, field, text, next_stamp(s), &value);
    store(s, &rec);
    record_fini(&rec);
    buf_fini(&body);
    buf_fini(&stamps);
    buf_fini(&value);
}

void shelf_set_raw(shelf *s, const lp_id *id, uint32_t number, const char *key, span value) {
    buf body = {0}, stamps = {0};
    record rec;
    load(s, id, &rec, &body, &stamps);
    put_register(&rec, number, span_text(key), value, next_stamp(s));
    store(s, &rec);
    record_fini(&rec);
    buf_fini(&body);
    buf_fini(&stamps);
}

int64_t shelf_rid(shelf *s, const lp_id *id) {
    sqlite3_stmt *statement = prepare(s, "SELECT rid FROM record WHERE id = ?1");
    sqlite3_bind_blob(statement, 1, id->bytes, 16, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t rid = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return rid;
}

void shelf_evict(shelf *s, const lp_id *id) {
    int64_t rid = shelf_rid(s, id);
    sqlite3_stmt *statement = prepare(s, "INSERT OR IGNORE INTO unindexed(rid) VALUES(?1)");
    sqlite3_bind_int64(statement, 1, rid);
    finish(s, statement);
    statement = prepare(s, "DELETE FROM record WHERE rid = ?1");
    sqlite3_bind_int64(statement, 1, rid);
    finish(s, statement);
}

const char *shelf_values(lp_rows *rows, const char *field, char *text_out, size_t size) {
    size_t used = 0;
    text_out[0] = 0;
    for (uint32_t i = 0; i < lp_rows_count(rows); i++) {
        lp_value value = lp_record_value(lp_rows_at(rows, i), field);
        int length = snprintf(text_out + used, size - used, "%s%s", i ? "," : "", value.data ? value.data : "-");
        assert_true(length >= 0 && (size_t)length < size - used);
        used += (size_t)length;
    }
    lp_rows_free(rows);
    return text_out;
}
