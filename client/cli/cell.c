/* cell.c - see cell.h. */
#include "client/cli/cell.h"

#include <string.h>
#include <strings.h>

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static bool is_one_of_the_blanks(const char *text, size_t size) {
    static const char *const blanks[] = {"select", "nan", "null", "n/a", "请选择"};
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
        if (strlen(blanks[i]) == size && strncasecmp(blanks[i], text, size) == 0)
            return true;
    return false;
}

bool cell_is_blank(const char *text, size_t size) {
    while (size && is_space(text[0])) {
        text++;
        size--;
    }
    while (size && is_space(text[size - 1]))
        size--;
    return size == 0 || is_one_of_the_blanks(text, size);
}

bool cell_needs_guard(const char *text, size_t size) {
    while (size && text[0] == '\'') {
        text++;
        size--;
        if (size == 0)
            return false; /* apostrophes and nothing behind them */
    }
    return size && (memchr("=+-@\t\r", text[0], 6) || cell_is_blank(text, size));
}

size_t cell_guard_bytes(const char *text, size_t size) {
    return size > 1 && text[0] == '\'' && cell_needs_guard(text + 1, size - 1) ? 1 : 0;
}
