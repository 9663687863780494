/* log.h - what happened, one line each, to a stream: for people as text, for programs as JSON.
 *
 *     2026-11-22T04:35:06.123Z info listening address=127.0.0.1:7117
 *     {"time":"2026-11-22T04:35:06.123Z","level":"info","event":"listening","address":"127.0.0.1:7117"}
 *
 * Invariants:
 *   (1) One call is one line, whatever the values hold: they are escaped and cut.
 *   (2) Never the text of a lead: callers log ids, counts, addresses and reasons only.
 * Thread: any; lines of two threads never mix. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "proto/env.h"

typedef enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG } log_level;
typedef enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON } log_format;

/** Bytes of a value that a line keeps. */
#define LOG_VALUE_BYTES_MAX 512

typedef struct logger {
    const lp_env *env; /**< the clock of the lines, borrowed */
    FILE *stream;      /**< borrowed */
    log_format format;
    _Atomic int level; /**< a log_level; may be changed while others log */
    pthread_mutex_t mutex;
} logger;

/** A value of a line: text, or a number if `text` is NULL. The list of a line ends with a NULL name. */
typedef struct log_field {
    const char *name;
    const char *text;
    int64_t number;
} log_field;

#define LOG_TEXT(name, value) ((log_field){(name), (value), 0})
#define LOG_NUMBER(name, value) ((log_field){(name), NULL, (int64_t)(value)})
/** log_line(log, LOG_LEVEL_INFO, "listening", LOG_TEXT("address", address)) */
#define log_line(log, level, event, ...) log_write(log, level, event, (const log_field[]){__VA_ARGS__, {NULL, NULL, 0}})

void log_init(logger *log, const lp_env *env, FILE *stream, log_level level, log_format format);
void log_fini(logger *log);
void log_set_level(logger *log, log_level level);
void log_write(logger *log, log_level level, const char *event, const log_field *fields);

#endif
