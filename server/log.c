/* log.c - builds a line in memory and writes it in one go; see log.h. */
#include "server/log.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "proto/buf.h"

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_init(logger *log, const lp_env *env, FILE *stream, log_level level, log_format format) {
    *log = (logger){.env = env, .stream = stream, .format = format};
    atomic_init(&log->level, (int)level);
    pthread_mutex_init(&log->mutex, NULL);
}

void log_fini(logger *log) {
    pthread_mutex_destroy(&log->mutex);
}

void log_set_level(logger *log, log_level level) {
    atomic_store(&log->level, (int)level);
}

static void put(buf *line, const char *text) {
    buf_append_span(line, span_text(text));
}

/* Control characters and what the syntax needs become escapes; bytes above 0x7f stay, they are UTF-8. */
static void put_escaped(buf *line, const char *text) {
    size_t size = strnlen(text, LOG_VALUE_BYTES_MAX);
    while (size > 0 && text[size] != '\0' && ((unsigned char)text[size] & 0xC0) == 0x80)
        size--;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            buf_append_byte(line, '\\');
        if (c >= 0x20 && c != 0x7f) {
            buf_append_byte(line, c);
            continue;
        }
        char escape[8];
        snprintf(escape, sizeof escape, "\\u%04x", c);
        put(line, escape);
    }
    if (text[size] != '\0')
        put(line, "...");
}

static bool needs_quotes(const char *text) {
    if (*text == '\0')
        return true;
    for (; *text; text++)
        if ((unsigned char)*text <= 0x20 || *text == 0x7f || *text == '"' || *text == '\\' || *text == '=')
            return true;
    return false;
}

static void put_time(buf *line, int64_t now_ms) {
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    char text[32], fraction[8];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(fraction, sizeof fraction, ".%03dZ", (int)(now_ms % 1000));
    put(line, text);
    put(line, fraction);
}

static void put_value(buf *line, const log_field *field, bool quotes) {
    if (!field->text) {
        char number[24];
        snprintf(number, sizeof number, "%" PRId64, field->number);
        put(line, number);
        return;
    }
    if (quotes)
        buf_append_byte(line, '"');
    put_escaped(line, field->text);
    if (quotes)
        buf_append_byte(line, '"');
}

static void put_text_line(buf *line, int64_t now_ms, log_level level, const char *event, const log_field *fields) {
    put_time(line, now_ms);
    put(line, " ");
    put(line, level_names[level]);
    put(line, " ");
    put(line, event);
    for (const log_field *field = fields; field->name; field++) {
        put(line, " ");
        put(line, field->name);
        put(line, "=");
        put_value(line, field, field->text && needs_quotes(field->text));
    }
}

static void put_json_line(buf *line, int64_t now_ms, log_level level, const char *event, const log_field *fields) {
    put(line, "{\"time\":\"");
    put_time(line, now_ms);
    put(line, "\",\"level\":\"");
    put(line, level_names[level]);
    put(line, "\",\"event\":\"");
    put_escaped(line, event);
    put(line, "\"");
    for (const log_field *field = fields; field->name; field++) {
        put(line, ",\"");
        put_escaped(line, field->name);
        put(line, "\":");
        put_value(line, field, true);
    }
    put(line, "}");
}

void log_write(logger *log, log_level level, const char *event, const log_field *fields) {
    if ((int)level > atomic_load(&log->level))
        return;
    buf line = {0};
    int64_t now_ms = log->env->wall_ms(log->env->ctx);
    if (log->format == LOG_FORMAT_JSON)
        put_json_line(&line, now_ms, level, event, fields);
    else
        put_text_line(&line, now_ms, level, event, fields);
    put(&line, "\n");
    if (!line.failed) {
        pthread_mutex_lock(&log->mutex);
        fwrite(line.data, 1, line.size, log->stream);
        fflush(log->stream);
        pthread_mutex_unlock(&log->mutex);
    }
    buf_fini(&line);
}
