/* middles.c - see middles.h. Format: "Database File Format" of sqlite.org, sections 1.3 (header) and 1.6 (pages of b-trees). */
#include "proto/middles.h"

#include <stdlib.h>
#include <string.h>

#define FILE_HEADER_BYTES 100
#define PAGE_BYTES_MIN 512
#define PAGES_MAX                                                                                                      \
    0x2000000 /* below it the page number that other pages begin with does not look like the type of a b-tree's */

/* The kinds of pages that hold a b-tree. */
enum { INNER_INDEX = 2, INNER_TABLE = 5, LEAF_INDEX = 10, LEAF_TABLE = 13 };

typedef struct walk {
    const middles_file *file;
    size_t page_bytes;
    size_t used_bytes; /* of a page; what is left at its end belongs to others */
} walk;

static size_t two(const uint8_t *at) {
    return (size_t)at[0] << 8 | at[1];
}

/* Sizes and offsets up to 65536 are stored in two bytes: that one as 0. */
static size_t up_to_65536(size_t stored) {
    return stored ? stored : 65536;
}

/* The unused middle of a page, [*from_out, *to_out). False if it is no page of a b-tree, or one of which SQLite would not make sense either: a
 * cell or a free block would begin in that middle. */
static bool find_unused(const walk *w, const uint8_t *page, size_t head, size_t *from_out, size_t *to_out) {
    const uint8_t *at = page + head;
    bool inner = at[0] == INNER_INDEX || at[0] == INNER_TABLE;
    if (!inner && at[0] != LEAF_INDEX && at[0] != LEAF_TABLE)
        return false;
    size_t cells = head + (inner ? 12 : 8), free_block = two(at + 1);
    *from_out = cells + 2 * two(at + 3);
    *to_out = up_to_65536(two(at + 5));
    bool sound = *from_out <= *to_out && *to_out <= w->used_bytes && (!free_block || free_block >= *to_out);
    for (size_t cell = cells; sound && cell < *from_out; cell += 2)
        sound = two(page + cell) >= *to_out;
    return sound;
}

static bool any_set(const uint8_t *bytes, size_t size) {
    return size && (bytes[0] || memcmp(bytes, bytes + 1, size - 1) != 0);
}

/* Written whole, as SQLite does: below it may be something that keeps a checksum of the page in it. */
static bool wipe_page(const walk *w, uint8_t *page, uint64_t at) {
    size_t from, to;
    if (!w->file->read(w->file->ctx, page, w->page_bytes, at))
        return false;
    if (!find_unused(w, page, at ? 0 : FILE_HEADER_BYTES, &from, &to) || !any_set(page + from, to - from))
        return true;
    memset(page + from, 0, to - from);
    return w->file->write(w->file->ctx, page, w->page_bytes, at);
}

/* A file with pages of pointers (auto_vacuum), which look like anything, is none of ours. */
static bool read_shape(walk *w) {
    static const uint8_t none[4] = {0};
    uint8_t header[FILE_HEADER_BYTES];
    if (!w->file->read(w->file->ctx, header, sizeof header, 0))
        return false;
    w->page_bytes = two(header + 16) == 1 ? 65536 : two(header + 16);
    w->used_bytes = w->page_bytes - header[20];
    bool is_size = w->page_bytes >= PAGE_BYTES_MIN && (w->page_bytes & (w->page_bytes - 1)) == 0;
    return is_size && memcmp(header + 52, none, sizeof none) == 0;
}

bool middles_wipe(const middles_file *file) {
    walk w = {.file = file};
    if (!read_shape(&w) || file->size_bytes / w.page_bytes >= PAGES_MAX)
        return false;
    uint8_t *page = malloc(w.page_bytes);
    bool done = page != NULL;
    for (uint64_t at = 0; done && at + w.page_bytes <= file->size_bytes; at += w.page_bytes)
        done = wipe_page(&w, page, at);
    free(page);
    return done;
}
