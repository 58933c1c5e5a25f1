/* Pooling over one plane of a channel block (section 7.3): 16 channels side by side, each on its own.
 *
 * Padding counts as smaller than everything for the maximum. Backward writes each element of dx once, as
 * the sum over the windows that cover it, in ascending order of windows. */

#include "kernels/window.h"

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

/* The windows of a row that lie inside the image from left to right. */
static inline struct range whole_windows(const struct window *p) {
  int64_t from = (p->pad_w + p->stride_w - 1) / p->stride_w, room = p->w + p->pad_w - p->fw;
  int64_t to = room < 0 ? 0 : room / p->stride_w + 1;
  if (to > p->ow) to = p->ow;
  return (struct range){from < to ? from : to, to};
}

/* The windows `which` of a row, all of them whole, of side x side elements. */
static inline __attribute__((always_inline)) void largest_in_row(const struct window *p, struct range which,
                                                                 int64_t side, float *y, float *winner,
                                                                 const float *x) {
  for (int64_t ow = which.from; ow < which.to; ow++) {
    const float *corner = x + (ow * p->stride_w - p->pad_w) * BLOCK;
    for (int i = 0; i < BLOCK; i += VL) {
      vec won,
          best = largest(corner + i, p->x_row, (struct range){0, side}, (struct range){0, side}, side, &won);
      vec_store(y + ow * BLOCK + i, best);
      if (winner) vec_store(winner + ow * BLOCK + i, won);
    }
  }
}

/* winner: which element of the window won, fh * p->fw + fw, as a float; may be NULL. A first element that
 * is NaN stays, since nothing but NaN is better. */
