/* flatten: (n, c, h, w) to (n, c*h*w, 1, 1), in the order of the chapter's reshape (7.2.1).
 *
 * affine takes images as they are; flatten is for those who want the step to stand in the net, or a
 * layer after it to see one long vector. Inside a plan it moves data out of channel blocks. */
#include <string.h>

#include "layers/layer.h"

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  (void)config;
  *out = (cnn_shape){in[0].n, in[0].c * in[0].h * in[0].w, 1, 1};
  return CNN_OK;
}

static void reach(const void *config, struct reach *to) {
  (void)config;
  to->kind = REACH_FLAT;
}

static void book(const void *config, struct ledger *ledger) {
  (void)config;
  (void)ledger;
}

static void naive(const struct naive *s) {
  size_t bytes = (size_t)(s->out.n * s->out.c) * sizeof *s->y;
  memcpy(s->y, s->x[0], bytes);
  if (s->dy) memcpy(s->dx[0], s->dy, bytes);
}

/* A walk over the elements of one image in the order c, h, w: `flat` counts, `offset` stands in v. */
#define EACH_ELEMENT(v, body)                              \
  for (int64_t c = 0, flat = 0; c < (v)->shape.c; c++)     \
    for (int64_t h = 0; h < (v)->shape.h; h++)             \
      for (int64_t w = 0; w < (v)->shape.w; w++, flat++) { \
        int64_t offset = view_offset(v, n, c, h, w);       \
        body                                               \
      }

static void forward(const struct step *s, struct shard shard) {
  const struct view *y = &s->y;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    EACH_ELEMENT(&s->x[0], { y->data[view_offset(y, n, flat, 0, 0)] = s->x[0].data[offset]; })
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct view *dx = &s->dx[0], *dy = &s->dy;
  for (int64_t n = shard.n0; n < shard.n1; n++) {
    for (int64_t c = dx->shape.c; c < view_blocks(dx) * dx->block; c++) /* lanes past the last channel */
      for (int64_t h = 0; h < dx->shape.h; h++)
        for (int64_t w = 0; w < dx->shape.w; w++) dx->data[view_offset(dx, n, c, h, w)] = 0;
    EACH_ELEMENT(dx, { dx->data[offset] = dy->data[view_offset(dy, n, flat, 0, 0)]; })
  }
}

static const char *const examples[] = {"in=2x3x4x5", "in=2x18x3x1", NULL};

const struct layer_class layer_flatten = {
    .name = "flatten",
    .summary = "(n, c, h, w) to (n, c*h*w, 1, 1)",
    .inputs = 1,
    .any_block = true,
    .shape = shape,
    .reach = reach,
    .book = book,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
