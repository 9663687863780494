/* columns.c - see columns.h. */
#include "client/cli/columns.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const struct synonyms {
    const char *field;
    const char *names; /* with | between them */
} table[] = {
#define COLUMN(field, names) {#field, names},
#include "client/cli/columns.def"
#undef COLUMN
};

static bool is_letter_or_digit(utf8proc_int32_t c) {
    utf8proc_category_t category = utf8proc_category(c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_ME) ||
           (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

/* Copies what counts of the folded text. */
static void keep_letters(const utf8proc_uint8_t *text, char *key_out) {
    size_t size = 0;
    utf8proc_int32_t c = 0;
    utf8proc_ssize_t n = 0;
    for (; *text && (n = utf8proc_iterate(text, -1, &c)) > 0; text += n) {
        if (!is_letter_or_digit(c))
            continue;
        if (size + (size_t)n >= COLUMN_KEY_BYTES)
            break;
        memcpy(key_out + size, text, (size_t)n);
        size += (size_t)n;
    }
    key_out[size] = '\0';
}

void column_key(const char *name, char *key_out) {
    key_out[0] = '\0';
    utf8proc_uint8_t *folded = NULL;
    utf8proc_option_t options =
        UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD;
    if (utf8proc_map((const utf8proc_uint8_t *)name, 0, &folded, options) >= 0)
        keep_letters(folded, key_out);
    free(folded);
}

static bool key_is(const char *key, const char *name) {
    char other[COLUMN_KEY_BYTES];
    column_key(name, other);
    return strcmp(key, other) == 0;
}

static bool key_is_listed(const char *key, const char *names) {
    while (*names) {
        char name[128];
        size_t size = strcspn(names, "|");
        size_t fits = size < sizeof name ? size : sizeof name - 1;
        memcpy(name, names, fits);
        name[fits] = '\0';
        if (key_is(key, name))
            return true;
        names += size + (names[size] == '|');
    }
    return false;
}

bool column_field_named(const char *name, lp_field_info *info_out) {
    lp_field_info info;
    size_t size = strcspn(name, ".");
    for (uint32_t i = 0; lp_schema_field("lead", i, &info) == LP_OK; i++) {
        if (strlen(info.name) != size || memcmp(info.name, name, size) != 0)
            continue;
        *info_out = info;
        return true;
    }
    return false;
}

/* Own names and labels come before any synonym, so that no entry of columns.def can hide a field. */
static bool own_name(const char *key, lp_field_info *info_out) {
    lp_field_info info;
    for (uint32_t i = 0; lp_schema_field("lead", i, &info) == LP_OK; i++) {
        if (info.hidden || !(key_is(key, info.name) || key_is(key, info.label_en) || key_is(key, info.label_zh)))
            continue;
        *info_out = info;
        return true;
    }
    return false;
}

bool column_field(const char *header, lp_field_info *info_out, const char **key_out) {
    char key[COLUMN_KEY_BYTES];
    column_key(header, key);
    *key_out = NULL;
    if (!key[0])
        return false;
    if (own_name(key, info_out))
        return true;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!key_is_listed(key, table[i].names))
            continue;
        const char *dot = strchr(table[i].field, '.');
        *key_out = dot ? dot + 1 : NULL;
        return column_field_named(table[i].field, info_out);
    }
    return false;
}
