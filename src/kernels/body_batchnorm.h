/* Batch normalisation (layers/batchnorm.c): one channel block of one image, `pixels` pixels of 16 channels.
 * Each channel's sums run over 16 lanes, pixel k in lane k mod 16, and then the tree of body_reduce.h. */

/* The tree over 16 lanes, for VL channels side by side. */
static inline vec channel_tree(const vec *lane) {
  vec s[8];
  for (int i = 0; i < 8; i++) s[i] = vec_add(lane[i], lane[i + 8]);
  for (int i = 0; i < 4; i++) s[i] = vec_add(s[i], s[i + 4]);
  return vec_add(vec_add(s[0], s[2]), vec_add(s[1], s[3]));
}

/* sum[channel] = sum of x. */
static void kernel_channel_sums(float *sum, const float *x, int64_t pixels) {
  vec lane[BLOCK / VL][BLOCK];
  for (int v = 0; v < BLOCK / VL; v++)
    for (int l = 0; l < BLOCK; l++) lane[v][l] = vec_all(0);
  for (int64_t k = 0; k < pixels; k++)
    for (int v = 0; v < BLOCK / VL; v++)
      lane[v][k % BLOCK] = vec_add(lane[v][k % BLOCK], vec_load(x + k * BLOCK + v * VL));
  for (int v = 0; v < BLOCK / VL; v++) vec_store(sum + v * VL, channel_tree(lane[v]));
}

/* sum = sum of a, product = sum of a (x - mean), where a is dy or, where that is NULL, x - mean itself. */
static void kernel_channel_products(float *sum, float *product, const float *dy, const float *x,
                                    const float *mean, int64_t pixels) {
  vec sums[BLOCK / VL][BLOCK], products[BLOCK / VL][BLOCK];
  for (int v = 0; v < BLOCK / VL; v++)
    for (int l = 0; l < BLOCK; l++) sums[v][l] = products[v][l] = vec_all(0);
  for (int64_t k = 0; k < pixels; k++)
    for (int v = 0; v < BLOCK / VL; v++) {
      vec d = vec_sub(vec_load(x + k * BLOCK + v * VL), vec_load(mean + v * VL));
      vec a = dy ? vec_load(dy + k * BLOCK + v * VL) : d;
      sums[v][k % BLOCK] = vec_add(sums[v][k % BLOCK], a);
      products[v][k % BLOCK] = vec_fma(a, d, products[v][k % BLOCK]);
    }
  for (int v = 0; v < BLOCK / VL; v++) {
    vec_store(sum + v * VL, channel_tree(sums[v]));
    vec_store(product + v * VL, channel_tree(products[v]));
  }
}

/* y = (x - mean) scale + shift. */
static void kernel_channel_scale(float *y, const float *x, const float *mean, const float *scale,
                                 const float *shift, int64_t pixels) {
  vec center[BLOCK / VL], factor[BLOCK / VL], start[BLOCK / VL];
  for (int v = 0; v < BLOCK / VL; v++) {
    center[v] = vec_load(mean + v * VL);
    factor[v] = vec_load(scale + v * VL);
    start[v] = vec_load(shift + v * VL);
  }
  for (int64_t k = 0; k < pixels * BLOCK; k += BLOCK)
    for (int v = 0; v < BLOCK / VL; v++)
      vec_store(y + k + v * VL, vec_fma(vec_sub(vec_load(x + k + v * VL), center[v]), factor[v], start[v]));
}

/* dx = dy scale + ((x - mean) slope + shift); dx may be dy. */
static void kernel_channel_scale_backward(float *dx, const float *dy, const float *x, const float *mean,
                                          const float *scale, const float *slope, const float *shift,
                                          int64_t pixels) {
  vec center[BLOCK / VL], factor[BLOCK / VL], tilt[BLOCK / VL], start[BLOCK / VL];
  for (int v = 0; v < BLOCK / VL; v++) {
    center[v] = vec_load(mean + v * VL);
    factor[v] = vec_load(scale + v * VL);
    tilt[v] = vec_load(slope + v * VL);
    start[v] = vec_load(shift + v * VL);
  }
  for (int64_t k = 0; k < pixels * BLOCK; k += BLOCK)
    for (int v = 0; v < BLOCK / VL; v++) {
      vec rest = vec_fma(vec_sub(vec_load(x + k + v * VL), center[v]), tilt[v], start[v]);
      vec_store(dx + k + v * VL, vec_fma(vec_load(dy + k + v * VL), factor[v], rest));
    }
}
