/* failing_disk.h - a disk whose sync fails on demand, below every SQLite connection opened while it is in place. */
#ifndef TESTS_SUPPORT_FAILING_DISK_H
#define TESTS_SUPPORT_FAILING_DISK_H

/** Puts it in place as SQLite's default; connections opened from now on go through it. */
void failing_disk_install(void);
void failing_disk_remove(void);
/** The next `count` syncs fail with an I/O error. */
void failing_disk_fail_syncs(int count);

#endif
