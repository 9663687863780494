/* assign.c - see assign.h. */
#include "client/cli/assign.h"

#include <stdlib.h>
#include <string.h>

static char *copy_of(const char *text, size_t size) {
    char *copy = malloc(size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

lp_err assign_add(assignments *list, const char *field, size_t field_size, const char *value) {
    assignment *items = realloc(list->items, (list->count + 1u) * sizeof *items);
    if (!items)
        return LP_NOMEM;
    list->items = items;
    assignment added = {copy_of(field, field_size), copy_of(value, strlen(value))};
    if (!added.field || !added.value) {
        free(added.field);
        free(added.value);
        return LP_NOMEM;
    }
    list->items[list->count++] = added;
    return LP_OK;
}

/* "tags." and "vip" become the field "tags.vip". */
static lp_err add_keyed(assignments *list, const char *map, const char *key, size_t key_size, const char *value) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return LP_NOMEM;
    fprintf(out, "%s.%.*s", map, (int)key_size, key);
    lp_err code = fclose(out) == 0 ? assign_add(list, text, size, value) : LP_NOMEM;
    free(text);
    return code;
}

static lp_err collect_option(const cli *c, const args_option *option, assignments *list, lp_error *error) {
    if (option->field)
        return assign_add(list, option->name, strlen(option->name), option->value);
    if (strcmp(option->name, "tag") == 0)
        return add_keyed(list, "tags", option->value, strlen(option->value), "yes");
    if (strcmp(option->name, "clear") == 0)
        return assign_add(list, option->value, strlen(option->value), "");
    if (strcmp(option->name, "answer") != 0)
        return LP_OK;
    const char *equals = strchr(option->value, '=');
    if (!equals || equals == option->value)
        return cli_fail(c, error, LP_INVALID, T_NOT_QUESTION_ANSWER, option->value, NULL);
    return add_keyed(list, "answers", option->value, (size_t)(equals - option->value), equals + 1);
}

lp_err assign_collect(const cli *c, const args *a, int first, assignments *list, lp_error *error) {
    lp_err code = LP_OK;
    for (uint32_t i = 0; i < a->option_count && code == LP_OK; i++)
        code = collect_option(c, &a->options[i], list, error);
    for (int i = first; i < a->count && code == LP_OK; i++) {
        const char *equals = strchr(a->rest[i], '=');
        if (!equals || equals == a->rest[i])
            return cli_fail(c, error, LP_INVALID, T_NOT_AN_ASSIGNMENT, a->rest[i], NULL);
        code = assign_add(list, a->rest[i], (size_t)(equals - a->rest[i]), equals + 1);
    }
    return code == LP_NOMEM ? cli_fail(c, error, code, T_NO_MEMORY, NULL) : code;
}

bool assign_has(const assignments *list, const char *field) {
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].field, field) == 0 && list->items[i].value[0])
            return true;
    return false;
}

lp_err assign_apply(const assignments *list, lp_txn *txn, const lp_id *id, lp_error *error) {
    lp_err code = LP_OK;
    for (uint32_t i = 0; i < list->count && code == LP_OK; i++)
        code = lp_set_text(txn, id, list->items[i].field, list->items[i].value, error);
    return code;
}

void assign_fini(assignments *list) {
    for (uint32_t i = 0; i < list->count; i++) {
        free(list->items[i].field);
        free(list->items[i].value);
    }
    free(list->items);
    *list = (assignments){0};
}
