/* For the tests of src/data: a folder of their own, files and folders in it. */
#ifndef CNN_TESTS_DATA_SCRATCH_H
#define CNN_TESTS_DATA_SCRATCH_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "check.h"
#include "core/memory.h"

static char scratch[256];

static inline int scratch_make(void **state) {
  (void)state;
  const char *base = getenv("TMPDIR");
  snprintf(scratch, sizeof scratch, "%s/cnn-data-XXXXXX", base && strlen(base) < 200 ? base : "/tmp");
  return mkdtemp(scratch) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *info, int type, struct FTW *place) {
  (void)info, (void)type, (void)place;
  return remove(path);
}

static inline int scratch_remove(void **state) {
  (void)state;
  return nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path in the folder. 64 live at a time. */
static inline const char *in_scratch(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline const char *in_scratch(const char *format, ...) {
  static char paths[64][1024];
  static unsigned next;
  char *path = paths[next++ % 64];
  int start = snprintf(path, sizeof paths[0], "%s/", scratch);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(path + start, sizeof paths[0] - (size_t)start, format, arguments);
  va_end(arguments);
  return path;
}

/* A new, empty folder; what was in one of that name is gone. */
static inline const char *new_folder(const char *path) {
  nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  assert_int_equal(mkdir(path, 0755), 0);
  return path;
}

static inline void put_bytes(const char *path, const void *bytes, size_t count) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, count, file), count);
  assert_int_equal(fclose(file), 0);
}

static inline void put_gzip(const char *path, const void *bytes, size_t count) {
  gzFile file = gzopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(gzwrite(file, bytes, (unsigned)count), count);
  assert_int_equal(gzclose(file), Z_OK);
}

/* The contents of a file; free() them. */
static inline uint8_t *get_bytes(const char *path, size_t *count) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  struct stat info;
  assert_int_equal(fstat(fileno(file), &info), 0);
  *count = (size_t)info.st_size;
  uint8_t *bytes = malloc(*count + 1);
  assert_non_null(bytes);
  assert_int_equal(fread(bytes, 1, *count, file), *count);
  fclose(file);
  return bytes;
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
