/* See depthwise.h. */
#include "layers/depthwise.h"

void depthwise_forward(const struct step *s, struct shard shard, const struct window *window,
                       const float *bias) {
  const struct view *x = &s->x[0], *y = &s->y;
  int64_t weights = window->fh * window->fw * BLOCK;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(y); b++)
      s->kernels->depthwise_forward(window, y->data + n * y->image + b * y->plane,
                                    x->data + n * x->image + b * x->plane, s->weight + b * weights,
                                    bias ? bias + b * BLOCK : NULL);
}

void depthwise_backward_data(const struct step *s, struct shard shard, const struct window *window) {
  const struct view *dx = &s->dx[0], *dy = &s->dy;
  int64_t weights = window->fh * window->fw * BLOCK;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(dx); b++)
      s->kernels->depthwise_backward(window, dx->data + n * dx->image + b * dx->plane,
                                     dy->data + n * dy->image + b * dy->plane, s->weight + b * weights);
}

void depthwise_backward_weights(const struct step *s, int64_t n, const struct window *window, float *dw) {
  const struct view *x = &s->x[0], *dy = &s->dy;
  int64_t weights = window->fh * window->fw * BLOCK;
  for (int64_t b = 0; b < view_blocks(x); b++)
    s->kernels->depthwise_weights(window, dw + b * weights, x->data + n * x->image + b * x->plane,
                                  dy->data + n * dy->image + b * dy->plane);
}
