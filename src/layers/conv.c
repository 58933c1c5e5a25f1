/* conv: convolution of each image with `filters` filters, with stride, padding, dilation and groups
 * (sections 7.2 and 7.4).
 *
 * All three passes are products over im2col rows that are read where they stand (struct product):
 *
 *     forward            y[position][filter]  = sum over taps (c, fh, fw)   of  x * weight
 *     backward_weights   dw[tap][filter]      = sum over positions          of  x * dy
 *     backward_data      dx[position][c]      = sum over taps (filter, fh, fw) of dy * weight
 *
 * backward_data is col2im turned round: each dx gathers the dy that it reached. With a stride s the
 * positions of dx fall into s*s phases, each with the taps that hit it, so no product is with a hole.
 * Padding is a halo of zeros around x and dy.
 *
 * Weights are packed in panels of 16 filters, [group][filter/16][tap][16]; taps are in the order x
 * stands in memory: channel block, fh, fw, channel in block. */
#include <string.h>

#include "layers/layer.h"

enum { WEIGHT, BIAS };

struct config {
  int64_t filters, kernel[2], stride[2], pad[2], dilation[2], groups;
  int round;
  bool bias;
  struct init init, bias_init;
};

static const struct param params[] = {
    {"filters", PARAM_INTEGER, offsetof(struct config, filters), NULL, 1, 65536, NULL,
     "output channels (FN)"},
    {"kernel", PARAM_PAIR, offsetof(struct config, kernel), NULL, 1, 1024, NULL,
     "height and width of a filter (FH, FW)"},
    {"stride", PARAM_PAIR, offsetof(struct config, stride), "1", 1, 1024, NULL,
     "distance between positions (7.2.4)"},
    {"pad", PARAM_PAIR, offsetof(struct config, pad), "0", 0, 1024, NULL,
     "rows and columns of zeros on each side (7.2.3)"},
    {"dilation", PARAM_PAIR, offsetof(struct config, dilation), "1", 1, 1024, NULL,
     "distance between taps of a filter"},
    {"groups", PARAM_INTEGER, offsetof(struct config, groups), "1", 1, 65536, NULL,
     "channels and filters are cut into so many groups that do not mix"},
    {"bias", PARAM_FLAG, offsetof(struct config, bias), "yes", 0, 0, NULL, "add a bias to each filter"},
    {"round", PARAM_CHOICE, offsetof(struct config, round), "error", 0, 0, round_choices,
     "where the filter does not fit a whole number of times: error, floor or ceil"},
    {"init", PARAM_INIT, offsetof(struct config, init), "he", 0, 0, NULL,
     "how weights start: normal:STD, xavier, he, zeros or constant:VALUE"},
    {"bias_init", PARAM_INIT, offsetof(struct config, bias_init), "zeros", 0, 0, NULL,
     "how biases start, likewise"},
    {0}};

/* The positions of dx with (h mod stride_h, w mod stride_w) given, and the taps that reach them. */
struct phase {
  int64_t positions, depth;
  int32_t *dy_row, *dx_row, *lane_row; /* [positions]; lane_row: in scratch */
  struct tap *taps;                    /* [depth]: dy, across */
};

struct tables {
  /* one group: c input channels, k taps, fn filters in panels; its dx in c_panels panels of 16 */
  int64_t c, k, fn, panels, c_panels, positions;
  bool aligned, c_aligned; /* groups of filters, of channels, begin at a panel of y, of dx */
  struct tap *taps;        /* [groups][k]: x, weight */
  int32_t *tap_at;         /* [groups][k]: x, as rows */
  int32_t *weight_row;     /* [k] */
  int32_t *x_row, *y_row, *dy_row, *lane_row; /* [positions]; lane_row: in scratch */
  struct tap *position_taps, *lane_taps;      /* [positions]: x, dy or dy in scratch */
  struct phase *phases;                       /* [stride_h * stride_w] */
  float *across; /* [groups][c_panels][filter, fh, fw][16 channels]; made by prepare() */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  const struct config *c = config;
  if (in[0].c % c->groups)
    return CNN_FAIL(CNN_E_SHAPE, "groups=%lld does not divide the %lld input channels", (long long)c->groups,
                    (long long)in[0].c);
  if (c->filters % c->groups)
    return CNN_FAIL(CNN_E_SHAPE, "groups=%lld does not divide filters=%lld", (long long)c->groups,
                    (long long)c->filters);
  *out = in[0];
  out->c = c->filters;
  CNN_TRY(window_shape(c->kernel, c->stride, c->pad, c->dilation, c->round, in[0], &out->h, &out->w));
  int64_t weights;
  CNN_TRY(cnn_shape_count(
      (cnn_shape){c->filters + BLOCK * c->groups, in[0].c / c->groups, c->kernel[0], c->kernel[1]},
      &weights));
  int64_t channels =
      in[0].c > c->filters ? in[0].c : c->filters; /* taps of either direction, 16 floats each */
  if (weights > INT32_MAX / 2 || channels / c->groups * c->kernel[0] * c->kernel[1] > INT32_MAX / BLOCK)
    return CNN_FAIL(CNN_E_SHAPE,
                    "the filters have too many weights: at most 2^30 in all, and 2^27 for one channel");
  return CNN_OK;
}

