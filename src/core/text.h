/* Text: a growing string, numbers read strictly, and the nearest known name for messages. */
#ifndef CNN_CORE_TEXT_H
#define CNN_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* A string that grows. Start from {0}; free with text_free(). After memory ran out nothing more is added
 * and `failed` is set: check once, at the end. */
struct text {
  char *data; /* NUL-terminated; NULL while empty */
  size_t length, size;
  bool failed;
};

void text_add(struct text *text, const char *format, ...) CNN_PRINTF(2, 3);
void text_add_bytes(struct text *text, const void *bytes, size_t count);
void text_free(struct text *text);

/* The whole of s[0..length) as a decimal number; false where it is not one or does not fit. */
bool text_to_integer(const char *s, size_t length, int64_t *value);
bool text_to_number(const char *s, size_t length, double *value);

/* 1 to `most` whole numbers joined by 'x', as 3x32x32: how many; 0 where it is something else. */
int text_to_sizes(const char *s, size_t length, int64_t *values, int most);

/* A number as the shortest decimal that reads back to the same double. buffer: at least 32 bytes. */
const char *text_from_number(double value, char *buffer);

/* Of the names (ended by NULL) the one with the fewest edits to s, or NULL where none is near. */
const char *text_nearest(const char *s, const char *const *names);

#endif
