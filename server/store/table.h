/* table.h - a sorted table that remembers its past for as long as somebody looks at it: what the memory engine is made of.
 *
 * Each key has a chain of versions, newest first, each stamped with the number of the commit that made it. A snapshot is a
 * commit number: it sees, of each key, the newest version not above it. So nothing is copied to take one, and nothing
 * that is being written can be seen.
 *
 * Invariants:
 *   (1) Entries are sorted by key, each key once. Versions of an entry are in falling order of `at`.
 *   (2) A version some snapshot can see is neither changed nor freed.
 * Thread: the owner serialises all calls. A version, once found, may be read without the owner's lock while a snapshot holds it. */
#ifndef SERVER_STORE_TABLE_H
#define SERVER_STORE_TABLE_H

#include "server/store/store.h"

typedef struct table_version {
    uint64_t at; /**< the commit that made it */
    struct table_version *older;
    bool gone;     /**< the key is not there any more */
    store_row row; /**< a table fills one of these; their spans point into `bytes` */
    store_history entry;
    span value;
    uint8_t bytes[];
} table_version;

typedef struct table_entry {
    struct table *table;
    table_version *newest;
    bool listed; /**< the owner's: is on its list of entries to settle */
    size_t key_size;
    uint8_t key[];
} table_entry;

typedef struct table {
    table_entry **entries;
    size_t count, capacity;
} table;

void table_fini(table *t);

/** A version with copies of two pieces of bytes, which come back as spans. NULL if out of memory. */
table_version *table_version_new(span *first, span *second);

/** Puts `version` on top of the key's chain. The table owns it then. NULL, and nothing done, if out of memory. */
table_entry *table_put(table *t, span key, table_version *version);
/** Takes the newest version off again; an entry without any disappears. */
void table_pop(table_entry *entry);
/** Frees what no snapshot from `oldest` on can see. True if nothing is left to free later; the entry may be gone then. */
bool table_settle(table_entry *entry, uint64_t oldest);

/** What a snapshot sees of a key; NULL if nothing. */
const table_version *table_get(const table *t, span key, uint64_t at);
/** The first entry a snapshot sees with a key >= `from`, or > `from` if `beyond`; NULL at the end. */
const table_entry *table_seek(const table *t, span from, bool beyond, uint64_t at);
const table_version *table_version_at(const table_entry *entry, uint64_t at); /**< NULL if nothing */
span table_key(const table_entry *entry);

#endif
