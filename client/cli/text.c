/* text.c - see text.h. */
#include "client/cli/text.h"

#include <stdarg.h>
#include <string.h>

static const char *const texts[TEXT_COUNT][2] = {
#define T(ID, english, chinese) {english, chinese},
#include "client/cli/text.def"
#undef T
};

language text_language(const char *locale) {
    return locale && strncmp(locale, "zh", 2) == 0 ? LANGUAGE_ZH : LANGUAGE_EN;
}

const char *text_get(language lang, text_id id) {
    return texts[id][lang];
}

void text_write_list(FILE *out, const char *template_text, const char *const *arguments, size_t count) {
    for (const char *at = template_text; *at; at++) {
        if (at[0] != '{' || at[1] < '1' || at[1] > '9' || at[2] != '}') {
            fputc(*at, out);
            continue;
        }
        size_t index = (size_t)(at[1] - '1');
        if (index < count)
            fputs(arguments[index], out);
        at += 2;
    }
}

void text_write(FILE *out, language lang, text_id id, ...) {
    const char *arguments[TEXT_ARGUMENTS_MAX];
    size_t count = 0;
    va_list list;
    va_start(list, id);
    for (const char *a = va_arg(list, const char *); a && count < TEXT_ARGUMENTS_MAX; a = va_arg(list, const char *))
        arguments[count++] = a;
    va_end(list);
    text_write_list(out, text_get(lang, id), arguments, count);
}
