/* vfs.h - disks in RAM that break as they are told: below every SQLite connection, and below the store's own files.
 *
 *     vfs_install();                                       SQLite's default from now on
 *     vfs_disk *disk = vfs_disk_new("/ram/device0", seed);    what is opened below that path lies on it; other paths are real
 *     vfs_break(disk, &(vfs_faults){.cut_at = 7});         the power goes instead of the 7th step from now
 *     ...                                                  everything answers with I/O errors once it went
 *     close what was open; it can do no harm
 *     vfs_power_on(disk, VFS_SOME, 512);                   some of what was not synced survived, in sectors of 512 bytes
 *
 * No production code knows of it: SQLite finds it as its default VFS, and the linker puts vfs_files.c before the functions of
 * server/store/files.h (--wrap; tests/CMakeLists.txt). Whatever goes past both lands in the real directory of that name.
 *
 * Invariants:
 *   (1) What was synced is never lost, unless a lie was asked for. A name is safe once its directory was synced, which SQLite does
 *       with the first sync of a new log or journal, and vfs_files.c where the real one does.
 *   (2) A handle from before a cut, a crash or a restore reads nothing, writes nothing and holds no lock.
 *   (3) Nothing depends on time, addresses or the machine: same calls and seeds, same bytes.
 * Thread: one. Failing allocations are assertions. */
#ifndef TESTS_SIM_VFS_H
#define TESTS_SIM_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vfs_disk vfs_disk;
typedef struct vfs_image vfs_image;

#define VFS_OVERLAP 256

typedef enum vfs_op {
    VFS_READ,
    VFS_WRITE, /**< and truncations */
    VFS_SYNC,
    VFS_NAME, /**< a file made, removed or renamed */
    VFS_OPEN, /**< a file that is there opened */
    VFS_OPS
} vfs_op;

/** What goes wrong from now on; all zero is a good disk. */
typedef struct vfs_faults {
    uint64_t cut_at; /**< the power goes instead of this step, counted from 1: a step is a write, a sync or a name */
    uint64_t space_bytes; /**< no more than this fits on it; 0: no limit. A write that does not fit writes what does */
    struct {
        uint64_t at;    /**< the first operation of its kind that fails with an I/O error, counted from 1; 0: none */
        uint64_t count; /**< as many in a row; UINT64_MAX: for good */
    } eio[VFS_OPS];
    uint32_t lie_percent; /**< of syncs that say yes and do nothing */
} vfs_faults;

typedef struct vfs_counts {
    uint64_t steps; /**< since vfs_break: what cut_at counts */
    uint64_t ops[VFS_OPS];
    uint64_t failed[VFS_OPS]; /**< with an I/O error that was asked for; these four since the disk is new */
    uint64_t full, lies, cuts;
    uint64_t lost, kept; /**< unsynced pieces at cuts, and at failed syncs */
} vfs_counts;

/** Which unsynced writes reach the medium when the power goes. */
typedef enum vfs_loss {
    VFS_NONE,  /**< no write survives */
    VFS_ALL,   /**< all do */
    VFS_FIRST, /**< a random number of the first ones of each file do */
    VFS_SOME,  /**< any: each is lost or not by itself, which is what reordering comes to */
    VFS_LOSSES
} vfs_loss;

/** Puts it in place as SQLite's default VFS, or takes it away. No disk may exist when it is taken away. */
void vfs_install(void);
void vfs_remove(void);
/** Sets the random numbers that SQLite itself uses (salts of logs) from a seed: before each run that must be repeatable. */
void vfs_reseed(uint64_t seed);

/** A disk for all paths "prefix/...". Borrows nothing. Every file on it must be closed before it is freed. */
vfs_disk *vfs_disk_new(const char *prefix, uint64_t seed);
void vfs_disk_free(vfs_disk *disk);
/** From here on its losses are drawn from another seed. */
void vfs_disk_reseed(vfs_disk *disk, uint64_t seed);

/** Replaces the faults, and counts steps from now; NULL: a good disk. */
void vfs_break(vfs_disk *disk, const vfs_faults *faults);
const vfs_counts *vfs_count(const vfs_disk *disk);
uint64_t vfs_used_bytes(const vfs_disk *disk);

/** The power goes now. What is open stays open, and fails. */
void vfs_cut(vfs_disk *disk);
bool vfs_is_off(const vfs_disk *disk);
/** After a cut, whoever caused it: decides what survived and turns the disk on, without faults. A write is cut into pieces at
 *  multiples of `tear_bytes` in the file, which survive each by itself; 0: writes are whole. */
void vfs_power_on(vfs_disk *disk, vfs_loss loss, uint32_t tear_bytes);
/** The program dies, the machine does not: handles are dead, every write is there, what was not synced still is not. */
void vfs_crash(vfs_disk *disk);

/** All files as they are, by names relative to the disk: a template, a backup of a phone, the source of a clone. */
vfs_image *vfs_save(const vfs_disk *disk);
/** Replaces all files of a disk, maybe another one, by an image, synced. Handles are dead, the power is on. */
void vfs_restore(vfs_disk *disk, const vfs_image *image);
void vfs_image_free(vfs_image *image);
/** No files any more. Handles are dead. */
void vfs_wipe(vfs_disk *disk);
/** Copies one file, which must exist, to another name and maybe disk, synced. Names are relative to the disks. */
void vfs_copy(const vfs_disk *from, const char *name, vfs_disk *to, const char *copy);
/** Hands out a file, if there is one of that name, in pieces that overlap: VFS_OVERLAP bytes in a row stand whole in one of them. */
void vfs_scan(const vfs_disk *disk, const char *name, void (*take)(void *ctx, const uint8_t *bytes, size_t size),
              void *ctx);
bool vfs_exists(const vfs_disk *disk, const char *name);
/** A hash of all names and bytes: the same after the same run. */
uint64_t vfs_hash(const vfs_disk *disk);

#endif
