/* Pooling over one plane of a channel block (section 7.3): 16 channels side by side, each on its own.
 *
 * Padding counts as smaller than everything for the maximum. Backward writes each element of dx once, as
 * the sum over the windows that cover it, in ascending order of windows. */

struct range {
  int64_t from, to;
};

/* The elements [from, to) of the filter that lie inside the image, for the window at output i. */
static inline struct range inside(int64_t i, int64_t filter, int64_t stride, int64_t pad, int64_t size) {
  int64_t first = i * stride - pad, from = first < 0 ? -first : 0;
  int64_t to = first + filter > size ? size - first : filter;
  return (struct range){from, to};
}

/* The windows [from, to) that cover input i. */
static inline struct range covering(int64_t i, int64_t filter, int64_t stride, int64_t pad, int64_t outputs) {
  int64_t last = (i + pad) / stride, reach = i + pad - filter + 1;
  int64_t from = reach <= 0 ? 0 : (reach + stride - 1) / stride;
  return (struct range){from, last + 1 > outputs ? outputs : last + 1};
}

/* The largest of the elements [rows) x [columns) of the window at corner, and which one it is: the first
 * of equals; NaN wins. fw: elements in a row of the whole window. Inlined with constants where it pays. */
static inline __attribute__((always_inline)) vec largest(const float *corner, int64_t x_row,
                                                         struct range rows, struct range columns, int64_t fw,
                                                         vec *which) {
  vec best = vec_load(corner + rows.from * x_row + columns.from * BLOCK);
  *which = vec_all((float)(rows.from * fw + columns.from));
  for (int64_t h = rows.from; h < rows.to; h++)
    for (int64_t w = columns.from; w < columns.to; w++) {
      if (h == rows.from && w == columns.from) continue;
      vec v = vec_load(corner + h * x_row + w * BLOCK);
      mask better = mask_or(vec_less(best, v), vec_unordered(v, v));
      best = vec_select(better, v, best);
      *which = vec_select(better, vec_all((float)(h * fw + w)), *which);
    }
  return best;
}

/* winner: which element of the window won, fh * p->fw + fw, as a float; may be NULL. A first element that
 * is NaN stays, since nothing but NaN is better. */
static void kernel_maxpool_forward(const struct window *p, float *y, float *winner, const float *x) {
  bool two = p->fh == 2 && p->fw == 2;
  for (int64_t oh = 0; oh < p->oh; oh++) {
    struct range rows = inside(oh, p->fh, p->stride_h, p->pad_h, p->h);
    for (int64_t ow = 0; ow < p->ow; ow++) {
      struct range columns = inside(ow, p->fw, p->stride_w, p->pad_w, p->w);
      const float *corner =
          x + (oh * p->stride_h - p->pad_h) * p->x_row + (ow * p->stride_w - p->pad_w) * BLOCK;
      bool whole = rows.to - rows.from == p->fh && columns.to - columns.from == p->fw;
      for (int i = 0; i < BLOCK; i += VL) {
        vec which, best;
        if (two && whole)
          best = largest(corner + i, p->x_row, (struct range){0, 2}, (struct range){0, 2}, 2, &which);
        else
          best = largest(corner + i, p->x_row, rows, columns, p->fw, &which);
        vec_store(y + oh * p->y_row + ow * BLOCK + i, best);
        if (winner) vec_store(winner + (oh * p->ow + ow) * BLOCK + i, which);
      }
    }
  }
}

/* Windows that tile the plane: each element of dx belongs to one window, and gets its dy or 0. */
static inline __attribute__((always_inline)) void spread(const struct window *p, int64_t fh, int64_t fw,
                                                         float *dx, const float *dy, const float *winner) {
  for (int64_t oh = 0; oh < p->oh; oh++)
    for (int64_t ow = 0; ow < p->ow; ow++)
      for (int i = 0; i < BLOCK; i += VL) {
        vec gradient = vec_load(dy + oh * p->y_row + ow * BLOCK + i);
        vec which = vec_load(winner + (oh * p->ow + ow) * BLOCK + i);
        float *corner = dx + oh * fh * p->x_row + ow * fw * BLOCK + i;
        for (int64_t h = 0; h < fh; h++)
          for (int64_t w = 0; w < fw; w++) {
            mask won = vec_equal(which, vec_all((float)(h * fw + w)));
            vec_store(corner + h * p->x_row + w * BLOCK, vec_select(won, gradient, vec_all(0)));
          }
      }
}