/* Rows or columns of zeros that reading x at every tap of every position wants before and after it. */
static void forward_halo(int64_t in, int64_t out, int64_t extent, int64_t stride, int64_t pad,
                         int64_t *before, int64_t *after) {
  int64_t last = (out - 1) * stride - pad + extent;
  *before = pad;
  *after = last > in ? last - in : 0;
}

/* Output position that input h meets at tap f: (h + pad - f * dilation) / stride, where that is whole. */
static bool meets(int64_t h, int64_t f, int64_t pad, int64_t stride, int64_t dilation, int64_t *out) {
  int64_t at = h + pad - f * dilation;
  *out = floor_div(at, stride);
  return *out * stride == at;
}

/* Likewise of zeros around dy that backward_data reads. */
static void backward_halo(int64_t in, int64_t out, const struct config *c, int axis, int64_t *before,
                          int64_t *after) {
  *before = *after = 0;
  for (int64_t h = 0; h < in; h++)
    for (int64_t f = 0; f < c->kernel[axis]; f++) {
      int64_t at;
      if (!meets(h, f, c->pad[axis], c->stride[axis], c->dilation[axis], &at)) continue;
      if (-at > *before) *before = -at;
      if (at - (out - 1) > *after) *after = at - (out - 1);
    }
}

/* The number of tap (c, fh, fw) in the order channel block, fh, fw, channel in block. */
static int64_t tap_number(const struct config *config, int64_t channels, int64_t block, int64_t c, int64_t fh,
                          int64_t fw) {
  int64_t first = c / block * block, width = channels - first < block ? channels - first : block;
  return first * config->kernel[0] * config->kernel[1] + (fh * config->kernel[1] + fw) * width + c - first;
}

static void fill_forward(const struct config *config, const struct ledger *l, struct tables *t) {
  const struct view *x = &l->x[0], *y = &l->y;
  for (int64_t i = 0; i < config->groups * t->k; i++) { /* the order c, fh, fw, group by group */
    int64_t fw = i % config->kernel[1], fh = i / config->kernel[1] % config->kernel[0], g = i / t->k;
    int64_t c = i / config->kernel[1] / config->kernel[0] % t->c,
            m = tap_number(config, t->c, x->block, c, fh, fw);
    int64_t at = view_offset(x, 0, g * t->c + c, fh * config->dilation[0], fw * config->dilation[1]);
    t->taps[g * t->k + m] = (struct tap){(int32_t)at, (int32_t)(m * BLOCK)};
    t->tap_at[g * t->k + m] = (int32_t)at;
    t->weight_row[m] = (int32_t)(m * BLOCK);
  }
  for (int64_t i = 0; i < t->positions; i++) {
    int64_t oh = i / y->shape.w, ow = i % y->shape.w;
    int64_t h = oh * config->stride[0] - config->pad[0], w = ow * config->stride[1] - config->pad[1];
    t->x_row[i] = (int32_t)(h * x->row + w * x->pixel);
    t->y_row[i] = (int32_t)(oh * y->row + ow * y->pixel);
    t->lane_row[i] = (int32_t)(i * BLOCK);
    if (!l->training) continue;
    t->dy_row[i] = (int32_t)(oh * l->step->dy.row + ow * l->step->dy.pixel);
    t->position_taps[i] = (struct tap){t->x_row[i], t->dy_row[i]};
    t->lane_taps[i] = (struct tap){t->x_row[i], t->lane_row[i]};
  }
}

