/* Images of the training split that are held back, to validate on. */
#ifndef CNN_TRAIN_VALIDATION_H
#define CNN_TRAIN_VALIDATION_H

#include "data/dataset.h"

/* How many of `images` `wanted` means: a share where it is below 1, else a number; 0 where it is 0.
 * CNN_E_ARGUMENT where it is neither, or leaves no image to train on. */
cnn_status validation_count(double wanted, int64_t images, int64_t *count);

/* Which `held` of the training split's first `images` images: of each class its share, to within one, those
 * with the smallest random numbers of (seed, image). Writes all indices: first those kept to train on, then
 * those held back, both in ascending order. */
cnn_status validation_select(const cnn_dataset *data, int64_t images, int64_t held, uint64_t seed,
                             int32_t *index);

#endif
