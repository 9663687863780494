/* err.c - filling an lp_error, and the tables of errors.def. */
#include "proto/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *lp_err_name(lp_err code) {
    switch ((int)code) {
#define E(name, number, exit_code, sentence)                                                                           \
    case number:                                                                                                       \
        return #name;
#include "leadpool/errors.def"
#undef E
    default:
        return "UNKNOWN";
    }
}

const char *lp_err_text(lp_err code) {
    switch ((int)code) {
#define E(name, number, exit_code, sentence)                                                                           \
    case number:                                                                                                       \
        return sentence;
#include "leadpool/errors.def"
#undef E
    default:
        return "an error this version does not know";
    }
}

int32_t lp_err_exit_code(lp_err code) {
    switch ((int)code) {
#define E(name, number, exit_code, sentence)                                                                           \
    case number:                                                                                                       \
        return exit_code;
#include "leadpool/errors.def"
#undef E
    default:
        return 1;
    }
}

/* Drops the bytes of a UTF-8 sequence that the end of the buffer cut in two. */
static void trim_cut_sequence(char *text, size_t size) {
    size_t at = size;
    while (at > 0 && ((unsigned char)text[at - 1] & 0xC0) == 0x80)
        at--;
    if (at == 0)
        return;
    unsigned char lead = (unsigned char)text[at - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (size - (at - 1) < want)
        text[at - 1] = '\0';
}

lp_err err_set(lp_error *error, lp_err code, const char *format, ...) {
    if (!error)
        return code;
    error->code = code;
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    if (wanted < 0)
        error->message[0] = '\0';
    if (wanted >= (int)sizeof error->message)
        trim_cut_sequence(error->message, strlen(error->message));
    for (char *c = error->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return code;
}

lp_err err_plain(lp_error *error, lp_err code) {
    return err_set(error, code, "%s", lp_err_text(code));
}
