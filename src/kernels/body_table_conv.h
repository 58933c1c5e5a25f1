/* Convolution by a table of connections, stride 1: 16 outputs side by side, of which a channel reaches only
 * those that its mask of 16 floats names. The taps of one channel are summed apart, and the sum is added
 * where the mask is not 0: what is not connected is never added, not even as 0 times infinity. Windows are
 * body_pool.h's. */

enum { TABLE_TILE = 4 }; /* positions at a time */

static inline mask reached_by(const float *reach) { return vec_less(vec_all(0), vec_load(reach)); }

/* `count` positions of a row, ow on, that all meet the taps rows x columns; lanes i on. */
static inline __attribute__((always_inline)) void table_tile(const struct table_conv *p, int count,
                                                             struct range rows, struct range columns,
                                                             const float *corner, float *y, int i) {
  vec sum[TABLE_TILE], part[TABLE_TILE];
  for (int r = 0; r < count; r++) sum[r] = p->start ? vec_load(p->start + i) : vec_all(0);
  for (int64_t c = 0; c < p->channels; c++) {
    const float *x = corner + c / BLOCK * p->x_plane + c % BLOCK;
    const float *weight = p->weight + c * p->window.fh * p->window.fw * BLOCK + i;
    mask reached = reached_by(p->reach + c * BLOCK + i);
    if (!mask_any(reached)) continue;
    for (int r = 0; r < count; r++) part[r] = vec_all(0);
    for (int64_t fh = rows.from; fh < rows.to; fh++)
      for (int64_t fw = columns.from; fw < columns.to; fw++) {
        const float *at = x + fh * p->window.x_row + fw * BLOCK;
        vec w = vec_load(weight + (fh * p->window.fw + fw) * BLOCK);
        for (int r = 0; r < count; r++) part[r] = vec_fma(vec_all(at[r * BLOCK]), w, part[r]);
      }
    for (int r = 0; r < count; r++) sum[r] = vec_select(reached, vec_add(sum[r], part[r]), sum[r]);
  }
  for (int r = 0; r < count; r++) vec_store(y + r * BLOCK + i, sum[r]);
}

static void kernel_table_conv(const struct table_conv *p, float *y, const float *x) {
  const struct window *window = &p->window;
  struct range plain = whole_windows(window);
  for (int64_t oh = 0; oh < window->oh; oh++) {
    struct range rows = inside(oh, window->fh, 1, window->pad_h, window->h);
    for (int64_t ow = 0, count; ow < window->ow; ow += count) {
      struct range columns = inside(ow, window->fw, 1, window->pad_w, window->w);
      const float *corner = x + (oh - window->pad_h) * window->x_row + (ow - window->pad_w) * BLOCK;
      float *to = y + oh * window->y_row + ow * BLOCK;
      bool whole = ow >= plain.from && ow + TABLE_TILE <= plain.to;
      count = whole ? TABLE_TILE : 1;
      for (int i = 0; i < BLOCK; i += VL)
        if (whole)
          table_tile(p, TABLE_TILE, rows, columns, corner, to, i);
        else
          table_tile(p, 1, rows, columns, corner, to, i);
    }
  }
}

/* The outputs [from, to) whose tap f lies inside the image. */
static inline struct range meeting(int64_t f, int64_t pad, int64_t size, int64_t outputs) {
  int64_t from = f < pad ? pad - f : 0, to = size + pad - f;
  return (struct range){from, to < outputs ? to : outputs};
}

/* dw += the gradient of the weights that are connected: of each row of positions apart, then over rows. */
static void kernel_table_conv_weights(const struct table_conv *p, float *dw, const float *x,
                                      const float *dy) {
  const struct window *window = &p->window;
  int64_t taps = window->fh * window->fw;
  for (int64_t k = 0; k < p->channels * taps; k++) {
    int64_t c = k / taps, fh = k / window->fw % window->fh, fw = k % window->fw;
    struct range rows = meeting(fh, window->pad_h, window->h, window->oh);
    struct range columns = meeting(fw, window->pad_w, window->w, window->ow);
    const float *corner = x + c / BLOCK * p->x_plane + c % BLOCK + (fh - window->pad_h) * window->x_row +
                          (fw - window->pad_w) * BLOCK;
    for (int i = 0; i < BLOCK; i += VL) {
      mask reached = reached_by(p->reach + c * BLOCK + i);
      if (!mask_any(reached)) continue;
      vec sum = vec_all(0), before = vec_load(dw + k * BLOCK + i);
      for (int64_t oh = rows.from; oh < rows.to; oh++) {
        vec part = vec_all(0);
        for (int64_t ow = columns.from; ow < columns.to; ow++)
          part = vec_fma(vec_all(corner[oh * window->x_row + ow * BLOCK]),
                         vec_load(dy + oh * window->y_row + ow * BLOCK + i), part);
        sum = vec_add(sum, part);
      }
      vec_store(dw + k * BLOCK + i, vec_select(reached, vec_add(before, sum), before));
    }
  }
}
