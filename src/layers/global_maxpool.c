/* global-maxpool: the largest element of each channel's plane, so that c x h x w becomes c x 1 x 1: maxpool
 * with one window. NaN is the largest; of equal elements the first wins and alone gets the gradient. */
#include <math.h>

#include "layers/pool.h"

static void book(const void *config, struct ledger *ledger) {
  (void)config;
  if (ledger->training) ledger->saved = view_blocks(&ledger->y) * BLOCK;
}

static void naive(const struct naive *s) {
  int64_t planes = s->out.n * s->out.c, count = s->in[0].h * s->in[0].w;
  for (int64_t p = 0; p < planes; p++) {
    int64_t best = p * count;
    for (int64_t i = p * count; i < (p + 1) * count; i++) {
      if (s->x[0][i] > s->x[0][best] || isnan(s->x[0][i])) best = i;
      if (s->dy) s->dx[0][i] = 0;
    }
    s->y[p] = s->x[0][best];
    if (s->dy) s->dx[0][best] = s->dy[p];
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct view *x = &s->x[0], *y = &s->y;
  struct window window = pool_whole(x);
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(y); b++)
      s->kernels->maxpool_forward(&window, y->data + n * y->image + b * y->plane,
                                  s->saved ? s->saved + n * s->image + b * BLOCK : NULL,
                                  x->data + n * x->image + b * x->plane);
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct view *dx = &s->dx[0], *dy = &s->dy;
  struct window window = pool_whole(dx);
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(dx); b++)
      s->kernels->maxpool_backward(&window, dx->data + n * dx->image + b * dx->plane,
                                   dy->data + n * dy->image + b * dy->plane,
                                   s->saved + n * s->image + b * BLOCK);
}

static const char *const examples[] = {"in=2x3x5x4", "in=3x17x1x1", "in=1x40x7x7", "in=5x2x1x33", NULL};

const struct layer_class layer_global_maxpool = {
    .name = "global-maxpool",
    .summary = "the largest element of each channel",
    .inputs = 1,
    .is_max = true,
    .shape = whole_shape,
    .reach = reach_plane,
    .book = book,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
