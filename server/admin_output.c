/* admin_output.c - what the commands print; see admin.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/crypto.h"
#include "proto/id.h"
#include "proto/wire.h"
#include "server/admin.h"

static bool coloured(int fd) {
    const char *no = getenv("NO_COLOR");
    return isatty(fd) && (!no || !*no);
}

static void print_json(json_t *object) {
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

void admin_print_error(lp_err err, const lp_error *error, bool json) {
    bool colour = coloured(STDERR_FILENO);
    const char *text = error->code == err && error->message[0] ? error->message : lp_err_text(err);
    fprintf(stderr, "%sleadpoold:%s %s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "", text);
    if (json)
        print_json(json_pack("{s:s,s:s}", "error", lp_err_name(err), "message", text));
}

static json_t *json_of(wire_reader *r);
static json_t *json_of_map(wire_reader *r);

/* An id in its usual form, other bytes in hexadecimal. */
static json_t *json_of_bytes(span bytes) {
    char text[2 * 64 + 1];
    lp_id id;
    if (id_from_span(bytes, &id))
        lp_id_format(&id, text);
    else
        crypto_hex(span_of(bytes.data, bytes.size < 64 ? bytes.size : 64), text);
    return json_string(text);
}

static json_t *json_of(wire_reader *r) {
    switch (wire_peek(r)) {
    case WIRE_BOOL:
        return json_boolean(wire_bool(r));
    case WIRE_INT:
        return json_integer((json_int_t)wire_i64(r));
    case WIRE_TEXT: {
        span text = wire_text(r);
        return json_stringn((const char *)text.data, text.size);
    }
    case WIRE_REAL:
        return json_real(wire_real(r));
    case WIRE_BYTES:
        return json_of_bytes(wire_bytes(r));
    case WIRE_MAP:
        return json_of_map(r);
    case WIRE_ARRAY: {
        json_t *array = json_array();
        for (uint32_t left = wire_array(r); left > 0 && !r->failed; left--)
            json_array_append_new(array, json_of(r));
        return array;
    }
    default:
        wire_raw(r);
        return json_null();
    }
}

static json_t *json_of_map(wire_reader *r) {
    json_t *object = json_object();
    for (uint32_t left = wire_map(r); left > 0 && !r->failed; left--) {
        span name = wire_text(r);
        char key[512];
        snprintf(key, sizeof key, "%.*s", (int)name.size, (const char *)name.data);
        json_object_set_new(object, key, json_of(r));
    }
    return object;
}

static json_t *json_of_result(span result) {
    wire_reader r = wire_open(result);
    return result.size ? json_of_map(&r) : json_object();
}

/* Whether a number is a time its name says: "at", "started_at", "seen_at". */
static bool is_time(const char *key) {
    size_t size = strlen(key);
    return strcmp(key, "at") == 0 || (size > 3 && strcmp(key + size - 3, "_at") == 0);
}

static void print_scalar(const char *key, const json_t *value) {
    char text[32];
    struct tm parts;
    time_t seconds = (time_t)(json_integer_value(value) / 1000);
    if (!json_is_integer(value))
        printf("%s", json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
    else if (!is_time(key))
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (seconds == 0)
        putchar('-');
    else if (strftime(text, sizeof text, "%Y-%m-%dT%H:%MZ", gmtime_r(&seconds, &parts)))
        printf("%s", text);
}

static void print_lines(json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        printf("%-12s ", key);
        if (json_is_string(value))
            puts(json_string_value(value));
        else if (json_is_integer(value))
            printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
        else
            puts(json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
    }
    json_decref(object);
}

/* One element of a list on one line: values in a row, and what is nested as JSON. */
static void print_row(json_t *object) {
    const char *key, *gap = "";
    json_t *value;
    json_object_foreach(object, key, value) {
        printf("%s", gap);
        gap = "  ";
        if (json_is_string(value))
            printf("%s", json_string_value(value)[0] ? json_string_value(value) : "-");
        else if (json_is_object(value) || json_is_array(value))
            json_dumpf(value, stdout, JSON_COMPACT);
        else
            print_scalar(key, value);
    }
    putchar('\n');
    json_decref(object);
}

void admin_print_result(span result, bool json) {
    wire_reader r = wire_open(result);
    bool many = wire_peek(&r) == WIRE_ARRAY;
    uint32_t left = many ? wire_array(&r) : 0;
    for (; left > 0 && !r.failed; left--)
        (json ? print_json : print_row)(json_of(&r));
    if (!many)
        (json ? print_json : print_lines)(json_of_result(result));
}

void admin_result_text(span result, const char *name, char *text_out, size_t size) {
    json_t *object = json_of_result(result);
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(text_out, size, "%s", text ? text : "");
    json_decref(object);
}

int64_t admin_result_number(span result, const char *name) {
    json_t *object = json_of_result(result);
    int64_t number = json_integer_value(json_object_get(object, name));
    json_decref(object);
    return number;
}

bool admin_progress(void *ctx, uint64_t done, uint64_t total) {
    if (!isatty(STDERR_FILENO))
        return true;
    if (total > 0)
        fprintf(stderr, "\r\033[K%s %" PRIu64 "%%", (const char *)ctx, done * 100 / total);
    else
        fprintf(stderr, "\r\033[K%s %" PRIu64, (const char *)ctx, done);
    return true;
}

void admin_progress_end(void) {
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}
