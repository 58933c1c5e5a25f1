/* col2im (section 7.4.3 of the chapter) of a matrix whose rows are output positions and whose columns are
 * [fh][fw][channel]: each element is added to the pixel it was read from, output position after output
 * position. The matrix has the rows of lines from .. to - 1, `row` floats from one to the next; it is read
 * from the first of `here` channels of one block on, and behind its last element there is room for a vector.
 * The first lines clear dx, the last clear its lanes without a channel. */
#include "kernels/window.h"

/* What a line of y adds to the line of dx that one row of its filters meets, for filters `fw` wide and a
 * stride of 1: the pixels under a filter stay in registers while it moves right. element: the first
 * position's. */
static inline __attribute__((always_inline)) void col2im_line(const int fw, const bool padded,
                                                              const struct window *p, float *dx,
                                                              const float *element, int64_t row,
                                                              int64_t channels) {
  vec sum[8];
  float *pixel = dx - p->pad_w * BLOCK; /* under the filter's left edge */
  const float *end = dx + p->w * BLOCK;
#define HERE(at) (!padded || ((at) >= dx && (at) < end))
#pragma GCC unroll 8
  for (int j = 0; j < fw - 1; j++)
    sum[j] = HERE(pixel + j * BLOCK) ? vec_load(pixel + j * BLOCK) : vec_all(0);
  for (int64_t ow = 0; ow < p->ow; ow++, element += row, pixel += BLOCK) {
    float *right = pixel + (fw - 1) * BLOCK;
    sum[fw - 1] = HERE(right) ? vec_load(right) : vec_all(0);
#pragma GCC unroll 8
    for (int j = 0; j < fw; j++) sum[j] = vec_add(sum[j], vec_load(element + j * channels));
    if (HERE(pixel)) vec_store(pixel, sum[0]);
#pragma GCC unroll 8
    for (int j = 0; j < fw - 1; j++) sum[j] = sum[j + 1];
  }
#pragma GCC unroll 8
  for (int j = 0; j < fw - 1; j++)
    if (HERE(pixel + j * BLOCK)) vec_store(pixel + j * BLOCK, sum[j]);
#undef HERE
}

static void kernel_col2im(const struct window *p, int64_t from, int64_t to, float *dx, const float *matrix,
                          int64_t row, int64_t channels, int64_t here) {
  static const float number[BLOCK] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int64_t h = 0; from == 0 && h < p->h; h++)
    for (int64_t i = 0; i < p->w * BLOCK; i += VL) vec_store(dx + h * p->x_row + i, vec_all(0));
  for (int64_t oh = from; oh < to; oh++) {
    struct range rows = inside(oh, p->fh, p->stride_h, p->pad_h, p->h);
    if (p->stride_w == 1 && (p->fw == 3 || p->fw == 5)) {
      for (int64_t fh = rows.from; fh < rows.to; fh++)
        for (int64_t i = 0; i < here; i += VL) {
          float *line = dx + (oh * p->stride_h - p->pad_h + fh) * p->x_row + i;
          const float *element = matrix + fh * p->fw * channels + i;
          if (p->fw == 3 && p->pad_w) col2im_line(3, true, p, line, element, row, channels);
          if (p->fw == 3 && !p->pad_w) col2im_line(3, false, p, line, element, row, channels);
          if (p->fw == 5 && p->pad_w) col2im_line(5, true, p, line, element, row, channels);
          if (p->fw == 5 && !p->pad_w) col2im_line(5, false, p, line, element, row, channels);
        }
      matrix += p->ow * row;
      continue;
    }
    for (int64_t ow = 0; ow < p->ow; ow++, matrix += row) {
      struct range columns = inside(ow, p->fw, p->stride_w, p->pad_w, p->w);
      for (int64_t fh = rows.from; fh < rows.to; fh++) {
        const float *element = matrix + (fh * p->fw + columns.from) * channels;
        float *pixel = dx + (oh * p->stride_h - p->pad_h + fh) * p->x_row +
                       (ow * p->stride_w - p->pad_w + columns.from) * BLOCK;
        for (int64_t fw = columns.from; fw < columns.to; fw++, element += channels, pixel += BLOCK)
          for (int64_t i = 0; i < here; i += VL)
            vec_store(pixel + i, vec_add(vec_load(pixel + i), vec_load(element + i)));
      }
    }
  }
  for (int64_t i = 0; to == p->oh && i < here; i += VL) { /* what other channels left beside these */
    if (i + VL <= here) continue;
    mask real = vec_less(vec_load(number + i), vec_all((float)here));
    for (int64_t h = 0; h < p->h; h++)
      for (int64_t w = 0; w < p->w; w++) {
        float *pixel = dx + h * p->x_row + w * BLOCK + i;
        vec_store(pixel, vec_select(real, vec_load(pixel), vec_all(0)));
      }
  }
}
