/* batchnorm: batch normalisation (Ioffe and Szegedy 2015, algorithms 1 and 2), channel by channel.
 *
 * In a training step, over the m = n h w values of a channel in the whole batch:
 *
 *     mean = sum of x / m,   var = sum of (x - mean)^2 / m,   x^ = (x - mean) / sqrt(var + epsilon)
 *     y = weight x^ + bias
 *     dbias = sum of dy,   dweight = sum of dy x^
 *     dx = weight / sqrt(var + epsilon) (dy - dbias / m - x^ dweight / m)
 *
 * Elsewhere mean and var are running_mean and running_var, which follow those of the steps that were trained:
 * running = (1 - momentum) running + momentum batch, as in PyTorch; var with m - 1 in place of m, and not of
 * a single value.
 *
 * Sums of an image are float32 around its own mean; they are joined, and all that is one value a channel is
 * computed, in double, images in ascending order. A mean is a float and what it lacks, `low`, so that a large
 * one costs no digits of x - mean. */
#include <math.h>

#include "layers/layer.h"

struct config {
  double epsilon, momentum;
};

static const struct param params[] = {
    {"epsilon", PARAM_NUMBER, offsetof(struct config, epsilon), "1e-05", 0, 1, NULL,
     "added to the variance; at least 1e-12"},
    {"momentum", PARAM_NUMBER, offsetof(struct config, momentum), "0.1", 0, 1, NULL,
     "the share of a step's mean and variance in the running ones"},
    {0}};

enum { WEIGHT, BIAS };                                /* trained */
enum { MEAN, VARIANCE };                              /* states */
enum { IMAGE_MEAN, IMAGE_SUM, IMAGE_SQUARES, SAVED }; /* saved of an image and block: 16 floats each */

/* One value a channel, whole blocks. Those of the last step: */
struct tables {
  float *mean, *scale, *shift;      /* y = (x - mean) scale + shift */
  float *slope, *rest;              /* dx = dy scale + (x - mean) slope + rest */
  double *low, *inverse, *variance; /* the mean is mean + low; 1 / sqrt(var + epsilon); by m - 1 */
  float *fixed_scale;               /* scale by running_var */
};

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  const struct config *c = config;
  if (c->epsilon < 1e-12)
    return CNN_FAIL(CNN_E_ARGUMENT, "epsilon=%g is too small: it must be at least 1e-12", c->epsilon);
  *out = in[0];
  return CNN_OK;
}

static void book(const void *config, struct ledger *l) {
  (void)config;
  int64_t channels = l->y.shape.c, blocks = view_blocks(&l->y), floats = blocks * BLOCK;
  size_t single = (size_t)floats * sizeof(float), twice = (size_t)floats * sizeof(double);
  ledger_weight(l, "weight", 1, &channels, floats, (struct init){INIT_CONSTANT, 1}, channels);
  ledger_weight(l, "bias", 1, &channels, floats, (struct init){INIT_ZEROS, 0}, channels);
  struct tables counted, *t = ledger_table(l, sizeof *t);
  if (!t) t = &counted;
  ledger_state(l, "running_mean", channels, (struct init){INIT_ZEROS, 0});
  ledger_state(l, "running_var", channels, (struct init){INIT_CONSTANT, 1});
  t->fixed_scale = ledger_table(l, single);
  l->prepare_parts = blocks;
  l->in_place = !l->training;
  if (!l->training) return;
  t->mean = ledger_table(l, single);
  t->scale = ledger_table(l, single);
  t->shift = ledger_table(l, single);
  t->slope = ledger_table(l, single);
  t->rest = ledger_table(l, single);
  t->low = ledger_table(l, twice);
  t->inverse = ledger_table(l, twice);
  t->variance = ledger_table(l, twice);
  l->keeps_x = true;
  l->saved = blocks * SAVED * BLOCK;
  l->batch_parts = blocks;
}

static int64_t place(const struct step *s, int weight, int64_t i) { return s->weight_at[weight] + i; }

/* ---- The plain loops ---- */

/* Mean and variance of channel c: of the batch, or the running ones. */
static void naive_moments(const struct naive *s, int64_t c, double *mean, double *variance) {
  int64_t places = s->out.h * s->out.w, m = s->out.n * places;
  if (!s->chance) {
    *mean = s->state[MEAN][c];
    *variance = s->state[VARIANCE][c];
    return;
  }
  *mean = *variance = 0;
  for (int64_t i = 0; i < m; i++)
    *mean += s->x[0][(i / places * s->out.c + c) * places + i % places] / (double)m;
  for (int64_t i = 0; i < m; i++) {
    double d = s->x[0][(i / places * s->out.c + c) * places + i % places] - *mean;
    *variance += d * d / (double)m;
  }
}

