/* For the tests of src/io: what is left in scratch.h's folder. */
#ifndef CNN_TESTS_IO_SCRATCH_H
#define CNN_TESTS_IO_SCRATCH_H

#include <dirent.h>
#include <stdint.h>
#include <string.h>

#include "scratch.h"

/* Remove what is in the folder; returns how many entries there were. */
static inline int scratch_clear(void) {
  int count = 0;
  DIR *folder = opendir(scratch);
  assert_non_null(folder);
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    count++;
    const char *path = in_scratch("%s", entry->d_name);
    if (unlink(path) < 0) rmdir(path);
  }
  closedir(folder);
  return count;
}

static inline void assert_contents(const char *path, const char *expected) {
  size_t count;
  char *bytes = get_bytes(path, &count);
  assert_string_equal(bytes, expected);
  assert_int_equal(count, strlen(expected));
  free(bytes);
}

#endif
