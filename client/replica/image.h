/* image.h - the pages of a database file as they lie on the disk, for a file that SQLite cannot or may not read any more.
 *
 * Why: one damaged page stops SQLite from reading all that hangs below it, and a damaged first page from reading anything. Here every page
 * stands for itself: what is unreadable is skipped, the rest is looked at (cells.h).
 *
 * Invariants:
 *   (1) Nothing is written, locked or recovered: the file and its log stay as they are.
 *   (2) A page is the newest committed one: from the log (-wal) if a commit there has it, else from the file. A log that does not
 *       belong to itself (checksum, salt) ends where that begins.
 *   (3) No byte of the file is trusted: sizes and numbers are checked before they are used.
 * The files are read through SQLite's VFS, so that its POSIX locks in this process stay as they are. Thread: one at a time. */
#ifndef CLIENT_IMAGE_H
#define CLIENT_IMAGE_H

#include "leadpool/error.h"
#include "proto/buf.h"

#define IMAGE_PAGE_BYTES_MAX 65536

typedef struct disk_image disk_image;

/** Opens the file and, if there is one, its log. Ownership: image_close. Errors: LP_NOT_FOUND no such file; LP_IO it cannot be opened; LP_NOMEM. */
lp_err image_open(const char *path, disk_image **image_out, lp_error *error);
void image_close(disk_image *m); /**< NULL is harmless */

uint32_t image_pages(const disk_image *m); /**< they are numbered from 1 */
uint32_t image_page_bytes(
    const disk_image *m); /**< a power of 2, 512 to 65536; what the header says if that can be, else 4096 */
/** One page; false if it cannot be read. Valid until the next call. */
bool image_page(disk_image *m, uint32_t number, span *page_out);
/** The file is empty, but it has a log with something in it: it was cut off. SQLite would take it for new, and delete the log. */
bool image_cut_off(const char *path);
/** There is such a file, or nobody can tell. */
bool image_exists(const char *path);
/** Its log is there and not empty. */
bool image_log_has_bytes(const char *path);
/** Pages that could not be read so far. */
uint32_t image_unreadable(const disk_image *m);

#endif
