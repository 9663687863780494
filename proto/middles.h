/* middles.h - the last bytes of what was removed from an SQLite file: the unused middles of its pages.
 *
 * Why: secure_delete overwrites what is deleted. But rows that a split moves to another page leave a copy where they were, between the
 * list of the page's cells and the cells, where nothing is deleted and SQLite never looks again. Devices and servers have such files alike; this
 * knows their format and is handed the file, so it stands where both reach it.
 *
 * Invariant: only bytes that mean nothing to SQLite change, in pages whose parts add up. A write that is cut off does no harm: of such a
 * page the old bytes and zeros are equally good, in any mixture of sectors. */
#ifndef PROTO_MIDDLES_H
#define PROTO_MIDDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A database file with all of its log in it, which nobody writes to meanwhile; others may read. */
typedef struct middles_file {
    void *ctx;
    uint64_t size_bytes;
    bool (*read)(void *ctx, void *bytes, size_t size, uint64_t at);
    bool (*write)(void *ctx, const void *bytes, size_t size, uint64_t at);
} middles_file;

/** Writes zeros over them; a page is written whole or not at all. False: it is no such file, or not all could be read and written. */
bool middles_wipe(const middles_file *file);

#endif
