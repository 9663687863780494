/* fields.c - names of fields, the schema as programs see it, columns derived from records; see fields.h. */
#include "client/replica/fields.h"

#include <stdio.h>
#include <string.h>

#include "client/find/fold.h"
#include "leadpool/leadpool.h"
#include "proto/err.h"
#include "proto/wire.h"

/* ---- names ---- */

#define DISTANCE_NAME_MAX 48

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Levenshtein distance (1965), one row at a time. Long names are as good as different. */
static size_t distance(span a, span b) {
    size_t row[DISTANCE_NAME_MAX + 1];
    if (a.size > DISTANCE_NAME_MAX || b.size > DISTANCE_NAME_MAX)
        return DISTANCE_NAME_MAX;
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t above = row[j];
            size_t change = diagonal + (a.data[i - 1] != b.data[j - 1]);
            row[j] = least(change, least(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b.size];
}

/* The field a person may have meant: by its label in either language, else by the nearest name; NULL if none is near. */
static const char *nearest_name(uint32_t kind, span name) {
    uint32_t count;
    const field_info *list = schema_fields(kind, &count);
    const char *best = NULL;
    size_t best_distance = name.size / 3 + 2;
    buf wanted = {0}, label = {0};
    fold_text(name, FOLD_DROP_ACCENTS, &wanted);
    for (uint32_t i = 0; i < count && best_distance > 0; i++) {
        buf_clear(&label);
        fold_text(span_text(list[i].english), FOLD_DROP_ACCENTS, &label);
        bool labelled = span_equal(buf_span(&label), buf_span(&wanted)) || span_equal(span_text(list[i].chinese), name);
        size_t d = labelled ? 0 : distance(buf_span(&wanted), span_text(list[i].name));
        if (d < best_distance) {
            best_distance = d;
            best = list[i].name;
        }
    }
    buf_fini(&wanted);
    buf_fini(&label);
    return best;
}

static lp_err unknown_field(uint32_t kind, span name, lp_error *error) {
    const char *nearest = nearest_name(kind, name);
    int shown = (int)least(name.size, 80);
    if (nearest)
        return err_set(error, LP_INVALID, "no field is called '%.*s'; did you mean %s?", shown, (const char *)name.data,
                       nearest);
    return err_set(error, LP_INVALID, "no field is called '%.*s'; see the list of fields", shown,
                   (const char *)name.data);
}

/* "217" of "#217": decimal digits without leading zero, at most FIELD_NUMBER_MAX. */
static bool parse_number(span digits, uint32_t *number_out) {
    uint32_t number = 0;
    if (digits.size == 0 || digits.size > 5 || digits.data[0] == '0')
        return false;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        number = number * 10 + (uint32_t)(digits.data[i] - '0');
    }
    *number_out = number;
    return number <= FIELD_NUMBER_MAX;
}

lp_err fields_parse(uint32_t kind, span name, field_ref *ref_out, lp_error *error) {
    *ref_out = (field_ref){0};
    const uint8_t *dot = name.size ? memchr(name.data, '.', name.size) : NULL;
    span head = dot ? span_of(name.data, (size_t)(dot - name.data)) : name;
    span key = dot ? span_of(dot + 1, name.size - head.size - 1) : (span){0};
    if (!text_valid(name) || name.size == 0)
        return err_set(error, LP_INVALID, "a field's name is empty or not UTF-8");
    if (head.size && head.data[0] == '#') {
        if (!parse_number(span_of(head.data + 1, head.size - 1), &ref_out->number))
            return err_set(error, LP_INVALID, "'%.*s' is no field; after # comes a number up to %d",
                           (int)least(name.size, 80), (const char *)name.data, FIELD_NUMBER_MAX);
        ref_out->info = schema_field(kind, ref_out->number);
    } else {
        ref_out->info = schema_field_named(kind, head);
        if (!ref_out->info)
            return unknown_field(kind, head, error);
        ref_out->number = ref_out->info->number;
    }
    if (key.size > KEY_BYTES_MAX)
        return err_set(error, LP_INVALID, "the key in '%.80s...' is longer than %d bytes; shorten it",
                       (const char *)name.data, KEY_BYTES_MAX);
    if (dot && key.size == 0)
        return err_set(error, LP_INVALID, "a key must follow the dot in '%.*s'", (int)least(name.size, 80),
                       (const char *)name.data);
    if (key.size && ref_out->info && !(ref_out->info->flags & FIELD_MAP))
        return err_set(error, LP_INVALID, "%s takes no key", ref_out->info->name);
    ref_out->key = key;
    return LP_OK;
}

size_t fields_name(uint32_t kind, uint32_t number, span key, char *text_out, size_t size) {
    const field_info *info = schema_field(kind, number);
    char head[64];
    if (info)
        snprintf(head, sizeof head, "%s", info->name);
    else
        snprintf(head, sizeof head, "#%u", number);
    int length = snprintf(text_out, size, "%s%s%.*s", head, key.size ? "." : "", (int)key.size,
                          key.size ? (const char *)key.data : "");
    return length > 0 ? (size_t)length : 0;
}

/* ---- the schema for programs ---- */

static lp_type public_type(field_type type) {
    switch (type) {
    case FIELD_TEXT:
    case FIELD_CODE:
        return LP_TEXT;
    case FIELD_INT:
    case FIELD_TIME:
        return LP_INT;
    case FIELD_REAL:
        return LP_REAL;
    case FIELD_BOOL:
        return LP_BOOL;
    case FIELD_ID:
    case FIELD_BYTES:
        return LP_BYTES;
    case FIELD_ANY:
        break;
    }
    return LP_NULL;
}

lp_err lp_schema_field(const char *kind, uint32_t index, lp_field_info *info_out) {
    const kind_info *of = kind ? schema_kind_named(kind) : NULL;
    if (!of)
        return LP_INVALID;
    uint32_t count;
    const field_info *list = schema_fields(of->number, &count);
    if (index >= count)
        return LP_NOT_FOUND;
    const field_info *info = &list[index];
    bool text = info->type == FIELD_TEXT || info->type == FIELD_CODE;
    *info_out = (lp_field_info){
        .name = info->name,
        .label_en = info->english,
        .label_zh = info->chinese,
        .type = public_type(info->type),
        .time = info->type == FIELD_TIME,
        .map = (info->flags & FIELD_MAP) != 0,
        .writable = !(info->flags & FIELD_SERVER),
        .hidden = (info->flags & FIELD_HIDDEN) != 0,
        .max_bytes = text ? info->max_bytes : 0,
        .group = info->group,
        .number = info->number,
    };
    return LP_OK;
}
