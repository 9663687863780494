/* import_map.c - see import_map.h. */
#include "client/cli/import_map.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/columns.h"
#include "client/cli/fieldtext.h"

#define TAG_BYTES_MAX 255

static char *join(const char *field, const char *key) {
    size_t size = strlen(field) + (key ? strlen(key) + 1 : 0) + 1;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s%s%s", field, key ? "." : "", key ? key : "");
    return path;
}

/* ---- columns ---- */

static bool path_is_taken(const import_map *map, const char *path) {
    for (uint32_t i = 0; i < map->count; i++)
        if (map->columns[i].path && strcmp(map->columns[i].path, path) == 0)
            return true;
    return false;
}

/* True if `name` is "id" and its cells are UUIDs: a file that export wrote. */
static bool holds_record_ids(const sheet *s, uint32_t column) {
    char key[COLUMN_KEY_BYTES];
    column_key(s->names[column], key);
    if (strcmp(key, "id") != 0)
        return false;
    bool any = false;
    lp_id id;
    for (uint32_t r = 0; r < s->row_count; r++) {
        csv_cell cell = sheet_cell(s, r, column);
        if (cell.size && !lp_id_parse(cell.text, &id))
            return false;
        any = any || cell.size;
    }
    return any;
}

/* Finds the field of a header: "answers.Question" as export writes it, or any known name. */
static bool find_field(const char *name, lp_field_info *field_out, const char **key_out) {
    const char *dot = strchr(name, '.');
    if (dot && dot[1] && column_field_named(name, field_out) && field_out->map) {
        *key_out = dot + 1;
        return field_out->writable;
    }
    return column_field(name, field_out, key_out) && field_out->writable;
}

static map_kind classify(const sheet *s, uint32_t column, lp_field_info *field_out, const char **key_out) {
    const char *name = s->names[column];
    *key_out = NULL;
    if (strcmp(name, IMPORT_LINE_COLUMN) == 0 || strcmp(name, IMPORT_REASON_COLUMN) == 0)
        return MAP_IGNORED;
    if (holds_record_ids(s, column))
        return MAP_RECORD_ID;
    if (!find_field(name, field_out, key_out))
        return MAP_ANSWER;
    if (!field_out->map || *key_out)
        return MAP_FIELD;
    return strcmp(field_out->name, "tags") == 0 ? MAP_TAGS : MAP_ANSWER;
}

/* Where the answers of a column go: its own name, unless "answers." and that name is another column. */
static char *answer_path(const import_map *map, const char *name) {
    char numbered[SHEET_NAME_BYTES_MAX + 16];
    snprintf(numbered, sizeof numbered, "%s", name);
    char *path = join("answers", numbered);
    for (unsigned n = 2; path && path_is_taken(map, path); n++) {
        free(path);
        snprintf(numbered, sizeof numbered, "%s (%u)", name, n);
        path = join("answers", numbered);
    }
    return path;
}

static lp_err map_one(import_map *map, const sheet *s, uint32_t column) {
    const char *key = NULL;
    map_column c = {0};
    c.kind = classify(s, column, &c.field, &key);
    c.answer = answer_path(map, s->names[column]);
    if (c.kind == MAP_FIELD || c.kind == MAP_TAGS)
        c.path = join(c.field.name, key);
    if (c.kind == MAP_RECORD_ID || c.kind == MAP_IGNORED)
        c.path = join(c.kind == MAP_RECORD_ID ? "id" : s->names[column], NULL);
    if (c.path && path_is_taken(map, c.path)) {
        free(c.path);
        c.path = NULL;
        c.kind = MAP_ANSWER;
    }
    if (!c.path && c.kind == MAP_ANSWER)
        c.path = answer_path(map, s->names[column]);
    map->columns[map->count++] = c;
    map->known += c.kind != MAP_ANSWER && c.kind != MAP_IGNORED;
    return c.path && c.answer ? LP_OK : LP_NOMEM;
}

lp_err import_map_make(const sheet *s, import_map *map_out) {
    lp_field_info answers = {0};
    column_field_named("answers", &answers);
    import_map map = {.answer_max_bytes = answers.max_bytes};
    map.columns = calloc(s->column_count ? s->column_count : 1, sizeof *map.columns);
    lp_err code = map.columns ? LP_OK : LP_NOMEM;
    for (uint32_t i = 0; i < s->column_count && code == LP_OK; i++)
        code = map_one(&map, s, i);
    if (code == LP_OK)
        *map_out = map;
    else
        import_map_fini(&map);
    return code;
}

