/* vfs_disk.c - files in RAM, what of them is safe, and what is left after a cut; see vfs.h and vfs_disk.h.
 *
 * A file has one copy of its bytes, the newest. Each write keeps what it replaced until the next sync; a cut undoes all of them from
 * the last to the first, which gives the bytes as of the sync, and does again those that survived. What grows, as logs do, replaces
 * nothing and so keeps nothing. */
#include "tests/sim/vfs_disk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

static vfs_disk *disks;

void *vfs_grow(void *memory, size_t size) {
    void *larger = realloc(memory, size);
    if (!larger)
        abort();
    return larger;
}

/* ---- names ---- */

static void put_name(vfs_names *names, const char *name, vfs_node *node) {
    uint32_t i = 0;
    while (i < names->count && strcmp(names->entries[i].name, name) != 0)
        i++;
    if (!node) {
        if (i < names->count)
            names->entries[i] = names->entries[--names->count];
        return;
    }
    if (i == VFS_NAMES_MAX || strlen(name) >= VFS_NAME_MAX)
        abort();
    names->count += i == names->count;
    memcpy(names->entries[i].name, name, strlen(name) + 1);
    names->entries[i].node = node;
}

static void add_naming(vfs_disk *d, const char *name, vfs_node *node, bool more) {
    if (d->naming_count == d->naming_capacity) {
        d->naming_capacity = d->naming_capacity ? d->naming_capacity * 2 : 8;
        d->namings = vfs_grow(d->namings, d->naming_capacity * sizeof *d->namings);
    }
    vfs_naming *n = &d->namings[d->naming_count++];
    *n = (vfs_naming){.entry.node = node, .more = more};
    snprintf(n->entry.name, sizeof n->entry.name, "%s", name);
    put_name(&d->names, name, node);
}

vfs_disk *vfs_disk_of(const char *path, const char **name_out) {
    for (vfs_disk *d = path ? disks : NULL; d; d = d->next) {
        if (strncmp(path, d->prefix, d->prefix_size) != 0 || path[d->prefix_size] != '/')
            continue;
        *name_out = path + d->prefix_size + 1;
        return d;
    }
    return NULL;
}

vfs_node *vfs_find(const vfs_disk *d, const char *name) {
    for (uint32_t i = 0; i < d->names.count; i++) {
        if (strcmp(d->names.entries[i].name, name) == 0)
            return d->names.entries[i].node;
    }
    return NULL;
}

vfs_node *vfs_make(vfs_disk *d, const char *name) {
    assert(!vfs_find(d, name));
    vfs_node *n = vfs_grow(NULL, sizeof *n);
    *n = (vfs_node){.next = d->nodes};
    d->nodes = n;
    add_naming(d, name, n, false);
    return n;
}

void vfs_rename(vfs_disk *d, const char *name, const char *to) {
    vfs_node *n = vfs_find(d, name);
    assert(n);
    if (to)
        add_naming(d, to, n, true);
    add_naming(d, name, NULL, false);
    vfs_sweep(d);
}

void vfs_sync_names(vfs_disk *d) {
    d->safe = d->names;
    d->naming_count = 0;
    vfs_sweep(d);
}

static bool named(const vfs_names *names, const vfs_node *n) {
    for (uint32_t i = 0; i < names->count; i++) {
        if (names->entries[i].node == n)
            return true;
    }
    return false;
}

static void forget_writes(vfs_node *n) {
    for (size_t i = 0; i < n->write_count; i++) {
        free(n->writes[i].old);
        vfs_bytes_fini(&n->writes[i].before);
    }
    n->write_count = 0;
}

static void free_node(vfs_node *n) {
    forget_writes(n);
    if (n->shm)
        vfs_shm_leave(n->shm);
    free(n->writes);
    vfs_bytes_fini(&n->bytes);
    free(n);
}

static bool wanted(const vfs_disk *d, const vfs_node *n) {
    bool waits = n->handles > 0 || named(&d->names, n) || named(&d->safe, n);
    for (size_t i = 0; i < d->naming_count && !waits; i++)
        waits = d->namings[i].entry.node == n;
    return waits;
}

void vfs_sweep(vfs_disk *d) {
    for (vfs_node **at = &d->nodes; *at;) {
        vfs_node *n = *at;
        if (wanted(d, n)) {
            at = &n->next;
            continue;
        }
        *at = n->next;
        free_node(n);
    }
}

/* ---- faults ---- */

