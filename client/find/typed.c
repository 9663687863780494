/* typed.c - reading what people type; see typed.h. Dates follow the proleptic Gregorian calendar (ISO 8601). */
#include "client/find/typed.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/find/fold.h"
#include "proto/err.h"
#include "proto/id.h"
#include "proto/wire.h"

#define TYPED_BYTES_MAX 64 /* longer texts are no number, time or id */
#define DAY_MS INT64_C(86400000)

/* The text folded, without blanks at its ends, NUL-terminated; false if too long or empty. */
static bool tidy(span text, char tidy_out[TYPED_BYTES_MAX]) {
    buf folded = {0};
    if (text.size <= 4 * TYPED_BYTES_MAX)
        fold_text(text, FOLD_KEEP_ACCENTS, &folded);
    span rest = buf_span(&folded);
    while (rest.size && (rest.data[0] == ' ' || rest.data[0] == '\t')) {
        rest.data++;
        rest.size--;
    }
    while (rest.size && (rest.data[rest.size - 1] == ' ' || rest.data[rest.size - 1] == '\t'))
        rest.size--;
    bool fits = rest.size > 0 && rest.size < TYPED_BYTES_MAX && !memchr(rest.data, 0, rest.size);
    if (fits) {
        memcpy(tidy_out, rest.data, rest.size);
        tidy_out[rest.size] = 0;
    }
    buf_fini(&folded);
    return fits;
}

bool typed_int(span text, int64_t *value_out) {
    char number[TYPED_BYTES_MAX];
    if (!tidy(text, number))
        return false;
    if (strspn(number + (number[0] == '-' || number[0] == '+'), "0123456789") +
            (number[0] == '-' || number[0] == '+') !=
        strlen(number))
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(number, &end, 10);
    *value_out = value;
    return errno == 0 && *end == 0 && end != number;
}

/* strtod reads the decimal point of the host's locale, so ours is replaced by that; a locale with a longer one than a
 * byte reads whole numbers only. */
bool typed_real(span text, double *value_out) {
    char number[TYPED_BYTES_MAX];
    if (!tidy(text, number) || strspn(number, "+-.0123456789e") != strlen(number))
        return false;
    const char *point = localeconv()->decimal_point;
    char *dot = strchr(number, '.');
    if (dot && point[0] && !point[1])
        *dot = point[0];
    char *end;
    *value_out = strtod(number, &end);
    return end != number && *end == 0 && isfinite(*value_out);
}

bool typed_bool(span text, bool *value_out) {
    static const char *const yes[] = {"yes", "y", "true", "1", "是"};
    static const char *const no[] = {"no", "n", "false", "0", "否"};
    char word[TYPED_BYTES_MAX];
    if (!tidy(text, word))
        return false;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        *value_out = strcmp(word, yes[i]) == 0;
        if (*value_out || strcmp(word, no[i]) == 0)
            return true;
    }
    return false;
}

/* ---- times ---- */

/* Reads exactly `digits` digits. */
static bool take_digits(const char **at, int digits, int *value_out) {
    *value_out = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *value_out = *value_out * 10 + (**at - '0');
    }
    return true;
}

static bool take_char(const char **at, char c) {
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil); year >= 1. */
static int64_t days_from_civil(int year, int month, int day) {
    year -= month <= 2;
    int era = year / 400;
    int year_of_era = year - era * 400;
    int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

typedef struct civil {
    int year, month, day, hour, minute, second, ms;
    bool has_time;
    bool has_zone;
    int zone_minutes;
    int64_t unit_ms; /* what the text leaves open: a day, a minute, a second or a ms */
} civil;

static bool take_date(const char **at, civil *c) {
    return take_digits(at, 4, &c->year) && take_char(at, '-') && take_digits(at, 2, &c->month) && take_char(at, '-') &&
           take_digits(at, 2, &c->day) && c->year >= 1 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= days_in_month(c->year, c->month);
}

/* Digits of a second after the point; those behind the third are read and dropped. */
static bool take_fraction(const char **at, int *ms_out) {
    int weight = 100;
    int digit;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; weight /= 10) {
        take_digits(at, 1, &digit);
        *ms_out += digit * weight;
    }
    return true;
}

static bool take_clock(const char **at, civil *c) {
    c->has_time = true;
    c->unit_ms = 60000;
    if (!take_digits(at, 2, &c->hour) || !take_char(at, ':') || !take_digits(at, 2, &c->minute))
        return false;
    if (take_char(at, ':')) {
        c->unit_ms = 1000;
        if (!take_digits(at, 2, &c->second))
            return false;
        if (take_char(at, '.')) {
            c->unit_ms = 1;
            if (!take_fraction(at, &c->ms))
                return false;
        }
    }
    return c->hour <= 23 && c->minute <= 59 && c->second <= 59;
}

static bool take_zone(const char **at, civil *c) {
    int hours, minutes = 0;
    while (take_char(at, ' '))
        ;
    if (**at == 0)
        return true;
    c->has_zone = true;
    if (take_char(at, 'z'))
        return true;
    bool west = **at == '-';
    if ((!take_char(at, '+') && !take_char(at, '-')) || !take_digits(at, 2, &hours))
        return false;
    bool colon = take_char(at, ':');
    if ((colon || **at) && !take_digits(at, 2, &minutes))
        return false;
    c->zone_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
    return hours <= 23 && minutes <= 59;
}

