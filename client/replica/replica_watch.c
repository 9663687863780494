/* replica_watch.c - see replica_watch.h.
 *
 * Why a number to look at and not an event: SQLite tells a connection of its own commits only (update and commit hooks), and a file watch on
 * the WAL would fire for our commits as well and be lost whenever a checkpoint resets the WAL. `PRAGMA data_version` reads one
 * counter in shared memory, microseconds each, and is exact. */
#include "client/replica/replica_watch.h"

int64_t replica_watch(replica *r, int64_t before) {
    sqlite3_stmt *statement = NULL;
    int64_t version = before;
    if (sqlite3_prepare_v2(r->db, "PRAGMA data_version", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        version = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return version;
}
