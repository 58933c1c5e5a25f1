/* global-avgpool: the mean of each channel's plane, so that c x h x w becomes c x 1 x 1 (Lin, Chen and Yan
 * 2013, section 3.2). Sums run over 16 lanes and one tree, as all sums over elements do. */
#include "layers/pool.h"

static void book(const void *config, struct ledger *ledger) {
  (void)config;
  (void)ledger;
}

static void naive(const struct naive *s) {
  int64_t planes = s->out.n * s->out.c, count = s->in[0].h * s->in[0].w;
  for (int64_t p = 0; p < planes; p++) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += s->x[0][p * count + i];
    s->y[p] = sum / (double)count;
    for (int64_t i = 0; s->dy && i < count; i++) s->dx[0][p * count + i] = s->dy[p] / (double)count;
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct view *x = &s->x[0], *y = &s->y;
  int64_t count = x->shape.h * x->shape.w;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(y); b++) {
      float lanes[BLOCK * BLOCK] = {0}, *to = y->data + n * y->image + b * y->plane;
      s->kernels->sum_positions(lanes, x->data + n * x->image + b * x->plane, BLOCK, count);
      s->kernels->sum_lanes(to, lanes);
      for (int i = 0; i < BLOCK; i++) to[i] = to[i] / (float)count;
    }
}

/* As of an average over one window. */
static void backward_data(const struct step *s, struct shard shard) {
  const struct view *dx = &s->dx[0], *dy = &s->dy;
  struct window window = pool_whole(dx);
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(dx); b++)
      s->kernels->avgpool_backward(&window, dx->data + n * dx->image + b * dx->plane,
                                   dy->data + n * dy->image + b * dy->plane);
}

static const char *const examples[] = {"in=2x3x5x4", "in=3x17x1x1", "in=1x40x7x7", "in=5x2x1x33", NULL};

const struct layer_class layer_global_avgpool = {
    .name = "global-avgpool",
    .summary = "the mean of each channel",
    .inputs = 1,
    .shape = whole_shape,
    .reach = reach_plane,
    .book = book,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
