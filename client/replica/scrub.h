/* scrub.h - the last bytes of what was removed leave a replica's file: zeros over the unused middles of its pages (middles.h).
 *
 * Invariant: nothing is read into the connection's memory that the file no longer holds: what it kept of pages is given up.
 * The file is reached through the connection's own handle, so whatever VFS is below SQLite is below this too, and locks stay as they are. */
#ifndef CLIENT_SCRUB_H
#define CLIENT_SCRUB_H

#include <sqlite3.h>
#include <stdbool.h>

/** Writes zeros over them, and waits for the disk. All of the log must be in the file, and nobody may write to either meanwhile: under the
 *  replica's lock, after a checkpoint that cut the log. Others may read. False: not all could be written; try again later. */
bool scrub_pages(sqlite3 *db);

#endif
