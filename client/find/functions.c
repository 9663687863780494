/* functions.c - the SQL functions that filters use on packed records; see filter_register in filter.h.
 *
 * Stored bytes are walked in place, nothing is unpacked. Damaged bytes yield NULL here; reading the record reports them. */
#include "client/find/filter.h"

#include "client/find/fold.h"
#include "proto/change.h"
#include "proto/err.h"

static span argument(sqlite3_value *value) {
    const void *data = sqlite3_value_blob(value);
    return span_of(data, (size_t)sqlite3_value_bytes(value));
}

/* Function lp_code is lp_field without folding: its registration hands in a mark. */
static void result_text(sqlite3_context *context, span text) {
    if (sqlite3_user_data(context)) {
        sqlite3_result_text(context, text.size ? (const char *)text.data : "", (int)text.size, SQLITE_TRANSIENT);
        return;
    }
    buf folded = {0};
    fold_text(text, FOLD_KEEP_ACCENTS, &folded);
    if (folded.failed)
        sqlite3_result_error_nomem(context);
    else
        sqlite3_result_text(context, folded.size ? (const char *)folded.data : "", (int)folded.size, SQLITE_TRANSIENT);
    buf_fini(&folded);
}

static void result_value(sqlite3_context *context, span raw) {
    lp_value value = wire_value(raw);
    switch (value.type) {
    case LP_BOOL:
    case LP_INT:
        sqlite3_result_int64(context, value.integer);
        return;
    case LP_REAL:
        sqlite3_result_double(context, value.real);
        return;
    case LP_TEXT:
        result_text(context, span_of(value.data, value.size));
        return;
    case LP_BYTES:
    case LP_OTHER:
        sqlite3_result_blob(context, value.size ? value.data : "", (int)value.size, SQLITE_TRANSIENT);
        return;
    case LP_NULL:
    case LP_TYPE_FORCE_INT32:
        break;
    }
    sqlite3_result_null(context);
}

/* lp_field(body, number, key) */
static void field_function(sqlite3_context *context, int count, sqlite3_value **arguments) {
    (void)count;
    wire_reader r = wire_open(argument(arguments[0]));
    sqlite3_int64 number = sqlite3_value_int64(arguments[1]);
    bool any_key = sqlite3_value_type(arguments[2]) == SQLITE_NULL;
    span key = any_key ? (span){0} : argument(arguments[2]);
    reg found;
    while (change_unpack(&r, &found) && found.field <= number) {
        if (found.field != number || (!any_key && !span_equal(found.key, key)))
            continue;
        if (any_key && span_equal(found.value, WIRE_NIL_SPAN))
            continue;
        result_value(context, found.value);
        return;
    }
}

/* lp_updated(stamps); the layout is in record.h */
static void updated_function(sqlite3_context *context, int count, sqlite3_value **arguments) {
    (void)count;
    span left = argument(arguments[0]);
    int64_t greatest_ms = -1;
    uint64_t number;
    span packed, flag, base;
    while (span_take_varint(&left, &number) && span_take(&left, STAMP_BYTES, &packed)) {
        int64_t ms = stamp_ms(stamp_unpack(packed.data));
        if (ms > greatest_ms)
            greatest_ms = ms;
        if (!span_take_varint(&left, &number) || !span_take(&left, 1, &flag))
            break;
        if (flag.data[0] && !span_take(&left, STAMP_BYTES, &base))
            break;
    }
    if (greatest_ms >= 0)
        sqlite3_result_int64(context, greatest_ms);
}

/* lp_fold(text) */
static void fold_function(sqlite3_context *context, int count, sqlite3_value **arguments) {
    (void)count;
    if (sqlite3_value_type(arguments[0]) != SQLITE_NULL)
        result_text(context, argument(arguments[0]));
}

lp_err filter_register(sqlite3 *db, lp_error *error) {
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    if (sqlite3_create_function(db, "lp_field", 3, flags, NULL, field_function, NULL, NULL) != SQLITE_OK ||
        sqlite3_create_function(db, "lp_code", 3, flags, db, field_function, NULL, NULL) != SQLITE_OK ||
        sqlite3_create_function(db, "lp_fold", 1, flags, NULL, fold_function, NULL, NULL) != SQLITE_OK ||
        sqlite3_create_function(db, "lp_updated", 1, flags, NULL, updated_function, NULL, NULL) != SQLITE_OK)
        return err_plain(error, LP_NOMEM);
    return LP_OK;
}
