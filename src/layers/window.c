/* Equation (7.1) on both axes, for the layers that slide a window: conv, maxpool, avgpool. */
#include <inttypes.h>
#include <stdio.h>

#include "layers/layer.h"

const char *const round_choices[] = {"error", "floor", "ceil", NULL};

/* "kernel 3 stride 2 pad 1", leaving out what is at its usual value. */
static void words(char *text, size_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  int used = snprintf(text, size, "kernel %" PRId64 " stride %" PRId64, kernel, stride);
  if (pad) used += snprintf(text + used, size - (size_t)used, " pad %" PRId64, pad);
  if (dilation != 1) snprintf(text + used, size - (size_t)used, " dilation %" PRId64, dilation);
}

cnn_status window_shape(const int64_t kernel[2], const int64_t stride[2], const int64_t pad[2],
                        const int64_t dilation[2], int round, cnn_shape in, int64_t *oh, int64_t *ow) {
  const int64_t size[2] = {in.h, in.w};
  int64_t out[2];
  for (int i = 0; i < 2; i++) {
    if (cnn_output_size(size[i], kernel[i], stride[i], pad[i], dilation[i], (cnn_round)round, &out[i]) ==
        CNN_OK)
      continue;
    char text[160], shown[64];
    int64_t extent = dilation[i] * (kernel[i] - 1) + 1, room = size[i] + 2 * pad[i] - extent;
    words(text, sizeof text, kernel[i], stride[i], pad[i], dilation[i]);
    if (pad[i])
      snprintf(shown, sizeof shown, "%" PRId64 " + 2*%" PRId64 " - %" PRId64, size[i], pad[i], extent);
    else
      snprintf(shown, sizeof shown, "%" PRId64 " - %" PRId64, size[i], extent);
    if (room < 0)
      return CNN_FAIL(CNN_E_SHAPE,
                      "%s does not fit %" PRId64 "x%" PRId64
                      ": %s is negative; make kernel smaller or pad larger",
                      text, in.h, in.w, shown);
    return CNN_FAIL(CNN_E_SHAPE,
                    "%s does not fit %" PRId64 "x%" PRId64 ": (%s) / %" PRId64
                    " is not whole; set round=floor, round=ceil or pad",
                    text, in.h, in.w, shown, stride[i]);
  }
  *oh = out[0];
  *ow = out[1];
  return CNN_OK;
}
