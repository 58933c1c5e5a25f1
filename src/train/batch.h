/* Mini-batches: which images, and their way from bytes into a plan's input. */
#ifndef CNN_TRAIN_BATCH_H
#define CNN_TRAIN_BATCH_H

#include "data/dataset.h"
#include "train/loss.h"

/* A batch at hand: `index` names the images of a split that make up loss.batch. */
struct batch {
  struct loss loss; /* first, so that hooks see it */
  const cnn_dataset *data;
  cnn_split split;
  const int32_t *index; /* NULL: first, first + 1, ... */
  int64_t first;
  int32_t *labels;
};

/* Bytes of a batch's buffers for `images` images, to be given to batch_place(). */
int64_t batch_bytes(int64_t images);
void batch_place(struct batch *batch, int64_t images, char *memory);

/* Take images index[0 .. count-1], or first .. first+count-1: their labels now, their pixels by hook. */
void batch_take(struct batch *batch, const int32_t *index, int64_t first, int64_t count);

/* For hooks: `context` is a struct batch. */
void batch_load(void *context, int64_t n0, int64_t n1);

/* CNN_E_SHAPE or CNN_E_DATA where the data set does not fit the network. */
cnn_status batch_check(const cnn_net *net, const cnn_dataset *data);

/* Loss and accuracy over `total` images of batch->split, those of index or, where it is NULL, the first ones,
 * through batch's buffers. In evaluate.c. */
cnn_evaluation evaluate_images(struct batch *batch, const int32_t *index, int64_t total);

#endif
