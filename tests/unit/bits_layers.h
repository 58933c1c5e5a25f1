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

/* In two parts. */
static void bits_col2im(const struct kernel_table *table, float *in, float *out, struct random *random) {
  struct window p = new_window(random);
  int64_t taps = p.fh * p.fw, most = (POOL - BLOCK) / (p.oh * p.ow * taps);
  int64_t channels = draw(random, 1, most < 20 ? (int)most : 20), row = channels * taps;
  int64_t line = draw(random, 1, (int)p.oh), here = draw(random, 1, channels < BLOCK ? (int)channels : BLOCK);
  table->col2im(&p, 0, line, out, in, row, channels, here);
  if (line < p.oh) table->col2im(&p, line, p.oh, out, in + line * p.ow * row, row, channels, here);
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

/* Up to 40 channels over planes of up to 6 x 6; lanes past the last channel hold anything. */
static struct table_conv new_table_conv(struct random *random, float *in) {
  struct table_conv p = {.channels = draw(random, 1, 40)};
  struct window *w = &p.window;
  *w = (struct window){.h = draw(random, 1, 6), .w = draw(random, 1, 6), .stride_h = 1, .stride_w = 1};
  do {
    w->fh = draw(random, 1, 3), w->fw = draw(random, 1, 3);
    w->pad_h = draw(random, 0, w->fh - 1), w->pad_w = draw(random, 0, w->fw - 1);
    w->oh = w->h + 2 * w->pad_h - w->fh + 1, w->ow = w->w + 2 * w->pad_w - w->fw + 1;
  } while (w->oh < 1 || w->ow < 1);
  w->x_row = w->w * BLOCK, w->y_row = w->ow * BLOCK;
  p.x_plane = w->h * w->x_row;
  static float weight[40 * 9 * BLOCK], reach[40 * BLOCK];
  for (int i = 0; i < 40 * 9 * BLOCK; i++) weight[i] = in[POOL / 2 + i % (POOL / 2)];
  for (int i = 0; i < 40 * BLOCK; i++) reach[i] = draw(random, 0, 2) == 0;
  p.weight = weight, p.reach = reach;
  p.start = draw(random, 0, 1) ? in : NULL;
  return p;
}

static void bits_table_conv(const struct kernel_table *table, float *in, float *out, struct random *random) {
  struct table_conv p = new_table_conv(random, in);
  table->table_conv(&p, out, in);
}

static void bits_table_conv_weights(const struct kernel_table *table, float *in, float *out,
                                    struct random *random) {
  struct table_conv p = new_table_conv(random, in);
  if (p.channels > 25) p.channels = 25;
  table->table_conv_weights(&p, out, in, in + POOL / 2);
}

static void bits_depthwise_forward(const struct kernel_table *table, float *in, float *out,
                                   struct random *random) {
  struct window p = new_window(random);
  table->depthwise_forward(&p, out, in, in + POOL / 2, draw(random, 0, 1) ? in + POOL - 16 : NULL);
}

static void bits_depthwise_backward(const struct kernel_table *table, float *in, float *out,
                                    struct random *random) {
  struct window p = new_window(random);
  table->depthwise_backward(&p, out, in, in + POOL / 2);
}

static void bits_depthwise_weights(const struct kernel_table *table, float *in, float *out,
                                   struct random *random) {
  struct window p = new_window(random);
  memcpy(out, in, 16 * BLOCK * sizeof *in);
  table->depthwise_weights(&p, out, in, in + POOL / 2);
}
