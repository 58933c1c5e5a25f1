/* See optimizer.h. */
#include "train/optimizer.h"

#include <string.h>

#include "core/text.h"

typedef void step_kernel(const struct update *u, int64_t count);

#define OPTIMIZER(name, moments, lr, epsilon, weight_decay, decoupled, settings) \
  static step_kernel *step_##name(const struct kernel_table *kernels) { return kernels->name; }
#include "train/optimizers.def"
#undef OPTIMIZER

static const struct optimizer optimizers[] = {
#define OPTIMIZER(name, moments, lr, epsilon, weight_decay, decoupled, settings) \
  {#name, moments, lr, epsilon, weight_decay, decoupled, settings, step_##name},
#include "train/optimizers.def"
#undef OPTIMIZER
};
enum { OPTIMIZERS = sizeof optimizers / sizeof *optimizers };

const char *cnn_optimizer_name(int index) {
  return index >= 0 && index < OPTIMIZERS ? optimizers[index].name : NULL;
}

cnn_status optimizer_find(const char *name, const struct optimizer **found) {
  const char *names[OPTIMIZERS + 1] = {0};
  for (int i = 0; i < OPTIMIZERS; i++) {
    names[i] = optimizers[i].name;
    if (strcmp(name, names[i]) == 0) {
      *found = &optimizers[i];
      return CNN_OK;
    }
  }
  struct text known = {0};
  for (int i = 0; i < OPTIMIZERS; i++) text_add(&known, "%s%s", i ? ", " : "", names[i]);
  const char *nearest = text_nearest(name, names), *all = known.data ? known.data : "sgd, ...";
  cnn_status status =
      nearest ? CNN_FAIL(CNN_E_KEY, "unknown optimizer '%.40s'; did you mean '%s'?", name, nearest)
              : CNN_FAIL(CNN_E_KEY, "unknown optimizer '%.40s'; there are %s", name, all);
  text_free(&known);
  return status;
}
