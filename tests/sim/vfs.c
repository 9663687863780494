/* vfs.c - SQLite's methods over the disks of vfs_disk.h; see vfs.h. Paths that are on no disk go to the VFS that was the default.
 *
 * The rules of locks are those of SQLite's own VFS for Unix: one writer reserves, waits as pending for readers to go, is exclusive;
 * the eight locks of a log's index are shared or exclusive, several at once. Nobody ever waits here: there is one thread, so a lock
 * that is taken stays taken, and a busy handler's sleep takes no time. */
#include "tests/sim/vfs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "tests/sim/vfs_disk.h"

#define SECTOR_BYTES 4096

typedef struct handle {
    sqlite3_file base;
    vfs_disk *disk;
    vfs_node *node;
    uint64_t life;
    int level;       /* SQLITE_LOCK_... */
    bool sync_names; /* with the first sync: a log or journal, maybe made by another handle */
    bool gone_when_closed;
    vfs_shm *shm;
    uint16_t shared, exclusive; /* bits of the locks held of shm */
    char name[VFS_NAME_MAX];
} handle;

static sqlite3_vfs ram;
static sqlite3_vfs *real;
static prop salts;

static bool dead(const handle *h) {
    return h->disk->off || h->life != h->disk->life;
}

static vfs_fate ask(handle *h, vfs_op op) {
    return dead(h) ? VFS_OFF : vfs_ask(h->disk, op);
}

/* ---- bytes ---- */

