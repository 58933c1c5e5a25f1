/* For tests: that a call succeeds, or fails as it should, and says why. */
#ifndef TESTS_UNIT_CHECK_H
#define TESTS_UNIT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cnn.h"

#define ok(call)                                     \
  do {                                               \
    if ((call) != CNN_OK) fail_msg("%s", cnn_why()); \
  } while (0)

/* That cnn_why() has these words in it. */
#define assert_why(words)                                                                                  \
  do {                                                                                                     \
    if (!strstr(cnn_why(), (words))) fail_msg("expected \"%s\" in: %s", (const char *)(words), cnn_why()); \
  } while (0)

#define assert_fails(status, call, words) \
  do {                                    \
    assert_int_equal((call), (status));   \
    assert_why(words);                    \
  } while (0)

#endif
