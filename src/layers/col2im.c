/* See col2im.h. */
#include "layers/col2im.h"

enum { AT_HAND = 1 << 14 /* floats of the matrix, about */, LONGEST_LINE = 1 << 22 };

static int64_t panels_of(int64_t columns) { return (columns + BLOCK - 1) / BLOCK; }

/* Vectors of 16 that are multiplied for a position: taps * filters * blocks where channels lie side by side,
 * filters * panels here, and 2 instructions' worth of adding for each tap. A fifth less must come of it. */
bool col2im_pays(int64_t channels, int64_t taps, int64_t filters, int64_t width) {
  int64_t panels = panels_of(channels * taps), direct = taps * panels_of(channels);
  return 5 * (filters * panels + 2 * direct) < 4 * filters * direct && width * panels * BLOCK <= LONGEST_LINE;
}

void col2im_book(struct col2im *c, struct ledger *l, int64_t taps) {
  const struct view *y = &l->y;
  int64_t channels = l->x[0].shape.c, filters = y->shape.c, panels = panels_of(channels * taps);
  int64_t line = y->shape.w * panels * BLOCK, lines = AT_HAND / line, blocks = view_blocks(y);
  if (lines == 0) lines = 1;
  if (lines > y->shape.h) lines = y->shape.h;
  *c = (struct col2im){.channels = channels,
                       .taps = taps,
                       .filters = filters,
                       .panels = panels,
                       .lines = lines,
                       .matrix_at = l->scratch};
  l->scratch += lines * line + BLOCK; /* a vector is read from each tap's first channel on */
  l->prepare_parts = panels;
  c->weights = ledger_table(l, (size_t)(panels * filters * BLOCK) * sizeof *c->weights);
  c->from = ledger_table(l, (size_t)(lines * y->shape.w) * sizeof *c->from);
  c->to = ledger_table(l, (size_t)(lines * y->shape.w) * sizeof *c->to);
  c->runs = ledger_table(l, (size_t)blocks * sizeof *c->runs);
  if (!l->step) return;
  for (int64_t i = 0; i < lines * y->shape.w; i++) {
    c->from[i] = (int32_t)(i * BLOCK);
    c->to[i] = (int32_t)(i * panels * BLOCK);
  }
  for (int64_t b = 0; b < blocks; b++) {
    int64_t first = b * BLOCK, count = filters - first < BLOCK ? filters - first : BLOCK;
    c->runs[b] = (struct run){(int32_t)(b * y->plane), (int32_t)(first * BLOCK), (int32_t)count};
  }
}

void col2im_prepare(const struct step *s, const struct col2im *c, int64_t panel) {
  int64_t columns = c->channels * c->taps, block = s->x[0].block;
  for (int64_t lane = 0; lane < BLOCK && panel * BLOCK + lane < columns; lane++) { /* the others stay 0 */
    int64_t column = panel * BLOCK + lane, tap = column / c->channels, channel = column % c->channels;
    int64_t first = channel / block * block,
            width = c->channels - first < block ? c->channels - first : block;
    int64_t row = first * c->taps + tap * width + channel - first; /* of conv's weights */
    float *to = c->weights + panel * c->filters * BLOCK + lane;
    for (int64_t f = 0; f < c->filters; f++)
      to[f * BLOCK] = s->weight[(f / BLOCK * columns + row) * BLOCK + f % BLOCK];
  }
}

void col2im_backward_data(const struct step *s, struct shard shard, const struct col2im *c,
                          const struct window *window) {
  float *matrix = s->scratch + shard.thread * s->scratch_stride + c->matrix_at;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t from = 0, to; from < window->oh; from = to) {
      to = from + c->lines < window->oh ? from + c->lines : window->oh;
      int64_t positions = (to - from) * window->ow;
      struct product p = {.a = s->dy.data + n * s->dy.image + from * window->ow * BLOCK,
                          .b = c->weights,
                          .c = matrix,
                          .a_row = c->from,
                          .c_row = c->to,
                          .runs = c->runs,
                          .a_step = 1,
                          .b_step = BLOCK,
                          .rows = positions,
                          .cycle = positions,
                          .fours = positions / 4 * 4,
                          .spacing = BLOCK,
                          .columns = c->panels * BLOCK,
                          .depth = c->filters,
                          .b_panel = c->filters * BLOCK,
                          .c_panel = BLOCK};
      s->kernels->product(&p);
      for (int64_t first = 0; first < c->channels; first += BLOCK)
        s->kernels->col2im(window, from, to,
                           s->dx[0].data + n * s->dx[0].image + first / BLOCK * s->dx[0].plane,
                           matrix + first, c->panels * BLOCK, c->channels,
                           c->channels - first < BLOCK ? c->channels - first : BLOCK);
    }
}
