/* The library's one way to the heap.
 *
 * Everything libcnn allocates goes through here, so that tests can make each allocation fail in turn
 * and debug builds can forbid allocation while a plan runs. Large blocks are planned by arena.h. */
#ifndef CNN_CORE_MEMORY_H
#define CNN_CORE_MEMORY_H

#include <stddef.h>

void *mem_alloc(size_t bytes);               /* not cleared; NULL where memory is out */
void *mem_zeroed(size_t count, size_t size); /* cleared; NULL where memory is out or count * size overflows */
void *mem_resize(void *block, size_t bytes); /* as realloc */
char *mem_copy_text(const char *text);       /* as strdup */
void mem_free(void *block);                  /* NULL is fine */

/* 64-byte aligned and cleared, for arenas; backed by large pages where the system gives them. */
void *mem_pages(size_t bytes);
void mem_pages_free(void *block, size_t bytes);

/* While frozen, an allocation on this thread is a bug of ours: debug builds assert. Calls nest. */
void mem_freeze(void);
void mem_thaw(void);

/* For tests: the allocation after `successes` more fails, once; -1: none does. mem_count() is the
 * number of allocations so far in this process. */
void mem_fail_after(long successes);
long mem_count(void);

#endif
