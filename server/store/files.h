/* files.h - the few things the store asks of the operating system besides SQLite: one owner per directory, and files that
 * appear under their name only when they are whole. Thread: any. */
#ifndef SERVER_STORE_FILES_H
#define SERVER_STORE_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "leadpool/error.h"

/** "directory/name" on the heap, or NULL if out of memory. */
char *file_join(const char *directory, const char *name);
bool file_exists(const char *path);

/** Makes a directory only its owner can enter; one that is there already is fine. Errors: LP_IO, LP_FULL. */
lp_err file_make_directory(const char *path, lp_error *error);

/** Makes a directory `name` in `directory`, or `name.2` and so on if that is taken, and gives its path. Errors: LP_IO, LP_FULL, LP_INVALID too long. */
lp_err file_make_fresh_directory(const char *directory, const char *name, char *path_out, size_t size, lp_error *error);
void file_remove_directory(const char *path); /**< an empty one */

/** Takes the lock of `directory` for as long as *fd_out is open, and writes this process's number into it.
 *  Errors: LP_BUSY naming the process that has it, LP_IO, LP_FULL, LP_NOMEM. */
lp_err file_lock(const char *directory, int *fd_out, lp_error *error);
void file_unlock(int fd);

/** Makes an empty file only its owner can read. Errors: LP_EXISTS, LP_IO, LP_FULL. */
lp_err file_create(const char *path, lp_error *error);
void file_remove(const char *path);

/** Gives the file `from` the name `to`, which nobody may have, durably: contents first, then the name.
 *  Errors: LP_EXISTS, LP_IO, LP_FULL. */
lp_err file_publish(const char *from, const char *to, lp_error *error);

#endif
