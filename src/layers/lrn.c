/* lrn: local response normalisation across channels (Krizhevsky, Sutskever and Hinton 2012, section 3.3):
 *
 *     s_c = k + a * (sum of x_j^2 over the `size` channels j around c),    y_c = x_c / s_c^beta
 *
 * where a is alpha (alpha_of=sum, as in the paper) or alpha / size (alpha_of=mean, as in Caffe, ONNX and
 * PyTorch). Channels that do not exist count as 0. An even window has its odd channel below c, as in PyTorch:
 *
 *     j = c - size/2 .. c + (size - 1)/2
 *
 *     dx_i = dy_i / s_i^beta - 2 a beta x_i * (sum of dy_j y_j / s_j over all j whose window holds i) */
#include <math.h>

#include "layers/layer.h"

struct config {
  int64_t size;
  double alpha, beta, k;
  int alpha_of;
};

enum { ALPHA_OF_MEAN, ALPHA_OF_SUM };
static const char *const alpha_choices[] = {"mean", "sum", NULL};

static const struct param params[] = {
    {"size", PARAM_INTEGER, offsetof(struct config, size), "5", 1, 65536, NULL, "channels in the window"},
    {"alpha", PARAM_NUMBER, offsetof(struct config, alpha), "0.0001", 0, 1000000, NULL,
     "weight of the squares; see alpha_of"},
    {"beta", PARAM_NUMBER, offsetof(struct config, beta), "0.75", 0, 16, NULL,
     "exponent; 0.75 is the fastest"},
    {"k", PARAM_NUMBER, offsetof(struct config, k), "1", 0, 1000000, NULL,
     "what the squares are added to; at least 1e-6"},
    {"alpha_of", PARAM_CHOICE, offsetof(struct config, alpha_of), "mean", 0, 0, alpha_choices,
     "mean: alpha times the sum of squares over size (Caffe, ONNX, PyTorch); sum: alpha times the sum itself "
     "(the AlexNet paper)"},
    {0}};

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  const struct config *c = config;
  if (c->k < 1e-6) return CNN_FAIL(CNN_E_ARGUMENT, "k=%g is too small: it must be at least 1e-6", c->k);
  *out = in[0];
  return CNN_OK;
}

/* Channels of the window below its own, and above. */
static int64_t before(const struct config *c) { return c->size / 2; }
static int64_t after(const struct config *c) { return (c->size - 1) / 2; }

static bool sees(const void *config, const cnn_shape *in, int k, int64_t f, int64_t c) {
  (void)in, (void)k;
  return c >= f - before(config) && c <= f + after(config);
}

static double weight(const struct config *c) {
  return c->alpha_of == ALPHA_OF_SUM ? c->alpha : c->alpha / (double)c->size;
}

static int64_t round_up(int64_t n) { return (n + BLOCK - 1) / BLOCK * BLOCK; }

static int64_t line(const struct config *c, const struct view *x) {
  return round_up(before(c)) + view_blocks(x) * BLOCK + round_up(before(c));
}

static void book(const void *config, struct ledger *ledger) {
  const struct view *x = &ledger->x[0];
  ledger->keeps_x = true;
  ledger->scratch = LRN_PIXELS * line(config, x);
  if (ledger->training) ledger->saved = view_blocks(x) * x->shape.h * x->shape.w * BLOCK;
}

static void naive(const struct naive *s) {
  const struct config *c = s->config;
  int64_t channels = s->out.c, places = s->out.h * s->out.w;
  double a = weight(c);
  for (int64_t i = 0; s->dy && i < s->out.n * channels * places; i++) s->dx[0][i] = 0;
  for (int64_t i = 0; i < s->out.n * channels * places; i++) {
    int64_t own = i / places % channels, first = i - own * places;
    int64_t from = own < before(c) ? 0 : own - before(c);
    int64_t to = own + after(c) < channels ? own + after(c) : channels - 1;
    double sum = c->k;
    for (int64_t j = from; j <= to; j++) sum += a * s->x[0][first + j * places] * s->x[0][first + j * places];
    double factor = exp(-c->beta * log(sum)); /* pow(NaN, 0) would be 1 */
    s->y[i] = s->x[0][i] * factor;
    if (!s->dy) continue;
    s->dx[0][i] += s->dy[i] * factor;
    for (int64_t j = from; j <= to; j++)
      s->dx[0][first + j * places] -=
          2 * a * c->beta * s->x[0][first + j * places] * s->dy[i] * s->y[i] / sum;
  }
}

static struct lrn lrn_of(const struct step *s, struct shard shard) {
  const struct config *c = s->config;
  const struct view *x = &s->x[0];
  return (struct lrn){.channels = x->shape.c,
                      .blocks = view_blocks(x),
                      .before = before(c),
                      .after = after(c),
                      .lead = round_up(before(c)),
                      .line = line(c, x),
                      .plane = x->plane,
                      .alpha = (float)weight(c),
                      .k = (float)c->k,
                      .beta = (float)c->beta,
                      .slope = (float)(-2 * weight(c) * c->beta),
                      .quarter = c->beta == 0.75,
                      .scratch = s->scratch + shard.thread * s->scratch_stride};
}

static void forward(const struct step *s, struct shard shard) {
  struct lrn lrn = lrn_of(s, shard);
  const struct view *x = &s->x[0];
  for (int64_t n = shard.n0; n < shard.n1; n++)
    s->kernels->lrn_forward(&lrn, s->y.data + n * s->y.image, s->saved ? s->saved + n * s->image : NULL,
                            x->data + n * x->image, x->shape.h * x->shape.w);
}

static void backward_data(const struct step *s, struct shard shard) {
  struct lrn lrn = lrn_of(s, shard);
  const struct view *x = &s->x[0];
  for (int64_t n = shard.n0; n < shard.n1; n++)
    s->kernels->lrn_backward(&lrn, s->dx[0].data + n * s->dx[0].image, s->dy.data + n * s->dy.image,
                             x->data + n * x->image, s->saved + n * s->image, x->shape.h * x->shape.w);
}

static const char *const examples[] = {"in=2x16x3x4",
                                       "in=2x20x5x5 alpha=2",
                                       "in=1x3x4x5 size=3 alpha=1 k=2 alpha_of=sum",
                                       "in=2x37x3x3 size=4 alpha=3 beta=0.5",
                                       "in=2x18x2x7 size=2 alpha=1",
                                       "in=1x33x1x1 size=40 alpha=5 beta=1.25 k=0.5",
                                       NULL};

const struct layer_class layer_lrn = {
    .name = "lrn",
    .summary = "local response normalisation across channels",
    .config_size = sizeof(struct config),
    .params = params,
    .inputs = 1,
    .shape = shape,
    .sees = sees,
    .book = book,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
