/* identity.c - reads and makes the server's key files; see identity.h. */
#include "server/identity.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/err.h"
#include "server/os.h"

#define PEM_BYTES_MAX 65536

static lp_err paths(const char *directory, char key[PATH_MAX], char certificate[PATH_MAX], lp_error *error) {
    if (strlen(directory) + sizeof "/server.key" > PATH_MAX)
        return err_set(error, LP_INVALID, "the data directory's name is too long");
    snprintf(key, PATH_MAX, "%s/server.key", directory);
    snprintf(certificate, PATH_MAX, "%s/server.crt", directory);
    return LP_OK;
}

/* Leaves no key in freed memory. */
static void wipe(buf *b) {
    volatile uint8_t *at = b->data;
    for (size_t i = 0; i < b->capacity; i++)
        at[i] = 0;
    buf_fini(b);
}

lp_err identity_create(const char *directory, const char *common_name, lp_error *error) {
    char key_path[PATH_MAX], certificate_path[PATH_MAX];
    lp_err err = paths(directory, key_path, certificate_path, error);
    if (err != LP_OK)
        return err;
    bool key_there = access(key_path, F_OK) == 0, certificate_there = access(certificate_path, F_OK) == 0;
    if (key_there && certificate_there)
        return LP_OK;
    if (key_there || certificate_there)
        return err_set(error, LP_EXISTS, "%s is there without its partner; restore both from a backup or remove it",
                       key_there ? key_path : certificate_path);

    buf key = {0}, certificate = {0};
    err = tls_identity_make(common_name, &key, &certificate, error);
    if (err == LP_OK)
        err = server_os_write_file(certificate_path, buf_span(&certificate), error);
    if (err == LP_OK) {
        err = server_os_write_file(key_path, buf_span(&key), error);
        if (err != LP_OK)
            unlink(certificate_path);
    }
    wipe(&key);
    buf_fini(&certificate);
    return err;
}

static lp_err check_mode(const char *path, lp_error *error) {
    struct stat info;
    if (stat(path, &info) != 0)
        return err_set(error, LP_NOT_FOUND, "%s is missing; was 'leadpoold init' run there?", path);
    if (info.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(error, LP_DENIED, "%s can be read by others; run: chmod 600 %s", path, path);
    return LP_OK;
}

lp_err identity_load(const char *directory, tls_context **context_out, uint8_t pin_out[PIN_BYTES], lp_error *error) {
    char key_path[PATH_MAX], certificate_path[PATH_MAX];
    buf key = {0}, certificate = {0};
    lp_err err = paths(directory, key_path, certificate_path, error);
    if (err == LP_OK)
        err = check_mode(key_path, error);
    if (err == LP_OK)
        err = server_os_read_file(key_path, PEM_BYTES_MAX, &key, error);
    if (err == LP_OK)
        err = server_os_read_file(certificate_path, PEM_BYTES_MAX, &certificate, error);
    if (err == LP_OK)
        err = tls_context_server(buf_span(&key), buf_span(&certificate), context_out, error);
    if (err == LP_OK)
        tls_context_pin(*context_out, pin_out);
    wipe(&key);
    buf_fini(&certificate);
    return err;
}
