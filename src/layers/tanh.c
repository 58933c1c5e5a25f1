/* tanh: hyperbolic tangent, element by element. With scale=1.7159 slope=0.66666667 it is LeNet-5's (LeCun et
 * al. 1998, appendix A): about x near 0, and 1 and -1 where its second derivative is largest. */
#include <math.h>

#include "layers/layer.h"

struct config {
  double scale, slope;
};

static const struct param params[] = {{"scale", PARAM_NUMBER, offsetof(struct config, scale), "1", 0, 1000,
                                       NULL, "factor of the result; at least 0.001"},
                                      {"slope", PARAM_NUMBER, offsetof(struct config, slope), "1", 0, 1000,
                                       NULL, "factor of x before; at least 0.001"},
                                      {0}};

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  const struct config *c = config;
  if (c->scale < 1e-3)
    return CNN_FAIL(CNN_E_ARGUMENT, "scale=%g is too small: it must be at least 0.001", c->scale);
  if (c->slope < 1e-3)
    return CNN_FAIL(CNN_E_ARGUMENT, "slope=%g is too small: it must be at least 0.001", c->slope);
  *out = in[0];
  return CNN_OK;
}

static bool is_plain(const struct config *c) { return c->scale == 1 && c->slope == 1; }

static void naive(const struct naive *s) {
  const struct config *c = s->config;
  int64_t count = s->out.n * s->out.c * s->out.h * s->out.w;
  for (int64_t i = 0; i < count; i++) {
    double t = tanh(c->slope * s->x[0][i]);
    s->y[i] = c->scale * t;
    if (s->dy) s->dx[0][i] = s->dy[i] * c->scale * c->slope * (1 - t * t);
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct config *c = s->config;
  const struct view *x = &s->x[0], *y = &s->y;
  if (is_plain(c)) {
    each_element(y, x, shard, s->kernels->tanh_forward);
    return;
  }
  for (int64_t n = shard.n0; n < shard.n1; n++)
    s->kernels->scaled_tanh_forward(y->data + n * y->image, x->data + n * x->image, (float)c->scale,
                                    (float)c->slope, view_blocks(y) * y->plane);
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct config *c = s->config;
  const struct view *dx = &s->dx[0], *dy = &s->dy, *y = &s->y;
  if (is_plain(c)) {
    each_image_backward(dx, dy, y, shard, s->kernels->tanh_backward);
    return;
  }
  for (int64_t n = shard.n0; n < shard.n1; n++)
    s->kernels->scaled_tanh_backward(dx->data + n * dx->image, dy->data + n * dy->image,
                                     y->data + n * y->image, (float)c->scale, (float)c->slope,
                                     view_blocks(y) * y->plane);
}

static const char *const examples[] = {"in=2x3x5x4", "in=2x100x1x1", "in=3x17x2x3",
                                       "in=2x6x5x5 scale=1.7159 slope=0.66666667", NULL};

const struct layer_class layer_tanh = {
    .name = "tanh",
    .summary = "hyperbolic tangent, element by element",
    .config_size = sizeof(struct config),
    .params = params,
    .inputs = 1,
    .shape = shape,
    .book = book_in_place,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
