/* Activations with parameters, element by element. Backward reads y, so that y may stand where x stood. */

/* x, or slope * x where x < 0. */
static void kernel_leaky_relu_forward(float *y, const float *x, float slope, int64_t count) {
  vec zero = vec_all(0), factor = vec_all(slope);
  for (int64_t i = 0; i < count; i += VL) {
    vec v = vec_load(x + i);
    vec_store(y + i, vec_select(vec_less(v, zero), vec_mul(factor, v), v));
  }
}

static void kernel_leaky_relu_backward(float *dx, const float *dy, const float *y, float slope,
                                       int64_t count) {
  vec zero = vec_all(0), factor = vec_all(slope);
  for (int64_t i = 0; i < count; i += VL) {
    vec gradient = vec_load(dy + i);
    vec_store(dx + i, vec_select(vec_less(zero, vec_load(y + i)), gradient, vec_mul(factor, gradient)));
  }
}

/* e^x - 1 for x <= 0, no NaN, within 0.9 units of the last place: x = n ln 2 + r with |r| <= ln 2 / 2, p =
 * e^r - 1 by its Taylor polynomial of degree 9, then 2^n p + (2^n - 1). Near 0, where n is 0, that is p
 * itself, so no digit is lost. Below -30 the result is -1. */
static inline vec vec_expm1_negative(vec x) {
  vec low = vec_all(-30), one = vec_all(1);
  vec bounded = vec_select(vec_less(x, low), low, x);
  vec n = vec_round(vec_mul(bounded, vec_all(0x1.715476p+0F)));
  vec r = vec_fma(n, vec_all(-0x1.62e4p-1F), bounded);
  r = vec_fma(n, vec_all(-0x1.7f7d1cp-20F), r);
  static const float term[] = {1.0F / 362880, 1.0F / 40320, 1.0F / 5040, 1.0F / 720,
                               1.0F / 120,    1.0F / 24,    1.0F / 6,    0.5F};
  vec p = vec_all(term[0]);
  for (int i = 1; i < 8; i++) p = vec_fma(p, r, vec_all(term[i]));
  p = vec_fma(vec_mul(r, r), p, r);
  vec power = vec_scale(one, n);
  return vec_fma(power, p, vec_sub(power, one));
}

/* x, or alpha (e^x - 1) where x < 0. */
static void kernel_elu_forward(float *y, const float *x, float alpha, int64_t count) {
  vec zero = vec_all(0), factor = vec_all(alpha);
  for (int64_t i = 0; i < count; i += VL) {
    vec v = vec_load(x + i);
    mask negative = vec_less(v, zero);
    vec low = vec_mul(factor, vec_expm1_negative(vec_select(negative, v, zero)));
    vec_store(y + i, vec_select(negative, low, v));
  }
}

/* dy, or dy (y + alpha) where x was not positive: alpha e^x is y + alpha. */
static void kernel_elu_backward(float *dx, const float *dy, const float *y, float alpha, int64_t count) {
  vec zero = vec_all(0), shift = vec_all(alpha);
  for (int64_t i = 0; i < count; i += VL) {
    vec gradient = vec_load(dy + i), v = vec_load(y + i);
    vec_store(dx + i, vec_select(vec_less(zero, v), gradient, vec_mul(gradient, vec_add(v, shift))));
  }
}

/* scale * tanh(slope * x). */
static void kernel_scaled_tanh_forward(float *y, const float *x, float scale, float slope, int64_t count) {
  vec height = vec_all(scale), factor = vec_all(slope);
  for (int64_t i = 0; i < count; i += VL)
    vec_store(y + i, vec_mul(height, vec_tanh(vec_mul(factor, vec_load(x + i)))));
}

/* dy * (scale slope - y^2 slope / scale). */
static void kernel_scaled_tanh_backward(float *dx, const float *dy, const float *y, float scale, float slope,
                                        int64_t count) {
  vec most = vec_all(scale * slope), factor = vec_all(slope / scale), zero = vec_all(0);
  for (int64_t i = 0; i < count; i += VL) {
    vec v = vec_load(y + i), steep = vec_fma(vec_sub(zero, v), vec_mul(factor, v), most);
    vec_store(dx + i, vec_mul(vec_load(dy + i), steep));
  }
}
