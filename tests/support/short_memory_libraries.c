/* short_memory_libraries.c - see short_memory.h: what goes on having memory. Apart from the rest, because proto/ alone is tested without SQLite. */
#include <assert.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stddef.h>

#include "tests/support/short_memory.h"

/* glibc's allocator under its other names: short_memory.c does not stand before these. */
void *__libc_malloc(size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *memory);

static void *take(int size) {
    return __libc_malloc((size_t)size);
}

static void *resize(void *old, int size) {
    return __libc_realloc(old, (size_t)size);
}

static int size_of(void *memory) {
    return (int)malloc_usable_size(memory);
}

static int round_up(int size) {
    return (size + 7) & ~7;
}

static int begin(void *ctx) {
    (void)ctx;
    return SQLITE_OK;
}

static void end(void *ctx) {
    (void)ctx;
}

static void *take_for_openssl(size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    return __libc_malloc(size);
}

static void *resize_for_openssl(void *old, size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    return __libc_realloc(old, size);
}

static void free_for_openssl(void *memory, const char *file, int line) {
    (void)file;
    (void)line;
    __libc_free(memory);
}

void short_memory_spare_libraries(void) {
    if (!short_memory_works())
        return;
    static const sqlite3_mem_methods methods = {take, __libc_free, resize, size_of, round_up, begin, end, NULL};
    int rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    int done = CRYPTO_set_mem_functions(take_for_openssl, resize_for_openssl, free_for_openssl);
    assert(rc == SQLITE_OK && done);
    (void)rc;
    (void)done;
}
