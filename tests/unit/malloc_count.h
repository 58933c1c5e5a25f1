/* For tests: every allocation of this process, libraries included. One file of a program may include it. */
#ifndef TESTS_UNIT_MALLOC_COUNT_H
#define TESTS_UNIT_MALLOC_COUNT_H

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#endif

#if defined(__GLIBC__) && !defined(ADDRESS_SANITIZER)
#define COUNTS_MALLOC     1
#define SEEN_BY_LIBRARIES __attribute__((visibility("default")))
static atomic_long mallocs;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nmemb, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

SEEN_BY_LIBRARIES void *malloc(size_t size) {
  atomic_fetch_add(&mallocs, 1);
  return __libc_malloc(size);
}
SEEN_BY_LIBRARIES void *calloc(size_t nmemb, size_t size) {
  atomic_fetch_add(&mallocs, 1);
  return __libc_calloc(nmemb, size);
}
SEEN_BY_LIBRARIES void *realloc(void *ptr, size_t size) {
  atomic_fetch_add(&mallocs, 1);
  return __libc_realloc(ptr, size);
}
SEEN_BY_LIBRARIES void *memalign(size_t alignment, size_t size) {
  atomic_fetch_add(&mallocs, 1);
  return __libc_memalign(alignment, size);
}
SEEN_BY_LIBRARIES void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
SEEN_BY_LIBRARIES int posix_memalign(void **memptr, size_t alignment, size_t size) {
  void *block = memalign(alignment, size);
  if (!block) return ENOMEM;
  *memptr = block;
  return 0;
}
static inline long malloc_count(void) { return atomic_load(&mallocs); }
#else
static inline long malloc_count(void) { return 0; }
#endif

#endif
