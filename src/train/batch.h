/* Mini-batches: which images, and their way from bytes into a plan's input. */
#ifndef CNN_TRAIN_BATCH_H
#define CNN_TRAIN_BATCH_H

#include "data/augment.h"
#include "data/dataset.h"
#include "data/reader.h"
#include "train/loss.h"

/* How an image is looked at where it is not augmented. All 0: its middle, as it is. */
struct look {
  int64_t down, right; /* of the middle: the window that is cropped */
  int64_t dy, dx;      /* then the picture moves, zeros follow */
  bool flip;           /* then left and right are swapped */
};

/* A batch at hand: images index[first], ... of a split make up loss.batch. */
struct batch {
  struct loss loss; /* first, so that hooks see it */
  const cnn_dataset *data;
  cnn_split split;
  const int32_t *index; /* NULL: they count up */
  int64_t first;
  int32_t *labels;
  const struct augment *augment; /* NULL: images as they are */
  struct look look;
  struct reader *reader; /* of a data set that streams, else NULL */
  char *scratch;         /* [threads][scratch_bytes] */
  int64_t scratch_bytes;
  float value[256]; /* of each byte */
};

/* Bytes of a batch's buffers for `images` images, to be given to batch_place(); loss.plan and augment are
 * set. */
int64_t batch_bytes(const struct batch *batch, int64_t images);
void batch_place(struct batch *batch, int64_t images, char *memory);

/* Make ready to take images; data and loss.plan are set. */
cnn_status batch_open(struct batch *batch);
void batch_close(struct batch *batch);

/* Take images index[first .. first+count-1], or first .. first+count-1 where index is NULL: their labels now,
 * their pixels by hook. past: where the images end that will be taken after these, of the same index. Fails
 * where images come from files and one of these cannot be read. */
cnn_status batch_take(struct batch *batch, const int32_t *index, int64_t first, int64_t count, int64_t past);

/* For hooks: `context` is a struct batch. */
void batch_load(void *context, int64_t n0, int64_t n1, int thread);

/* CNN_E_SHAPE or CNN_E_DATA where the data set does not fit the plan's network. */
cnn_status batch_check(const cnn_plan *plan, const cnn_dataset *data);

#endif