vfs_fate vfs_ask(vfs_disk *d, vfs_op op) {
    if (d->off)
        return VFS_OFF;
    uint64_t nth = ++d->counts.ops[op];
    if (op == VFS_WRITE || op == VFS_SYNC || op == VFS_NAME) {
        if (++d->counts.steps == d->faults.cut_at) {
            vfs_cut(d);
            return VFS_OFF;
        }
    }
    uint64_t at = d->faults.eio[op].at;
    if (at && nth >= at && nth - at < d->faults.eio[op].count) {
        d->counts.failed[op]++;
        return VFS_EIO;
    }
    if (op == VFS_SYNC && d->faults.lie_percent && prop_chance(&d->random, d->faults.lie_percent)) {
        d->counts.lies++;
        return VFS_LIE;
    }
    return VFS_GO;
}

void vfs_break(vfs_disk *d, const vfs_faults *faults) {
    d->faults = faults ? *faults : (vfs_faults){0};
    d->counts.steps = 0;
    memset(d->counts.ops, 0, sizeof d->counts.ops);
}

const vfs_counts *vfs_count(const vfs_disk *d) {
    return &d->counts;
}

uint64_t vfs_used_bytes(const vfs_disk *d) {
    uint64_t used = 0;
    for (const vfs_node *n = d->nodes; n; n = n->next)
        used += n->bytes.size + (n->shm ? (uint64_t)n->shm->region_count * (uint64_t)n->shm->region_bytes : 0);
    return used;
}

bool vfs_fits(vfs_disk *d, size_t more) {
    if (!d->faults.space_bytes || vfs_used_bytes(d) + more <= d->faults.space_bytes)
        return true;
    d->counts.full++;
    return false;
}

/* ---- bytes ---- */

/* For the caller to free; NULL if there is nothing to copy. */
static uint8_t *copy_of(const vfs_bytes *b, size_t at, size_t size) {
    uint8_t *copy = size ? vfs_grow(NULL, size) : NULL;
    vfs_bytes_read(b, at, copy, size);
    return copy;
}

static vfs_write *note_change(vfs_node *n, size_t at, size_t size) {
    if (n->write_count == n->write_capacity) {
        n->write_capacity = n->write_capacity ? n->write_capacity * 2 : 16;
        n->writes = vfs_grow(n->writes, n->write_capacity * sizeof *n->writes);
    }
    vfs_write *w = &n->writes[n->write_count++];
    *w = (vfs_write){.at = at, .size = size, .size_before = n->bytes.size};
    return w;
}

static void note_write(vfs_node *n, size_t at, size_t size) {
    vfs_write *w = note_change(n, at, size);
    size_t replaced = at < n->bytes.size ? n->bytes.size - at : 0;
    w->old_size = replaced < size ? replaced : size;
    w->old = copy_of(&n->bytes, at, w->old_size);
}

bool vfs_write_bytes(vfs_disk *d, vfs_node *n, const void *bytes, size_t size, uint64_t at) {
    size_t growth = at + size > n->bytes.size ? (size_t)at + size - n->bytes.size : 0;
    bool fits = !growth || vfs_fits(d, growth);
    if (!fits) {
        uint64_t used = vfs_used_bytes(d);
        uint64_t end = n->bytes.size + (d->faults.space_bytes > used ? d->faults.space_bytes - used : 0);
        size = end > at ? (size_t)(end - at) : 0;
    }
    if (!size)
        return fits;
    note_write(n, (size_t)at, size);
    vfs_bytes_write(&n->bytes, (size_t)at, bytes, size);
    return fits;
}

void vfs_truncate(vfs_node *n, uint64_t size) {
    if (size >= n->bytes.size)
        return;
    vfs_write *w = note_change(n, (size_t)size, 0);
    w->before = n->bytes;
    n->bytes = (vfs_bytes){0};
    vfs_bytes_copy(&n->bytes, &w->before, (size_t)size);
}

void vfs_sync_node(vfs_node *n) {
    forget_writes(n);
}

/* ---- what is left ---- */

static void undo(vfs_node *n, vfs_write *w) {
    if (w->size) {
        vfs_bytes_cut(&n->bytes, w->size_before);
        vfs_bytes_write(&n->bytes, w->at, w->old, w->old_size);
    } else {
        vfs_bytes_fini(&n->bytes);
        n->bytes = w->before;
        w->before = (vfs_bytes){0};
    }
}

/* What a write had written stands in the file while all later ones are undone: it goes to `written_out`, for the caller to free. */
static void undo_writes(vfs_node *n, uint8_t **written_out) {
    for (size_t i = n->write_count; i-- > 0;) {
        written_out[i] = copy_of(&n->bytes, n->writes[i].at, n->writes[i].size);
        undo(n, &n->writes[i]);
    }
}

