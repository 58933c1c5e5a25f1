/* Several looks at an image that is to be judged: what is averaged over at test time. */
#ifndef CNN_TRAIN_LOOKS_H
#define CNN_TRAIN_LOOKS_H

#include "train/batch.h"

enum { MOST_LOOKS = 128 };

struct looks {
  int count;
  struct look look[MOST_LOOKS];
};

/* "flip", "shift=1", "ten-crop": words between spaces, each multiplying the looks; NULL or "" is one look.
 * image: what the plan takes, of which the network's `input` is cropped. */
cnn_status looks_parse(const char *text, cnn_shape image, cnn_shape input, struct looks *looks);

#endif
