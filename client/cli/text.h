/* text.h - what the command says to people, in English or Chinese (text.def).
 *
 * Templates hold {1} to {9}: the arguments by position, so that each language has its own word order. */
#ifndef CLIENT_CLI_TEXT_H
#define CLIENT_CLI_TEXT_H

#include <stddef.h>
#include <stdio.h>

typedef enum language { LANGUAGE_EN = 0, LANGUAGE_ZH = 1 } language;

typedef enum text_id {
#define T(ID, english, chinese) T_##ID,
#include "client/cli/text.def"
#undef T
    TEXT_COUNT
} text_id;

#define TEXT_ARGUMENTS_MAX 9

/** The language of a locale name: zh_CN.UTF-8 is Chinese, anything else (NULL too) English. */
language text_language(const char *locale);

/** A template. Static storage. */
const char *text_get(language lang, text_id id);

/** Fills a template with the strings that follow, NULL after the last one, and writes it. No line end is added. */
void text_write(FILE *out, language lang, text_id id, ...) __attribute__((sentinel));

/** The same for a list of arguments. */
void text_write_list(FILE *out, const char *template_text, const char *const *arguments, size_t count);

#endif
