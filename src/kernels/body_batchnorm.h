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
  for (int i = 0; i < BLOCK; i += VL) {
    vec lane[BLOCK];
    for (int l = 0; l < BLOCK; l++) lane[l] = vec_all(0);
    for (int64_t k = 0; k < pixels; k++)
      lane[k % BLOCK] = vec_add(lane[k % BLOCK], vec_load(x + k * BLOCK + i));
    vec_store(sum + i, channel_tree(lane));
  }
}

/* sum = sum of a, product = sum of a (x - mean), where a is dy or, where that is NULL, x - mean itself. */
static void kernel_channel_products(float *sum, float *product, const float *dy, const float *x,
                                    const float *mean, int64_t pixels) {
  for (int i = 0; i < BLOCK; i += VL) {
    vec sums[BLOCK], products[BLOCK], center = vec_load(mean + i);
    for (int l = 0; l < BLOCK; l++) sums[l] = products[l] = vec_all(0);
    for (int64_t k = 0; k < pixels; k++) {
      vec d = vec_sub(vec_load(x + k * BLOCK + i), center), a = dy ? vec_load(dy + k * BLOCK + i) : d;
      sums[k % BLOCK] = vec_add(sums[k % BLOCK], a);
      products[k % BLOCK] = vec_fma(a, d, products[k % BLOCK]);
    }
    vec_store(sum + i, channel_tree(sums));
    vec_store(product + i, channel_tree(products));
  }
}

/* y = (x - mean) scale + shift. */
static void kernel_channel_scale(float *y, const float *x, const float *mean, const float *scale,
                                 const float *shift, int64_t pixels) {
  for (int i = 0; i < BLOCK; i += VL) {
    vec center = vec_load(mean + i), factor = vec_load(scale + i), start = vec_load(shift + i);
    for (int64_t k = i; k < pixels * BLOCK; k += BLOCK)
      vec_store(y + k, vec_fma(vec_sub(vec_load(x + k), center), factor, start));
  }
}

/* dx = dy scale + ((x - mean) slope + shift); dx may be dy. */
static void kernel_channel_scale_backward(float *dx, const float *dy, const float *x, const float *mean,
                                          const float *scale, const float *slope, const float *shift,
                                          int64_t pixels) {
  for (int i = 0; i < BLOCK; i += VL) {
    vec center = vec_load(mean + i), factor = vec_load(scale + i), tilt = vec_load(slope + i),
        start = vec_load(shift + i);
    for (int64_t k = i; k < pixels * BLOCK; k += BLOCK) {
      vec rest = vec_fma(vec_sub(vec_load(x + k), center), tilt, start);
      vec_store(dx + k, vec_fma(vec_load(dy + k), factor, rest));
    }
  }
}
