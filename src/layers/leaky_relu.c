/* leaky-relu: x, or slope * x where x < 0, element by element (Maas, Hannun and Ng 2013, equation 2). Apart
 * from relu, whose slope of 0 would make NaN of -inf and forget the sign that backward needs. A maximum
 * may be taken before it; where rounding makes two y equal, its gradient then goes to the larger x. */
#include "layers/layer.h"

struct config {
  double slope;
};

static const struct param params[] = {{"slope", PARAM_NUMBER, offsetof(struct config, slope), "0.01", 0, 1,
                                       NULL, "factor of what is below 0; at least 1e-6, at most 1"},
                                      {0}};

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  const struct config *c = config;
  if (c->slope < 1e-6)
    return CNN_FAIL(CNN_E_ARGUMENT, "slope=%g is too small: it must be at least 1e-6; for 0 take relu",
                    c->slope);
  *out = in[0];
  return CNN_OK;
}

static void naive(const struct naive *s) {
  const struct config *c = s->config;
  int64_t count = s->out.n * s->out.c * s->out.h * s->out.w;
  for (int64_t i = 0; i < count; i++) {
    double x = s->x[0][i];
    s->y[i] = x < 0 ? c->slope * x : x;
    if (s->dy) s->dx[0][i] = x > 0 ? s->dy[i] : c->slope * s->dy[i];
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct config *c = s->config;
  const struct view *x = &s->x[0], *y = &s->y;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    s->kernels->leaky_relu_forward(y->data + n * y->image, x->data + n * x->image, (float)c->slope,
                                   view_blocks(y) * y->plane);
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct config *c = s->config;
  const struct view *dx = &s->dx[0], *dy = &s->dy, *y = &s->y;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    s->kernels->leaky_relu_backward(dx->data + n * dx->image, dy->data + n * dy->image,
                                    y->data + n * y->image, (float)c->slope, view_blocks(y) * y->plane);
}

static const char *const examples[] = {"in=2x3x5x4", "in=2x100x1x1 slope=0.3", "in=3x17x2x3 slope=1", NULL};

const struct layer_class layer_leaky_relu = {
    .name = "leaky-relu",
    .summary = "x, or slope * x where x < 0, element by element",
    .config_size = sizeof(struct config),
    .params = params,
    .inputs = 1,
    .before_max = true,
    .shape = shape,
    .book = book_in_place,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
