/* See planes.h. */
#include "layers/planes.h"

#include <string.h>

#include "layers/conv.h"

enum { MOST_FILTERS = 8, LINE_STEPS = 192 /* positions at a time, about */ };

/* Multiply-adds of vectors of 16 for a position: filters * blocks of taps where it was taps. */
bool planes_pay(const struct conv *config, const struct ledger *l) {
  const struct view *x = &l->x[0];
  int64_t taps = x->shape.c * config->kernel[0] * config->kernel[1];
  return x->block == 1 && config->groups == 1 && config->filters <= MOST_FILTERS && config->stride[0] == 1 &&
         config->stride[1] == 1 && config->dilation[0] == 1 && config->dilation[1] == 1 &&
         10 * config->filters * ceil_div(taps, BLOCK) <= 7 * taps;
}

void planes_book(struct planes *t, const struct conv *config, struct ledger *l) {
  const cnn_shape *x = &l->x[0].shape, *y = &l->y.shape;
  int64_t taps = x->c * config->kernel[0] * config->kernel[1], rows = x->c * config->kernel[0];
  *t = (struct planes){.taps = taps,
                       .row = ceil_div(taps, BLOCK) * BLOCK,
                       .lines = clip(LINE_STEPS / y->w - 1, y->h - 1) + 1,
                       .line = x->w + 2 * config->pad[1],
                       .copy_at = l->scratch,
                       .window = {.ow = y->w, .fh = config->kernel[0], .fw = config->kernel[1]}};
  t->window.x_row = t->line;
  t->plane = (t->lines + config->kernel[0] - 1) * t->line;
  t->wide = ceil_div(t->lines * t->line, BLOCK) * BLOCK;
  int64_t matrix = t->lines * y->w * t->row + BLOCK;
  int64_t all = MOST_FILTERS * (t->wide > t->row ? t->wide : t->row); /* planes of y, and sums */
  t->work_at = t->copy_at + ceil_div(x->c * t->plane, BLOCK) * BLOCK + BLOCK;
  l->scratch = t->work_at + (matrix > all ? matrix : all);
  l->prepare_parts = 1;
  t->filter = ledger_table(l, (size_t)config->filters * sizeof *t->filter);
  t->y_row = ledger_table(l, (size_t)config->filters * sizeof *t->y_row);
  t->sum_row = ledger_table(l, (size_t)config->filters * sizeof *t->sum_row);
  t->taps_of = ledger_table(l, (size_t)rows * sizeof *t->taps_of);
  t->all = ledger_table(l, sizeof *t->all);
  t->finite = ledger_table(l, sizeof *t->finite);
  if (!l->step) return;
  for (int64_t f = 0; f < config->filters; f++) {
    t->filter[f] = (int32_t)f;
    t->y_row[f] = (int32_t)(f * t->wide);
    t->sum_row[f] = (int32_t)(f * t->row);
  }
  for (int64_t i = 0; i < rows; i++)
    t->taps_of[i] =
        (struct run){(int32_t)(i * config->kernel[1] * BLOCK),
                     (int32_t)(i / config->kernel[0] * t->plane + i % config->kernel[0] * t->line),
                     (int32_t)config->kernel[1]};
  t->all[0] = (struct run){0, 0, (int32_t)(t->lines * y->w)};
}

void planes_prepare(const struct step *s, const struct planes *t) {
  *t->finite = s->kernels->finite(s->weight, t->taps * BLOCK);
}

/* The lines of x that lines from .. to - 1 of y meet, with their padding; behind them zeros. */
static const float *copy_lines(const struct step *s, const struct planes *t, int64_t n, int64_t from,
                               int64_t to, float *scratch) {
  const struct conv *config = s->config;
  const struct view *x = &s->x[0];
  float *copy = scratch + t->copy_at;
  memset(copy, 0, (size_t)(t->work_at - t->copy_at) * sizeof *copy);
  for (int64_t c = 0; c < x->shape.c; c++)
    for (int64_t line = from; line < to + config->kernel[0] - 1; line++) {
      int64_t h = line - config->pad[0];
      if (h < 0 || h >= x->shape.h) continue;
      memcpy(copy + c * t->plane + (line - from) * t->line + config->pad[1],
             x->data + n * x->image + c * x->plane + h * x->row, (size_t)x->shape.w * sizeof *copy);
    }
  return copy;
}

void planes_forward(const struct step *s, const struct planes *t, int64_t n, float *scratch) {
  const struct conv *config = s->config;
  const float *bias = config->bias ? s->weight + s->weight_at[1] : NULL;
  float *planes = scratch + t->work_at;
  int64_t filters = config->filters, oh = s->y.shape.h, ow = s->y.shape.w;
  memset(planes + filters * t->wide, 0, (size_t)((MOST_FILTERS - filters) * t->wide) * sizeof *planes);
  for (int64_t from = 0, to; from < oh; from = to) {
    to = from + t->lines < oh ? from + t->lines : oh;
    for (int64_t f = 0; f < filters; f++)
      for (int64_t i = 0; i < t->wide; i++) planes[f * t->wide + i] = bias ? bias[f] : 0;
    struct product p = {.a = s->weight,
                        .b = copy_lines(s, t, n, from, to, scratch),
                        .c = planes,
                        .a_row = t->filter,
                        .c_row = t->y_row,
                        .runs = t->taps_of,
                        .a_step = BLOCK,
                        .b_step = 1,
                        .rows = filters,
                        .cycle = filters,
                        .columns = (to - from - 1) * t->line + ow,
                        .depth = t->taps,
                        .b_panel = BLOCK,
                        .c_panel = BLOCK,
                        .add = true};
    s->kernels->product(&p);
    for (int64_t line = from; line < to; line++)
      s->kernels->planes_to_pixels(s->y.data + n * s->y.image + line * s->y.row,
                                   planes + (line - from) * t->line, t->wide, filters, ow);
  }
}

/* Sums [filter][tap] to the order of the weights, [tap][filter]. */
static void turn(const struct planes *t, int64_t filters, float *dw, float *scratch) {
  float *sums = scratch + t->work_at;
  memcpy(sums, dw, (size_t)(filters * t->row) * sizeof *sums);
  memset(dw, 0, (size_t)(t->taps * BLOCK) * sizeof *dw);
  for (int64_t tap = 0; tap < t->taps; tap++)
    for (int64_t f = 0; f < filters; f++) dw[tap * BLOCK + f] = sums[f * t->row + tap];
}

void planes_backward_weights(const struct step *s, const struct planes *t, int64_t n, bool last, float *dw,
                             float *scratch) {
  const struct conv *config = s->config;
  float *matrix = scratch + t->work_at;
  int64_t oh = s->y.shape.h;
  for (int64_t from = 0, to; from < oh; from = to) {
    to = from + t->lines < oh ? from + t->lines : oh;
    s->kernels->im2col(&t->window, matrix, t->row, copy_lines(s, t, n, from, to, scratch), t->plane,
                       s->x[0].shape.c, to - from);
    struct product p = {.a = s->dy.data + n * s->dy.image + from * s->dy.row,
                        .b = matrix,
                        .c = dw,
                        .a_row = t->filter,
                        .c_row = t->sum_row,
                        .runs = t->all,
                        .a_step = BLOCK,
                        .b_step = t->row,
                        .rows = config->filters,
                        .cycle = config->filters,
                        .columns = t->taps,
                        .depth = (to - from) * s->y.shape.w,
                        .b_panel = BLOCK,
                        .c_panel = BLOCK,
                        .add = true};
    s->kernels->product(&p);
  }
  if (last) turn(t, config->filters, dw, scratch);
}
