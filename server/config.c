/* config.c - reading options from text; the tables come from config.def. See config.h. */
#include "server/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/err.h"

typedef enum option_type { OPTION_TEXT, OPTION_NUMBER, OPTION_SWITCH, OPTION_CHOICE } option_type;

typedef struct option {
    const char *name;
    option_type type;
    size_t offset;
    uint32_t bytes;       /* TEXT */
    uint32_t min, max;    /* NUMBER */
    const char *words;    /* CHOICE */
    const char *fallback; /* the default as text */
    const char *help;
} option;

static const option options[] = {
#define TEXT(name, default_value, size, help)                                                                          \
    {#name, OPTION_TEXT, offsetof(config, name), size, 0, 0, NULL, default_value, help},
#define NUMBER(name, default_value, min, max, help)                                                                    \
    {#name, OPTION_NUMBER, offsetof(config, name), 0, min, max, NULL, #default_value, help},
#define SWITCH(name, default_value, help)                                                                              \
    {#name, OPTION_SWITCH, offsetof(config, name), 0, 0, 0, NULL, #default_value, help},
#define CHOICE(name, default_value, words, help)                                                                       \
    {#name, OPTION_CHOICE, offsetof(config, name), 0, 0, 0, words, default_value, help},
#include "server/config.def"
#undef TEXT
#undef NUMBER
#undef SWITCH
#undef CHOICE
};

#define OPTION_COUNT (sizeof options / sizeof options[0])

static bool same_name(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if (*a != *b && !(*a == '_' && *b == '-'))
            return false;
    return *a == *b;
}

static const option *find(const char *name) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (same_name(options[i].name, name))
            return &options[i];
    return NULL;
}

bool config_is_switch(const char *name) {
    const option *o = find(name);
    return o && o->type == OPTION_SWITCH;
}

static lp_err set_number(const option *o, uint32_t *number_out, const char *value, lp_error *error) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || number < o->min || number > o->max)
        return err_set(error, LP_INVALID, "%s must be a whole number from %u to %u, not '%.40s'", o->name, o->min,
                       o->max, value);
    *number_out = (uint32_t)number;
    return LP_OK;
}

static lp_err set_switch(const option *o, bool *flag_out, const char *value, lp_error *error) {
    bool yes = strcmp(value, "true") == 0 || strcmp(value, "yes") == 0 || strcmp(value, "1") == 0;
    bool no = strcmp(value, "false") == 0 || strcmp(value, "no") == 0 || strcmp(value, "0") == 0;
    if (!yes && !no)
        return err_set(error, LP_INVALID, "%s must be true or false, not '%.40s'", o->name, value);
    *flag_out = yes;
    return LP_OK;
}

static lp_err set_choice(const option *o, uint32_t *index_out, const char *value, lp_error *error) {
    uint32_t index = 0;
    for (const char *word = o->words; *word; index++) {
        size_t size = strcspn(word, "|");
        if (strlen(value) == size && memcmp(word, value, size) == 0) {
            *index_out = index;
            return LP_OK;
        }
        word += size + (word[size] == '|');
    }
    return err_set(error, LP_INVALID, "%s must be one of %s, not '%.40s'", o->name, o->words, value);
}

static lp_err set_option(config *c, const option *o, const char *value, lp_error *error) {
    void *at = (char *)c + o->offset;
    switch (o->type) {
    case OPTION_TEXT:
        if (strlen(value) >= o->bytes)
            return err_set(error, LP_INVALID, "%s is longer than %u bytes", o->name, o->bytes - 1);
        memcpy(at, value, strlen(value) + 1);
        return LP_OK;
    case OPTION_NUMBER:
        return set_number(o, at, value, error);
    case OPTION_SWITCH:
        return set_switch(o, at, value, error);
    case OPTION_CHOICE:
        return set_choice(o, at, value, error);
    }
    return LP_OK;
}

void config_defaults(config *c) {
    *c = (config){0};
    for (size_t i = 0; i < OPTION_COUNT; i++)
        set_option(c, &options[i], options[i].fallback, NULL);
}

lp_err config_set(config *c, const char *name, const char *value, lp_error *error) {
    const option *o = find(name);
    if (!o)
        return err_set(error, LP_NOT_FOUND, "there is no option '%.60s'; see leadpoold serve --help", name);
    return set_option(c, o, value, error);
}

lp_err config_split_address(const char *address, char host_out[CONFIG_HOST_BYTES], uint16_t *port_out,
                            lp_error *error) {
    const char *colon = strrchr(address, ':');
    char *end;
    long port = colon ? strtol(colon + 1, &end, 10) : -1;
    if (!colon || colon[1] < '0' || colon[1] > '9' || *end || port > 65535)
        return err_set(error, LP_INVALID, "'%.80s' is not HOST:PORT, as in 0.0.0.0:7117", address);
    const char *host = address;
    size_t size = (size_t)(colon - address);
    bool brackets = size >= 2 && host[0] == '[' && host[size - 1] == ']';
    if (brackets) {
        host++;
        size -= 2;
    }
    if (size >= CONFIG_HOST_BYTES || (!brackets && memchr(host, ':', size)))
        return err_set(error, LP_INVALID,
                       "'%.80s' is not HOST:PORT; write an IPv6 address in brackets, as in [::1]:7117", address);
    memcpy(host_out, host, size);
    host_out[size] = '\0';
    *port_out = (uint16_t)port;
    return LP_OK;
}

bool config_is_loopback(const char *host) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return memcmp(&v6, &in6addr_loopback, sizeof v6) == 0;
    return strcmp(host, "localhost") == 0;
}

bool config_is_wildcard(const char *host) {
    return host[0] == '\0' || strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

lp_err config_check(const config *c, lp_error *error) {
    char host[CONFIG_HOST_BYTES];
    uint16_t port;
    lp_err err = config_split_address(c->listen, host, &port, error);
    if (err != LP_OK)
        return err;
    if (c->plaintext && !config_is_loopback(host))
        return err_set(error, LP_INVALID, "plaintext is for loopback addresses only, not %s; listen on 127.0.0.1",
                       host);
    if (c->address[0] == '\0')
        return LP_OK;
    err = config_split_address(c->address, host, &port, error);
    if (err == LP_OK && (host[0] == '\0' || port == 0))
        return err_set(error, LP_INVALID, "address '%.80s' must name a host and a port", c->address);
    return err;
}

static void print_range(FILE *stream, const option *o) {
    switch (o->type) {
    case OPTION_TEXT:
        fprintf(stream, "text");
        break;
    case OPTION_NUMBER:
        fprintf(stream, "%u to %u", o->min, o->max);
        break;
    case OPTION_SWITCH:
        fprintf(stream, "true or false");
        break;
    case OPTION_CHOICE:
        for (const char *c = o->words; *c; c++)
            fprintf(stream, *c == '|' ? ", " : "%c", *c);
        break;
    }
}

static void print_flag(FILE *stream, const option *o) {
    char flag[64];
    size_t size = 0;
    for (const char *c = o->name; *c && size + 1 < sizeof flag; c++)
        flag[size++] = *c == '_' ? '-' : *c;
    flag[size] = '\0';
    fprintf(stream, "  --%-28s %s (", flag, o->help);
    print_range(stream, o);
    fprintf(stream, "; default %s)\n", o->fallback[0] ? o->fallback : "empty");
}

void config_print_flags(FILE *stream) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        print_flag(stream, &options[i]);
}
