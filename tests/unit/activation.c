/* Activations with parameters: accuracy in units of the last place, values at the ends of the range, and the
 * keys that are refused. */
#include "engine.h"

static const struct kernel_table *plain(void) { return kernels_find("scalar"); }

/* |y - exact| in units of the last place of a float of exact's size. */
static double error_in_ulp(float y, double exact) {
  double unit = fabs(exact) < 0x1p-126 ? 0x1p-149 : ldexp(1, ilogb(exact) - 23);
  return fabs((double)y - exact) / unit;
}

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Negative floats from -0 to -120: the error of elu, and that its y never rises as x falls. */
static void elu_is_accurate(void **state) {
  (void)state;
  static const float alphas[] = {1, 0.3F};
  static const double limits[] = {0.9, 1.6}; /* a product more */
  const uint32_t steps[] = {97, 1};
  for (int a = 0; a < 2; a++)
    for (int pass = 0; pass < 2; pass++) { /* all of the range, and all floats about where n becomes -1 */
      uint32_t from = pass ? 0xbeb00000U : 0x80000000U, to = pass ? 0xbeb40000U : 0xc2f00000U;
      double worst = 0;
      float x[16], y[16], at = 0, last = INFINITY;
      for (uint32_t bits = from; bits < to; bits += 16 * steps[pass]) {
        for (uint32_t k = 0; k < 16; k++) x[k] = from_bits(bits + k * steps[pass]);
        plain()->elu_forward(y, x, alphas[a], 16);
        for (int k = 0; k < 16; k++) {
          double error = error_in_ulp(y[k], (double)alphas[a] * expm1((double)x[k]));
          if (!(error <= worst)) worst = error, at = x[k];
          if (!(y[k] <= last)) fail_msg("elu falls at %.9g", (double)x[k]);
          last = y[k];
        }
      }
      print_message("elu, alpha %g: at most %.3f ulp, at %.9g\n", (double)alphas[a], worst, (double)at);
      assert_true(worst <= limits[a]);
    }
}

static void elu_at_the_ends(void **state) {
  (void)state;
  const float x[16] = {0,   -0.0F,    INFINITY,  -INFINITY, NAN,     0x1p-149F, -0x1p-149F, -0x1p-130F,
                       -30, -3.4e38F, -103.972F, -1e-20F,   3.4e38F, 1,         -16,        -17.4F},
              expected[16] = {0,         -0.0F,      INFINITY,   -1, NAN,
                              0x1p-149F, -0x1p-149F, -0x1p-130F, -1, -1,
                              -1,        -1e-20F,    3.4e38F,    1,  -0.99999988746483792F,
                              -1};
  float y[16], dx[16], dy[16];
  for (int i = 0; i < 16; i++) dy[i] = 2;
  plain()->elu_forward(y, x, 1, 16);
  for (int i = 0; i < 16; i++)
    if (!(y[i] == expected[i] || (isnan(y[i]) && isnan(expected[i]))) || signbit(y[i]) != signbit(x[i]))
      fail_msg("elu(%g) is %.9g, not %.9g", (double)x[i], (double)y[i], (double)expected[i]);
  plain()->elu_backward(dx, dy, y, 1, 16);
  assert_true(dx[0] == 2 && dx[1] == 2 && dx[2] == 2 && dx[3] == 0 && isnan(dx[4]) && dx[13] == 2);
}

static void leaky_relu_values(void **state) {
  (void)state;
  const float x[16] = {0, -0.0F, INFINITY, -INFINITY, NAN, 4, -4, 0x1p-149F, -0x1p-149F, -3.4e38F},
              expected[16] = {0, -0.0F, INFINITY, -INFINITY, NAN, 4, -1, 0x1p-149F, -0.0F, -8.5e37F};
  float y[16], dx[16], dy[16];
  for (int i = 0; i < 16; i++) dy[i] = 2;
  plain()->leaky_relu_forward(y, x, 0.25F, 16);
  for (int i = 0; i < 10; i++)
    if (!(y[i] == expected[i] || (isnan(y[i]) && isnan(expected[i]))) || signbit(y[i]) != signbit(x[i]))
      fail_msg("leaky-relu(%g) is %.9g, not %.9g", (double)x[i], (double)y[i], (double)expected[i]);
  plain()->leaky_relu_backward(dx, dy, y, 0.25F, 16);
  for (int i = 0; i < 10; i++) assert_true(dx[i] == (x[i] > 0 ? 2 : 0.5F));
}

