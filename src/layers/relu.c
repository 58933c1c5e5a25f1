/* relu: y = max(x, 0), element by element (5.5.1 of the book). NaN stays NaN. */
#include "layers/layer.h"

static void naive(const struct naive *s) {
  int64_t count = s->out.n * s->out.c * s->out.h * s->out.w;
  for (int64_t i = 0; i < count; i++) s->y[i] = s->x[0][i] < 0 ? 0 : s->x[0][i];
  for (int64_t i = 0; s->dy && i < count; i++) s->dx[0][i] = s->x[0][i] > 0 ? s->dy[i] : 0;
}

static void forward(const struct step *s, struct shard shard) {
  each_image(&s->y, &s->x[0], shard, s->kernels->relu_forward);
}

static void backward_data(const struct step *s, struct shard shard) {
  each_image_backward(&s->dx[0], &s->dy, &s->y, shard, s->kernels->relu_backward);
}

static const char *const examples[] = {"in=2x3x5x4", "in=2x100x1x1", "in=3x17x2x3", NULL};

const struct layer_class layer_relu = {
    .name = "relu",
    .summary = "max(x, 0), element by element",
    .inputs = 1,
    .before_max = true,
    .shape = same_shape,
    .book = book_in_place,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
