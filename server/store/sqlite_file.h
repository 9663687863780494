/* sqlite_file.h - a pool's database as a file that nobody serves: a backup, or what lies in a directory. Thread: any. */
#ifndef SERVER_STORE_SQLITE_FILE_H
#define SERVER_STORE_SQLITE_FILE_H

#include "server/store/store.h"

/** Reads the file at `path`, which is borrowed until the reader is closed. It is not written to. Errors: LP_CORRUPT not a pool, LP_VERSION made by a
 *  newer version, LP_NOT_FOUND. */
lp_err sqlite_file_read(const char *path, store_reader **reader_out, lp_error *error);

/** A consistent copy of the database in `from`, as the new file `to`, which appears whole or not at all. Errors: LP_EXISTS, LP_CORRUPT. */
lp_err sqlite_file_copy(const char *from, const char *to, store_progress_fn progress, void *ctx, lp_error *error);

#endif
