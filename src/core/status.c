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

cnn_status status_fail(cnn_status status, const char *format, ...) {
  char text[SENTENCE]; /* the arguments may point into the old sentence */
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  memcpy(sentence, text, sizeof text);
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
  memcpy(sentence, text, sizeof text);
}

cnn_status status_no_memory(size_t bytes, const char *what) {
  return status_fail(CNN_E_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}
