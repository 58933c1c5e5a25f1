/* The depthwise half of separable convolution, over one plane of a channel block: 16 channels side by side,
 * each with its own filter, filter, [fh][fw][16]. Every sum is the one chain of multiply-adds that
 * kernel_product would make of it. Windows are body_pool.h's. */
#include "kernels/window.h"

enum { DEPTHWISE_TILE = 4 }; /* positions at a time */

/* `count` positions of a row that all meet the taps rows x columns; x: the corner of the first one's window.
 */
static inline __attribute__((always_inline)) void depthwise_tile(const struct window *p, int count,
                                                                 int64_t width, struct range rows,
                                                                 struct range columns, float *y,
                                                                 const float *x, const float *weight,
                                                                 const float *start) {
  vec sum[DEPTHWISE_TILE];
  for (int r = 0; r < count; r++) sum[r] = start ? vec_load(start) : vec_all(0);
  for (int64_t fh = rows.from; fh < rows.to; fh++)
    for (int64_t fw = columns.from; fw < columns.to; fw++) {
      const float *at = x + fh * p->x_row + fw * BLOCK;
      vec w = vec_load(weight + (fh * width + fw) * BLOCK);
      for (int r = 0; r < count; r++) sum[r] = vec_fma(vec_load(at + r * p->stride_w * BLOCK), w, sum[r]);
    }
  for (int r = 0; r < count; r++) vec_store(y + r * BLOCK, sum[r]);
}

static void kernel_depthwise_forward(const struct window *p, float *y, const float *x, const float *weight,
                                     const float *start) {
  struct range plain = whole_windows(p);
  for (int64_t oh = 0; oh < p->oh; oh++) {
    struct range rows = inside(oh, p->fh, p->stride_h, p->pad_h, p->h);
    for (int64_t ow = 0, count; ow < p->ow; ow += count) {
      bool whole = ow >= plain.from && ow + DEPTHWISE_TILE <= plain.to, three = p->fw == 3;
      struct range columns = inside(ow, p->fw, p->stride_w, p->pad_w, p->w);
      const float *corner =
          x + (oh * p->stride_h - p->pad_h) * p->x_row + (ow * p->stride_w - p->pad_w) * BLOCK;
      float *to = y + oh * p->y_row + ow * BLOCK;
      count = whole ? DEPTHWISE_TILE : 1;
      for (int i = 0; i < BLOCK; i += VL) {
        const float *first = start ? start + i : NULL;
        if (whole && three)
          depthwise_tile(p, DEPTHWISE_TILE, 3, rows, (struct range){0, 3}, to + i, corner + i, weight + i,
                         first);
        else if (whole)
          depthwise_tile(p, DEPTHWISE_TILE, p->fw, rows, columns, to + i, corner + i, weight + i, first);
        else
          depthwise_tile(p, 1, p->fw, rows, columns, to + i, corner + i, weight + i, first);
      }
    }
  }
}

/* Along one axis, the taps that meet input i on a whole position: tap first + j * stride meets output last -
 * j, for j of [from, to), out of `all` if nothing were outside. */
struct meeting {
  int64_t first, last, all;
  struct range j;
};

static inline void stay_inside(struct meeting *m, int64_t outputs) {
  m->j.from = m->last < outputs ? 0 : m->last - outputs + 1;
  m->j.to = m->all < m->last + 1 ? m->all : m->last + 1;
}

static inline struct meeting taps_at(int64_t i, int64_t filter, int64_t stride, int64_t pad,
                                     int64_t outputs) {
  struct meeting m = {.first = (i + pad) % stride, .last = (i + pad) / stride};
  m.all = m.first < filter ? (filter - m.first - 1) / stride + 1 : 0;
  stay_inside(&m, outputs);
  return m;
}

/* `count` inputs of a row, stride_w apart, that all meet the taps h x w. */
static inline __attribute__((always_inline)) void depthwise_back(const struct window *p, int count,
                                                                 struct meeting h, struct meeting w,
                                                                 float *dx, const float *dy,
                                                                 const float *weight) {
  vec sum[DEPTHWISE_TILE];
  for (int r = 0; r < count; r++) sum[r] = vec_all(0);
  for (int64_t a = h.j.from; a < h.j.to; a++)
    for (int64_t b = w.j.from; b < w.j.to; b++) {
      const float *at = dy + (h.last - a) * p->y_row + (w.last - b) * BLOCK;
      vec tap = vec_load(weight + ((h.first + a * p->stride_h) * p->fw + w.first + b * p->stride_w) * BLOCK);
      for (int r = 0; r < count; r++) sum[r] = vec_fma(vec_load(at + r * BLOCK), tap, sum[r]);
    }
  for (int r = 0; r < count; r++) vec_store(dx + r * p->stride_w * BLOCK, sum[r]);
}

