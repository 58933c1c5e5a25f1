/* The public tensor functions: shape arithmetic with overflow checks, equation (7.1), im2col, col2im. */
#include <inttypes.h>
#include <string.h>

#include "core/status.h"

cnn_status cnn_shape_count(cnn_shape s, int64_t *count) {
  const int64_t dim[4] = {s.n, s.c, s.h, s.w};
  int64_t product = 1;
  for (int i = 0; i < 4; i++) {
    if (dim[i] < 1)
      return CNN_FAIL(CNN_E_SHAPE,
                      "dimension %c of shape %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64
                      " must be at least 1",
                      "nchw"[i], s.n, s.c, s.h, s.w);
    if (__builtin_mul_overflow(product, dim[i], &product) || product > INT64_MAX / 16)
      return CNN_FAIL(CNN_E_SHAPE,
                      "shape %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 " has too many elements", s.n, s.c,
                      s.h, s.w);
  }
  *count = product;
  return CNN_OK;
}

cnn_status cnn_tensor_images(cnn_tensor t, int64_t first, int64_t count, cnn_tensor *view) {
  if (first < 0 || count < 1 || count > t.shape.n || first > t.shape.n - count)
    return CNN_FAIL(CNN_E_ARGUMENT, "%" PRId64 " images from %" PRId64 " on, of a tensor of %" PRId64, count,
                    first, t.shape.n);
  *view = (cnn_tensor){cnn_tensor_at(t, first, 0, 0, 0), {count, t.shape.c, t.shape.h, t.shape.w}};
  return CNN_OK;
}

cnn_status cnn_output_size(int64_t in, int64_t filter, int64_t stride, int64_t pad, int64_t dilation,
                           cnn_round round, int64_t *out) {
  const int64_t most = INT32_MAX; /* sizes above are no images, and below nothing here overflows */
  if (in < 1 || filter < 1 || stride < 1 || dilation < 1 || pad < 0 || in > most || filter > most ||
      stride > most || dilation > most || pad > most)
    return CNN_FAIL(CNN_E_ARGUMENT,
                    "size %" PRId64 ", filter %" PRId64 ", stride %" PRId64 ", pad %" PRId64
                    ", dilation %" PRId64
                    ": pad must be at least 0, the others at least 1, none above 2^31 - 1",
                    in, filter, stride, pad, dilation);
  if (round < CNN_ROUND_ERROR || round > CNN_ROUND_CEIL)
    return CNN_FAIL(CNN_E_ARGUMENT, "round is %d; it must be CNN_ROUND_ERROR, _FLOOR or _CEIL", (int)round);
  int64_t extent = dilation * (filter - 1) + 1, room = in + 2 * pad - extent;
  if (room < 0)
    return CNN_FAIL(CNN_E_SHAPE,
                    "a filter of extent %" PRId64 " does not fit %" PRId64 " with pad %" PRId64 ": %" PRId64
                    " + 2*%" PRId64 " - %" PRId64 " is negative; make the filter smaller or pad larger",
                    extent, in, pad, in, pad, extent);
  if (room % stride && round == CNN_ROUND_ERROR)
    return CNN_FAIL(CNN_E_SHAPE,
                    "(%" PRId64 " + 2*%" PRId64 " - %" PRId64 ") / %" PRId64
                    " is not whole; set round=floor, round=ceil or pad",
                    in, pad, extent, stride);
  int64_t size = room / stride + 1;
  if (round == CNN_ROUND_CEIL && room % stride && size * stride < in + pad) size++;
  *out = size;
  return CNN_OK;
}

cnn_status cnn_im2col_shape(cnn_shape input, int64_t fh, int64_t fw, int64_t stride, int64_t pad,
                            int64_t *rows, int64_t *columns) {
  int64_t count, oh, ow;
  CNN_TRY(cnn_shape_count(input, &count));
  CNN_TRY(cnn_output_size(input.h, fh, stride, pad, 1, CNN_ROUND_FLOOR, &oh));
  CNN_TRY(cnn_output_size(input.w, fw, stride, pad, 1, CNN_ROUND_FLOOR, &ow));
  int64_t r, c, all;
  if (__builtin_mul_overflow(input.n, oh, &r) || __builtin_mul_overflow(r, ow, &r) ||
      __builtin_mul_overflow(input.c, fh, &c) || __builtin_mul_overflow(c, fw, &c) ||
      __builtin_mul_overflow(r, c, &all) || all > INT64_MAX / 16)
    return CNN_FAIL(CNN_E_SHAPE, "the matrix of im2col would have too many elements");
  *rows = r;
  *columns = c;
  return CNN_OK;
}

/* What one element of col stands for: calls visit(col element, input element or NULL for padding). */
#define WALK(input, VISIT)                                                                  \
  for (int64_t n = 0; n < (input).shape.n; n++)                                             \
    for (int64_t oh = 0; oh < out_h; oh++)                                                  \
      for (int64_t ow = 0; ow < out_w; ow++)                                                \
        for (int64_t c = 0; c < (input).shape.c; c++)                                       \
          for (int64_t i = 0; i < fh; i++)                                                  \
            for (int64_t j = 0; j < fw; j++, col++) {                                       \
              int64_t h = oh * stride - pad + i, w = ow * stride - pad + j;                 \
              bool within = h >= 0 && h < (input).shape.h && w >= 0 && w < (input).shape.w; \
              VISIT                                                                         \
            }

cnn_status cnn_im2col(cnn_tensor input, int64_t fh, int64_t fw, int64_t stride, int64_t pad, float *col) {
  int64_t rows, columns, out_h, out_w;
  CNN_TRY(cnn_im2col_shape(input.shape, fh, fw, stride, pad, &rows, &columns));
  CNN_TRY(cnn_output_size(input.shape.h, fh, stride, pad, 1, CNN_ROUND_FLOOR, &out_h));
  CNN_TRY(cnn_output_size(input.shape.w, fw, stride, pad, 1, CNN_ROUND_FLOOR, &out_w));
  WALK(input, { *col = within ? *cnn_tensor_at(input, n, c, h, w) : 0; })
  return CNN_OK;
}

cnn_status cnn_col2im(const float *col, int64_t fh, int64_t fw, int64_t stride, int64_t pad,
                      cnn_tensor output) {
  int64_t rows, columns, count, out_h, out_w;
  CNN_TRY(cnn_im2col_shape(output.shape, fh, fw, stride, pad, &rows, &columns));
  CNN_TRY(cnn_shape_count(output.shape, &count));
  CNN_TRY(cnn_output_size(output.shape.h, fh, stride, pad, 1, CNN_ROUND_FLOOR, &out_h));
  CNN_TRY(cnn_output_size(output.shape.w, fw, stride, pad, 1, CNN_ROUND_FLOOR, &out_w));
  memset(output.data, 0, (size_t)count * sizeof *output.data);
  WALK(output, {
    if (within) *cnn_tensor_at(output, n, c, h, w) += *col;
  })
  return CNN_OK;
}

const char *cnn_version(void) { return CNN_VERSION; }
