/* The loop: mini-batch, forward, loss, backward, update; after each epoch evaluate and report. */
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/memory.h"
#include "core/rng.h"
#include "core/threads.h"
#include "train/batch.h"
#include "train/optimizer.h"
#include "train/pixels.h"

struct cnn_trainer {
  cnn_plan *plan;
  const cnn_dataset *data;
  cnn_train_options options;
  const struct optimizer *optimizer;
  struct text settings;

  void *memory; /* moments | batch buffers | order */
  size_t bytes;
  float *moment[2];
  int32_t *order; /* of the epoch's images */
  int64_t images; /* of an epoch */
  struct batch batch;
  struct pixels pixels; /* augmentation and normalisation */

  int64_t steps, epoch, step; /* steps of an epoch; the next step, both from 0 */
  double power1, power2;      /* beta1^t, beta2^t */
  float lr;
  double loss; /* of the step at hand */
  atomic_int stop;
};

cnn_train_options cnn_train_defaults(void) {
  return (cnn_train_options){.epochs = 20,
                             .optimizer = "adam",
                             .momentum = 0.9,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .decay = 0.99,
                             .seed = 1,
                             .evaluate_train = 10000,
                             .evaluate_test = -1};
}

void cnn_trainer_free(cnn_trainer *trainer) {
  if (!trainer) return;
  batch_close(&trainer->batch);
  mem_pages_free(trainer->memory, trainer->bytes);
  text_free(&trainer->settings);
  mem_free(trainer);
}

static cnn_status fraction(const char *name, double value) {
  if (value >= 0 && value < 1) return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT, "%s is %g; it must be at least 0 and below 1", name, value);
}

static cnn_status check_options(const cnn_plan *plan, const cnn_train_options *o) {
  if (plan->options.mode != CNN_TRAIN)
    return CNN_FAIL(CNN_E_ARGUMENT, "an inference plan cannot train; make it with CNN_TRAIN");
  if (o->epochs < 1 || o->epochs > INT32_MAX)
    return CNN_FAIL(CNN_E_ARGUMENT, "epochs is %" PRId64 "; it must be 1 to 2147483647", o->epochs);
  if (!o->optimizer)
    return CNN_FAIL(CNN_E_ARGUMENT, "optimizer is NULL; it must be a name, such as \"adam\"");
  if (!(o->lr >= 0 && o->lr <= 1e6))
    return CNN_FAIL(CNN_E_ARGUMENT, "lr is %g; it must be above 0 and at most 1e6", o->lr);
  if (!(o->epsilon >= 0 && o->epsilon <= 1))
    return CNN_FAIL(CNN_E_ARGUMENT, "epsilon is %g; it must be 0 to 1", o->epsilon);
  if (o->limit < 0) return CNN_FAIL(CNN_E_ARGUMENT, "limit is %" PRId64 "; it must be at least 0", o->limit);
  CNN_TRY(fraction("momentum", o->momentum));
  CNN_TRY(fraction("beta1", o->beta1));
  CNN_TRY(fraction("beta2", o->beta2));
  return fraction("decay", o->decay);
}

/* As a number where JSON readers take it for one, else as text. */
static void write_seed(struct text *s, const char *name, uint64_t seed) {
  const char *quote = seed > INT64_MAX ? "\"" : "";
  text_add(s, ",\"%s\":%s%" PRIu64 "%s", name, quote, seed, quote);
}

