/* Optimisers: how weights follow their gradients (6.1 of the book). One row each in optimizers.def. */
#ifndef CNN_TRAIN_OPTIMIZER_H
#define CNN_TRAIN_OPTIMIZER_H

#include "kernels/kernels.h"

struct optimizer {
  const char *name;
  int moments;                      /* values it keeps for each weight, 0 to 2 */
  double lr, epsilon, weight_decay; /* usual values */
  bool decoupled;                   /* weight decay acts on the weights, not through the gradient */
  const char *settings;             /* names of the other fields of cnn_train_options that it reads */
  void (*(*step)(const struct kernel_table *kernels))(const struct update *u, int64_t count);
};

/* CNN_E_KEY names the nearest known one. */
cnn_status optimizer_find(const char *name, const struct optimizer **found);

#endif
