/* Codes, their names, and the sentence: one a thread, never longer than its room, never with bytes that a
 * terminal would obey. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/status.h"

static void names(void **state) {
  (void)state;
#define ROW(name, number, text)                                   \
  assert_int_equal(CNN_##name, number);                           \
  assert_string_equal(cnn_status_name(CNN_##name), "CNN_" #name); \
  assert_string_equal(cnn_status_text((cnn_status)(number)), text);
  CNN_STATUS_MAP(ROW)
#undef ROW
  assert_int_equal(CNN_OK, 0);
  assert_string_equal(cnn_status_name((cnn_status)99), "unknown status");
  assert_string_equal(cnn_status_text((cnn_status)99), "unknown status");
}

static void sentences(void **state) {
  (void)state;
  assert_int_equal(CNN_FAIL(CNN_E_KEY, "unknown key '%s'", "paddle"), CNN_E_KEY);
  assert_string_equal(cnn_why(), "unknown key 'paddle'");
  status_prefix("%s:%d: ", "a.net", 7);
  assert_string_equal(cnn_why(), "a.net:7: unknown key 'paddle'");
  assert_int_equal(CNN_FAIL(CNN_E_IO, "again: %s", cnn_why()), CNN_E_IO); /* its own sentence as argument */
  assert_string_equal(cnn_why(), "again: a.net:7: unknown key 'paddle'");
  assert_int_equal(status_no_memory(4096, "a plan"), CNN_E_MEMORY);
  assert_string_equal(cnn_why(), "out of memory: 4096 bytes for a plan");
}

static cnn_status first_of(cnn_status status, int *reached) {
  CNN_TRY(status);
  *reached = 1;
  return CNN_OK;
}

static void try_forwards(void **state) {
  (void)state;
  int reached = 0;
  assert_int_equal(first_of(CNN_E_DATA, &reached), CNN_E_DATA);
  assert_int_equal(reached, 0);
  assert_int_equal(first_of(CNN_OK, &reached), CNN_OK);
  assert_int_equal(reached, 1);
}

static void long_ones_are_cut(void **state) {
  (void)state;
  static char huge[100000];
  memset(huge, 'x', sizeof huge - 1);
  (void)CNN_FAIL(CNN_E_IO, "%s", huge);
  size_t most = strlen(cnn_why());
  assert_in_range(most, 500, 5000);
  assert_memory_equal(cnn_why(), huge, most);
  status_prefix("front: ");
  assert_int_equal(strlen(cnn_why()), most);
  assert_memory_equal(cnn_why(), "front: xxx", 10);
  status_prefix("%s", huge); /* a prefix that leaves no room */
  assert_int_equal(strlen(cnn_why()), most);
  assert_memory_equal(cnn_why(), huge, most);
  for (int i = 0; i < 100; i++) status_prefix("%d: ", i);
  assert_int_equal(strlen(cnn_why()), most);
  assert_memory_equal(cnn_why(), "99: 98: ", 8);
}

static void unprintable(void **state) {
  (void)state;
  static const char *const pairs[][2] = {
      {"a\nb\tc\x1b[2Jd\x7f", "a?b?c?[2Jd?"},
      {"名字 é ✓ 😀", "名字 é ✓ 😀"},      /* UTF-8 stays */
      {"\x80\xff\xfe\xc0\xf8", "?????"}, /* no UTF-8 */
      {"\xc2\x9b"
       "31m",
       "??31m"},          /* a control character in two bytes */
      {"\xe5\x90", "??"}, /* cut short at the end */
      {"\xe5\x90x", "??x"},
      {"\xf0\x9f\x98", "???"},
      {"\xc3", "?"},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    (void)CNN_FAIL(CNN_E_IO, "%s", pairs[i][0]);
    assert_string_equal(cnn_why(), pairs[i][1]);
    (void)CNN_FAIL(CNN_E_IO, "end");
    status_prefix("%s", pairs[i][0]);
    assert_memory_equal(cnn_why(), pairs[i][1], strlen(pairs[i][1]));
    assert_string_equal(cnn_why() + strlen(pairs[i][1]), "end");
  }
  char text[3000]; /* a character that the end of the room falls into */
  for (size_t i = 0; i + 3 < sizeof text; i += 3) memcpy(text + i, "名", 4);
  for (int shift = 0; shift < 3; shift++) {
    (void)CNN_FAIL(CNN_E_IO, "%s", text);
    for (int i = 0; i < shift; i++) status_prefix("-");
    const char *s = cnn_why();
    assert_true(s[strlen(s) - 1] == '?' || (unsigned char)s[strlen(s) - 1] == 0x8d);
  }
}

static void *other_thread(void *arg) {
  const char **seen = arg;
  seen[0] = strcmp(cnn_why(), "no failure yet") == 0 ? "fresh" : "stale";
  (void)CNN_FAIL(CNN_E_DATA, "theirs");
  seen[1] = strcmp(cnn_why(), "theirs") == 0 ? "own" : "other";
  return NULL;
}

static void one_a_thread(void **state) {
  (void)state;
  const char *seen[2];
  pthread_t thread;
  (void)CNN_FAIL(CNN_E_IO, "ours");
  assert_int_equal(pthread_create(&thread, NULL, other_thread, seen), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_string_equal(seen[0], "fresh");
  assert_string_equal(seen[1], "own");
  assert_string_equal(cnn_why(), "ours");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(names),        cmocka_unit_test(sentences),
                                     cmocka_unit_test(try_forwards), cmocka_unit_test(long_ones_are_cut),
                                     cmocka_unit_test(unprintable),  cmocka_unit_test(one_a_thread)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