/* What the bits of the result depend on, and nothing else: not threads, not the instruction set. */
static void write_settings(cnn_trainer *t) {
  const cnn_train_options *o = &t->options;
  const cnn_plan_options *p = &t->plan->options;
  char number[32];
  struct text *s = &t->settings;
  const struct {
    const char *name;
    double value;
  } all[] = {{"momentum", o->momentum},
             {"beta1", o->beta1},
             {"beta2", o->beta2},
             {"decay", o->decay},
             {"epsilon", o->epsilon}};
  text_add(s, "{\"optimizer\":\"%s\",\"lr\":%s", t->optimizer->name, text_from_number(o->lr, number));
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strstr(t->optimizer->settings, all[i].name))
      text_add(s, ",\"%s\":%s", all[i].name, text_from_number(all[i].value, number));
  text_add(s, ",\"loss\":\"%s\"", p->loss == CNN_LOSS_CROSS_ENTROPY ? "cross-entropy" : "mse");
  text_add(s, ",\"batch\":%" PRId64 ",\"group\":%" PRId64 ",\"epochs\":%" PRId64, p->batch, p->group,
           o->epochs);
  write_seed(s, "weights_seed", p->seed);
  write_seed(s, "order_seed", o->seed);
  pixels_write(&t->pixels, s);
  text_add(s, ",\"images\":%" PRId64 "}", t->images);
}

/* Which images an epoch takes when: a shuffle of all, a function of seed and epoch (Fisher and Yates). */
static void shuffle(cnn_trainer *t) {
  struct rng rng = rng_stream(t->options.seed, RNG_SHUFFLE, (uint32_t)t->epoch);
  for (int64_t i = 0; i < t->images; i++) t->order[i] = (int32_t)i;
  for (int64_t i = t->images - 1; i > 0; i--) {
    int64_t j = (int64_t)rng_below(&rng, (uint64_t)i, (uint64_t)i + 1);
    int32_t swap = t->order[i];
    t->order[i] = t->order[j];
    t->order[j] = swap;
  }
}

static cnn_status place_memory(cnn_trainer *t) {
  int64_t moments = t->optimizer->moments * t->plan->range * (int64_t)sizeof(float);
  int64_t batch = batch_bytes(&t->batch, t->plan->options.batch);
  t->bytes = (size_t)(moments + batch + t->images * (int64_t)sizeof *t->order);
  char *at = t->memory = mem_pages(t->bytes);
  if (!at) return status_no_memory(t->bytes, "the optimiser's state");
  for (int i = 0; i < t->optimizer->moments; i++) t->moment[i] = (float *)at + i * t->plan->range;
  batch_place(&t->batch, t->plan->options.batch, at + moments);
  t->order = (int32_t *)(at + moments + batch);
  return CNN_OK;
}

static cnn_status set_up(cnn_trainer *t) {
  CNN_TRY(check_options(t->plan, &t->options));
  CNN_TRY(optimizer_find(t->options.optimizer, &t->optimizer));
  CNN_TRY(pixels_parse(t->options.augment, t->options.normalize, &t->pixels));
  CNN_TRY(pixels_prepare(&t->pixels, t->plan));
  CNN_TRY(batch_check(t->plan, t->data));
  t->options.optimizer = t->optimizer->name;
  if (t->options.lr == 0) t->options.lr = t->optimizer->lr;
  if (t->options.epsilon == 0) t->options.epsilon = t->optimizer->epsilon;
  t->images = cnn_dataset_count(t->data, CNN_SPLIT_TRAIN);
  if (t->options.limit > 0 && t->options.limit < t->images) t->images = t->options.limit;
  if (t->images < 1)
    return CNN_FAIL(CNN_E_DATA, "'%s' has no images in its training split", cnn_dataset_name(t->data));
  int64_t batch = t->plan->options.batch;
  t->steps = (t->images + batch - 1) / batch;
  t->batch.loss.plan = t->plan;
  t->batch.data = t->data;
  t->batch.split = CNN_SPLIT_TRAIN;
  CNN_TRY(pixels_measure(&t->pixels, t->plan, t->data, t->images));
  if (t->pixels.augmented) t->batch.augment = &t->pixels.augment;
  t->options.augment = t->options.normalize = NULL; /* borrowed for the call */
  t->power1 = t->power2 = 1;
  t->lr = (float)t->options.lr;
  CNN_TRY(place_memory(t));
  CNN_TRY(batch_open(&t->batch));
  write_settings(t);
  return t->settings.failed ? status_no_memory(1024, "the run's settings") : CNN_OK;
}

