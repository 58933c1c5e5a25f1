/* Schedules: how the learning rate goes over a run. One row each in schedules.def.
 *
 * A schedule is a factor of the run's learning rate, a pure function of the step, the steps of the run and
 * its settings, computed in double without libm: the same bits everywhere. Only `plateau` has a memory.
 * Epochs are counted from the start of the run and may be fractions; the rate changes between steps. */
#ifndef CNN_TRAIN_SCHEDULE_H
#define CNN_TRAIN_SCHEDULE_H

#include "core/text.h"
#include "layers/layer.h"

/* Settings as their keys have them. */
union schedule_settings {
  struct {
    double every, factor;
  } step; /* exponential: every is 1 */
  struct {
    struct numbers at;
    double factor;
  } multistep;
  struct {
    double end;
  } cosine;
  struct {
    double rise, start, end;
    int shape;
  } one_cycle;
  struct {
    double factor, patience, threshold, least;
  } plateau;
};

struct schedule {
  const struct schedule_class *class;
  union schedule_settings settings;
  int64_t epoch, steps; /* steps of an epoch, of the run */
  int64_t warmup;       /* steps */
};

/* text: "cosine", "step every=10 factor=0.1". The run: `epochs` epochs of `epoch` steps; warmup: epochs of
 * linear rise before all else. CNN_E_KEY names the nearest known schedule or key. */
cnn_status schedule_read(const char *text, double warmup, int64_t epochs, int64_t epoch,
                         struct schedule *schedule);

/* In normal form: with every key. */
void schedule_write(const struct schedule *schedule, struct text *out);

/* The factor of step `step`, from 0. */
double schedule_factor(const struct schedule *schedule, int64_t step);

/* What `plateau` remembers; start from {0}, with factor 1. */
struct plateau {
  double factor, best;
  int64_t waited; /* epochs */
  bool seen;
};

bool schedule_is_plateau(const struct schedule *schedule);

/* After an epoch: `measure` is the lower the better. */
void schedule_measured(const struct schedule *schedule, struct plateau *plateau, double measure);

/* (1 + cos(pi x)) / 2 for x in [0, 1], within 4 units in the last place; 1 and 0 at the ends. */
double schedule_half_cosine(double x);

#endif
