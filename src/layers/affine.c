/* affine: y = x W^T + b, every output connected to every input (5.6 of the book; Figure 7-1).
 *
 * x is any (n, c, h, w); its elements are taken in the order they stand in memory, so nothing is
 * flattened. That order, counted by m = 0 .. K-1 over real channels, is also the order of the packed
 * weights and of the sums:
 *
 *     weight: panels of 16 units   [units/16][m = 0 .. K-1][16 units]     forward; gradients
 *     across: panels of 16 inputs  [place/16][unit][16 places]            backward_data; made by prepare()
 *
 * where a place is a float of x's image, lanes past the last channel included. */
#include <string.h>

#include "layers/layer.h"

enum {
  WEIGHT,
  BIAS,
  PART_ROWS = 96,  /* rows of the weight gradient that one part computes, over the whole batch */
  PART_PANELS = 8, /* panels that one part of prepare() lays across */
};

struct config {
  int64_t units;
  bool bias;
  struct init init, bias_init;
};

static const struct param params[] = {
    {"units", PARAM_INTEGER, offsetof(struct config, units), NULL, 1, 1 << 24, NULL, "outputs"},
    {"bias", PARAM_FLAG, offsetof(struct config, bias), "yes", 0, 0, NULL, "add a bias to each output"},
    {"init", PARAM_INIT, offsetof(struct config, init), "he", 0, 0, NULL,
     "how weights start: normal:STD, xavier, he, zeros or constant:VALUE"},
    {"bias_init", PARAM_INIT, offsetof(struct config, bias_init), "zeros", 0, 0, NULL,
     "how biases start, likewise"},
    {0}};

struct tables {
  int64_t inputs, units, panels; /* K; panels of 16 units */
  int64_t places;                /* in panels of 16 */
  struct tap *forward_taps;      /* [K]: x, weight */
  int32_t *inputs_at;            /* [K]: x */
  int32_t *weights_at;           /* [K]: gradient rows */
  struct tap *across_taps;       /* [units]: dy, across */
  struct tap *image_taps;        /* [group]: x, dy */
  float *across;
};

static int64_t input_count(const struct view *x) { return x->shape.c * x->shape.h * x->shape.w; }

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  const struct config *c = config;
  int64_t count;
  CNN_TRY(cnn_shape_count((cnn_shape){c->units, in[0].c, in[0].h, in[0].w}, &count));
  if (count > INT32_MAX - 64 * c->units)
    return CNN_FAIL(CNN_E_SHAPE, "units=%lld with %lld inputs has too many weights: at most 2^31",
                    (long long)c->units, (long long)(count / c->units));
  *out = (cnn_shape){in[0].n, c->units, 1, 1};
  return CNN_OK;
}

/* m of channel c, row h, column w: places in memory order, lanes past the last channel left out. */
static int64_t order(const struct view *x, int64_t c, int64_t h, int64_t w) {
  int64_t b = c / x->block, before = b * x->block * x->shape.h * x->shape.w;
  return before + (h * x->shape.w + w) * view_width(x, b) + c % x->block;
}

static void fill_inputs(const struct ledger *l, struct tables *t) {
  const struct view *x = &l->x[0];
  for (int64_t c = 0; c < x->shape.c; c++)
    for (int64_t h = 0; h < x->shape.h; h++)
      for (int64_t w = 0; w < x->shape.w; w++) {
        int64_t m = order(x, c, h, w);
        int32_t at = (int32_t)view_offset(x, 0, c, h, w);
        t->forward_taps[m] = (struct tap){at, (int32_t)(m * BLOCK)};
        t->inputs_at[m] = at;
        t->weights_at[m] = (int32_t)(m * BLOCK);
      }
}

static void book(const void *config, struct ledger *l) {
  const struct config *c = config;
  const struct view *x = &l->x[0];
  int64_t inputs = input_count(x), panels = (c->units + BLOCK - 1) / BLOCK;
  int64_t places = (x->shape.c + BLOCK - 1) / BLOCK * x->shape.h * x->shape.w;
  l->keeps_x = true;
  l->whole_batch = true;
  l->multiply_adds = inputs * c->units;
  ledger_weight(l, "weight", 2, (int64_t[]){c->units, inputs}, panels * inputs * BLOCK, c->init, inputs);
  if (c->bias) ledger_weight(l, "bias", 1, &c->units, panels * BLOCK, c->bias_init, inputs);

  struct tables counted, *t = ledger_table(l, sizeof *t);
  if (!t) t = &counted;
  *t = (struct tables){.inputs = inputs, .units = c->units, .panels = panels, .places = places};
  t->forward_taps = ledger_table(l, (size_t)inputs * sizeof *t->forward_taps);
  t->inputs_at = ledger_table(l, (size_t)inputs * sizeof *t->inputs_at);
  t->weights_at = ledger_table(l, (size_t)inputs * sizeof *t->weights_at);
  t->across_taps = ledger_table(l, (size_t)c->units * sizeof *t->across_taps);
  if (l->training) {
    int64_t groups = (l->batch + l->group - 1) / l->group;
    l->weight_parts = (inputs + PART_ROWS - 1) / PART_ROWS + 1; /* the last one: biases */
    l->scratch = groups * panels * BLOCK * PART_ROWS;
    t->image_taps = ledger_table(l, (size_t)l->group * sizeof *t->image_taps);
  }
  if (l->wants_dx) {
    l->prepare_parts = (places + PART_PANELS - 1) / PART_PANELS;
    t->across = ledger_table(l, (size_t)(places * c->units * BLOCK) * sizeof *t->across);
  }
  if (!l->step) return;
  fill_inputs(l, t);
  for (int64_t u = 0; l->training && u < c->units; u++)
    t->across_taps[u] = (struct tap){(int32_t)view_offset(&l->step->dy, 0, u, 0, 0), (int32_t)(u * BLOCK)};
  for (int64_t n = 0; t->image_taps && n < l->group; n++)
    t->image_taps[n] = (struct tap){(int32_t)(n * x->image), (int32_t)(n * l->y.image)};
}

