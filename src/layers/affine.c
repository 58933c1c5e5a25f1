/* affine: y = x W^T + b, every output connected to every input (5.6 of the book; Figure 7-1).
 *
 * x is any (n, c, h, w); its elements are taken in the order they stand in memory, so nothing is
 * flattened. That order, counted by m = 0 .. K-1 over real channels, is also the order of the packed
 * weights and of the sums:
 *
 *     weight: panels of 16 units   [units/16][m = 0 .. K-1][16 units]     forward; gradients
 *     across: panels of 16 inputs  [place/16][unit][16 places]            backward_data
 *
 * where a place is a float of x's image, lanes past the last channel included. Weights are laid across part
 * by part as backward_data goes, in the thread's scratch: a copy of all of them would double the memory of a
 * network whose weights are mostly here. */
#include <string.h>

#include "layers/layer.h"

enum {
  WEIGHT,
  BIAS,
  WEIGHT_ROWS = 192,   /* rows of the weight gradient that one part computes, over the whole batch, */
  WEIGHT_PANELS = 16,  /* for so many panels of units */
  WEIGHT_IMAGES = 384, /* which are copied together so many at a time */
  PART_PANELS = 4,     /* panels of units that one part of forward computes, for PART_IMAGES at most */
  PART_IMAGES = 64,
  ACROSS_UNITS = 256,    /* backward_data lays so many units across at a time, */
  ACROSS_PANELS = 8,     /* and so many panels of places, which are one part */
  FEW_WEIGHTS = 1 << 14, /* up to so many: not worth parts, each group goes through on its own */
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
  int64_t run_count;
  int64_t unit_parts, image_parts; /* of forward; */
  bool images_first;   /* a thread's parts are next to each other: few images for all units, or the reverse */
  int64_t row_parts;   /* of backward_weights, for each WEIGHT_PANELS */
  struct run *runs;    /* the K inputs: x, weight; runs end where lanes hold no channel */
  int64_t span;        /* most floats of x from the first to the last row of a part */
  int64_t *part_at;    /* [row_parts]: x of a part's first row */
  int32_t *inputs_at;  /* [K]: x from there */
  int32_t *weights_at; /* [K]: gradient rows */
};

/* The next of so many that are left. */
static int64_t chunk(int64_t left, int64_t most) { return left < most ? left : most; }

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

