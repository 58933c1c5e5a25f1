/* Sums across elements. Element i of a sum belongs to lane i mod 16; each lane is added up in
 * ascending order; the lanes are then joined by one tree: 8 + 8, 4 + 4, 2 + 2, 1 + 1. */

/* The tree over 16 lanes. */
static inline float tree(const float *lane) {
  float s[8];
  for (int i = 0; i < 8; i++) s[i] = lane[i] + lane[i + 8];
  for (int i = 0; i < 4; i++) s[i] = s[i] + s[i + 4];
  return (s[0] + s[2]) + (s[1] + s[3]);
}

/* `classes` values in blocks of 16, blocks x_block floats apart: y = e^(x - max) / sum (3.5.2 of the
 * book). Lanes past the last class are written as 0. */
static void kernel_softmax(float *y, int64_t y_block, const float *x, int64_t x_block, int64_t classes) {
  static const float ramp[BLOCK] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  float most = x[0], lane[BLOCK] = {0};
  int64_t blocks = (classes + BLOCK - 1) / BLOCK;
  for (int64_t c = 1; c < classes; c++) {
    float v = x[c / BLOCK * x_block + c % BLOCK];
    if (v > most || v != v) most = v;
  }
  for (int64_t b = 0; b < blocks; b++)
    for (int i = 0; i < BLOCK; i += VL) {
      mask used = vec_less(vec_load(ramp + i), vec_all((float)(classes - b * BLOCK)));
      vec e = vec_exp(vec_sub(vec_load(x + b * x_block + i), vec_all(most)));
      e = vec_select(used, e, vec_all(0));
      vec_store(y + b * y_block + i, e);
      vec_store(lane + i, vec_add(vec_load(lane + i), e));
    }
  vec sum = vec_all(tree(lane));
  for (int64_t b = 0; b < blocks; b++)
    for (int i = 0; i < BLOCK; i += VL) {
      float *to = y + b * y_block + i;
      vec_store(to, vec_div(vec_load(to), sum));
    }
}

/* dx = y (dy - sum of dy y). */
static void kernel_softmax_backward(float *dx, int64_t dx_block, const float *dy, int64_t dy_block,
                                    const float *y, int64_t y_block, int64_t classes) {
  float lane[BLOCK] = {0};
  int64_t blocks = (classes + BLOCK - 1) / BLOCK;
  for (int64_t c = 0; c < classes; c++) {
    float product = dy[c / BLOCK * dy_block + c % BLOCK] * y[c / BLOCK * y_block + c % BLOCK];
    lane[c % BLOCK] = lane[c % BLOCK] + product;
  }
  vec sum = vec_all(tree(lane));
  for (int64_t b = 0; b < blocks; b++)
    for (int i = 0; i < BLOCK; i += VL) {
      vec v = vec_load(y + b * y_block + i);
      vec_store(dx + b * dx_block + i, vec_mul(v, vec_sub(vec_load(dy + b * dy_block + i), sum)));
    }
}

/* lanes[k mod 16][channel] += a * b at position k, for the 16 channels of a block. */
static void kernel_sum_products(float *lanes, const float *a, const float *b, int64_t positions) {
  for (int64_t k = 0; k < positions; k++) {
    float *lane = lanes + k % BLOCK * BLOCK;
    for (int i = 0; i < BLOCK; i += VL) {
      vec sum = vec_fma(vec_load(a + k * BLOCK + i), vec_load(b + k * BLOCK + i), vec_load(lane + i));
      vec_store(lane + i, sum);
    }
  }
}

/* lanes[k mod 16][channel] += x[k * step + channel], for the 16 channels of a block. */
static void kernel_sum_positions(float *lanes, const float *x, int64_t step, int64_t positions) {
  for (int64_t k = 0; k < positions; k++) {
    float *lane = lanes + k % BLOCK * BLOCK;
    const float *from = x + k * step;
    for (int i = 0; i < BLOCK; i += VL) vec_store(lane + i, vec_add(vec_load(lane + i), vec_load(from + i)));
  }
}

/* sum[channel] = the tree over lanes[0..15][channel]. */
static void kernel_sum_lanes(float *sum, const float *lanes) {
  for (int c = 0; c < BLOCK; c++) {
    float lane[BLOCK];
    for (int i = 0; i < BLOCK; i++) lane[i] = lanes[i * BLOCK + c];
    sum[c] = tree(lane);
  }
}

/* No infinity and no NaN among them: x - x is 0 for every finite x alone. */
static bool kernel_finite(const float *x, int64_t count) {
  vec zero = vec_all(0), sum = zero;
  for (int64_t i = 0; i < count; i += VL) {
    vec v = vec_load(x + i);
    sum = vec_add(sum, vec_sub(v, v));
  }
  return !mask_any(vec_unordered(sum, sum));
}

/* Squares of floats are exact in double, so that only the sums round. */
static double kernel_sum_squares(const float *x, const uint16_t *real, int64_t count) {
  double lane[BLOCK] = {0};
  for (int64_t k = 0; k < count; k += BLOCK)
    if (real[k / BLOCK] == 0xffff)
      for (int i = 0; i < BLOCK; i++) lane[i] += (double)x[k + i] * (double)x[k + i];
    else
      for (int i = 0; i < BLOCK; i++)
        if (real[k / BLOCK] >> i & 1) lane[i] += (double)x[k + i] * (double)x[k + i];
  for (int half = BLOCK / 2; half >= 1; half /= 2)
    for (int i = 0; i < half; i++) lane[i] += lane[i + half];
  return lane[0];
}
