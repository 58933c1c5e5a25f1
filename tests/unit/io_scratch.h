/* For the tests of src/io: a folder of their own, files with given bytes, and what is left there. */
#ifndef CNN_TESTS_IO_SCRATCH_H
#define CNN_TESTS_IO_SCRATCH_H

#include <dirent.h>
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

#include "check.h"

static char scratch[256];

static inline int scratch_make(void **state) {
  (void)state;
  const char *base = getenv("TMPDIR");
  snprintf(scratch, sizeof scratch, "%s/cnn-test-XXXXXX", base && strlen(base) < 200 ? base : "/tmp");
  return mkdtemp(scratch) ? 0 : -1;
}

/* A path in the folder. Four live at a time. */
static inline const char *in_scratch(const char *name) {
  static char paths[4][600];
  static unsigned next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
  return path;
}

/* Remove what is in the folder; returns how many entries there were. */
static inline int scratch_clear(void) {
  int count = 0;
  DIR *folder = opendir(scratch);
  assert_non_null(folder);
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    count++;
    const char *path = in_scratch(entry->d_name);
    if (unlink(path) < 0) rmdir(path);
  }
  closedir(folder);
  return count;
}

static inline int scratch_remove(void **state) {
  (void)state;
  scratch_clear();
  return rmdir(scratch);
}

static inline void put_bytes(const char *path, const void *bytes, size_t count) {
  unlink(path); /* some file systems flush a file that was cut to nothing and written again */
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, count, file), count);
  assert_int_equal(fclose(file), 0);
}

/* The contents of a file, with a NUL after them; free() them. */
static inline char *get_bytes(const char *path, size_t *count) {
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

static inline void assert_contents(const char *path, const char *expected) {
  size_t count;
  char *bytes = get_bytes(path, &count);
  assert_string_equal(bytes, expected);
  assert_int_equal(count, strlen(expected));
  free(bytes);
}

#endif
