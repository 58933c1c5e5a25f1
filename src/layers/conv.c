/* conv: convolution of each image with `filters` filters, with stride, padding, dilation and groups
 * (sections 7.2 and 7.4).
 *
 * All three passes are products over im2col rows that are read where they stand (struct product):
 *
 *     forward            y[position][filter]  = sum over taps (c, fh, fw)   of  x * weight
 *     backward_weights   dw[tap][filter]      = sum over positions          of  x * dy
 *     backward_data      dx[position][c]      = sum over taps (filter, fh, fw) of dy * weight
 *
 * backward_data is col2im turned round: each dx gathers the dy that it reached; where channels are few it is
 * col2im itself (col2im.h). Positions that meet the same taps make a piece, and each piece is a product of
 * its own (conv_pieces.c): those inside the image meet all taps, those at its edge leave out the taps that
 * fall on padding. So padding costs nothing and is nowhere in memory, and with a stride no product is with a
 * hole. Likewise taps that meet the same positions.
 *
 * Weights are packed in panels of 16 filters, [group][filter/16][tap][16]; taps are in the order x
 * stands in memory: channel block, fh, fw, channel in block. */
#include <string.h>

#include "layers/conv.h"
#include "layers/depthwise.h"

enum {
  WEIGHT,
  BIAS,
  FEW_ROWS = 6,      /* an average piece of fewer rows is taken of several images at once: */
  AT_HAND = 1 << 16, /* so many that x and y take about so many floats */
  MOST_IMAGES = 32,
  FEW_IMAGES = 4,
  MOST_PIECE_TAPS = 1 << 26,
  FEW_MULTIPLY_ADDS = 1 << 17, /* up to so many an image are not worth parts */
  ENOUGH_DEPTH = 64, /* positions of so many images that chains of backward_weights are about so long */
  FEW_CHANNELS = 16  /* up to so many make a piece of backward_weights wait for x and dy: their lines are read
                        from the L1 cache by all pieces, some at a time */
};

static const struct param params[] = {
    {"filters", PARAM_INTEGER, offsetof(struct conv, filters), NULL, 1, 65536, NULL, "output channels (FN)"},
    {"kernel", PARAM_PAIR, offsetof(struct conv, kernel), NULL, 1, 1024, NULL,
     "height and width of a filter (FH, FW)"},
    {"stride", PARAM_PAIR, offsetof(struct conv, stride), "1", 1, 1024, NULL,
     "distance between positions (7.2.4)"},
    {"pad", PARAM_PAIR, offsetof(struct conv, pad), "0", 0, 1024, NULL,
     "rows and columns of zeros on each side (7.2.3)"},
    {"dilation", PARAM_PAIR, offsetof(struct conv, dilation), "1", 1, 1024, NULL,
     "distance between taps of a filter"},
    {"groups", PARAM_INTEGER, offsetof(struct conv, groups), "1", 1, 65536, NULL,
     "channels and filters are cut into so many groups that do not mix"},
    {"bias", PARAM_FLAG, offsetof(struct conv, bias), "yes", 0, 0, NULL, "add a bias to each filter"},
    {"round", PARAM_CHOICE, offsetof(struct conv, round), "error", 0, 0, round_choices,
     "where the filter does not fit a whole number of times: error, floor or ceil"},
    {"init", PARAM_INIT, offsetof(struct conv, init), "he", 0, 0, NULL,
     "how weights start: normal:STD, xavier, he, zeros or constant:VALUE"},
    {"bias_init", PARAM_INIT, offsetof(struct conv, bias_init), "zeros", 0, 0, NULL,
     "how biases start, likewise"},
    {0}};

