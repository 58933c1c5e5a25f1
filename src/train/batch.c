/* See batch.h. */
#include "train/batch.h"

#include <inttypes.h>

int64_t batch_bytes(int64_t images) {
  int64_t each = (int64_t)(sizeof(double) + sizeof(int32_t) + sizeof(uint8_t));
  return (images * each + 63) / 64 * 64;
}

void batch_place(struct batch *batch, int64_t images, char *memory) {
  batch->loss.each = (double *)memory;
  batch->labels = (int32_t *)(memory + images * (int64_t)sizeof(double));
  batch->loss.labels = batch->labels;
  batch->loss.correct = (uint8_t *)(batch->labels + images);
}

void batch_take(struct batch *batch, const int32_t *index, int64_t first, int64_t count) {
  batch->index = index;
  batch->first = first;
  batch->loss.batch = count;
  for (int64_t n = 0; n < count; n++)
    batch->labels[n] = dataset_label(batch->data, batch->split, index ? index[n] : first + n);
}

void batch_load(void *context, int64_t n0, int64_t n1) {
  const struct batch *batch = context;
  const struct view *x = &batch->loss.plan->steps[0].y;
  float value[256];
  for (int i = 0; i < 256; i++) value[i] = dataset_value((uint8_t)i);
  for (int64_t n = n0; n < n1; n++) {
    const uint8_t *byte =
        dataset_pixels(batch->data, batch->split, batch->index ? batch->index[n] : batch->first + n);
    for (int64_t c = 0; c < x->shape.c; c++)
      for (int64_t h = 0; h < x->shape.h; h++) {
        float *row = x->data + view_offset(x, n, c, h, 0);
        for (int64_t w = 0; w < x->shape.w; w++) row[w * x->pixel] = value[*byte++];
      }
  }
}

cnn_status batch_check(const cnn_net *net, const cnn_dataset *data) {
  cnn_shape image = cnn_dataset_image(data), in = cnn_net_input(net);
  if (image.c != in.c || image.h != in.h || image.w != in.w)
    return CNN_FAIL(CNN_E_SHAPE,
                    "the images of '%s' are %" PRId64 "x%" PRId64 "x%" PRId64 "; the network takes %" PRId64
                    "x%" PRId64 "x%" PRId64 ": change its input's shape",
                    cnn_dataset_name(data), image.c, image.h, image.w, in.c, in.h, in.w);
  CNN_TRY(loss_check(net));
  int64_t outputs = cnn_net_output(net).c;
  if (cnn_dataset_classes(data) > outputs)
    return CNN_FAIL(CNN_E_DATA,
                    "label %d of '%s' is out of range: the network has %" PRId64
                    " outputs; give its last affine units=%d",
                    cnn_dataset_classes(data) - 1, cnn_dataset_name(data), outputs,
                    cnn_dataset_classes(data));
  return CNN_OK;
}
