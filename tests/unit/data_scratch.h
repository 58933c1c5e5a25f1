/* For the tests of src/data: what they put into scratch.h's folder, and the environment they run in. */
#ifndef CNN_TESTS_DATA_SCRATCH_H
#define CNN_TESTS_DATA_SCRATCH_H

#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "core/memory.h"
#include "scratch.h"

/* A new, empty folder; what was in one of that name is gone. */
static inline const char *new_folder(const char *path) {
  nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  assert_int_equal(mkdir(path, 0755), 0);
  return path;
}

static inline void put_gzip(const char *path, const void *bytes, size_t count) {
  gzFile file = gzopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(gzwrite(file, bytes, (unsigned)count), count);
  assert_int_equal(gzclose(file), Z_OK);
}

/* Numbers for tests: xorshift, so that a failure comes back. */
static inline uint32_t next_random(uint64_t *random) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return (uint32_t)(*random >> 16);
}

/* Set a variable of the environment until put_back(); NULL: take it out. */
static inline void set_variable(const char *name, const char *value, char **before) {
  const char *old = getenv(name);
  *before = old ? strdup(old) : NULL;
  assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static inline void put_back(const char *name, char *before) {
  assert_int_equal(before ? setenv(name, before, 1) : unsetenv(name), 0);
  free(before);
}

/* An IDX file of bytes: header, then elements. Returns its length; file must have room. */
static inline size_t make_idx(uint8_t *file, int rank, const uint32_t *dims, const uint8_t *elements,
                              size_t count) {
  uint8_t magic[4] = {0, 0, 8, (uint8_t)rank}, *p = file + 4;
  memcpy(file, magic, 4);
  for (int i = 0; i < rank; i++)
    for (int shift = 24; shift >= 0; shift -= 8) *p++ = (uint8_t)(dims[i] >> shift);
  if (count) memcpy(p, elements, count);
  return (size_t)(p - file) + count;
}

#endif