/* Phase (a, b): counts positions and taps; fills its tables where it has them. */
static void fill_phase(const struct config *config, const struct ledger *l, const struct tables *t, int64_t a,
                       int64_t b, struct phase *phase) {
  const struct view *dx = l->step ? &l->step->dx[0] : NULL, *dy = l->step ? &l->step->dy : NULL;
  const cnn_shape *in = &l->x[0].shape;
  phase->positions = phase->depth = 0;
  for (int64_t h = a; h < in->h; h += config->stride[0])
    for (int64_t w = b; w < in->w; w += config->stride[1]) {
      int64_t i = phase->positions++;
      if (!phase->taps) continue;
      phase->dy_row[i] = (int32_t)(h / config->stride[0] * dy->row + w / config->stride[1] * dy->pixel);
      phase->dx_row[i] = (int32_t)(h * dx->row + w * dx->pixel);
      phase->lane_row[i] = (int32_t)(i * BLOCK);
    }
  for (int64_t g = 0; g < config->groups; g++)
    for (int64_t first = 0; first < t->fn; first += BLOCK)
      for (int64_t fh = 0, oh; fh < config->kernel[0]; fh++) {
        if (!meets(a, fh, config->pad[0], config->stride[0], config->dilation[0], &oh)) continue;
        for (int64_t fw = 0, ow; fw < config->kernel[1]; fw++) {
          if (!meets(b, fw, config->pad[1], config->stride[1], config->dilation[1], &ow)) continue;
          for (int64_t f = first; f < t->fn && f < first + BLOCK; f++) {
            int64_t m = phase->depth++;
            if (!phase->taps) continue;
            int64_t at = view_offset(dy, 0, g * t->fn + f, oh, ow);
            phase->taps[m] =
                (struct tap){(int32_t)at, (int32_t)(tap_number(config, t->fn, BLOCK, f, fh, fw) * BLOCK)};
          }
        }
      }
  phase->depth /= config->groups;
}

static void book_backward_data(const struct config *config, struct ledger *l, struct tables *t) {
  int64_t phases = config->stride[0] * config->stride[1],
          rows = t->fn * config->kernel[0] * config->kernel[1];
  l->prepare_parts = config->groups * t->c_panels;
  t->across = ledger_table(l, (size_t)(l->prepare_parts * rows * BLOCK) * sizeof *t->across);
  t->phases = ledger_table(l, (size_t)phases * sizeof *t->phases);
  for (int64_t i = 0; i < phases; i++) {
    struct phase phase = {0};
    int64_t a = i / config->stride[1], b = i % config->stride[1];
    fill_phase(config, l, t, a, b, &phase); /* count */
    phase.dy_row = ledger_table(l, (size_t)phase.positions * sizeof *phase.dy_row);
    phase.dx_row = ledger_table(l, (size_t)phase.positions * sizeof *phase.dx_row);
    phase.lane_row = ledger_table(l, (size_t)phase.positions * sizeof *phase.lane_row);
    phase.taps = ledger_table(l, (size_t)(config->groups * phase.depth) * sizeof *phase.taps);
    if (!l->step) continue;
    fill_phase(config, l, t, a, b, &phase);
    t->phases[i] = phase;
  }
}

