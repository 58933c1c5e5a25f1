/* maxpool: the largest element of each window, channel by channel (section 7.3, Figures 7-14 and 7-15).
 *
 * Padding is smaller than everything, NaN larger. Of equal elements the first in the window wins and alone
 * gets the gradient. Forward keeps which one won; backward gathers, so overlapping windows add up in a fixed
 * order. */
#include <math.h>

#include "layers/pool.h"

static const struct param params[] = {POOL_PARAMS, {0}};

static void book(const void *config, struct ledger *ledger) {
  (void)config;
  const cnn_shape *y = &ledger->y.shape;
  if (ledger->training) ledger->saved = view_blocks(&ledger->y) * y->h * y->w * BLOCK;
}

static void naive(const struct naive *s) {
  const struct pool_config *p = s->config;
  cnn_shape in = s->in[0], out = s->out;
  int64_t planes = in.n * in.c, sh = pool_stride(p, 0), sw = pool_stride(p, 1);
  for (int64_t i = 0; s->dy && i < planes * in.h * in.w; i++) s->dx[0][i] = 0;
  for (int64_t plane = 0; plane < planes; plane++)
    for (int64_t oh = 0; oh < out.h; oh++)
      for (int64_t ow = 0; ow < out.w; ow++) {
        double best = -INFINITY;
        int64_t winner = -1;
        for (int64_t h = oh * sh - p->pad[0]; h < oh * sh - p->pad[0] + p->kernel[0]; h++)
          for (int64_t w = ow * sw - p->pad[1]; w < ow * sw - p->pad[1] + p->kernel[1]; w++) {
            if (h < 0 || h >= in.h || w < 0 || w >= in.w) continue;
            int64_t at = (plane * in.h + h) * in.w + w;
            if (winner < 0 || s->x[0][at] > best || isnan(s->x[0][at])) best = s->x[0][at], winner = at;
          }
        int64_t to = (plane * out.h + oh) * out.w + ow;
        s->y[to] = best;
        if (s->dy) s->dx[0][winner] += s->dy[to];
      }
}

static void forward(const struct step *s, struct shard shard) {
  const struct view *x = &s->x[0], *y = &s->y;
  struct window window = pool_window(s->config, x, y);
  int64_t plane = y->shape.h * y->shape.w * BLOCK;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(y); b++)
      s->kernels->maxpool_forward(&window, y->data + n * y->image + b * y->plane,
                                  s->saved ? s->saved + n * s->image + b * plane : NULL,
                                  x->data + n * x->image + b * x->plane);
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct view *dx = &s->dx[0], *dy = &s->dy;
  struct window window = pool_window(s->config, dx, dy);
  int64_t plane = dy->shape.h * dy->shape.w * BLOCK;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(dx); b++)
      s->kernels->maxpool_backward(&window, dx->data + n * dx->image + b * dx->plane,
                                   dy->data + n * dy->image + b * dy->plane,
                                   s->saved + n * s->image + b * plane);
}

static const char *const examples[] = {"in=2x3x8x8 kernel=2 stride=2",
                                       "in=2x17x7x9 kernel=3 stride=2",
                                       "in=1x4x5x6 kernel=3x2 stride=1 pad=1x0",
                                       "in=2x2x6x6 kernel=3 stride=2 round=ceil",
                                       "in=2x2x7x7 kernel=2 stride=3 round=floor",
                                       NULL};

const struct layer_class layer_maxpool = {
    .name = "maxpool",
    .summary = "the largest element of each window",
    .config_size = sizeof(struct pool_config),
    .params = params,
    .inputs = 1,
    .is_max = true,
    .shape = pool_shape,
    .reach = pool_reach,
    .book = book,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
