/* One value in, one value out. exp, log and tanh are our own, in a fixed order of fused
 * multiply-adds, so that every instruction set gives the same bits; a libm would not. */
#include <math.h>

static void kernel_add(float *y, const float *a, const float *b, int64_t count) {
  for (int64_t i = 0; i < count; i += VL) vec_store(y + i, vec_add(vec_load(a + i), vec_load(b + i)));
}

/* max(x, 0), but NaN stays NaN: an error in the numbers must not vanish here. */
static void kernel_relu_forward(float *y, const float *x, int64_t count) {
  vec zero = vec_all(0);
  for (int64_t i = 0; i < count; i += VL) {
    vec v = vec_load(x + i);
    vec_store(y + i, vec_select(vec_less(v, zero), zero, v));
  }
}

static void kernel_relu_backward(float *dx, const float *dy, const float *y, int64_t count) {
  vec zero = vec_all(0);
  for (int64_t i = 0; i < count; i += VL)
    vec_store(dx + i, vec_select(vec_less(zero, vec_load(y + i)), vec_load(dy + i), zero));
}

/* x / ln 2 as a whole number. */
static inline vec vec_halvings(vec x) { return vec_round(vec_mul(x, vec_all(0x1.715476p+0F))); }

/* x - n ln 2. */
static inline vec vec_rest(vec x, vec n) {
  vec r = vec_fma(n, vec_all(-0x1.62e4p-1F), x);
  return vec_fma(n, vec_all(-0x1.7f7d1cp-20F), r);
}

/* (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2 by Taylor's polynomial of e^r of degree 7 (error of e^r below 2e-8). */
static inline vec vec_exp_tail(vec r) {
  static const float term[] = {1.0F / 5040, 1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F};
  vec e = vec_all(term[0]);
  for (int i = 1; i < 6; i++) e = vec_fma(e, r, vec_all(term[i]));
  return e;
}

/* e^x: x = n ln 2 + r with |r| <= ln 2 / 2, e^r scaled by 2^n in two halves, so that results near the ends of
 * the range, where 2^n itself is no float, come out right. Below -104 the result is 0, above 89 infinite. */
static inline vec vec_exp(vec x) {
  vec low = vec_all(-104), high = vec_all(89);
  vec bounded = vec_select(vec_less(x, low), low, x);
  bounded = vec_select(vec_less(high, bounded), high, bounded);
  vec n = vec_halvings(bounded), r = vec_rest(bounded, n);
  vec e = vec_fma(vec_fma(vec_exp_tail(r), r, vec_all(1)), r, vec_all(1));
  n = vec_select(vec_unordered(x, x), vec_all(0), n);
  vec half = vec_round(vec_mul(n, vec_all(0.5F)));
  return vec_scale(vec_scale(e, half), vec_sub(n, half));
}

/* ln x for normal x > 0, infinity and NaN: x = m 2^e with m in [sqrt(1/2), sqrt(2)), s = (m - 1) / (m + 1),
 * ln m = 2 artanh s = 2 s + s^3 (2/3 + 2/5 s^2 + ...). */
static inline vec vec_log(vec x) {
  vec e = vec_exponent(x), m = vec_mantissa(x), one = vec_all(1);
  mask large = vec_less(vec_all(0x1.6a09e6p+0F), m);
  m = vec_select(large, vec_mul(m, vec_all(0.5F)), m);
  e = vec_select(large, vec_add(e, one), e);
  vec s = vec_div(vec_sub(m, one), vec_add(m, one)), s2 = vec_mul(s, s);
  static const float term[] = {2.0F / 13, 2.0F / 11, 2.0F / 9, 2.0F / 7, 2.0F / 5, 2.0F / 3};
  vec t = vec_all(term[0]);
  for (int i = 1; i < 6; i++) t = vec_fma(t, s2, vec_all(term[i]));
  vec log_m = vec_fma(vec_mul(s, s2), t, vec_add(s, s));
  vec y = vec_fma(e, vec_all(0x1.62e4p-1F), vec_fma(e, vec_all(0x1.7f7d1cp-20F), log_m));
  return vec_select(vec_less(x, vec_all(INFINITY)), y, x);
}

/* 1 / (1 + e^-|x|) or its complement, so that neither end loses digits. */
static inline vec vec_sigmoid(vec x) {
  vec zero = vec_all(0), one = vec_all(1);
  mask negative = vec_less(x, zero);
  vec e = vec_exp(vec_select(negative, x, vec_sub(zero, x)));
  return vec_div(vec_select(negative, e, one), vec_add(one, e));
}

/* E / (E + 2) with x's sign, where E = e^(2|x|) - 1 = 2^n (e^r - 1) + 2^n - 1 loses no digits; from |x| = 9.02 on
 * that is 1. */
static inline vec vec_tanh(vec x) {
  vec one = vec_all(1), two = vec_all(2), end = vec_all(20), size = vec_abs(x);
  vec twice = vec_add(size, size);
  twice = vec_select(vec_less(twice, end), twice, end);
  vec n = vec_halvings(twice), r = vec_rest(twice, n), power = vec_scale(one, n);
  vec e = vec_fma(vec_mul(r, r), vec_exp_tail(r), r);
  e = vec_fma(power, e, vec_sub(power, one));
  vec y = vec_copy_sign(vec_div(e, vec_add(e, two)), x);
  return vec_select(vec_unordered(x, x), x, y);
}

#define ELEMENTWISE(name)                                                                \
  static void kernel_##name(float *y, const float *x, int64_t count) {                   \
    for (int64_t i = 0; i < count; i += VL) vec_store(y + i, FUNCTION(vec_load(x + i))); \
  }
#define FUNCTION vec_sigmoid
ELEMENTWISE(sigmoid_forward)
#undef FUNCTION
#define FUNCTION vec_tanh
ELEMENTWISE(tanh_forward)
#undef FUNCTION
#define FUNCTION vec_exp
ELEMENTWISE(exp)
#undef FUNCTION
#define FUNCTION vec_log
ELEMENTWISE(log)
#undef FUNCTION

static void kernel_sigmoid_backward(float *dx, const float *dy, const float *y, int64_t count) {
  for (int64_t i = 0; i < count; i += VL) {
    vec v = vec_load(y + i);
    vec_store(dx + i, vec_mul(vec_load(dy + i), vec_mul(v, vec_sub(vec_all(1), v))));
  }
}

static void kernel_tanh_backward(float *dx, const float *dy, const float *y, int64_t count) {
  for (int64_t i = 0; i < count; i += VL) {
    vec v = vec_load(y + i);
    vec_store(dx + i, vec_mul(vec_load(dy + i), vec_fma(vec_sub(vec_all(0), v), v, vec_all(1))));
  }
}
