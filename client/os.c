/* os.c - the client's environment on POSIX and Linux; see os.h.
 *
 * Why a lock file beside the replica and not SQLite's own locks: SQLite 3.40 may corrupt a WAL when two connections write and
 * checkpoint at once, so writing and checkpointing of all processes are serialised here, outside SQLite. The lock belongs to an
 * open file (OFD lock, or flock): it excludes other handles of the same process too, the kernel drops it when the process dies,
 * and closing some other descriptor of the file does not, as it would with a classic POSIX lock. The file is never
 * removed: somebody may be waiting on it. */
#define _GNU_SOURCE /* F_OFD_SETLK, CLOCK_BOOTTIME */
#include "client/os.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/id.h"

/* ---- clocks ---- */

static int64_t clock_ms(clockid_t clock) {
    struct timespec now;
    int rc = clock_gettime(clock, &now);
    assert(rc == 0);
    (void)rc;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t wall_ms(void *ctx) {
    (void)ctx;
    return clock_ms(CLOCK_REALTIME);
}

static int64_t boot_ms(void *ctx) {
    (void)ctx;
    return clock_ms(CLOCK_BOOTTIME);
}

int64_t os_steady_ms(void) {
    return clock_ms(CLOCK_MONOTONIC);
}

static struct timespec timespec_of(int64_t ms) {
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

bool os_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 && pthread_cond_init(cond, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return ok;
}

bool os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms) {
    if (until_ms == INT64_MAX)
        return pthread_cond_wait(cond, mutex) == 0;
    struct timespec until = timespec_of(until_ms);
    return pthread_cond_timedwait(cond, mutex, &until) != ETIMEDOUT;
}

/* ---- randomness, boot id ---- */

static void random_bytes(void *ctx, void *bytes, size_t size) {
    (void)ctx;
    uint8_t *at = bytes;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* a key made of anything less would be worse than none */
        at += got;
        size -= (size_t)got;
    }
}

static bool read_boot_id(lp_id *id_out) {
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    char text[37];
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got < 0 ? 0 : got] = '\0';
    return lp_id_parse(text, id_out);
}

/* Without /proc every process counts as a boot of its own: its clock offset is learnt afresh, but never taken from another boot. The
 * 16 bytes the kernel gave the process at exec are constant for its life; they also seed the stack protector, so they are hashed. */
static void process_id(lp_id *id_out) {
    uint8_t hash[CRYPTO_HASH_BYTES] = {0};
    const void *seed = (const void *)getauxval(AT_RANDOM);
    assert(seed);
    crypto_sha256_two(SPAN_LITERAL("leadpool boot id"), span_of(seed, 16), hash);
    memcpy(id_out->bytes, hash, sizeof id_out->bytes);
}

static void boot_id(void *ctx, uint8_t id_out[16]) {
    (void)ctx;
    lp_id id;
    if (!read_boot_id(&id))
        process_id(&id);
    memcpy(id_out, id.bytes, sizeof id.bytes);
}

const lp_env *os_env(void) {
    static const lp_env env = {.wall_ms = wall_ms, .boot_ms = boot_ms, .random = random_bytes, .boot_id = boot_id};
    return &env;
}

/* ---- the lock ---- */

typedef struct file_lock {
    replica_lock base;
    int fd;
    int32_t wait_ms;
    char path[]; /**< of the lock file */
} file_lock;

#ifdef F_OFD_SETLK
static int set_lock(int fd, bool on) {
    struct flock range = {.l_type = on ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &range);
}
#else
static int set_lock(int fd, bool on) {
    return flock(fd, on ? LOCK_EX | LOCK_NB : LOCK_UN);
}
#endif

static bool is_held_elsewhere(int error) {
    return error == EAGAIN || error == EACCES || error == EINTR;
}

/* The OS offers no wait for a file lock with a time limit (a signal would be needed, and a library owns none), hence this polling with
 * exponential back-off, 1 to 50 ms. A holder keeps the lock for one transaction, so the first few tries mostly do. */
static lp_err lock_acquire(void *ctx, lp_error *error) {
    file_lock *lock = ctx;
    if (lock->base.read_only)
        return LP_OK;
    int64_t until_ms = os_steady_ms() + lock->wait_ms;
    for (int64_t pause_ms = 1; set_lock(lock->fd, true) != 0; pause_ms = pause_ms < 25 ? pause_ms * 2 : 50) {
        if (!is_held_elsewhere(errno))
            return err_set(error, LP_IO, "cannot lock %s: %s", lock->path, strerror(errno));
        int64_t left_ms = until_ms - os_steady_ms();
        if (left_ms <= 0)
            return err_set(error, LP_BUSY, "another process is writing the replica (%s); try again", lock->path);
        struct timespec pause = timespec_of(pause_ms < left_ms ? pause_ms : left_ms);
        nanosleep(&pause, NULL);
    }
    return LP_OK;
}

static void lock_release(void *ctx) {
    file_lock *lock = ctx;
    int rc = lock->base.read_only ? 0 : set_lock(lock->fd, false);
    assert(rc == 0);
    (void)rc;
}

