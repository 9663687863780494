/* store_kit.h - what tests of the store share: a directory that goes away again, and leads to put into a store. */
#ifndef TESTS_SUPPORT_STORE_KIT_H
#define TESTS_SUPPORT_STORE_KIT_H

#include "server/store/store.h"

typedef struct kit_directory {
    char path[256];
} kit_directory;

/** Makes a new directory under TMPDIR or /tmp. Asserts. */
void kit_directory_make(kit_directory *d);
/** Removes it and the files in it. */
void kit_directory_remove(const kit_directory *d);
/** "directory/name", cut to fit. */
void kit_path(const kit_directory *d, const char *name, char path_out[320]);

/** A lead whose registers all carry one seq, packed. Zero-initialise; the bytes live until kit_lead_fini or the next make. */
typedef struct kit_lead {
    buf body, stamps;
    store_row row;
} kit_lead;

lp_id kit_id(uint64_t number); /**< ids in order of their numbers */
stamp kit_stamp(uint64_t number);
void kit_lead_make(kit_lead *lead, uint32_t kind, uint64_t number, uint64_t seq, bool deleted, size_t notes_bytes);
void kit_lead_fini(kit_lead *lead);

/** A history entry of record `number`; body and bases are borrowed text. */
store_history kit_entry(uint64_t number, uint64_t stamp_number, uint64_t seq, const char *body);

/** In the open transaction: takes a seq and saves a lead under it. Asserts. Returns the seq. */
uint64_t kit_save(store *s, uint64_t number, bool deleted);
/** kit_save in a transaction of its own. */
uint64_t kit_commit_lead(store *s, uint64_t number);

#endif