static void kernel_maxpool_forward(const struct window *p, float *y, float *winner, const float *x) {
  int64_t side = p->fh == p->fw && (p->fh == 2 || p->fh == 3) ? p->fh : 0;
  struct range plain = whole_windows(p);
  for (int64_t oh = 0; oh < p->oh; oh++) {
    struct range rows = inside(oh, p->fh, p->stride_h, p->pad_h, p->h);
    const float *from = x + (oh * p->stride_h - p->pad_h) * p->x_row;
    float *to = y + oh * p->y_row, *keep = winner ? winner + oh * p->ow * BLOCK : NULL;
    bool whole = side && rows.to - rows.from == side;
    if (whole && side == 2) largest_in_row(p, plain, 2, to, keep, from);
    if (whole && side == 3) largest_in_row(p, plain, 3, to, keep, from);
    for (int64_t ow = 0; ow < p->ow; ow++) {
      if (whole && ow == plain.from) ow = plain.to;
      if (ow == p->ow) break;
      struct range columns = inside(ow, p->fw, p->stride_w, p->pad_w, p->w);
      const float *corner = from + (ow * p->stride_w - p->pad_w) * BLOCK;
      for (int i = 0; i < BLOCK; i += VL) {
        vec which, best = largest(corner + i, p->x_row, rows, columns, p->fw, &which);
        vec_store(to + ow * BLOCK + i, best);
        if (keep) vec_store(keep + ow * BLOCK + i, which);
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

/* Windows that overlap or leave gaps: each element of dx gathers from the windows that cover it. Rows h ...
 * and of them columns w ... */
static inline void gather(const struct window *p, struct range all_rows, struct range all_columns, float *dx,
                          const float *dy, const float *winner) {
  for (int64_t h = all_rows.from; h < all_rows.to; h++) {
    struct range rows = covering(h, p->fh, p->stride_h, p->pad_h, p->oh);
    for (int64_t w = all_columns.from; w < all_columns.to; w++) {
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

/* sum + dy where the window's element `element` won. */
static inline __attribute__((always_inline)) vec add_won(vec sum, vec dy, vec which, float element) {
  return vec_add(sum, vec_select(vec_equal(which, vec_all(element)), dy, vec_all(0)));
}

/* Windows of 3 x 3 with stride 2 and no padding. Window (oh, ow) and the three before it meet in the four
 * elements from (2 oh, 2 ow) on, which get
 *
 *     8 of (oh-1, ow-1), 6 of (oh-1, ow), 2 of (oh, ow-1), 0 of (oh, ow)  |  7 of (oh-1, ow), 1 of (oh, ow)
 *     5 of (oh, ow-1), 3 of (oh, ow)                                      |  4 of (oh, ow)
 *
 * of its elements 0 .. 8. What lies past the last window's second row and column is gathered one by one. */
static inline void gather_three_by_two(const struct window *p, float *dx, const float *dy,
                                       const float *winner) {
  vec zero = vec_all(0), none = vec_all(-1);
  for (int64_t oh = 0; oh < p->oh; oh++) {
    const float *here = dy + oh * p->y_row, *here_won = winner + oh * p->ow * BLOCK;
    const float *up = oh ? here - p->y_row : here, *up_won = oh ? here_won - p->ow * BLOCK : here_won;
    for (int i = 0; i < BLOCK; i += VL) {
      vec dy_a = zero, dy_c = zero, a = none, c = none; /* up left, up, left, here: a, b, c, d */
      for (int64_t ow = 0; ow < p->ow; ow++) {
        vec dy_b = vec_load(up + ow * BLOCK + i), b = oh ? vec_load(up_won + ow * BLOCK + i) : none;
        vec dy_d = vec_load(here + ow * BLOCK + i), d = vec_load(here_won + ow * BLOCK + i);
        float *to = dx + 2 * oh * p->x_row + 2 * ow * BLOCK + i;
        vec sum = add_won(add_won(zero, dy_a, a, 8), dy_b, b, 6);
        vec_store(to, add_won(add_won(sum, dy_c, c, 2), dy_d, d, 0));
        vec_store(to + BLOCK, add_won(add_won(zero, dy_b, b, 7), dy_d, d, 1));
        vec_store(to + p->x_row, add_won(add_won(zero, dy_c, c, 5), dy_d, d, 3));
        vec_store(to + p->x_row + BLOCK, add_won(zero, dy_d, d, 4));
        dy_a = dy_b, a = b, dy_c = dy_d, c = d;
      }
    }
    gather(p, (struct range){2 * oh, 2 * oh + 2}, (struct range){2 * p->ow, p->w}, dx, dy, winner);
  }
  gather(p, (struct range){2 * p->oh, p->h}, (struct range){0, p->w}, dx, dy, winner);
}

/* Windows that cover the plane once, none of them over its edge. */
static inline bool is_tiled(const struct window *p) {
  return p->stride_h == p->fh && p->stride_w == p->fw && p->oh * p->fh == p->h && p->ow * p->fw == p->w &&
         p->pad_h == 0 && p->pad_w == 0;
}

static void kernel_maxpool_backward(const struct window *p, float *dx, const float *dy, const float *winner) {
  bool three_by_two = p->fh == 3 && p->fw == 3 && p->stride_h == 2 && p->stride_w == 2 && p->pad_h == 0 &&
                      p->pad_w == 0 && 2 * p->oh < p->h && 2 * p->ow < p->w;
  if (three_by_two)
    gather_three_by_two(p, dx, dy, winner);
  else if (!is_tiled(p))
    gather(p, (struct range){0, p->h}, (struct range){0, p->w}, dx, dy, winner);
  else if (p->fh == 2 && p->fw == 2)
    spread(p, 2, 2, dx, dy, winner);
  else
    spread(p, p->fh, p->fw, dx, dy, winner);
}

/* What the sum over the window at (oh, ow) is divided by. */
static inline float divisor(const struct window *p, struct range rows, struct range columns) {
  return p->count_pad ? (float)(p->fh * p->fw) : (float)((rows.to - rows.from) * (columns.to - columns.from));
}

/* sum / count: by a product where that gives the same bits, since 1 / count is exact. */
static inline vec mean_of(vec sum, float count) {
  return count == 1 || count == 2 || count == 4 || count == 16 ? vec_mul(sum, vec_all(1 / count))
                                                               : vec_div(sum, vec_all(count));
}

/* The windows of a row where they tile the plane, of fh x fw elements each. */
static inline __attribute__((always_inline)) void means_in_row(const struct window *p, int64_t fh, int64_t fw,
                                                               float *y, const float *x) {
  for (int64_t ow = 0; ow < p->ow; ow++)
    for (int i = 0; i < BLOCK; i += VL) {
      vec sum = vec_all(0);
      for (int64_t h = 0; h < fh; h++)
        for (int64_t w = 0; w < fw; w++)
          sum = vec_add(sum, vec_load(x + h * p->x_row + (ow * fw + w) * BLOCK + i));
      vec_store(y + ow * BLOCK + i, mean_of(sum, (float)(fh * fw)));
    }
}

static void kernel_avgpool_forward(const struct window *p, float *y, const float *x) {
  bool two = is_tiled(p) && p->fh == 2 && p->fw == 2;
  for (int64_t oh = 0; oh < p->oh; oh++) {
    if (two) {
      means_in_row(p, 2, 2, y + oh * p->y_row, x + 2 * oh * p->x_row);
      continue;
    }
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
        vec_store(y + oh * p->y_row + ow * BLOCK + i, mean_of(sum, divisor(p, rows, columns)));
      }
    }
  }
}

/* Windows that tile the plane: each element of dx belongs to one. */
static inline __attribute__((always_inline)) void spread_means(const struct window *p, int64_t fh, int64_t fw,
                                                               float *dx, const float *dy) {
  for (int64_t oh = 0; oh < p->oh; oh++)
    for (int64_t ow = 0; ow < p->ow; ow++)
      for (int i = 0; i < BLOCK; i += VL) {
        vec share = mean_of(vec_load(dy + oh * p->y_row + ow * BLOCK + i), (float)(fh * fw));
        share = vec_add(vec_all(0), share); /* -0 becomes 0, as in any sum */
        float *corner = dx + oh * fh * p->x_row + ow * fw * BLOCK + i;
        for (int64_t h = 0; h < fh; h++)
          for (int64_t w = 0; w < fw; w++) vec_store(corner + h * p->x_row + w * BLOCK, share);
      }
}

static void kernel_avgpool_backward(const struct window *p, float *dx, const float *dy) {
  if (is_tiled(p)) {
    if (p->fh == 2 && p->fw == 2)
      spread_means(p, 2, 2, dx, dy);
    else
      spread_means(p, p->fh, p->fw, dx, dy);
    return;
  }
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
            sum = vec_add(sum, mean_of(vec_load(dy + oh * p->y_row + ow * BLOCK + i), count));
          }
        vec_store(dx + h * p->x_row + w * BLOCK + i, sum);
      }
    }
  }
}