lp_err os_lock_open(const char *path, int32_t wait_ms, replica_lock **lock_out, lp_error *error) {
    static const char suffix[] = ".lock";
    size_t size = strlen(path) + sizeof suffix;
    file_lock *lock = calloc(1, sizeof *lock + size);
    if (!lock)
        return err_plain(error, LP_NOMEM);
    snprintf(lock->path, size, "%s%s", path, suffix);
    lock->wait_ms = wait_ms;
    lock->base = (replica_lock){.ctx = lock, .acquire = lock_acquire, .release = lock_release};
    lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    lock->base.read_only = lock->fd < 0 && (errno == EROFS || errno == EACCES || errno == EPERM);
    if (lock->fd < 0 && !lock->base.read_only) {
        err_set(error, LP_IO, "cannot open the lock file %s: %s", lock->path, strerror(errno));
        free(lock);
        return LP_IO;
    }
    *lock_out = &lock->base;
    return LP_OK;
}

void os_lock_close(replica_lock *base) {
    if (!base)
        return;
    file_lock *lock = base->ctx;
    if (lock->fd >= 0)
        close(lock->fd);
    free(lock);
}

/* ---- the rest ---- */

uint64_t os_disk_free(const char *path) {
    struct statvfs system;
    if (statvfs(path, &system) != 0)
        return 0;
    return (uint64_t)system.f_bavail * system.f_frsize;
}

/* By the header of an SQLite file, fileformat2.html section 1.3: its magic, and the application id at offset 68. */
static bool is_replica(int fd) {
    static const char magic[16] = "SQLite format 3";
    char head[72];
    return pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head && memcmp(head, magic, sizeof magic) == 0 &&
           memcmp(head + 68, "LPR1", 4) == 0;
}

static bool write_zeros(int fd) {
    static const char zeros[4096];
    off_t left = lseek(fd, 0, SEEK_END);
    bool ok = left >= 0 && lseek(fd, 0, SEEK_SET) == 0;
    while (ok && left > 0) {
        ssize_t put = write(fd, zeros, left < (off_t)sizeof zeros ? (size_t)left : sizeof zeros);
        ok = put > 0;
        left -= put;
    }
    return fsync(fd) == 0 && ok;
}

static lp_err remove_beside(const char *path, const char *suffix, lp_error *error) {
    char name[4096];
    if (snprintf(name, sizeof name, "%s%s", path, suffix) >= (int)sizeof name)
        return err_set(error, LP_IO, "the replica's name is too long");
    if (unlink(name) == 0 || errno == ENOENT)
        return LP_OK;
    return err_set(error, LP_IO, "cannot remove %s: %s", name, strerror(errno));
}

lp_err os_wipe(const char *path, lp_error *error) {
    static const char *const suffixes[] = {"-wal", "-shm", "-journal", "", ".lock", ".reserve"};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(error, LP_NOT_FOUND, "there is no file %s; check the path", path);
    if (fd < 0)
        return err_set(error, LP_IO, "cannot open %s: %s; check its rights and the disk", path, strerror(errno));
    if (!is_replica(fd)) {
        close(fd);
        return err_set(error, LP_CORRUPT, "%s is not a leadpool replica; it was left alone", path);
    }
    lp_err err = write_zeros(fd) ? LP_OK : err_set(error, LP_IO, "cannot write over %s: %s", path, strerror(errno));
    close(fd);
    for (size_t i = 0; !err && i < sizeof suffixes / sizeof suffixes[0]; i++)
        err = remove_beside(path, suffixes[i], error);
    return err;
}

/* ---- the reserve ---- */

static void reserve_name(const char *path, char name_out[PATH_MAX]) {
    int size = snprintf(name_out, PATH_MAX, "%s.reserve", path);
    if (size >= PATH_MAX)
        name_out[0] = '\0'; /* no file has that name: there is no reserve */
}

static bool has_reserve(const char *name) {
    struct stat info;
    return stat(name, &info) == 0 && info.st_size >= OS_RESERVE_BYTES;
}

bool os_reserve_keep(const char *path) {
    char name[PATH_MAX];
    reserve_name(path, name);
    if (has_reserve(name))
        return true;
    if (os_disk_free(path) < (uint64_t)4 * OS_RESERVE_BYTES)
        return false;
    bool given_up = access(name, F_OK) == 0;
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool made = fd >= 0 && posix_fallocate(fd, 0, OS_RESERVE_BYTES) == 0;
    if (fd >= 0)
        close(fd);
    /* Half a reserve takes space and helps nobody. */
    if (!made && !(given_up ? truncate(name, 0) == 0 : unlink(name) == 0))
        return false;
    return made;
}

bool os_reserve_give_up(const char *path) {
    char name[PATH_MAX];
    reserve_name(path, name);
    return os_disk_free(path) < OS_RESERVE_BYTES / 4 && has_reserve(name) && truncate(name, 0) == 0;
}

bool os_may_save(const char *path) {
    char name[PATH_MAX];
    reserve_name(path, name);
    return access(name, F_OK) != 0 || has_reserve(name) || os_disk_free(path) >= (uint64_t)2 * OS_RESERVE_BYTES;
}

void os_host_name(char *text_out, uint32_t size) {
    assert(size > 0);
    if (gethostname(text_out, size) != 0)
        snprintf(text_out, size, "device");
    text_out[size - 1] = '\0'; /* POSIX leaves open whether a cut name is terminated */
}
