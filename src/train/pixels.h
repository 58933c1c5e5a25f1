/* What a run does to pixels: augmentation of training images, and the normalisation that becomes part of the
 * model. */
#ifndef CNN_TRAIN_PIXELS_H
#define CNN_TRAIN_PIXELS_H

#include "data/augment.h"
#include "data/dataset.h"
#include "net/plan.h"

/* Settings as text to settings; to be called before batch_check(), since `crop` makes the plan take larger
 * images. augment, normalize: NULL or "" leave things as they are. */
struct pixels {
  struct augment augment;
  bool augmented, normalized; /* asked for */
  enum normal { NORMAL_NONE, NORMAL_CHANNEL, NORMAL_MEAN_IMAGE } normal;
  double scale;
  struct text augment_text, normalize_text; /* in one fixed form; empty where not asked for */
};
cnn_status pixels_parse(const char *augment, const char *normalize, struct pixels *pixels);
cnn_status pixels_prepare(const struct pixels *pixels, cnn_plan *plan);
void pixels_free(struct pixels *pixels);

/* After batch_check(): measure training images index[0 .. images-1], or the first ones where index is NULL,
 * and set the plan's normalisation. */
cnn_status pixels_measure(struct pixels *pixels, cnn_plan *plan, const cnn_dataset *data,
                          const int32_t *index, int64_t images);

/* `,"augment":"...","normalize":"..."`, each where it was asked for. */
void pixels_write(const struct pixels *pixels, struct text *text);

#endif
