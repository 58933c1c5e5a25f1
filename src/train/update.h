/* From gradients to weights: the optimiser's step of each range as its gradient is finished, with the
 * learning rates and weight decays of its bricks, clipping, and the average of weights.
 *
 * Clipping by the norm of all gradients needs them all: then the steps are a round of their own, after. */
#ifndef CNN_TRAIN_UPDATE_H
#define CNN_TRAIN_UPDATE_H

#include "net/plan.h"
#include "train/optimizer.h"

/* Floats from .. to - 1 of the plan's weights: one weight of one brick. */
struct zone {
  const char *name; /* "conv1.bias"; the net's */
  int64_t from, to;
  double lr, decay; /* factor of the learning rate; weight decay */
};

struct updater {
  cnn_plan *plan;
  const struct optimizer *optimizer;
  const cnn_train_options *options; /* with every "usual" filled in */

  struct zone *zones; /* in ascending order */
  int zone_count;
  float *moment[2];
  float *average;  /* of weights, then of states; NULL: none */
  uint16_t *real;  /* of each block of 16 weights, a bit for each that is no filling; NULL: not needed */
  double *squares; /* of each SUM_RANGE floats: the sum of squares of their gradients */

  double lr;             /* of this step, of a brick with factor 1 */
  double power1, power2; /* beta1^t, beta2^t */
  double average_power;  /* ema^t */
  float average_rate;
  double norm; /* of this step's gradient; only where it is clipped by it */
};

/* Memory cut into pieces of whole cache lines, one after the other: run once with at == NULL to count. */
struct carver {
  char *at;
  size_t used;
};
void *carver_take(struct carver *carver, size_t count, size_t size);

/* Everything but the memory; options are checked. */
void updater_init(struct updater *u, cnn_plan *plan, const struct optimizer *optimizer,
                  const cnn_train_options *options);
void updater_carve(struct updater *u, struct carver *carver);
void updater_fill(struct updater *u); /* once, when there is memory */

/* What layers keep beside weights, as running means: how many floats, in the order of bricks; and run() for
 * each piece of them beside its piece of `kept`, which is as long. */
int64_t updater_states(const cnn_plan *plan);
void updater_each_state(const cnn_plan *plan, float *kept, float rate,
                        void (*run)(const cnn_plan *plan, float *state, float *kept, int64_t count,
                                    float rate));

/* A step, whose learning rate is u->lr: begin, then each range by updater_take(), a hook whose context is the
 * updater; or, where updater_waits(), both by updater_finish() after the last gradient. After either, end. */
void updater_begin(struct updater *u);
bool updater_waits(const struct updater *u);
void updater_take(void *context, const float *gradient, int64_t count);
cnn_status updater_finish(struct updater *u); /* CNN_E_NUMERIC names a weight whose gradient is not finite;
                                                 then nothing has changed */
void updater_end(struct updater *u);          /* when states have followed: exec_follow() */

#endif
