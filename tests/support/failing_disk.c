/* failing_disk.c - a SQLite VFS that is the default one but for xSync; see failing_disk.h.
 *
 * Files keep the default VFS's own objects; only their method table is replaced by a copy with another xSync. */
#include "tests/support/failing_disk.h"

#include <assert.h>
#include <sqlite3.h>
#include <stddef.h>

static sqlite3_vfs shim;
static sqlite3_vfs *real;
static int failures;

/* The default VFS has a few tables, for databases and for logs. */
static struct table {
    const sqlite3_io_methods *real;
    sqlite3_io_methods copy;
} tables[8];

static int sync_or_fail(sqlite3_file *file, int flags) {
    const struct table *t = (const struct table *)((const char *)file->pMethods - offsetof(struct table, copy));
    if (failures > 0) {
        failures--;
        return SQLITE_IOERR_FSYNC;
    }
    return t->real->xSync(file, flags);
}

static const sqlite3_io_methods *copy_of(const sqlite3_io_methods *methods) {
    struct table *t = tables;
    while (t->real && t->real != methods)
        t++;
    assert(t < tables + sizeof tables / sizeof tables[0]);
    t->real = methods;
    t->copy = *methods;
    t->copy.xSync = sync_or_fail;
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
    sqlite3_vfs_register(&shim, 1);
}

void failing_disk_remove(void) {
    sqlite3_vfs_unregister(&shim);
    sqlite3_vfs_register(real, 1);
}

void failing_disk_fail_syncs(int count) {
    failures = count;
}
