/* short_memory.h - memory that runs out on demand: a program that calls any of this has its C library's allocator replaced.
 *
 * Sanitizers bring an allocator of their own; under them nothing fails, and tests skip. Thread: one. */
#ifndef TESTS_SUPPORT_SHORT_MEMORY_H
#define TESTS_SUPPORT_SHORT_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/** False under a sanitizer. */
bool short_memory_works(void);
/** SQLite and OpenSSL get their memory elsewhere from now on, neither counted nor failing: to be called first of all. */
void short_memory_spare_libraries(void);
/** Allocation number `at`, counted from 0 now, and those after it up to `count` in all fail. */
void short_memory_fail(uint64_t at, uint64_t count);
/** Enough for everybody again. The number of allocations since short_memory_fail. */
uint64_t short_memory_end(void);

#endif
