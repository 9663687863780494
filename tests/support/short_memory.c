/* short_memory.c - see short_memory.h. */
#include "tests/support/short_memory.h"

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
#endif
