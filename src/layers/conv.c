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
 * memory, and with a stride no product is with a hole. Likewise taps that meet the same positions.
 *
 * Weights are packed in panels of 16 filters, [group][filter/16][tap][16]; taps are in the order x
 * stands in memory: channel block, fh, fw, channel in block. */
#include <string.h>

#include "layers/col2im.h"
#include "layers/depthwise.h"
#include "layers/layer.h"

enum {
  WEIGHT,
  BIAS,
  FEW_ROWS = 6,      /* an average piece of fewer rows is taken of several images at once: */
  AT_HAND = 1 << 16, /* so many that x and y take about so many floats */
  MOST_IMAGES = 32,
  FEW_IMAGES = 4,
  FEW_MULTIPLY_ADDS = 1 << 17, /* up to so many an image are not worth parts */
  ENOUGH_DEPTH = 64, /* positions of so many images that chains of backward_weights are about so long */
  FEW_CHANNELS = 16, /* up to so many make a piece of backward_weights wait for x and dy: their lines are read
                        from the L1 cache by all pieces, about so many positions at a time: */
  LINE_STEPS = 192
};

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

enum direction { FORWARD, DATA, WEIGHTS };

/* One product: rows that have the same chain. In forward and backward_data rows are positions and the chain
 * runs over taps; in backward_weights rows are taps and the chain runs over positions. Positions of several
 * images, where several make one product, follow each other. */
struct piece {
  int64_t rows, depth, run_count; /* of one image; of one group */
  int64_t fours;      /* rows of an image, of a group, that come in fours, in front of the others */
  int32_t *from, *to; /* [rows]: x and y; dy and dx; x and weight, from for each group */
  int64_t lo, hi;     /* backward_weights: lines of y that it meets, a run each */
  struct run *runs;   /* [run_count]: x and weight; dy and across, for each group; x and dy */
};

/* The pieces of one direction. */
struct pieces {
  struct piece *piece;
  int64_t count;
};

struct tables {
  /* one group: c input channels, k taps, fn filters in panels; its dx in c_panels panels of 16 */
  int64_t c, k, fn, panels, c_panels, positions, inputs; /* positions of y; of x */
  bool depthwise;    /* depthwise.h does all of it, and what follows is not used */
  bool few_channels; /* col2im.h does backward_data, and data and across are not used */
  struct col2im col2im;
  bool aligned, c_aligned;    /* groups of filters, of channels, begin at a panel of y, of dx */
  int64_t images, sum_images; /* how many one product may take: of rows; of the chains of backward_weights */
  int64_t tap_step;           /* floats of x from one tap of a run to the next */
  int64_t spacing[3];  /* floats from one row of a line to the next, in each direction; 0: they differ */
  int64_t lines;       /* of y that backward_weights takes together, for all its pieces */
  int64_t part_panels; /* panels of filters that one part of forward computes; 0: it goes image by image */
  struct pieces forward, data, weights;
  struct view padded; /* a copy of an image with its padding, where plane is not 0 */
  int64_t padded_at;  /* in scratch */
  float *across;      /* [groups][c_panels][filter, fh, fw][16 channels]; made by prepare() */
};

static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
static int64_t ceil_div(int64_t a, int64_t b) { return -floor_div(-a, b); }

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

static void reach(const void *config, struct reach *to) {
  const struct config *c = config;
  *to = (struct reach){.kind = REACH_WINDOW,
                       .count = {c->kernel[0], c->kernel[1]},
                       .stride = {c->stride[0], c->stride[1]},
                       .pad = {c->pad[0], c->pad[1]},
                       .dilation = {c->dilation[0], c->dilation[1]}};
}

static bool sees(const void *config, const cnn_shape *in, int k, int64_t f, int64_t channel) {
  const struct config *c = config;
  (void)k;
  return f / (c->filters / c->groups) == channel / (in[0].c / c->groups);
}

/* Along one axis: from .. to - 1, `step` apart, that all meet lo .. hi - 1 (in DATA those of them that fall
 * on a whole position). Outputs meet taps; in DATA inputs meet taps; in WEIGHTS taps meet outputs. */
