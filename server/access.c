/* access.c - roles and scopes; see access.h. */
#include "server/access.h"

#include <string.h>

#include "proto/wire.h"

typedef struct grant {
    const char *role;
    const char *scope;
    scope_class feed;
} grant;

static const grant grants[] = {
    {"rep", "setup", SCOPE_SETUP},
    {"rep", "pool", SCOPE_POOL},
    {"manager", "setup", SCOPE_SETUP},
    {"manager", "pool", SCOPE_POOL},
};

#define GRANTS_ALL (sizeof grants / sizeof grants[0])

bool access_scope(const device *d, span name, scope_class *scope_out) {
    for (size_t i = 0; i < GRANTS_ALL; i++)
        if (strcmp(grants[i].role, d->role) == 0 && span_equal(span_text(grants[i].scope), name)) {
            *scope_out = grants[i].feed;
            return true;
        }
    return false;
}

void access_scopes(const device *d, buf *out) {
    uint32_t count = 0;
    for (size_t i = 0; i < GRANTS_ALL; i++)
        count += strcmp(grants[i].role, d->role) == 0;
    wire_put_array(out, count);
    for (size_t i = 0; i < GRANTS_ALL; i++)
        if (strcmp(grants[i].role, d->role) == 0)
            wire_put_text(out, span_text(grants[i].scope));
}