static void kernel_depthwise_backward(const struct window *p, float *dx, const float *dy,
                                      const float *weight) {
  for (int64_t h = 0; h < p->h; h++) {
    struct meeting rows = taps_at(h, p->fh, p->stride_h, p->pad_h, p->oh);
    for (int64_t phase = 0; phase < p->stride_w; phase++) {
      struct meeting columns = taps_at(phase, p->fw, p->stride_w, p->pad_w, p->ow);
      for (int64_t w = phase, count; w < p->w; w += count * p->stride_w) {
        float *to = dx + h * p->x_row + w * BLOCK;
        bool whole = columns.last >= columns.all - 1 && columns.last + DEPTHWISE_TILE <= p->ow &&
                     w + (DEPTHWISE_TILE - 1) * p->stride_w < p->w;
        count = whole ? DEPTHWISE_TILE : 1;
        for (int i = 0; i < BLOCK; i += VL)
          if (whole)
            depthwise_back(p, DEPTHWISE_TILE, rows, columns, to + i, dy + i, weight + i);
          else
            depthwise_back(p, 1, rows, columns, to + i, dy + i, weight + i);
        columns.last += count; /* one division for all of them */
        stay_inside(&columns, p->ow);
      }
    }
  }
}

/* `count` taps of a row of the filter, over the outputs [from, to) of a row, which all of them meet. */
static inline __attribute__((always_inline)) void depthwise_sum(const struct window *p, int count,
                                                                struct range outputs, float *dw,
                                                                const float *x, const float *dy) {
  vec sum[3];
  for (int k = 0; k < count; k++) sum[k] = vec_load(dw + k * BLOCK);
  for (int64_t ow = outputs.from; ow < outputs.to; ow++) {
    vec g = vec_load(dy + ow * BLOCK);
    for (int k = 0; k < count; k++) sum[k] = vec_fma(vec_load(x + (ow * p->stride_w + k) * BLOCK), g, sum[k]);
  }
  for (int k = 0; k < count; k++) vec_store(dw + k * BLOCK, sum[k]);
}

/* The outputs [from, to) of a row whose tap fw lies inside the image. */
static inline struct range depthwise_outputs(const struct window *p, int64_t fw) {
  int64_t before = p->pad_w - fw, after = p->w - 1 + p->pad_w - fw; /* of the last element inside */
  int64_t from = before <= 0 ? 0 : (before + p->stride_w - 1) / p->stride_w;
  int64_t to = after < 0 ? 0 : after / p->stride_w + 1;
  if (to > p->ow) to = p->ow;
  return (struct range){from < to ? from : to, to};
}

/* Taps fw .. fw + taps - 1 (1 or 3) of every row of the filter: each over the outputs that it meets, `all` of
 * which they meet together. */
static inline void depthwise_taps(const struct window *p, int64_t fw, int taps, const struct range *each,
                                  struct range all, float *dw, const float *x, const float *dy) {
  for (int64_t oh = 0; oh < p->oh; oh++) {
    struct range rows = inside(oh, p->fh, p->stride_h, p->pad_h, p->h);
    const float *gradient = dy + oh * p->y_row;
    for (int64_t fh = rows.from; fh < rows.to; fh++) {
      const float *from = x + (oh * p->stride_h - p->pad_h + fh) * p->x_row + (fw - p->pad_w) * BLOCK;
      float *to = dw + (fh * p->fw + fw) * BLOCK;
      for (int i = 0; i < BLOCK; i += VL) {
        for (int k = 0; k < taps; k++) {
          struct range lead = {each[k].from, each[k].to < all.from ? each[k].to : all.from};
          depthwise_sum(p, 1, lead, to + k * BLOCK + i, from + k * BLOCK + i, gradient + i);
        }
        if (taps == 3)
          depthwise_sum(p, 3, all, to + i, from + i, gradient + i);
        else
          depthwise_sum(p, 1, all, to + i, from + i, gradient + i);
        for (int k = 0; k < taps; k++) {
          struct range rest = {each[k].from > all.to ? each[k].from : all.to, each[k].to};
          depthwise_sum(p, 1, rest, to + k * BLOCK + i, from + k * BLOCK + i, gradient + i);
        }
      }
    }
  }
}

/* dw += the sum over positions of x * dy, row by row: of three taps at once where all of them meet. */
static void kernel_depthwise_weights(const struct window *p, float *dw, const float *x, const float *dy) {
  for (int64_t fw = 0, taps; fw < p->fw; fw += taps) {
    struct range each[3] = {{0}}, all = {0, p->ow};
    taps = p->fw - fw < 3 ? 1 : 3;
    for (int k = 0; k < taps; k++) {
      each[k] = depthwise_outputs(p, fw + k);
      if (each[k].from > all.from) all.from = each[k].from;
      if (each[k].to < all.to) all.to = each[k].to;
    }
    if (all.to < all.from) all.to = all.from;
    depthwise_taps(p, fw, (int)taps, each, all, dw, x, dy);
  }
}
