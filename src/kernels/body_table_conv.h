/* Convolution by a table of connections, stride 1: 16 outputs side by side, of which a channel reaches only
 * those that its mask of 16 floats names. The taps of one channel are summed apart, and the sum is added
 * where the mask is not 0: what is not connected is never added, not even as 0 times infinity. */
#include "kernels/window.h"

/* Chains of multiply-adds side by side. Forward: of positions, or, where windows differ from one to the next,
 * of channels. For the gradient of weights: of channels. LeNet-5 has rows of 10 positions of 6 channels, and,
 * for the gradient of x, 16. TABLE_CHANNELS divides 16. */
enum { TABLE_TILE = 5, TABLE_CHANNELS = 8, TABLE_GRADIENTS = 6 };

static inline mask reached_by(const float *reach) { return vec_less(vec_all(0), vec_load(reach)); }

/* sum += what `channels` channels, c on, give to `positions` positions of a row that all meet the taps rows x
 * columns; lanes i on. corner: of the first one's window. */
static inline __attribute__((always_inline)) void table_chains(const struct table_conv *p, int positions,
                                                               int channels, int64_t c, struct range rows,
                                                               struct range columns, vec *sum,
                                                               const float *corner, int i) {
  int64_t taps = p->window.fh * p->window.fw;
  const float *x = corner + c / BLOCK * p->x_plane + c % BLOCK, *weight = p->weight + c * taps * BLOCK + i;
  vec part[TABLE_CHANNELS];
  for (int k = 0; k < positions * channels; k++) part[k] = vec_all(0);
  for (int64_t fh = rows.from; fh < rows.to; fh++)
    for (int64_t fw = columns.from; fw < columns.to; fw++) {
      const float *at = x + fh * p->window.x_row + fw * BLOCK;
      const float *tap = weight + (fh * p->window.fw + fw) * BLOCK;
      for (int d = 0; d < channels; d++)
        for (int r = 0; r < positions; r++)
          part[d * positions + r] =
              vec_fma(vec_all(at[r * BLOCK + d]), vec_load(tap + d * taps * BLOCK), part[d * positions + r]);
    }
  for (int d = 0; d < channels; d++) {
    mask reached = reached_by(p->reach + (c + d) * BLOCK + i);
    for (int r = 0; r < positions; r++)
      sum[r] = vec_select(reached, vec_add(sum[r], part[d * positions + r]), sum[r]);
  }
}

/* Whether any of `channels` channels, c on, reaches any of the lanes i on. */
static inline bool reaches(const struct table_conv *p, int channels, int64_t c, int i) {
  for (int d = 0; d < channels; d++)
    if (mask_any(reached_by(p->reach + (c + d) * BLOCK + i))) return true;
  return false;
}

static inline __attribute__((always_inline)) void table_tile(const struct table_conv *p, int positions,
                                                             int channels, struct range rows,
                                                             struct range columns, float *y,
                                                             const float *corner, int i) {
  vec sum[TABLE_TILE];
  int64_t c = 0;
  for (int r = 0; r < positions; r++) sum[r] = p->start ? vec_load(p->start + i) : vec_all(0);
  for (; c + channels <= p->channels; c += channels)
    if (reaches(p, channels, c, i)) table_chains(p, positions, channels, c, rows, columns, sum, corner, i);
  for (; c < p->channels; c++)
    if (reaches(p, 1, c, i)) table_chains(p, positions, 1, c, rows, columns, sum, corner, i);
  for (int r = 0; r < positions; r++) vec_store(y + r * BLOCK + i, sum[r]);
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
          table_tile(p, TABLE_TILE, 1, rows, columns, to, corner, i);
        else
          table_tile(p, 1, TABLE_CHANNELS, rows, columns, to, corner, i);
    }
  }
}

/* The outputs [from, to) whose tap f lies inside the image. */
static inline struct range meeting(int64_t f, int64_t pad, int64_t size, int64_t outputs) {
  int64_t from = f < pad ? pad - f : 0, to = size + pad - f;
  return (struct range){from, to < outputs ? to : outputs};
}

/* dw += the gradient of tap (fh, fw) of `channels` channels, c on, where they are connected: of each row of
 * positions apart, then over rows. */
static inline __attribute__((always_inline)) void table_weights(const struct table_conv *p, int channels,
                                                                int64_t c, int64_t fh, int64_t fw, float *dw,
                                                                const float *x, const float *dy, int i) {
  const struct window *window = &p->window;
  struct range rows = meeting(fh, window->pad_h, window->h, window->oh);
  struct range columns = meeting(fw, window->pad_w, window->w, window->ow);
  const float *corner = x + c / BLOCK * p->x_plane + c % BLOCK + (fh - window->pad_h) * window->x_row +
                        (fw - window->pad_w) * BLOCK;
  vec sum[TABLE_GRADIENTS], part[TABLE_GRADIENTS];
  for (int d = 0; d < channels; d++) sum[d] = vec_all(0);
  for (int64_t oh = rows.from; oh < rows.to; oh++) {
    for (int d = 0; d < channels; d++) part[d] = vec_all(0);
    for (int64_t ow = columns.from; ow < columns.to; ow++) {
      vec gradient = vec_load(dy + oh * window->y_row + ow * BLOCK + i);
      for (int d = 0; d < channels; d++)
        part[d] = vec_fma(vec_all(corner[oh * window->x_row + ow * BLOCK + d]), gradient, part[d]);
    }
    for (int d = 0; d < channels; d++) sum[d] = vec_add(sum[d], part[d]);
  }
  for (int d = 0; d < channels; d++) {
    float *to = dw + (((c + d) * window->fh + fh) * window->fw + fw) * BLOCK + i;
    vec before = vec_load(to);
    mask reached = reached_by(p->reach + (c + d) * BLOCK + i);
    vec_store(to, vec_select(reached, vec_add(before, sum[d]), before));
  }
}

static void kernel_table_conv_weights(const struct table_conv *p, float *dw, const float *x,
                                      const float *dy) {
  int64_t taps = p->window.fh * p->window.fw;
  for (int64_t tap = 0; tap < taps; tap++) {
    int64_t fh = tap / p->window.fw, fw = tap % p->window.fw;
    for (int64_t c = 0, count; c < p->channels; c += count) {
      int64_t block = c / BLOCK * BLOCK + BLOCK, end = p->channels < block ? p->channels : block;
      bool many = c + TABLE_GRADIENTS <= end;
      count = many ? TABLE_GRADIENTS : 1;
      for (int i = 0; i < BLOCK; i += VL)
        if (many && reaches(p, TABLE_GRADIENTS, c, i))
          table_weights(p, TABLE_GRADIENTS, c, fh, fw, dw, x, dy, i);
        else if (!many && reaches(p, 1, c, i))
          table_weights(p, 1, c, fh, fw, dw, x, dy, i);
    }
  }
}