static void redo_piece(vfs_node *n, const vfs_write *w, const uint8_t *written, size_t from, size_t size) {
    if (w->size)
        vfs_bytes_write(&n->bytes, w->at + from, written + from, size);
    else
        vfs_bytes_cut(&n->bytes, w->at);
}

static bool survives(vfs_disk *d, vfs_loss loss, size_t index, size_t first) {
    bool yes =
        loss == VFS_ALL || (loss == VFS_FIRST && index < first) || (loss == VFS_SOME && prop_chance(&d->random, 50));
    d->counts.kept += yes;
    d->counts.lost += !yes;
    return yes;
}

static void decide(vfs_disk *d, vfs_node *n, vfs_loss loss, uint32_t tear_bytes) {
    uint8_t **written = vfs_grow(NULL, (n->write_count + 1) * sizeof *written);
    undo_writes(n, written);
    size_t first = (size_t)prop_below(&d->random, n->write_count + 1);
    for (size_t i = 0; i < n->write_count; i++) {
        const vfs_write *w = &n->writes[i];
        size_t from = 0, size;
        do {
            size = w->size - from;
            size_t to_edge = tear_bytes ? tear_bytes - (size_t)((w->at + from) % tear_bytes) : size;
            if (to_edge < size)
                size = to_edge;
            /* The last of the first ones may be torn as well. */
            bool torn = loss == VFS_FIRST && tear_bytes && i == first;
            if (survives(d, torn ? VFS_SOME : loss, i, first))
                redo_piece(n, w, written[i], from, size);
            from += size;
        } while (from < w->size);
        free(written[i]);
    }
    free(written);
    forget_writes(n);
}

void vfs_doubt(vfs_disk *d, vfs_node *n) {
    decide(d, n, VFS_SOME, 512);
}

/* Changes of names reach the medium in order, as a journaling file system has them. */
static void decide_names(vfs_disk *d, vfs_loss loss) {
    size_t keep = loss == VFS_NONE  ? 0
                  : loss == VFS_ALL ? d->naming_count
                                    : (size_t)prop_below(&d->random, d->naming_count + 1);
    while (keep > 0 && keep < d->naming_count && d->namings[keep - 1].more)
        keep++;
    d->names = d->safe;
    for (size_t i = 0; i < keep; i++)
        put_name(&d->names, d->namings[i].entry.name, d->namings[i].entry.node);
    vfs_sync_names(d);
}

void vfs_kill_handles(vfs_disk *d) {
    d->life++;
    for (vfs_node *n = d->nodes; n; n = n->next) {
        n->shared = 0;
        n->reserved = n->pending = n->exclusive = false;
        if (n->shm)
            vfs_shm_leave(n->shm);
        n->shm = NULL;
    }
}

void vfs_shm_leave(vfs_shm *shm) {
    if (--shm->users > 0)
        return;
    for (int i = 0; i < shm->region_count; i++)
        free(shm->regions[i]);
    free(shm->regions);
    free(shm);
}

void vfs_cut(vfs_disk *d) {
    if (d->off)
        return;
    d->off = true;
    d->counts.cuts++;
    vfs_kill_handles(d);
}

bool vfs_is_off(const vfs_disk *d) {
    return d->off;
}

void vfs_power_on(vfs_disk *d, vfs_loss loss, uint32_t tear_bytes) {
    assert(d->off);
    for (vfs_node *n = d->nodes; n; n = n->next)
        decide(d, n, loss, tear_bytes);
    decide_names(d, loss);
    d->off = false;
    vfs_break(d, NULL);
}

void vfs_crash(vfs_disk *d) {
    vfs_kill_handles(d);
    vfs_sweep(d);
}

/* ---- life ---- */

vfs_disk *vfs_disk_new(const char *prefix, uint64_t seed) {
    vfs_disk *d = vfs_grow(NULL, sizeof *d);
    *d = (vfs_disk){.next = disks, .random = prop_seeded(seed)};
    d->prefix_size = (size_t)snprintf(d->prefix, sizeof d->prefix, "%s", prefix);
    if (d->prefix_size >= sizeof d->prefix)
        abort();
    disks = d;
    return d;
}

void vfs_disk_reseed(vfs_disk *d, uint64_t seed) {
    d->random = prop_seeded(seed);
}

void vfs_wipe(vfs_disk *d) {
    vfs_kill_handles(d);
    d->names.count = 0;
    vfs_sync_names(d);
}

void vfs_disk_free(vfs_disk *d) {
    if (!d)
        return;
    vfs_wipe(d);
    if (d->nodes)
        abort(); /* somebody still has a file open */
    vfs_disk **at = &disks;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    free(d->namings);
    free(d);
}