static void naive(const struct naive *s) {
  const struct config *config = s->config;
  int64_t places = s->out.h * s->out.w, m = s->out.n * places;
  for (int64_t c = 0; c < s->out.c; c++) {
    double mean, variance, bias = 0, weight = 0;
    naive_moments(s, c, &mean, &variance);
    double inverse = 1 / sqrt(variance + config->epsilon), scale = s->weight[WEIGHT][c] * inverse;
    for (int64_t i = 0; i < m; i++) {
      int64_t at = (i / places * s->out.c + c) * places + i % places;
      s->y[at] = (s->x[0][at] - mean) * scale + s->weight[BIAS][c];
      if (!s->dy) continue;
      bias += s->dy[at];
      weight += s->dy[at] * (s->x[0][at] - mean) * inverse;
    }
    if (!s->dy) continue;
    s->dweight[WEIGHT][c] = weight;
    s->dweight[BIAS][c] = bias;
    for (int64_t i = 0; i < m; i++) {
      int64_t at = (i / places * s->out.c + c) * places + i % places;
      double normal = (s->x[0][at] - mean) * inverse;
      s->dx[0][at] = scale * (s->dy[at] - (bias + normal * weight) / (double)m);
    }
  }
}

/* ---- Forward ---- */

static int64_t pixels_of(const struct view *v) { return v->shape.h * v->shape.w; }

/* What measure() saved of image n and channel block b. */
static float *measured(const struct step *s, int64_t n, int64_t b) {
  return s->saved + n * s->image + b * SAVED * BLOCK;
}

/* Of each image its mean, rounded; and the sums of x - mean and of its square. */
static void measure(const struct step *s, struct shard shard) {
  const struct view *x = &s->x[0];
  int64_t pixels = pixels_of(x);
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(x); b++) {
      float *to = measured(s, n, b), *mean = to + IMAGE_MEAN * BLOCK;
      const float *from = x->data + n * x->image + b * x->plane;
      s->kernels->channel_sums(mean, from, pixels);
      for (int c = 0; c < BLOCK; c++) mean[c] = mean[c] / (float)pixels;
      s->kernels->channel_products(to + IMAGE_SUM * BLOCK, to + IMAGE_SQUARES * BLOCK, NULL, from, mean,
                                   pixels);
    }
}

/* Mean and sum of squares around it of one channel: those of the images, each corrected for the rounding of
 * its mean, joined as by Chan, Golub and LeVeque (1983, "Algorithms for computing the sample variance",
 * equations 1.7 and 2.1). */
static void join_images(const struct step *s, int64_t batch, int64_t b, int c, double *mean,
                        double *squares) {
  double pixels = (double)pixels_of(&s->x[0]);
  *mean = *squares = 0;
  for (int64_t n = 0; n < batch; n++) {
    const float *own = measured(s, n, b) + c;
    *mean += (double)own[IMAGE_MEAN * BLOCK] + (double)own[IMAGE_SUM * BLOCK] / pixels;
  }
  *mean /= (double)batch;
  for (int64_t n = 0; n < batch; n++) {
    const float *own = measured(s, n, b) + c;
    double sum = (double)own[IMAGE_SUM * BLOCK];
    double apart = (double)own[IMAGE_MEAN * BLOCK] + sum / pixels - *mean;
    *squares += (double)own[IMAGE_SQUARES * BLOCK] - sum * sum / pixels + pixels * apart * apart;
  }
  if (*squares < 0) *squares = 0; /* of a channel that is the same everywhere, by rounding */
}

/* Channel block `part`: the batch's mean and variance, and what forward takes of them. */
static void settle(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  double m = (double)(shard.batch * pixels_of(&s->x[0]));
  for (int c = 0; c < view_width(&s->x[0], shard.part); c++) {
    int64_t i = shard.part * BLOCK + c;
    double mean, squares;
    join_images(s, shard.batch, shard.part, c, &mean, &squares);
    t->mean[i] = (float)mean;
    t->low[i] = mean - (double)t->mean[i];
    t->variance[i] = squares / (m - 1);
    t->inverse[i] = 1 / sqrt(squares / m + config->epsilon);
    double scale = (double)s->weight[s->weight_at[WEIGHT] + i] * t->inverse[i];
    t->scale[i] = (float)scale;
    t->shift[i] = (float)((double)s->weight[s->weight_at[BIAS] + i] - t->low[i] * scale);
  }
}

/* Channel block `part`: what forward takes of the running mean and variance. */
static void prepare(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  for (int64_t i = shard.part * BLOCK; i < (shard.part + 1) * BLOCK; i++)
    t->fixed_scale[i] = (float)((double)s->weight[s->weight_at[WEIGHT] + i] /
                                sqrt((double)s->state[VARIANCE][i] + config->epsilon));
}

static void forward(const struct step *s, struct shard shard) {
  const struct tables *t = s->tables;
  const struct view *x = &s->x[0], *y = &s->y;
  bool training = shard.chance != NULL;
  const float *mean = training ? t->mean : s->state[MEAN];
  const float *scale = training ? t->scale : t->fixed_scale;
  const float *shift = training ? t->shift : s->weight + s->weight_at[BIAS];
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(x); b++)
      s->kernels->channel_scale(y->data + n * y->image + b * y->plane, x->data + n * x->image + b * x->plane,
                                mean + b * BLOCK, scale + b * BLOCK, shift + b * BLOCK, pixels_of(x));
}

