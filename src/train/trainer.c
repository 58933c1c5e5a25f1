/* The loop: mini-batch, forward, loss, backward, update; after each epoch evaluate and report. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/rng.h"
#include "core/threads.h"
#include "train/evaluate.h"
#include "train/trainer.h"
#include "train/validation.h"

cnn_train_options cnn_train_defaults(void) {
  return (cnn_train_options){.epochs = 20,
                             .optimizer = "adam",
                             .momentum = 0.9,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .decay = 0.99,
                             .schedule = "constant",
                             .weight_decay = -1,
                             .seed = 1,
                             .evaluate_train = 10000,
                             .evaluate_test = -1};
}

void cnn_trainer_free(cnn_trainer *trainer) {
  if (!trainer) return;
  batch_close(&trainer->batch);
  mem_pages_free(trainer->memory, trainer->bytes);
  text_free(&trainer->settings);
  text_free(&trainer->schedule_text);
  pixels_free(&trainer->pixels);
  mem_free(trainer);
}

/* Which images an epoch takes when: a shuffle of all, a function of seed and epoch (Fisher and Yates). */
static void shuffle(cnn_trainer *t) {
  struct rng rng = rng_stream(t->options.seed, RNG_SHUFFLE, (uint32_t)t->epoch);
  for (int64_t i = 0; i < t->images; i++) t->order[i] = t->index ? t->index[i] : (int32_t)i;
  for (int64_t i = t->images - 1; i > 0; i--) {
    int64_t j = (int64_t)rng_below(&rng, (uint64_t)i, (uint64_t)i + 1);
    int32_t swap = t->order[i];
    t->order[i] = t->order[j];
    t->order[j] = swap;
  }
}

/* First pass: t->memory is NULL, and the bytes are counted. */
static void carve(cnn_trainer *t) {
  struct carver carver = {.at = t->memory};
  int64_t batch = t->plan->options.batch;
  updater_carve(&t->updater, &carver);
  size_t floats = (size_t)(t->plan->range + updater_states(t->plan));
  if (t->options.patience) t->best = carver_take(&carver, floats, sizeof *t->best);
  char *buffers = carver_take(&carver, 1, (size_t)batch_bytes(&t->batch, batch));
  t->order = carver_take(&carver, (size_t)t->images, sizeof *t->order);
  if (t->held) t->index = carver_take(&carver, (size_t)(t->images + t->held), sizeof *t->index);
  t->bytes = carver.used;
  if (buffers) batch_place(&t->batch, batch, buffers);
}

/* How many images to train on and to hold back. */
static cnn_status count_images(cnn_trainer *t) {
  int64_t all = cnn_dataset_count(t->data, CNN_SPLIT_TRAIN), batch = t->plan->options.batch;
  if (t->options.limit > 0 && t->options.limit < all) all = t->options.limit;
  if (all < 1)
    return CNN_FAIL(CNN_E_DATA, "'%s' has no images in its training split", cnn_dataset_name(t->data));
  CNN_TRY(validation_count(t->options.validation, all, &t->held));
  t->images = all - t->held;
  t->steps = (t->images + batch - 1) / batch;
  return CNN_OK;
}

static cnn_status set_up(cnn_trainer *t) {
  CNN_TRY(pixels_parse(t->options.augment, t->options.normalize, &t->pixels));
  t->options.augment = t->pixels.augmented ? t->pixels.augment_text.data : NULL;
  t->options.normalize = t->pixels.normalized ? t->pixels.normalize_text.data : NULL;
  CNN_TRY(pixels_prepare(&t->pixels, t->plan));
  CNN_TRY(batch_check(t->plan, t->data));
  CNN_TRY(count_images(t));
  CNN_TRY(settings_check(t));
  t->batch.loss.plan = t->plan;
  t->batch.loss.smoothing = t->options.label_smoothing;
  t->batch.data = t->data;
  t->batch.split = CNN_SPLIT_TRAIN;
  if (t->pixels.augmented) t->batch.augment = &t->pixels.augment;
  t->plateau.factor = 1;
  carve(t);
  t->memory = mem_pages(t->bytes);
  if (!t->memory) return status_no_memory(t->bytes, "the optimiser's state");
  carve(t);
  updater_fill(&t->updater);
  if (t->held) CNN_TRY(validation_select(t->data, t->images + t->held, t->held, t->options.seed, t->index));
  CNN_TRY(pixels_measure(&t->pixels, t->plan, t->data, t->index, t->images));
  CNN_TRY(batch_open(&t->batch));
  return settings_write(t);
}

/* A run that cannot begin leaves the plan as it was. */
static cnn_status begin(cnn_trainer *t) {
  struct input before;
  CNN_TRY(input_copy(t->plan, &before));
  cnn_status status = set_up(t);
  if (status != CNN_OK) {
    struct input made = t->plan->input;
    t->plan->input = before;
    before = made;
  }
  input_free(&before);
  return status;
}