static int read_bytes(sqlite3_file *file, void *bytes, int size, sqlite3_int64 at) {
    handle *h = (handle *)file;
    if (ask(h, VFS_READ) != VFS_GO)
        return SQLITE_IOERR_READ;
    const vfs_bytes *b = &h->node->bytes;
    size_t there = (uint64_t)at < b->size ? b->size - (size_t)at : 0;
    if (there > (size_t)size)
        there = (size_t)size;
    vfs_bytes_read(b, (size_t)at, bytes, there);
    memset((uint8_t *)bytes + there, 0, (size_t)size - there);
    return there == (size_t)size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int write_bytes(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at) {
    handle *h = (handle *)file;
    if (ask(h, VFS_WRITE) != VFS_GO)
        return SQLITE_IOERR_WRITE;
    return vfs_write_bytes(h->disk, h->node, bytes, (size_t)size, (uint64_t)at) ? SQLITE_OK : SQLITE_FULL;
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size) {
    handle *h = (handle *)file;
    if (ask(h, VFS_WRITE) != VFS_GO)
        return SQLITE_IOERR_TRUNCATE;
    vfs_truncate(h->node, (uint64_t)size);
    return SQLITE_OK;
}

static int sync_file(sqlite3_file *file, int flags) {
    handle *h = (handle *)file;
    (void)flags;
    vfs_fate fate = ask(h, VFS_SYNC);
    if (fate == VFS_EIO)
        vfs_doubt(h->disk, h->node);
    if (fate == VFS_LIE)
        return SQLITE_OK;
    if (fate != VFS_GO)
        return SQLITE_IOERR_FSYNC;
    vfs_sync_node(h->node);
    if (h->sync_names)
        vfs_sync_names(h->disk);
    h->sync_names = false;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size_out) {
    const handle *h = (handle *)file;
    if (dead(h))
        return SQLITE_IOERR_FSTAT;
    *size_out = (sqlite3_int64)h->node->bytes.size;
    return SQLITE_OK;
}

/* ---- locks of the file ---- */

static int lock_file(sqlite3_file *file, int level) {
    handle *h = (handle *)file;
    vfs_node *n = h->node;
    if (dead(h))
        return SQLITE_IOERR_LOCK;
    if (h->level >= level)
        return SQLITE_OK;
    if (level == SQLITE_LOCK_SHARED) {
        if (n->pending || n->exclusive)
            return SQLITE_BUSY;
        n->shared++;
    } else if (level == SQLITE_LOCK_RESERVED) {
        if (n->reserved)
            return SQLITE_BUSY;
        n->reserved = true;
    } else {
        if (h->level < SQLITE_LOCK_PENDING && (n->pending || (n->reserved && h->level < SQLITE_LOCK_RESERVED)))
            return SQLITE_BUSY;
        n->pending = n->reserved = true;
        h->level = SQLITE_LOCK_PENDING;
        if (n->shared > 1)
            return SQLITE_BUSY;
        n->exclusive = true;
    }
    h->level = level;
    return SQLITE_OK;
}

static int unlock_file(sqlite3_file *file, int level) {
    handle *h = (handle *)file;
    vfs_node *n = h->node;
    if (!dead(h) && h->level > level) {
        if (h->level > SQLITE_LOCK_SHARED)
            n->reserved = n->pending = n->exclusive = false;
        if (level == SQLITE_LOCK_NONE)
            n->shared--;
    }
    if (h->level > level)
        h->level = level;
    return SQLITE_OK;
}

static int check_reserved(sqlite3_file *file, int *taken_out) {
    const handle *h = (handle *)file;
    *taken_out = !dead(h) && h->node->reserved;
    return SQLITE_OK;
}

/* ---- the index of the log ---- */

static vfs_shm *join_shm(handle *h) {
    if (!h->shm && !h->node->shm) {
        h->node->shm = calloc(1, sizeof *h->node->shm);
        if (!h->node->shm)
            abort();
        h->node->shm->users = 1; /* the node's own */
    }
    if (!h->shm) {
        h->shm = h->node->shm;
        h->shm->users++;
    }
    return h->shm;
}

static int map_shm(sqlite3_file *file, int region, int size, int extend, void volatile **memory_out) {
    handle *h = (handle *)file;
    *memory_out = NULL;
    if (dead(h))
        return SQLITE_IOERR_SHMMAP;
    vfs_shm *shm = join_shm(h);
    while (extend && shm->region_count <= region) {
        if (!vfs_fits(h->disk, (size_t)size))
            return SQLITE_IOERR_SHMSIZE;
        shm->regions = realloc(shm->regions, sizeof *shm->regions * (size_t)(shm->region_count + 1));
        uint8_t *memory = calloc(1, (size_t)size);
        if (!shm->regions || !memory)
            abort();
        shm->regions[shm->region_count++] = memory;
        shm->region_bytes = size;
    }
    if (region < shm->region_count)
        *memory_out = shm->regions[region];
    return SQLITE_OK;
}

static int take_shm(handle *h, int first, int count, bool exclusive) {
    vfs_shm *shm = h->shm;
    for (int i = first; i < first + count; i++) {
        bool mine = h->shared & (1u << i);
        if (shm->locks[i].exclusive || (exclusive && shm->locks[i].shared > mine))
            return SQLITE_BUSY;
    }
    for (int i = first; i < first + count; i++) {
        uint16_t bit = (uint16_t)(1u << i);
        if (exclusive) {
            shm->locks[i].exclusive = true;
            h->exclusive |= bit;
        } else if (!(h->shared & bit)) {
            shm->locks[i].shared++;
            h->shared |= bit;
        }
    }
    return SQLITE_OK;
}

static void drop_shm(handle *h, int first, int count) {
    for (int i = first; i < first + count; i++) {
        uint16_t bit = (uint16_t)(1u << i);
        if (h->exclusive & bit)
            h->shm->locks[i].exclusive = false;
        if (h->shared & bit)
            h->shm->locks[i].shared--;
        h->exclusive &= (uint16_t)~bit;
        h->shared &= (uint16_t)~bit;
    }
}

static int lock_shm(sqlite3_file *file, int first, int count, int flags) {
    handle *h = (handle *)file;
    if (h->shm && (flags & SQLITE_SHM_UNLOCK)) {
        drop_shm(h, first, count);
        return SQLITE_OK;
    }
    if (dead(h) || !h->shm)
        return SQLITE_IOERR_SHMLOCK;
    return take_shm(h, first, count, flags & SQLITE_SHM_EXCLUSIVE);
}

static void barrier(sqlite3_file *file) {
    (void)file;
}

static int unmap_shm(sqlite3_file *file, int gone) {
    handle *h = (handle *)file;
    (void)gone;
    if (!h->shm)
        return SQLITE_OK;
    drop_shm(h, 0, VFS_SHM_LOCKS);
    bool last = h->shm == h->node->shm && h->shm->users == 2;
    vfs_shm_leave(h->shm);
    h->shm = NULL;
    /* Whoever opens the file next reads the log again. */
    if (last) {
        vfs_shm_leave(h->node->shm);
        h->node->shm = NULL;
    }
    return SQLITE_OK;
}

/* ---- files ---- */

static int control(sqlite3_file *file, int op, void *argument) {
    (void)file;
    (void)op;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *file) {
    (void)file;
    return SECTOR_BYTES;
}

static int characteristics(sqlite3_file *file) {
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int close_file(sqlite3_file *file) {
    handle *h = (handle *)file;
    unmap_shm(file, 0);
    unlock_file(file, SQLITE_LOCK_NONE);
    if (h->gone_when_closed && !dead(h) && vfs_find(h->disk, h->name) == h->node)
        vfs_rename(h->disk, h->name, NULL);
    h->node->handles--;
    vfs_sweep(h->disk);
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_bytes,
    .xWrite = write_bytes,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved,
    .xFileControl = control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = map_shm,
    .xShmLock = lock_shm,
    .xShmBarrier = barrier,
    .xShmUnmap = unmap_shm,
};

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *flags_out) {
    (void)vfs;
    const char *name;
    vfs_disk *d = vfs_disk_of(path, &name);
    if (!d)
        return real->xOpen(real, path, file, flags, flags_out);
    handle *h = (handle *)file;
    *h = (handle){.disk = d, .life = d->life};
    vfs_node *n = d->off ? NULL : vfs_find(d, name);
    bool made = !n && (flags & SQLITE_OPEN_CREATE);
    if ((!n && !made) || strlen(name) >= sizeof h->name || vfs_ask(d, made ? VFS_NAME : VFS_OPEN) != VFS_GO)
        return SQLITE_CANTOPEN;
    h->node = made ? vfs_make(d, name) : n;
    h->node->handles++;
    h->sync_names = (flags & SQLITE_OPEN_CREATE) &&
                    (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL));
    h->gone_when_closed = flags & SQLITE_OPEN_DELETEONCLOSE;
    memcpy(h->name, name, strlen(name) + 1);
    h->base.pMethods = &methods;
    if (flags_out)
        *flags_out = flags;
    return SQLITE_OK;
}

