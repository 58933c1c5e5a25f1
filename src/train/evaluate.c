/* See evaluate.h; and the gradient of one batch: what needs a plan and a loss only.
 *
 * At test time an image may be looked at in several ways: the network's outputs (probabilities, where the
 * loss is of such) are averaged before the largest is taken. */
#include "train/evaluate.h"

#include <inttypes.h>

#include "core/memory.h"
#include "train/optimizer.h"

static cnn_status count_images(const cnn_dataset *data, cnn_split split, int64_t limit, int64_t *count) {
  int64_t total = cnn_dataset_count(data, split);
  if (total < 1)
    return CNN_FAIL(CNN_E_DATA, "'%s' has no images in its %s split", cnn_dataset_name(data),
                    split == CNN_SPLIT_TEST    ? "test"
                    : split == CNN_SPLIT_TRAIN ? "training"
                                               : "validation");
  if (limit < 0) return CNN_FAIL(CNN_E_ARGUMENT, "limit is %" PRId64 "; it must be at least 0", limit);
  *count = limit > 0 && limit < total ? limit : total;
  return CNN_OK;
}

static int count_looks(const struct evaluator *e) { return e->looks ? e->looks->count : 1; }

/* Outputs of one look to their sums; after the last one they become the mean. */
static void average(const struct evaluator *e, int64_t n0, int64_t n1) {
  const cnn_plan *plan = e->batch.loss.plan;
  const struct view *y = &plan->steps[plan->net->count - 1].y;
  int64_t classes = y->shape.c;
  for (int64_t n = n0; n < n1; n++)
    for (int64_t c = 0; c < classes; c++) {
      float *output = y->data + view_offset(y, n, c, 0, 0);
      double *sum = &e->sums[n * classes + c];
      *sum = (e->look ? *sum : 0) + (double)*output;
      if (e->look == e->looks->count - 1) *output = (float)(*sum / e->looks->count);
    }
}

/* After the forward of one look. */
static void judge(void *context, int64_t n0, int64_t n1) {
  const struct evaluator *e = context;
  loss_probabilities(&e->batch.loss, n0, n1);
  if (count_looks(e) > 1) average(e, n0, n1);
  if (e->look == count_looks(e) - 1) loss_judge(&e->batch.loss, n0, n1);
}

cnn_status evaluate_images(struct evaluator *e, const int32_t *index, int64_t total, atomic_int *stop,
                           cnn_evaluation *evaluation) {
  struct batch *batch = &e->batch;
  int64_t images = batch->loss.plan->options.batch;
  struct hooks hooks = {.load = batch_load, .scored = judge, .context = e};
  cnn_evaluation sum = {.total = total};
  batch->augment = NULL;
  for (int64_t n = 0; n < total; n += images) {
    if (stop && atomic_exchange(stop, 0))
      return CNN_FAIL(CNN_E_STOPPED, "stopped on request while images were evaluated");
    CNN_TRY(batch_take(batch, index, n, total - n < images ? total - n : images, total));
    for (e->look = 0; e->look < count_looks(e); e->look++) {
      batch->look = e->looks ? e->looks->look[e->look] : (struct look){0};
      exec_forward(batch->loss.plan, batch->loss.batch, &hooks);
    }
    sum.loss += loss_sum(&batch->loss);
    sum.correct += loss_correct(&batch->loss);
  }
  sum.loss /= (double)total;
  sum.accuracy = (double)sum.correct / (double)total;
  *evaluation = sum;
  return CNN_OK;
}

cnn_status cnn_evaluate_tta(cnn_plan *plan, const cnn_dataset *data, cnn_split split, int64_t limit,
                            const char *how, cnn_evaluation *evaluation) {
  struct looks looks;
  int64_t total, images = plan->options.batch, sums = 0;
  CNN_TRY(batch_check(plan, data));
  CNN_TRY(looks_parse(how, input_image(plan), cnn_net_input(plan->net), &looks));
  CNN_TRY(count_images(data, split, limit, &total));
  struct evaluator e = {.batch = {.loss.plan = plan, .data = data, .split = split}, .looks = &looks};
  if (looks.count > 1) sums = images * cnn_net_output(plan->net).c * (int64_t)sizeof *e.sums;
  int64_t bytes = sums + batch_bytes(&e.batch, images);
  char *memory = mem_alloc((size_t)bytes);
  if (!memory) return status_no_memory((size_t)bytes, "a batch");
  e.sums = (double *)(void *)memory;
  batch_place(&e.batch, images, memory + sums);
  cnn_status status = batch_open(&e.batch);
  if (status == CNN_OK) status = evaluate_images(&e, NULL, total, NULL, evaluation);
  batch_close(&e.batch);
  mem_free(memory);
  return status;
}

cnn_status cnn_evaluate(cnn_plan *plan, const cnn_dataset *data, cnn_split split, int64_t limit,
                        cnn_evaluation *evaluation) {
  return cnn_evaluate_tta(plan, data, split, limit, NULL, evaluation);
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
