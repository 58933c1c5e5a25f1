/* The pieces of a convolution: which positions meet the same taps, and the tables by which the product reads
 * them. See conv.h. */
#include "layers/conv.h"

/* Along one axis: from .. to - 1, `step` apart, that all meet lo .. hi - 1 (in DATA those of them that fall
 * on a whole position). Outputs meet taps; in DATA inputs meet taps; in WEIGHTS taps meet outputs. */
struct span {
  int64_t from, to, step, lo, hi;
};

/* Output position that input h meets at tap f: (h + pad - f * dilation) / stride, where that is whole. */
static bool meets(const struct conv *c, int axis, int64_t h, int64_t f, int64_t *o) {
  int64_t at = h + c->pad[axis] - f * c->dilation[axis];
  *o = floor_div(at, c->stride[axis]);
  return *o * c->stride[axis] == at;
}

/* What i alone meets. An input has outputs at o * stride - pad + f * dilation. */
static struct span span_of(const struct conv *c, int axis, enum direction direction, int64_t in, int64_t out,
                           int64_t i) {
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
static struct span span_at(const struct conv *c, int axis, const struct ledger *l, enum direction direction,
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

int64_t conv_tap_number(const struct conv *config, int64_t channels, int64_t block, int64_t c, int64_t fh,
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
static void list_taps(const struct conv *config, const struct conv_tables *t, const struct view *x,
                      struct span h, struct span w, struct writer *runs, struct conv_piece *rows) {
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
            int64_t row = conv_tap_number(config, t->c, x->block, c, fh, fw) * BLOCK;
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
static void list_positions(const struct conv *config, const struct ledger *l, const struct conv_tables *t,
                           const struct view *x, struct span h, struct span w, struct writer *runs,
                           struct conv_piece *rows) {
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

static void fill_forward(const struct conv *config, const struct ledger *l, const struct conv_tables *t,
                         struct span h, struct span w, struct conv_piece *piece) {
  const struct view *x = &l->x[0];
  struct span taps_h = {.from = h.lo, .to = h.hi}, taps_w = {.from = w.lo, .to = w.hi};
  struct writer runs = {.runs = piece->runs, .a_step = t->tap_step, .b_step = BLOCK, .single = !t->c_aligned};
  struct conv_piece none = {0};
  list_taps(config, t, x, taps_h, taps_w, &runs, &none);
  piece->depth = none.rows;
  piece->run_count = runs.count / config->groups;
  list_positions(config, l, t, x, h, w, &(struct writer){0}, piece);
}

static void fill_weights(const struct conv *config, const struct ledger *l, const struct conv_tables *t,
                         struct span h, struct span w, struct conv_piece *piece) {
  const struct view *x = t->padded.plane ? &t->padded : &l->x[0];
  struct span positions_h = {.from = h.lo, .to = h.hi}, positions_w = {.from = w.lo, .to = w.hi};
  struct writer runs = {
      .runs = piece->runs, .a_step = config->stride[1] * x->pixel, .b_step = BLOCK, .lines = true};
  struct conv_piece none = {0};
  piece->lo = h.lo;
  piece->hi = h.hi;
  list_positions(config, l, t, x, positions_h, positions_w, &runs, &none);
  piece->depth = none.rows;
  piece->run_count = runs.count / t->images;
  list_taps(config, t, x, h, w, &(struct writer){0}, piece);
}

static void fill_data(const struct conv *config, const struct ledger *l, const struct conv_tables *t,
                      struct span h, struct span w, struct conv_piece *piece) {
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
                       conv_tap_number(config, t->fn, BLOCK, f, fh, fw) * BLOCK);
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

int64_t conv_piece_taps(const struct conv *config, const int64_t in[2], const int64_t out[2]) {
  int64_t product = 1;
  for (int axis = 0; axis < 2; axis++) {
    struct span last = {0};
    int64_t sum = 0;
    for (int64_t i = 0; i < out[axis]; i++) {
      struct span span = span_of(config, axis, FORWARD, in[axis], out[axis], i);
      if (i == 0 || span.lo != last.lo || span.hi != last.hi) sum += span.hi - span.lo;
      last = span;
    }
    product *= sum;
  }
  return product;
}

/* Calls each(h, w) for every piece of a direction; returns how many there are. */
static int64_t walk_pieces(const struct conv *config, struct ledger *l, struct conv_tables *t,
                           enum direction direction,
                           void (*each)(const struct conv *, struct ledger *, struct conv_tables *,
                                        enum direction, struct span h, struct span w, int64_t i)) {
  static const int64_t one[2] = {1, 1};
  const cnn_shape *x = &l->x[0].shape, *y = &l->y.shape;
  int64_t end_h = direction == FORWARD ? y->h : direction == DATA ? x->h : config->kernel[0];
  int64_t end_w = direction == FORWARD ? y->w : direction == DATA ? x->w : config->kernel[1];
  const int64_t *phases = direction == DATA ? config->stride : one;
  bool all_at_once = direction == WEIGHTS && t->padded.plane; /* with its padding, taps meet every position */
  int64_t count = 0;
  struct span h, w;
  for (int64_t a = 0; a < end_h && a < phases[0]; a++)
    for (int64_t i = a; i < end_h; i = h.to) {
      h = all_at_once ? (struct span){0, end_h, 1, 0, y->h} : span_at(config, 0, l, direction, i);
      for (int64_t b = 0; b < end_w && b < phases[1]; b++)
        for (int64_t j = b; j < end_w; j = w.to, count++) {
          w = all_at_once ? (struct span){0, end_w, 1, 0, y->w} : span_at(config, 1, l, direction, j);
          if (each) each(config, l, t, direction, h, w, count);
        }
    }
  return count;
}

/* Tables of one piece: counted without memory, booked, filled. */
static void book_piece(const struct conv *config, struct ledger *l, struct conv_tables *t,
                       enum direction direction, struct span h, struct span w, int64_t i) {
  struct conv_piece piece = {0};
  void (*fill)(const struct conv *, const struct ledger *, const struct conv_tables *, struct span,
               struct span, struct conv_piece *) = direction == FORWARD ? fill_forward
                                                   : direction == DATA  ? fill_data
                                                                        : fill_weights;
  struct conv_pieces *all = direction == FORWARD ? &t->forward : direction == DATA ? &t->data : &t->weights;
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

int64_t conv_count_pieces(const struct conv *config, struct ledger *l, struct conv_tables *t,
                          enum direction direction) {
  return walk_pieces(config, l, t, direction, NULL);
}

void conv_book_pieces(const struct conv *config, struct ledger *l, struct conv_tables *t,
                      enum direction direction, struct conv_pieces *pieces) {
  pieces->count = walk_pieces(config, l, t, direction, NULL);
  pieces->piece = ledger_table(l, (size_t)pieces->count * sizeof *pieces->piece);
  walk_pieces(config, l, t, direction, book_piece);
}