void import_map_fini(import_map *map) {
    for (uint32_t i = 0; i < map->count; i++) {
        free(map->columns[i].path);
        free(map->columns[i].answer);
    }
    free(map->columns);
    *map = (import_map){0};
}

/* ---- values ---- */

void import_values_clear(import_values *values) {
    for (uint32_t i = 0; i < values->count; i++)
        free(values->items[i].path);
    values->count = 0;
}

void import_values_fini(import_values *values) {
    import_values_clear(values);
    free(values->items);
    *values = (import_values){0};
}

lp_err import_values_add(import_values *values, const char *path, lp_value value) {
    if (values->count == values->capacity) {
        uint32_t capacity = values->capacity ? values->capacity * 2 : 64;
        import_value *items = realloc(values->items, capacity * sizeof *items);
        if (!items)
            return LP_NOMEM;
        values->items = items;
        values->capacity = capacity;
    }
    char *copy = join(path, NULL);
    if (!copy)
        return LP_NOMEM;
    values->items[values->count++] = (import_value){copy, value};
    return LP_OK;
}

const lp_value *import_values_find(const import_values *values, const char *path) {
    for (uint32_t i = 0; i < values->count; i++)
        if (strcmp(values->items[i].path, path) == 0)
            return &values->items[i].value;
    return NULL;
}

/* ---- cells ---- */

static lp_err add_tag(import_values *values, const char *tag, size_t size, uint32_t *limit_bytes_out) {
    while (size && (tag[0] == ' ' || tag[0] == '\t')) {
        tag++;
        size--;
    }
    while (size && strchr(" \t\r\n", tag[size - 1]))
        size--;
    if (size == 0)
        return LP_OK;
    *limit_bytes_out = TAG_BYTES_MAX;
    if (size > TAG_BYTES_MAX)
        return LP_TOO_LARGE;
    char path[sizeof "tags." + TAG_BYTES_MAX];
    snprintf(path, sizeof path, "tags.%.*s", (int)size, tag);
    if (import_values_find(values, path))
        return LP_OK;
    return import_values_add(values, path, (lp_value){.type = LP_BOOL, .integer = 1});
}

/* Bytes of the separator at `text`: comma, semicolon, their full-width forms, the ideographic comma, a line end. 0: none. */
static size_t separator(const char *text) {
    static const char *const separators[] = {",", ";", "\n", "，", "；", "、"};
    for (size_t i = 0; i < sizeof separators / sizeof *separators; i++)
        if (strncmp(text, separators[i], strlen(separators[i])) == 0)
            return strlen(separators[i]);
    return 0;
}

static lp_err add_tags(import_values *values, csv_cell cell, uint32_t *limit_bytes_out) {
    size_t from = 0;
    for (size_t at = 0; at < cell.size;) {
        size_t skip = separator(cell.text + at);
        if (skip) {
            lp_err code = add_tag(values, cell.text + from, at - from, limit_bytes_out);
            if (code)
                return code;
            from = at + skip;
        }
        at += skip ? skip : 1;
    }
    return add_tag(values, cell.text + from, cell.size - from, limit_bytes_out);
}

lp_err import_map_cell(const import_map *map, uint32_t column, csv_cell cell, import_values *values,
                       uint32_t *limit_bytes_out) {
    const map_column *c = &map->columns[column];
    if (cell.size == 0 || c->kind == MAP_RECORD_ID || c->kind == MAP_IGNORED)
        return LP_OK;
    if (c->kind == MAP_TAGS)
        return add_tags(values, cell, limit_bytes_out);
    lp_value value;
    bool fits = c->kind == MAP_FIELD && field_read(&c->field, cell.text, cell.size, &value);
    *limit_bytes_out = fits ? c->field.max_bytes : map->answer_max_bytes;
    bool text = !fits || value.type == LP_TEXT;
    if (text && *limit_bytes_out && cell.size > *limit_bytes_out)
        return LP_TOO_LARGE;
    if (!fits)
        value = (lp_value){.type = LP_TEXT, .data = cell.text, .size = (uint32_t)cell.size};
    return import_values_add(values, fits ? c->path : c->answer, value);
}
