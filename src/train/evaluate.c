/* Loss and accuracy over a split, and the gradient of one batch: what needs a plan and a loss only. */
#include <inttypes.h>

#include "core/memory.h"
#include "train/batch.h"
#include "train/optimizer.h"

cnn_status evaluate_count(const cnn_dataset *data, cnn_split split, int64_t limit, int64_t *count) {
  int64_t total = cnn_dataset_count(data, split);
  if (total < 1)
    return CNN_FAIL(CNN_E_DATA, "'%s' has no images in its %s split", cnn_dataset_name(data),
                    split == CNN_SPLIT_TEST    ? "test"
                    : split == CNN_SPLIT_TRAIN ? "training"
                                               : "validation");
  *count = limit > 0 && limit < total ? limit : total;
  return CNN_OK;
}

cnn_status evaluate_images(struct batch *batch, const int32_t *index, int64_t total, atomic_int *stop,
                           cnn_evaluation *evaluation) {
  cnn_plan *plan = batch->loss.plan;
  int64_t images = plan->options.batch;
  struct hooks hooks = {.load = batch_load, .scored = loss_score, .context = batch};
  cnn_evaluation sum = {.total = total};
  batch->augment = NULL;
  for (int64_t n = 0; n < total; n += images) {
    if (stop && atomic_exchange(stop, 0))
      return CNN_FAIL(CNN_E_STOPPED, "stopped on request while images were evaluated");
    CNN_TRY(batch_take(batch, index, n, total - n < images ? total - n : images, total));
    exec_forward(plan, batch->loss.batch, &hooks);
    sum.loss += loss_sum(&batch->loss);
    sum.correct += loss_correct(&batch->loss);
  }
  sum.loss /= (double)total;
  sum.accuracy = (double)sum.correct / (double)total;
  *evaluation = sum;
  return CNN_OK;
}

cnn_status cnn_evaluate(cnn_plan *plan, const cnn_dataset *data, cnn_split split, int64_t limit,
                        cnn_evaluation *evaluation) {
  int64_t total;
  CNN_TRY(batch_check(plan, data));
  CNN_TRY(evaluate_count(data, split, limit, &total));
  struct batch batch = {.loss.plan = plan, .data = data, .split = split};
  int64_t bytes = batch_bytes(&batch, plan->options.batch);
  char *memory = mem_alloc((size_t)bytes);
  if (!memory) return status_no_memory((size_t)bytes, "a batch");
  batch_place(&batch, plan->options.batch, memory);
  cnn_status status = batch_open(&batch);
  if (status == CNN_OK) status = evaluate_images(&batch, NULL, total, NULL, evaluation);
  batch_close(&batch);
  mem_free(memory);
  return status;
}

cnn_status cnn_plan_gradient(cnn_plan *plan, cnn_tensor x, const int32_t *labels, float *loss) {
  if (!plan->gradients)
    return CNN_FAIL(CNN_E_ARGUMENT, "an inference plan has no gradients; make it with CNN_TRAIN");
  CNN_TRY(plan_check_input(plan, x));
  CNN_TRY(loss_check(plan->net));
  CNN_TRY(loss_check_labels(plan->net, labels, x.shape.n));
  struct batch batch = {.loss = {.plan = plan, .batch = x.shape.n}};
  int64_t bytes = batch_bytes(&batch, x.shape.n);
  char *memory = mem_alloc((size_t)bytes);
  if (!memory) return status_no_memory((size_t)bytes, "a batch");
  batch_place(&batch, x.shape.n, memory);
  batch.loss.labels = labels;
  input_write(plan, x);
  plan->chance = (struct chance){plan->options.seed, 0};
  exec_gradient(plan, x.shape.n, &(struct hooks){.scored = loss_gradient, .context = &batch.loss});
  *loss = (float)(loss_sum(&batch.loss) / (double)x.shape.n);
  mem_free(memory);
  return CNN_OK;
}

cnn_status cnn_plan_memory(const cnn_net *net, const cnn_plan_options *options, const char *optimizer,
                           cnn_memory *memory) {
  const struct optimizer *found = NULL;
  cnn_memory planned;
  if (optimizer) CNN_TRY(optimizer_find(optimizer, &found));
  CNN_TRY(plan_memory(net, options, &planned));
  if (found && (!options || options->mode == CNN_TRAIN)) planned.optimizer = found->moments * planned.weights;
  planned.total += planned.optimizer;
  *memory = planned;
  return CNN_OK;
}
