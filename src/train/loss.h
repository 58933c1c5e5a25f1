/* The loss of a batch and its gradient, image by image.
 *
 * cross-entropy: -ln p[label], p the softmax of the scores (4.2.2 and 5.6.3 of the book);
 * mean squared error: 1/2 sum over classes of (y - t)^2, t being 1 at the label and 0 elsewhere (4.2.1).
 * A batch's loss is the mean over its images.
 *
 * With label smoothing s (Szegedy et al. 2016, section 7) the target of cross-entropy is 1 - s at the label
 * plus s / classes at each class: -(1 - s) ln p[label] - s/classes sum of ln p. In training only. */
#ifndef CNN_TRAIN_LOSS_H
#define CNN_TRAIN_LOSS_H

#include "net/plan.h"

struct loss {
  cnn_plan *plan;
  int64_t batch;         /* images now in the plan */
  double smoothing;      /* of labels, in training */
  const int32_t *labels; /* [batch] */
  double *each;          /* [batch]: the loss of each image */
  uint8_t *correct;      /* [batch]: its largest score is its label's */
};

/* CNN_E_SHAPE where the net's output is no vector of classes. */
cnn_status loss_check(const cnn_net *net);
cnn_status loss_check_labels(const cnn_net *net, const int32_t *labels, int64_t count);

/* For hooks: `context` is a struct loss. After the whole of a training forward: loss and gradient of the
 * mean. */
void loss_gradient(void *context, int64_t n0, int64_t n1);

/* After inference: the net's outputs become probabilities, where the loss is of such; their loss. */
void loss_probabilities(const struct loss *loss, int64_t n0, int64_t n1);
void loss_judge(const struct loss *loss, int64_t n0, int64_t n1);

/* Sums over the batch: 16 lanes, then a tree. */
double loss_sum(const struct loss *loss);
int64_t loss_correct(const struct loss *loss);

#endif
