/* conv: convolution of each image with `filters` filters, with stride, padding, dilation and groups
 * (sections 7.2 and 7.4).
 *
 * All three passes are products over im2col rows that are read where they stand (struct product):
 *
 *     forward            y[position][filter]  = sum over taps (c, fh, fw)   of  x * weight
 *     backward_weights   dw[tap][filter]      = sum over positions          of  x * dy
 *     backward_data      dx[position][c]      = sum over taps (filter, fh, fw) of dy * weight
 *
 * backward_data is col2im turned round: each dx gathers the dy that it reached. Positions that meet the
 * same taps make a piece, and each piece is a product of its own: those inside the image meet all taps,
 * those at its edge leave out the taps that fall on padding. So padding costs nothing and is nowhere in
 * memory, and with a stride no product is with a hole.
 *
 * Weights are packed in panels of 16 filters, [group][filter/16][tap][16]; taps are in the order x
 * stands in memory: channel block, fh, fw, channel in block. */
#include <string.h>

#include "layers/layer.h"

enum {
  WEIGHT,
  BIAS,
  FEW_POSITIONS = 16, /* up to so many of an image: several images make one product */
  MOST_IMAGES = 32,
};

struct config {
  int64_t filters, kernel[2], stride[2], pad[2], dilation[2], groups;
  int round;
  bool bias;
  struct init init;
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
    {"bias", PARAM_FLAG, offsetof(struct config, bias), "yes", 0, 0, NULL,
     "add a bias to each filter; it starts at 0"},
    {"round", PARAM_CHOICE, offsetof(struct config, round), "error", 0, 0, round_choices,
     "where the filter does not fit a whole number of times: error, floor or ceil"},
    {"init", PARAM_INIT, offsetof(struct config, init), "he", 0, 0, NULL,
     "how weights start: normal:STD, xavier, he or zeros"},
    {0}};

/* Positions that meet the same taps: rows of a product, with the taps as runs. Offsets of several images,
 * where several make one product, follow each other. */
struct piece {
  int64_t positions, depth, run_count, walk_count; /* of one image; of one group */
  int32_t *from, *to; /* [images][positions]: x and y; or, for backward_data, dy and dx */
  struct run *runs;   /* [groups][run_count]: x, weight; or dy, across */
  /* backward_weights, where taps are rows and positions are summed over: */
  int32_t *tap_at, *weight_row; /* [groups][depth]: x; [depth]: weight */
  struct run *walk;             /* [images][walk_count]: x, dy */
};

