/* ids.h - a set of record ids, for walks over everything: erasing, purging. Thread: one at a time. */
#ifndef SERVER_IDS_H
#define SERVER_IDS_H

#include "proto/id.h"

/** Sorted, each once. Zero-initialise; ids_fini frees. */
typedef struct id_set {
    lp_id *list;
    uint32_t count, capacity;
    bool failed; /**< out of memory: something is missing */
} id_set;

bool ids_hold(const id_set *s, const lp_id *id);
/** True if it was not there yet. */
bool ids_add(id_set *s, const lp_id *id);
void ids_fini(id_set *s);

#endif
