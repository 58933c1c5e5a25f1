/* table-conv: convolution in which each filter sees only some of the channels, by a table of connections, as
 * layer C3 of LeNet-5 has it (LeCun et al. 1998, section II-B and table I). Weights of connections that are
 * not there do not exist: weight is [connections][fh][fw], filter by filter, channels rising. Stride 1.
 *
 * In the plan weights stand in panels of 16 filters with all channels, [filter/16][channel][fh][fw][16];
 * those that do not exist are 0, have a gradient of 0, and are never added (kernels/body_table_conv.h), so an
 * infinity in a channel stays with the filters that see it. backward_data is the same convolution of dy, with
 * the table read the other way and filters turned round. */
#include <inttypes.h>
#include <string.h>

#include "layers/layer.h"

enum { WEIGHT, BIAS };

struct config {
  struct connections connections;
  int64_t kernel[2], pad[2];
  struct init init, bias_init;
};

static const struct param params[] = {
    {"connections", PARAM_TABLE, offsetof(struct config, connections), NULL, 0, 0, NULL,
     "the channels that each filter sees, filter by filter"},
    {"kernel", PARAM_PAIR, offsetof(struct config, kernel), NULL, 1, 1024, NULL,
     "height and width of a filter"},
    {"pad", PARAM_PAIR, offsetof(struct config, pad), "0", 0, 1024, NULL,
     "rows and columns of zeros on each side; less than the kernel"},
    {"init", PARAM_INIT, offsetof(struct config, init), "he", 0, 0, NULL,
     "how weights start: normal:STD, xavier, he, zeros or constant:VALUE; fan-in is the filters' mean"},
    {"bias_init", PARAM_INIT, offsetof(struct config, bias_init), "zeros", 0, 0, NULL,
     "how biases start, likewise"},
    {0}};

struct tables {
  int64_t channels, filters, taps; /* taps: fh * fw */
  int32_t *at;                     /* [connections]: where its first tap stands in the packed weights */
  float *reach, *reach_back;       /* [filter/16][channel][16]; [channel/16][filter][16] */
  float *across;                   /* [channel/16][filter][fh, fw turned round][16]; made by prepare() */
};

static int64_t panels(int64_t n) { return (n + BLOCK - 1) / BLOCK; }

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  const struct config *c = config;
  static const int64_t one[2] = {1, 1};
  int64_t channels = connections_channels(&c->connections);
  if (channels > in[0].c)
    return CNN_FAIL(CNN_E_SHAPE,
                    "connections name channel %" PRId64 ", but the input has channels 0 to %" PRId64,
                    channels - 1, in[0].c - 1);
  for (int i = 0; i < 2; i++)
    if (c->pad[i] >= c->kernel[i])
      return CNN_FAIL(CNN_E_SHAPE, "pad %" PRId64 " is not less than kernel %" PRId64 "; make it smaller",
                      c->pad[i], c->kernel[i]);
  if (in[0].c > MOST_CONNECTED)
    return CNN_FAIL(CNN_E_SHAPE, "the input has %" PRId64 " channels; a table takes at most %d", in[0].c,
                    MOST_CONNECTED);
  int64_t filters = panels(c->connections.filters) * BLOCK;
  if (filters * in[0].c * c->kernel[0] * c->kernel[1] > INT32_MAX)
    return CNN_FAIL(CNN_E_SHAPE, "the filters have too many weights: at most 2^31");
  *out = in[0];
  out->c = c->connections.filters;
  return window_shape(c->kernel, one, c->pad, one, CNN_ROUND_ERROR, in[0], &out->h, &out->w);
}

static void reach(const void *config, struct reach *to) {
  const struct config *c = config;
  *to = (struct reach){.kind = REACH_WINDOW,
                       .count = {c->kernel[0], c->kernel[1]},
                       .stride = {1, 1},
                       .pad = {c->pad[0], c->pad[1]},
                       .dilation = {1, 1}};
}

static bool sees(const void *config, const cnn_shape *in, int k, int64_t f, int64_t channel) {
  (void)in, (void)k;
  return connected(&((const struct config *)config)->connections, f, channel);
}

static void fill_tables(const struct config *config, const struct tables *t) {
  const struct connections *table = &config->connections;
  int64_t count = 0;
  for (int64_t f = 0; f < t->filters; f++)
    for (int64_t c = 0; c < t->channels; c++) {
      if (!connected(table, f, c)) continue;
      t->at[count++] = (int32_t)((f / BLOCK * t->channels + c) * t->taps * BLOCK + f % BLOCK);
      t->reach[(f / BLOCK * t->channels + c) * BLOCK + f % BLOCK] = 1;
      if (t->reach_back) t->reach_back[(c / BLOCK * t->filters + f) * BLOCK + c % BLOCK] = 1;
    }
}