/* Filters as large as the image, with padding as large, meet it in a way of their own at every position. */
static cnn_status check_pieces(const struct conv *c, const cnn_shape *in, const cnn_shape *out) {
  int64_t taps = conv_piece_taps(c, (int64_t[]){in->h, in->w}, (int64_t[]){out->h, out->w});
  if (taps <= MOST_PIECE_TAPS / in->c) return CNN_OK;
  return CNN_FAIL(
      CNN_E_SHAPE,
      "filters of %lldx%lld with pad=%lldx%lld meet %lldx%lldx%lld in too many ways: %.0f taps, at most "
      "%d; make filters or padding smaller",
      (long long)c->kernel[0], (long long)c->kernel[1], (long long)c->pad[0], (long long)c->pad[1],
      (long long)in->c, (long long)in->h, (long long)in->w, (double)taps * (double)in->c,
      (int)MOST_PIECE_TAPS);
}

static bool is_depthwise(const struct conv *config, int64_t channels) {
  return config->groups > 1 && config->groups == channels && config->groups == config->filters &&
         config->dilation[0] == 1 && config->dilation[1] == 1;
}

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  const struct conv *c = config;
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
  return is_depthwise(c, in[0].c) ? CNN_OK : check_pieces(c, &in[0], out);
}

static void reach(const void *config, struct reach *to) {
  const struct conv *c = config;
  *to = (struct reach){.kind = REACH_WINDOW,
                       .count = {c->kernel[0], c->kernel[1]},
                       .stride = {c->stride[0], c->stride[1]},
                       .pad = {c->pad[0], c->pad[1]},
                       .dilation = {c->dilation[0], c->dilation[1]}};
}

static bool sees(const void *config, const cnn_shape *in, int k, int64_t f, int64_t channel) {
  const struct conv *c = config;
  (void)k;
  return f / (c->filters / c->groups) == channel / (in[0].c / c->groups);
}

/* Of a network's input a copy with its padding: its few channels would make products of few rows. */
static void book_padded(const struct conv *config, struct ledger *l, struct conv_tables *t) {
  const struct view *x = &l->x[0], *y = &l->y;
  int64_t size[2] = {x->shape.h, x->shape.w};
  const int64_t out[2] = {y->shape.h, y->shape.w};
  bool reaches_out = false;
  for (int i = 0; i < 2; i++) {
    int64_t extent = config->dilation[i] * (config->kernel[i] - 1) + 1;
    int64_t end = (out[i] - 1) * config->stride[i] + extent; /* from the first row of padding */
    reaches_out = reaches_out || config->pad[i] || end > size[i];
    size[i] = size[i] + config->pad[i] > end ? size[i] + config->pad[i] : end;
  }
  if (x->block != 1 || !reaches_out) return;
  int64_t floats = view_layout(&t->padded, (cnn_shape){1, x->shape.c, size[0], size[1]}, 1);
  t->padded_at = l->scratch;
  l->scratch += floats;
}

/* The window over planes of x that gives planes of y. */
static struct window window_of(const struct conv *config, const struct view *x, const struct view *y) {
  return (struct window){.h = x->shape.h,
                         .w = x->shape.w,
                         .oh = y->shape.h,
                         .ow = y->shape.w,
                         .fh = config->kernel[0],
                         .fw = config->kernel[1],
                         .stride_h = config->stride[0],
                         .stride_w = config->stride[1],
                         .pad_h = config->pad[0],
                         .pad_w = config->pad[1],
                         .x_row = x->row,
                         .y_row = y->row};
}

