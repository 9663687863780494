/* fieldtext.c - see fieldtext.h. */
#include "client/cli/fieldtext.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/cli/timetext.h"

#define NUMBER_BYTES 64

static bool is_one_of(const char *text, const char *const *words) {
    for (; *words; words++)
        if (strcasecmp(text, *words) == 0)
            return true;
    return false;
}

static bool read_bool(const char *text, lp_value *value_out) {
    static const char *const yes[] = {"yes", "y", "true", "t", "1", "是", NULL};
    static const char *const no[] = {"no", "n", "false", "f", "0", "否", NULL};
    bool is_yes = is_one_of(text, yes);
    if (!is_yes && !is_one_of(text, no))
        return false;
    *value_out = (lp_value){.type = LP_BOOL, .integer = is_yes};
    return true;
}

static bool read_real(const char *text, double *real_out) {
    if (text[strspn(text, "0123456789+-.eE")] != '\0')
        return false; /* strtod would also take hexadecimal, infinities and NaN */
    char *end = NULL;
    *real_out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*real_out);
}

static bool read_int(const char *text, lp_value *value_out) {
    char *end = NULL;
    errno = 0;
    int64_t integer = strtoll(text, &end, 10);
    if (end == text || errno)
        return false;
    double real = 0;
    if (*end && (!read_real(text, &real) || real != floor(real) || fabs(real) > 9007199254740992.0))
        return false;
    *value_out = (lp_value){.type = LP_INT, .integer = *end ? (int64_t)real : integer};
    return true;
}

/* Reads a text of any type but TEXT: white space around it does not count. */
static bool read_typed(const lp_field_info *field, const char *text, size_t size, lp_value *value_out) {
    while (size && strchr(" \t\r\n", text[0])) {
        text++;
        size--;
    }
    while (size && strchr(" \t\r\n", text[size - 1]))
        size--;
    char word[NUMBER_BYTES];
    if (size == 0 || size >= sizeof word)
        return false;
    memcpy(word, text, size);
    word[size] = '\0';
    if (field->time) {
        *value_out = (lp_value){.type = LP_INT};
        return time_parse(word, size, &value_out->integer);
    }
    if (field->type == LP_BOOL)
        return read_bool(word, value_out);
    if (field->type == LP_INT)
        return read_int(word, value_out);
    *value_out = (lp_value){.type = LP_REAL};
    return field->type == LP_REAL && read_real(word, &value_out->real);
}

bool field_read(const lp_field_info *field, const char *text, size_t size, lp_value *value_out) {
    if (field->type != LP_TEXT)
        return read_typed(field, text, size, value_out);
    *value_out = (lp_value){.type = LP_TEXT, .data = text, .size = (uint32_t)size};
    return true;
}

static void print_real(FILE *out, double real) {
    char text[NUMBER_BYTES];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, real);
        if (strtod(text, NULL) == real) // NOLINT: bit for bit is what is asked
            break;
    }
    fputs(text, out);
}

static void print_bytes(FILE *out, const lp_value *value) {
    char text[LP_ID_TEXT_BYTES];
    if (value->type == LP_BYTES && value->size == sizeof(lp_id)) {
        lp_id id;
        memcpy(&id, value->data, sizeof id);
        lp_id_format(&id, text);
        fputs(text, out);
        return;
    }
    for (uint32_t i = 0; i < value->size; i++)
        fprintf(out, "%02x", (unsigned)(unsigned char)value->data[i]);
}

void field_print(FILE *out, const lp_value *value, bool time) {
    char text[TIME_TEXT_BYTES];
    switch (value->type) {
    case LP_BOOL:
        fputs(value->integer ? "yes" : "no", out);
        return;
    case LP_INT:
        if (!time) {
            fprintf(out, "%" PRId64, value->integer);
            return;
        }
        time_format_iso(value->integer, text);
        fputs(text, out);
        return;
    case LP_REAL:
        print_real(out, value->real);
        return;
    case LP_TEXT:
        fwrite(value->data, 1, value->size, out);
        return;
    case LP_BYTES:
    case LP_OTHER:
        print_bytes(out, value);
        return;
    default:
        return;
    }
}

static double number_of(const lp_value *value) {
    return value->type == LP_REAL ? value->real : (double)value->integer;
}

bool field_equal(const lp_value *a, const lp_value *b) {
    bool numbers = (a->type == LP_INT && b->type == LP_REAL) || (a->type == LP_REAL && b->type == LP_INT);
    if (numbers)
        return number_of(a) == number_of(b);
    if (a->type != b->type)
        return false;
    if (a->type == LP_REAL)
        return a->real == b->real;
    if (a->type == LP_BOOL || a->type == LP_INT)
        return a->integer == b->integer;
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}