struct span {
  int64_t from, to, step, lo, hi;
};

static int64_t clip(int64_t i, int64_t end) { return i < 0 ? 0 : i > end ? end : i; }

/* Output position that input h meets at tap f: (h + pad - f * dilation) / stride, where that is whole. */
static bool meets(const struct config *c, int axis, int64_t h, int64_t f, int64_t *o) {
  int64_t at = h + c->pad[axis] - f * c->dilation[axis];
  *o = floor_div(at, c->stride[axis]);
  return *o * c->stride[axis] == at;
}

/* What i alone meets. An input has outputs at o * stride - pad + f * dilation. */
static struct span span_of(const struct config *c, int axis, enum direction direction, int64_t in,
                           int64_t out, int64_t i) {
  int64_t stride = c->stride[axis], dilation = c->dilation[axis], kernel = c->kernel[axis];
  struct span span = {.from = i, .step = direction == DATA ? stride : 1};
  if (direction == FORWARD) {
    int64_t first = i * stride - c->pad[axis];
    span.lo = clip(ceil_div(-first, dilation), kernel);
    span.hi = clip(ceil_div(in - first, dilation), kernel);
  } else if (direction == WEIGHTS) {
    int64_t first = i * dilation - c->pad[axis];
    span.lo = clip(ceil_div(-first, stride), out);
    span.hi = clip(ceil_div(in - first, stride), out);
  } else {
    for (int64_t f = 0, o; f < kernel; f++)
      if (meets(c, axis, i, f, &o) && o >= 0 && o < out) {
        if (span.hi == 0) span.lo = f;
        span.hi = f + 1;
      }
  }
  if (span.lo >= span.hi) span.lo = span.hi = 0;
  return span;
}

/* The span that begins at i. */
static struct span span_at(const struct config *c, int axis, const struct ledger *l, enum direction direction,
                           int64_t i) {
  int64_t in = axis ? l->x[0].shape.w : l->x[0].shape.h, out = axis ? l->y.shape.w : l->y.shape.h;
  int64_t end = direction == FORWARD ? out : direction == DATA ? in : c->kernel[axis];
  struct span span = span_of(c, axis, direction, in, out, i);
  for (span.to = i + span.step; span.to < end; span.to += span.step) {
    struct span next = span_of(c, axis, direction, in, out, span.to);
    if (next.lo != span.lo || next.hi != span.hi) break;
  }
  return span;
}