static void book(const void *config_, struct ledger *l) {
  const struct conv *config = config_;
  const struct view *x = &l->x[0], *y = &l->y;
  struct conv_tables counted, *t = ledger_table(l, sizeof *t);
  if (!t) t = &counted;
  *t = (struct conv_tables){.c = x->shape.c / config->groups,
                            .fn = config->filters / config->groups,
                            .positions = y->shape.h * y->shape.w,
                            .inputs = x->shape.h * x->shape.w,
                            .tap_step = x->block == 1 ? config->dilation[1] * x->pixel : 1};
  t->depthwise = x->block == BLOCK && is_depthwise(config, x->shape.c);
  t->k = t->c * config->kernel[0] * config->kernel[1];
  t->panels = ceil_div(t->fn, BLOCK);
  t->c_panels = ceil_div(t->c, BLOCK);
  t->aligned = config->groups == 1 || t->fn % BLOCK == 0;
  t->c_aligned = config->groups == 1 || t->c % BLOCK == 0;
  t->few_channels = config->groups == 1 && config->dilation[0] == 1 && config->dilation[1] == 1 &&
                    col2im_pays(t->c, config->kernel[0] * config->kernel[1], t->fn, y->shape.w);
  t->spacing[FORWARD] = config->stride[1] * x->pixel;
  t->spacing[DATA] = BLOCK;
  t->spacing[WEIGHTS] = t->c_aligned || x->block == 1 ? t->tap_step : 0;

  l->keeps_x = true;
  l->multiply_adds = t->positions * t->k * config->filters;
  ledger_weight(l, "weight", 4, (int64_t[]){config->filters, t->c, config->kernel[0], config->kernel[1]},
                (t->depthwise ? view_blocks(y) : config->groups * t->panels) * t->k * BLOCK, config->init,
                t->k);
  if (config->bias) /* a panel more, since a group's biases are read 16 at a time from where they begin */
    ledger_weight(l, "bias", 1, &config->filters, (ceil_div(config->filters, BLOCK) + 1) * BLOCK,
                  config->bias_init, t->k);
  if (t->depthwise) {
    t->sum_images = 1;
    l->partial_extra = view_blocks(y) * BLOCK * BLOCK;
    return;
  }
  if (!t->aligned) l->scratch = t->panels * t->positions * BLOCK;
  if (l->wants_dx && !t->c_aligned && t->c_panels * t->inputs * BLOCK > l->scratch)
    l->scratch = t->c_panels * t->inputs * BLOCK;

  /* Where one image makes pieces of few rows, several images make one product. */
  bool own_data = l->wants_dx && !t->few_channels;
  int64_t data_pieces = own_data ? conv_count_pieces(config, l, t, DATA) : 1;
  bool few_rows = t->positions < FEW_ROWS * conv_count_pieces(config, l, t, FORWARD) ||
                  (own_data && t->inputs < FEW_ROWS * data_pieces);
  t->images = t->sum_images = 1;
  if (few_rows && t->aligned && t->c_aligned && x->block == BLOCK) {
    t->images = clip(AT_HAND / (view_blocks(x) * x->plane + view_blocks(y) * y->plane), MOST_IMAGES);
    t->images = t->images < 6 ? 2 + t->images / 4 * 2 : t->images / 6 * 6; /* rows of whole tiles */
    if (t->images > l->group) t->images = l->group;
    l->images = t->images;
    t->sum_images = clip(ENOUGH_DEPTH / t->positions, t->images - 1) + 1;
  }

  /* Of few images, parts of filters keep many threads busy. */
  if (!l->training && l->batch < FEW_IMAGES && t->aligned && l->multiply_adds > FEW_MULTIPLY_ADDS) {
    t->part_panels = t->panels < 4 ? 1 : 2;
    l->forward_parts = config->groups * ceil_div(t->panels, t->part_panels);
  }
  conv_book_pieces(config, l, t, FORWARD, &t->forward);
  if (!l->training) return;
  l->partial_extra = view_blocks(y) * BLOCK * BLOCK;
  book_padded(config, l, t);
  t->few_filters = t->sum_images == 1 && few_filters_fit(config, l);
  if (t->few_filters)
    few_filters_book(&t->few, config, l);
  else
    conv_book_pieces(config, l, t, WEIGHTS, &t->weights);
  bool again = t->weights.count > 1 && t->c <= FEW_CHANNELS && t->sum_images == 1;
  t->lines = again ? conv_lines_at_hand(&y->shape) : y->shape.h;
  if (t->few_channels && l->wants_dx) col2im_book(&t->col2im, l, config->kernel[0] * config->kernel[1]);
  if (!own_data) return;
  conv_book_pieces(config, l, t, DATA, &t->data);
  int64_t rows = t->fn * config->kernel[0] * config->kernel[1];
  l->prepare_parts = config->groups * t->c_panels;
  t->across = ledger_table(l, (size_t)(l->prepare_parts * rows * BLOCK) * sizeof *t->across);
}

