/* Part of kernels.c: the kernels of single layers, each run on floats of in for all that it gives. */

#define ONE_IN_WITH(name, parameter)                                                                        \
  static void bits_##name(const struct kernel_table *table, float *in, float *out, struct random *random) { \
    float number = (parameter);                                                                             \
    table->name(out, in, number, draw(random, 0, COUNT / BLOCK) * BLOCK);                                   \
    memcpy(out + COUNT, in, COUNT * sizeof *in);                                                            \
    table->name(out + COUNT, out + COUNT, number, COUNT); /* in place */                                    \
  }
#define TWO_IN_WITH(name, parameter)                                                                        \
  static void bits_##name(const struct kernel_table *table, float *in, float *out, struct random *random) { \
    float number = (parameter);                                                                             \
    table->name(out, in, in + COUNT, number, draw(random, 0, COUNT / BLOCK) * BLOCK);                       \
    memcpy(out + COUNT, in, COUNT * sizeof *in);                                                            \
    table->name(out + COUNT, out + COUNT, in + COUNT, number, COUNT); /* in place */                        \
  }
ONE_IN_WITH(leaky_relu_forward, fabsf(uniform(random)))
TWO_IN_WITH(leaky_relu_backward, fabsf(uniform(random)))
ONE_IN_WITH(elu_forward, 2 * fabsf(uniform(random)))
TWO_IN_WITH(elu_backward, 2 * fabsf(uniform(random)))

static void bits_scaled_tanh_forward(const struct kernel_table *table, float *in, float *out,
                                     struct random *random) {
  float scale = 2 * fabsf(uniform(random)), slope = 2 * fabsf(uniform(random));
  table->scaled_tanh_forward(out, in, scale, slope, draw(random, 0, COUNT / BLOCK) * BLOCK);
  memcpy(out + COUNT, in, COUNT * sizeof *in);
  table->scaled_tanh_forward(out + COUNT, out + COUNT, scale, slope, COUNT); /* in place */
}

static void bits_scaled_tanh_backward(const struct kernel_table *table, float *in, float *out,
                                      struct random *random) {
  float scale = 0.5F + fabsf(uniform(random)), slope = 2 * fabsf(uniform(random));
  table->scaled_tanh_backward(out, in, in + COUNT, scale, slope, draw(random, 0, COUNT / BLOCK) * BLOCK);
  memcpy(out + COUNT, in, COUNT * sizeof *in);
  table->scaled_tanh_backward(out + COUNT, out + COUNT, in + COUNT, scale, slope, COUNT); /* in place */
}

static void bits_sum_products(const struct kernel_table *table, float *in, float *out,
                              struct random *random) {
  memcpy(out, in, BLOCK * BLOCK * sizeof *in);
  table->sum_products(out, in + POOL / 4, in + POOL / 2, draw(random, 0, 60));
}

static void bits_subsample_forward(const struct kernel_table *table, float *in, float *out,
                                   struct random *random) {
  struct window p = new_window(random);
  float *sum = draw(random, 0, 3) ? out + OUT / 2 : NULL;
  table->subsample_forward(&p, out, sum, in, in + POOL - 32, in + POOL - 16);
}

static void bits_subsample_backward(const struct kernel_table *table, float *in, float *out,
                                    struct random *random) {
  struct window p = new_window(random);
  table->subsample_backward(&p, out, in, in + POOL - 16);
}