static int64_t place(const struct step *s, int weight, int64_t i) {
  const struct tables *t = s->tables;
  const cnn_shape *x = &s->x[0].shape;
  if (weight == BIAS) return s->weight_at[BIAS] + i;
  int64_t unit = i / t->inputs, k = i % t->inputs, w = k % x->w, h = k / x->w % x->h, c = k / x->w / x->h;
  return (unit / BLOCK * t->inputs + order(&s->x[0], c, h, w)) * BLOCK + unit % BLOCK;
}

static void naive(const struct naive *s) {
  const struct config *config = s->config;
  int64_t inputs = s->in[0].c * s->in[0].h * s->in[0].w, units = config->units, batch = s->in[0].n;
  for (int64_t n = 0; n < batch; n++)
    for (int64_t u = 0; u < units; u++) {
      double sum = config->bias ? s->weight[BIAS][u] : 0;
      for (int64_t k = 0; k < inputs; k++) sum += s->x[0][n * inputs + k] * s->weight[WEIGHT][u * inputs + k];
      s->y[n * units + u] = sum;
    }
  if (!s->dy) return;
  for (int64_t n = 0; n < batch; n++)
    for (int64_t k = 0; k < inputs; k++) {
      double sum = 0;
      for (int64_t u = 0; u < units; u++) sum += s->dy[n * units + u] * s->weight[WEIGHT][u * inputs + k];
      s->dx[0][n * inputs + k] = sum;
    }
  for (int64_t u = 0; u < units; u++) {
    double bias = 0;
    for (int64_t k = 0; k < inputs; k++) {
      double sum = 0;
      for (int64_t n = 0; n < batch; n++) sum += s->dy[n * units + u] * s->x[0][n * inputs + k];
      s->dweight[WEIGHT][u * inputs + k] = sum;
    }
    for (int64_t n = 0; n < batch; n++) bias += s->dy[n * units + u];
    if (config->bias) s->dweight[BIAS][u] = bias;
  }
}

/* Rows of a product are images here; a few at a time, so that their offsets stay within 32 bits and
 * on the stack. */
enum { IMAGES = 64 };

static void image_rows(int32_t *rows, int64_t count, int64_t image) {
  for (int64_t i = 0; i < count; i++) rows[i] = (int32_t)(i * image);
}

static void forward(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  int32_t rows[IMAGES];
  image_rows(rows, IMAGES, s->y.image);
  for (int64_t n = shard.n0; n < shard.n1; n += IMAGES) {
    struct product p = {.a = s->x[0].data + n * s->x[0].image,
                        .b = s->weight,
                        .c = s->y.data + n * s->y.image,
                        .a_row = rows,
                        .c_row = rows,
                        .taps = t->forward_taps,
                        .rows = shard.n1 - n < IMAGES ? shard.n1 - n : IMAGES,
                        .columns = t->units,
                        .depth = t->inputs,
                        .b_panel = t->inputs * BLOCK,
                        .c_panel = s->y.plane,
                        .start = config->bias ? s->weight + s->weight_at[BIAS] : NULL};
    s->kernels->product(&p);
  }
}