/* A table of floats that begin as 0. */
static float *zeros_table(struct ledger *l, int64_t floats) {
  float *table = ledger_table(l, (size_t)floats * sizeof *table);
  if (table) memset(table, 0, (size_t)floats * sizeof *table);
  return table;
}

static void book(const void *config_, struct ledger *l) {
  const struct config *config = config_;
  const struct connections *table = &config->connections;
  const struct view *x = &l->x[0], *y = &l->y;
  struct tables counted, *t = ledger_table(l, sizeof *t);
  if (!t) t = &counted;
  *t = (struct tables){
      .channels = x->shape.c, .filters = table->filters, .taps = config->kernel[0] * config->kernel[1]};
  int64_t connections = connections_count(table), fan_in = connections * t->taps / t->filters;
  ledger_weight(l, "weight", 3, (int64_t[]){connections, config->kernel[0], config->kernel[1]},
                panels(t->filters) * t->channels * t->taps * BLOCK, config->init, fan_in);
  ledger_weight(l, "bias", 1, &table->filters, panels(t->filters) * BLOCK, config->bias_init, fan_in);
  l->keeps_x = true;
  l->multiply_adds = y->shape.h * y->shape.w * connections * t->taps;
  l->partial_extra = panels(t->filters) * BLOCK * BLOCK;
  t->at = ledger_table(l, (size_t)connections * sizeof *t->at);
  t->reach = zeros_table(l, panels(t->filters) * t->channels * BLOCK);
  if (l->training && l->wants_dx) {
    l->prepare_parts = panels(t->channels);
    t->reach_back = zeros_table(l, l->prepare_parts * t->filters * BLOCK);
    t->across = zeros_table(l, l->prepare_parts * t->filters * t->taps * BLOCK);
  }
  if (l->step) fill_tables(config, t);
}

static int64_t place(const struct step *s, int weight, int64_t i) {
  const struct tables *t = s->tables;
  if (weight == BIAS) return s->weight_at[BIAS] + i;
  return t->at[i / t->taps] + i % t->taps * BLOCK;
}

static void naive(const struct naive *s) {
  const struct config *config = s->config;
  cnn_shape in = s->in[0], out = s->out;
  int64_t fh = config->kernel[0], fw = config->kernel[1];
  int64_t weights = connections_count(&config->connections) * fh * fw;
  for (int64_t i = 0; s->dy && i < in.n * in.c * in.h * in.w; i++) s->dx[0][i] = 0;
  for (int64_t i = 0; s->dy && i < weights; i++) s->dweight[WEIGHT][i] = 0;
  for (int64_t f = 0; s->dy && f < out.c; f++) s->dweight[BIAS][f] = 0;
  for (int64_t to = 0; to < out.n * out.c * out.h * out.w; to++) {
    int64_t ow = to % out.w, oh = to / out.w % out.h, f = to / out.w / out.h % out.c,
            n = to / out.w / out.h / out.c, k = 0;
    for (int64_t before = 0; before < f; before++)
      k += __builtin_popcountll(config->connections.channels[before]) * fh * fw;
    double sum = s->weight[BIAS][f];
    if (s->dy) s->dweight[BIAS][f] += s->dy[to];
    for (int64_t c = 0; c < in.c; c++) {
      if (!connected(&config->connections, f, c)) continue;
      for (int64_t tap = 0; tap < fh * fw; tap++, k++) {
        int64_t h = oh - config->pad[0] + tap / fw, w = ow - config->pad[1] + tap % fw;
        if (h < 0 || h >= in.h || w < 0 || w >= in.w) continue;
        int64_t from = ((n * in.c + c) * in.h + h) * in.w + w;
        sum += s->x[0][from] * s->weight[WEIGHT][k];
        if (!s->dy) continue;
        s->dx[0][from] += s->dy[to] * s->weight[WEIGHT][k];
        s->dweight[WEIGHT][k] += s->dy[to] * s->x[0][from];
      }
    }
    s->y[to] = sum;
  }
}

