/* access.h - which scopes a person's devices are entitled to: what the role gives, and what was granted.
 *
 *   manager   setup, pool
 *   rep       setup, mine, and the events granted; or setup and pool where that was granted: it holds all the others
 *
 *   grant   key person id   [ [ scope, generation, until seq ], ... ]   until 0: it stands
 *
 * A grant that ended is remembered, to judge what was written before its devices heard of it; granted again it has a new generation, and is
 * read from its beginning. */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include "server/pool/auth.h"

#define ACCESS_GRANTS_MAX 48 /**< of one person: fewer than a device can hold scopes */

typedef struct access_grant {
    char name[SCOPE_NAME_BYTES_MAX + 1];
    scope_class feed; /**< a whole class of records; 0: a narrow scope (scopes.h) */
    uint64_t generation;
    uint64_t until; /**< the seq at which it ended; 0: it stands */
} access_grant;

typedef struct access {
    lp_id person;
    uint32_t count; /**< those that stand come first, most urgent first */
    uint32_t standing;
    access_grant list[ACCESS_GRANTS_MAX + 4];
} access;

lp_err access_read(store_reader *reader, const device *d, access *access_out, lp_error *error);
lp_err access_load(pool *p, const device *d, access *access_out, lp_error *error); /**< the writer's view */

/** The scope called `name`, if it may be read; NULL otherwise. */
const access_grant *access_find(const access *a, span name);
/** True if this is the name of a scope that may be open to somebody, and may have been to this device. */
bool access_is_scope(span name);
bool access_whole_pool(const access *a);
/** Appends the list of scope names, most urgent first, as msgpack. */
void access_scopes(const access *a, buf *out);

/** Sees to it that the narrow scopes of a person who was just invited are kept. In a writer's transaction. */
lp_err access_prepare(pool *p, const lp_id *person, const char *role, lp_error *error);
/** The same, after granting the scopes of a list with commas, "" for none. */
lp_err access_invite(pool *p, const char *staff, const char *role, const char *scopes, lp_error *error);
/** Grants a scope to a person, or ends that. Takes a seq, so that whoever waits hears of it. Harmless if it is so already.
 *  Errors: LP_NOT_FOUND no such person, LP_INVALID the scope cannot be granted. */
lp_err access_change(pool *p, const char *staff, span scope, bool grant, lp_error *error);
/** The same of a person by id. A change is written into `notes` first; NULL: nowhere. */
lp_err access_set(pool *p, const struct ledger *notes, const lp_id *person, const char *role, span scope, bool grant,
                  lp_error *error);

#endif