cnn_status cnn_trainer_new(cnn_plan *plan, const cnn_dataset *data, const cnn_train_options *options,
                           cnn_trainer **trainer) {
  cnn_trainer *t = mem_zeroed(1, sizeof *t);
  if (!t) return status_no_memory(sizeof *t, "a trainer");
  t->plan = plan;
  t->data = data;
  t->options = options ? *options : cnn_train_defaults();
  cnn_status status = set_up(t);
  if (status == CNN_OK)
    *trainer = t;
  else
    cnn_trainer_free(t);
  return status;
}

const char *cnn_trainer_settings(const cnn_trainer *trainer) { return trainer->settings.data; }
void cnn_trainer_stop(cnn_trainer *trainer) { atomic_store(&trainer->stop, 1); }

/* One optimiser step of the weights that these gradients are of. */
static void update(void *context, const float *gradient, int64_t count) {
  const cnn_trainer *t = context;
  const cnn_train_options *o = &t->options;
  int64_t from = gradient - t->plan->gradients;
  struct update u = {.weight = t->plan->weights + from,
                     .gradient = gradient,
                     .lr = t->lr,
                     .momentum = (float)o->momentum,
                     .beta1 = (float)o->beta1,
                     .beta2 = (float)o->beta2,
                     .decay = (float)o->decay,
                     .epsilon = (float)o->epsilon,
                     .rest1 = (float)(1 - o->beta1),
                     .rest2 = (float)(1 - o->beta2),
                     .rest = (float)(1 - o->decay),
                     .correction1 = (float)(1 / (1 - t->power1)),
                     .correction2 = (float)(1 / (1 - t->power2))};
  for (int i = 0; i < t->optimizer->moments; i++) u.moment[i] = t->moment[i] + from;
  t->optimizer->step(t->plan->kernels)(&u, count);
}

static void load(void *context, int64_t n0, int64_t n1, int thread) {
  cnn_trainer *t = context;
  batch_load(&t->batch, n0, n1, thread);
}

static void scored(void *context, int64_t n0, int64_t n1) {
  cnn_trainer *t = context;
  loss_gradient(&t->batch, n0, n1);
}

/* The loss is known: weights follow their gradients only where it is a number. */
static bool ready(void *context) {
  cnn_trainer *t = context;
  t->loss = loss_sum(&t->batch.loss) / (double)t->batch.loss.batch;
  t->power1 *= t->options.beta1;
  t->power2 *= t->options.beta2;
  return isfinite(t->loss);
}

cnn_status cnn_trainer_step(cnn_trainer *t, float *loss) {
  if (t->step == 0) shuffle(t);
  int64_t batch = t->plan->options.batch, first = t->step * batch;
  int64_t count = t->images - first < batch ? t->images - first : batch;
  CNN_TRY(batch_take(&t->batch, t->order, first, count, t->images));
  t->plan->chance = (struct chance){t->options.seed, (uint64_t)(t->epoch * t->images + first)};
  exec_gradient(t->plan, t->batch.loss.batch, &(struct hooks){load, scored, ready, update, t});
  if (!isfinite(t->loss)) {
    cnn_status status = exec_find_not_finite(t->plan, t->batch.loss.batch);
    status_prefix("epoch %" PRId64 ", step %" PRId64 ": ", t->epoch + 1, t->step + 1);
    return status;
  }
  t->plan->stale = true;
  if (++t->step == t->steps) t->step = 0, t->epoch++;
  if (loss) *loss = (float)t->loss;
  return CNN_OK;
}

/* Sums over the epoch so far. */
struct sums {
  double loss, start, training; /* seconds: when the run began, and in training steps of this epoch */
  int64_t correct, images, steps_done;
  double evaluating; /* seconds of the last epoch's evaluation */
};

