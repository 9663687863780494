/* failing_sql.h - a database that fails on demand: a program that calls any of this has SQLite's prepare and step replaced.
 *
 * A call that is to fail is really made, and really stopped: a preparation is not authorised, a statement is interrupted at its first
 * instruction, which rolls the open transaction back as a disk that fails does. It is told as what a disk that fails is: SQLITE_IOERR_READ.
 * Calls that SQLite makes of itself, for its full-text index say, may count too. A statement too short to be stopped succeeds, and
 * ROLLBACK always does: it needs no disk.
 * Thread: one. */
#ifndef TESTS_SUPPORT_FAILING_SQL_H
#define TESTS_SUPPORT_FAILING_SQL_H

#include <stdint.h>

/** Call number `at`, counted from 0 now, and those after it up to `count` in all fail. */
void failing_sql_fail(uint64_t at, uint64_t count);
/** All is well again. The number of calls since failing_sql_fail. */
uint64_t failing_sql_end(void);

#endif
