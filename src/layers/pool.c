/* See pool.h. */
#include "layers/pool.h"

#include <inttypes.h>

cnn_status pool_shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  const struct pool_config *p = config;
  const int64_t stride[2] = {pool_stride(p, 0), pool_stride(p, 1)}, dilation[2] = {1, 1};
  for (int i = 0; i < 2; i++)
    if (p->pad[i] >= p->kernel[i])
      return CNN_FAIL(CNN_E_SHAPE,
                      "pad %" PRId64 " leaves windows of kernel %" PRId64
                      " empty; make it smaller than the kernel",
                      p->pad[i], p->kernel[i]);
  *out = in[0];
  return window_shape(p->kernel, stride, p->pad, dilation, p->round, in[0], &out->h, &out->w);
}

void pool_reach(const void *config, struct reach *reach) {
  const struct pool_config *p = config;
  *reach = (struct reach){.kind = REACH_WINDOW,
                          .count = {p->kernel[0], p->kernel[1]},
                          .stride = {pool_stride(p, 0), pool_stride(p, 1)},
                          .pad = {p->pad[0], p->pad[1]},
                          .dilation = {1, 1}};
}

struct window pool_window(const struct pool_config *p, const struct view *x, const struct view *y) {
  return (struct window){.h = x->shape.h,
                         .w = x->shape.w,
                         .oh = y->shape.h,
                         .ow = y->shape.w,
                         .fh = p->kernel[0],
                         .fw = p->kernel[1],
                         .stride_h = pool_stride(p, 0),
                         .stride_w = pool_stride(p, 1),
                         .pad_h = p->pad[0],
                         .pad_w = p->pad[1],
                         .x_row = x->row,
                         .y_row = y->row,
                         .count_pad = p->count_pad};
}

cnn_status whole_shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  (void)config;
  *out = in[0];
  out->h = out->w = 1;
  return CNN_OK;
}

struct window pool_whole(const struct view *x) {
  int64_t h = x->shape.h, w = x->shape.w;
  return (struct window){.h = h,
                         .w = w,
                         .oh = 1,
                         .ow = 1,
                         .fh = h,
                         .fw = w,
                         .stride_h = h,
                         .stride_w = w,
                         .x_row = x->row,
                         .y_row = BLOCK};
}
