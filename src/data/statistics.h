/* Statistics of a data set's training images: means, deviations, covariances of channels.
 *
 * Pixels are bytes, so sums are taken in whole numbers: exact, whatever the order. Called for normalisation
 * (train/normalize.c) and for augmentation's colours. */
#ifndef CNN_DATA_STATISTICS_H
#define CNN_DATA_STATISTICS_H

#include "data/dataset.h"

struct statistics {
  cnn_shape image;
  int64_t count;       /* images */
  uint64_t *sum;       /* [c*h*w]: of bytes, over images */
  uint64_t *square;    /* [c]: of their squares, over pixels and images */
  uint64_t product[3]; /* where c is 3: of red and green, red and blue, green and blue */
};

/* Over training images index[0 .. count-1] or, where index is NULL, the first `count` (0: all). CNN_E_DATA
 * where there are none. */
cnn_status statistics_new(const cnn_dataset *dataset, const int32_t *index, int64_t count,
                          struct statistics *statistics);
void statistics_free(struct statistics *statistics);

/* Of values in [0, 1]. mean: [c*h*w] or [c]; deviation: [c]; covariance of the channels, where c is 3. */
void statistics_mean_image(const struct statistics *statistics, float *mean);
void statistics_channels(const struct statistics *statistics, double *mean, double *deviation);
void statistics_covariance(const struct statistics *statistics, double covariance[3][3]);

#endif
