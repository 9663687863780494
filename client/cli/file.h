/* file.h - whole files in, whole files out. */
#ifndef CLIENT_CLI_FILE_H
#define CLIENT_CLI_FILE_H

#include "client/cli/cli.h"

/** Reads a file ("-": standard input) of at most FILE_BYTES_MAX. Ownership: free(*data_out). Errors: LP_NOT_FOUND; LP_IO;
 *  LP_TOO_LARGE; LP_NOMEM. */
lp_err file_read(cli *c, const char *path, char **data_out, size_t *size_out, lp_error *error);

#define FILE_BYTES_MAX ((size_t)512 * 1024 * 1024)

/** A file that appears under its name only when it is complete. */
typedef struct file_writer {
    FILE *out;
    const char *path;
    char temporary[CLI_PATH_BYTES + 16];
} file_writer;

/** Begins `path`; it must outlive the writer. Errors: LP_IO. */
lp_err file_begin(const cli *c, const char *path, file_writer *writer, lp_error *error);
/** Makes it durable and gives it its name. Errors: LP_IO, LP_FULL: `path` is as it was. */
lp_err file_commit(const cli *c, file_writer *writer, lp_error *error);
/** Drops it. Harmless after file_commit. */
void file_abandon(file_writer *writer);

#endif