static void book(const void *config_, struct ledger *l) {
  const struct config *config = config_;
  const struct view *x = &l->x[0], *y = &l->y;
  struct tables counted, *t = ledger_table(l, sizeof *t);
  if (!t) t = &counted;
  *t = (struct tables){.c = x->shape.c / config->groups,
                       .fn = config->filters / config->groups,
                       .positions = y->shape.h * y->shape.w};
  t->k = t->c * config->kernel[0] * config->kernel[1];
  t->panels = ceil_div(t->fn, BLOCK);
  t->c_panels = ceil_div(t->c, BLOCK);
  t->aligned = config->groups == 1 || t->fn % BLOCK == 0;
  t->c_aligned = config->groups == 1 || t->c % BLOCK == 0;

  l->keeps_x = true;
  l->multiply_adds = t->positions * t->k * config->filters;
  ledger_weight(l, "weight", 4, (int64_t[]){config->filters, t->c, config->kernel[0], config->kernel[1]},
                config->groups * t->panels * t->k * BLOCK, config->init, t->k);
  if (config->bias) /* a panel more, since a group's biases are read 16 at a time from where they begin */
    ledger_weight(l, "bias", 1, &config->filters, (ceil_div(config->filters, BLOCK) + 1) * BLOCK,
                  config->bias_init, t->k);
  for (int axis = 0; axis < 2; axis++) {
    int64_t in = axis ? x->shape.w : x->shape.h, out = axis ? y->shape.w : y->shape.h;
    int64_t extent = config->dilation[axis] * (config->kernel[axis] - 1) + 1;
    struct halo *halo = &l->x_halo[0];
    forward_halo(in, out, extent, config->stride[axis], config->pad[axis], axis ? &halo->left : &halo->top,
                 axis ? &halo->right : &halo->bottom);
    halo = &l->dy_halo;
    if (l->wants_dx)
      backward_halo(in, out, config, axis, axis ? &halo->left : &halo->top,
                    axis ? &halo->right : &halo->bottom);
  }

  size_t positions = (size_t)t->positions;
  t->taps = ledger_table(l, (size_t)(config->groups * t->k) * sizeof *t->taps);
  t->tap_at = ledger_table(l, (size_t)(config->groups * t->k) * sizeof *t->tap_at);
  t->weight_row = ledger_table(l, (size_t)t->k * sizeof *t->weight_row);
  t->x_row = ledger_table(l, positions * sizeof *t->x_row);
  t->y_row = ledger_table(l, positions * sizeof *t->y_row);
  t->dy_row = ledger_table(l, positions * sizeof *t->dy_row);
  t->lane_row = ledger_table(l, positions * sizeof *t->lane_row);
  t->position_taps = ledger_table(l, positions * sizeof *t->position_taps);
  t->lane_taps = ledger_table(l, positions * sizeof *t->lane_taps);
  if (l->step) fill_forward(config, l, t);
  if (l->training) l->partial_extra = view_blocks(y) * BLOCK * BLOCK;
  if (l->wants_dx) book_backward_data(config, l, t);
  if (!t->aligned) l->scratch = t->panels * t->positions * BLOCK;
  int64_t for_dx = t->c_panels * x->shape.h * x->shape.w * BLOCK;
  if (l->wants_dx && !t->c_aligned && for_dx > l->scratch) l->scratch = for_dx;
}

static int64_t place(const struct step *s, int weight, int64_t i) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  if (weight == BIAS) return s->weight_at[BIAS] + i;
  int64_t fw = i % config->kernel[1], rest = i / config->kernel[1];
  int64_t fh = rest % config->kernel[0], c = rest / config->kernel[0] % t->c;
  int64_t filter = i / t->k, g = filter / t->fn, f = filter % t->fn;
  int64_t m = tap_number(config, t->c, s->x[0].block, c, fh, fw);
  return ((g * t->panels + f / BLOCK) * t->k + m) * BLOCK + f % BLOCK;
}

/* The definition: Figure 7-12 in seven loops. */
static void naive(const struct naive *s) {
  const struct config *config = s->config;
  cnn_shape in = s->in[0], out = s->out;
  int64_t channels = in.c / config->groups, filters = config->filters / config->groups;
  int64_t weights = config->filters * channels * config->kernel[0] * config->kernel[1];
  for (int64_t i = 0; s->dy && i < in.n * in.c * in.h * in.w; i++) s->dx[0][i] = 0;
  for (int64_t i = 0; s->dy && i < weights; i++) s->dweight[WEIGHT][i] = 0;
  for (int64_t f = 0; s->dy && config->bias && f < config->filters; f++) s->dweight[BIAS][f] = 0;
  for (int64_t to = 0; to < in.n * out.c * out.h * out.w; to++) {
    int64_t ow = to % out.w, oh = to / out.w % out.h, f = to / out.w / out.h % out.c,
            n = to / out.w / out.h / out.c;
    double sum = config->bias ? s->weight[BIAS][f] : 0;
    if (s->dy && config->bias) s->dweight[BIAS][f] += s->dy[to];
    for (int64_t c = 0; c < channels; c++)
      for (int64_t fh = 0; fh < config->kernel[0]; fh++)
        for (int64_t fw = 0; fw < config->kernel[1]; fw++) {
          int64_t h = oh * config->stride[0] - config->pad[0] + fh * config->dilation[0];
          int64_t w = ow * config->stride[1] - config->pad[1] + fw * config->dilation[1];
          if (h < 0 || h >= in.h || w < 0 || w >= in.w) continue;
          int64_t from = ((n * in.c + f / filters * channels + c) * in.h + h) * in.w + w;
          int64_t k = ((f * channels + c) * config->kernel[0] + fh) * config->kernel[1] + fw;
          sum += s->x[0][from] * s->weight[WEIGHT][k];
          if (!s->dy) continue;
          s->dx[0][from] += s->dy[to] * s->weight[WEIGHT][k];
          s->dweight[WEIGHT][k] += s->dy[to] * s->x[0][from];
        }
    s->y[to] = sum;
  }
}

