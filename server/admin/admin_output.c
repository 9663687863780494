/* admin_output.c - what the commands print; see admin.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/crypto.h"
#include "proto/id.h"
#include "proto/wire.h"
#include "server/admin/admin.h"
#include "server/admin/admin_table.h"

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

static void print_list(wire_reader *r, bool json) {
    json_t *rows = json_array();
    for (uint32_t left = wire_array(r); left > 0 && !r->failed; left--) {
        json_t *row = json_of(r);
        if (json)
            print_json(row);
        else
            json_array_append_new(rows, row);
    }
    admin_table_print(rows);
    json_decref(rows);
}

void admin_print_result(span result, bool json) {
    wire_reader r = wire_open(result);
    if (wire_peek(&r) == WIRE_ARRAY) {
        print_list(&r, json);
        return;
    }
    json_t *object = json_of_result(result);
    if (json) {
        print_json(object);
        return;
    }
    admin_lines_print(object);
    json_decref(object);
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
