/* add: y = x0 + x1 + ..., element by element: where a shortcut joins again (He et al. 2015, "Deep residual
 * learning", equation 1). Its gradient goes to every input as it is. */
#include <inttypes.h>

#include "layers/layer.h"

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  (void)config;
  for (int k = 1; in[k].n; k++)
    if (in[k].c != in[0].c || in[k].h != in[0].h || in[k].w != in[0].w)
      return CNN_FAIL(CNN_E_SHAPE,
                      "input %d is %" PRId64 "x%" PRId64 "x%" PRId64 ", but the first is %" PRId64 "x%" PRId64
                      "x%" PRId64 "; all must be alike",
                      k + 1, in[k].c, in[k].h, in[k].w, in[0].c, in[0].h, in[0].w);
  *out = in[0];
  return CNN_OK;
}

static void book(const void *config, struct ledger *ledger) {
  (void)config;
  ledger->in_place = true;
}

static void naive(const struct naive *s) {
  int64_t count = s->out.n * s->out.c * s->out.h * s->out.w;
  for (int64_t i = 0; i < count; i++) {
    s->y[i] = s->x[0][i];
    for (int k = 1; k < s->inputs; k++) s->y[i] += s->x[k][i];
    for (int k = 0; s->dy && k < s->inputs; k++) s->dx[k][i] = s->dy[i];
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct view *y = &s->y;
  for (int64_t n = shard.n0; n < shard.n1; n++) {
    float *to = y->data + n * y->image;
    const float *sum = s->x[0].data + n * s->x[0].image;
    for (int k = 1; k < s->inputs; k++, sum = to)
      s->kernels->add(to, sum, s->x[k].data + n * s->x[k].image, view_blocks(y) * y->plane);
  }
}

static void backward_data(const struct step *s, struct shard shard) {
  for (int k = 0; k < s->inputs; k++)
    if (s->dx[k].data && s->dx[k].data != s->dy.data) each_image(&s->dx[k], &s->dy, shard, copy_floats);
}

static const char *const examples[] = {"in=2x20x3x4,2x20x3x4", "in=3x5x1x1,3x5x1x1,3x5x1x1", NULL};

const struct layer_class layer_add = {
    .name = "add",
    .summary = "the sum of its inputs, element by element",
    .inputs = 2,
    .most_inputs = MAX_INPUTS,
    .shape = shape,
    .book = book,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
