/* im2col (section 7.4.3 of the chapter) of planes that have their padding: `lines` lines of positions, ow
 * each, to rows of a matrix `row` floats apart, [channel][fh][fw]. A tap row is copied by whole vectors, so
 * that what comes after a matrix row's end is overwritten by the next: behind the matrix, and behind x, there
 * is room for a vector. */

static void kernel_im2col(const struct window *p, float *matrix, int64_t row, const float *x, int64_t plane,
                          int64_t channels, int64_t lines) {
  for (int64_t line = 0; line < lines; line++, x += p->x_row)
    for (int64_t ow = 0; ow < p->ow; ow++, matrix += row) {
      float *to = matrix;
      for (int64_t c = 0; c < channels; c++)
        for (int64_t fh = 0; fh < p->fh; fh++, to += p->fw)
          for (int64_t i = 0; i < p->fw; i += VL)
            vec_store(to + i, vec_load(x + c * plane + fh * p->x_row + ow + i));
    }
}