/* The running mean and variance follow the batch's. */
static void follow(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  double share = config->momentum;
  bool single = shard.batch * pixels_of(&s->x[0]) == 1;
  for (int64_t i = 0; i < s->x[0].shape.c; i++) {
    float *mean = &s->state[MEAN][i], *variance = &s->state[VARIANCE][i];
    *mean = (float)((1 - share) * (double)*mean + share * ((double)t->mean[i] + t->low[i]));
    if (!single) *variance = (float)((1 - share) * (double)*variance + share * t->variance[i]);
  }
}

/* ---- Backward ---- */

/* Group sums of dy, and, where dweight is to be, of dy (x - mean). */
static void backward_weights(const struct step *s, struct shard shard) {
  const struct tables *t = s->tables;
  const struct view *x = &s->x[0], *dy = &s->dy;
  for (int64_t n = shard.n0; n < shard.n1; n++) {
    float *partial = s->partial + n / s->group * s->partial_stride;
    for (int64_t b = 0; b < view_blocks(x); b++) {
      float sum[BLOCK], product[BLOCK];
      float *sums = partial + s->weight_at[BIAS] + b * BLOCK;
      float *products = partial + s->weight_at[WEIGHT] + b * BLOCK;
      bool first = n % s->group == 0;
      s->kernels->channel_products(first ? sums : sum, first ? products : product,
                                   dy->data + n * dy->image + b * dy->plane,
                                   x->data + n * x->image + b * x->plane, t->mean + b * BLOCK, pixels_of(x));
      if (first) continue;
      s->kernels->add(sums, sums, sum, BLOCK);
      s->kernels->add(products, products, product, BLOCK);
    }
  }
}

/* Channel block `part`: the gradients, and what backward_data() takes of them. */
static void settle_backward(const struct step *s, struct shard shard) {
  const struct tables *t = s->tables;
  int64_t groups = (shard.batch + s->group - 1) / s->group, first = shard.part * BLOCK;
  double m = (double)(shard.batch * pixels_of(&s->x[0]));
  float *weight = s->gradient + s->weight_at[WEIGHT] + first,
        *bias = s->gradient + s->weight_at[BIAS] + first;
  sum_groups(s->kernels, weight, s->partial + s->weight_at[WEIGHT] + first, groups, s->partial_stride, BLOCK);
  sum_groups(s->kernels, bias, s->partial + s->weight_at[BIAS] + first, groups, s->partial_stride, BLOCK);
  for (int64_t c = 0; c < view_width(&s->x[0], shard.part); c++) {
    int64_t i = first + c;
    double scale = (double)s->weight[s->weight_at[WEIGHT] + i] * t->inverse[i];
    double gradient = ((double)weight[c] - t->low[i] * (double)bias[c]) * t->inverse[i];
    double slope = -scale * t->inverse[i] * gradient / m;
    weight[c] = (float)gradient;
    t->slope[i] = (float)slope;
    t->rest[i] = (float)(-scale * (double)bias[c] / m - slope * t->low[i]);
  }
  for (int64_t c = view_width(&s->x[0], shard.part); c < BLOCK; c++) weight[c] = bias[c] = 0;
}

/* As inference has it: mean and variance are constants, so dx = dy * scale. */
static void backward_fixed(const struct step *s, struct shard shard) {
  static const float zeros[BLOCK];
  const struct tables *t = s->tables;
  const struct view *dx = &s->dx[0], *dy = &s->dy;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(dx); b++)
      s->kernels->channel_scale(dx->data + n * dx->image + b * dx->plane,
                                dy->data + n * dy->image + b * dy->plane, zeros, t->fixed_scale + b * BLOCK,
                                zeros, pixels_of(dx));
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct tables *t = s->tables;
  const struct view *x = &s->x[0], *dx = &s->dx[0], *dy = &s->dy;
  if (!shard.chance) {
    backward_fixed(s, shard);
    return;
  }
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(x); b++)
      s->kernels->channel_scale_backward(
          dx->data + n * dx->image + b * dx->plane, dy->data + n * dy->image + b * dy->plane,
          x->data + n * x->image + b * x->plane, t->mean + b * BLOCK, t->scale + b * BLOCK,
          t->slope + b * BLOCK, t->rest + b * BLOCK, pixels_of(x));
}

static const char *const examples[] = {"in=4x20x3x5", "in=9x16x1x1 epsilon=0.001",
                                       "in=3x37x2x2 momentum=0.01", "in=2x3x5x7", NULL};

const struct layer_class layer_batchnorm = {
    .name = "batchnorm",
    .summary = "each channel to mean 0 and variance 1 over the batch, then scaled and shifted",
    .config_size = sizeof(struct config),
    .params = params,
    .inputs = 1,
    .shape = shape,
    .book = book,
    .place = place,
    .naive = naive,
    .prepare = prepare,
    .measure = measure,
    .settle = settle,
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
    .settle_backward = settle_backward,
    .follow = follow,
    .examples = examples,
};
