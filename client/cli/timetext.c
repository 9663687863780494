/* timetext.c - see timetext.h. */
#include "client/cli/timetext.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* A cursor over the text; `ok` turns false at the first thing that does not fit and stays so. */
typedef struct cursor {
    const char *at;
    const char *end;
    bool ok;
} cursor;

static bool accept(cursor *c, const char *any_of) {
    if (c->at == c->end || !strchr(any_of, *c->at))
        return false;
    c->at++;
    return true;
}

static int number(cursor *c, int min_digits, int max_digits, int low, int high) {
    int value = 0;
    int digits = 0;
    for (; digits < max_digits && c->at < c->end && *c->at >= '0' && *c->at <= '9'; digits++)
        value = value * 10 + (*c->at++ - '0');
    if (digits < min_digits || value < low || value > high)
        c->ok = false;
    return value;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Hinnant, "chrono-compatible date algorithms"). */
static int64_t days_of(int year, int month, int day) {
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static void read_clock(cursor *c, struct tm *tm, int *ms) {
    tm->tm_hour = number(c, 1, 2, 0, 23);
    c->ok = c->ok && accept(c, ":");
    tm->tm_min = number(c, 2, 2, 0, 59);
    if (!accept(c, ":"))
        return;
    tm->tm_sec = number(c, 2, 2, 0, 59);
    if (!accept(c, "."))
        return;
    const char *from = c->at;
    *ms = number(c, 1, 3, 0, 999);
    for (long digits = c->at - from; digits < 3; digits++)
        *ms *= 10;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++; /* finer than a ms */
}

/* Reads "Z", "+08:00" or "+0800" into minutes east of UTC; false if there is no zone. */
static bool read_zone(cursor *c, int *minutes) {
    if (accept(c, "Zz"))
        return true;
    int sign = c->at < c->end && *c->at == '-' ? -1 : 1;
    if (!accept(c, "+-"))
        return false;
    int hours = number(c, 2, 2, 0, 14);
    accept(c, ":");
    *minutes = sign * (hours * 60 + number(c, 2, 2, 0, 59));
    return true;
}

bool time_parse(const char *text, size_t size, int64_t *ms_out) {
    cursor c = {text, text + size, true};
    struct tm tm = {.tm_isdst = -1};
    int ms = 0;
    int zone_minutes = 0;
    tm.tm_year = number(&c, 4, 4, 1900, 9999) - 1900;
    c.ok = c.ok && accept(&c, "-/.");
    tm.tm_mon = number(&c, 1, 2, 1, 12) - 1;
    c.ok = c.ok && accept(&c, "-/.");
    tm.tm_mday = number(&c, 1, 2, 1, 31);
    if (!c.ok || tm.tm_mday > days_in_month(tm.tm_year + 1900, tm.tm_mon + 1))
        return false;
    if (accept(&c, "Tt "))
        read_clock(&c, &tm, &ms);
    bool zoned = c.ok && read_zone(&c, &zone_minutes);
    if (!c.ok || c.at != c.end)
        return false;
    int64_t seconds = zoned ? days_of(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday) * 86400 + tm.tm_hour * 3600 +
                                  tm.tm_min * 60 + tm.tm_sec - zone_minutes * 60
                            : (int64_t)mktime(&tm);
    *ms_out = seconds * 1000 + ms;
    return true;
}

void time_format_iso(int64_t ms, char *text_out) {
    int64_t rest = ms % 1000;
    time_t seconds = (time_t)((ms - (rest < 0 ? rest + 1000 : rest)) / 1000);
    struct tm tm;
    size_t n = 0;
    if (gmtime_r(&seconds, &tm))
        n = strftime(text_out, TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text_out + n, TIME_TEXT_BYTES - n, ".%03dZ", (int)(rest < 0 ? rest + 1000 : rest));
}

void time_format_local_seconds(int64_t ms, char *text_out) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    if (!localtime_r(&seconds, &tm) || strftime(text_out, TIME_TEXT_BYTES, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        text_out[0] = '\0';
}

void time_format_local(int64_t ms, char *text_out) {
    time_format_local_seconds(ms, text_out);
    char *colon = strrchr(text_out, ':');
    if (colon)
        *colon = '\0';
}
