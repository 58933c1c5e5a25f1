/* Failures: a code and one sentence a thread, read by cnn_why().
 *
 * Who fails writes the sentence: lower case, the subject quoted, the remedy named. Who is passed
 * through may put a place ("lenet.net:7: ") before it with status_prefix(). */
#ifndef CNN_CORE_STATUS_H
#define CNN_CORE_STATUS_H

#include "cnn.h"

#if defined(__GNUC__)
#define CNN_PRINTF(sentence, first) __attribute__((format(printf, sentence, first)))
#else
#define CNN_PRINTF(sentence, first)
#endif

/* Keep the sentence; returns status, so that a caller writes `return CNN_FAIL(CNN_E_IO, ...)`. */
cnn_status status_fail(cnn_status status, const char *format, ...) CNN_PRINTF(2, 3);
static inline cnn_status status_kept(cnn_status told, cnn_status status) {
  (void)told;
  return status; /* said again, so that a reader of the code, and an analyser, sees which it is */
}
#define CNN_FAIL(status, ...) status_kept(status_fail(status, __VA_ARGS__), status)

/* Put text before the sentence that is kept. */
void status_prefix(const char *format, ...) CNN_PRINTF(1, 2);

/* The usual sentence where memory is out. */
static inline cnn_status status_no_memory(size_t bytes, const char *what) {
  return CNN_FAIL(CNN_E_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}

/* Return from the enclosing function where the call failed. */
#define CNN_TRY(call)                                      \
  do {                                                     \
    cnn_status status_of_call_ = (call);                   \
    if (status_of_call_ != CNN_OK) return status_of_call_; \
  } while (0)

#endif
