/* vfs_files.c - the store's own files on a disk of vfs.h: the linker puts these before those of server/store/files.c, which still
 * serve every path that is on no such disk. The lock of a directory is not played: one process has them all. */
#include <stdio.h>
#include <string.h>

#include "proto/err.h"
#include "server/store/files.h"
#include "tests/sim/vfs_disk.h"

bool __real_file_exists(const char *path);
lp_err __real_file_make_directory(const char *path, lp_error *error);
lp_err __real_file_make_fresh_directory(const char *directory, const char *name, char *path_out, size_t size,
                                        lp_error *error);
void __real_file_remove_directory(const char *path);
lp_err __real_file_lock(const char *directory, int *fd_out, lp_error *error);
lp_err __real_file_create(const char *path, lp_error *error);
void __real_file_remove(const char *path);
lp_err __real_file_publish(const char *from, const char *to, lp_error *error);

bool __wrap_file_exists(const char *path);
lp_err __wrap_file_make_directory(const char *path, lp_error *error);
lp_err __wrap_file_make_fresh_directory(const char *directory, const char *name, char *path_out, size_t size,
                                        lp_error *error);
void __wrap_file_remove_directory(const char *path);
lp_err __wrap_file_lock(const char *directory, int *fd_out, lp_error *error);
lp_err __wrap_file_create(const char *path, lp_error *error);
void __wrap_file_remove(const char *path);
lp_err __wrap_file_publish(const char *from, const char *to, lp_error *error);

/* A directory may be the whole disk. */
static bool on_disk(const char *directory) {
    char path[400] = "";
    const char *name;
    size_t size = strlen(directory);
    if (size + 2 > sizeof path)
        return false;
    memcpy(path, directory, size);
    path[size] = '/';
    return vfs_disk_of(path, &name) != NULL;
}

static lp_err failed(const char *path, lp_error *error) {
    return err_set(error, LP_IO, "cannot work on %s: input/output error", path);
}

bool __wrap_file_exists(const char *path) {
    const char *name;
    const vfs_disk *d = vfs_disk_of(path, &name);
    return d ? !d->off && vfs_find(d, name) : __real_file_exists(path);
}

lp_err __wrap_file_make_directory(const char *path, lp_error *error) {
    return on_disk(path) ? LP_OK : __real_file_make_directory(path, error);
}

/* Directories are no more than names here. One is taken if a database is in it. */
lp_err __wrap_file_make_fresh_directory(const char *directory, const char *name, char *path_out, size_t size,
                                        lp_error *error) {
    char database[400];
    if (!on_disk(directory))
        return __real_file_make_fresh_directory(directory, name, path_out, size, error);
    for (int number = 1; number < 1000; number++) {
        snprintf(path_out, size, "%s/%s.%d", directory, name, number);
        snprintf(database, sizeof database, "%.380s/pool.db", path_out);
        if (!__wrap_file_exists(database))
            return LP_OK;
    }
    return failed(directory, error);
}

void __wrap_file_remove_directory(const char *path) {
    if (!on_disk(path))
        __real_file_remove_directory(path);
}

lp_err __wrap_file_lock(const char *directory, int *fd_out, lp_error *error) {
    if (!on_disk(directory))
        return __real_file_lock(directory, fd_out, error);
    *fd_out = -1;
    return LP_OK;
}

lp_err __wrap_file_create(const char *path, lp_error *error) {
    const char *name;
    vfs_disk *d = vfs_disk_of(path, &name);
    if (!d)
        return __real_file_create(path, error);
    if (vfs_ask(d, VFS_NAME) != VFS_GO)
        return failed(path, error);
    if (vfs_find(d, name))
        return err_set(error, LP_EXISTS, "%s exists already; choose another name", path);
    vfs_make(d, name);
    return LP_OK;
}

void __wrap_file_remove(const char *path) {
    const char *name;
    vfs_disk *d = vfs_disk_of(path, &name);
    if (!d)
        __real_file_remove(path);
    else if (vfs_find(d, name) && vfs_ask(d, VFS_NAME) == VFS_GO)
        vfs_rename(d, name, NULL);
}

static lp_err publish(vfs_disk *d, const char *name, const char *to, lp_error *error) {
    vfs_node *n = vfs_find(d, name);
    vfs_fate fate = n ? vfs_ask(d, VFS_SYNC) : VFS_EIO;
    if (fate == VFS_EIO && n)
        vfs_doubt(d, n);
    if (fate != VFS_GO && fate != VFS_LIE)
        return failed(name, error);
    if (fate == VFS_GO)
        vfs_sync_node(n);
    if (vfs_find(d, to))
        return err_set(error, LP_EXISTS, "%s exists already; choose another name", to);
    if (vfs_ask(d, VFS_NAME) != VFS_GO)
        return failed(to, error);
    vfs_rename(d, name, to);
    fate = vfs_ask(d, VFS_SYNC);
    if (fate == VFS_GO)
        vfs_sync_names(d);
    return fate == VFS_GO || fate == VFS_LIE ? LP_OK : failed(to, error);
}

lp_err __wrap_file_publish(const char *from, const char *to, lp_error *error) {
    const char *name, *to_name;
    vfs_disk *d = vfs_disk_of(from, &name);
    if (!d)
        return __real_file_publish(from, to, error);
    return vfs_disk_of(to, &to_name) == d ? publish(d, name, to_name, error) : failed(to, error);
}
