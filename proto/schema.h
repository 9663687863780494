/* schema.h - the kinds and fields of schema.def as data. Thread: any; everything here is constant. */
#ifndef PROTO_SCHEMA_H
#define PROTO_SCHEMA_H

#include <stdint.h>

#include "leadpool/error.h"
#include "proto/buf.h"

typedef enum scope_class { SCOPE_SETUP = 1, SCOPE_POOL = 2 } scope_class;

typedef enum field_type {
    FIELD_TEXT = 1,
    FIELD_CODE,
    FIELD_INT,
    FIELD_REAL,
    FIELD_BOOL,
    FIELD_TIME,
    FIELD_ID,
    FIELD_BYTES,
    FIELD_ANY,
} field_type;

enum field_flag { FIELD_COLUMN = 1, FIELD_SEARCH = 2, FIELD_MAP = 4, FIELD_SERVER = 8, FIELD_HIDDEN = 16 };

/* KIND_LEAD, ... and LEAD_FULL_NAME, ...: the numbers of schema.def under their names. */
enum kind_number {
#define KIND(NAME, number, name, scope) KIND_##NAME = number,
#define FIELD(KIND, NAME, number, name, type, max_bytes, group, flags, english, chinese)
#include "proto/schema.def"
#undef KIND
#undef FIELD
};

enum field_number {
#define KIND(NAME, number, name, scope)
#define FIELD(KIND, NAME, number, name, type, max_bytes, group, flags, english, chinese) KIND##_##NAME = number,
#include "proto/schema.def"
#undef KIND
#undef FIELD
};

#define KIND_ERASED 65535u            /**< no kind of records but the server's mark where one was erased */
#define KIND_PURGED 65534u            /**< the same where one was deleted long ago and is forgotten */
#define FIELD_DELETED 1               /**< the field `deleted` of every kind */
#define FIELD_NUMBER_MAX 65535        /**< greatest field number, known or not */
#define KIND_NUMBER_MAX 65535         /**< greatest kind number, known or not */
#define KEY_BYTES_MAX 255             /**< longest key of a map field */
#define VALUE_BYTES_UNKNOWN_MAX 65536 /**< largest value of a field this version does not know */
#define RECORD_BYTES_MAX (512 * 1024) /**< a record stops growing above this */
#define RECORD_FIELDS_MAX 2048        /**< nor does it get more registers: record_at costs a move of those behind it */

typedef struct field_info {
    uint16_t kind;
    uint16_t number;
    const char *name;
    field_type type;
    uint32_t max_bytes;
    uint8_t group; /**< 0: none */
    uint8_t flags; /**< enum field_flag */
    const char *english;
    const char *chinese;
} field_info;

typedef struct kind_info {
    uint16_t number;
    const char *name;
    scope_class scope;
} kind_info;

const kind_info *schema_kinds(uint32_t *count_out);
const kind_info *schema_kind(uint32_t number);        /**< NULL if unknown */
const kind_info *schema_kind_named(const char *name); /**< NULL if unknown */
/** The field whose id names the record that records of `kind` follow: a touch its lead, a conflict what it is about. They are seen by whom
 *  that is seen by, and erased with it. 0: they follow nothing. */
uint32_t schema_follows(uint32_t kind);
/** The fields of a kind in order of schema.def; NULL and 0 if the kind is unknown. */
const field_info *schema_fields(uint32_t kind, uint32_t *count_out);
const field_info *schema_field(uint32_t kind, uint32_t number); /**< NULL if unknown */
const field_info *schema_field_named(uint32_t kind, span name); /**< NULL if unknown */

/** Checks one value (its msgpack bytes, already scanned) against the schema: type, limit, key where and only where the field
 *  is a map. Null is always allowed: a cleared field. Unknown kinds and fields pass if small enough.
 *  Errors: LP_INVALID, LP_TOO_LARGE, with a sentence that names the field. */
lp_err schema_check(uint32_t kind, uint32_t field, span key, span value, lp_error *error);

#endif
