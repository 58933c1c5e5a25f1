/* softmax: y_c = e^(x_c) / sum over channels of e^x, at each position (3.5 of the book).
 *
 * As the last layer of a net that trains on cross-entropy it is joined with the loss (5.6.3), and its
 * backward is not called. */
#include <math.h>

#include "layers/layer.h"

static void naive(const struct naive *s) {
  int64_t classes = s->out.c, places = s->out.h * s->out.w;
  for (int64_t n = 0; n < s->out.n; n++)
    for (int64_t p = 0; p < places; p++) {
      int64_t at = n * classes * places + p;
      double most = -INFINITY, sum = 0, dot = 0;
      for (int64_t c = 0; c < classes; c++) most = fmax(most, s->x[0][at + c * places]);
      for (int64_t c = 0; c < classes; c++)
        sum += s->y[at + c * places] = exp(s->x[0][at + c * places] - most);
      for (int64_t c = 0; c < classes; c++) s->y[at + c * places] /= sum;
      if (!s->dy) continue;
      for (int64_t c = 0; c < classes; c++) dot += s->dy[at + c * places] * s->y[at + c * places];
      for (int64_t c = 0; c < classes; c++)
        s->dx[0][at + c * places] = s->y[at + c * places] * (s->dy[at + c * places] - dot);
    }
}

static void forward(const struct step *s, struct shard shard) {
  const struct view *x = &s->x[0], *y = &s->y;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t h = 0; h < y->shape.h; h++)
      for (int64_t w = 0; w < y->shape.w; w++)
        s->kernels->softmax(y->data + view_offset(y, n, 0, h, w), y->plane,
                            x->data + view_offset(x, n, 0, h, w), x->plane, y->shape.c);
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct view *dx = &s->dx[0], *dy = &s->dy, *y = &s->y;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t h = 0; h < y->shape.h; h++)
      for (int64_t w = 0; w < y->shape.w; w++)
        s->kernels->softmax_backward(dx->data + view_offset(dx, n, 0, h, w), dx->plane,
                                     dy->data + view_offset(dy, n, 0, h, w), dy->plane,
                                     y->data + view_offset(y, n, 0, h, w), y->plane, y->shape.c);
}

static const char *const examples[] = {"in=3x10x1x1", "in=2x16x1x1", "in=2x37x3x2", NULL};

const struct layer_class layer_softmax = {
    .name = "softmax",
    .summary = "probabilities over the channels",
    .inputs = 1,
    .shape = same_shape,
    .sees = sees_all,
    .book = book_in_place,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
