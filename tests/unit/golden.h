/* For tests against stored values of PyTorch: tests/golden/torch-*.txt, and the inputs both sides make. */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"

/* A stored file, past its lines of '#'. */
static inline FILE *golden_open(const char *name) {
  char path[512], line[512];
  snprintf(path, sizeof path, "%s/tests/golden/%s", CNN_SOURCE_DIR, name);
  FILE *file = fopen(path, "r");
  if (!file) fail_msg("%s is missing", path);
  long at = 0;
  while (fgets(line, sizeof line, file) && line[0] == '#') at = ftell(file);
  assert_int_equal(fseek(file, at, SEEK_SET), 0);
  return file;
}

static inline double golden_number(FILE *golden) {
  double value;
  assert_int_equal(fscanf(golden, " %lf", &value), 1);
  return value;
}

static inline void golden_word(FILE *golden, const char *expected) {
  char word[64];
  assert_int_equal(fscanf(golden, " %63s", word), 1);
  assert_string_equal(word, expected);
}

/* `name`, how many values, the values: every `step`-th of ours is as near, relative, in norm. */
static inline void golden_compare(FILE *golden, const char *name, const float *values, int64_t count,
                                  int64_t step, double limit) {
  double error = 0, norm = 0;
  golden_word(golden, name);
  assert_true(golden_number(golden) == (double)((count + step - 1) / step));
  for (int64_t i = 0; i < count; i += step) {
    double torch = golden_number(golden), d = (double)values[i] - torch;
    error += d * d;
    norm += torch * torch;
  }
  if (!(sqrt(error) <= limit * sqrt(norm))) fail_msg("%s: off by %g of %g", name, sqrt(error), sqrt(norm));
}

/* pattern() of tools/make-torch-golden.py; free() them. */
static inline float *golden_pattern(int64_t count, int64_t factor, int64_t offset, int64_t modulus,
                                    float divisor) {
  float *x = malloc((size_t)count * sizeof *x);
  assert_non_null(x);
  for (int64_t i = 0; i < count; i++) x[i] = (float)((i * factor + offset) % modulus - modulus / 2) / divisor;
  return x;
}

#endif
