/* A file that takes the place of another when it is whole; until then what was there stays. */
#ifndef CLI_REPLACEMENT_H
#define CLI_REPLACEMENT_H

#include <stdint.h>
#include <stdio.h>

struct replacement {
  const char *path; /* borrowed */
  char temporary[4096];
  FILE *file; /* to write to */
};

/* Whether it could be written, without touching what is there: so that nothing is computed for a file that
 * cannot be. EXIT_FAILURE where not, and has said why. */
int replacement_try(const char *path);

/* All but drop() return EXIT_FAILURE where it cannot be, and have said why; then nothing is left to drop. */
int replacement_open(struct replacement *replacement, const char *path);
int replacement_finish(struct replacement *replacement, int64_t *size); /* size: bytes; may be NULL */
void replacement_drop(struct replacement *replacement);

#endif
