/* Augmentation: training images as they are drawn anew each time they are used.
 *
 *     text  ->  struct augment  ->  for each image: a draw  ->  pixels of the network's input
 *
 * augment.c reads the text and checks it; augment_image.c draws and computes. What an image becomes is a
 * function of the seed, the image's number in the run and the setting it is drawn for: each setting draws
 * from a stream of its own, so that adding one leaves the others as they were. Everything that moves pixels
 * is composed into one resampling. docs/augmentation.md says it to users. Called by train/batch.c. */
#ifndef CNN_DATA_AUGMENT_H
#define CNN_DATA_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"

enum { AUGMENT_SIGMA = 64 /* the largest */, AUGMENT_TAPS = 2 * 3 * AUGMENT_SIGMA + 1 };

/* Settings; 0: off. */
struct augment {
  double shift;         /* pixels */
  double rotate, shear; /* degrees */
  double scale;         /* a factor's largest distance from 1 */
  double sigma, alpha;  /* elastic: pixels; factor */
  double color;         /* standard deviation along principal components */
  int64_t pad, erase;   /* pixels */
  int64_t crop_h, crop_w;
  bool flip, edge;

  int radius;              /* of the Gaussian: taps -radius .. radius */
  float tap[AUGMENT_TAPS]; /* they sum to 1 */
  float component[3][3];   /* [k][c]: eigenvector k times its eigenvalue; see augment_set_colors() */
};

/* "shift=2 rotate=10 elastic=sigma:4,alpha:34 flip": words between spaces. CNN_E_KEY names the nearest known
 * word, CNN_E_ARGUMENT the range. NULL or "" is no augmentation. */
cnn_status augment_parse(const char *text, struct augment *augment);

/* The settings in one fixed form, "" where there are none. */
void augment_write(const struct augment *augment, struct text *text);

/* What images of a data set must be for a network that takes `input`. */
cnn_shape augment_source(const struct augment *augment, cnn_shape input);

/* CNN_E_SHAPE where `image` is smaller than the input, or colour is asked of grey images. */
cnn_status augment_check(const struct augment *augment, cnn_shape image, cnn_shape input);

/* For `color`: the covariance of red, green and blue over the training images, values in [0, 1]. */
void augment_set_colors(struct augment *augment, double covariance[3][3]);

/* Which image of a run. */
struct ticket {
  uint64_t seed, number;
};

/* Bytes that augment_image() needs to work in, a multiple of 64. */
int64_t augment_scratch(const struct augment *augment, cnn_shape image, cnn_shape input);

/* One image (image.c*h*w bytes) onto the canvas, one image of the network's input, values in [0, 1] but for
 * what `color` adds. (*top, *left): the upper left corner, in the image, of the window that was cropped. */
void augment_image(const struct augment *augment, const uint8_t *pixels, cnn_shape image,
                   struct ticket ticket, cnn_tensor canvas, void *scratch, int64_t *top, int64_t *left);

/* Afterwards, when values are normalised: what `erase` covers becomes 0. */
void augment_erase(const struct augment *augment, struct ticket ticket, cnn_tensor canvas);

#endif
