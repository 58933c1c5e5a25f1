/* avgpool: the mean of each window, channel by channel (section 7.3). */
#include "layers/pool.h"

static const struct param params[] = {
    POOL_PARAMS,
    {"count_pad", PARAM_FLAG, offsetof(struct pool_config, count_pad), "no", 0, 0, NULL,
     "divide by the whole window even where it reaches into padding"},
    {0}};

static void book(const void *config, struct ledger *ledger) {
  (void)config;
  (void)ledger;
}

static void naive(const struct naive *s) {
  const struct pool_config *p = s->config;
  cnn_shape in = s->in[0], out = s->out;
  int64_t planes = in.n * in.c, sh = pool_stride(p, 0), sw = pool_stride(p, 1);
  for (int64_t i = 0; s->dy && i < planes * in.h * in.w; i++) s->dx[0][i] = 0;
  for (int64_t plane = 0; plane < planes; plane++)
    for (int64_t oh = 0; oh < out.h; oh++)
      for (int64_t ow = 0; ow < out.w; ow++) {
        int64_t h0 = oh * sh - p->pad[0], w0 = ow * sw - p->pad[1], to = (plane * out.h + oh) * out.w + ow;
        double sum = 0, count = 0;
        for (int pass = 0; pass < (s->dy ? 2 : 1); pass++) /* first count and sum, then spread */
          for (int64_t h = h0; h < h0 + p->kernel[0]; h++)
            for (int64_t w = w0; w < w0 + p->kernel[1]; w++) {
              bool within = h >= 0 && h < in.h && w >= 0 && w < in.w;
              int64_t at = (plane * in.h + h) * in.w + w;
              if (pass == 0) {
                count += within || p->count_pad;
                sum += within ? s->x[0][at] : 0;
              } else if (within) {
                s->dx[0][at] += s->dy[to] / count;
              }
            }
        s->y[to] = sum / count;
      }
}

static void forward(const struct step *s, struct shard shard) {
  const struct view *x = &s->x[0], *y = &s->y;
  struct window window = pool_window(s->config, x, y);
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(y); b++)
      s->kernels->avgpool_forward(&window, y->data + n * y->image + b * y->plane,
                                  x->data + n * x->image + b * x->plane);
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct view *dx = &s->dx[0], *dy = &s->dy;
  struct window window = pool_window(s->config, dx, dy);
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(dx); b++)
      s->kernels->avgpool_backward(&window, dx->data + n * dx->image + b * dx->plane,
                                   dy->data + n * dy->image + b * dy->plane);
}

static const char *const examples[] = {"in=2x3x8x8 kernel=2 stride=2",
                                       "in=2x17x7x9 kernel=3 stride=2",
                                       "in=1x4x5x6 kernel=3x2 stride=1 pad=1x0",
                                       "in=1x4x5x6 kernel=3x2 stride=1 pad=1x0 count_pad=yes",
                                       "in=2x2x6x6 kernel=3 stride=2 round=ceil",
                                       NULL};

const struct layer_class layer_avgpool = {
    .name = "avgpool",
    .summary = "the mean of each window",
    .config_size = sizeof(struct pool_config),
    .params = params,
    .inputs = 1,
    .shape = pool_shape,
    .reach = pool_reach,
    .book = book,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
