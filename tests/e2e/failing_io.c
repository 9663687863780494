/* failing_io.c - a library for LD_PRELOAD that makes chosen calls of a program fail, as bad disks do. Built with the tests, used by
 * tests/e2e/test_disk.py.
 *
 *   FAIL_CALLS   which: write, pread, pwrite, sync (fsync and fdatasync), truncate, open; separated by commas
 *   FAIL_PATH    only files whose path contains this; a socket or a pipe never does
 *   FAIL_AT      the call of that number, counted over all chosen calls, fails; or
 *   FAIL_EVERY   each call whose number this divides fails
 *   FAIL_WHILE   only while this file exists, and only then calls are counted; the default is always
 *   FAIL_ERRNO   what they fail with; the default is EIO
 *   FAIL_LOG     a file that gets a byte for each failure
 *
 * A failing call does nothing at all: what half a write leaves behind is the simulator's subject (tests/sim). */
#define _GNU_SOURCE /* dlsym, RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_ulong calls;

static unsigned long number_of(const char *name, unsigned long absent) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : absent;
}

static void note(ssize_t (*real_write)(int, const void *, size_t)) {
    const char *path = getenv("FAIL_LOG");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    (void)!real_write(fd, "x", 1);
    close(fd);
}

static void *next(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

static bool is_chosen(const char *call, const char *path) {
    const char *chosen = getenv("FAIL_CALLS"), *part = getenv("FAIL_PATH"), *armed = getenv("FAIL_WHILE");
    return chosen && part && strstr(chosen, call) && strstr(path, part) && (!armed || access(armed, F_OK) == 0);
}

/* True if this call is to fail; errno is set then. */
static bool fails_on(const char *call, const char *path) {
    if (!is_chosen(call, path))
        return false;
    unsigned long number = atomic_fetch_add(&calls, 1) + 1;
    unsigned long every = number_of("FAIL_EVERY", 0);
    if (number != number_of("FAIL_AT", 0) && !(every && number % every == 0))
        return false;
    note((ssize_t(*)(int, const void *, size_t))next("write"));
    errno = (int)number_of("FAIL_ERRNO", EIO);
    return true;
}

static bool fails(const char *call, int fd) {
    char link[64], path[PATH_MAX];
    if (!getenv("FAIL_CALLS"))
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0)
        return false;
    path[size] = '\0';
    return fails_on(call, path);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = next("write");
    return fails("write", fd) ? -1 : real(fd, bytes, size);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t at) {
    ssize_t (*real)(int, void *, size_t, off64_t) = next("pread64");
    return fails("pread", fd) ? -1 : real(fd, bytes, size, at);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t at) {
    return pread64(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = next("pwrite64");
    return fails("pwrite", fd) ? -1 : real(fd, bytes, size, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
    return pwrite64(fd, bytes, size, at);
}

int fsync(int fd) {
    int (*real)(int) = next("fsync");
    return fails("sync", fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    int (*real)(int) = next("fdatasync");
    return fails("sync", fd) ? -1 : real(fd);
}

int ftruncate64(int fd, off64_t size) {
    int (*real)(int, off64_t) = next("ftruncate64");
    return fails("truncate", fd) ? -1 : real(fd, size);
}

int ftruncate(int fd, off_t size) {
    return ftruncate64(fd, size);
}

int open64(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = next("open64");
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fails_on("open", path) ? -1 : real(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open64(path, flags, mode);
}
