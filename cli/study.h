/* A model at work on a split of a data set: what `cnn show confusion`, `mistakes`, `shift` and `cnn report`
 * share. */
#ifndef CLI_STUDY_H
#define CLI_STUDY_H

#include <stdbool.h>

#include "cnn.h"

/* Start from {0}; study_free() after a failure too. */
struct study {
  cnn_model *model;
  cnn_plan *plan;
  cnn_dataset *data;
  cnn_split split;
  int64_t images, classes; /* images: that are looked at */
  int64_t batch, pixels;   /* images of a mini-batch; values of an image */
  float *x, *y;            /* a mini-batch of images; of outputs */
  int32_t *labels;
};

struct study_options {
  const char *model, *data;
  cnn_split split;
  int64_t limit;   /* images of the split; 0: all */
  int64_t threads; /* 0: one for each processor */
  bool inside;     /* the plan keeps outputs and has gradients, as source_model_plan() says */
};

/* Says so and exits with 1 where the model does not take what the data set has. */
cnn_status study_open(const struct study_options *options, struct study *study);
void study_free(struct study *study);

/* Calls `each` after every mini-batch is predicted: images first .. first + count - 1, their outputs in
 * study->y. */
cnn_status study_run(struct study *study,
                     cnn_status (*each)(void *context, struct study *study, int64_t first, int64_t count),
                     void *context);

/* Images from `first` on, at most `batch`, with their labels; their outputs, moved by dy rows and dx columns
 * (black comes in from the edge). */
cnn_status study_read(struct study *study, int64_t first, int64_t *count);
cnn_status study_predict(struct study *study, int64_t count, int64_t dy, int64_t dx);

/* The largest output of image n of the mini-batch, the lower class where two are the same. */
int64_t study_guess(const struct study *study, int64_t n);

/* Class 3 of the model and class 3 of the data should be the same thing: warns of the first that is not. */
void warn_of_classes(const cnn_model *model, const cnn_dataset *data);

/* ---- Which classes are taken for which ---- */

struct confusion {
  int64_t classes, images, correct;
  int64_t *matrix; /* [truth][guess] */
};

struct rates {
  double precision, recall, f1; /* NaN where nothing is divided by nothing */
  int64_t images, guessed;
};

cnn_status confusion_new(int64_t classes, struct confusion *confusion);
void confusion_free(struct confusion *confusion);
void confusion_add(struct confusion *confusion, const struct study *study, int64_t count); /* a mini-batch */
int64_t confusion_cell(const struct confusion *confusion, int64_t truth, int64_t guessed);
struct rates confusion_rates(const struct confusion *confusion, int64_t class);

/* ---- Images that are mistaken ---- */

struct mistake {
  int64_t index, truth, guessed;
  double confidence; /* the probability of the guess */
};

struct mistakes {
  struct mistake *row; /* room for all images of the study */
  int64_t count;
};

cnn_status mistakes_new(const struct study *study, struct mistakes *mistakes);
void mistakes_free(struct mistakes *mistakes);
/* A mini-batch; study->y becomes probabilities. */
void mistakes_add(struct mistakes *mistakes, const struct study *study, int64_t first, int64_t count);
/* The surest first; of equal ones the lower index. */
void mistakes_sort(struct mistakes *mistakes);

#endif
