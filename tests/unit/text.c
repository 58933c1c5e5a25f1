/* Growing strings, strict numbers, shortest decimals, nearest names. */
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/rng.h"
#include "core/text.h"

static void grows(void **state) {
  (void)state;
  struct text text = {0};
  char expected[9000] = "";
  size_t length = 0;
  for (int i = 0; i < 1000; i++) {
    text_add(&text, "%d,%s;", i, "x");
    length += (size_t)snprintf(expected + length, sizeof expected - length, "%d,%s;", i, "x");
  }
  assert_false(text.failed);
  assert_int_equal(text.length, length);
  assert_string_equal(text.data, expected);
  text_add_bytes(&text, "a\0b", 3);
  assert_int_equal(text.length, length + 3);
  assert_memory_equal(text.data + length, "a\0b", 4);
  text_free(&text);
  assert_null(text.data);
  assert_int_equal(text.length, 0);
  text_add(&text, "%s", ""); /* empty, but a string */
  assert_non_null(text.data);
  assert_string_equal(text.data, "");
  text_free(&text);
  text_free(&text);
}

static void out_of_memory(void **state) {
  (void)state;
  struct text text = {0};
  text_add(&text, "kept");
  mem_fail_after(0);
  text_add(&text, "%0*d", 1000, 0);
  mem_fail_after(-1);
  assert_true(text.failed);
  text_add(&text, "no more");
  text_add_bytes(&text, "no more", 7);
  assert_int_equal(text.length, 4);
  assert_string_equal(text.data, "kept");
  text_free(&text);
  assert_false(text.failed);
}

static void integers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool good;
    int64_t value;
  } cases[] = {{"0", true, 0},
               {"-0", true, 0},
               {"007", true, 7},
               {"-12", true, -12},
               {"9223372036854775807", true, INT64_MAX},
               {"-9223372036854775808", true, INT64_MIN},
               {"9223372036854775808", false, 0},
               {"-9223372036854775809", false, 0},
               {"00000000000000000000000000000001", false, 0}, /* longer than any number needs */
               {"99999999999999999999999999999", false, 0},
               {"", false, 0},
               {"-", false, 0},
               {"--1", false, 0},
               {"1-", false, 0},
               {"+1", false, 0},
               {" 1", false, 0},
               {"1 ", false, 0},
               {"\t1", false, 0},
               {"\v1", false, 0},
               {"1e3", false, 0},
               {"1.0", false, 0},
               {"0x10", false, 0},
               {"ten", false, 0},
               {"1,000", false, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t value = -77;
    bool good = text_to_integer(cases[i].text, strlen(cases[i].text), &value);
    if (good != cases[i].good || value != (good ? cases[i].value : -77))
      fail_msg("'%s': %d, %" PRId64, cases[i].text, good, value);
  }
  int64_t value = -77;
  assert_true(text_to_integer("12x", 2, &value)); /* no NUL needed at the end */
  assert_int_equal(value, 12);
  assert_false(
      text_to_integer("5\0"
                      "6",
                      3, &value)); /* and none taken for it */
  assert_int_equal(value, 12);
}

static void sizes(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int most, count;
    int64_t value[3];
  } cases[] = {{"28", 3, 1, {28}},      {"3x32x33", 3, 3, {3, 32, 33}},
               {"-1x2", 2, 2, {-1, 2}}, {"3x32x33", 2, 0, {0}},
               {"", 3, 0, {0}},         {"x", 3, 0, {0}},
               {"3x", 3, 0, {0}},       {"x3", 3, 0, {0}},
               {"3xx4", 3, 0, {0}},     {"3X4", 3, 0, {0}},
               {"3 x4", 3, 0, {0}},     {"1x2x3x4", 3, 0, {0}}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t value[3] = {0};
    int count = text_to_sizes(cases[i].text, strlen(cases[i].text), value, cases[i].most);
    if (count != cases[i].count) fail_msg("'%s' as %d", cases[i].text, count);
    for (int k = 0; k < count; k++) assert_int_equal(value[k], cases[i].value[k]);
  }
  int64_t value[2];
  assert_int_equal(text_to_sizes("12x345x", 5, value, 2), 2); /* of a part */
  assert_true(value[0] == 12 && value[1] == 34);
}