static int delete_file(sqlite3_vfs *vfs, const char *path, int sync_names) {
    (void)vfs;
    const char *name;
    vfs_disk *d = vfs_disk_of(path, &name);
    if (!d)
        return real->xDelete(real, path, sync_names);
    if (!d->off && !vfs_find(d, name))
        return SQLITE_IOERR_DELETE_NOENT;
    if (vfs_ask(d, VFS_NAME) != VFS_GO)
        return SQLITE_IOERR_DELETE;
    vfs_rename(d, name, NULL);
    if (sync_names)
        vfs_sync_names(d);
    return SQLITE_OK;
}

static int access_file(sqlite3_vfs *vfs, const char *path, int flags, int *result_out) {
    (void)vfs;
    const char *name;
    const vfs_disk *d = vfs_disk_of(path, &name);
    if (!d)
        return real->xAccess(real, path, flags, result_out);
    *result_out = !d->off && vfs_find(d, name);
    return d->off ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

static int full_path(sqlite3_vfs *vfs, const char *path, int size, char *path_out) {
    (void)vfs;
    const char *name;
    if (!vfs_disk_of(path, &name))
        return real->xFullPathname(real, path, size, path_out);
    if (strlen(path) >= (size_t)size)
        return SQLITE_CANTOPEN;
    memcpy(path_out, path, strlen(path) + 1);
    return SQLITE_OK;
}

static int randomness(sqlite3_vfs *vfs, int size, char *bytes_out) {
    (void)vfs;
    prop_bytes(&salts, bytes_out, (size_t)size);
    return size;
}

static int no_sleep(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    return microseconds;
}

/* 2026-01-01 00:00 UTC, as a Julian day in ms: nobody asks SQLite for the time, and if somebody did it would not be the machine's. */
static int current_time(sqlite3_vfs *vfs, sqlite3_int64 *julian_ms_out) {
    (void)vfs;
    *julian_ms_out = INT64_C(212633985600000);
    return SQLITE_OK;
}

void vfs_install(void) {
    assert(!real);
    real = sqlite3_vfs_find(NULL);
    ram = *real;
    ram.zName = "ram";
    ram.pNext = NULL;
    ram.szOsFile = real->szOsFile > (int)sizeof(handle) ? real->szOsFile : (int)sizeof(handle);
    ram.xOpen = open_file;
    ram.xDelete = delete_file;
    ram.xAccess = access_file;
    ram.xFullPathname = full_path;
    ram.xRandomness = randomness;
    ram.xSleep = no_sleep;
    ram.xCurrentTimeInt64 = current_time;
    vfs_reseed(1);
    sqlite3_vfs_register(&ram, 1);
}

void vfs_remove(void) {
    sqlite3_vfs_unregister(&ram);
    sqlite3_vfs_register(real, 1);
    real = NULL;
    sqlite3_randomness(0, NULL);
}

void vfs_reseed(uint64_t seed) {
    salts = prop_seeded(seed);
    sqlite3_randomness(0, NULL);
}
