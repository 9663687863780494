/* failing_disk.h - a disk whose sync fails on demand, or that is full, below every SQLite connection opened while it is in place. */
#ifndef TESTS_SUPPORT_FAILING_DISK_H
#define TESTS_SUPPORT_FAILING_DISK_H

#include <stdbool.h>

/** Puts it in place as SQLite's default; connections opened from now on go through it. */
void failing_disk_install(void);
void failing_disk_remove(void);
/** The next `count` syncs fail with an I/O error. */
void failing_disk_fail_syncs(int count);
/** From now on there is no room for what is written, or there is again. */
void failing_disk_fill(bool full);

#endif