cnn_status cnn_trainer_new(cnn_plan *plan, const cnn_dataset *data, const cnn_train_options *options,
                           cnn_trainer **trainer) {
  cnn_trainer *t = mem_zeroed(1, sizeof *t);
  if (!t) return status_no_memory(sizeof *t, "a trainer");
  t->plan = plan;
  t->data = data;
  t->options = options ? *options : cnn_train_defaults();
  cnn_status status = begin(t);
  if (status == CNN_OK)
    *trainer = t;
  else
    cnn_trainer_free(t);
  return status;
}

const char *cnn_trainer_settings(const cnn_trainer *trainer) { return trainer->settings.data; }
cnn_train_options cnn_trainer_options(const cnn_trainer *trainer) { return trainer->options; }
cnn_best cnn_trainer_best(const cnn_trainer *trainer) { return trainer->found; }
void cnn_trainer_stop(cnn_trainer *trainer) { atomic_store(&trainer->stop, 1); }

cnn_memory cnn_trainer_memory(const cnn_trainer *trainer) {
  cnn_memory memory = trainer->plan->memory;
  int64_t ahead = reader_bytes(trainer->batch.reader);
  memory.optimizer = (int64_t)trainer->bytes;
  memory.scratch += ahead;
  memory.total += memory.optimizer + ahead;
  return memory;
}

/* ---- Which weights the plan holds ---- */

static void exchange(float *a, float *b, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    float keep = a[i];
    a[i] = b[i];
    b[i] = keep;
  }
}

static void exchange_state(const cnn_plan *plan, float *state, float *kept, int64_t count, float rate) {
  (void)plan, (void)rate;
  exchange(state, kept, count);
}

static void exchange_all(const cnn_plan *plan, float *kept) {
  if (!kept) return;
  exchange(plan->weights, kept, plan->range);
  updater_each_state(plan, kept + plan->range, 0, exchange_state);
}

static void copy_state(const cnn_plan *plan, float *state, float *kept, int64_t count, float rate) {
  (void)plan, (void)rate;
  memcpy(kept, state, (size_t)count * sizeof *kept);
}

static void copy_all(const cnn_plan *plan, float *kept) {
  memcpy(kept, plan->weights, (size_t)plan->range * sizeof *kept);
  updater_each_state(plan, kept + plan->range, 0, copy_state);
}

/* Other weights stand where they are kept, or have changed places with the trained ones. */
static void show(cnn_trainer *t, int weights) {
  float *kept[] = {NULL, t->updater.average, t->best};
  if ((int)t->shown == weights) return;
  exchange_all(t->plan, kept[t->shown]);
  exchange_all(t->plan, kept[weights]);
  t->shown = weights;
  t->plan->stale = true;
}

/* What the run is for. */
static void show_result(cnn_trainer *t) {
  bool averaged = t->updater.average && t->epoch + t->step > 0;
  show(t, t->found.epoch ? WEIGHTS_BEST : averaged ? WEIGHTS_AVERAGE : WEIGHTS_TRAINED);
}

/* ---- Steps ---- */

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
  if (!isfinite(t->loss)) return false;
  if (!updater_waits(&t->updater)) updater_begin(&t->updater);
  return true;
}

static void collected(void *context, const float *gradient, int64_t count) {
  cnn_trainer *t = context;
  updater_take(&t->updater, gradient, count);
}

static double rate(const cnn_trainer *t) {
  return t->options.lr * t->plateau.factor * schedule_factor(&t->schedule, t->epoch * t->steps + t->step);
}

static cnn_status at_step(const cnn_trainer *t, cnn_status status) {
  if (status != CNN_OK) status_prefix("epoch %" PRId64 ", step %" PRId64 ": ", t->epoch + 1, t->step + 1);
  return status;
}

