/* vfs_image.c - files as data: images of a disk, copies, hashes; see vfs.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/vfs_disk.h"

struct vfs_image {
    uint32_t count;
    struct {
        char name[VFS_NAME_MAX];
        vfs_bytes bytes;
    } files[VFS_NAMES_MAX];
};

vfs_image *vfs_save(const vfs_disk *d) {
    vfs_image *image = vfs_grow(NULL, sizeof *image);
    *image = (vfs_image){0};
    for (uint32_t i = 0; i < d->names.count; i++) {
        const vfs_entry *e = &d->names.entries[i];
        memcpy(image->files[i].name, e->name, sizeof e->name);
        vfs_bytes_copy(&image->files[i].bytes, &e->node->bytes, e->node->bytes.size);
    }
    image->count = d->names.count;
    return image;
}

static void put_file(vfs_disk *d, const char *name, const vfs_bytes *bytes) {
    vfs_node *n = vfs_find(d, name);
    if (!n)
        n = vfs_make(d, name);
    vfs_bytes_copy(&n->bytes, bytes, bytes->size);
    vfs_sync_node(n);
}

void vfs_restore(vfs_disk *d, const vfs_image *image) {
    vfs_wipe(d);
    for (uint32_t i = 0; i < image->count; i++)
        put_file(d, image->files[i].name, &image->files[i].bytes);
    vfs_sync_names(d);
    d->off = false;
}

void vfs_image_free(vfs_image *image) {
    for (uint32_t i = 0; image && i < image->count; i++)
        vfs_bytes_fini(&image->files[i].bytes);
    free(image);
}

void vfs_copy(const vfs_disk *from, const char *name, vfs_disk *to, const char *copy) {
    const vfs_node *n = vfs_find(from, name);
    assert(n);
    put_file(to, copy, &n->bytes);
    vfs_sync_names(to);
}

void vfs_scan(const vfs_disk *d, const char *name, void (*take)(void *ctx, const uint8_t *bytes, size_t size),
              void *ctx) {
    uint8_t bytes[1 << 14];
    const vfs_node *n = vfs_find(d, name);
    for (size_t at = 0, size; n && at < n->bytes.size; at += sizeof bytes - VFS_OVERLAP) {
        size = n->bytes.size - at < sizeof bytes ? n->bytes.size - at : sizeof bytes;
        vfs_bytes_read(&n->bytes, at, bytes, size);
        take(ctx, bytes, size);
    }
}

bool vfs_exists(const vfs_disk *d, const char *name) {
    return vfs_find(d, name) != NULL;
}

static uint64_t hash_name(const char *name) {
    vfs_bytes bytes = {0};
    vfs_bytes_write(&bytes, 0, name, strlen(name));
    uint64_t hash = vfs_bytes_hash(&bytes, UINT64_C(0xcbf29ce484222325));
    vfs_bytes_fini(&bytes);
    return hash;
}

/* The order of names is no part of what a disk holds: each file adds to the sum. */
uint64_t vfs_hash(const vfs_disk *d) {
    uint64_t sum = d->names.count;
    for (uint32_t i = 0; i < d->names.count; i++) {
        const vfs_entry *e = &d->names.entries[i];
        sum += vfs_bytes_hash(&e->node->bytes, hash_name(e->name));
    }
    return sum;
}
