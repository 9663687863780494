/* short_memory.c - see short_memory.h. */
#include "tests/support/short_memory.h"

#include <assert.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#define OWN_ALLOCATOR !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define OWN_ALLOCATOR 1
#endif

static bool counting;
static uint64_t made, first, last;

bool short_memory_works(void) {
    return OWN_ALLOCATOR;
}

void short_memory_fail(uint64_t at, uint64_t count) {
    made = 0;
    first = at;
    last = count > UINT64_MAX - at ? UINT64_MAX : at + count;
    counting = true;
}

uint64_t short_memory_end(void) {
    counting = false;
    return made;
}

#if OWN_ALLOCATOR
/* glibc's allocator under its other names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);

void __libc_free(void *memory);

static bool due(void) {
    if (!counting)
        return false;
    uint64_t number = made++;
    return number >= first && number < last;
}

void *malloc(size_t size) {
    return due() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return due() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return due() ? NULL : __libc_realloc(old, size);
}

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
    static const sqlite3_mem_methods methods = {take, __libc_free, resize, size_of, round_up, begin, end, NULL};
    int rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    int done = CRYPTO_set_mem_functions(take_for_openssl, resize_for_openssl, free_for_openssl);
    assert(rc == SQLITE_OK && done);
    (void)rc;
    (void)done;
}
#else
void short_memory_spare_libraries(void) {
}
#endif