/* Windows that overlap or leave gaps: each element of dx gathers from the windows that cover it. */
static inline void gather(const struct window *p, float *dx, const float *dy, const float *winner) {
  for (int64_t h = 0; h < p->h; h++) {
    struct range rows = covering(h, p->fh, p->stride_h, p->pad_h, p->oh);
    for (int64_t w = 0; w < p->w; w++) {
      struct range columns = covering(w, p->fw, p->stride_w, p->pad_w, p->ow);
      for (int i = 0; i < BLOCK; i += VL) {
        vec sum = vec_all(0);
        for (int64_t oh = rows.from; oh < rows.to; oh++)
          for (int64_t ow = columns.from; ow < columns.to; ow++) {
            int64_t fh = h + p->pad_h - oh * p->stride_h, fw = w + p->pad_w - ow * p->stride_w;
            vec which = vec_load(winner + (oh * p->ow + ow) * BLOCK + i);
            mask won = vec_equal(which, vec_all((float)(fh * p->fw + fw)));
            sum = vec_add(sum, vec_select(won, vec_load(dy + oh * p->y_row + ow * BLOCK + i), vec_all(0)));
          }
        vec_store(dx + h * p->x_row + w * BLOCK + i, sum);
      }
    }
  }
}

static void kernel_maxpool_backward(const struct window *p, float *dx, const float *dy, const float *winner) {
  bool tiled = p->stride_h == p->fh && p->stride_w == p->fw && p->oh * p->fh == p->h &&
               p->ow * p->fw == p->w && p->pad_h == 0 && p->pad_w == 0;
  if (!tiled)
    gather(p, dx, dy, winner);
  else if (p->fh == 2 && p->fw == 2)
    spread(p, 2, 2, dx, dy, winner);
  else
    spread(p, p->fh, p->fw, dx, dy, winner);
}

/* What the sum over the window at (oh, ow) is divided by. */
static inline float divisor(const struct window *p, struct range rows, struct range columns) {
  return p->count_pad ? (float)(p->fh * p->fw) : (float)((rows.to - rows.from) * (columns.to - columns.from));
}

static void kernel_avgpool_forward(const struct window *p, float *y, const float *x) {
  for (int64_t oh = 0; oh < p->oh; oh++) {
    struct range rows = inside(oh, p->fh, p->stride_h, p->pad_h, p->h);
    for (int64_t ow = 0; ow < p->ow; ow++) {
      struct range columns = inside(ow, p->fw, p->stride_w, p->pad_w, p->w);
      const float *corner =
          x + (oh * p->stride_h - p->pad_h) * p->x_row + (ow * p->stride_w - p->pad_w) * BLOCK;
      for (int i = 0; i < BLOCK; i += VL) {
        vec sum = vec_all(0);
        for (int64_t fh = rows.from; fh < rows.to; fh++)
          for (int64_t fw = columns.from; fw < columns.to; fw++)
            sum = vec_add(sum, vec_load(corner + fh * p->x_row + fw * BLOCK + i));
        vec_store(y + oh * p->y_row + ow * BLOCK + i, vec_div(sum, vec_all(divisor(p, rows, columns))));
      }
    }
  }
}

static void kernel_avgpool_backward(const struct window *p, float *dx, const float *dy) {
  for (int64_t h = 0; h < p->h; h++) {
    struct range rows = covering(h, p->fh, p->stride_h, p->pad_h, p->oh);
    for (int64_t w = 0; w < p->w; w++) {
      struct range columns = covering(w, p->fw, p->stride_w, p->pad_w, p->ow);
      for (int i = 0; i < BLOCK; i += VL) {
        vec sum = vec_all(0);
        for (int64_t oh = rows.from; oh < rows.to; oh++)
          for (int64_t ow = columns.from; ow < columns.to; ow++) {
            float count = divisor(p, inside(oh, p->fh, p->stride_h, p->pad_h, p->h),
                                  inside(ow, p->fw, p->stride_w, p->pad_w, p->w));
            sum = vec_add(sum, vec_div(vec_load(dy + oh * p->y_row + ow * BLOCK + i), vec_all(count)));
          }
        vec_store(dx + h * p->x_row + w * BLOCK + i, sum);
      }
    }
  }
}
