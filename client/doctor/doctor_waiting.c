/* doctor_waiting.c - what is sound, and waits: changes that the server refused, records that this version could not take in; see doctor.h. */
#include <inttypes.h>

#include "client/doctor/doctor.h"
#include "client/replica/statements.h"
#include "proto/schema.h"

#define LINES_MAX 20 /* of one sort; the rest is counted */

#define ADVICE_REFUSED "set the field anew, or run leadpool refused --resend ID or --drop ID"
#define ADVICE_QUARANTINE "it is kept, and tried again by another version: update leadpool, then sync"

static void format_id(sqlite3_stmt *s, int column, char text[LP_ID_TEXT_BYTES]) {
    lp_id id = {{0}};
    (void)id_from_span(column_span(s, column), &id);
    lp_id_format(&id, text);
}

static const char *text_of(sqlite3_stmt *s, int column) {
    const char *text = (const char *)sqlite3_column_text(s, column);
    return text ? text : "";
}

/* count of all, id, kind, field, reason */
static void tell_refused(doctor *d, sqlite3_stmt *s) {
    char id[LP_ID_TEXT_BYTES];
    format_id(s, 1, id);
    const field_info *field = schema_field((uint32_t)sqlite3_column_int64(s, 2), (uint32_t)sqlite3_column_int64(s, 3));
    doctor_waits(d, "refused", ADVICE_REFUSED, "%s of record %s was refused: %s", field ? field->name : "a field", id,
                 text_of(s, 4));
}

/* count of all, id, scope, version, reason */
static void tell_quarantined(doctor *d, sqlite3_stmt *s) {
    char id[LP_ID_TEXT_BYTES];
    format_id(s, 1, id);
    d->checkup->quarantined = (uint64_t)sqlite3_column_int64(s, 0);
    doctor_waits(d, "quarantine", ADVICE_QUARANTINE, "record %s of scope %s could not be taken in by version %s: %s",
                 id, text_of(s, 2), text_of(s, 3), text_of(s, 4));
}

static lp_err each_waiting(doctor *d, const char *area, const char *advice, const char *sql,
                           void (*fn)(doctor *d, sqlite3_stmt *s), lp_error *error) {
    sqlite3_stmt *s = NULL;
    int step = SQLITE_ERROR;
    int64_t all = 0, told = 0;
    if (sqlite3_prepare_v2(d->r->db, sql, -1, &s, NULL) == SQLITE_OK) {
        sqlite3_bind_int(s, 1, LINES_MAX);
        while ((step = sqlite3_step(s)) == SQLITE_ROW) {
            all = sqlite3_column_int64(s, 0);
            told++;
            fn(d, s);
        }
    }
    lp_err err = step == SQLITE_DONE ? LP_OK : doctor_unreadable(d, area, error);
    sqlite3_finalize(s);
    if (!err && all > told)
        doctor_waits(d, area, advice, "%" PRId64 " more are like these", all - told);
    return err;
}

lp_err doctor_waiting(doctor *d, lp_error *error) {
    lp_err err = each_waiting(d, "refused", ADVICE_REFUSED,
                              "SELECT (SELECT count(*) FROM refused), r.id, r.kind, f.field, f.reason"
                              " FROM refused f JOIN record r ON r.rid = f.rid ORDER BY f.rowid LIMIT ?1",
                              tell_refused, error);
    return err ? err
               : each_waiting(d, "quarantine", ADVICE_QUARANTINE,
                              "SELECT (SELECT count(*) FROM quarantine), id, scope, version, reason"
                              " FROM quarantine ORDER BY qid LIMIT ?1",
                              tell_quarantined, error);
}