struct tables {
  /* one group: c input channels, k taps, fn filters in panels; its dx in c_panels panels of 16 */
  int64_t c, k, fn, panels, c_panels, positions, inputs; /* positions of y; of x */
  bool aligned, c_aligned; /* groups of filters, of channels, begin at a panel of y, of dx */
  int64_t images;          /* how many one product may take: where one image is but a few rows */
  int64_t tap_step;        /* floats of x from one tap of a run to the next */
  struct piece *pieces, *dx_pieces;
  int64_t piece_count, dx_piece_count;
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

/* Positions from .. to - 1 along one axis, `step` apart, that meet the same taps: lo .. hi - 1, of which
 * every one that falls on a whole position counts. */
struct span {
  int64_t from, to, step, lo, hi;
};

/* The taps that output position o finds inside the input. */
static struct span forward_taps(const struct config *c, int axis, int64_t in, int64_t o) {
  int64_t first = o * c->stride[axis] - c->pad[axis], dilation = c->dilation[axis];
  int64_t lo = first < 0 ? ceil_div(-first, dilation) : 0,
          hi = in > first ? ceil_div(in - first, dilation) : 0;
  if (hi > c->kernel[axis]) hi = c->kernel[axis];
  if (lo > hi) lo = hi;
  return (struct span){.from = o, .step = 1, .lo = lo, .hi = hi};
}

/* Output position that input h meets at tap f: (h + pad - f * dilation) / stride, where that is whole. */
static bool meets(const struct config *c, int axis, int64_t h, int64_t f, int64_t *o) {
  int64_t at = h + c->pad[axis] - f * c->dilation[axis];
  *o = floor_div(at, c->stride[axis]);
  return *o * c->stride[axis] == at;
}

/* The taps through which input h reached an output; lo and hi are the first and past the last of them. */
static struct span backward_taps(const struct config *c, int axis, int64_t out, int64_t h) {
  struct span span = {.from = h, .step = c->stride[axis]};
  for (int64_t f = 0, o; f < c->kernel[axis]; f++)
    if (meets(c, axis, h, f, &o) && o >= 0 && o < out) {
      if (span.hi == 0) span.lo = f;
      span.hi = f + 1;
    }
  return span;
}

/* The span that begins at position i: of outputs, or of inputs of one phase of the stride. */
static struct span span_at(const struct config *c, int axis, const struct ledger *l, bool backward,
                           int64_t i) {
  int64_t in = axis ? l->x[0].shape.w : l->x[0].shape.h, out = axis ? l->y.shape.w : l->y.shape.h;
  int64_t end = backward ? in : out;
  struct span span = backward ? backward_taps(c, axis, out, i) : forward_taps(c, axis, in, i);
  for (span.to = i + span.step; span.to < end; span.to += span.step) {
    struct span next = backward ? backward_taps(c, axis, out, span.to) : forward_taps(c, axis, in, span.to);
    if (next.lo != span.lo || next.hi != span.hi) break;
  }
  return span;
}

/* Runs, joined where one goes on as the last did. Counts where there is no memory yet. */
struct writer {
  struct run *runs, last;
  int64_t count, a_step, b_step;
  bool broken; /* begin a new run */
  bool single; /* make none longer than a step: groups that begin within a block would be cut differently */
};

static void write_step(struct writer *w, int64_t a, int64_t b) {
  if (w->count && !w->broken && !w->single && a == w->last.a + w->last.count * w->a_step &&
      b == w->last.b + w->last.count * w->b_step) {
    w->last.count++;
  } else {
    w->last = (struct run){(int32_t)a, (int32_t)b, 1};
    w->count++;
    w->broken = false;
  }
  if (w->runs) w->runs[w->count - 1] = w->last;
}

/* The number of tap (c, fh, fw) in the order channel block, fh, fw, channel in block. */
static int64_t tap_number(const struct config *config, int64_t channels, int64_t block, int64_t c, int64_t fh,
                          int64_t fw) {
  int64_t first = c / block * block, width = channels - first < block ? channels - first : block;
  return first * config->kernel[0] * config->kernel[1] + (fh * config->kernel[1] + fw) * width + c - first;
}

/* One piece of forward and backward_weights: counts, and fills what it has memory for. */
static void fill_forward(const struct config *config, const struct ledger *l, const struct tables *t,
                         struct span h, struct span w, struct piece *piece) {
  const struct view *x = &l->x[0], *y = &l->y;
  int64_t x_image = l->step ? x->image : 0, y_image = l->step ? l->y.image : 0,
          dy_image = l->step ? l->step->dy.image : 0;
  struct writer taps = {.runs = piece->runs, .a_step = t->tap_step, .b_step = BLOCK, .single = !t->c_aligned};
  struct writer walk = {.runs = piece->walk, .a_step = config->stride[1] * x->pixel, .b_step = BLOCK};
  int64_t k = 0, depth = piece->depth;
  for (int64_t g = 0; g < config->groups; g++, taps.broken = true) {
    k = 0;
    for (int64_t first = 0; first < t->c; first += x->block)
      for (int64_t fh = h.lo; fh < h.hi; fh++)
        for (int64_t fw = w.lo; fw < w.hi; fw++)
          for (int64_t c = first; c < t->c && c < first + x->block; c++) {
            int64_t at = view_offset(x, 0, g * t->c + c, fh * config->dilation[0], fw * config->dilation[1]);
            int64_t row = tap_number(config, t->c, x->block, c, fh, fw) * BLOCK;
            write_step(&taps, at, row);
            if (piece->tap_at) {
              piece->tap_at[g * depth + k] = (int32_t)at;
              piece->weight_row[k] = (int32_t)row;
            }
            k++;
          }
  }
  piece->depth = k;
  piece->run_count = taps.count / config->groups;
  piece->positions = 0;
  for (int64_t n = 0; n < t->images; n++, walk.broken = true)
    for (int64_t oh = h.from; oh < h.to; oh++)
      for (int64_t ow = w.from; ow < w.to; ow++) {
        int64_t at = (oh * config->stride[0] - config->pad[0]) * x->row +
                     (ow * config->stride[1] - config->pad[1]) * x->pixel,
                i = piece->positions++;
        int64_t to = (oh * y->shape.w + ow) * BLOCK;
        write_step(&walk, n * x_image + at, n * dy_image + to);
        if (!piece->from) continue;
        piece->from[i] = (int32_t)(n * x_image + at);
        piece->to[i] = (int32_t)(n * y_image + to);
      }
  piece->positions /= t->images;
  piece->walk_count = walk.count / t->images;
}

/* One piece of backward_data. */
static void fill_backward(const struct config *config, const struct ledger *l, const struct tables *t,
                          struct span h, struct span w, struct piece *piece) {
  int64_t row = l->y.shape.w * BLOCK;
  int64_t dx_image = l->step ? l->step->dx[0].image : 0, dy_image = l->step ? l->step->dy.image : 0;
  struct writer taps = {.runs = piece->runs, .a_step = 1, .b_step = BLOCK, .single = !t->aligned};
  for (int64_t g = 0; g < config->groups; g++, taps.broken = true) {
    piece->depth = 0;
    for (int64_t first = 0; first < t->fn; first += BLOCK)
      for (int64_t fh = h.lo, oh; fh < h.hi; fh++) {
        if (!meets(config, 0, h.from % h.step, fh, &oh)) continue;
        for (int64_t fw = w.lo, ow; fw < w.hi; fw++) {
          if (!meets(config, 1, w.from % w.step, fw, &ow)) continue;
          for (int64_t f = first; f < t->fn && f < first + BLOCK; f++, piece->depth++)
            write_step(&taps, view_offset(&l->y, 0, g * t->fn + f, oh, ow),
                       tap_number(config, t->fn, BLOCK, f, fh, fw) * BLOCK);
        }
      }
  }
  piece->run_count = taps.count / config->groups;
  piece->positions = 0;
  for (int64_t n = 0; n < t->images; n++)
    for (int64_t ih = h.from; ih < h.to; ih += h.step)
      for (int64_t iw = w.from; iw < w.to; iw += w.step) {
        int64_t i = piece->positions++;
        if (!piece->from) continue;
        piece->from[i] = (int32_t)(n * dy_image + ih / h.step * row + iw / w.step * BLOCK);
        piece->to[i] = (int32_t)(n * dx_image + (ih * l->x[0].shape.w + iw) * BLOCK);
      }
  piece->positions /= t->images;
}

/* The pieces of one direction. Returns how many; their tables are booked, and filled, unless that is all
 * that is asked for. */
static int64_t book_pieces(const struct config *config, struct ledger *l, const struct tables *t,
                           bool backward, bool count_only, struct piece *pieces) {
  int64_t count = 0;
  struct span h, w;
  const cnn_shape *over = backward ? &l->x[0].shape : &l->y.shape; /* what is cut into pieces */
  for (int64_t a = 0; a < over->h && a < (backward ? config->stride[0] : 1); a++)
    for (int64_t i = a; i < over->h; i = h.to) {
      h = span_at(config, 0, l, backward, i);
      for (int64_t b = 0; b < over->w && b < (backward ? config->stride[1] : 1); b++)
        for (int64_t j = b; j < over->w; j = w.to, count++) {
          struct piece piece = {0};
          w = span_at(config, 1, l, backward, j);
          if (count_only) continue;
          (backward ? fill_backward : fill_forward)(config, l, t, h, w, &piece);
          size_t rows = (size_t)(t->images * piece.positions), depth = (size_t)piece.depth;
          piece.from = ledger_table(l, rows * sizeof *piece.from);
          piece.to = ledger_table(l, rows * sizeof *piece.to);
          piece.runs = ledger_table(l, (size_t)(config->groups * piece.run_count) * sizeof *piece.runs);
          if (!backward && l->training) {
            piece.tap_at = ledger_table(l, (size_t)config->groups * depth * sizeof *piece.tap_at);
            piece.weight_row = ledger_table(l, depth * sizeof *piece.weight_row);
            piece.walk = ledger_table(l, (size_t)(t->images * piece.walk_count) * sizeof *piece.walk);
          }
          if (!l->step) continue;
          (backward ? fill_backward : fill_forward)(config, l, t, h, w, &piece);
          pieces[count] = piece;
        }
    }
  return count;
}

static void book(const void *config_, struct ledger *l) {
  const struct config *config = config_;
  const struct view *x = &l->x[0], *y = &l->y;
  struct tables counted, *t = ledger_table(l, sizeof *t);
  if (!t) t = &counted;
  *t = (struct tables){.c = x->shape.c / config->groups,
                       .fn = config->filters / config->groups,
                       .positions = y->shape.h * y->shape.w,
                       .inputs = x->shape.h * x->shape.w,
                       .tap_step = x->block == 1 ? config->dilation[1] * x->pixel : 1};
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
                  (struct init){.kind = INIT_ZEROS}, t->k);
  /* A few positions an image: several images make one product, or it would be short of rows. */
  l->whole_batch = t->aligned && t->c_aligned && t->positions <= FEW_POSITIONS;
  t->images = l->whole_batch && l->group > 1 ? (l->group < MOST_IMAGES ? l->group : MOST_IMAGES) : 1;