/* Lay the weights of PART_PANELS panels of places across. */
static void prepare(const struct step *s, struct shard shard) {
  const struct tables *t = s->tables;
  const struct view *x = &s->x[0];
  int64_t end = (shard.part + 1) * PART_PANELS < t->places ? (shard.part + 1) * PART_PANELS : t->places;
  for (int64_t panel = shard.part * PART_PANELS; panel < end; panel++) {
    int64_t w = panel % x->shape.w, h = panel / x->shape.w % x->shape.h,
            c = panel / x->shape.w / x->shape.h * BLOCK;
    int64_t channels = x->shape.c - c < BLOCK ? x->shape.c - c : BLOCK, m = order(x, c, h, w);
    for (int64_t unit = 0; unit < t->units; unit += BLOCK) {
      int64_t lanes = t->units - unit < BLOCK ? t->units - unit : BLOCK;
      float *to = t->across + (panel * t->units + unit) * BLOCK;
      const float *from = s->weight + unit * t->inputs;
      if (x->block == BLOCK && lanes == BLOCK && m + BLOCK <= t->inputs) {
        s->kernels->transpose(to, BLOCK, from + m * BLOCK, BLOCK);
        for (int64_t i = channels; i < BLOCK; i++) /* of another pixel */
          for (int64_t lane = 0; lane < BLOCK; lane++) to[lane * BLOCK + i] = 0;
      } else {
        for (int64_t i = 0; i < channels; i++)
          for (int64_t lane = 0; lane < lanes; lane++)
            to[lane * BLOCK + i] = from[order(x, c + i, h, w) * BLOCK + lane];
      }
    }
  }
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct tables *t = s->tables;
  const struct view *dx = &s->dx[0];
  bool halo = dx->row != dx->shape.w * BLOCK; /* then a product cannot run on from row to row */
  int64_t height = halo ? 1 : dx->shape.h, places = height * dx->shape.w;
  int32_t rows[IMAGES];
  image_rows(rows, IMAGES, dx->image);
  for (int64_t n = shard.n0; n < shard.n1; n += IMAGES)
    for (int64_t b = 0; b < view_blocks(dx); b++)
      for (int64_t h = 0; h < dx->shape.h; h += height) {
        struct product p = {.a = s->dy.data + n * s->dy.image,
                            .b = t->across + (b * dx->shape.h + h) * dx->shape.w * t->units * BLOCK,
                            .c = dx->data + n * dx->image + b * dx->plane + h * dx->row,
                            .a_row = rows,
                            .c_row = rows,
                            .taps = t->across_taps,
                            .rows = shard.n1 - n < IMAGES ? shard.n1 - n : IMAGES,
                            .columns = places * BLOCK,
                            .depth = t->units,
                            .b_panel = t->units * BLOCK,
                            .c_panel = BLOCK};
        s->kernels->product(&p);
      }
}

/* Images of gradient group g among the first `batch`. */
static int64_t group_size(const struct step *s, int64_t g, int64_t batch) {
  return batch - g * s->group < s->group ? batch - g * s->group : s->group;
}

static void backward_bias(const struct step *s, int64_t batch, float *sums) {
  const struct tables *t = s->tables;
  int64_t groups = (batch + s->group - 1) / s->group, count = t->panels * BLOCK;
  for (int64_t g = 0; g < groups; g++)
    for (int64_t panel = 0; panel < t->panels; panel++) {
      float lanes[BLOCK * BLOCK] = {0};
      s->kernels->sum_positions(lanes, s->dy.data + g * s->group * s->dy.image + panel * s->dy.plane,
                                t->image_taps, group_size(s, g, batch));
      s->kernels->sum_lanes(sums + g * count + panel * BLOCK, lanes);
    }
  sum_groups(s->kernels, sums, groups, count, count);
  memcpy(s->gradient + s->weight_at[BIAS], sums, (size_t)count * sizeof *sums);
}

/* Part p: rows p * PART_ROWS ... of the weight gradient, for all units, one chain a group of images. */
static void backward_weights(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  float *sums = s->scratch + shard.thread * s->scratch_stride;
  int64_t from = shard.part * PART_ROWS, batch = shard.batch, groups = (batch + s->group - 1) / s->group;
  if (from >= t->inputs) {
    if (config->bias) backward_bias(s, batch, sums);
    return;
  }
  int64_t rows = t->inputs - from < PART_ROWS ? t->inputs - from : PART_ROWS,
          count = t->panels * rows * BLOCK;
  for (int64_t g = 0; g < groups; g++) {
    struct product p = {.a = s->x[0].data + g * s->group * s->x[0].image,
                        .b = s->dy.data + g * s->group * s->dy.image,
                        .c = sums + g * count,
                        .a_row = t->inputs_at + from,
                        .c_row = t->weights_at,
                        .taps = t->image_taps,
                        .rows = rows,
                        .columns = t->units,
                        .depth = group_size(s, g, batch),
                        .b_panel = s->dy.plane,
                        .c_panel = rows * BLOCK};
    s->kernels->product(&p);
  }
  sum_groups(s->kernels, sums, groups, count, count);
  for (int64_t panel = 0; panel < t->panels; panel++)
    memcpy(s->gradient + (panel * t->inputs + from) * BLOCK, sums + panel * rows * BLOCK,
           (size_t)(rows * BLOCK) * sizeof *sums);
}

static const char *const examples[] = {"in=3x4x3x5 units=7",     "in=2x20x1x1 units=10 bias=no",
                                       "in=5x37x2x2 units=18",   "in=9x1x6x6 units=33 init=xavier",
                                       "in=2x130x1x1 units=100", NULL};

const struct layer_class layer_affine = {
    .name = "affine",
    .summary = "every output connected to every input",
    .config_size = sizeof(struct config),
    .params = params,
    .inputs = 1,
    .any_block = true,
    .shape = shape,
    .book = book,
    .place = place,
    .naive = naive,
    .prepare = prepare,
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
    .examples = examples,
};
