/* See view.h. */
#include "core/view.h"

int64_t view_layout(struct view *v, cnn_shape shape, int64_t block) {
  v->shape = shape;
  v->block = block;
  v->pixel = block;
  v->row = shape.w * block;
  v->plane = shape.h * v->row;
  return (view_blocks(v) * v->plane + 15) / 16 * 16;
}

void view_read(const struct view *v, int64_t n0, int64_t n1, float *dense) {
  for (int64_t n = n0; n < n1; n++)
    for (int64_t c = 0; c < v->shape.c; c++)
      for (int64_t h = 0; h < v->shape.h; h++) {
        const float *from = v->data + view_offset(v, n, c, h, 0);
        for (int64_t w = 0; w < v->shape.w; w++) *dense++ = from[w * v->pixel];
      }
}

void view_write(const struct view *v, int64_t n0, int64_t n1, const float *dense) {
  for (int64_t n = n0; n < n1; n++)
    for (int64_t c = 0; c < v->shape.c; c++)
      for (int64_t h = 0; h < v->shape.h; h++) {
        float *to = v->data + view_offset(v, n, c, h, 0);
        for (int64_t w = 0; w < v->shape.w; w++) to[w * v->pixel] = *dense++;
      }
}
