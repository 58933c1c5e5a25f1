/* sigmoid: 1 / (1 + e^-x), element by element (5.5.2 of the book). */
#include <math.h>

#include "layers/layer.h"

static void naive(const struct naive *s) {
  int64_t count = s->out.n * s->out.c * s->out.h * s->out.w;
  for (int64_t i = 0; i < count; i++) {
    double y = 1 / (1 + exp(-s->x[0][i]));
    s->y[i] = y;
    if (s->dy) s->dx[0][i] = s->dy[i] * (y * (1 - y));
  }
}

static void forward(const struct step *s, struct shard shard) {
  each_element(&s->y, &s->x[0], shard, s->kernels->sigmoid_forward);
}

static void backward_data(const struct step *s, struct shard shard) {
  each_image_backward(&s->dx[0], &s->dy, &s->y, shard, s->kernels->sigmoid_backward);
}

static const char *const examples[] = {"in=2x3x5x4", "in=2x100x1x1", "in=3x17x2x3", NULL};

const struct layer_class layer_sigmoid = {
    .name = "sigmoid",
    .summary = "1 / (1 + e^-x), element by element",
    .inputs = 1,
    .shape = same_shape,
    .book = book_in_place,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
