/* failing_disk.c - a SQLite VFS that is the default one but for xSync and xWrite; see failing_disk.h.
 *
 * Files keep the default VFS's own objects; only their method table is replaced by a copy with others. */
#include "tests/support/failing_disk.h"

#include <assert.h>
#include <sqlite3.h>
#include <stddef.h>

static sqlite3_vfs shim;
static sqlite3_vfs *real;
static int failures;
static bool is_full;

/* The default VFS has a few tables, for databases and for logs. */
static struct table {
    const sqlite3_io_methods *real;
    sqlite3_io_methods copy;
} tables[8];

static const struct table *table_of(const sqlite3_file *file) {
    return (const struct table *)((const char *)file->pMethods - offsetof(struct table, copy));
}

static int sync_or_fail(sqlite3_file *file, int flags) {
    if (failures > 0) {
        failures--;
        return SQLITE_IOERR_FSYNC;
    }
    return table_of(file)->real->xSync(file, flags);
}

static int write_or_fail(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at) {
    return is_full ? SQLITE_FULL : table_of(file)->real->xWrite(file, bytes, size, at);
}

static const sqlite3_io_methods *copy_of(const sqlite3_io_methods *methods) {
    struct table *t = tables;
    while (t->real && t->real != methods)
        t++;
    assert(t < tables + sizeof tables / sizeof tables[0]);
    t->real = methods;
    t->copy = *methods;
    t->copy.xSync = sync_or_fail;
    t->copy.xWrite = write_or_fail;
    return &t->copy;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_out) {
    (void)vfs;
    int code = real->xOpen(real, name, file, flags, flags_out);
    if (code != SQLITE_OK || !file->pMethods)
        return code;
    file->pMethods = copy_of(file->pMethods);
    return SQLITE_OK;
}

void failing_disk_install(void) {
    real = sqlite3_vfs_find(NULL);
    shim = *real;
    shim.zName = "failing-disk";
    shim.xOpen = open_file;
    shim.pNext = NULL;
    failures = 0;
    is_full = false;
    sqlite3_vfs_register(&shim, 1);
}

void failing_disk_remove(void) {
    sqlite3_vfs_unregister(&shim);
    sqlite3_vfs_register(real, 1);
}

void failing_disk_fail_syncs(int count) {
    failures = count;
}

void failing_disk_fill(bool full) {
    is_full = full;
}
