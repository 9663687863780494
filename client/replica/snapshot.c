/* snapshot.c - owned copies of records; see snapshot.h.
 *
 * A snapshot is two allocations: the lp_field entries, ready to hand out, and one arena with names, keys and values. The
 * arena is measured first and filled second by the same walk, so that no pointer into it ever moves. */
#include "client/replica/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/replica/fields.h"
#include "proto/err.h"
#include "proto/wire.h"

struct lp_record {
    lp_id id;
    uint32_t kind;
    char kind_name[16];
    bool deleted;
    bool unsent;
    uint32_t count;
    lp_field *fields;
    char *arena;
};

struct lp_rows {
    lp_record **list;
    uint32_t count;
    uint32_t capacity;
};

static bool is_shown(const reg *r) {
    return r->value.size && !span_equal(r->value, WIRE_NIL_SPAN);
}

static size_t value_bytes(const lp_value *value) {
    return value->data ? value->size + 1u : 0;
}

/* Bytes of the arena, and how many fields there are to show. */
static size_t measure(const record *rec, uint32_t *count_out) {
    size_t bytes = 0;
    *count_out = 0;
    for (uint32_t i = 0; i < rec->count; i++) {
        if (!is_shown(&rec->regs[i]))
            continue;
        lp_value value = wire_value(rec->regs[i].value);
        bytes += fields_name(rec->kind, rec->regs[i].field, rec->regs[i].key, NULL, 0) + 1 + value_bytes(&value);
        (*count_out)++;
    }
    return bytes;
}

static char *copy_value(char *at, lp_value *value) {
    if (!value->data)
        return at;
    size_t bytes = value_bytes(value);
    if (value->size)
        memcpy(at, value->data, value->size);
    at[value->size] = 0;
    value->data = at;
    return at + bytes;
}

static char *fill_field(char *at, uint32_t kind, const reg *r, lp_field *field_out) {
    const field_info *info = schema_field(kind, r->field);
    size_t bytes = fields_name(kind, r->field, r->key, NULL, 0) + 1;
    fields_name(kind, r->field, r->key, at, bytes);
    lp_value value = wire_value(r->value);
    *field_out = (lp_field){
        .name = at,
        .label_en = info ? info->english : at,
        .label_zh = info ? info->chinese : at,
        .changed_ms = stamp_ms(r->stamp),
        .author = r->stamp.author,
    };
    if (info && r->key.size)
        field_out->label_en = field_out->label_zh = at + (bytes - 1 - r->key.size);
    at = copy_value(at + bytes, &value);
    field_out->value = value;
    return at;
}

static void name_kind(lp_record *row) {
    const kind_info *info = schema_kind(row->kind);
    if (info)
        snprintf(row->kind_name, sizeof row->kind_name, "%s", info->name);
    else
        snprintf(row->kind_name, sizeof row->kind_name, "#%u", row->kind);
}

lp_err snapshot_new(const record *rec, bool unsent, lp_record **record_out, lp_error *error) {
    *record_out = NULL;
    lp_record *row = calloc(1, sizeof *row);
    if (!row)
        return err_plain(error, LP_NOMEM);
    row->id = rec->id;
    row->kind = rec->kind;
    row->deleted = record_deleted(rec);
    row->unsent = unsent;
    name_kind(row);
    size_t bytes = measure(rec, &row->count);
    row->fields = calloc(row->count + 1u, sizeof *row->fields);
    row->arena = malloc(bytes + 1);
    if (!row->fields || !row->arena) {
        lp_record_free(row);
        return err_plain(error, LP_NOMEM);
    }
    char *at = row->arena;
    lp_field *field = row->fields;
    for (uint32_t i = 0; i < rec->count; i++)
        if (is_shown(&rec->regs[i]))
            at = fill_field(at, rec->kind, &rec->regs[i], field++);
    *record_out = row;
    return LP_OK;
}

static span column_span(sqlite3_stmt *statement, int column) {
    const void *data = sqlite3_column_blob(statement, column);
    return span_of(data, (size_t)sqlite3_column_bytes(statement, column));
}

lp_err snapshot_of_row(sqlite3_stmt *statement, int first, lp_record **record_out, lp_error *error) {
    *record_out = NULL;
    lp_id id;
    if (!id_from_span(column_span(statement, first), &id))
        return err_set(error, LP_CORRUPT, "a record in the replica has no proper id; restore the file from a backup");
    record rec;
    record_init(&rec, (uint32_t)sqlite3_column_int64(statement, first + 1), &id);
    bool unsent = sqlite3_column_int(statement, first + 2) != 0;
    span body = column_span(statement, first + 3);
    span stamps = column_span(statement, first + 4);
    lp_err code = record_unpack(&rec, body, stamps, error);
    if (code == LP_OK)
        code = snapshot_new(&rec, unsent, record_out, error);
    record_fini(&rec);
    return code;
}

void lp_record_free(lp_record *row) {
    if (!row)
        return;
    free(row->fields);
    free(row->arena);
    free(row);
}

const lp_id *lp_record_id(const lp_record *row) {
    return &row->id;
}

const char *lp_record_kind(const lp_record *row) {
    return row->kind_name;
}

bool lp_record_deleted(const lp_record *row) {
    return row->deleted;
}

bool lp_record_unsent(const lp_record *row) {
    return row->unsent;
}

lp_value lp_record_value(const lp_record *row, const char *field) {
    for (uint32_t i = 0; field && i < row->count; i++)
        if (strcmp(row->fields[i].name, field) == 0)
            return row->fields[i].value;
    return (lp_value){.type = LP_NULL};
}

uint32_t lp_record_field_count(const lp_record *row) {
    return row->count;
}

lp_err lp_record_field(const lp_record *row, uint32_t index, lp_field *field_out) {
    if (index >= row->count)
        return LP_INVALID;
    *field_out = row->fields[index];
    return LP_OK;
}

lp_err rows_new(lp_rows **rows_out, lp_error *error) {
    *rows_out = calloc(1, sizeof **rows_out);
    return *rows_out ? LP_OK : err_plain(error, LP_NOMEM);
}

lp_err rows_append(lp_rows *rows, lp_record *row, lp_error *error) {
    if (rows->count == rows->capacity) {
        uint32_t capacity = rows->capacity ? rows->capacity * 2 : 64;
        lp_record **list = realloc(rows->list, capacity * sizeof(lp_record *));
        if (!list) {
            lp_record_free(row);
            return err_plain(error, LP_NOMEM);
        }
        rows->list = list;
        rows->capacity = capacity;
    }
    rows->list[rows->count++] = row;
    return LP_OK;
}

uint32_t lp_rows_count(const lp_rows *rows) {
    return rows->count;
}

const lp_record *lp_rows_at(const lp_rows *rows, uint32_t index) {
    return index < rows->count ? rows->list[index] : NULL;
}

void lp_rows_free(lp_rows *rows) {
    if (!rows)
        return;
    for (uint32_t i = 0; i < rows->count; i++)
        lp_record_free(rows->list[i]);
    free(rows->list);
    free(rows);
}
