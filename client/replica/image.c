/* image.c - see image.h. Formats: "Database File Format" of sqlite.org, sections 1.3 (header) and 4.1 to 4.3 (log). */
#include "client/replica/image.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "proto/err.h"

#define DEFAULT_PAGE_BYTES 4096
#define FILE_HEADER_BYTES 100
#define LOG_HEADER_BYTES 32
#define FRAME_HEADER_BYTES 24
#define LOG_MAGIC 0x377f0682 /* the lowest bit says that checksums are big-endian */
#define PAGES_MAX 0x4000000  /* 256 GiB in pages of 4096 bytes: above it a size is nonsense */

struct disk_image {
    const char *name;         /* sqlite3_create_filename */
    sqlite3_file *file, *log; /* log: NULL if there is none */
    uint32_t page_bytes, pages;
    uint32_t *frame_of;   /* by page number: its newest committed frame in the log, from 1; 0: in the file */
    uint32_t frame_pages; /* entries of frame_of */
    uint32_t unreadable;
    uint8_t page[IMAGE_PAGE_BYTES_MAX];
};

static uint32_t big(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t little(const uint8_t *at) {
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static bool is_page_size(uint32_t bytes) {
    return bytes >= 512 && bytes <= IMAGE_PAGE_BYTES_MAX && (bytes & (bytes - 1)) == 0;
}

static bool read_at(sqlite3_file *file, void *bytes, size_t size, int64_t offset) {
    return file->pMethods->xRead(file, bytes, (int)size, offset) == SQLITE_OK;
}

static int64_t size_of(sqlite3_file *file) {
    sqlite3_int64 size = 0;
    return file->pMethods->xFileSize(file, &size) == SQLITE_OK ? size : 0;
}

/* NULL if it cannot be opened. */
static sqlite3_file *open_file(const char *name, int kind) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_file *file = calloc(1, (size_t)vfs->szOsFile);
    int flags;
    if (!file || vfs->xOpen(vfs, name, file, SQLITE_OPEN_READONLY | kind, &flags) == SQLITE_OK)
        return file;
    free(file);
    return NULL;
}

static void close_file(sqlite3_file *file) {
    if (file && file->pMethods)
        file->pMethods->xClose(file);
    free(file);
}

/* ---- the log ---- */

typedef struct log_sum {
    uint32_t a, b;
    bool big;
} log_sum;

static void sum_up(log_sum *s, const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i + 8 <= size; i += 8) {
        s->a += (s->big ? big(bytes + i) : little(bytes + i)) + s->b;
        s->b += (s->big ? big(bytes + i + 4) : little(bytes + i + 4)) + s->a;
    }
}

static bool note_frame(disk_image *m, uint32_t page, uint32_t frame) {
    if (page >= m->frame_pages) {
        uint32_t count = page < 1024 ? 2048 : page * 2;
        uint32_t *list = realloc(m->frame_of, count * sizeof *list);
        if (!list)
            return false;
        memset(list + m->frame_pages, 0, (count - m->frame_pages) * sizeof *list);
        m->frame_of = list;
        m->frame_pages = count;
    }
    m->frame_of[page] = frame;
    return true;
}

static int64_t frame_offset(const disk_image *m, uint32_t frame) {
    return LOG_HEADER_BYTES + (int64_t)(frame - 1) * (FRAME_HEADER_BYTES + (int64_t)m->page_bytes);
}

/* The frame is whole and belongs to this log: its checksum goes on from the one before. */
static bool is_next_frame(disk_image *m, const uint8_t salt[8], uint32_t frame, log_sum *sum,
                          uint8_t head[FRAME_HEADER_BYTES]) {
    int64_t at = frame_offset(m, frame);
    if (!read_at(m->log, head, FRAME_HEADER_BYTES, at) ||
        !read_at(m->log, m->page, m->page_bytes, at + FRAME_HEADER_BYTES))
        return false;
    sum_up(sum, head, 8);
    sum_up(sum, m->page, m->page_bytes);
    return memcmp(head + 8, salt, 8) == 0 && big(head + 16) == sum->a && big(head + 20) == sum->b && big(head) != 0 &&
           big(head) <= PAGES_MAX;
}

/* Two walks: the first finds the last commit, the second notes the frames up to it. */
static bool note_frames(disk_image *m, const uint8_t salt[8], log_sum sum, uint32_t last, uint32_t *committed_out) {
    uint8_t head[FRAME_HEADER_BYTES];
    for (uint32_t frame = 1; frame <= last && is_next_frame(m, salt, frame, &sum, head); frame++) {
        if (!committed_out && !note_frame(m, big(head), frame))
            return false;
        if (committed_out && big(head + 4) != 0) {
            *committed_out = frame;
            m->pages = big(head + 4) <= PAGES_MAX ? big(head + 4) : m->pages;
        }
    }
    return true;
}

static lp_err read_log(disk_image *m, lp_error *error) {
    uint8_t head[LOG_HEADER_BYTES];
    if (!m->log || !read_at(m->log, head, sizeof head, 0) || (big(head) & ~1u) != LOG_MAGIC ||
        !is_page_size(big(head + 8)))
        return LP_OK;
    log_sum sum = {.big = big(head) & 1};
    sum_up(&sum, head, 24);
    if (sum.a != big(head + 24) || sum.b != big(head + 28))
        return LP_OK;
    m->page_bytes = big(head + 8); /* checked by its sum, which the file's header is not */
    uint32_t committed = 0;
    bool ok = note_frames(m, head + 16, sum, UINT32_MAX, &committed) && note_frames(m, head + 16, sum, committed, NULL);
    return ok ? LP_OK : err_plain(error, LP_NOMEM);
}

