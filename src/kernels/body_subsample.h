/* Trainable sub-sampling over one plane of a channel block: y = weight * (sum over the window) + bias, 16
 * channels side by side. Windows are body_pool.h's; padding adds nothing. */
#include "kernels/window.h"

/* sum: of each window, for backward; may be NULL. */
static void kernel_subsample_forward(const struct window *p, float *y, float *sum, const float *x,
                                     const float *weight, const float *bias) {
  for (int64_t oh = 0; oh < p->oh; oh++) {
    struct range rows = inside(oh, p->fh, p->stride_h, p->pad_h, p->h);
    for (int64_t ow = 0; ow < p->ow; ow++) {
      struct range columns = inside(ow, p->fw, p->stride_w, p->pad_w, p->w);
      const float *corner =
          x + (oh * p->stride_h - p->pad_h) * p->x_row + (ow * p->stride_w - p->pad_w) * BLOCK;
      for (int i = 0; i < BLOCK; i += VL) {
        vec s = vec_all(0);
        for (int64_t fh = rows.from; fh < rows.to; fh++)
          for (int64_t fw = columns.from; fw < columns.to; fw++)
            s = vec_add(s, vec_load(corner + fh * p->x_row + fw * BLOCK + i));
        if (sum) vec_store(sum + (oh * p->ow + ow) * BLOCK + i, s);
        vec_store(y + oh * p->y_row + ow * BLOCK + i, vec_fma(vec_load(weight + i), s, vec_load(bias + i)));
      }
    }
  }
}

/* dx = weight * (sum of dy over the windows that cover it). */
static void kernel_subsample_backward(const struct window *p, float *dx, const float *dy,
                                      const float *weight) {
  for (int64_t h = 0; h < p->h; h++) {
    struct range rows = covering(h, p->fh, p->stride_h, p->pad_h, p->oh);
    for (int64_t w = 0; w < p->w; w++) {
      struct range columns = covering(w, p->fw, p->stride_w, p->pad_w, p->ow);
      for (int i = 0; i < BLOCK; i += VL) {
        vec s = vec_all(0);
        for (int64_t oh = rows.from; oh < rows.to; oh++)
          for (int64_t ow = columns.from; ow < columns.to; ow++)
            s = vec_add(s, vec_load(dy + oh * p->y_row + ow * BLOCK + i));
        vec_store(dx + h * p->x_row + w * BLOCK + i, vec_mul(vec_load(weight + i), s));
      }
    }
  }
}
