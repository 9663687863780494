/* os.c - clocks, randomness, signals, service manager and small files; see os.h. */
#include "server/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/err.h"

static int64_t clock_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t wall_ms(void *ctx) {
    (void)ctx;
    return clock_ms(CLOCK_REALTIME);
}

static int64_t boot_ms(void *ctx) {
    (void)ctx;
    return clock_ms(CLOCK_BOOTTIME);
}

static void random_fill(void *ctx, void *bytes, size_t size) {
    (void)ctx;
    uint8_t *at = bytes;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno != EINTR)
            abort(); /* keys must never be made from anything weaker */
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void boot_id(void *ctx, uint8_t id_out[16]) {
    (void)ctx;
    buf text = {0};
    memset(id_out, 0, 16);
    if (server_os_read_file("/proc/sys/kernel/random/boot_id", 64, &text, NULL) == LP_OK) {
        size_t digits = 0;
        for (size_t i = 0; i < text.size && digits < 32; i++) {
            int value = hex_digit((char)text.data[i]);
            if (value < 0)
                continue;
            id_out[digits / 2] = (uint8_t)(id_out[digits / 2] << 4 | value);
            digits++;
        }
    }
    buf_fini(&text);
}

const lp_env *server_os_env(void) {
    static const lp_env env = {.wall_ms = wall_ms, .boot_ms = boot_ms, .random = random_fill, .boot_id = boot_id};
    return &env;
}

uint32_t server_os_cpu_count(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

void server_os_host_name(char *text_out, size_t size) {
    if (gethostname(text_out, size) != 0 || text_out[0] == '\0')
        snprintf(text_out, size, "localhost");
    text_out[size - 1] = '\0';
}

uint64_t server_os_raise_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

static void stop_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

void server_os_signals_block(void) {
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

int server_os_signal_wait(int32_t timeout_ms) {
    sigset_t set;
    stop_signals(&set);
    struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    int number = sigtimedwait(&set, NULL, &timeout);
    return number > 0 ? number : 0;
}

void server_os_cond_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool server_os_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int32_t timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return pthread_cond_timedwait(condition, mutex, &until) == 0;
}

void server_os_pause(int32_t ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

void server_os_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* the abstract name space, unix(7) */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
    close(fd);
}

static lp_err io_error(lp_error *error, const char *what, const char *path) {
    int number = errno;
    lp_err code = number == ENOENT                       ? LP_NOT_FOUND
                  : number == EEXIST                     ? LP_EXISTS
                  : number == ENOSPC || number == EDQUOT ? LP_FULL
                                                         : LP_IO;
    return err_set(error, code, "cannot %s %s: %s", what, path, strerror(number));
}

lp_err server_os_read_file(const char *path, size_t bytes_max, buf *out, lp_error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(error, "open", path);
    lp_err err = LP_OK;
    size_t total = 0;
    for (;;) {
        uint8_t block[4096];
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = io_error(error, "read", path);
        if (got <= 0)
            break;
        total += (size_t)got;
        if (total > bytes_max) {
            err = err_set(error, LP_TOO_LARGE, "%s is larger than %zu bytes", path, bytes_max);
            break;
        }
        buf_append(out, block, (size_t)got);
    }
    close(fd);
    return err == LP_OK && out->failed ? err_plain(error, LP_NOMEM) : err;
}

static lp_err write_all(int fd, span bytes, const char *path, lp_error *error) {
    while (bytes.size > 0) {
        ssize_t put = write(fd, bytes.data, bytes.size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return io_error(error, "write", path);
        bytes = span_of(bytes.data + put, bytes.size - (size_t)put);
    }
    return fsync(fd) == 0 ? LP_OK : io_error(error, "write", path);
}

/* A new file's name is durable only once its directory is. */
static lp_err sync_parent(const char *path, lp_error *error) {
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent ? 1 : 0] = '\0';
    int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return io_error(error, "open", parent);
    lp_err err = fsync(fd) == 0 ? LP_OK : io_error(error, "write", parent);
    close(fd);
    return err;
}

lp_err server_os_write_file(const char *path, span bytes, lp_error *error) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_error(error, "make", path);
    lp_err err = write_all(fd, bytes, path, error);
    close(fd);
    if (err == LP_OK)
        err = sync_parent(path, error);
    if (err != LP_OK)
        unlink(path);
    return err;
}

lp_err server_os_append_file(const char *path, size_t at, span bytes, lp_error *error) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(error, "open", path);
    lp_err err = ftruncate(fd, (off_t)at) == 0 && lseek(fd, (off_t)at, SEEK_SET) == (off_t)at
                     ? write_all(fd, bytes, path, error)
                     : io_error(error, "write", path);
    if (err != LP_OK)
        (void)!ftruncate(fd, (off_t)at);
    close(fd);
    return err;
}

lp_err server_os_make_directory(const char *path, lp_error *error) {
    char part[PATH_MAX];
    if (path[0] == '\0' || strlen(path) >= sizeof part)
        return err_set(error, LP_INVALID, "the directory's name is empty or too long");
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return io_error(error, "make directory", part);
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return err_set(error, LP_IO, "%s is not a directory", path);
    return LP_OK;
}
