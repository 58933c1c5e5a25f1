/* elu: x, or alpha (e^x - 1) where x < 0, element by element (Clevert, Unterthiner and Hochreiter 2015,
 * equation 16). Of two floats the larger never gives the smaller y, so a maximum may as well be taken before;
 * where rounding makes two y equal, its gradient then goes to the larger x. */
#include <math.h>

#include "layers/layer.h"

struct config {
  double alpha;
};

static const struct param params[] = {{"alpha", PARAM_NUMBER, offsetof(struct config, alpha), "1", 0, 1000000,
                                       NULL, "minus the value that is approached far below 0"},
                                      {0}};

static void naive(const struct naive *s) {
  const struct config *c = s->config;
  int64_t count = s->out.n * s->out.c * s->out.h * s->out.w;
  for (int64_t i = 0; i < count; i++) {
    double x = s->x[0][i];
    s->y[i] = x < 0 ? c->alpha * expm1(x) : x;
    if (s->dy) s->dx[0][i] = x > 0 ? s->dy[i] : s->dy[i] * c->alpha * exp(x);
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct config *c = s->config;
  const struct view *x = &s->x[0], *y = &s->y;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    s->kernels->elu_forward(y->data + n * y->image, x->data + n * x->image, (float)c->alpha,
                            view_blocks(y) * y->plane);
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct config *c = s->config;
  const struct view *dx = &s->dx[0], *dy = &s->dy, *y = &s->y;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    s->kernels->elu_backward(dx->data + n * dx->image, dy->data + n * dy->image, y->data + n * y->image,
                             (float)c->alpha, view_blocks(y) * y->plane);
}

static const char *const examples[] = {"in=2x3x5x4", "in=2x100x1x1 alpha=0.5", "in=3x17x2x3 alpha=2", NULL};

const struct layer_class layer_elu = {
    .name = "elu",
    .summary = "x, or alpha (e^x - 1) where x < 0, element by element",
    .config_size = sizeof(struct config),
    .params = params,
    .inputs = 1,
    .before_max = true,
    .shape = same_shape,
    .book = book_in_place,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
