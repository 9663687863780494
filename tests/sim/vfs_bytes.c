/* vfs_bytes.c - the bytes of a file on a disk of vfs.h, in blocks; see vfs_disk.h. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/vfs_disk.h"

/* The piece of a file at `at` that lies in one block, and no longer than `size`. */
static uint8_t *piece(const vfs_bytes *b, size_t at, size_t size, size_t *size_out) {
    size_t left = VFS_BLOCK_BYTES - at % VFS_BLOCK_BYTES;
    *size_out = size < left ? size : left;
    return b->blocks[at / VFS_BLOCK_BYTES] + at % VFS_BLOCK_BYTES;
}

void vfs_bytes_read(const vfs_bytes *b, size_t at, void *bytes_out, size_t size) {
    uint8_t *to = bytes_out;
    for (size_t length; size; at += length, to += length, size -= length) {
        const uint8_t *from = piece(b, at, size, &length);
        memcpy(to, from, length);
    }
}

static void make_blocks(vfs_bytes *b, size_t size) {
    for (; b->block_count * VFS_BLOCK_BYTES < size; b->block_count++) {
        b->blocks = vfs_grow(b->blocks, (b->block_count + 1) * sizeof *b->blocks);
        b->blocks[b->block_count] = vfs_grow(NULL, VFS_BLOCK_BYTES);
    }
}

static void put_zeros(vfs_bytes *b, size_t at, size_t end) {
    for (size_t length; at < end; at += length) {
        uint8_t *to = piece(b, at, end - at, &length);
        memset(to, 0, length);
    }
}

void vfs_bytes_write(vfs_bytes *b, size_t at, const void *bytes, size_t size) {
    const uint8_t *from = bytes;
    size_t end = at + size;
    if (!size)
        return;
    make_blocks(b, end);
    put_zeros(b, b->size, at);
    if (end > b->size)
        b->size = end;
    for (size_t length; size; at += length, from += length, size -= length) {
        uint8_t *to = piece(b, at, size, &length);
        memcpy(to, from, length);
    }
}

void vfs_bytes_cut(vfs_bytes *b, size_t size) {
    if (size < b->size)
        b->size = size;
}

void vfs_bytes_copy(vfs_bytes *b, const vfs_bytes *from, size_t size) {
    b->size = 0;
    for (size_t at = 0, length; at < size; at += length) {
        const uint8_t *bytes = piece(from, at, size - at, &length);
        vfs_bytes_write(b, at, bytes, length);
    }
}

void vfs_bytes_fini(vfs_bytes *b) {
    for (size_t i = 0; i < b->block_count; i++)
        free(b->blocks[i]);
    free(b->blocks);
    *b = (vfs_bytes){0};
}

static uint64_t stir(uint64_t hash, const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

/* Like FNV-1a, but by words, and four at a time that do not wait for each other: files are large. */
uint64_t vfs_bytes_hash(const vfs_bytes *b, uint64_t hash) {
    uint64_t lanes[4] = {hash, hash + 1, hash + 2, hash + 3};
    const uint8_t *bytes = NULL;
    size_t left = 0; /* of the last block, when it is no whole number of lanes */
    for (size_t at = 0, length; at < b->size; at += length) {
        bytes = piece(b, at, b->size - at, &length);
        for (left = length; left >= sizeof lanes; left -= sizeof lanes, bytes += sizeof lanes)
            for (int i = 0; i < 4; i++)
                lanes[i] = stir(lanes[i], bytes + 8 * i);
    }
    for (int i = 0; i < 4; i++)
        hash = stir(hash, (const uint8_t *)&lanes[i]);
    for (size_t i = 0; i < left; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}
