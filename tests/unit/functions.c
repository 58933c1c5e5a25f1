/* exp, log, tanh and sigmoid of the kernels in plain C: how far from libm's in double, and their values at
 * the ends of their ranges. That every instruction set gives the same bits is in kernels.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "float_bits.h"
#include "kernels/kernels.h"

static const struct kernel_table *plain(void) { return kernels_find("scalar"); }

/* |y - exact| in units of the last place of a float of exact's size. */
static double error_in_ulp(float y, double exact) {
  if (fabs(exact) >= 0x1.ffffffp127) return isinf(y) && signbit(y) == signbit(exact) ? 0 : INFINITY;
  double unit = fabs(exact) < 0x1p-126 ? 0x1p-149 : ldexp(1, ilogb(exact) - 23);
  return fabs((double)y - exact) / unit;
}

typedef void function(float *y, const float *x, int64_t count);

struct accuracy {
  const char *name;
  function *run;
  double (*exact)(double x);
  double worst;
  float at;
};

static void look(struct accuracy *a, const float *x, int64_t count) {
  float y[1024];
  assert_true(count <= 1024);
  a->run(y, x, count);
  for (int64_t i = 0; i < count; i++) {
    double error = error_in_ulp(y[i], a->exact((double)x[i]));
    if (!(error <= a->worst)) a->worst = isnan(error) ? INFINITY : error, a->at = x[i];
  }
}

/* Evenly spaced values from `low` to `high`, `count` of them. */
static void look_between(struct accuracy *a, double low, double high, int count) {
  float x[1024];
  for (int i = 0; i < count; i += 1024) {
    for (int k = 0; k < 1024; k++) x[k] = (float)(low + (high - low) * (i + k) / count);
    look(a, x, 1024);
  }
}

/* Every `step`-th float there is between two positive ones, with the sign given. */
static void look_at_floats(struct accuracy *a, float low, float high, uint32_t step, bool negative) {
  float x[16];
  for (uint64_t bits = to_bits(low); bits + 16ULL * step < to_bits(high); bits += 16ULL * step) {
    for (uint32_t k = 0; k < 16; k++)
      x[k] = from_bits(((uint32_t)bits + k * step) | (negative ? 0x80000000U : 0));
    look(a, x, 16);
  }
}

static void report(const struct accuracy *a, double limit) {
  print_message("%s: at most %.3f ulp, at %.9g\n", a->name, a->worst, (double)a->at);
  if (!(a->worst <= limit)) fail_msg("%s: %g ulp at %.9g", a->name, a->worst, (double)a->at);
}

static void check_values(function *run, const float (*pairs)[2], int count) {
  float x[16] = {0}, y[16];
  assert_true(count <= 16);
  for (int i = 0; i < count; i++) x[i] = pairs[i][0];
  for (int i = count; i < 16; i++) x[i] = 1;
  run(y, x, 16);
  for (int i = 0; i < count; i++)
    if (!(y[i] == pairs[i][1] || (isnan(y[i]) && isnan(pairs[i][1]))))
      fail_msg("f(%.9g) is %.9g, not %.9g", (double)pairs[i][0], (double)y[i], (double)pairs[i][1]);
}

static void exp_is_accurate(void **state) {
  (void)state;
  struct accuracy a = {.name = "exp", .run = plain()->exp, .exact = exp};
  look_between(&a, -104.5, 89.5, 400000);
  look_between(&a, -1, 1, 100000);
  look_between(&a, 88.7, 88.75, 5000);
  look_between(&a, -88, -86.5, 20000); /* where results stop being normal */
  look_between(&a, -104, -102, 5000);
  look_at_floats(&a, 0, 80, 6007, false);
  look_at_floats(&a, 0, 100, 6011, true);
  report(&a, 1.0);
  static const float edges[][2] = {
      {0, 1},         {-0.0F, 1},        {INFINITY, INFINITY}, {-INFINITY, 0},
      {NAN, NAN},     {0x1p-149F, 1},    {-0x1p-149F, 1},      {88.73F, INFINITY},
      {89, INFINITY}, {1e30F, INFINITY}, {3.4e38F, INFINITY},  {-104, 0},
      {-1e30F, 0},    {-3.4e38F, 0}};
  check_values(plain()->exp, edges, sizeof edges / sizeof *edges);
}

static void log_is_accurate(void **state) {
  (void)state;
  struct accuracy a = {.name = "log", .run = plain()->log, .exact = log};
  look_at_floats(&a, 0x1p-126F, 3.4e38F, 2503, false);
  look_at_floats(&a, 0.99F, 1.01F, 1, false);
  look_at_floats(&a, 0.7F, 0.99F, 17, false);
  look_at_floats(&a, 1.01F, 1.5F, 17, false);
  report(&a, 2.0);
  static const float edges[][2] = {{1, 0}, {2, 0x1.62e43p-1F}, {0.5F, -0x1.62e43p-1F}};
  check_values(plain()->log, edges, sizeof edges / sizeof *edges);
}

static void tanh_is_accurate(void **state) {
  (void)state;
  struct accuracy a = {.name = "tanh", .run = plain()->tanh_forward, .exact = tanh};
  look_between(&a, -10, 10, 400000);
  look_at_floats(&a, 0.1F, 10, 61, false); /* where digits of e^(2x) - 1 might be lost */
  look_at_floats(&a, 0, 50, 6007, false);
  look_at_floats(&a, 0, 50, 6011, true);
  report(&a, 2.5);
  static const float edges[][2] = {{0, 0},
                                   {INFINITY, 1},
                                   {-INFINITY, -1},
                                   {NAN, NAN},
                                   {88, 1},
                                   {-88, -1},
                                   {104, 1},
                                   {-104, -1},
                                   {3.4e38F, 1},
                                   {-3.4e38F, -1},
                                   {0x1p-149F, 0x1p-149F},
                                   {-0x1p-140F, -0x1p-140F}};
  check_values(plain()->tanh_forward, edges, sizeof edges / sizeof *edges);
}

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }

static void sigmoid_is_accurate(void **state) {
  (void)state;
  struct accuracy a = {.name = "sigmoid", .run = plain()->sigmoid_forward, .exact = sigmoid};
  look_between(&a, -104.5, 104.5, 400000);
  look_between(&a, -2, 2, 100000);
  look_at_floats(&a, 0, 100, 6007, false);
  look_at_floats(&a, 0, 100, 6011, true);
  report(&a, 2.5);
  static const float edges[][2] = {{0, 0.5F},     {-0.0F, 0.5F},    {INFINITY, 1}, {-INFINITY, 0},
                                   {NAN, NAN},    {104, 1},         {-104, 0},     {3.4e38F, 1},
                                   {-3.4e38F, 0}, {0x1p-149F, 0.5F}};
  check_values(plain()->sigmoid_forward, edges, sizeof edges / sizeof *edges);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exp_is_accurate),
      cmocka_unit_test(log_is_accurate),
      cmocka_unit_test(tanh_is_accurate),
      cmocka_unit_test(sigmoid_is_accurate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
