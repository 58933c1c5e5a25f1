/* Views: where the elements of a planned tensor stand.
 *
 * Outside, tensors are n, c, h, w. Inside a plan, channels come in blocks of 16 that lie side by side:
 *
 *     image n:  [channel block][row h][column w][channel in block]
 *
 * so that a vector holds 16 channels of one pixel. The network's input keeps n, c, h, w (block is 1). */
#ifndef CNN_CORE_VIEW_H
#define CNN_CORE_VIEW_H

#include "cnn.h"

struct view {
  float *data;     /* channel 0 of pixel (0, 0) of image 0, NULL where there is none */
  cnn_shape shape; /* n: the plan's batch */
  int64_t block;   /* 1 or 16 */
  float *slot;     /* of values that pass (net/plan.h): data of the first image at hand; else NULL */
  int64_t image, plane, row, pixel; /* floats from one image, channel block, row, pixel to the next */
};

/* Channel blocks of a view. */
static inline int64_t view_blocks(const struct view *v) { return (v->shape.c + v->block - 1) / v->block; }

/* Channels in block b: 16, or what is left. */
static inline int64_t view_width(const struct view *v, int64_t b) {
  int64_t left = v->shape.c - b * v->block;
  return left < v->block ? left : v->block;
}

/* Floats from data to an element; h and w may lie outside. */
static inline int64_t view_offset(const struct view *v, int64_t n, int64_t c, int64_t h, int64_t w) {
  return n * v->image + c / v->block * v->plane + h * v->row + w * v->pixel + c % v->block;
}

/* Lay out one image of shape: sets all but data and image; returns its floats, a multiple of 16. */
int64_t view_layout(struct view *v, cnn_shape shape, int64_t block);

/* Copy images n0 .. n1-1 between a view and dense n, c, h, w floats (those of image n0 first). */
void view_read(const struct view *v, int64_t n0, int64_t n1, float *dense);
void view_write(const struct view *v, int64_t n0, int64_t n1, const float *dense);

#endif