static void numbers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool good;
    double value;
  } cases[] = {{"0", true, 0},
               {"0.01", true, 0.01},
               {".5", true, 0.5},
               {"5.", true, 5},
               {"+2", true, 2},
               {"-1e-3", true, -1e-3},
               {"1E+10", true, 1e10},
               {"1e308", true, 1e308},
               {"1e-400", true, 0},
               {"1e309", false, 0},
               {"-1e999", false, 0},
               {"inf", false, 0},
               {"infinity", false, 0},
               {"nan", false, 0},
               {"nan(1)", false, 0},
               {"0x1p3", false, 0},
               {"", false, 0},
               {".", false, 0},
               {"-", false, 0},
               {"e5", false, 0},
               {"1e", false, 0},
               {"1e+", false, 0},
               {" 1", false, 0},
               {"\n1", false, 0},
               {"1 ", false, 0},
               {"1,5", false, 0},
               {"1.2.3", false, 0},
               {"1-2", false, 0},
               {"0.0000000000000000000000000000000000000000000000000000000000000001", false, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double value = -77;
    bool good = text_to_number(cases[i].text, strlen(cases[i].text), &value);
    if (good != cases[i].good || value != (good ? cases[i].value : -77))
      fail_msg("'%s': %d, %g", cases[i].text, good, value);
  }
  double value = -77;
  assert_false(
      text_to_number("5\0"
                     "6",
                     3, &value));
  assert_true(text_to_number("2.5abc", 3, &value));
  assert_true(value == 2.5);
}

static void check_shortest(double value, const char *expected) {
  char buffer[32];
  double back;
  assert_ptr_equal(text_from_number(value, buffer), buffer);
  if (expected) assert_string_equal(buffer, expected);
  assert_true(text_to_number(buffer, strlen(buffer), &back));
  assert_true(back == value);
}

static void shortest_decimals(void **state) {
  (void)state;
  check_shortest(0.01, "0.01");
  check_shortest(0.1, "0.1");
  check_shortest(0.1 + 0.2, "0.30000000000000004");
  check_shortest(0, "0");
  check_shortest(100, "100");
  check_shortest(1.0 / 3, "0.3333333333333333");
  check_shortest(1e308, "1e+308");
  check_shortest(5e-324, "5e-324");
  check_shortest(-1.7976931348623157e308, "-1.7976931348623157e+308");
  struct rng rng = rng_stream(3, RNG_GRADCHECK, 0);
  for (uint64_t i = 0; i < 2000; i++) {
    uint64_t bits = (uint64_t)rng_bits(&rng, 2 * i) << 32 | rng_bits(&rng, 2 * i + 1);
    double value;
    memcpy(&value, &bits, sizeof value);
    if (isfinite(value)) check_shortest(value, NULL);
  }
}

/* A program that draws its numbers with a comma still reads and writes files with a point. */
static void locale_with_a_comma(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR", "pl_PL.UTF-8"};
  const char *set = NULL;
  for (size_t i = 0; !set && i < sizeof names / sizeof *names; i++) set = setlocale(LC_NUMERIC, names[i]);
  if (!set) skip(); /* none is installed */
  double value = 0;
  char buffer[32], comma[32];
  assert_true(text_to_number("0.25", 4, &value));
  assert_true(value == 0.25);
  assert_string_equal(text_from_number(0.5, buffer), "0.5");
  snprintf(comma, sizeof comma, "%.1f", 0.5); /* and the program's own locale is as it was */
  setlocale(LC_NUMERIC, "C");
  assert_string_equal(comma, "0,5");
}

static void nearest_names(void **state) {
  (void)state;
  static const char *const names[] = {"kernel", "stride", "pad", "filters", "units", "groups", NULL};
  static const char *const pairs[][2] = {{"kernal", "kernel"}, {"kenrel", "kernel"}, {"strid", "stride"},
                                         {"padding", NULL},    {"pda", "pad"},       {"filter", "filters"},
                                         {"fi", "filters"},    {"unit", "units"},    {"UNITS", NULL},
                                         {"x", NULL},          {"", NULL},           {"xyzzy", NULL},
                                         {"stride", "stride"}, {"gruops", "groups"}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    const char *found = text_nearest(pairs[i][0], names);
    if (!found != !pairs[i][1] || (found && strcmp(found, pairs[i][1])))
      fail_msg("'%s': %s", pairs[i][0], found ? found : "none");
  }
  static const char *const none[] = {NULL};
  assert_null(text_nearest("pad", none));
  static char huge[100001]; /* what is no word is near to nothing */
  memset(huge, 'p', sizeof huge - 1);
  for (size_t length = sizeof huge - 1; length > 12; length /= 2) {
    huge[length] = 0;
    assert_null(text_nearest(huge, names));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(grows),
                                     cmocka_unit_test(out_of_memory),
                                     cmocka_unit_test(integers),
                                     cmocka_unit_test(sizes),
                                     cmocka_unit_test(numbers),
                                     cmocka_unit_test(shortest_decimals),
                                     cmocka_unit_test(locale_with_a_comma),
                                     cmocka_unit_test(nearest_names)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
