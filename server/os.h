/* os.h - the server's environment on POSIX: clocks, randomness, boot id, signals, the service manager. Shell.
 *
 * Why: everything above takes time and chance as parameters (proto/env.h); this is the one place of the server that asks
 * the operating system for them. */
#ifndef SERVER_OS_H
#define SERVER_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "leadpool/error.h"
#include "proto/buf.h"
#include "proto/env.h"

/** The operating system as an lp_env. Static storage. Thread: any. */
const lp_env *server_os_env(void);

/** Number of CPUs this process may use, at least 1. */
uint32_t server_os_cpu_count(void);
/** The host's name, cut to `size` bytes with the NUL; "localhost" if it has none. */
void server_os_host_name(char *text_out, size_t size);
/** Lifts the limit of open files to what the system allows and returns it. */
uint64_t server_os_raise_files(void);

/** Blocks SIGTERM, SIGINT and SIGHUP in this thread and those it starts from now on, and ignores SIGPIPE. */
void server_os_signals_block(void);
/** The next of the blocked signals, waiting up to `timeout_ms`; 0: none came. */
int server_os_signal_wait(int32_t timeout_ms);

/** Waits on a condition up to `timeout_ms`; false if the time was up. The condition must be server_os_cond_init's. */
void server_os_cond_init(pthread_cond_t *condition);
bool server_os_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int32_t timeout_ms);

/** Waits; for commands that try again, never while serving. */
void server_os_pause(int32_t ms);

/** Tells the service manager ("READY=1", "STOPPING=1"), see sd_notify(3). Harmless when there is none. */
void server_os_notify(const char *state);

/** Reads a whole file, at most `bytes_max`, appended. Errors: LP_NOT_FOUND, LP_IO, LP_TOO_LARGE, LP_NOMEM. */
lp_err server_os_read_file(const char *path, size_t bytes_max, buf *out, lp_error *error);
/** Makes a new file of mode 0600, durable with its directory entry when LP_OK returns. Errors: LP_EXISTS, LP_FULL, LP_IO. */
lp_err server_os_write_file(const char *path, span bytes, lp_error *error);
/** Writes `bytes` into an existing file from offset `at` on, cutting off whatever was behind it, durably. After an error what is behind `at`
 *  counts for nothing. Errors: LP_NOT_FOUND, LP_FULL, LP_IO. */
lp_err server_os_append_file(const char *path, size_t at, span bytes, lp_error *error);
/** Makes a directory of mode 0700 with its parents; an existing one is fine. Errors: LP_IO. */
lp_err server_os_make_directory(const char *path, lp_error *error);

#endif