/* Copy `channels` channels between a view, from channel `first` of image n on, and panels of 16 in
 * scratch: for groups that begin inside a channel block. */
static void scratch_to_view(const struct view *v, int64_t n, int64_t first, int64_t channels,
                            const int32_t *row, int64_t positions, int64_t stride, const float *scratch) {
  for (int64_t c = 0; c < channels; c++) {
    float *to = v->data + view_offset(v, n, first + c, 0, 0);
    const float *from = scratch + c / BLOCK * stride + c % BLOCK;
    for (int64_t i = 0; i < positions; i++) to[row[i]] = from[i * BLOCK];
  }
}

static void view_to_scratch(const struct view *v, int64_t n, int64_t first, int64_t channels,
                            const int32_t *row, int64_t positions, float *scratch) {
  memset(scratch, 0, (size_t)(ceil_div(channels, BLOCK) * positions * BLOCK) * sizeof *scratch);
  for (int64_t c = 0; c < channels; c++) {
    const float *from = v->data + view_offset(v, n, first + c, 0, 0);
    float *to = scratch + c / BLOCK * positions * BLOCK + c % BLOCK;
    for (int64_t i = 0; i < positions; i++) to[i * BLOCK] = from[row[i]];
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  float *scratch = s->scratch + shard.thread * s->scratch_stride;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t g = 0; g < config->groups; g++) {
      float *y = s->y.data + n * s->y.image + g * t->fn / BLOCK * s->y.plane;
      struct product p = {.a = s->x[0].data + n * s->x[0].image,
                          .b = s->weight + g * t->panels * t->k * BLOCK,
                          .c = t->aligned ? y : scratch,
                          .a_row = t->x_row,
                          .c_row = t->aligned ? t->y_row : t->lane_row,
                          .taps = t->taps + g * t->k,
                          .rows = t->positions,
                          .columns = t->fn,
                          .depth = t->k,
                          .b_panel = t->k * BLOCK,
                          .c_panel = t->aligned ? s->y.plane : t->positions * BLOCK,
                          .start = config->bias ? s->weight + s->weight_at[BIAS] + g * t->fn : NULL};
      s->kernels->product(&p);
      if (!t->aligned)
        scratch_to_view(&s->y, n, g * t->fn, t->fn, t->y_row, t->positions, t->positions * BLOCK, scratch);
    }
}

