/* encoding.c - see encoding.h. */
#include "client/cli/encoding.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct mark {
    const char *name;
    const char *bytes;
    size_t size;
} marks[] = {{"UTF-8", "\xef\xbb\xbf", 3}, {"UTF-16LE", "\xff\xfe", 2}, {"UTF-16BE", "\xfe\xff", 2}};

static const struct mark *find_mark(const char *data, size_t size) {
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (size >= marks[i].size && memcmp(data, marks[i].bytes, marks[i].size) == 0)
            return &marks[i];
    return NULL;
}

/* Doubles the output of an iconv run that filled it. */
static bool grow(encoding_text *text, char **at, size_t *left) {
    size_t used = (size_t)(*at - text->data);
    size_t capacity = (used + *left) * 2;
    char *data = realloc(text->data, capacity);
    if (!data)
        return false;
    text->data = data;
    *at = data + used;
    *left = capacity - used;
    return true;
}

static lp_err run(iconv_t conversion, const char *data, size_t size, encoding_text *text, size_t *bad_out) {
    char *in = (char *)(uintptr_t)data; /* iconv's prototype lacks the const */
    size_t in_left = size;
    size_t left = size + size / 2 + 16;
    char *at = text->data = malloc(left);
    if (!at)
        return LP_NOMEM;
    while (iconv(conversion, &in, &in_left, &at, &left) == (size_t)-1) {
        *bad_out = (size_t)(in - data);
        if (errno != E2BIG)
            return LP_INVALID;
        if (!grow(text, &at, &left))
            return LP_NOMEM;
    }
    text->size = (size_t)(at - text->data);
    return LP_OK;
}

static lp_err convert(const char *data, size_t size, const char *name, encoding_text *text_out, size_t *bad_out) {
    iconv_t conversion = iconv_open("UTF-8", name);
    if (conversion == (iconv_t)-1) // NOLINT: iconv's own way to say no
        return LP_UNSUPPORTED;
    encoding_text text = {.name = name};
    lp_err code = run(conversion, data, size, &text, bad_out);
    iconv_close(conversion);
    if (code == LP_OK)
        *text_out = text;
    else
        free(text.data);
    return code;
}

lp_err encoding_to_utf8(const char *data, size_t size, const char *name, encoding_text *text_out, size_t *bad_out) {
    *bad_out = 0;
    const struct mark *mark = find_mark(data, size);
    if (mark && (!name || strcmp(name, mark->name) == 0)) {
        lp_err code = convert(data + mark->size, size - mark->size, mark->name, text_out, bad_out);
        *bad_out += code ? mark->size : 0;
        return code;
    }
    if (name)
        return convert(data, size, name, text_out, bad_out);
    lp_err code = convert(data, size, "UTF-8", text_out, bad_out);
    return code == LP_INVALID ? convert(data, size, "GB18030", text_out, bad_out) : code;
}