/* The convolution of views of x that gives one block of views of y; panel: which. */
static struct table_conv conv_of(const struct config *config, const struct view *x, const struct view *y,
                                 const int64_t pad[2], const float *weight, const float *reach,
                                 int64_t panel) {
  int64_t channels = x->shape.c, taps = config->kernel[0] * config->kernel[1];
  return (struct table_conv){.window = {.h = x->shape.h,
                                        .w = x->shape.w,
                                        .oh = y->shape.h,
                                        .ow = y->shape.w,
                                        .fh = config->kernel[0],
                                        .fw = config->kernel[1],
                                        .stride_h = 1,
                                        .stride_w = 1,
                                        .pad_h = pad[0],
                                        .pad_w = pad[1],
                                        .x_row = x->row,
                                        .y_row = y->row},
                             .channels = channels,
                             .x_plane = x->plane,
                             .weight = weight + panel * channels * taps * BLOCK,
                             .reach = reach + panel * channels * BLOCK};
}

static void forward(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  const struct view *x = &s->x[0], *y = &s->y;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(y); b++) {
      struct table_conv p = conv_of(config, x, y, config->pad, s->weight, t->reach, b);
      p.start = s->weight + s->weight_at[BIAS] + b * BLOCK;
      s->kernels->table_conv(&p, y->data + n * y->image + b * y->plane, x->data + n * x->image);
    }
}

/* Lay one panel of 16 channels of the weights across, filters turned round. */
static void prepare(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  float *across = t->across + shard.part * t->filters * t->taps * BLOCK;
  for (int64_t f = 0; f < t->filters; f++)
    for (int64_t c = shard.part * BLOCK; c < t->channels && c < (shard.part + 1) * BLOCK; c++) {
      if (!connected(&config->connections, f, c)) continue;
      const float *weight = s->weight + (f / BLOCK * t->channels + c) * t->taps * BLOCK + f % BLOCK;
      for (int64_t tap = 0; tap < t->taps; tap++)
        across[(f * t->taps + t->taps - 1 - tap) * BLOCK + c % BLOCK] = weight[tap * BLOCK];
    }
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  const struct view *dx = &s->dx[0], *dy = &s->dy;
  const int64_t pad[2] = {config->kernel[0] - 1 - config->pad[0], config->kernel[1] - 1 - config->pad[1]};
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t b = 0; b < view_blocks(dx); b++) {
      struct table_conv p = conv_of(config, dy, dx, pad, t->across, t->reach_back, b);
      s->kernels->table_conv(&p, dx->data + n * dx->image + b * dx->plane, dy->data + n * dy->image);
    }
}

/* Adds to the partial sums of the images' group. */
static void backward_weights(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  const struct view *x = &s->x[0], *dy = &s->dy;
  for (int64_t n = shard.n0; n < shard.n1; n++) {
    float *partial = s->partial + n / s->group * s->partial_stride;
    bool first = n % s->group == 0, last = (n + 1) % s->group == 0 || n + 1 == shard.batch;
    if (first) memset(partial, 0, (size_t)s->partial_stride * sizeof *partial);
    for (int64_t b = 0; b < view_blocks(dy); b++) {
      struct table_conv p = conv_of(config, x, dy, config->pad, s->weight, t->reach, b);
      s->kernels->table_conv_weights(&p, partial + b * t->channels * t->taps * BLOCK, x->data + n * x->image,
                                     dy->data + n * dy->image + b * dy->plane);
    }
    add_to_biases(s, n, last, partial + s->weight_at[BIAS], partial + s->range);
  }
}

static const char lenet5_c3[] =
    "in=2x6x9x14 kernel=5 "
    "connections=0-2/1-3/2-4/3-5/0,4-5/0-1,5/0-3/1-4/2-5/0,3-5/0-1,4-5/0-2,5/0-1,3-4/1-2,4-5/0,2-3,5/0-5";

static const char *const examples[] = {
    lenet5_c3, "in=3x3x7x7 kernel=3x2 pad=1 connections=0/1/2/0-1/1-2/0,2",
    "in=5x20x4x3 kernel=3 pad=2 connections=0-19/3/0,4,19",
    "in=2x2x6x5 kernel=1 connections=0/1/0/1/0/1/0/1/0/1/0/1/0/1/0/1/0/0-1", NULL};

const struct layer_class layer_table_conv = {
    .name = "table-conv",
    .summary = "convolution whose filters see only some channels, by a table (LeNet-5's C3)",
    .config_size = sizeof(struct config),
    .params = params,
    .inputs = 1,
    .shape = shape,
    .reach = reach,
    .sees = sees,
    .book = book,
    .place = place,
    .naive = naive,
    .prepare = prepare,
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
    .examples = examples,
};