/* Lay one panel of 16 channels of the weights across. */
static void prepare(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  int64_t g = shard.part / t->c_panels, first = shard.part % t->c_panels * BLOCK;
  int64_t taps = config->kernel[0] * config->kernel[1];
  float *across = t->across + shard.part * t->fn * taps * BLOCK;
  const float *weight = s->weight + g * t->panels * t->k * BLOCK;
  for (int64_t c = first; c < t->c && c < first + BLOCK; c++)
    for (int64_t f = 0; f < t->fn; f++)
      for (int64_t i = 0; i < taps; i++) {
        int64_t fh = i / config->kernel[1], fw = i % config->kernel[1];
        int64_t m = tap_number(config, t->c, s->x[0].block, c, fh, fw);
        int64_t row = tap_number(config, t->fn, BLOCK, f, fh, fw);
        across[row * BLOCK + c - first] = weight[(f / BLOCK * t->k + m) * BLOCK + f % BLOCK];
      }
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  const struct view *dx = &s->dx[0];
  float *scratch = s->scratch + shard.thread * s->scratch_stride;
  int64_t rows = t->fn * config->kernel[0] * config->kernel[1];
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t g = 0; g < config->groups; g++)
      for (int64_t i = 0; i < config->stride[0] * config->stride[1]; i++) {
        const struct phase *phase = &t->phases[i];
        float *to = dx->data + n * dx->image + g * t->c / BLOCK * dx->plane;
        struct product p = {.a = s->dy.data + n * s->dy.image,
                            .b = t->across + g * t->c_panels * rows * BLOCK,
                            .c = t->c_aligned ? to : scratch,
                            .a_row = phase->dy_row,
                            .c_row = t->c_aligned ? phase->dx_row : phase->lane_row,
                            .taps = phase->taps + g * phase->depth,
                            .rows = phase->positions,
                            .columns = t->c,
                            .depth = phase->depth,
                            .b_panel = rows * BLOCK,
                            .c_panel = t->c_aligned ? dx->plane : phase->positions * BLOCK};
        s->kernels->product(&p);
        if (!t->c_aligned)
          scratch_to_view(dx, n, g * t->c, t->c, phase->dx_row, phase->positions, phase->positions * BLOCK,
                          scratch);
      }
}

/* The biases' gradient of image n: position i adds to lane i mod 16, whatever the image. */
static void backward_bias(const struct step *s, int64_t n, bool first, bool last, float *sums, float *lanes) {
  const struct tables *t = s->tables;
  int64_t blocks = view_blocks(&s->dy);
  if (first) memset(lanes, 0, (size_t)(blocks * BLOCK * BLOCK) * sizeof *lanes);
  for (int64_t b = 0; b < blocks; b++) {
    float *lane = lanes + b * BLOCK * BLOCK;
    s->kernels->sum_positions(lane, s->dy.data + n * s->dy.image + b * s->dy.plane, t->position_taps,
                              t->positions);
    if (last) s->kernels->sum_lanes(sums + b * BLOCK, lane);
  }
}

/* Adds image by image to the partial sums of the image's group. */
static void backward_weights(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  float *scratch = s->scratch + shard.thread * s->scratch_stride;
  for (int64_t n = shard.n0; n < shard.n1; n++) {
    float *partial = s->partial + n / s->group * s->partial_stride;
    bool first = n % s->group == 0, last = (n + 1) % s->group == 0 || n + 1 == shard.batch;
    for (int64_t g = 0; g < config->groups; g++) {
      const float *dy = s->dy.data + n * s->dy.image + g * t->fn / BLOCK * s->dy.plane;
      if (!t->aligned) view_to_scratch(&s->dy, n, g * t->fn, t->fn, t->dy_row, t->positions, scratch);
      struct product p = {.a = s->x[0].data + n * s->x[0].image,
                          .b = t->aligned ? dy : scratch,
                          .c = partial + g * t->panels * t->k * BLOCK,
                          .a_row = t->tap_at + g * t->k,
                          .c_row = t->weight_row,
                          .taps = t->aligned ? t->position_taps : t->lane_taps,
                          .rows = t->k,
                          .columns = t->fn,
                          .depth = t->positions,
                          .b_panel = t->aligned ? s->dy.plane : t->positions * BLOCK,
                          .c_panel = t->k * BLOCK,
                          .add = !first};
      s->kernels->product(&p);
    }
    if (config->bias) backward_bias(s, n, first, last, partial + s->weight_at[BIAS], partial + s->range);
  }
}

static const char *const examples[] = {"in=2x3x8x8 filters=4 kernel=3 pad=1",
                                       "in=3x1x9x7 filters=30 kernel=5x3",
                                       "in=2x17x6x5 filters=19 kernel=3 stride=2x1 pad=1 round=floor",
                                       "in=2x2x9x9 filters=5 kernel=3 dilation=2 bias=no",
                                       "in=2x6x7x7 filters=9 kernel=3 groups=3 pad=1",
                                       "in=2x32x5x5 filters=32 kernel=3 groups=2 pad=2 stride=3 round=ceil",
                                       "in=2x5x4x4 filters=5 kernel=2 groups=5 init=xavier",
                                       "in=1x3x23x23 filters=8 kernel=11 stride=4",
                                       NULL};

const struct layer_class layer_conv = {
    .name = "conv",
    .summary = "convolution with filters, stride, padding, dilation and groups",
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
