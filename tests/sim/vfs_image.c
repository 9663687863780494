/* vfs_image.c - files as data: images of a disk, copies, hashes; see vfs.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/vfs_disk.h"

struct vfs_image {
    uint32_t count;
    struct {
        char name[VFS_NAME_MAX];
        uint8_t *bytes;
        size_t size;
    } files[VFS_NAMES_MAX];
};

vfs_image *vfs_save(const vfs_disk *d) {
    vfs_image *image = calloc(1, sizeof *image);
    if (!image)
        abort();
    for (uint32_t i = 0; i < d->names.count; i++) {
        const vfs_entry *e = &d->names.entries[i];
        memcpy(image->files[i].name, e->name, sizeof e->name);
        image->files[i].size = e->node->size;
        image->files[i].bytes = malloc(e->node->size + 1);
        if (!image->files[i].bytes)
            abort();
        if (e->node->size)
            memcpy(image->files[i].bytes, e->node->data, e->node->size);
    }
    image->count = d->names.count;
    return image;
}

static void put_file(vfs_disk *d, const char *name, const void *bytes, size_t size) {
    vfs_node *n = vfs_find(d, name);
    if (!n)
        n = vfs_make(d, name);
    uint64_t space = d->faults.space_bytes;
    d->faults.space_bytes = 0;
    vfs_truncate(n, 0);
    vfs_write_bytes(d, n, bytes, size, 0);
    d->faults.space_bytes = space;
    vfs_sync_node(n);
}

void vfs_restore(vfs_disk *d, const vfs_image *image) {
    vfs_wipe(d);
    for (uint32_t i = 0; i < image->count; i++)
        put_file(d, image->files[i].name, image->files[i].bytes, image->files[i].size);
    vfs_sync_names(d);
    d->off = false;
}

void vfs_image_free(vfs_image *image) {
    for (uint32_t i = 0; image && i < image->count; i++)
        free(image->files[i].bytes);
    free(image);
}

void vfs_copy(const vfs_disk *from, const char *name, vfs_disk *to, const char *copy) {
    const vfs_node *n = vfs_find(from, name);
    assert(n);
    put_file(to, copy, n->data, n->size);
    vfs_sync_names(to);
}

uint8_t *vfs_bytes(vfs_disk *d, const char *name, size_t *size_out) {
    vfs_node *n = vfs_find(d, name);
    assert(n);
    *size_out = n->size;
    return n->data;
}

bool vfs_exists(const vfs_disk *d, const char *name) {
    return vfs_find(d, name) != NULL;
}

static uint64_t stir(uint64_t hash, const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

/* Like FNV-1a, but by words, and four at a time that do not wait for each other: files are large. */
static uint64_t mix(uint64_t hash, const uint8_t *bytes, size_t size) {
    uint64_t lanes[4] = {hash, hash + 1, hash + 2, hash + 3};
    for (; size >= sizeof lanes; size -= sizeof lanes, bytes += sizeof lanes)
        for (int i = 0; i < 4; i++)
            lanes[i] = stir(lanes[i], bytes + 8 * i);
    for (int i = 0; i < 4; i++)
        hash = stir(hash, (const uint8_t *)&lanes[i]);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The order of names is no part of what a disk holds: each file adds to the sum. */
uint64_t vfs_hash(const vfs_disk *d) {
    uint64_t sum = d->names.count;
    for (uint32_t i = 0; i < d->names.count; i++) {
        const vfs_entry *e = &d->names.entries[i];
        uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), (const uint8_t *)e->name, strlen(e->name));
        sum += mix(hash, e->node->data, e->node->size);
    }
    return sum;
}
