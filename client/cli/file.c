/* file.c - see file.h. */
#include "client/cli/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static lp_err read_all(cli *c, FILE *in, const char *path, char **data_out, size_t *size_out, lp_error *error) {
    size_t capacity = 65536;
    size_t size = 0;
    char *data = malloc(capacity);
    while (data) {
        size += fread(data + size, 1, capacity - size, in);
        if (ferror(in) || size > FILE_BYTES_MAX) {
            free(data);
            return size > FILE_BYTES_MAX ? cli_fail(c, error, LP_TOO_LARGE, T_FILE_TOO_LARGE, path, NULL)
                                         : cli_fail(c, error, LP_IO, T_CANNOT_READ, path, strerror(errno), NULL);
        }
        if (size < capacity)
            break;
        capacity *= 2;
        char *grown = realloc(data, capacity);
        if (!grown)
            free(data);
        data = grown;
    }
    *data_out = data;
    *size_out = size;
    return data ? LP_OK : cli_fail(c, error, LP_NOMEM, T_NO_MEMORY, NULL);
}

lp_err file_read(cli *c, const char *path, char **data_out, size_t *size_out, lp_error *error) {
    if (strcmp(path, "-") == 0)
        return read_all(c, c->in, path, data_out, size_out, error);
    FILE *in = fopen(path, "rb");
    if (!in)
        return cli_fail(c, error, errno == ENOENT ? LP_NOT_FOUND : LP_IO, T_CANNOT_READ, path, strerror(errno), NULL);
    lp_err code = read_all(c, in, path, data_out, size_out, error);
    fclose(in);
    return code;
}

lp_err file_begin(const cli *c, const char *path, file_writer *writer, lp_error *error) {
    *writer = (file_writer){.path = path};
    snprintf(writer->temporary, sizeof writer->temporary, "%s.XXXXXX", path);
    int descriptor = mkstemp(writer->temporary);
    if (descriptor >= 0)
        writer->out = fdopen(descriptor, "wb");
    if (writer->out)
        return LP_OK;
    int why = errno;
    if (descriptor >= 0) {
        close(descriptor);
        unlink(writer->temporary);
    }
    return cli_fail(c, error, LP_IO, T_CANNOT_WRITE, path, strerror(why), NULL);
}

lp_err file_commit(const cli *c, file_writer *writer, lp_error *error) {
    bool sound = !ferror(writer->out) && fflush(writer->out) == 0 && fsync(fileno(writer->out)) == 0;
    int why = errno;
    sound = fclose(writer->out) == 0 && sound;
    writer->out = NULL;
    if (sound && rename(writer->temporary, writer->path) == 0)
        return LP_OK;
    why = sound ? errno : why;
    unlink(writer->temporary);
    return cli_fail(c, error, why == ENOSPC ? LP_FULL : LP_IO, T_CANNOT_WRITE, writer->path, strerror(why), NULL);
}

void file_abandon(file_writer *writer) {
    if (!writer->out)
        return;
    fclose(writer->out);
    writer->out = NULL;
    unlink(writer->temporary);
}
