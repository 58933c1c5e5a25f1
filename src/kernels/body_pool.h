/* Pooling over one plane of a channel block (section 7.3): 16 channels side by side, each on its own.
 *
 * Padding counts as smaller than everything for the maximum. Backward gathers: each element of dx is
 * written once, as the sum over the windows that cover it, in ascending order of windows. */

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

/* y: the largest of the window (the first of equals; NaN wins). winner: which element of the window it
 * was, fh * p->fw + fw, as a float. */
static void kernel_maxpool_forward(const struct window *p, float *y, float *winner, const float *x) {
  for (int64_t oh = 0; oh < p->oh; oh++) {
    struct range rows = inside(oh, p->fh, p->stride_h, p->pad_h, p->h);
    for (int64_t ow = 0; ow < p->ow; ow++) {
      struct range columns = inside(ow, p->fw, p->stride_w, p->pad_w, p->w);
      const float *corner =
          x + (oh * p->stride_h - p->pad_h) * p->x_row + (ow * p->stride_w - p->pad_w) * BLOCK;
      for (int i = 0; i < BLOCK; i += VL) {
        vec best = vec_load(corner + rows.from * p->x_row + columns.from * BLOCK + i);
        vec which = vec_all((float)(rows.from * p->fw + columns.from));
        for (int64_t fh = rows.from; fh < rows.to; fh++)
          for (int64_t fw = columns.from; fw < columns.to; fw++) {
            vec v = vec_load(corner + fh * p->x_row + fw * BLOCK + i);
            mask better = mask_or(vec_less(best, v), vec_unordered(v, v));
            best = vec_select(better, v, best);
            which = vec_select(better, vec_all((float)(fh * p->fw + fw)), which);
          }
        vec_store(y + oh * p->y_row + ow * BLOCK + i, best);
        if (winner) vec_store(winner + (oh * p->ow + ow) * BLOCK + i, which);
      }
    }
  }
}

static void kernel_maxpool_backward(const struct window *p, float *dx, const float *dy, const float *winner) {
  vec zero = vec_all(0);
  for (int64_t h = 0; h < p->h; h++) {
    struct range rows = covering(h, p->fh, p->stride_h, p->pad_h, p->oh);
    for (int64_t w = 0; w < p->w; w++) {
      struct range columns = covering(w, p->fw, p->stride_w, p->pad_w, p->ow);
      for (int i = 0; i < BLOCK; i += VL) {
        vec sum = zero;
        for (int64_t oh = rows.from; oh < rows.to; oh++)
          for (int64_t ow = columns.from; ow < columns.to; ow++) {
            int64_t fh = h + p->pad_h - oh * p->stride_h, fw = w + p->pad_w - ow * p->stride_w;
            mask won = vec_equal(vec_load(winner + (oh * p->ow + ow) * BLOCK + i),
                                 vec_all((float)(fh * p->fw + fw)));
            sum = vec_add(sum, vec_select(won, vec_load(dy + oh * p->y_row + ow * BLOCK + i), zero));
          }
        vec_store(dx + h * p->x_row + w * BLOCK + i, sum);
      }
    }
  }
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