/* A maximum runs before either: the same values from a quarter of the work. */
static void maximum_first(void **state) {
  (void)state;
  static const char *const texts[2][2] = {
      {"input shape=3x8x8\nleaky-relu slope=0.25\nmaxpool kernel=2\nflatten\n",
       "input shape=3x8x8\nmaxpool kernel=2\nleaky-relu slope=0.25\nflatten\n"},
      {"input shape=3x8x8\nelu\nmaxpool kernel=2\nflatten\n",
       "input shape=3x8x8\nmaxpool kernel=2\nelu\nflatten\n"}};
  float x[2 * 192], y[2][2 * 48];
  for (int i = 0; i < 2 * 192; i++) x[i] = (float)((i * 7919 + 3) % 401 - 300) / 100;
  for (int kind = 0; kind < 2; kind++) {
    for (int k = 0; k < 2; k++) {
      cnn_net *net;
      cnn_plan *plan;
      cnn_plan_options options = {.mode = CNN_INFER, .batch = 2, .threads = 1};
      ok(cnn_net_parse(texts[kind][k], "t", &net));
      ok(cnn_plan_new(net, &options, &plan));
      assert_string_equal(plan->net->bricks[1].class->name, "maxpool");
      ok(cnn_plan_forward(plan, (cnn_tensor){x, {2, 3, 8, 8}}, (cnn_tensor){y[k], {2, 48, 1, 1}}));
      cnn_plan_free(plan);
      cnn_net_free(net);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
  }
}

/* LeCun et al. 1998, appendix A: f(1) = 1, f(-1) = -1; its slope at 0 is 1.144. */
static void scaled_tanh(void **state) {
  (void)state;
  const float x[16] = {1, -1, 0, INFINITY, -INFINITY, NAN, 3.4e38F};
  float y[16], dx[16], dy[16];
  for (int i = 0; i < 16; i++) dy[i] = 1;
  plain()->scaled_tanh_forward(y, x, 1.7159F, 0.66666667F, 16);
  plain()->scaled_tanh_backward(dx, dy, y, 1.7159F, 0.66666667F, 16);
  assert_true(fabsf(y[0] - 1) < 1e-5F && y[1] == -y[0] && y[2] == 0);
  assert_true(y[3] == 1.7159F && y[4] == -1.7159F && isnan(y[5]) && y[6] == 1.7159F);
  assert_true(fabsf(dx[2] - 1.14393F) < 1e-5F && fabsf(dx[3]) < 1e-6F && isnan(dx[5]));
}

static void refused(void **state) {
  (void)state;
  static const char *const cases[][3] = {
      {"leaky-relu", "slope=0", "slope=0 is too small: it must be at least 1e-6; for 0 take relu"},
      {"leaky-relu", "slope=2", "slope=2 is out of range: it must be 0 to 1"},
      {"leaky-relu", "slope=-0.1", "slope=-0.1 is out of range: it must be 0 to 1"},
      {"tanh", "scale=0", "scale=0 is too small: it must be at least 0.001"},
      {"tanh", "slope=1e-4", "slope=0.0001 is too small: it must be at least 0.001"},
      {"elu", "alpha=-1", "alpha=-1 is out of range: it must be 0 to 1000000"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cnn_net *net = cnn_net_new();
    ok(cnn_net_add(net, "input", "shape=1x2x2"));
    assert_int_equal(cnn_net_add(net, cases[i][0], cases[i][1]), CNN_E_ARGUMENT);
    assert_non_null(strstr(cnn_why(), cases[i][2]));
    cnn_net_free(net);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(elu_is_accurate),   cmocka_unit_test(elu_at_the_ends),
                                     cmocka_unit_test(leaky_relu_values), cmocka_unit_test(maximum_first),
                                     cmocka_unit_test(scaled_tanh),       cmocka_unit_test(refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
