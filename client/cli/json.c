/* json.c - see json.h. */
#include "client/cli/json.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/fieldtext.h"

static json_t *text_of(const char *text, size_t size) {
    json_t *string = json_stringn(text, size);
    return string ? string : json_null();
}

json_t *json_of_text(const char *text) {
    return text ? text_of(text, strlen(text)) : json_null();
}

json_t *json_of_id(const lp_id *id) {
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(id, text);
    return json_string(text);
}

static json_t *bytes_of(const lp_value *value) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return json_null();
    field_print(out, value, false);
    json_t *string = fclose(out) == 0 ? text_of(text, size) : json_null();
    free(text);
    return string;
}

json_t *json_of_value(const lp_value *value) {
    switch (value->type) {
    case LP_BOOL:
        return json_boolean(value->integer);
    case LP_INT:
        return json_integer(value->integer);
    case LP_REAL:
        return json_real(value->real);
    case LP_TEXT:
        return text_of(value->data, value->size);
    case LP_BYTES:
    case LP_OTHER:
        return bytes_of(value);
    default:
        return json_null();
    }
}

/* "tags.vip" goes into the object "tags" under "vip". */
static void set_field(json_t *fields, const lp_field *field) {
    const char *dot = strchr(field->name, '.');
    json_t *value = json_of_value(&field->value);
    if (!dot) {
        json_object_set_new(fields, field->name, value);
        return;
    }
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)(dot - field->name), field->name);
    json_t *map = json_object_get(fields, name);
    if (!json_is_object(map)) {
        json_object_set_new(fields, name, json_object());
        map = json_object_get(fields, name);
    }
    json_object_set_new(map, dot + 1, value);
}

json_t *json_of_record(const lp_record *record) {
    json_t *fields = json_object();
    lp_field field;
    for (uint32_t i = 0; lp_record_field(record, i, &field) == LP_OK; i++)
        if (strcmp(field.name, "deleted") != 0)
            set_field(fields, &field);
    return json_pack("{s:o, s:s, s:b, s:b, s:o}", "id", json_of_id(lp_record_id(record)), "kind",
                     lp_record_kind(record), "deleted", (int)lp_record_deleted(record), "unsent",
                     (int)lp_record_unsent(record), "fields", fields);
}

json_t *json_error_body(const lp_error *error) {
    const char *message = error->message[0] ? error->message : lp_err_text(error->code);
    return json_pack("{s:s, s:o}", "code", lp_err_name(error->code), "message", json_of_text(message));
}

json_t *json_error(const lp_error *error) {
    return json_pack("{s:o}", "error", json_error_body(error));
}

void json_print(FILE *out, json_t *object) {
    if (object) {
        json_dumpf(object, out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        fputc('\n', out);
        fflush(out);
    }
    json_decref(object);
}
