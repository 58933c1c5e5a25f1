/* See text.h. */
#include "core/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static bool reserve(struct text *text, size_t more) {
  if (text->failed) return false;
  if (text->length + more + 1 <= text->size) return true;
  size_t size = (text->length + more + 1) * 2;
  char *data = mem_resize(text->data, size);
  if (!data) {
    text->failed = true;
    return false;
  }
  text->data = data;
  text->size = size;
  return true;
}

void text_add_bytes(struct text *text, const void *bytes, size_t count) {
  if (!reserve(text, count)) return;
  memcpy(text->data + text->length, bytes, count);
  text->length += count;
  text->data[text->length] = 0;
}

void text_add(struct text *text, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length >= 0 && reserve(text, (size_t)length)) {
    vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    text->length += (size_t)length;
  }
  va_end(again);
}

void text_free(struct text *text) {
  mem_free(text->data);
  *text = (struct text){0};
}

bool text_to_integer(const char *s, size_t length, int64_t *value) {
  char buffer[32], *end;
  if (length == 0 || length >= sizeof buffer) return false;
  memcpy(buffer, s, length);
  buffer[length] = 0;
  if (strspn(buffer, "-0123456789") != length) return false;
  errno = 0;
  long long number = strtoll(buffer, &end, 10);
  if (errno || *end || end == buffer) return false;
  *value = number;
  return true;
}

int text_to_sizes(const char *s, size_t length, int64_t *values, int most) {
  for (int count = 0; count < most; count++) {
    const char *times = memchr(s, 'x', length);
    size_t digits = times ? (size_t)(times - s) : length;
    if (!text_to_integer(s, digits, &values[count])) return 0;
    if (!times) return count + 1;
    s += digits + 1;
    length -= digits + 1;
  }
  return 0;
}

/* Numbers in files have a point, also in a program whose locale has a comma. Changes this thread's locale;
 * returns what it was, to be given to uselocale(). */
static locale_t with_point(void) {
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a constant of the system's, nothing to free */
  return uselocale(plain);
}

bool text_to_number(const char *s, size_t length, double *value) {
  char buffer[64], *end;
  if (length == 0 || length >= sizeof buffer) return false;
  memcpy(buffer, s, length);
  buffer[length] = 0;
  if (strspn(buffer, "+-.0123456789eE") != length) return false;
  locale_t usual = with_point();
  double number = strtod(buffer, &end);
  uselocale(usual);
  if (*end || end == buffer || !isfinite(number)) return false;
  *value = number;
  return true;
}

const char *text_from_number(double value, char *buffer) {
  locale_t usual = with_point();
  bool whole = fabs(value) < 1e6 && value == rint(value); /* 30, not 3e+01 */
  for (int digits = whole ? 6 : 1; digits <= 17; digits++) {
    snprintf(buffer, 32, "%.*g", digits, value);
    if (strtod(buffer, NULL) == value) break;
  }
  uselocale(usual);
  return buffer;
}

/* Edits (insert, delete, change, swap of neighbours) between two words; SIZE_MAX where one is no word. */
static size_t edits(const char *a, const char *b) {
  enum { LONGEST = 48 };
  size_t m = strlen(a), n = strlen(b), row[3][LONGEST + 1];
  if (m > LONGEST || n > LONGEST) return SIZE_MAX;
  size_t *older = row[0], *old = row[1], *now = row[2];
  for (size_t j = 0; j <= n; j++) old[j] = j;
  for (size_t i = 1; i <= m; i++) {
    now[0] = i;
    for (size_t j = 1; j <= n; j++) {
      size_t best = old[j - 1] + (a[i - 1] != b[j - 1]);
      if (old[j] + 1 < best) best = old[j] + 1;
      if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && older[j - 2] + 1 < best)
        best = older[j - 2] + 1;
      now[j] = best;
    }
    size_t *free_row = older;
    older = old, old = now, now = free_row;
  }
  return old[n];
}

const char *text_nearest(const char *s, const char *const *names) {
  const char *nearest = NULL;
  size_t best = strlen(s) / 2 + 1;
  for (; *names; names++) {
    size_t distance = edits(s, *names);
    bool begins = strlen(s) >= 2 && strncmp(*names, s, strlen(s)) == 0;
    if (begins) distance = 1;
    if (distance < best) best = distance, nearest = *names;
  }
  return nearest;
}
