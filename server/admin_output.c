/* admin_output.c - what the commands print; see admin.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    default:
        wire_raw(r);
        return json_null();
    }
}

static json_t *json_of_result(span result) {
    json_t *object = json_object();
    wire_reader r = wire_open(result);
    for (uint32_t left = result.size ? wire_map(&r) : 0; left > 0 && !r.failed; left--) {
        span name = wire_text(&r);
        char key[64];
        snprintf(key, sizeof key, "%.*s", (int)name.size, (const char *)name.data);
        json_object_set_new(object, key, json_of(&r));
    }
    return object;
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

void admin_print_result(span result, bool json) {
    if (json)
        print_json(json_of_result(result));
    else
        print_lines(json_of_result(result));
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