/* Runs, joined where one goes on as the last did. Counts where there is no memory yet. */
struct writer {
  struct run *runs, last;
  int64_t count, a_step, b_step;
  bool broken; /* begin a new run */
  bool lines;  /* begin one with each line of positions */
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

static int64_t image_stride(const struct ledger *l, const struct view *v) { return l->step ? v->image : 0; }

/* Lines of rows whose a_row are evenly spaced. In a table the fours of neighbours of every line come first,
 * which the product takes together, then what is left of the lines. */
struct lines {
  int64_t count, width;
};

static int64_t fours_of(struct lines lines) { return lines.count * (lines.width / 4 * 4); }

static int64_t row_number(struct lines lines, int64_t line, int64_t i) {
  int64_t fours = lines.width / 4 * 4, rest = lines.width - fours;
  return i < fours ? line * fours + i : fours_of(lines) + line * rest + i - fours;
}

/* The taps (h, w) of every channel, group by group: as runs, or as rows. Counts, and fills what there is
 * memory for. A line of rows is the channels of a pixel or, where x has no channel blocks, a row of a filter.
 */
static void list_taps(const struct config *config, const struct tables *t, const struct view *x,
                      struct span h, struct span w, struct writer *runs, struct piece *rows) {
  int64_t count = rows->rows, high = h.to - h.from, wide = w.to - w.from;
  bool plain = x->block == 1;
  for (int64_t g = 0; g < config->groups; g++, runs->broken = true) {
    rows->rows = rows->fours = 0;
    for (int64_t first = 0; first < t->c; first += x->block) {
      int64_t width = t->c - first < x->block ? t->c - first : x->block;
      int64_t before = plain ? 0 : first * high * wide; /* rows of the blocks before this one */
      struct lines lines = {plain ? t->c * high : high * wide, plain ? wide : width};
      for (int64_t fh = h.from; fh < h.to; fh++)
        for (int64_t fw = w.from; fw < w.to; fw++)
          for (int64_t c = first; c < first + width; c++, rows->rows++) {
            int64_t at = view_offset(x, 0, g * t->c + c, fh * config->dilation[0], fw * config->dilation[1]);
            int64_t row = tap_number(config, t->c, x->block, c, fh, fw) * BLOCK;
            write_step(runs, at, row);
            if (!rows->from) continue;
            int64_t down = fh - h.from, right = fw - w.from;
            int64_t i = before + row_number(lines, plain ? c * high + down : down * wide + right,
                                            plain ? right : c - first);
            rows->from[g * count + i] = (int32_t)at;
            rows->to[i] = (int32_t)row;
          }
      if (rows->fours == before) rows->fours = before + fours_of(lines);
    }
  }
}

/* The output positions (h, w) of every image, likewise; x and dy or y. */
static void list_positions(const struct config *config, const struct ledger *l, const struct tables *t,
                           const struct view *x, struct span h, struct span w, struct writer *runs,
                           struct piece *rows) {
  bool padded = x == &t->padded;
  int64_t x_image = padded ? 0 : image_stride(l, x), y_image = image_stride(l, &l->y),
          dy_image = l->step ? l->step->dy.image : 0;
  struct lines lines = {h.to - h.from, w.to - w.from};
  rows->rows = 0;
  rows->fours = fours_of(lines);
  for (int64_t n = 0; n < t->images; n++, runs->broken = true)
    for (int64_t oh = h.from; oh < h.to; oh++, runs->broken = runs->lines)
      for (int64_t ow = w.from; ow < w.to; ow++) {
        int64_t ih = oh * config->stride[0] - (padded ? 0 : config->pad[0]),
                iw = ow * config->stride[1] - (padded ? 0 : config->pad[1]);
        int64_t at = n * x_image + ih * x->row + iw * x->pixel, to = (oh * l->y.shape.w + ow) * BLOCK;
        rows->rows++;
        write_step(runs, at, n * dy_image + to);
        if (!rows->from) continue;
        int64_t i = n * lines.count * lines.width + row_number(lines, oh - h.from, ow - w.from);
        rows->from[i] = (int32_t)at;
        rows->to[i] = (int32_t)(n * y_image + to);
      }
  rows->rows /= t->images;
}

/* x as products read it. */
static const struct view *view_of(const struct ledger *l, const struct tables *t) {
  return t->padded.plane ? &t->padded : &l->x[0];
}

static void fill_forward(const struct config *config, const struct ledger *l, const struct tables *t,
                         struct span h, struct span w, struct piece *piece) {
  const struct view *x = view_of(l, t);
  struct span taps_h = {.from = h.lo, .to = h.hi}, taps_w = {.from = w.lo, .to = w.hi};
  struct writer runs = {.runs = piece->runs, .a_step = t->tap_step, .b_step = BLOCK, .single = !t->c_aligned};
  struct piece none = {0};
  list_taps(config, t, x, taps_h, taps_w, &runs, &none);
  piece->depth = none.rows;
  piece->run_count = runs.count / config->groups;
  list_positions(config, l, t, x, h, w, &(struct writer){0}, piece);
}

static void fill_weights(const struct config *config, const struct ledger *l, const struct tables *t,
                         struct span h, struct span w, struct piece *piece) {
  const struct view *x = view_of(l, t);
  struct span positions_h = {.from = h.lo, .to = h.hi}, positions_w = {.from = w.lo, .to = w.hi};
  struct writer runs = {
      .runs = piece->runs, .a_step = config->stride[1] * x->pixel, .b_step = BLOCK, .lines = true};
  struct piece none = {0};
  piece->lo = h.lo;
  piece->hi = h.hi;
  list_positions(config, l, t, x, positions_h, positions_w, &runs, &none);
  piece->depth = none.rows;
  piece->run_count = runs.count / t->images;
  list_taps(config, t, x, h, w, &(struct writer){0}, piece);
}

static void fill_data(const struct config *config, const struct ledger *l, const struct tables *t,
                      struct span h, struct span w, struct piece *piece) {
  int64_t dx_image = l->step ? l->step->dx[0].image : 0, dy_image = l->step ? l->step->dy.image : 0;
  struct writer runs = {.runs = piece->runs, .a_step = 1, .b_step = BLOCK, .single = !t->aligned};
  for (int64_t g = 0; g < config->groups; g++, runs.broken = true) {
    piece->depth = 0;
    for (int64_t first = 0; first < t->fn; first += BLOCK)
      for (int64_t fh = h.lo, oh; fh < h.hi; fh++) {
        if (!meets(config, 0, h.from % h.step, fh, &oh)) continue;
        for (int64_t fw = w.lo, ow; fw < w.hi; fw++) {
          if (!meets(config, 1, w.from % w.step, fw, &ow)) continue;
          for (int64_t f = first; f < t->fn && f < first + BLOCK; f++, piece->depth++)
            write_step(&runs, view_offset(&l->y, 0, g * t->fn + f, oh, ow),
                       tap_number(config, t->fn, BLOCK, f, fh, fw) * BLOCK);
        }
      }
  }
  piece->run_count = runs.count / config->groups;
  struct lines lines = {ceil_div(h.to - h.from, h.step), ceil_div(w.to - w.from, w.step)};
  piece->rows = 0;
  piece->fours = fours_of(lines);
  for (int64_t n = 0; n < t->images; n++)
    for (int64_t ih = h.from; ih < h.to; ih += h.step)
      for (int64_t iw = w.from; iw < w.to; iw += w.step) {
        piece->rows++;
        if (!piece->from) continue;
        int64_t i =
            n * lines.count * lines.width + row_number(lines, (ih - h.from) / h.step, (iw - w.from) / w.step);
        piece->from[i] = (int32_t)(n * dy_image + (ih / h.step * l->y.shape.w + iw / w.step) * BLOCK);
        piece->to[i] = (int32_t)(n * dx_image + (ih * l->x[0].shape.w + iw) * BLOCK);
      }
  piece->rows /= t->images;
}

/* Calls each(h, w) for every piece of a direction; returns how many there are. */
static int64_t walk_pieces(const struct config *config, struct ledger *l, struct tables *t,
                           enum direction direction,
                           void (*each)(const struct config *, struct ledger *, struct tables *,
                                        enum direction, struct span h, struct span w, int64_t i)) {
  static const int64_t one[2] = {1, 1};
  const cnn_shape *x = &l->x[0].shape, *y = &l->y.shape;
  int64_t end_h = direction == FORWARD ? y->h : direction == DATA ? x->h : config->kernel[0];
  int64_t end_w = direction == FORWARD ? y->w : direction == DATA ? x->w : config->kernel[1];
  const int64_t *phases = direction == DATA ? config->stride : one;
  bool all_at_once = direction != DATA && t->padded.plane; /* with its padding, taps meet every position */
  int64_t meets_h = direction == FORWARD ? config->kernel[0] : y->h,
          meets_w = direction == FORWARD ? config->kernel[1] : y->w;
  int64_t count = 0;
  struct span h, w;
  for (int64_t a = 0; a < end_h && a < phases[0]; a++)
    for (int64_t i = a; i < end_h; i = h.to) {
      h = all_at_once ? (struct span){0, end_h, 1, 0, meets_h} : span_at(config, 0, l, direction, i);
      for (int64_t b = 0; b < end_w && b < phases[1]; b++)
        for (int64_t j = b; j < end_w; j = w.to, count++) {
          w = all_at_once ? (struct span){0, end_w, 1, 0, meets_w} : span_at(config, 1, l, direction, j);
          if (each) each(config, l, t, direction, h, w, count);
        }
    }
  return count;
}

/* Tables of one piece: counted without memory, booked, filled. */
static void book_piece(const struct config *config, struct ledger *l, struct tables *t,
                       enum direction direction, struct span h, struct span w, int64_t i) {
  struct piece piece = {0};
  void (*fill)(const struct config *, const struct ledger *, const struct tables *, struct span, struct span,
               struct piece *) = direction == FORWARD ? fill_forward
                                 : direction == DATA  ? fill_data
                                                      : fill_weights;
  struct pieces *all = direction == FORWARD ? &t->forward : direction == DATA ? &t->data : &t->weights;
  fill(config, l, t, h, w, &piece);
  bool taps_are_rows = direction == WEIGHTS;
  size_t rows = (size_t)(piece.rows * (taps_are_rows ? config->groups : t->images));
  size_t runs = (size_t)(piece.run_count * (taps_are_rows ? t->images : config->groups));
  piece.from = ledger_table(l, rows * sizeof *piece.from);
  piece.to = ledger_table(l, rows * sizeof *piece.to);
  piece.runs = ledger_table(l, runs * sizeof *piece.runs);
  if (!l->step) return;
  fill(config, l, t, h, w, &piece);
  if (t->spacing[direction] != 1 && t->spacing[direction] != BLOCK) piece.fours = 0;
  all->piece[i] = piece;
}

static void book_pieces(const struct config *config, struct ledger *l, struct tables *t,
                        enum direction direction, struct pieces *pieces) {
  pieces->count = walk_pieces(config, l, t, direction, NULL);
  pieces->piece = ledger_table(l, (size_t)pieces->count * sizeof *pieces->piece);
  walk_pieces(config, l, t, direction, book_piece);
}

/* Of a network's input a copy with its padding: it is small, and without padding all positions make one
 * product, and all taps. */
static void book_padded(const struct config *config, struct ledger *l, struct tables *t) {
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

static bool is_depthwise(const struct config *config, const struct view *x) {
  return config->groups > 1 && config->groups == x->shape.c && config->groups == config->filters &&
         x->block == BLOCK && config->dilation[0] == 1 && config->dilation[1] == 1;
}

/* The window over planes of x that gives planes of y. */
static struct window window_of(const struct config *config, const struct view *x, const struct view *y) {
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
  const struct config *config = config_;
  const struct view *x = &l->x[0], *y = &l->y;
  struct tables counted, *t = ledger_table(l, sizeof *t);
  if (!t) t = &counted;
  *t = (struct tables){.c = x->shape.c / config->groups,
                       .fn = config->filters / config->groups,
                       .positions = y->shape.h * y->shape.w,
                       .inputs = x->shape.h * x->shape.w,
                       .tap_step = x->block == 1 ? config->dilation[1] * x->pixel : 1};
  t->depthwise = is_depthwise(config, x);
  t->k = t->c * config->kernel[0] * config->kernel[1];
  t->panels = ceil_div(t->fn, BLOCK);
  t->c_panels = ceil_div(t->c, BLOCK);
  t->aligned = config->groups == 1 || t->fn % BLOCK == 0;
  t->c_aligned = config->groups == 1 || t->c % BLOCK == 0;
  t->few_channels = config->groups == 1 && config->dilation[0] == 1 && config->dilation[1] == 1 &&
                    t->c < BLOCK && col2im_pays(t->c, config->kernel[0] * config->kernel[1], t->fn);
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
  book_padded(config, l, t);

  /* Where one image makes pieces of few rows, several images make one product. */
  bool own_data = l->wants_dx && !t->few_channels;
  int64_t data_pieces = own_data ? walk_pieces(config, l, t, DATA, NULL) : 1;
  bool few = t->positions < FEW_ROWS * walk_pieces(config, l, t, FORWARD, NULL) ||
             (own_data && t->inputs < FEW_ROWS * data_pieces);
  t->images = t->sum_images = 1;
  if (few && t->aligned && t->c_aligned && x->block == BLOCK) {
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
  book_pieces(config, l, t, FORWARD, &t->forward);
  if (!l->training) return;
  l->partial_extra = view_blocks(y) * BLOCK * BLOCK;
  book_pieces(config, l, t, WEIGHTS, &t->weights);
  bool again = t->weights.count > 1 && t->c <= FEW_CHANNELS && t->sum_images == 1;
  t->lines = again ? clip(LINE_STEPS / y->shape.w - 1, y->shape.h) + 1 : y->shape.h;
  if (t->few_channels && l->wants_dx) col2im_book(&t->col2im, l, config->kernel[0] * config->kernel[1]);
  if (!own_data) return;
  book_pieces(config, l, t, DATA, &t->data);
  int64_t rows = t->fn * config->kernel[0] * config->kernel[1];
  l->prepare_parts = config->groups * t->c_panels;
  t->across = ledger_table(l, (size_t)(l->prepare_parts * rows * BLOCK) * sizeof *t->across);
}

static int64_t place(const struct step *s, int weight, int64_t i) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  if (weight == BIAS) return s->weight_at[BIAS] + i;
  if (t->depthwise) return (i / t->k / BLOCK * t->k + i % t->k) * BLOCK + i / t->k % BLOCK;
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

/* Image n of x with its padding, in scratch. */
static const float *pad(const struct config *config, const struct view *x, int64_t n,
                        const struct view *padded, float *scratch) {
  memset(scratch, 0, (size_t)(x->shape.c * padded->plane) * sizeof *scratch);
  for (int64_t c = 0; c < x->shape.c; c++)
    for (int64_t h = 0; h < x->shape.h; h++)
      memcpy(scratch + c * padded->plane + (h + config->pad[0]) * padded->row + config->pad[1],
             x->data + n * x->image + c * x->plane + h * x->row, (size_t)x->shape.w * sizeof *scratch);
  return scratch;
}

/* Image n of x as products read it. */
static const float *input_of(const struct step *s, int64_t n, float *scratch) {
  const struct tables *t = s->tables;
  return t->padded.plane ? pad(s->config, &s->x[0], n, &t->padded, scratch + t->padded_at)
                         : s->x[0].data + n * s->x[0].image;
}

/* Panels from .. to - 1 of group g's filters, for the images of a shard. */
static void forward_panels(const struct step *s, struct shard shard, int64_t g, int64_t from, int64_t to) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  float *scratch = s->scratch + shard.thread * s->scratch_stride;
  int64_t filter = g * t->fn + from * BLOCK;
  for (int64_t n = shard.n0; n < shard.n1; n += t->images) {
    float *y = s->y.data + n * s->y.image + filter / BLOCK * s->y.plane;
    const float *x = input_of(s, n, scratch);
    for (int64_t i = 0; i < t->forward.count; i++) {
      const struct piece *piece = &t->forward.piece[i];
      struct product p = {.a = x,
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
  const struct config *config = s->config;
  const struct tables *t = s->tables;
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
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  if (t->few_channels) {
    col2im_prepare(s, &t->col2im, shard.part);
    return;
  }
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
        const struct piece *piece = &t->data.piece[i];
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

/* What t->lines lines of y from `line` on, of so many images, add to group g's partial sums. */
static void add_lines(const struct step *s, int64_t g, int64_t line, int64_t images, const float *x,
                      const float *dy, float *partial) {
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  for (int64_t i = 0; i < t->weights.count; i++) {
    const struct piece *piece = &t->weights.piece[i];
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
  const struct config *config = s->config;
  const struct tables *t = s->tables;
  float *scratch = s->scratch + shard.thread * s->scratch_stride;
  for (int64_t n = shard.n0, images; n < shard.n1; n += images) {
    images = shard.n1 - n < t->sum_images ? shard.n1 - n : t->sum_images;
    float *partial = s->partial + n / s->group * s->partial_stride;
    bool first = n % s->group == 0, last = (n + images) % s->group == 0 || n + images == shard.batch;
    if (first) memset(partial, 0, (size_t)s->partial_stride * sizeof *partial);
    const float *x = input_of(s, n, scratch);
    if (t->depthwise) {
      struct window window = window_of(config, &s->x[0], &s->dy);
      depthwise_backward_weights(s, n, &window, partial);
    }
    for (int64_t g = 0; !t->depthwise && g < config->groups; g++) {
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
    .config_size = sizeof(struct config),
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
