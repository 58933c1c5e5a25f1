/* Local response normalisation over a row of pixels: sums over neighbouring channels.
 *
 * A vector holds channels side by side, so a sum over a window of channels is a sum of vectors that begin one
 * float apart. For that the channels of a pixel are laid out in one line, with zeros at both ends:
 *
 *     scratch, pixel i:  [0 ... 0][channels 0 .. 16 * blocks - 1][0 ... 0]       p->line floats
 *
 * LRN_PIXELS of them at a time, so that a store is long done when a load across two of them comes. */

static const float lrn_ramp[BLOCK] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* Lane i of block b holds a channel. */
static inline mask lrn_used(const struct lrn *p, int64_t b, int i) {
  return vec_less(vec_load(lrn_ramp + i), vec_all((float)(p->channels - b * BLOCK)));
}

/* The sum of at[-before] .. at[after], in ascending order. Inlined with constants where it pays. */
static inline __attribute__((always_inline)) vec lrn_sum(const float *at, int64_t before, int64_t after) {
  vec sum = vec_load(at - before);
  for (int64_t j = 1 - before; j <= after; j++) sum = vec_add(sum, vec_load(at + j));
  return sum;
}

static inline void lrn_clear(const struct lrn *p) {
  for (int64_t i = 0; i < LRN_PIXELS; i++) {
    float *line = p->scratch + i * p->line;
    for (int64_t k = 0; k < p->lead; k += VL) vec_store(line + k, vec_all(0));
    for (int64_t k = p->lead + p->blocks * BLOCK; k < p->line; k += VL) vec_store(line + k, vec_all(0));
  }
}

/* What is saved of s: s^(-1/4), whose powers are all that is wanted of s where beta is 3/4; else s. */
static inline __attribute__((always_inline)) vec lrn_root(vec s, bool quarter) {
  return quarter ? vec_div(vec_all(1), vec_sqrt(vec_sqrt(s))) : s;
}

/* s^-beta from what is saved. */
static inline __attribute__((always_inline)) vec lrn_factor(vec root, float beta, bool quarter) {
  return quarter ? vec_mul(vec_mul(root, root), root) : vec_exp(vec_mul(vec_all(-beta), vec_log(root)));
}

static inline __attribute__((always_inline)) void lrn_forward(const struct lrn *p, float *y, float *saved,
                                                              const float *x, int64_t pixels, int64_t before,
                                                              int64_t after, bool quarter) {
  vec alpha = vec_all(p->alpha), start = vec_all(p->k);
  for (int64_t b = 0; b < p->blocks; b++)
    for (int64_t n = 0; n < pixels; n++)
      for (int i = 0; i < BLOCK; i += VL) {
        vec v = vec_load(x + b * p->plane + n * BLOCK + i);
        if ((b + 1) * BLOCK > p->channels) v = vec_select(lrn_used(p, b, i), v, vec_all(0));
        vec_store(p->scratch + n * p->line + p->lead + b * BLOCK + i, vec_mul(v, v));
      }
  for (int64_t b = 0; b < p->blocks; b++)
    for (int64_t n = 0; n < pixels; n++)
      for (int i = 0; i < BLOCK; i += VL) {
        vec sum = lrn_sum(p->scratch + n * p->line + p->lead + b * BLOCK + i, before, after);
        vec root = lrn_root(vec_fma(alpha, sum, start), quarter);
        vec v = vec_load(x + b * p->plane + n * BLOCK + i);
        if (saved) vec_store(saved + b * p->plane + n * BLOCK + i, root);
        vec_store(y + b * p->plane + n * BLOCK + i, vec_mul(v, lrn_factor(root, p->beta, quarter)));
      }
}

/* saved: what backward is to be given; may be NULL. */
static void kernel_lrn_forward(const struct lrn *p, float *y, float *saved, const float *x, int64_t pixels) {
  lrn_clear(p);
  for (int64_t n = 0; n < pixels; n += LRN_PIXELS, x += LRN_PIXELS * BLOCK, y += LRN_PIXELS * BLOCK) {
    int64_t count = pixels - n < LRN_PIXELS ? pixels - n : LRN_PIXELS;
    float *keep = saved ? saved + n * BLOCK : NULL;
    if (!p->quarter)
      lrn_forward(p, y, keep, x, count, p->before, p->after, false);
    else if (p->before == 2 && p->after == 2)
      lrn_forward(p, y, keep, x, count, 2, 2, true);
    else
      lrn_forward(p, y, keep, x, count, p->before, p->after, true);
  }
}

/* The window that channel i stands in is that of i mirrored: channels i - after .. i + before. */
static inline __attribute__((always_inline)) void lrn_backward(const struct lrn *p, float *dx,
                                                               const float *dy, const float *x,
                                                               const float *saved, int64_t pixels,
                                                               int64_t before, int64_t after, bool quarter) {
  vec slope = vec_all(p->slope);
  for (int64_t b = 0; b < p->blocks; b++)
    for (int64_t n = 0; n < pixels; n++)
      for (int i = 0; i < BLOCK; i += VL) {
        vec g = vec_load(dy + b * p->plane + n * BLOCK + i);
        vec v = vec_load(x + b * p->plane + n * BLOCK + i);
        vec root = vec_load(saved + b * p->plane + n * BLOCK + i);
        vec factor = lrn_factor(root, p->beta, quarter), square = vec_mul(root, root);
        vec over = quarter ? vec_mul(factor, vec_mul(square, square)) : vec_div(factor, root);
        vec term = vec_mul(vec_mul(g, v), over); /* dy y / s */
        if ((b + 1) * BLOCK > p->channels) term = vec_select(lrn_used(p, b, i), term, vec_all(0));
        vec_store(p->scratch + n * p->line + p->lead + b * BLOCK + i, term);
        vec_store(dx + b * p->plane + n * BLOCK + i, vec_mul(g, factor));
      }
  for (int64_t b = 0; b < p->blocks; b++)
    for (int64_t n = 0; n < pixels; n++)
      for (int i = 0; i < BLOCK; i += VL) {
        float *to = dx + b * p->plane + n * BLOCK + i;
        vec sum = lrn_sum(p->scratch + n * p->line + p->lead + b * BLOCK + i, after, before);
        vec v = vec_mul(slope, vec_load(x + b * p->plane + n * BLOCK + i));
        vec_store(to, vec_fma(v, sum, vec_load(to)));
      }
}

static void kernel_lrn_backward(const struct lrn *p, float *dx, const float *dy, const float *x,
                                const float *saved, int64_t pixels) {
  lrn_clear(p);
  for (int64_t n = 0; n < pixels; n += LRN_PIXELS) {
    int64_t count = pixels - n < LRN_PIXELS ? pixels - n : LRN_PIXELS, at = n * BLOCK;
    if (!p->quarter)
      lrn_backward(p, dx + at, dy + at, x + at, saved + at, count, p->before, p->after, false);
    else if (p->before == 2 && p->after == 2)
      lrn_backward(p, dx + at, dy + at, x + at, saved + at, count, 2, 2, true);
    else
      lrn_backward(p, dx + at, dy + at, x + at, saved + at, count, p->before, p->after, true);
  }
}
