/* The status codes and the sentence behind cnn_why(). */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE 1024

static _Thread_local char sentence[SENTENCE] = "no failure yet";

const char *cnn_why(void) { return sentence; }

const char *cnn_status_name(cnn_status status) {
  switch (status) {
#define ROW(name, number, text) \
  case CNN_##name: return "CNN_" #name;
    CNN_STATUS_MAP(ROW)
#undef ROW
  }
  return "unknown status";
}

const char *cnn_status_text(cnn_status status) {
  switch (status) {
#define ROW(name, number, text) \
  case CNN_##name: return text;
    CNN_STATUS_MAP(ROW)
#undef ROW
  }
  return "unknown status";
}

/* Bytes of the UTF-8 character at s that can be shown; 0 where there is none. (Two bytes below c2 a0 are
 * control characters; overlong forms and surrogates are shown as they come: they do no harm.) */
static int shown(const unsigned char *s) {
  int length = s[0] < 0x20 || s[0] == 0x7f ? 0
               : s[0] < 0x80               ? 1
               : s[0] < 0xc2               ? 0
               : s[0] < 0xe0               ? 2
               : s[0] < 0xf0               ? 3
               : s[0] < 0xf5               ? 4
                                           : 0;
  if (s[0] == 0xc2 && s[1] < 0xa0) return 0;
  for (int i = 1; i < length; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  return length;
}

/* Keep text as the sentence; bytes of strangers' files that a terminal would take as orders become '?'. */
static void keep(char *text) {
  for (char *s = text; *s;) {
    int length = shown((const unsigned char *)s);
    if (length == 0) *s = '?';
    s += length ? length : 1;
  }
  memcpy(sentence, text, SENTENCE);
}

cnn_status status_fail(cnn_status status, const char *format, ...) {
  char text[SENTENCE]; /* the arguments may point into the old sentence */
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  keep(text);
  return status;
}

void status_prefix(const char *format, ...) {
  char text[SENTENCE];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  if (length >= SENTENCE) length = SENTENCE - 1;
  snprintf(text + length, sizeof text - (size_t)length, "%s", sentence);
  keep(text);
}
