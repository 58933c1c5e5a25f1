/* See col2im.h. */
#include "layers/col2im.h"

static int64_t panels_of(int64_t columns) { return (columns + BLOCK - 1) / BLOCK; }

/* Vectors of 16 that are multiplied for a position: taps * filters where channels lie side by side, filters *
 * panels here, and 2 instructions' worth of adding for each tap. A fifth less must come of it. */
bool col2im_pays(int64_t channels, int64_t taps, int64_t filters) {
  return 5 * (filters * panels_of(channels * taps) + 2 * taps) < 4 * filters * taps;
}

void col2im_book(struct col2im *c, struct ledger *l, int64_t taps) {
  const struct view *y = &l->y;
  int64_t positions = y->shape.h * y->shape.w, filters = y->shape.c, blocks = view_blocks(y);
  int64_t channels = l->x[0].shape.c, panels = panels_of(channels * taps);
  *c = (struct col2im){.channels = channels,
                       .taps = taps,
                       .filters = filters,
                       .positions = positions,
                       .panels = panels,
                       .matrix_at = l->scratch};
  l->scratch += (positions * panels + 1) * BLOCK; /* a vector is read from each tap's first channel on */
  l->prepare_parts = panels;
  c->weights = ledger_table(l, (size_t)(panels * filters * BLOCK) * sizeof *c->weights);
  c->from = ledger_table(l, (size_t)positions * sizeof *c->from);
  c->to = ledger_table(l, (size_t)positions * sizeof *c->to);
  c->runs = ledger_table(l, (size_t)blocks * sizeof *c->runs);
  if (!l->step) return;
  for (int64_t i = 0; i < positions; i++) {
    c->from[i] = (int32_t)(i * BLOCK);
    c->to[i] = (int32_t)(i * panels * BLOCK);
  }
  for (int64_t b = 0; b < blocks; b++) {
    int64_t first = b * BLOCK, count = filters - first < BLOCK ? filters - first : BLOCK;
    c->runs[b] = (struct run){(int32_t)(b * y->plane), (int32_t)(first * BLOCK), (int32_t)count};
  }
}

void col2im_prepare(const struct step *s, const struct col2im *c, int64_t panel) {
  int64_t columns = c->channels * c->taps;
  float *to = c->weights + panel * c->filters * BLOCK;
  for (int64_t f = 0; f < c->filters; f++)
    for (int64_t lane = 0; lane < BLOCK; lane++) {
      int64_t column = panel * BLOCK + lane, tap = column / c->channels, channel = column % c->channels;
      int64_t row = s->x[0].block == 1 ? channel * c->taps + tap : column; /* of conv's weights */
      to[f * BLOCK + lane] =
          column < columns ? s->weight[(f / BLOCK * columns + row) * BLOCK + f % BLOCK] : 0;
    }
}

void col2im_backward_data(const struct step *s, struct shard shard, const struct col2im *c,
                          const struct window *window) {
  float *matrix = s->scratch + shard.thread * s->scratch_stride + c->matrix_at;
  for (int64_t n = shard.n0; n < shard.n1; n++) {
    struct product p = {.a = s->dy.data + n * s->dy.image,
                        .b = c->weights,
                        .c = matrix,
                        .a_row = c->from,
                        .c_row = c->to,
                        .runs = c->runs,
                        .a_step = 1,
                        .b_step = BLOCK,
                        .rows = c->positions,
                        .cycle = c->positions,
                        .fours = c->positions / 4 * 4,
                        .spacing = BLOCK,
                        .columns = c->panels * BLOCK,
                        .depth = c->filters,
                        .b_panel = c->filters * BLOCK,
                        .c_panel = BLOCK};
    s->kernels->product(&p);
    s->kernels->col2im(window, s->dx[0].data + n * s->dx[0].image, matrix, c->panels * BLOCK, c->channels);
  }
}
