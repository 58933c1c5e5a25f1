/* Augmentation through cnn.h, image by image: for looking at it, and for programs with a loop of their own.
 * The same functions serve the trainer. */
#include "core/memory.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "data/statistics.h"

struct cnn_augmenter {
  struct augment augment;
  const cnn_dataset *data;
  cnn_shape input;
  void *scratch; /* and after it an image's bytes */
  uint8_t *pixels;
};

cnn_status cnn_augment_image(const char *augment, cnn_shape input, cnn_shape *image) {
  struct augment parsed;
  CNN_TRY(augment_parse(augment, &parsed));
  *image = augment_source(&parsed, input);
  return CNN_OK;
}

static cnn_status set_up(cnn_augmenter *a, const char *augment, int64_t h, int64_t w) {
  cnn_shape image = cnn_dataset_image(a->data);
  struct statistics statistics;
  if (h < 0 || w < 0)
    return CNN_FAIL(CNN_E_ARGUMENT,
                    "an augmenter for an input of %lldx%lld: give a size, or 0 for the images'", (long long)h,
                    (long long)w);
  CNN_TRY(augment_parse(augment, &a->augment));
  a->input = (cnn_shape){1, image.c, h ? h : image.h, w ? w : image.w};
  CNN_TRY(augment_check(&a->augment, image, a->input));
  cnn_shape source = augment_source(&a->augment, a->input);
  if (source.h != image.h || source.w != image.w)
    return CNN_FAIL(
        CNN_E_SHAPE,
        "the images of '%s' are %lldx%lld; augmentation takes %lldx%lld: crop= is the images' size",
        cnn_dataset_name(a->data), (long long)image.h, (long long)image.w, (long long)source.h,
        (long long)source.w);
  if (a->augment.color > 0) {
    double covariance[3][3];
    CNN_TRY(statistics_new(a->data, NULL, 0, &statistics));
    statistics_covariance(&statistics, covariance);
    statistics_free(&statistics);
    augment_set_colors(&a->augment, covariance);
  }
  size_t work = (size_t)augment_scratch(&a->augment, image, a->input);
  size_t bytes = work + (size_t)dataset_image_bytes(a->data);
  a->scratch = mem_alloc(bytes);
  if (!a->scratch) return status_no_memory(bytes, "augmenting an image");
  a->pixels = (uint8_t *)a->scratch + work;
  return CNN_OK;
}

cnn_status cnn_augmenter_new(const char *augment, const cnn_dataset *data, int64_t h, int64_t w,
                             cnn_augmenter **augmenter) {
  cnn_augmenter *a = mem_zeroed(1, sizeof *a);
  if (!a) return status_no_memory(sizeof *a, "an augmenter");
  a->data = data;
  cnn_status status = set_up(a, augment, h, w);
  if (status == CNN_OK)
    *augmenter = a;
  else
    cnn_augmenter_free(a);
  return status;
}

void cnn_augmenter_free(cnn_augmenter *augmenter) {
  if (!augmenter) return;
  mem_free(augmenter->scratch);
  mem_free(augmenter);
}

cnn_shape cnn_augmenter_shape(const cnn_augmenter *augmenter) { return augmenter->input; }

cnn_status cnn_augmenter_draw(cnn_augmenter *a, int64_t index, uint64_t seed, uint64_t number, float *image) {
  cnn_tensor canvas = {image, a->input};
  struct ticket ticket = {seed, number};
  int64_t y, x;
  CNN_TRY(cnn_dataset_read(a->data, CNN_SPLIT_TRAIN, index, NULL, NULL)); /* is it there? */
  CNN_TRY(dataset_load(a->data, CNN_SPLIT_TRAIN, index, a->pixels));
  augment_image(&a->augment, a->pixels, cnn_dataset_image(a->data), ticket, canvas, a->scratch, &y, &x);
  augment_erase(&a->augment, ticket, canvas);
  return CNN_OK;
}
