/* vfs_disk.h - what the files of vfs.h share: nodes (files without their names), the two directories, steps and faults.
 *
 *   vfs_disk.c   nodes, names, faults, cuts
 *   vfs_bytes.c  what is in a file
 *   vfs_image.c  images and copies
 *   vfs.c        SQLite's methods
 *   vfs_files.c  the functions of server/store/files.h */
#ifndef TESTS_SIM_VFS_DISK_H
#define TESTS_SIM_VFS_DISK_H

#include "tests/sim/vfs.h"
#include "tests/support/prop.h"

#define VFS_NAME_MAX 96
#define VFS_NAMES_MAX 32
#define VFS_SHM_LOCKS 8
#define VFS_BLOCK_BYTES ((size_t)1 << 16)

/** In blocks: a log grows without being copied, and takes memory as far as it was written. All zero is an empty file. */
typedef struct vfs_bytes {
    uint8_t **blocks;
    size_t block_count, size;
} vfs_bytes;

/** One change of a file since its last sync, with what is needed to undo it. */
typedef struct vfs_write {
    uint64_t at;
    size_t size;        /**< 0: a truncation to `at` */
    size_t size_before; /**< of the file */
    size_t old_size;
    uint8_t *old;     /**< the bytes a write replaced; NULL if none */
    vfs_bytes before; /**< the file that was truncated */
} vfs_write;

/** Memory that connections share: the index of a log. Outlives a crash for those who still look at it. */
typedef struct vfs_shm {
    uint32_t users;
    uint8_t **regions;
    int region_count, region_bytes;
    struct {
        uint32_t shared;
        bool exclusive;
    } locks[VFS_SHM_LOCKS];
} vfs_shm;

typedef struct vfs_node {
    struct vfs_node *next;
    uint32_t handles; /**< open, dead ones too */
    vfs_bytes bytes;
    vfs_write *writes; /**< not synced, in order */
    size_t write_count, write_capacity;
    uint32_t shared; /**< locks of the database file */
    bool reserved, pending, exclusive;
    vfs_shm *shm;
} vfs_node;

typedef struct vfs_entry {
    char name[VFS_NAME_MAX];
    vfs_node *node;
} vfs_entry;

typedef struct vfs_names {
    vfs_entry entries[VFS_NAMES_MAX];
    uint32_t count;
} vfs_names;

/** A change of the directory that is not safe yet: `name` is `node`, or nothing if NULL. */
typedef struct vfs_naming {
    vfs_entry entry;
    bool more; /**< and the next one with it: a rename is one change */
} vfs_naming;

struct vfs_disk {
    struct vfs_disk *next;
    char prefix[200];
    size_t prefix_size;
    prop random;
    bool off;
    uint64_t life; /**< handles of an earlier one are dead */
    vfs_faults faults;
    vfs_counts counts;
    vfs_node *nodes;
    vfs_names names, safe; /**< as programs see them, and as a power cut leaves them */
    vfs_naming *namings;   /**< from safe to names */
    size_t naming_count, naming_capacity;
};

/** realloc; tests stop at once where memory is short, in release builds too. */
void *vfs_grow(void *memory, size_t size);

/** Within the file. */
void vfs_bytes_read(const vfs_bytes *b, size_t at, void *bytes_out, size_t size);
/** What is between the end and `at` reads as zeros. */
void vfs_bytes_write(vfs_bytes *b, size_t at, const void *bytes, size_t size);
/** Shortens it. */
void vfs_bytes_cut(vfs_bytes *b, size_t size);
/** Makes it the first bytes of another. */
void vfs_bytes_copy(vfs_bytes *b, const vfs_bytes *from, size_t size);
/** Goes on from the hash of what comes before it. */
uint64_t vfs_bytes_hash(const vfs_bytes *b, uint64_t hash);
void vfs_bytes_fini(vfs_bytes *b);

/** The disk a path lies on and the name there, or NULL. */
vfs_disk *vfs_disk_of(const char *path, const char **name_out);
vfs_node *vfs_find(const vfs_disk *d, const char *name);

/** What an operation is told before it is done. */
typedef enum vfs_fate { VFS_GO, VFS_EIO, VFS_OFF, VFS_LIE } vfs_fate;
vfs_fate vfs_ask(vfs_disk *d, vfs_op op);

/** A new empty file under a name that is free. */
vfs_node *vfs_make(vfs_disk *d, const char *name);
/** Takes a name away (to NULL), or gives its file another one, which is free. */
void vfs_rename(vfs_disk *d, const char *name, const char *to);
/** The directory is safe. */
void vfs_sync_names(vfs_disk *d);

/** False: it did not fit, and what did was written. */
bool vfs_write_bytes(vfs_disk *d, vfs_node *n, const void *bytes, size_t size, uint64_t at);
void vfs_truncate(vfs_node *n, uint64_t size);
void vfs_sync_node(vfs_node *n);
/** After a failed sync nobody knows what is on the medium: decides, and that is what everybody reads from now on. */
void vfs_doubt(vfs_disk *d, vfs_node *n);
bool vfs_fits(vfs_disk *d, size_t more);
void vfs_shm_leave(vfs_shm *shm);
/** Frees files without name and handle. */
void vfs_sweep(vfs_disk *d);
void vfs_kill_handles(vfs_disk *d);

#endif
