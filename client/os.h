/* os.h - the client's environment on POSIX: clocks, randomness, boot id, the lock file. Shell. */
#ifndef CLIENT_OS_H
#define CLIENT_OS_H

#include <sys/types.h> /* pthread_cond_t and pthread_mutex_t, POSIX.1-2008 */

#include "client/replica/replica.h"

/** The operating system as an lp_env. Static storage. Thread: any. */
const lp_env *os_env(void);

/** A lock between processes on the file `path` + ".lock": flock-like, dies with the process, excludes threads of one process too.
 *  acquire waits up to `wait_ms`. Where nothing may be written (a read-only file
 *  system, rights), the lock says `read_only` and locks nothing. Errors: LP_IO, LP_NOMEM. */
lp_err os_lock_open(const char *path, int32_t wait_ms, replica_lock **lock_out, lp_error *error);
void os_lock_close(replica_lock *lock);

/** Free bytes on the file system of `path`; 0 if unknown. */
uint64_t os_disk_free(const char *path);
/** Writes zeros over a replica's file and removes it, its log, its journal and its lock file. A file that is no replica is left alone.
 *  Errors: LP_NOT_FOUND, LP_CORRUPT not a replica, LP_IO. */
lp_err os_wipe(const char *path, lp_error *error);
/** The reserve: PATH.reserve, a file of zeros that holds disk space for the outbox. On a full disk it is given up before a sync, so that
 *  what was acknowledged can be written down and leave the outbox; saving is refused until there is space to hold it again: an empty
 *  file says that it was given up. Where there never was room for one, there is none, and saving goes on until the disk is full. */
#define OS_RESERVE_BYTES (4 * 1024 * 1024)
/** The reserve is there, or could be made; made only where there is space for several. */
bool os_reserve_keep(const char *path);
/** Gives it up if the disk is about to be full; true if it did. */
bool os_reserve_give_up(const char *path);
/** False if what is left of the disk has to stay for syncing. */
bool os_may_save(const char *path);
/** The host's name, for a device's label. Writes at most `size` bytes with the NUL. */
void os_host_name(char *text_out, uint32_t size);

/** Waiting on a condition by a clock that nobody can set (CLOCK_MONOTONIC): link.c and events.c wait with these.
 *  os_cond_wait waits once, like pthread_cond_timedwait; false when `until_ms`, in os_steady_ms time, has come (INT64_MAX: never).
 *  Thread: any. */
int64_t os_steady_ms(void);
bool os_cond_init(pthread_cond_t *cond);
bool os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms);

#endif
