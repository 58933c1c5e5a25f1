/* For tests: all that a training takes. */
#ifndef TESTS_UNIT_TRAINING_RUN_H
#define TESTS_UNIT_TRAINING_RUN_H

#include "cnn.h"

struct training_run {
  cnn_dataset *data;
  cnn_net *net;
  cnn_plan *plan;
  cnn_trainer *trainer;
};

static inline void run_free(struct training_run *run) {
  cnn_trainer_free(run->trainer);
  cnn_plan_free(run->plan);
  cnn_net_free(run->net);
  cnn_dataset_free(run->data);
}

#endif
