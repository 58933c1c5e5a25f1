/* subsample: LeNet's trainable sub-sampling (LeCun et al. 1998, section II-B): "The four inputs to a unit in
 * S2 are added, then multiplied by a trainable coefficient, and added to a trainable bias", one of each a
 * channel:
 *
 *     y = weight[c] * (sum of x over the window) + bias[c]
 *
 * Coefficients begin as 1 / (fh fw) and biases as 0, so that training begins with avgpool; the paper's own
 * start (appendix A: uniform in +-2.4 / fan-in) would turn half the channels round. Padding adds nothing. */
#include <string.h>

#include "layers/pool.h"

enum { WEIGHT, BIAS };

static const struct param params[] = {POOL_PARAMS, {0}};

static void book(const void *config, struct ledger *l) {
  const struct pool_config *p = config;
  const struct view *y = &l->y;
  int64_t area = p->kernel[0] * p->kernel[1], packed = view_blocks(y) * BLOCK;
  struct init mean = {INIT_CONSTANT, 1 / (double)area}, zeros = {INIT_ZEROS, 0};
  ledger_weight(l, "weight", 1, &y->shape.c, packed, mean, area);
  ledger_weight(l, "bias", 1, &y->shape.c, packed, zeros, area);
  l->multiply_adds = y->shape.c * y->shape.h * y->shape.w;
  if (!l->training) return;
  l->saved = view_blocks(y) * y->shape.h * y->shape.w * BLOCK; /* the sums */
  l->partial_extra = 2 * view_blocks(y) * BLOCK * BLOCK;
}

static int64_t place(const struct step *s, int weight, int64_t i) { return s->weight_at[weight] + i; }

static void naive(const struct naive *s) {
  const struct pool_config *p = s->config;
  cnn_shape in = s->in[0], out = s->out;
  int64_t sh = pool_stride(p, 0), sw = pool_stride(p, 1);
  for (int64_t i = 0; s->dy && i < in.n * in.c * in.h * in.w; i++) s->dx[0][i] = 0;
  for (int64_t c = 0; s->dy && c < in.c; c++) s->dweight[WEIGHT][c] = s->dweight[BIAS][c] = 0;
  for (int64_t to = 0; to < out.n * out.c * out.h * out.w; to++) {
    int64_t plane = to / out.w / out.h, c = plane % out.c;
    int64_t h0 = to / out.w % out.h * sh - p->pad[0], w0 = to % out.w * sw - p->pad[1];
    double sum = 0;
    for (int64_t h = h0; h < h0 + p->kernel[0]; h++)
      for (int64_t w = w0; w < w0 + p->kernel[1]; w++) {
        if (h < 0 || h >= in.h || w < 0 || w >= in.w) continue;
        int64_t at = (plane * in.h + h) * in.w + w;
        sum += s->x[0][at];
        if (s->dy) s->dx[0][at] += s->dy[to] * s->weight[WEIGHT][c];
      }
    s->y[to] = s->weight[WEIGHT][c] * sum + s->weight[BIAS][c];
    if (!s->dy) continue;
    s->dweight[WEIGHT][c] += s->dy[to] * sum;
    s->dweight[BIAS][c] += s->dy[to];
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct view *x = &s->x[0], *y = &s->y;
  struct window window = pool_window(s->config, x, y);
  int64_t plane = y->shape.h * y->shape.w * BLOCK;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(y); b++)
      s->kernels->subsample_forward(
          &window, y->data + n * y->image + b * y->plane,
          s->saved ? s->saved + n * s->image + b * plane : NULL, x->data + n * x->image + b * x->plane,
          s->weight + s->weight_at[WEIGHT] + b * BLOCK, s->weight + s->weight_at[BIAS] + b * BLOCK);
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct view *dx = &s->dx[0], *dy = &s->dy;
  struct window window = pool_window(s->config, dx, dy);
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(dx); b++)
      s->kernels->subsample_backward(&window, dx->data + n * dx->image + b * dx->plane,
                                     dy->data + n * dy->image + b * dy->plane,
                                     s->weight + s->weight_at[WEIGHT] + b * BLOCK);
}

/* Adds to the partial sums of the images' group. Position i of an image adds to lane i mod 16; lanes are
 * joined when the group's last image is done:
 *
 *     [weights and biases: range][lanes of weights: blocks x 16 x 16][lanes of biases: likewise] */
static void backward_weights(const struct step *s, struct shard shard) {
  const struct view *dy = &s->dy;
  int64_t positions = dy->shape.h * dy->shape.w, blocks = view_blocks(dy), lanes = BLOCK * BLOCK;
  for (int64_t n = shard.n0; n < shard.n1; n++) {
    float *partial = s->partial + n / s->group * s->partial_stride;
    bool first = n % s->group == 0, last = (n + 1) % s->group == 0 || n + 1 == shard.batch;
    if (first) memset(partial, 0, (size_t)s->partial_stride * sizeof *partial);
    for (int64_t b = 0; b < blocks; b++) {
      const float *gradient = dy->data + n * dy->image + b * dy->plane;
      float *weight = partial + s->range + b * lanes;
      s->kernels->sum_products(weight, gradient, s->saved + n * s->image + b * positions * BLOCK, positions);
      if (last) s->kernels->sum_lanes(partial + s->weight_at[WEIGHT] + b * BLOCK, weight);
    }
    add_to_biases(s, n, last, partial + s->weight_at[BIAS], partial + s->range + blocks * lanes);
  }
}

static const char *const examples[] = {"in=2x6x8x8 kernel=2", "in=2x17x7x9 kernel=3 stride=2",
                                       "in=5x4x5x6 kernel=3x2 stride=1 pad=1x0",
                                       "in=2x2x6x6 kernel=3 stride=2 round=ceil", NULL};

const struct layer_class layer_subsample = {
    .name = "subsample",
    .summary = "the sum of each window, times a trainable coefficient, plus a trainable bias (LeNet-5)",
    .config_size = sizeof(struct pool_config),
    .params = params,
    .inputs = 1,
    .shape = pool_shape,
    .reach = pool_reach,
    .book = book,
    .place = place,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
    .examples = examples,
};
