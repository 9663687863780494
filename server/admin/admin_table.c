/* admin_table.c - what the commands show a person: a list as a table, one thing as lines. Times are in the reader's zone, and texts, which
 * may come from any device, cannot steer the terminal. See admin.h. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

#include "server/admin/admin_table.h"

#define COLUMNS_MAX 16
#define GAP 2

/* Whether a number is a time its name says: "at", "started_at", "seen_at". */
static bool is_time(const char *key) {
    size_t size = strlen(key);
    return strcmp(key, "at") == 0 || (size > 3 && strcmp(key + size - 3, "_at") == 0);
}

static char *time_text(int64_t at_ms) {
    char text[32] = "-";
    struct tm parts;
    time_t seconds = (time_t)(at_ms / 1000);
    if (at_ms && localtime_r(&seconds, &parts))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
    return strdup(text);
}

static char *number_text(int64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    return strdup(text);
}

/* What a value looks like; the caller frees it. NULL: out of memory. */
static char *text_of(const char *key, const json_t *value) {
    if (json_is_string(value))
        return strdup(json_string_length(value) ? json_string_value(value) : "-");
    if (json_is_object(value) || json_is_array(value))
        return json_dumps(value, JSON_COMPACT);
    if (json_is_integer(value))
        return is_time(key) ? time_text(json_integer_value(value)) : number_text(json_integer_value(value));
    return strdup(json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
}

/* Prints a text, if `print`, without what a terminal would obey. Returns the columns it takes. */
static size_t show(const char *text, bool print) {
    size_t columns = 0;
    while (*text) {
        utf8proc_int32_t c;
        utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &c);
        bool plain = size > 0 && utf8proc_category(c) != UTF8PROC_CATEGORY_CC;
        if (print)
            fwrite(plain ? text : " ", 1, plain ? (size_t)size : 1, stdout);
        columns += plain ? (size_t)utf8proc_charwidth(c) : 1;
        text += size > 0 ? size : 1;
    }
    return columns;
}

static void show_padded(const char *text, size_t columns) {
    size_t taken = show(text, true);
    printf("%*s", taken < columns ? (int)(columns - taken) : 0, "");
}

static void measure(const json_t *rows, size_t widths[COLUMNS_MAX]) {
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *key;
        json_t *value;
        size_t column = 0;
        json_object_foreach(json_array_get(rows, i), key, value) {
            char *text = text_of(key, value);
            size_t columns[] = {show(key, false), text ? show(text, false) : 0};
            free(text);
            for (int at = 0; at < 2 && column < COLUMNS_MAX; at++)
                widths[column] = columns[at] > widths[column] ? columns[at] : widths[column];
            column++;
        }
    }
}

/* One line; `names`: those of the columns instead of the values. */
static void print_row(json_t *row, bool names, const size_t widths[COLUMNS_MAX]) {
    const char *key;
    json_t *value;
    size_t column = 0, count = json_object_size(row);
    json_object_foreach(row, key, value) {
        char *text = names ? NULL : text_of(key, value);
        bool last = column + 1 == count || column >= COLUMNS_MAX;
        show_padded(names ? key : text ? text : "-", last ? 0 : widths[column] + GAP);
        free(text);
        column++;
    }
    putchar('\n');
}

void admin_table_print(const json_t *rows) {
    size_t widths[COLUMNS_MAX] = {0};
    measure(rows, widths);
    if (json_array_size(rows))
        print_row(json_array_get(rows, 0), true, widths);
    for (size_t i = 0; i < json_array_size(rows); i++)
        print_row(json_array_get(rows, i), false, widths);
}

void admin_lines_print(const json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        char *text = text_of(key, value);
        printf("%-12s ", key);
        show(text ? text : "-", true);
        putchar('\n');
        free(text);
    }
}