static int64_t place(const struct step *s, int weight, int64_t i) {
  const struct conv *config = s->config;
  const struct conv_tables *t = s->tables;
  if (weight == BIAS) return s->weight_at[BIAS] + i;
  if (t->depthwise) return (i / t->k / BLOCK * t->k + i % t->k) * BLOCK + i / t->k % BLOCK;
  int64_t fw = i % config->kernel[1], rest = i / config->kernel[1];
  int64_t fh = rest % config->kernel[0], c = rest / config->kernel[0] % t->c;
  int64_t filter = i / t->k, g = filter / t->fn, f = filter % t->fn;
  int64_t m = conv_tap_number(config, t->c, s->x[0].block, c, fh, fw);
  return ((g * t->panels + f / BLOCK) * t->k + m) * BLOCK + f % BLOCK;
}

/* The definition: Figure 7-12 in seven loops. */
static void naive(const struct naive *s) {
  const struct conv *config = s->config;
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
                            const float *scratch) {
  for (int64_t c = 0; c < channels; c++) {
    float *to = v->data + view_offset(v, n, first + c, 0, 0);
    const float *from = scratch + c / BLOCK * v->plane + c % BLOCK;
    for (int64_t i = 0; i < v->plane; i += BLOCK) to[i] = from[i];
  }
}

static void view_to_scratch(const struct view *v, int64_t n, int64_t first, int64_t channels,
                            float *scratch) {
  memset(scratch, 0, (size_t)(ceil_div(channels, BLOCK) * v->plane) * sizeof *scratch);
  for (int64_t c = 0; c < channels; c++) {
    const float *from = v->data + view_offset(v, n, first + c, 0, 0);
    float *to = scratch + c / BLOCK * v->plane + c % BLOCK;
    for (int64_t i = 0; i < v->plane; i += BLOCK) to[i] = from[i];
  }
}

/* Images from n on that one product takes. */
static int64_t images_from(const struct conv_tables *t, struct shard shard, int64_t n) {
  return shard.n1 - n < t->images ? shard.n1 - n : t->images;
}

