/* What a data set is inside: bytes (or files) and labels of two splits.
 *
 * dataset.c opens, splits and answers for it; folder.c fills it from images. Mini-batches are read through
 * dataset_pixels(), or by a reader (reader.h) where it streams, and dataset_label(): they check nothing. */
#ifndef CNN_DATA_DATASET_H
#define CNN_DATA_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

/* Images lie one after the other, each c*h*w bytes. */
struct dataset_part {
  uint8_t *pixels; /* from mem_pages(), `bytes` long: at least count images */
  size_t bytes;
  int32_t *labels;
  int64_t count;
  char **paths; /* of a data set that streams: of each image; then there are no pixels */
};

struct cnn_dataset {
  char *name;
  cnn_shape image; /* of one: n is 1 */
  int classes;
  char **class_names;
  struct dataset_part part[2]; /* by cnn_split */
};

static inline int64_t dataset_image_bytes(const cnn_dataset *dataset) {
  return dataset->image.c * dataset->image.h * dataset->image.w;
}

/* Images stay on disk and are decoded when they are wanted, see reader.h. */
static inline bool dataset_streams(const cnn_dataset *dataset) { return dataset->part[0].paths; }

/* Of one that does not stream. */
static inline const uint8_t *dataset_pixels(const cnn_dataset *dataset, cnn_split split, int64_t index) {
  return dataset->part[split].pixels + index * dataset_image_bytes(dataset);
}

static inline int32_t dataset_label(const cnn_dataset *dataset, cnn_split split, int64_t index) {
  return dataset->part[split].labels[index];
}

/* The value of a byte, wherever one is turned into a float. */
static inline float dataset_value(uint8_t byte) { return (float)byte / 255.0F; }

/* Memory for count images (streamed: for their paths) and their labels in an empty part of a data set whose
 * image is set. */
cnn_status dataset_part_new(cnn_dataset *dataset, cnn_split split, int64_t count);
cnn_status dataset_part_streamed(cnn_dataset *dataset, cnn_split split, int64_t count);

/* An image's c*h*w bytes, of either kind. Fails where its file cannot be read. In folder.c. */
cnn_status dataset_load(const cnn_dataset *dataset, cnn_split split, int64_t index, uint8_t *pixels);

/* Class names "0" .. where names is NULL, else copies of the first `classes` of them. */
cnn_status dataset_name_classes(cnn_dataset *dataset, int classes, const char *const *names);

/* The rule by which images are split where their source does not: of each class's k images
 * k * fraction, rounded, go to the test split, but at least 1 and at most k - 1; a class's only image
 * stays. Which ones: those with the smallest random numbers, drawn by an image's index. is_test: count
 * flags. */
cnn_status dataset_split(const int32_t *labels, int64_t count, uint64_t seed, double fraction,
                         uint8_t *is_test);

/* Fill a data set (name set, all else 0) from a folder of images. In folder.c. */
cnn_status folder_read(cnn_dataset *dataset, const char *path, const cnn_dataset_options *options);

#endif
