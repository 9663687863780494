/* scrub.c - see scrub.h. */
#include "client/replica/scrub.h"

#include "proto/middles.h"

static bool read_at(void *ctx, void *bytes, size_t size, uint64_t at) {
    sqlite3_file *file = ctx;
    return file->pMethods->xRead(file, bytes, (int)size, (sqlite3_int64)at) == SQLITE_OK;
}

static bool write_at(void *ctx, const void *bytes, size_t size, uint64_t at) {
    sqlite3_file *file = ctx;
    return file->pMethods->xWrite(file, bytes, (int)size, (sqlite3_int64)at) == SQLITE_OK;
}

/* The disk is waited for even if nothing was left to write: an earlier try may have died before it could wait. */
bool scrub_pages(sqlite3 *db) {
    sqlite3_file *file = NULL;
    sqlite3_int64 size;
    if (sqlite3_db_release_memory(db) != SQLITE_OK ||
        sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || !file->pMethods ||
        file->pMethods->xFileSize(file, &size) != SQLITE_OK)
        return false;
    return middles_wipe(&(middles_file){file, (uint64_t)size, read_at, write_at}) &&
           file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}