static void report(cnn_trainer *t, cnn_progress *p, const struct sums *sums) {
  double now = threads_seconds();
  p->seconds = now - sums->start;
  p->images_per_second = sums->training > 0 ? (double)sums->images / sums->training : 0;
  int64_t left = p->steps * (p->epochs - p->epoch) + p->steps - p->step;
  double per_step = sums->steps_done ? sums->training / (double)sums->steps_done : 0;
  p->seconds_left =
      (double)left * per_step + (double)(p->epochs - p->epoch + !p->epoch_end) * sums->evaluating;
  if (t->options.on_progress) t->options.on_progress(t->options.context, p);
}

static cnn_status evaluate(cnn_trainer *t, cnn_split split, int64_t images, double *accuracy, double *loss) {
  *accuracy = *loss = NAN;
  if (images == 0 || cnn_dataset_count(t->data, split) == 0) return CNN_OK;
  int64_t limit = images < 0 ? 0 : images;
  if (t->options.limit && (!limit || limit > t->options.limit)) limit = t->options.limit;
  cnn_evaluation e;
  struct batch batch = t->batch; /* between steps its buffers are free */
  batch.split = split;
  CNN_TRY(evaluate_split(&batch, limit, &e));
  *accuracy = e.accuracy;
  *loss = e.loss;
  return CNN_OK;
}

static cnn_status run_epoch(cnn_trainer *t, cnn_progress *p, struct sums *sums) {
  double evaluating = sums->evaluating, start = sums->start;
  *sums = (struct sums){.start = start, .evaluating = evaluating};
  for (p->step = t->step + 1; p->step <= t->steps; p->step++) {
    if (atomic_load(&t->stop))
      return CNN_FAIL(CNN_E_STOPPED, "stopped on request in epoch %" PRId64 ", before step %" PRId64,
                      p->epoch, p->step);
    double before = threads_seconds();
    CNN_TRY(cnn_trainer_step(t, NULL));
    sums->training += threads_seconds() - before;
    sums->steps_done++;
    double loss = loss_sum(&t->batch.loss);
    int64_t correct = loss_correct(&t->batch.loss), images = t->batch.loss.batch;
    sums->loss += loss;
    sums->correct += correct;
    sums->images += images;
    p->total_step++;
    p->loss = loss / (double)images;
    p->accuracy = (double)correct / (double)images;
    report(t, p, sums);
  }
  p->step = t->steps;
  return CNN_OK;
}

cnn_status cnn_trainer_run(cnn_trainer *t) {
  struct sums sums = {.start = threads_seconds()};
  cnn_progress p = {
      .epochs = t->options.epochs, .steps = t->steps, .total_step = t->epoch * t->steps + t->step};
  while (t->epoch < t->options.epochs) {
    p.train_accuracy = p.train_loss = p.test_accuracy = p.test_loss = NAN;
    p.epoch = t->epoch + 1;
    p.epoch_end = false;
    CNN_TRY(run_epoch(t, &p, &sums));
    double before = threads_seconds();
    cnn_status status = plan_check_weights(t->plan);
    if (status != CNN_OK) {
      status_prefix("epoch %" PRId64 ", step %" PRId64 ": ", p.epoch, p.step);
      return status;
    }
    p.epoch_end = true;
    p.loss = sums.loss / (double)sums.images;
    p.accuracy = (double)sums.correct / (double)sums.images;
    CNN_TRY(evaluate(t, CNN_SPLIT_TRAIN, t->options.evaluate_train, &p.train_accuracy, &p.train_loss));
    CNN_TRY(evaluate(t, CNN_SPLIT_TEST, t->options.evaluate_test, &p.test_accuracy, &p.test_loss));
    sums.evaluating = threads_seconds() - before;
    report(t, &p, &sums);
  }
  return CNN_OK;
}