/* ---- open ---- */

static void read_header(disk_image *m) {
    uint8_t head[FILE_HEADER_BYTES];
    m->page_bytes = DEFAULT_PAGE_BYTES;
    if (!read_at(m->file, head, sizeof head, 0))
        return;
    uint32_t bytes = (uint32_t)head[16] << 8 | head[17];
    bytes = bytes == 1 ? IMAGE_PAGE_BYTES_MAX : bytes;
    if (is_page_size(bytes))
        m->page_bytes = bytes;
}

/* SQLite's own question takes an empty file for none. */
static bool exists(const char *name, int kind) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    int there = 0;
    if (vfs->xAccess(vfs, name, SQLITE_ACCESS_EXISTS, &there) != SQLITE_OK || there)
        return true;
    sqlite3_file *file = open_file(name, kind);
    close_file(file);
    return file != NULL;
}

static bool log_has_bytes(const char *name) {
    sqlite3_file *log = exists(sqlite3_filename_wal(name), SQLITE_OPEN_WAL)
                            ? open_file(sqlite3_filename_wal(name), SQLITE_OPEN_WAL)
                            : NULL;
    bool has = log && size_of(log) > 0;
    close_file(log);
    return has;
}

static lp_err open_both(disk_image *m, const char *path, lp_error *error) {
    if (!exists(m->name, SQLITE_OPEN_MAIN_DB))
        return err_set(error, LP_NOT_FOUND, "there is no file %s; check the path", path);
    m->file = open_file(m->name, SQLITE_OPEN_MAIN_DB);
    if (!m->file)
        return err_set(error, LP_IO, "cannot open %s; check its rights and the disk", path);
    bool logged = exists(sqlite3_filename_wal(m->name), SQLITE_OPEN_WAL);
    if (logged)
        m->log = open_file(sqlite3_filename_wal(m->name), SQLITE_OPEN_WAL);
    if (logged && !m->log) /* the newest is in it */
        return err_set(error, LP_IO, "cannot open the log of %s; check its rights and the disk", path);
    read_header(m);
    int64_t pages = size_of(m->file) / m->page_bytes;
    m->pages = pages < PAGES_MAX ? (uint32_t)pages : PAGES_MAX;
    return read_log(m, error);
}

/* As SQLite's VFS wants it. NULL: out of memory. */
static const char *file_name(const char *path) {
    char *journal = sqlite3_mprintf("%s-journal", path), *log = sqlite3_mprintf("%s-wal", path);
    const char *name = journal && log ? sqlite3_create_filename(path, journal, log, 0, NULL) : NULL;
    sqlite3_free(journal);
    sqlite3_free(log);
    return name;
}

bool image_exists(const char *path) {
    const char *name = file_name(path);
    bool there = name && exists(name, SQLITE_OPEN_MAIN_DB);
    sqlite3_free_filename((char *)name);
    return there;
}

bool image_cut_off(const char *path) {
    const char *name = file_name(path);
    sqlite3_file *file = name && exists(name, SQLITE_OPEN_MAIN_DB) ? open_file(name, SQLITE_OPEN_MAIN_DB) : NULL;
    bool cut = file && size_of(file) == 0 && log_has_bytes(name);
    close_file(file);
    sqlite3_free_filename((char *)name);
    return cut;
}

bool image_log_has_bytes(const char *path) {
    const char *name = file_name(path);
    bool has = name && log_has_bytes(name);
    sqlite3_free_filename((char *)name);
    return has;
}

lp_err image_open(const char *path, disk_image **image_out, lp_error *error) {
    disk_image *m = calloc(1, sizeof *m);
    if (m)
        m->name = file_name(path);
    lp_err err = m && m->name ? open_both(m, path, error) : err_plain(error, LP_NOMEM);
    if (err) {
        image_close(m);
        return err;
    }
    *image_out = m;
    return LP_OK;
}

void image_close(disk_image *m) {
    if (!m)
        return;
    close_file(m->file);
    close_file(m->log);
    sqlite3_free_filename((char *)m->name);
    free(m->frame_of);
    free(m);
}

/* ---- pages ---- */

uint32_t image_pages(const disk_image *m) {
    return m->pages;
}

uint32_t image_page_bytes(const disk_image *m) {
    return m->page_bytes;
}

uint32_t image_unreadable(const disk_image *m) {
    return m->unreadable;
}

bool image_page(disk_image *m, uint32_t number, span *page_out) {
    if (number == 0 || number > m->pages)
        return false;
    uint32_t frame = number < m->frame_pages ? m->frame_of[number] : 0;
    bool ok = frame ? read_at(m->log, m->page, m->page_bytes, frame_offset(m, frame) + FRAME_HEADER_BYTES)
                    : read_at(m->file, m->page, m->page_bytes, (int64_t)(number - 1) * m->page_bytes);
    m->unreadable += !ok;
    *page_out = span_of(m->page, m->page_bytes);
    return ok;
}
