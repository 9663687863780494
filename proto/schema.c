/* schema.c - the tables of schema.def, looked up; see schema.h. */
#include "proto/schema.h"

#include <string.h>

#include "proto/err.h"
#include "proto/wire.h"

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

static const field_info fields[] = {
#define KIND(NAME, number, name, scope)
#define FIELD(KIND, NAME, number, name, type, max_bytes, group, flags, english, chinese)                               \
    {KIND_##KIND, number, name, type, max_bytes, group, flags, english, chinese},
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

#define FIELDS_ALL (sizeof fields / sizeof fields[0])

/* Where a kind's fields start: all of a kind stand in a row, in the order of schema.def. The enumerator before a kind's first field
 * counts back by one, so that the kind itself takes no place. */
enum {
#define KIND(NAME, number, name, scope) FIRST_##NAME, BEFORE_##NAME = FIRST_##NAME - 1,
#define FIELD(KIND, NAME, number, name, type, max_bytes, group, flags, english, chinese) PLACE_##KIND##_##NAME,
#include "proto/schema.def"
#undef KIND
#undef FIELD
    FIRST_NONE
};

_Static_assert(FIRST_NONE == FIELDS_ALL, "every field has one place");

static const kind_info kinds[] = {
#define KIND(NAME, number, name, scope) {number, name, SCOPE_##scope},
#define FIELD(KIND, NAME, number, name, type, max_bytes, group, flags, english, chinese)
#include "proto/schema.def"
#undef KIND
#undef FIELD
};

/* By index of a kind; one more at the end. */
static const uint16_t first_fields[] = {
#define KIND(NAME, number, name, scope) FIRST_##NAME,
#define FIELD(KIND, NAME, number, name, type, max_bytes, group, flags, english, chinese)
#include "proto/schema.def"
#undef KIND
#undef FIELD
    FIRST_NONE};

#define KINDS_ALL (sizeof kinds / sizeof kinds[0])

const kind_info *schema_kinds(uint32_t *count_out) {
    *count_out = KINDS_ALL;
    return kinds;
}

const kind_info *schema_kind(uint32_t number) {
    /* As with fields, numbers run from 1 in steps of 1 nearly everywhere. */
    if (number >= 1 && number <= KINDS_ALL && kinds[number - 1].number == number)
        return &kinds[number - 1];
    for (size_t i = 0; i < KINDS_ALL; i++)
        if (kinds[i].number == number)
            return &kinds[i];
    return NULL;
}

const kind_info *schema_kind_named(const char *name) {
    for (size_t i = 0; i < KINDS_ALL; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

uint32_t schema_follows(uint32_t kind) {
    return kind == KIND_TOUCH ? TOUCH_LEAD : kind == KIND_CONFLICT ? CONFLICT_RECORD : 0;
}

const field_info *schema_fields(uint32_t kind, uint32_t *count_out) {
    const kind_info *info = schema_kind(kind);
    *count_out = 0;
    if (!info)
        return NULL;
    size_t at = (size_t)(info - kinds);
    *count_out = first_fields[at + 1] - first_fields[at];
    return *count_out ? &fields[first_fields[at]] : NULL;
}

const field_info *schema_field(uint32_t kind, uint32_t number) {
    uint32_t count;
    const field_info *of_kind = schema_fields(kind, &count);
    /* Numbers run from 1 in steps of 1 in most kinds, so the first guess is nearly always right. */
    if (number >= 1 && number <= count && of_kind[number - 1].number == number)
        return &of_kind[number - 1];
    for (uint32_t i = 0; i < count; i++)
        if (of_kind[i].number == number)
            return &of_kind[i];
    return NULL;
}

const field_info *schema_field_named(uint32_t kind, span name) {
    uint32_t count;
    const field_info *of_kind = schema_fields(kind, &count);
    for (uint32_t i = 0; i < count; i++)
        if (of_kind[i].name[0] == (name.size ? (char)name.data[0] : 0) && span_equal(span_text(of_kind[i].name), name))
            return &of_kind[i];
    return NULL;
}

static const char *type_name(field_type type) {
    switch (type) {
    case FIELD_INT:
        return "a whole number";
    case FIELD_REAL:
        return "a number";
    case FIELD_BOOL:
        return "yes or no";
    case FIELD_TIME:
        return "a time";
    case FIELD_ID:
        return "an id";
    case FIELD_BYTES:
        return "bytes";
    case FIELD_TEXT:
    case FIELD_CODE:
    case FIELD_ANY:
        break;
    }
    return "text";
}

static bool type_fits(field_type type, span value) {
    wire_reader r = wire_open(value);
    switch (wire_peek(&r)) {
    case WIRE_BOOL:
        return type == FIELD_BOOL || type == FIELD_ANY;
    case WIRE_INT:
        wire_i64(&r);
        return !r.failed && (type == FIELD_INT || type == FIELD_REAL || type == FIELD_TIME || type == FIELD_ANY);
    case WIRE_REAL:
        return type == FIELD_REAL || type == FIELD_ANY;
    case WIRE_TEXT:
        return type == FIELD_TEXT || type == FIELD_CODE || type == FIELD_ANY;
    case WIRE_BYTES:
        return type == FIELD_BYTES || type == FIELD_ANY || (type == FIELD_ID && wire_bytes(&r).size == 16);
    case WIRE_NIL:
        return true;
    case WIRE_ARRAY:
    case WIRE_MAP:
        return type == FIELD_ANY;
    case WIRE_NONE:
        break;
    }
    return false;
}

lp_err schema_check(uint32_t kind, uint32_t field, span key, span value, lp_error *error) {
    if (key.size > KEY_BYTES_MAX)
        return err_set(error, LP_TOO_LARGE, "the key of a field is longer than %d bytes; shorten it", KEY_BYTES_MAX);
    const field_info *info = schema_field(kind, field);
    if (!info) {
        if (value.size > VALUE_BYTES_UNKNOWN_MAX)
            return err_set(error, LP_TOO_LARGE, "field #%u is larger than %d bytes; shorten it", field,
                           VALUE_BYTES_UNKNOWN_MAX);
        return LP_OK;
    }
    if (!(info->flags & FIELD_MAP) != !key.size)
        return err_set(error, LP_INVALID, key.size ? "%s takes no key" : "%s needs a key, such as %s.name", info->name,
                       info->name);
    if (!type_fits(info->type, value))
        return err_set(error, LP_INVALID, "%s must be %s", info->name, type_name(info->type));
    wire_reader r = wire_open(value);
    wire_kind found = wire_peek(&r);
    size_t size = found == WIRE_TEXT ? wire_text(&r).size : found == WIRE_BYTES ? wire_bytes(&r).size : value.size;
    if (info->max_bytes && size > info->max_bytes)
        return err_set(error, LP_TOO_LARGE, "%s is %zu bytes long, at most %u are allowed; shorten it", info->name,
                       size, info->max_bytes);
    return LP_OK;
}
