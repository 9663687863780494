/* ledger_files.c - see ledger_files.h. */
#include "server/office/ledger_files.h"

#include <stdio.h>
#include <string.h>

#include "proto/err.h"
#include "server/os.h"

#define LEDGER_BYTES_MAX ((size_t)1 << 30)

static const char *const names[LEDGER_KINDS] = {
    [LEDGER_ERASED] = "erased.ledger", [LEDGER_REVOKED] = "revoked.ledger", [LEDGER_GRANTED] = "granted.ledger"};
static const char *const deeds[LEDGER_KINDS] = {[LEDGER_ERASED] = "no person was ever erased from this pool",
                                                [LEDGER_REVOKED] = "no device of it was ever revoked",
                                                [LEDGER_GRANTED] = "no scope of it was ever granted"};

static lp_err set_path(char path_out[4096], const char *directory, const char *name, lp_error *error) {
    if (snprintf(path_out, 4096, "%s/%s", directory, name) >= 4096)
        return err_set(error, LP_INVALID, "the data directory's name is too long");
    return LP_OK;
}

lp_err ledger_files_make(const char *directory, lp_error *error) {
    for (int i = 0; i < LEDGER_KINDS; i++) {
        char path[4096];
        lp_err err = set_path(path, directory, names[i], error);
        if (!err)
            err = server_os_write_file(path, (span){0}, error);
        if (err && err != LP_EXISTS)
            return err;
    }
    return LP_OK;
}

static lp_err append_line(void *ctx, ledger_kind which, span line, lp_error *error) {
    ledger_files *f = ctx;
    lp_err err = server_os_append_file(f->paths[which], f->sizes[which], line, error);
    if (!err)
        f->sizes[which] += line.size;
    return err;
}

static lp_err read_lines(void *ctx, ledger_kind which, buf *lines_out, lp_error *error) {
    ledger_files *f = ctx;
    return server_os_read_file(f->paths[which], LEDGER_BYTES_MAX, lines_out, error);
}

static lp_err open_one(ledger_files *f, int which, const char *directory, lp_error *error) {
    buf lines = {0};
    lp_error why = {.message = ""};
    lp_err err = set_path(f->paths[which], directory, names[which], error);
    if (err)
        return err;
    err = read_lines(f, (ledger_kind)which, &lines, error);
    if (err == LP_NOT_FOUND)
        err = err_set(error, LP_NOT_FOUND, "%.120s is missing: put back its copy; if %s, make it empty: touch FILE",
                      f->paths[which], deeds[which]);
    else if (!err && ledger_measure(buf_span(&lines), &f->sizes[which], &why))
        err = err_set(error, LP_CORRUPT, "%.120s: %s", f->paths[which], why.message);
    buf_fini(&lines);
    return err;
}

lp_err ledger_files_open(ledger_files *f, const char *directory, lp_error *error) {
    *f = (ledger_files){.port = {f, append_line, read_lines}};
    lp_err err = LP_OK;
    for (int i = 0; !err && i < LEDGER_KINDS; i++)
        err = open_one(f, i, directory, error);
    return err;
}
