/* admin_args.c - flags: `--name VALUE` or `--name=VALUE`; see admin.h. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "proto/err.h"
#include "server/admin/admin.h"

static const struct text_flag {
    const char *name;
    size_t offset;
} text_flags[] = {
    {"data", offsetof(admin_args, data)},          {"name", offsetof(admin_args, name)},
    {"staff", offsetof(admin_args, staff)},        {"role", offsetof(admin_args, role)},
    {"address", offsetof(admin_args, address)},    {"to", offsetof(admin_args, to)},
    {"config", offsetof(admin_args, config_path)}, {"lead", offsetof(admin_args, lead)},
    {"accept", offsetof(admin_args, accept)},      {"reject", offsetof(admin_args, reject)},
    {"device", offsetof(admin_args, device)},      {"days", offsetof(admin_args, days)},
    {"from", offsetof(admin_args, from)},          {"file", offsetof(admin_args, file)},
    {"scope", offsetof(admin_args, scope)},
};

static bool in_list(const char *list, const char *word) {
    size_t size = strlen(word);
    for (const char *at = list; *at; at += strcspn(at, " "), at += *at == ' ')
        if (strcspn(at, " ") == size && memcmp(at, word, size) == 0)
            return true;
    return false;
}

/* One flag of the command line: its name, and its value or NULL. */
typedef struct flag {
    char name[64];
    const char *value;
} flag;

/* Takes argv[*index] apart; a value in the next word is taken along unless `is_switch`. */
static lp_err take(int argc, char *const *argv, int *index, bool (*is_switch)(const char *), flag *out,
                   lp_error *error) {
    const char *word = argv[*index];
    size_t size = strcspn(word, "=");
    if (strncmp(word, "--", 2) != 0 || size < 3 || size - 2 >= sizeof out->name)
        return err_set(error, LP_INVALID, "'%.60s' was not expected here; see --help", word);
    memcpy(out->name, word + 2, size - 2);
    out->name[size - 2] = '\0';
    out->value = word[size] == '=' ? word + size + 1 : NULL;
    if (out->value || is_switch(out->name))
        return LP_OK;
    if (*index + 1 >= argc)
        return err_set(error, LP_INVALID, "--%s needs a value", out->name);
    out->value = argv[++*index];
    return LP_OK;
}

static bool stands_alone(const char *name) {
    return strcmp(name, "json") == 0 || strcmp(name, "help") == 0 || config_is_switch(name);
}

static const char **text_of(admin_args *args, const char *allowed, const char *name) {
    for (size_t i = 0; i < sizeof text_flags / sizeof text_flags[0]; i++)
        if (strcmp(text_flags[i].name, name) == 0 && in_list(allowed, name))
            return (const char **)((char *)args + text_flags[i].offset);
    return NULL;
}

lp_err admin_args_read(int argc, char *const *argv, const char *allowed, bool config_flags, admin_args *args_out,
                       lp_error *error) {
    config scratch;
    config_defaults(&scratch);
    *args_out = (admin_args){.argv = argv, .argc = argc};
    for (int i = 0; i < argc; i++) {
        flag f;
        if (strcmp(argv[i], "-h") == 0) {
            args_out->help = true;
            continue;
        }
        lp_err err = take(argc, argv, &i, stands_alone, &f, error);
        if (err != LP_OK)
            return err;
        const char **text = text_of(args_out, allowed, f.name);
        if (text)
            *text = f.value;
        else if (strcmp(f.name, "json") == 0 && !f.value)
            args_out->json = true;
        else if (strcmp(f.name, "help") == 0 && !f.value)
            args_out->help = true;
        else if (!config_flags)
            return err_set(error, LP_INVALID, "there is no flag --%s here; see --help", f.name);
        else if ((err = config_set(&scratch, f.name, f.value ? f.value : "true", error)) != LP_OK)
            return err == LP_NOT_FOUND ? err_set(error, LP_INVALID, "there is no flag --%s; see --help", f.name) : err;
    }
    return LP_OK;
}

/* --config FILE must be there; DIR/leadpoold.conf may be. */
static lp_err read_file(const admin_args *args, config *c, lp_error *error) {
    char path[PATH_MAX];
    if (args->config_path)
        return config_read(c, args->config_path, error);
    if (snprintf(path, sizeof path, "%s/leadpoold.conf", args->data) >= (int)sizeof path)
        return err_set(error, LP_INVALID, "the data directory's name is too long");
    lp_err err = config_read(c, path, error);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err admin_config(const admin_args *args, bool flags, config *config_out, lp_error *error) {
    config_defaults(config_out);
    lp_err err = read_file(args, config_out, error);
    for (int i = 0; flags && err == LP_OK && i < args->argc; i++) {
        flag f;
        err = take(args->argc, args->argv, &i, stands_alone, &f, error);
        /* Flags that are no options were checked before. */
        if (err == LP_OK && config_set(config_out, f.name, f.value ? f.value : "true", error) == LP_INVALID)
            err = LP_INVALID;
    }
    return err == LP_OK ? config_check(config_out, error) : err;
}