/* The K inputs in their order: counts the runs, and fills the tables that are there. */
static void fill_inputs(const struct view *x, struct tables *t) {
  struct run last = {0};
  int64_t m = 0, first = 0;
  t->run_count = 0;
  for (int64_t b = 0; b < view_blocks(x); b++)
    for (int64_t pixel = 0; pixel < x->shape.h * x->shape.w; pixel++)
      for (int64_t c = 0; c < view_width(x, b); c++, m++) {
        int64_t at = b * x->plane + pixel * x->pixel + c;
        if (m == 0 || at != last.a + last.count) {
          last = (struct run){(int32_t)at, (int32_t)(m * BLOCK), 0};
          t->run_count++;
        }
        last.count++;
        if (t->runs) t->runs[t->run_count - 1] = last;
        if (m % WEIGHT_ROWS == 0) first = at;
        if (at - first + 1 > t->span) t->span = at - first + 1;
        if (!t->inputs_at) continue;
        t->part_at[m / WEIGHT_ROWS] = first;
        t->inputs_at[m] = (int32_t)(at - first);
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
  fill_inputs(x, t); /* count */
  t->runs = ledger_table(l, (size_t)t->run_count * sizeof *t->runs);
  if (l->training) {
    t->row_parts = (inputs + WEIGHT_ROWS - 1) / WEIGHT_ROWS;
    l->weight_parts = (panels + WEIGHT_PANELS - 1) / WEIGHT_PANELS * t->row_parts + 1; /* the last: biases */
    l->scratch = chunk(l->batch, WEIGHT_IMAGES) * (t->span + chunk(panels, WEIGHT_PANELS) * BLOCK);
    t->part_at = ledger_table(l, (size_t)t->row_parts * sizeof *t->part_at);
    t->inputs_at = ledger_table(l, (size_t)inputs * sizeof *t->inputs_at);
    t->weights_at = ledger_table(l, (size_t)inputs * sizeof *t->weights_at);
  }
  if (l->wants_dx && l->scratch < ACROSS_PANELS * ACROSS_UNITS * BLOCK)
    l->scratch = ACROSS_PANELS * ACROSS_UNITS * BLOCK;
  if (inputs * c->units > FEW_WEIGHTS) {
    t->unit_parts = (panels + PART_PANELS - 1) / PART_PANELS;
    t->image_parts = (l->batch + PART_IMAGES - 1) / PART_IMAGES;
    l->forward_parts = t->unit_parts * t->image_parts;
    t->images_first = 2 * l->batch >= c->units; /* x is more than the half of the weights that others wrote */
    if (l->wants_dx) l->data_parts = (places + ACROSS_PANELS - 1) / ACROSS_PANELS;
  }
  if (l->step) fill_inputs(x, t);
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

/* Panels from .. to - 1 of units, for images n0 .. n1 - 1. */
static void forward_panels(const struct step *s, int64_t from, int64_t to, int64_t n0, int64_t n1) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  int32_t rows[IMAGES], to_rows[IMAGES];
  image_rows(rows, IMAGES, s->x[0].image);
  image_rows(to_rows, IMAGES, s->y.image);
  for (int64_t n = n0; n < n1; n += IMAGES) {
    struct product p = {.a = s->x[0].data + n * s->x[0].image,
                        .b = s->weight + from * t->inputs * BLOCK,
                        .c = s->y.data + n * s->y.image + from * s->y.plane,
                        .a_row = rows,
                        .c_row = to_rows,
                        .runs = t->runs,
                        .a_step = 1,
                        .b_step = BLOCK,
                        .rows = n1 - n < IMAGES ? n1 - n : IMAGES,
                        .columns = (to * BLOCK < t->units ? to * BLOCK : t->units) - from * BLOCK,
                        .depth = t->inputs,
                        .b_panel = t->inputs * BLOCK,
                        .c_panel = s->y.plane,
                        .start = config->bias ? s->weight + s->weight_at[BIAS] + from * BLOCK : NULL};
    s->kernels->product(&p);
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct tables *t = s->tables;
  if (!t->unit_parts) {
    forward_panels(s, 0, t->panels, shard.n0, shard.n1);
    return;
  }
  int64_t unit = shard.part / t->image_parts, image = shard.part % t->image_parts,
          images = shard.n1 - shard.n0;
  if (t->images_first) unit = shard.part % t->unit_parts, image = shard.part / t->unit_parts;
  forward_panels(s, t->panels * unit / t->unit_parts, t->panels * (unit + 1) / t->unit_parts,
                 shard.n0 + images * image / t->image_parts,
                 shard.n0 + images * (image + 1) / t->image_parts);
}

/* Lay the weights of a panel of units, from `unit` on, and a panel of places across: [unit][16 places]. */
static void lay_across(const struct step *s, int64_t panel, int64_t unit, float *across) {
  const struct tables *t = s->tables;
  const struct view *x = &s->x[0];
  int64_t pixels = x->shape.h * x->shape.w, c = panel / pixels * BLOCK, pixel = panel % pixels;
  int64_t channels = x->shape.c - c < BLOCK ? x->shape.c - c : BLOCK;
  int64_t lanes = t->units - unit < BLOCK ? t->units - unit : BLOCK;
  int64_t h = pixel / x->shape.w, w = pixel % x->shape.w, m = order(x, c, h, w);
  const float *weight = s->weight + unit * t->inputs;
  if (x->block == BLOCK && m + BLOCK <= t->inputs) /* a last panel has 16 lanes, too */
    s->kernels->transpose(across, BLOCK, weight + m * BLOCK, BLOCK);
  else
    for (int64_t i = 0; i < channels; i++)
      for (int64_t lane = 0; lane < lanes; lane++)
        across[lane * BLOCK + i] = weight[order(x, c + i, h, w) * BLOCK + lane];
  for (int64_t i = channels; i < BLOCK; i++) /* of another pixel, or of none */
    for (int64_t lane = 0; lane < lanes; lane++) across[lane * BLOCK + i] = 0;
}

/* Places, ACROSS_PANELS panels at a time: all of them in turn, or part by part. The units are summed over in
 * blocks, each laid across when it is needed. */
static void backward_data(const struct step *s, struct shard shard) {
  const struct tables *t = s->tables;
  const struct view *dx = &s->dx[0];
  float *across = s->scratch + shard.thread * s->scratch_stride;
  int32_t rows[IMAGES], to_rows[IMAGES];
  image_rows(rows, IMAGES, s->dy.image);
  image_rows(to_rows, IMAGES, dx->image);
  int64_t from = t->unit_parts ? shard.part * ACROSS_PANELS : 0,
          end = t->unit_parts && from + ACROSS_PANELS < t->places ? from + ACROSS_PANELS : t->places;
  for (; from < end; from += ACROSS_PANELS)
    for (int64_t unit = 0; unit < t->units; unit += ACROSS_UNITS) {
      int64_t panels = end - from < ACROSS_PANELS ? end - from : ACROSS_PANELS;
      int64_t last = unit + ACROSS_UNITS < t->units ? unit + ACROSS_UNITS : t->units;
      struct run units = {0, 0, (int32_t)(last - unit)};
      for (int64_t u = unit; u < last; u += BLOCK) /* in the order in which weights stand in memory */
        for (int64_t i = 0; i < panels; i++)
          lay_across(s, from + i, u, across + i * ACROSS_UNITS * BLOCK + (u - unit) * BLOCK);
      for (int64_t n = shard.n0; n < shard.n1; n += IMAGES) {
        struct product p = {.a = s->dy.data + n * s->dy.image + unit,
                            .b = across,
                            .c = dx->data + n * dx->image + from * BLOCK,
                            .a_row = rows,
                            .c_row = to_rows,
                            .runs = &units,
                            .a_step = 1,
                            .b_step = BLOCK,
                            .rows = shard.n1 - n < IMAGES ? shard.n1 - n : IMAGES,
                            .columns = panels * BLOCK,
                            .depth = units.count,
                            .b_panel = ACROSS_UNITS * BLOCK,
                            .c_panel = BLOCK,
                            .add = unit > 0};
        s->kernels->product(&p);
      }
    }
}

static void backward_bias(const struct step *s, struct shard shard) {
  const struct tables *t = s->tables;
  float *to = s->gradient + s->weight_at[BIAS];
  for (int64_t panel = 0; panel < t->panels; panel++) {
    float lanes[BLOCK * BLOCK] = {0};
    s->kernels->sum_positions(lanes, s->dy.data + panel * s->dy.plane, s->dy.image, shard.batch);
    s->kernels->sum_lanes(to + panel * BLOCK, lanes);
  }
  if (shard.collector) shard.collector->take(shard.collector->context, to, t->panels * BLOCK);
}

/* Part p: some rows of the weight gradient, for some panels of units; one chain over the whole batch. What
 * it reads of each image is copied together first: images lie pages apart. */
static void backward_weights(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  int64_t first = shard.part / t->row_parts * WEIGHT_PANELS, from = shard.part % t->row_parts * WEIGHT_ROWS;
  if (first >= t->panels) {
    if (config->bias) backward_bias(s, shard);
    return;
  }
  int64_t panels = chunk(t->panels - first, WEIGHT_PANELS), rows = chunk(t->inputs - from, WEIGHT_ROWS);
  int64_t x_span = t->inputs_at[from + rows - 1] + 1, dy_span = panels * BLOCK;
  const float *x_from = s->x[0].data + t->part_at[from / WEIGHT_ROWS], *dy_from = s->dy.data + first * BLOCK;
  float *to = s->gradient + (first * t->inputs + from) * BLOCK;
  for (int64_t n0 = 0; n0 < shard.batch; n0 += WEIGHT_IMAGES) {
    struct run images = {0, 0, (int32_t)chunk(shard.batch - n0, WEIGHT_IMAGES)};
    float *dy = s->scratch + shard.thread * s->scratch_stride, *x = dy + images.count * dy_span;
    for (int64_t i = 0; i < images.count; i++) {
      memcpy(x + i * x_span, x_from + (n0 + i) * s->x[0].image, (size_t)x_span * sizeof *x);
      memcpy(dy + i * dy_span, dy_from + (n0 + i) * s->dy.image, (size_t)dy_span * sizeof *dy);
    }
    struct product p = {.a = x,
                        .b = dy,
                        .c = to,
                        .a_row = t->inputs_at + from,
                        .c_row = t->weights_at,
                        .runs = &images,
                        .a_step = x_span,
                        .b_step = dy_span,
                        .rows = rows,
                        .columns = chunk(t->units - first * BLOCK, dy_span),
                        .depth = images.count,
                        .b_panel = BLOCK,
                        .c_panel = t->inputs * BLOCK,
                        .add = n0 > 0};
    s->kernels->product(&p);
  }
  for (int64_t panel = 0; shard.collector && panel < panels; panel++)
    shard.collector->take(shard.collector->context, to + panel * t->inputs * BLOCK, rows * BLOCK);
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
    .reach = reach_plane,
    .sees = sees_all,
    .book = book,
    .place = place,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
    .examples = examples,
};
