/* columns.c - the columns of table record that are derived from fields; see fields.h.
 *
 * One set of columns serves all kinds: fields of the same name share a column (a test holds their types equal). `deleted` has a
 * column of its own, made by hand in replica_schema.c. */
#include "client/replica/fields.h"

#include <string.h>

#include "client/find/fold.h"
#include "proto/wire.h"

typedef struct column {
    const char *name; /* of the field */
    const char *sql;  /* c_<name> */
    uint16_t number;
    uint8_t flags;
    uint8_t type;
} column;

#define TEXT FIELD_TEXT
#define CODE FIELD_CODE
#define INT FIELD_INT
#define REAL FIELD_REAL
#define BOOL FIELD_BOOL
#define TIME FIELD_TIME
#define ID FIELD_ID
#define BYTES FIELD_BYTES
#define ANY FIELD_ANY
#define COLUMN FIELD_COLUMN
#define SEARCH FIELD_SEARCH
#define MAP FIELD_MAP
#define SERVER FIELD_SERVER
#define HIDDEN FIELD_HIDDEN

static const column columns[] = {
#define KIND(NAME, number, name, scope)
#define FIELD(KIND, NAME, number, name, type, max_bytes, group, flags, english, chinese)                               \
    {name, "c_" name, number, flags, type},
#include "proto/schema.def"
#undef KIND
#undef FIELD
};

#undef TEXT
#undef CODE
#undef INT
#undef REAL
#undef BOOL
#undef TIME
#undef ID
#undef BYTES
#undef ANY
#undef COLUMN
#undef SEARCH
#undef MAP
#undef SERVER
#undef HIDDEN

#define COLUMNS_ALL (sizeof columns / sizeof columns[0])

static bool is_column(uint8_t flags, uint16_t number) {
    return (flags & FIELD_COLUMN) && !(flags & FIELD_MAP) && number != FIELD_DELETED;
}

/* True if this entry is a column and the first of its name. */
static bool opens_column(size_t index) {
    if (!is_column(columns[index].flags, columns[index].number))
        return false;
    for (size_t i = 0; i < index; i++)
        if (is_column(columns[i].flags, columns[i].number) && strcmp(columns[i].name, columns[index].name) == 0)
            return false;
    return true;
}

static const char *sql_type(uint8_t type) {
    switch ((field_type)type) {
    case FIELD_INT:
    case FIELD_BOOL:
    case FIELD_TIME:
        return "INTEGER";
    case FIELD_REAL:
        return "REAL";
    case FIELD_TEXT:
    case FIELD_CODE:
        return "TEXT";
    case FIELD_ID:
    case FIELD_BYTES:
    case FIELD_ANY:
        break;
    }
    return "BLOB";
}

const char *fields_column(uint32_t index, const char **sql_type_out) {
    for (size_t i = 0; i < COLUMNS_ALL; i++) {
        if (!opens_column(i) || index-- > 0)
            continue;
        *sql_type_out = sql_type(columns[i].type);
        return columns[i].sql;
    }
    return NULL;
}

const char *fields_column_of(const field_info *info) {
    if (info->number == FIELD_DELETED)
        return "deleted";
    if (!is_column(info->flags, info->number))
        return NULL;
    for (size_t i = 0; i < COLUMNS_ALL; i++)
        if (is_column(columns[i].flags, columns[i].number) && strcmp(columns[i].name, info->name) == 0)
            return columns[i].sql;
    return NULL;
}

static int bind_text(sqlite3_stmt *statement, int parameter, const lp_value *value) {
    buf folded = {0};
    fold_text(span_of(value->data, value->size), FOLD_KEEP_ACCENTS, &folded);
    int code = folded.failed ? SQLITE_NOMEM
                             : sqlite3_bind_text(statement, parameter, folded.size ? (const char *)folded.data : "",
                                                 (int)folded.size, SQLITE_TRANSIENT);
    buf_fini(&folded);
    return code;
}

/* Not copied: the record outlives the step that follows. */
static int bind_code(sqlite3_stmt *statement, int parameter, const lp_value *value) {
    return sqlite3_bind_text(statement, parameter, value->size ? value->data : "", (int)value->size, SQLITE_STATIC);
}

static int bind_value(sqlite3_stmt *statement, int parameter, uint8_t type, span raw) {
    lp_value value = wire_value(raw);
    switch (raw.size ? value.type : LP_NULL) {
    case LP_BOOL:
    case LP_INT:
        return sqlite3_bind_int64(statement, parameter, value.integer);
    case LP_REAL:
        return sqlite3_bind_double(statement, parameter, value.real);
    case LP_TEXT:
        return type == FIELD_CODE ? bind_code(statement, parameter, &value) : bind_text(statement, parameter, &value);
    case LP_BYTES:
    case LP_OTHER:
        return sqlite3_bind_blob(statement, parameter, value.size ? value.data : "", (int)value.size, SQLITE_TRANSIENT);
    case LP_NULL:
    case LP_TYPE_FORCE_INT32:
        break;
    }
    return sqlite3_bind_null(statement, parameter);
}

_Static_assert(COLUMNS_ALL <= FIELDS_MAX, "every field has a place in a layout");

void fields_layout(field_layout *layout_out) {
    layout_out->count = 0;
    for (size_t i = 0; i < COLUMNS_ALL; i++) {
        layout_out->column_of[i] = FIELDS_MAX;
        if (!is_column(columns[i].flags, columns[i].number))
            continue;
        size_t first = 0;
        while (!is_column(columns[first].flags, columns[first].number) ||
               strcmp(columns[first].name, columns[i].name) != 0)
            first++;
        if (first == i)
            layout_out->type_of[layout_out->count++] = columns[i].type;
        layout_out->column_of[i] = first == i ? (uint8_t)(layout_out->count - 1) : layout_out->column_of[first];
    }
}

/* Where a field stands in schema.def: in schema.c's table, and so in the one above. */
static size_t place(const field_info *info) {
    uint32_t count;
    return (size_t)(info - schema_fields(schema_kinds(&count)[0].number, &count));
}

int fields_bind_layout(sqlite3_stmt *statement, int first, const field_layout *layout, const record *rec) {
    int code = SQLITE_OK;
    for (uint32_t i = 0; code == SQLITE_OK && i < layout->count; i++)
        code = sqlite3_bind_null(statement, first + (int)i);
    for (uint32_t i = 0; code == SQLITE_OK && i < rec->count; i++) {
        const field_info *info = schema_field(rec->kind, rec->regs[i].field);
        uint8_t to = info ? layout->column_of[place(info)] : FIELDS_MAX;
        if (to != FIELDS_MAX && rec->regs[i].key.size == 0)
            code = bind_value(statement, first + to, layout->type_of[to], rec->regs[i].value);
    }
    return code;
}

int fields_bind_columns(sqlite3_stmt *statement, int first, const record *rec) {
    field_layout layout;
    fields_layout(&layout);
    return fields_bind_layout(statement, first, &layout, rec);
}