/* Panels from .. to - 1 of group g's filters, for the images of a shard. */
static void forward_panels(const struct step *s, struct shard shard, int64_t g, int64_t from, int64_t to) {
  const struct conv *config = s->config;
  const struct conv_tables *t = s->tables;
  float *scratch = s->scratch + shard.thread * s->scratch_stride;
  int64_t filter = g * t->fn + from * BLOCK;
  for (int64_t n = shard.n0; n < shard.n1; n += t->images) {
    float *y = s->y.data + n * s->y.image + filter / BLOCK * s->y.plane;
    for (int64_t i = 0; i < t->forward.count; i++) {
      const struct conv_piece *piece = &t->forward.piece[i];
      struct product p = {.a = s->x[0].data + n * s->x[0].image,
                          .b = s->weight + (g * t->panels + from) * t->k * BLOCK,
                          .c = t->aligned ? y : scratch,
                          .a_row = piece->from,
                          .c_row = piece->to,
                          .runs = piece->runs + g * piece->run_count,
                          .a_step = t->tap_step,
                          .b_step = BLOCK,
                          .rows = images_from(t, shard, n) * piece->rows,
                          .cycle = piece->rows,
                          .fours = piece->fours,
                          .spacing = (int32_t)t->spacing[FORWARD],
                          .columns = (to * BLOCK < t->fn ? to * BLOCK : t->fn) - from * BLOCK,
                          .depth = piece->depth,
                          .b_panel = t->k * BLOCK,
                          .c_panel = s->y.plane,
                          .start = config->bias ? s->weight + s->weight_at[BIAS] + filter : NULL};
      s->kernels->product(&p);
    }
    if (!t->aligned) scratch_to_view(&s->y, n, g * t->fn, t->fn, scratch);
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct conv *config = s->config;
  const struct conv_tables *t = s->tables;
  if (t->depthwise) {
    struct window window = window_of(config, &s->x[0], &s->y);
    depthwise_forward(s, shard, &window, config->bias ? s->weight + s->weight_at[BIAS] : NULL);
    return;
  }
  if (t->part_panels) {
    int64_t parts = ceil_div(t->panels, t->part_panels), from = shard.part % parts * t->part_panels;
    forward_panels(s, shard, shard.part / parts, from,
                   from + t->part_panels < t->panels ? from + t->part_panels : t->panels);
    return;
  }
  for (int64_t n = shard.n0; n < shard.n1; n += t->images) /* all groups of an image, while it is at hand */
    for (int64_t g = 0; g < config->groups; g++) {
      struct shard images = shard;
      images.n0 = n;
      images.n1 = n + images_from(t, shard, n);
      forward_panels(s, images, g, 0, t->panels);
    }
}

/* Lay one panel of 16 channels of the weights across. */
static void prepare(const struct step *s, struct shard shard) {
  const struct conv *config = s->config;
  const struct conv_tables *t = s->tables;
  if (t->few_channels) {
    col2im_prepare(s, &t->col2im, shard.part);
    return;
  }
  int64_t g = shard.part / t->c_panels, first = shard.part % t->c_panels * BLOCK;
  int64_t taps = config->kernel[0] * config->kernel[1];
  float *across = t->across + shard.part * t->fn * taps * BLOCK;
  const float *weight = s->weight + g * t->panels * t->k * BLOCK;
  int64_t block = s->x[0].block, channels = t->c - first < BLOCK ? t->c - first : BLOCK;
  for (int64_t f0 = 0; f0 < t->fn; f0 += BLOCK) {
    int64_t filters = t->fn - f0 < BLOCK ? t->fn - f0 : BLOCK;
    for (int64_t i = 0; i < taps; i++) {
      int64_t fh = i / config->kernel[1], fw = i % config->kernel[1];
      int64_t from = f0 * t->k + conv_tap_number(config, t->c, block, first, fh, fw) * BLOCK;
      int64_t to = conv_tap_number(config, t->fn, BLOCK, f0, fh, fw) * BLOCK;
      int64_t step = block == 1 ? taps * BLOCK : BLOCK; /* from one channel to the next */
      if (filters == BLOCK && channels == BLOCK) {
        s->kernels->transpose(across + to, BLOCK, weight + from, step);
        continue;
      }
      for (int64_t c = 0; c < channels; c++)
        for (int64_t f = 0; f < filters; f++) across[to + f * BLOCK + c] = weight[from + c * step + f];
    }
  }
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct conv *config = s->config;
  const struct conv_tables *t = s->tables;
  const struct view *dx = &s->dx[0];
  float *scratch = s->scratch + shard.thread * s->scratch_stride;
  int64_t rows = t->fn * config->kernel[0] * config->kernel[1];
  if (t->depthwise) {
    struct window window = window_of(config, dx, &s->dy);
    depthwise_backward_data(s, shard, &window);
    return;
  }
  if (t->few_channels) {
    struct window window = window_of(config, dx, &s->dy);
    col2im_backward_data(s, shard, &t->col2im, &window);
    return;
  }
  for (int64_t n = shard.n0; n < shard.n1; n += t->images)
    for (int64_t g = 0; g < config->groups; g++) {
      float *to = dx->data + n * dx->image + g * t->c / BLOCK * dx->plane;
      for (int64_t i = 0; i < t->data.count; i++) {
        const struct conv_piece *piece = &t->data.piece[i];
        struct product p = {.a = s->dy.data + n * s->dy.image,
                            .b = t->across + g * t->c_panels * rows * BLOCK,
                            .c = t->c_aligned ? to : scratch,
                            .a_row = piece->from,
                            .c_row = piece->to,
                            .runs = piece->runs + g * piece->run_count,
                            .a_step = 1,
                            .b_step = BLOCK,
                            .rows = images_from(t, shard, n) * piece->rows,
                            .cycle = piece->rows,
                            .fours = piece->fours,
                            .spacing = (int32_t)t->spacing[DATA],
                            .columns = t->c,
                            .depth = piece->depth,
                            .b_panel = rows * BLOCK,
                            .c_panel = dx->plane};
        s->kernels->product(&p);
      }
      if (!t->c_aligned) scratch_to_view(dx, n, g * t->c, t->c, scratch);
    }
}

/* Image n of x with its padding, in scratch. */
static const float *pad(const struct conv *config, const struct view *x, int64_t n, const struct view *padded,
                        float *scratch) {
  memset(scratch, 0, (size_t)(x->shape.c * padded->plane) * sizeof *scratch);
  for (int64_t c = 0; c < x->shape.c; c++)
    for (int64_t h = 0; h < x->shape.h; h++)
      memcpy(scratch + c * padded->plane + (h + config->pad[0]) * padded->row + config->pad[1],
             x->data + n * x->image + c * x->plane + h * x->row, (size_t)x->shape.w * sizeof *scratch);
  return scratch;
}

/* What t->lines lines of y from `line` on, of so many images, add to group g's partial sums. */
static void add_lines(const struct step *s, int64_t g, int64_t line, int64_t images, const float *x,
                      const float *dy, float *partial) {
  const struct conv *config = s->config;
  const struct conv_tables *t = s->tables;
  for (int64_t i = 0; i < t->weights.count; i++) {
    const struct conv_piece *piece = &t->weights.piece[i];
    int64_t from = line > piece->lo ? line : piece->lo, end = line + t->lines;
    if (end > piece->hi) end = piece->hi;
    if (from >= end) continue;
    struct product p = {.a = x,
                        .b = dy,
                        .c = partial,
                        .a_row = piece->from + g * piece->rows,
                        .c_row = piece->to,
                        .runs = piece->runs + from - piece->lo,
                        .a_step = config->stride[1] * s->x[0].pixel,
                        .b_step = BLOCK,
                        .rows = piece->rows,
                        .cycle = piece->rows,
                        .fours = piece->fours,
                        .spacing = (int32_t)t->spacing[WEIGHTS],
                        .columns = t->fn,
                        .depth = images * piece->depth / (piece->hi - piece->lo) * (end - from),
                        .b_panel = s->dy.plane,
                        .c_panel = t->k * BLOCK,
                        .add = true};
    s->kernels->product(&p);
  }
}

/* Adds to the partial sums of the images' group. */
static void backward_weights(const struct step *s, struct shard shard) {
  const struct conv *config = s->config;
  const struct conv_tables *t = s->tables;
  float *scratch = s->scratch + shard.thread * s->scratch_stride;
  for (int64_t n = shard.n0, images; n < shard.n1; n += images) {
    images = shard.n1 - n < t->sum_images ? shard.n1 - n : t->sum_images;
    float *partial = s->partial + n / s->group * s->partial_stride;
    bool first = n % s->group == 0, last = (n + images) % s->group == 0 || n + images == shard.batch;
    if (first) memset(partial, 0, (size_t)s->partial_stride * sizeof *partial);
    const float *x = t->padded.plane ? pad(config, &s->x[0], n, &t->padded, scratch + t->padded_at)
                                     : s->x[0].data + n * s->x[0].image;
    if (t->depthwise) {
      struct window window = window_of(config, &s->x[0], &s->dy);
      depthwise_backward_weights(s, n, &window, partial);
    }
    if (t->few_filters) few_filters_backward_weights(s, &t->few, n, last, partial, scratch);
    for (int64_t g = 0; !t->depthwise && !t->few_filters && g < config->groups; g++) {
      const float *dy = s->dy.data + n * s->dy.image + g * t->fn / BLOCK * s->dy.plane;
      if (!t->aligned) {
        view_to_scratch(&s->dy, n, g * t->fn, t->fn, scratch);
        dy = scratch;
      }
      float *to = partial + g * t->panels * t->k * BLOCK;
      for (int64_t line = 0; line < s->y.shape.h; line += t->lines) add_lines(s, g, line, images, x, dy, to);
    }
    for (int64_t i = n; config->bias && i < n + images; i++)
      add_to_biases(s, i, last && i + 1 == n + images, partial + s->weight_at[BIAS], partial + s->range);
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
    .config_size = sizeof(struct conv),
    .params = params,
    .inputs = 1,
    .any_block = true,
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
