/* cli.c - see cli.h. */
#include "client/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/json.h"

lp_err cli_open(cli *c, lp_error *error) {
    if (c->replica)
        return LP_OK;
    if (!c->path[0])
        return cli_fail(c, error, LP_INVALID, T_NO_REPLICA_PATH, NULL);
    bool exists = access(c->path, F_OK) == 0 || errno != ENOENT;
    lp_err code = exists ? lp_open(c->path, &c->replica, error) : LP_NOT_FOUND;
    if (code == LP_NOT_FOUND)
        return cli_fail(c, error, LP_NOT_FOUND, T_NO_REPLICA, c->path, NULL);
    return code;
}

void cli_close(cli *c) {
    lp_close(c->replica);
    c->replica = NULL;
}

lp_err cli_make_directory(cli *c, lp_error *error) {
    char path[CLI_PATH_BYTES];
    if (!c->path[0])
        return cli_fail(c, error, LP_INVALID, T_NO_REPLICA_PATH, NULL);
    memcpy(path, c->path, sizeof path);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return cli_fail(c, error, LP_IO, T_CANNOT_MAKE, path, strerror(errno), NULL);
        *slash = '/';
    }
    return LP_OK;
}

/* Fills a fixed buffer from a template; what does not fit is cut between characters. */
static void fill(char *text_out, size_t size, language lang, text_id id, va_list list) {
    const char *arguments[TEXT_ARGUMENTS_MAX];
    size_t count = 0;
    for (const char *a = va_arg(list, const char *); a && count < TEXT_ARGUMENTS_MAX; a = va_arg(list, const char *))
        arguments[count++] = a;
    char *text = NULL;
    size_t text_size = 0;
    FILE *out = open_memstream(&text, &text_size);
    text_out[0] = '\0';
    if (!out)
        return;
    text_write_list(out, text_get(lang, id), arguments, count);
    if (fclose(out) == 0) {
        size_t fits = text_size < size ? text_size : size - 1;
        while (fits < text_size && fits && ((unsigned char)text[fits] & 0xC0) == 0x80)
            fits--;
        memcpy(text_out, text, fits);
        text_out[fits] = '\0';
    }
    free(text);
}

lp_err cli_fail(const cli *c, lp_error *error, lp_err code, text_id id, ...) {
    if (!error)
        return code;
    error->code = code;
    va_list list;
    va_start(list, id);
    fill(error->message, sizeof error->message, c->lang, id, list);
    va_end(list);
    for (char *at = error->message; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' '; /* one line, whatever was typed */
    return code;
}

static void write_line(FILE *out, language lang, text_id id, va_list list) {
    char line[2048];
    fill(line, sizeof line, lang, id, list);
    fprintf(out, "%s\n", line);
}

void cli_say(const cli *c, text_id id, ...) {
    if (c->json)
        return;
    va_list list;
    va_start(list, id);
    write_line(c->out, c->lang, id, list);
    va_end(list);
}

void cli_say_rejoined(const cli *c, uint32_t device) {
    char number[16];
    snprintf(number, sizeof number, "%" PRIu32, device);
    cli_say(c, T_SYNC_REJOINED, number, NULL);
}

void cli_note(const cli *c, text_id id, ...) {
    va_list list;
    va_start(list, id);
    write_line(c->err, c->lang, id, list);
    va_end(list);
}

void cli_report(const cli *c, const lp_error *error) {
    const char *message = error->message[0] ? error->message : lp_err_text(error->code);
    fflush(c->out);
    fprintf(c->err, "leadpool: %s\n", message);
    if (c->json && !c->answered)
        json_print(c->out, json_error(error));
}

int64_t cli_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