  t->piece_count = book_pieces(config, l, t, false, true, NULL);
  t->pieces = ledger_table(l, (size_t)t->piece_count * sizeof *t->pieces);
  book_pieces(config, l, t, false, false, t->pieces);
  if (!t->aligned) l->scratch = t->panels * t->positions * BLOCK;
  if (l->training) l->partial_extra = view_blocks(y) * BLOCK * BLOCK;
  if (!l->wants_dx) return;
  t->dx_piece_count = book_pieces(config, l, t, true, true, NULL);
  t->dx_pieces = ledger_table(l, (size_t)t->dx_piece_count * sizeof *t->dx_pieces);
  book_pieces(config, l, t, true, false, t->dx_pieces);
  int64_t rows = t->fn * config->kernel[0] * config->kernel[1];
  l->prepare_parts = config->groups * t->c_panels;
  t->across = ledger_table(l, (size_t)(l->prepare_parts * rows * BLOCK) * sizeof *t->across);
  if (!t->c_aligned && t->c_panels * t->inputs * BLOCK > l->scratch)
    l->scratch = t->c_panels * t->inputs * BLOCK;
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
static int64_t images_from(const struct tables *t, struct shard shard, int64_t n) {
  return shard.n1 - n < t->images ? shard.n1 - n : t->images;
}

static void forward(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  float *scratch = s->scratch + shard.thread * s->scratch_stride;
  for (int64_t n = shard.n0; n < shard.n1; n += t->images)
    for (int64_t g = 0; g < config->groups; g++) {
      float *y = s->y.data + n * s->y.image + g * t->fn / BLOCK * s->y.plane;
      for (const struct piece *piece = t->pieces; piece < t->pieces + t->piece_count; piece++) {
        struct product p = {.a = s->x[0].data + n * s->x[0].image,
                            .b = s->weight + g * t->panels * t->k * BLOCK,
                            .c = t->aligned ? y : scratch,
                            .a_row = piece->from,
                            .c_row = piece->to,
                            .runs = piece->runs + g * piece->run_count,
                            .a_step = t->tap_step,
                            .b_step = BLOCK,
                            .rows = images_from(t, shard, n) * piece->positions,
                            .columns = t->fn,
                            .depth = piece->depth,
                            .b_panel = t->k * BLOCK,
                            .c_panel = s->y.plane,
                            .start = config->bias ? s->weight + s->weight_at[BIAS] + g * t->fn : NULL};
        s->kernels->product(&p);
      }
      if (!t->aligned) scratch_to_view(&s->y, n, g * t->fn, t->fn, scratch);
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
  for (int64_t n = shard.n0; n < shard.n1; n += t->images)
    for (int64_t g = 0; g < config->groups; g++) {
      float *to = dx->data + n * dx->image + g * t->c / BLOCK * dx->plane;
      for (const struct piece *piece = t->dx_pieces; piece < t->dx_pieces + t->dx_piece_count; piece++) {
        struct product p = {.a = s->dy.data + n * s->dy.image,
                            .b = t->across + g * t->c_panels * rows * BLOCK,
                            .c = t->c_aligned ? to : scratch,
                            .a_row = piece->from,
                            .c_row = piece->to,
                            .runs = piece->runs + g * piece->run_count,
                            .a_step = 1,
                            .b_step = BLOCK,
                            .rows = images_from(t, shard, n) * piece->positions,
                            .columns = t->c,
                            .depth = piece->depth,
                            .b_panel = rows * BLOCK,
                            .c_panel = dx->plane};
        s->kernels->product(&p);
      }
      if (!t->c_aligned) scratch_to_view(dx, n, g * t->c, t->c, scratch);
    }
}

/* The biases' gradient of image n: position i adds to lane i mod 16, whatever the image. */
static void backward_bias(const struct step *s, int64_t n, bool last, float *sums, float *lanes) {
  const struct tables *t = s->tables;
  for (int64_t b = 0; b < view_blocks(&s->dy); b++) {
    float *lane = lanes + b * BLOCK * BLOCK;
    s->kernels->sum_positions(lane, s->dy.data + n * s->dy.image + b * s->dy.plane, BLOCK, t->positions);
    if (last) s->kernels->sum_lanes(sums + b * BLOCK, lane);
  }
}

/* Adds to the partial sums of the images' group. In a product taps are rows, and a piece's positions are
 * summed over: a tap that falls on padding is not among its rows. */
static void backward_weights(const struct step *s, struct shard shard) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  float *scratch = s->scratch + shard.thread * s->scratch_stride;
  for (int64_t n = shard.n0, images; n < shard.n1; n += images) {
    images = images_from(t, shard, n);
    float *partial = s->partial + n / s->group * s->partial_stride;
    bool first = n % s->group == 0, last = (n + images) % s->group == 0 || n + images == shard.batch;
    if (first) memset(partial, 0, (size_t)s->partial_stride * sizeof *partial);
    for (int64_t g = 0; g < config->groups; g++) {
      const float *dy = s->dy.data + n * s->dy.image + g * t->fn / BLOCK * s->dy.plane;
      if (!t->aligned) view_to_scratch(&s->dy, n, g * t->fn, t->fn, scratch);
      for (const struct piece *piece = t->pieces; piece < t->pieces + t->piece_count; piece++) {
        struct product p = {.a = s->x[0].data + n * s->x[0].image,
                            .b = t->aligned ? dy : scratch,
                            .c = partial + g * t->panels * t->k * BLOCK,
                            .a_row = piece->tap_at + g * piece->depth,
                            .c_row = piece->weight_row,
                            .runs = piece->walk,
                            .a_step = config->stride[1] * s->x[0].pixel,
                            .b_step = BLOCK,
                            .rows = piece->depth,
                            .columns = t->fn,
                            .depth = images * piece->positions,
                            .b_panel = s->dy.plane,
                            .c_panel = t->k * BLOCK,
                            .add = true};
        s->kernels->product(&p);
      }
    }
    for (int64_t i = n; config->bias && i < n + images; i++)
      backward_bias(s, i, last && i + 1 == n + images, partial + s->weight_at[BIAS], partial + s->range);
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