cnn_status cnn_trainer_step(cnn_trainer *t, float *loss) {
  show(t, WEIGHTS_TRAINED);
  if (t->step == 0) shuffle(t);
  int64_t batch = t->plan->options.batch, first = t->step * batch;
  int64_t count = t->images - first < batch ? t->images - first : batch;
  CNN_TRY(batch_take(&t->batch, t->order, first, count, t->images));
  t->plan->chance = (struct chance){t->options.seed, (uint64_t)(t->epoch * t->images + first)};
  t->updater.lr = rate(t);
  bool waits = updater_waits(&t->updater);
  exec_gradient(t->plan, t->batch.loss.batch,
                &(struct hooks){load, scored, ready, waits ? NULL : collected, t});
  if (!isfinite(t->loss)) return at_step(t, exec_find_not_finite(t->plan, t->batch.loss.batch));
  if (waits) CNN_TRY(at_step(t, updater_finish(&t->updater)));
  exec_follow(t->plan, t->batch.loss.batch);
  updater_end(&t->updater);
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

/* Images of a split, and which they are: NULL for the first ones. */
static int64_t split_images(const cnn_trainer *t, cnn_split split, const int32_t **index) {
  *index = NULL;
  if (split == CNN_SPLIT_VALIDATION) {
    if (t->index) *index = t->index + t->images;
    return t->held;
  }
  if (split == CNN_SPLIT_TRAIN) {
    *index = t->index;
    return t->images;
  }
  int64_t count = cnn_dataset_count(t->data, split);
  return t->options.limit && t->options.limit < count ? t->options.limit : count;
}

int64_t cnn_trainer_images(const cnn_trainer *trainer, cnn_split split) {
  const int32_t *index;
  return split_images(trainer, split, &index);
}

/* stop: as of evaluate_images(). */
static cnn_status evaluate_split(cnn_trainer *t, cnn_split split, int64_t limit, atomic_int *stop,
                                 cnn_evaluation *evaluation) {
  static const char *const names[] = {"training", "test", "validation"};
  const int32_t *index;
  int64_t images = split_images(t, split, &index);
  if (limit > 0 && limit < images) images = limit;
  if (images < 1)
    return CNN_FAIL(CNN_E_DATA, "'%s' has no %s images", cnn_dataset_name(t->data),
                    split <= CNN_SPLIT_VALIDATION ? names[split] : "such");
  struct evaluator evaluator = {.batch = t->batch}; /* between steps its buffers are free */
  evaluator.batch.split = split == CNN_SPLIT_TEST ? CNN_SPLIT_TEST : CNN_SPLIT_TRAIN;
  return evaluate_images(&evaluator, index, images, stop, evaluation);
}

cnn_status cnn_trainer_evaluate(cnn_trainer *t, cnn_split split, int64_t limit, cnn_evaluation *evaluation) {
  return evaluate_split(t, split, limit, NULL, evaluation);
}

/* images: -1 for all. */
static cnn_status evaluate(cnn_trainer *t, cnn_split split, int64_t images, double *accuracy, double *loss) {
  cnn_evaluation e;
  *accuracy = *loss = NAN;
  if (images == 0 || cnn_trainer_images(t, split) == 0) return CNN_OK;
  CNN_TRY(evaluate_split(t, split, images < 0 ? 0 : images, &t->stop, &e));
  *accuracy = e.accuracy;
  *loss = e.loss;
  return CNN_OK;
}

static cnn_status run_epoch(cnn_trainer *t, cnn_progress *p, struct sums *sums) {
  double evaluating = sums->evaluating, start = sums->start;
  *sums = (struct sums){.start = start, .evaluating = evaluating};
  for (p->step = t->step + 1; p->step <= t->steps; p->step++) {
    if (atomic_exchange(&t->stop, 0))
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
    p->lr = t->updater.lr;
    report(t, p, sums);
  }
  p->step = t->steps;
  return CNN_OK;
}

/* What validation says of the epoch that has ended: keep its weights where they are the best; stop where
 * there were none better for too long. */
static void validated(cnn_trainer *t, const cnn_progress *p) {
  if (!t->held) return;
  double measure = t->options.measure == CNN_MEASURE_LOSS ? p->validation_loss : 1 - p->validation_accuracy;
  schedule_measured(&t->schedule, &t->plateau, measure);
  if (!t->best) return;
  if (!t->found.epoch || measure < t->measure || isnan(t->measure)) {
    copy_all(t->plan, t->best);
    t->found = (cnn_best){p->epoch, p->validation_accuracy, p->validation_loss, false};
    t->measure = measure;
  }
  t->found.stopped = p->epoch - t->found.epoch >= t->options.patience;
}

static cnn_status end_epoch(cnn_trainer *t, cnn_progress *p) {
  cnn_status status = plan_check_weights(t->plan);
  if (status != CNN_OK) {
    status_prefix("epoch %" PRId64 ", step %" PRId64 ": ", p->epoch, p->step);
    return status;
  }
  show(t, t->updater.average ? WEIGHTS_AVERAGE : WEIGHTS_TRAINED);
  CNN_TRY(evaluate(t, CNN_SPLIT_TRAIN, t->options.evaluate_train, &p->train_accuracy, &p->train_loss));
  CNN_TRY(evaluate(t, CNN_SPLIT_VALIDATION, -1, &p->validation_accuracy, &p->validation_loss));
  CNN_TRY(evaluate(t, CNN_SPLIT_TEST, t->options.evaluate_test, &p->test_accuracy, &p->test_loss));
  validated(t, p);
  return CNN_OK;
}

static cnn_status run(cnn_trainer *t) {
  struct sums sums = {.start = threads_seconds()};
  cnn_progress p = {
      .epochs = t->options.epochs, .steps = t->steps, .total_step = t->epoch * t->steps + t->step};
  while (t->epoch < t->options.epochs && !t->found.stopped) {
    p.train_accuracy = p.train_loss = p.test_accuracy = p.test_loss = NAN;
    p.validation_accuracy = p.validation_loss = NAN;
    p.epoch = t->epoch + 1;
    p.epoch_end = false;
    CNN_TRY(run_epoch(t, &p, &sums));
    double before = threads_seconds();
    CNN_TRY(end_epoch(t, &p));
    p.epoch_end = true;
    p.loss = sums.loss / (double)sums.images;
    p.accuracy = (double)sums.correct / (double)sums.images;
    sums.evaluating = threads_seconds() - before;
    report(t, &p, &sums);
  }
  return CNN_OK;
}

cnn_status cnn_trainer_run(cnn_trainer *t) {
  cnn_status status = run(t);
  show_result(t);
  return status;
}
