/* Loss and accuracy over many images, a mini-batch after the other. Called by the trainer and, in evaluate.c,
 * by cnn.h's functions. */
#ifndef CNN_TRAIN_EVALUATE_H
#define CNN_TRAIN_EVALUATE_H

#include <stdatomic.h>

#include "train/looks.h"

struct evaluator {
  struct batch batch;        /* first, so that hooks see it; images are not augmented */
  const struct looks *looks; /* NULL: one, at the image as it is */
  double *sums;              /* of outputs, [batch][classes]; where there are several looks */
  int look;                  /* the one at hand */
};

/* Over images index[0 .. total-1] of the batch's split or, where index is NULL, the first ones. stop: where
 * it is set it is cleared, and the evaluation ends with CNN_E_STOPPED before its next mini-batch; may be
 * NULL. */
cnn_status evaluate_images(struct evaluator *evaluator, const int32_t *index, int64_t total, atomic_int *stop,
                           cnn_evaluation *evaluation);

#endif
