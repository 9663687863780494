/* config_file.c - options from a file, by inih; see config.h. */
#include <errno.h>
#include <ini.h>
#include <string.h>

#include "proto/err.h"
#include "server/config.h"

/* inih does not say which line it is at; its reader is ours, so we count. */
typedef struct file_reader {
    FILE *file;
    config *config;
    unsigned line;
    bool too_long;
    unsigned failed_line;
    lp_error error;
} file_reader;

static char *next_line(char *text, int size, void *stream) {
    file_reader *r = stream;
    if (r->failed_line || !fgets(text, size, r->file))
        return NULL;
    r->line++;
    if (!strchr(text, '\n') && !feof(r->file)) {
        r->failed_line = r->line;
        err_set(&r->error, LP_INVALID, "the line is too long");
        return NULL;
    }
    return text;
}

static int each_option(void *ctx, const char *section, const char *name, const char *value) {
    file_reader *r = ctx;
    lp_err err = section[0] ? err_set(&r->error, LP_INVALID, "there are no sections here, remove [%.40s]", section)
                            : config_set(r->config, name, value, &r->error);
    if (err != LP_OK && !r->failed_line)
        r->failed_line = r->line;
    return err == LP_OK;
}

lp_err config_read(config *c, const char *path, lp_error *error) {
    file_reader r = {.config = c};
    r.file = fopen(path, "re");
    if (!r.file)
        return err_set(error, errno == ENOENT ? LP_NOT_FOUND : LP_IO, "cannot open %s: %s", path, strerror(errno));
    int line = ini_parse_stream(next_line, &r, each_option, &r);
    bool failed = ferror(r.file);
    fclose(r.file);
    if (failed)
        return err_set(error, LP_IO, "cannot read %s", path);
    if (r.failed_line)
        return err_set(error, LP_INVALID, "%s:%u: %s", path, r.failed_line, r.error.message);
    if (line != 0)
        return err_set(error, LP_INVALID, "%s:%d: this line is not 'key = value'", path, line);
    return LP_OK;
}
