/* See memory.h. */
#include "core/memory.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static atomic_long made;
static atomic_long left = -1;
static _Thread_local int frozen;

static int refused(void) {
  assert(frozen == 0 && "allocation while a plan runs");
  atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
  if (atomic_load_explicit(&left, memory_order_relaxed) < 0) return 0;
  return atomic_fetch_sub_explicit(&left, 1, memory_order_relaxed) == 0;
}

void *mem_alloc(size_t bytes) { return refused() ? NULL : malloc(bytes ? bytes : 1); }

void *mem_zeroed(size_t count, size_t size) {
  return refused() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *mem_resize(void *block, size_t bytes) { return refused() ? NULL : realloc(block, bytes ? bytes : 1); }

char *mem_copy_text(const char *text) {
  size_t bytes = strlen(text) + 1;
  char *copy = mem_alloc(bytes);
  if (copy) memcpy(copy, text, bytes);
  return copy;
}

void mem_free(void *block) { free(block); }

#define LARGE_PAGE ((size_t)2 << 20)

void *mem_pages(size_t bytes) {
  if (refused() || bytes > SIZE_MAX - LARGE_PAGE) return NULL;
  if (bytes < LARGE_PAGE) {
    void *block = NULL;
    if (posix_memalign(&block, 64, bytes ? bytes : 64)) return NULL;
    memset(block, 0, bytes);
    return block;
  }
  void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return NULL;
  madvise(block, bytes, MADV_HUGEPAGE); /* a hint: refusal changes nothing but speed */
  return block;
}

void mem_pages_free(void *block, size_t bytes) {
  if (!block) return;
  if (bytes < LARGE_PAGE)
    free(block);
  else
    munmap(block, bytes);
}

void mem_freeze(void) { frozen++; }
void mem_thaw(void) { frozen--; }
void mem_fail_after(long successes) { atomic_store(&left, successes); }
long mem_count(void) { return atomic_load(&made); }
