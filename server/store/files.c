/* files.c - locks and careful renames; see files.h.
 *
 * Why flock and not fcntl: an fcntl lock belongs to the process, so a second open in the same process would succeed, and
 * closing any descriptor of the file would drop it. */
#define _DEFAULT_SOURCE /* flock */

#include "server/store/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/err.h"

static lp_err fail(const char *verb, const char *path, lp_error *error) {
    int reason = errno;
    if (reason == EEXIST)
        return err_set(error, LP_EXISTS, "%s exists already; choose another name", path);
    if (reason == ENOSPC || reason == EDQUOT)
        return err_set(error, LP_FULL, "no space left for %s; free some disk and try again", path);
    char text[96] = "";
    if (strerror_r(reason, text, sizeof text) != 0)
        snprintf(text, sizeof text, "error %d", reason);
    return err_set(error, LP_IO, "cannot %s %s: %s", verb, path, text);
}

char *file_join(const char *directory, const char *name) {
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", directory, name);
    return path;
}

bool file_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

lp_err file_make_directory(const char *path, lp_error *error) {
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return LP_OK;
    return fail("make", path, error);
}

static lp_err refuse_busy(const char *directory, int fd, lp_error *error) {
    char text[24];
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    long pid = strtol(text, NULL, 10);
    if (pid <= 0)
        return err_set(error, LP_BUSY, "the pool in %s is open in another process; stop it first", directory);
    return err_set(error, LP_BUSY, "the pool in %s is in use by process %ld; stop that first", directory, pid);
}

lp_err file_make_fresh_directory(const char *directory, const char *name, char *path_out, size_t size,
                                 lp_error *error) {
    for (int number = 1; number < 1000; number++) {
        int used = number == 1 ? snprintf(path_out, size, "%s/%s", directory, name)
                               : snprintf(path_out, size, "%s/%s.%d", directory, name, number);
        if (used < 0 || (size_t)used >= size)
            return err_set(error, LP_INVALID, "the name of the directory %s is too long", directory);
        if (mkdir(path_out, 0700) == 0)
            return LP_OK;
        if (errno != EEXIST)
            return fail("make", path_out, error);
    }
    return err_set(error, LP_EXISTS, "%s has too many directories %s; move some away", directory, name);
}

void file_remove_directory(const char *path) {
    rmdir(path);
}

lp_err file_lock(const char *directory, int *fd_out, lp_error *error) {
    char *path = file_join(directory, "pool.lock");
    if (!path)
        return err_plain(error, LP_NOMEM);
    lp_err err = LP_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        err = fail("open", path, error);
        goto out;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? refuse_busy(directory, fd, error) : fail("lock", path, error);
        goto out;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        err = fail("write", path, error);
        goto out;
    }
    *fd_out = fd;
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    free(path);
    return err;
}

void file_unlock(int fd) {
    if (fd >= 0)
        close(fd);
}

lp_err file_create(const char *path, lp_error *error) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail("make", path, error);
    close(fd);
    return LP_OK;
}

void file_remove(const char *path) {
    unlink(path);
}

static lp_err sync_path(const char *path, int flags, lp_error *error) {
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return fail("open", path, error);
    int failed = fsync(fd);
    int reason = errno;
    close(fd);
    errno = reason;
    return failed ? fail("sync", path, error) : LP_OK;
}

static lp_err sync_parent(const char *path, lp_error *error) {
    const char *slash = strrchr(path, '/');
    char *parent = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!parent)
        return err_plain(error, LP_NOMEM);
    lp_err err = sync_path(parent, O_RDONLY | O_DIRECTORY, error);
    free(parent);
    return err;
}

lp_err file_publish(const char *from, const char *to, lp_error *error) {
    lp_err err = sync_path(from, O_RDONLY, error);
    if (err)
        return err;
    /* link refuses a taken name, rename does not; but a memory stick's file system may have no links. */
    if (link(from, to) == 0) {
        unlink(from);
        return sync_parent(to, error);
    }
    if (errno == EEXIST || file_exists(to)) {
        errno = EEXIST;
        return fail("make", to, error);
    }
    if (rename(from, to) != 0)
        return fail("rename", from, error);
    return sync_parent(to, error);
}
