/* concat: the channels of its inputs one after the other (Szegedy et al. 2014, "Going deeper with
 * convolutions", section 4). Where an input begins on a multiple of 16 channels whole blocks are copied:
 *
 *     x0: |0 .. 15|     x1: |0 .. 15|16 17|     y: |x0 0 .. 15|x1 0 .. 15|x1 16 17|
 *
 * elsewhere each block of it is split between two of y, pixel by pixel. */
#include <inttypes.h>

#include "layers/layer.h"

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  (void)config;
  *out = in[0];
  for (int k = 1; in[k].n; k++) {
    if (in[k].h != in[0].h || in[k].w != in[0].w)
      return CNN_FAIL(CNN_E_SHAPE,
                      "input %d is %" PRId64 "x%" PRId64 "x%" PRId64 ", but the first is %" PRId64 "x%" PRId64
                      "x%" PRId64 "; heights and widths must be alike",
                      k + 1, in[k].c, in[k].h, in[k].w, in[0].c, in[0].h, in[0].w);
    out->c += in[k].c;
  }
  return CNN_OK;
}

static bool sees(const void *config, const cnn_shape *in, int k, int64_t f, int64_t c) {
  (void)config;
  for (int i = 0; i < k; i++) f -= in[i].c;
  return f == c;
}

static void book(const void *config, struct ledger *ledger) {
  (void)config;
  (void)ledger;
}

static void naive(const struct naive *s) {
  int64_t places = s->out.h * s->out.w, first = 0;
  for (int k = 0; k < s->inputs; k++) {
    int64_t floats = s->in[k].c * places;
    for (int64_t n = 0; n < s->out.n; n++)
      for (int64_t i = 0; i < floats; i++) {
        int64_t at = n * s->out.c * places + first + i;
        s->y[at] = s->x[k][n * floats + i];
        if (s->dy) s->dx[k][n * floats + i] = s->dy[at];
      }
    first += floats;
  }
}

/* `count` lanes of each pixel, to and from lanes of other places. */
static void copy_lanes(float *to, const float *from, int64_t pixels, int64_t count) {
  for (int64_t p = 0; count > 0 && p < pixels; p++) copy_floats(to + p * BLOCK, from + p * BLOCK, count);
}

/* An image of an input x, and its channels in y, from `first` on: from one to the other. */
static void move(const struct view *x, float *x_data, const struct view *y, float *y_data, int64_t first,
                 bool forward) {
  int64_t pixels = x->shape.h * x->shape.w, lane = first % BLOCK;
  for (int64_t b = 0; b < view_blocks(x); b++) {
    float *own = x_data + b * x->plane, *joint = y_data + (first / BLOCK + b) * y->plane;
    int64_t width = view_width(x, b), here = width < BLOCK - lane ? width : BLOCK - lane;
    if (lane == 0) { /* lanes past the last channel come along: the next input writes them */
      if (forward)
        copy_floats(joint, own, x->plane);
      else
        copy_floats(own, joint, x->plane);
    } else if (forward) {
      copy_lanes(joint + lane, own, pixels, here);
      copy_lanes(joint + y->plane, own + here, pixels, width - here);
    } else {
      copy_lanes(own, joint + lane, pixels, here);
      copy_lanes(own + here, joint + y->plane, pixels, width - here);
    }
  }
}

static void forward(const struct step *s, struct shard shard) {
  const struct view *y = &s->y;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t k = 0, first = 0; k < s->inputs; first += s->x[k].shape.c, k++)
      move(&s->x[k], s->x[k].data + n * s->x[k].image, y, y->data + n * y->image, first, true);
}

static void backward_data(const struct step *s, struct shard shard) {
  const struct view *dy = &s->dy;
  for (int64_t n = shard.n0; n < shard.n1; n++)
    for (int64_t k = 0, first = 0; k < s->inputs; first += s->x[k].shape.c, k++)
      if (s->dx[k].data)
        move(&s->dx[k], s->dx[k].data + n * s->dx[k].image, dy, dy->data + n * dy->image, first, false);
}

static const char *const examples[] = {"in=2x16x3x4,2x20x3x4", "in=2x5x2x3,2x18x2x3,2x3x2x3",
                                       "in=3x1x1x1,3x32x1x1", NULL};

const struct layer_class layer_concat = {
    .name = "concat",
    .summary = "the channels of its inputs, one after the other",
    .inputs = 2,
    .most_inputs = MAX_INPUTS,
    .shape = shape,
    .sees = sees,
    .book = book,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
