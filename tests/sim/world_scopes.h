/* world_scopes.h - who is entitled to which record, by a model of its own: what people are, what the office granted, and what the rows say.
 * Written without a look at server/pool/scopes.c and server/pool/access.c. Everything that reads the pool needs a snapshot of world.reader. */
#ifndef TESTS_SIM_WORLD_SCOPES_H
#define TESTS_SIM_WORLD_SCOPES_H

#include "proto/digest.h"
#include "tests/sim/world.h"

/** What the office may grant. */
#define WORLD_GRANTS 3
#define WORLD_SCOPES_MAX (2 + WORLD_GRANTS)
extern const char *const world_grants[WORLD_GRANTS];

/** A row of the pool. */
typedef struct world_row {
    lp_id id;
    uint32_t kind;
    scope_class scope;
    record rec; /**< borrows `bytes` */
    buf bytes;
    digest sum;
    lp_id maker; /**< who made it; read when somebody asks */
    bool maker_read;
} world_row;

typedef struct world_rows {
    world *world;
    world_row *list;
    uint32_t count, capacity;
} world_rows;

/** All rows of the pool. world_rows_fini frees. */
void world_rows_read(world *w, world_rows *rows);
void world_rows_fini(world_rows *rows);
/** NULL: the pool has no such row. */
world_row *world_rows_find(const world_rows *rows, const lp_id *id);

/** "person 0" to "person count-1" have joined. */
void world_meet_people(world *w, uint32_t count);
uint32_t world_people(const world *w);
/** Grants a scope, by its index in world_grants, or takes it back. */
void world_grant(world *w, uint32_t person, uint32_t which, bool give);
/** The pool was set back: what had been granted since is granted no more. */
void world_read_grants(world *w);

/** The scopes a device is entitled to; how many. */
uint32_t world_scope_names(const world *w, uint32_t who, const char *names_out[WORLD_SCOPES_MAX]);
/** It holds the pool, and nothing can leave it. */
bool world_holds_pool(const world *w, uint32_t who);
bool world_in_scope(const world_rows *rows, world_row *row, uint32_t who, const char *name);
/** It is in one of the device's scopes. */
bool world_entitled(const world_rows *rows, world_row *row, uint32_t who);
/** A record may rightly have left a device since it was written there. */
bool world_may_lose(const world *w, uint32_t who, uint32_t record);

/** The server's digest of a scope of a device. */
digest world_server_digest(world *w, uint32_t who, const char *name);
/** There is nothing in the device's scopes that it has not read. Takes a snapshot. */
bool world_has_read_all(world *w, uint32_t who);

/** I5: a message on its way to a device says nothing of what is outside its scopes. Takes a snapshot. */
void world_inspect(world *w, uint32_t who, span message);
/** Counts what leaves and comes back, as told by a message that has arrived. */
void world_note_pages(world *w, uint32_t who, const message *m);
/** I5: no file of a device has a text of a record outside its scopes. */
void world_check_disks(world *w, const world_rows *rows);

#endif
