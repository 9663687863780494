/* failing_sql.c - see failing_sql.h. The names here are found before those of the shared library, which are the next of them. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "tests/support/failing_sql.h"

#include <assert.h>
#include <dlfcn.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Looked for once: a schedule makes some ten thousand calls. */
static struct {
    int (*extended_errcode)(sqlite3 *);
    int (*errcode)(sqlite3 *);
    int (*step)(sqlite3_stmt *);
    int (*prepare_v3)(sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **);
} real;

__attribute__((constructor)) static void find_real(void) {
    *(void **)&real.extended_errcode = dlsym(RTLD_NEXT, "sqlite3_extended_errcode");
    *(void **)&real.errcode = dlsym(RTLD_NEXT, "sqlite3_errcode");
    *(void **)&real.step = dlsym(RTLD_NEXT, "sqlite3_step");
    *(void **)&real.prepare_v3 = dlsym(RTLD_NEXT, "sqlite3_prepare_v3");
    assert(real.extended_errcode && real.errcode && real.step && real.prepare_v3);
}

static bool counting;
static sqlite3 *broken; /* whose last call has failed */
static uint64_t made, first, last;

void failing_sql_fail(uint64_t at, uint64_t count) {
    made = 0;
    first = at;
    last = count > UINT64_MAX - at ? UINT64_MAX : at + count;
    counting = true;
}

uint64_t failing_sql_end(void) {
    counting = false;
    broken = NULL; /* another connection may come to lie there */
    return made;
}

static bool due(void) {
    if (!counting)
        return false;
    uint64_t number = made++;
    return number >= first && number < last;
}

static int stop(void *ctx) {
    (void)ctx;
    return 1;
}

static int deny(void *ctx, int action, const char *a, const char *b, const char *c, const char *d) {
    (void)ctx;
    (void)action;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return SQLITE_DENY;
}

/* What stopped a call is told as an error of the disk. */
static int told(sqlite3 *db, int rc, int stopped) {
    if ((rc & 0xff) != stopped)
        return rc;
    broken = db;
    return SQLITE_IOERR_READ;
}

int sqlite3_extended_errcode(sqlite3 *db) {
    return db && db == broken ? SQLITE_IOERR_READ : real.extended_errcode(db);
}

int sqlite3_errcode(sqlite3 *db) {
    return db && db == broken ? SQLITE_IOERR : real.errcode(db);
}

int sqlite3_step(sqlite3_stmt *s) {
    bool rolls_back = sqlite3_sql(s) && strcmp(sqlite3_sql(s), "ROLLBACK") == 0;
    broken = NULL;
    if (rolls_back || !due())
        return real.step(s);
    sqlite3 *db = sqlite3_db_handle(s);
    sqlite3_progress_handler(db, 1, stop, NULL);
    int rc = real.step(s);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    return told(db, rc, SQLITE_INTERRUPT);
}

int sqlite3_prepare_v3(sqlite3 *db, const char *sql, int size, unsigned flags, sqlite3_stmt **s_out,
                       const char **tail_out) {
    broken = NULL;
    if (!due())
        return real.prepare_v3(db, sql, size, flags, s_out, tail_out);
    sqlite3_set_authorizer(db, deny, NULL);
    int rc = real.prepare_v3(db, sql, size, flags, s_out, tail_out);
    sqlite3_set_authorizer(db, NULL, NULL);
    return told(db, rc, SQLITE_AUTH);
}

int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int size, sqlite3_stmt **s_out, const char **tail_out) {
    return sqlite3_prepare_v3(db, sql, size, 0, s_out, tail_out);
}
