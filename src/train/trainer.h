/* A trainer inside: trainer.c runs it, settings.c checks and tells what it was asked to do. */
#ifndef CNN_TRAIN_TRAINER_H
#define CNN_TRAIN_TRAINER_H

#include <stdatomic.h>

#include "train/batch.h"
#include "train/pixels.h"
#include "train/schedule.h"
#include "train/update.h"

struct cnn_trainer {
  cnn_plan *plan;
  const cnn_dataset *data;
  cnn_train_options options; /* with every "usual" filled in */
  struct schedule schedule;
  struct text settings, schedule_text;

  void *memory; /* the updater's | best | batch buffers | order | index */
  size_t bytes;
  struct updater updater;
  struct batch batch;
  struct pixels pixels; /* augmentation and normalisation */
  int64_t images, held; /* of the training split: to train on, and held back for validation */
  int32_t *index;       /* those to train on, then those held back; NULL: none are held back */
  int32_t *order;       /* of the epoch's images */

  int64_t steps, epoch, step; /* steps of an epoch; the next step, both from 0 */
  struct plateau plateau;
  double loss; /* of the step at hand */
  atomic_int stop;

  float *best;    /* weights of the best epoch; NULL without patience */
  cnn_best found; /* which that is */
  double measure; /* its measure */
  enum { WEIGHTS_TRAINED, WEIGHTS_AVERAGE, WEIGHTS_BEST } shown; /* which weights the plan holds now */
};

/* Check the options against each other and the plan, and fill in what is usual: lr, epsilon, weight_decay. */
cnn_status settings_check(cnn_trainer *trainer);

/* What the bits of the result depend on, and nothing else: not threads, not the instruction set. */
cnn_status settings_write(cnn_trainer *trainer);

#endif
