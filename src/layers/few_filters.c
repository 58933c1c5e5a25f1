/* See few_filters.h. */
#include "layers/few_filters.h"

#include <string.h>

#include "layers/conv.h"

enum { LONGEST_COPY = 1 << 22 };

/* Lines of x that so many lines of y meet. */
static int64_t lines_of_x(const struct conv *config, int64_t lines) {
  return (lines - 1) * config->stride[0] + (config->kernel[0] - 1) * config->dilation[0] + 1;
}

bool few_filters_fit(const struct conv *config, const struct ledger *l) {
  int64_t row = (l->x[0].shape.w + 2 * config->pad[1]) * BLOCK;
  return config->filters <= BLOCK && l->x[0].block == BLOCK && l->x[0].shape.c % BLOCK == 0 &&
         config->groups == 1 && config->kernel[1] > 1 && config->stride[1] == 1 && config->dilation[1] == 1 &&
         lines_of_x(config, conv_lines_at_hand(&l->y.shape)) <= LONGEST_COPY / row;
}

void few_filters_book(struct few_filters *t, const struct conv *config, struct ledger *l) {
  const cnn_shape *y = &l->y.shape;
  int64_t row = config->pad[1] ? (l->x[0].shape.w + 2 * config->pad[1]) * BLOCK : 0;
  *t = (struct few_filters){.lines = conv_lines_at_hand(y), .row = row, .copy_at = l->scratch};
  l->scratch += lines_of_x(config, t->lines) * row;
  t->from = ledger_table(l, (size_t)config->filters * sizeof *t->from);
  t->to = ledger_table(l, (size_t)config->filters * sizeof *t->to);
  t->runs = ledger_table(l, (size_t)t->lines * sizeof *t->runs);
  if (!l->step) return;
  for (int64_t f = 0; f < config->filters; f++) {
    t->from[f] = (int32_t)f;
    t->to[f] = (int32_t)(f * BLOCK);
  }
  int64_t x_line = config->stride[0] * (row ? row : l->x[0].row);
  for (int64_t i = 0; i < t->lines; i++)
    t->runs[i] = (struct run){(int32_t)(i * l->y.row), (int32_t)(i * x_line), (int32_t)y->w};
}

/* Lines of a plane of x from `first` on, those that there are, with `pad` pixels of zeros on both sides. */
static void copy_lines(const struct view *x, const float *plane, int64_t first, int64_t lines, int64_t pad,
                       float *copy) {
  for (int64_t i = 0; i < lines; i++, copy += x->row + 2 * pad * BLOCK) {
    if (first + i < 0 || first + i >= x->shape.h) continue;
    memset(copy, 0, (size_t)(pad * BLOCK) * sizeof *copy);
    memcpy(copy + pad * BLOCK, plane + (first + i) * x->row, (size_t)x->row * sizeof *copy);
    memset(copy + pad * BLOCK + x->row, 0, (size_t)(pad * BLOCK) * sizeof *copy);
  }
}

/* What lines from .. to - 1 of y, of one image, add to the sums of one block of channels. */
static void add_lines(const struct step *s, const struct few_filters *t, const float *plane, const float *dy,
                      int64_t from, int64_t to, float *sums, float *copy) {
  const struct conv *config = s->config;
  const struct view *x = &s->x[0];
  int64_t stride = config->stride[0], first = from * stride - config->pad[0];
  if (t->row) copy_lines(x, plane, first, lines_of_x(config, to - from), config->pad[1], copy);
  for (int64_t fh = 0; fh < config->kernel[0]; fh++, sums += config->kernel[1] * BLOCK * BLOCK) {
    int64_t down = fh * config->dilation[0]; /* lines oh meet lines oh * stride - pad + down */
    int64_t lo = ceil_div(config->pad[0] - down, stride),
            hi = ceil_div(x->shape.h + config->pad[0] - down, stride);
    if (lo < from) lo = from;
    if (hi > to) hi = to;
    if (lo >= hi) continue;
    int64_t line = lo * stride - config->pad[0] + down;
    struct product p = {.a = dy + lo * s->dy.row,
                        .b = t->row ? copy + (line - first) * t->row : plane + line * x->row,
                        .c = sums,
                        .a_row = t->from,
                        .c_row = t->to,
                        .runs = t->runs,
                        .a_step = BLOCK,
                        .b_step = BLOCK,
                        .rows = config->filters,
                        .cycle = config->filters,
                        .fours = config->filters / 4 * 4,
                        .spacing = 1,
                        .columns = config->kernel[1] * BLOCK,
                        .depth = (hi - lo) * s->y.shape.w,
                        .b_panel = BLOCK,
                        .c_panel = BLOCK * BLOCK,
                        .add = true};
    s->kernels->product(&p);
  }
}

void few_filters_backward_weights(const struct step *s, const struct few_filters *t, int64_t n, bool last,
                                  float *dw, float *scratch) {
  const struct conv *config = s->config;
  const struct view *x = &s->x[0];
  int64_t taps = config->kernel[0] * config->kernel[1], oh = s->y.shape.h;
  for (int64_t block = 0; block < view_blocks(x); block++, dw += taps * BLOCK * BLOCK) {
    const float *plane = x->data + n * x->image + block * x->plane;
    for (int64_t from = 0, to; from < oh; from = to) {
      to = from + t->lines < oh ? from + t->lines : oh;
      add_lines(s, t, plane, s->dy.data + n * s->dy.image, from, to, dw, scratch + t->copy_at);
    }
    for (int64_t tap = 0; last && tap < taps; tap++) {
      float on_its_side[BLOCK * BLOCK];
      memcpy(on_its_side, dw + tap * BLOCK * BLOCK, sizeof on_its_side);
      s->kernels->transpose(dw + tap * BLOCK * BLOCK, BLOCK, on_its_side, BLOCK);
    }
  }
}