/* A local time in the hour that a clock change skips comes out as the host's mktime has it. */
static int64_t local_ms(const civil *c, int days_later) {
    struct tm tm = {
        .tm_year = c->year - 1900,
        .tm_mon = c->month - 1,
        .tm_mday = c->day + days_later,
        .tm_hour = c->hour,
        .tm_min = c->minute,
        .tm_sec = c->second,
        .tm_isdst = -1,
    };
    return (int64_t)mktime(&tm) * 1000 + c->ms;
}

bool typed_time(span text, int64_t *start_ms_out, int64_t *end_ms_out) {
    char typed[TYPED_BYTES_MAX];
    civil c = {.unit_ms = DAY_MS};
    const char *at = typed;
    if (!tidy(text, typed) || !take_date(&at, &c))
        return false;
    if (take_char(&at, 't') || take_char(&at, ' ')) {
        if (!take_clock(&at, &c) || !take_zone(&at, &c))
            return false;
    }
    if (*at)
        return false;
    if (c.has_zone) {
        int64_t seconds = (c.hour * 60 + c.minute - c.zone_minutes) * INT64_C(60) + c.second;
        *start_ms_out = days_from_civil(c.year, c.month, c.day) * DAY_MS + seconds * 1000 + c.ms;
    } else {
        *start_ms_out = local_ms(&c, 0);
    }
    /* A local day may have 23 or 25 hours. */
    *end_ms_out = c.has_time ? *start_ms_out + c.unit_ms : local_ms(&c, 1);
    return true;
}

/* ---- values ---- */

static lp_err put_time(const char *name, const char *text, lp_value *value_out, lp_error *error) {
    int64_t end_ms;
    *value_out = (lp_value){.type = LP_INT};
    if (typed_time(span_text(text), &value_out->integer, &end_ms))
        return LP_OK;
    return err_set(error, LP_INVALID, "%s must be a time such as 2026-11-22 14:30, not '%.80s'", name, text);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool read_hex(const char *text, buf *bytes) {
    for (; text[0]; text += 2) {
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0)
            return false;
        buf_append_byte(bytes, (uint8_t)(high << 4 | low));
    }
    return true;
}

static lp_err put_bytes(const char *name, const char *text, buf *value_out, lp_error *error) {
    buf bytes = {0};
    lp_err code = LP_OK;
    if (!read_hex(text, &bytes))
        code = err_set(error, LP_INVALID, "%s must be bytes as pairs of hexadecimal digits", name);
    else if (bytes.failed)
        code = err_plain(error, LP_NOMEM);
    else
        wire_put_bytes(value_out, buf_span(&bytes));
    buf_fini(&bytes);
    return code;
}

static lp_err read_value(const field_info *info, const char *name, const char *text, lp_value *value_out, lp_id *id,
                         lp_error *error) {
    bool yes;
    switch (info ? info->type : FIELD_ANY) {
    case FIELD_INT:
        *value_out = (lp_value){.type = LP_INT};
        if (typed_int(span_text(text), &value_out->integer))
            return LP_OK;
        return err_set(error, LP_INVALID, "%s must be a whole number, not '%.80s'", name, text);
    case FIELD_REAL:
        *value_out = (lp_value){.type = LP_REAL};
        if (typed_real(span_text(text), &value_out->real))
            return LP_OK;
        return err_set(error, LP_INVALID, "%s must be a number such as 12500.50, not '%.80s'", name, text);
    case FIELD_BOOL:
        if (!typed_bool(span_text(text), &yes))
            return err_set(error, LP_INVALID, "%s must be yes or no, not '%.80s'", name, text);
        *value_out = (lp_value){.type = LP_BOOL, .integer = yes};
        return LP_OK;
    case FIELD_TIME:
        return put_time(name, text, value_out, error);
    case FIELD_ID:
        if (!lp_id_parse(text, id))
            return err_set(error, LP_INVALID,
                           "%s must be an id such as 0190b5a0-0000-7000-8000-000000000000, not '%.80s'", name, text);
        *value_out = (lp_value){.type = LP_BYTES, .data = (const char *)id->bytes, .size = sizeof id->bytes};
        return LP_OK;
    case FIELD_TEXT:
    case FIELD_CODE:
    case FIELD_BYTES:
    case FIELD_ANY:
        break;
    }
    if (!text_valid(span_text(text)))
        return err_set(error, LP_INVALID, "%s is not UTF-8; convert it first", name);
    *value_out = (lp_value){.type = LP_TEXT, .data = text, .size = (uint32_t)strlen(text)};
    return LP_OK;
}

lp_err typed_value(const field_info *info, const char *name, const char *text, buf *value_out, lp_error *error) {
    lp_value value;
    lp_id id;
    if (text[0] == 0) {
        wire_put_nil(value_out);
    } else if (info && info->type == FIELD_BYTES) {
        lp_err code = put_bytes(name, text, value_out, error);
        if (code != LP_OK)
            return code;
    } else {
        lp_err code = read_value(info, name, text, &value, &id, error);
        if (code != LP_OK)
            return code;
        wire_put_value(value_out, &value);
    }
    return value_out->failed ? err_plain(error, LP_NOMEM) : LP_OK;
}
