/* For tests with files: a folder of their own, and files with given bytes in it. */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static char scratch[256];

static inline int scratch_make(void **state) {
  (void)state;
  const char *base = getenv("TMPDIR");
  snprintf(scratch, sizeof scratch, "%s/cnn-test-XXXXXX", base && strlen(base) < 200 ? base : "/tmp");
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

static inline void put_bytes(const char *path, const void *bytes, size_t count) {
  unlink(path); /* some file systems flush a file that was cut to nothing and written again */
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, count, file), count);
  assert_int_equal(fclose(file), 0);
}

/* The contents of a file, with a NUL after them; free() them. */
static inline void *get_bytes(const char *path, size_t *count) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  struct stat info;
  assert_int_equal(fstat(fileno(file), &info), 0);
  *count = (size_t)info.st_size;
  char *bytes = malloc(*count + 1);
  assert_non_null(bytes);
  assert_int_equal(fread(bytes, 1, *count, file), *count);
  bytes[*count] = 0;
  fclose(file);
  return bytes;
}

#endif
